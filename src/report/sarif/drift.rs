//! Drift as SARIF: each finding at the line that declares what differs.
//!
//! An unlisted thing is declared nowhere, so its finding is about the file as a whole. What could not be compared is no finding but a
//! notification of the run (section 3.58 of the standard).

use serde_json::json;

use crate::plan::sha256;
use crate::plan::{AccountPlan, Run, Status};
use crate::report::display_item::{ChangeMarker, DisplayItem, blocks};

use super::{
    Configuration, Finding, Notification, Region, ReportingDescriptor, location, log, message,
};

/// The kinds of findings.
#[derive(Clone, Copy)]
enum Rule {
    /// Live protects less than declared.
    Weaker,
    /// Live differs, and protects no less.
    Differs,
    /// Live, but in no file.
    Unlisted,
}

impl Rule {
    /// In the order of their indices.
    const ALL: [Rule; 3] = [Rule::Weaker, Rule::Differs, Rule::Unlisted];

    fn of(block: &DisplayItem<'_>) -> Self {
        match (block.mark, block.weakening) {
            (ChangeMarker::Unlisted, _) => Rule::Unlisted,
            (_, Some(_)) => Rule::Weaker,
            (_, None) => Rule::Differs,
        }
    }

    fn id(self) -> &'static str {
        match self {
            Rule::Weaker => "weaker",
            Rule::Differs => "differs",
            Rule::Unlisted => "unlisted",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Rule::Weaker => "error",
            Rule::Differs => "warning",
            Rule::Unlisted => "note",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Rule::Weaker => "What is live protects less than what is declared.",
            Rule::Differs => "What is live differs from what is declared.",
            Rule::Unlisted => "Something is live that no file lists.",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Rule::Weaker | Rule::Differs => {
                "Run `riskform apply` to bring back what is declared, or declare what is live."
            }
            Rule::Unlisted => {
                "Declare it, delete it, or set `unlisted` in the file so that it is kept."
            }
        }
    }
}

/// Drift as SARIF.
pub(in crate::report) fn sarif(document: &Run) -> String {
    let failed = document
        .accounts
        .iter()
        .filter(|account| account.status == Status::Error);
    let results = document
        .accounts
        .iter()
        .flat_map(|account| blocks(document, account).map(move |block| finding(account, &block)))
        .collect();
    log(
        &document.riskform_version,
        Rule::ALL.map(descriptor).into(),
        results,
        failed.map(notification).collect(),
    )
}

fn descriptor(rule: Rule) -> ReportingDescriptor {
    ReportingDescriptor {
        id: rule.id(),
        short_description: message(rule.description()),
        help: Some(message(rule.help())),
        default_configuration: Configuration {
            level: rule.level(),
        },
    }
}

fn finding(account: &AccountPlan, block: &DisplayItem<'_>) -> Finding {
    let rule = Rule::of(block);
    let fields: Vec<String> = block
        .fields
        .iter()
        .map(|line| format!("{} {}", line.field, line.as_drift()))
        .collect();
    let address = format!("{}/{}", account.label(), block.address);
    let text = format!("{address}: {} ({})", block.words, fields.join("; "));
    let region = block.location.map(|location| Region {
        start_line: location.line,
        start_column: location.column,
        end_column: None,
    });
    let file = block
        .location
        .map_or(&account.source, |location| &location.file);
    // What stays the same from run to run, wherever in the file it moves to.
    let identity = json!([account.account_id, block.address, rule.id()]);
    Finding {
        rule_id: rule.id(),
        rule_index: rule as usize,
        level: rule.level(),
        message: message(&text),
        locations: [location(file, region)],
        related_locations: Vec::new(),
        partial_fingerprints: Some(json!({ "riskform/v1": sha256(&identity) })),
    }
}

fn notification(account: &AccountPlan) -> Notification {
    let why = account.error.as_ref().map_or("", |error| &error.message);
    Notification {
        level: "error",
        message: message(&format!("{} could not be compared: {why}", account.label())),
        locations: [location(&account.source, None)],
    }
}
