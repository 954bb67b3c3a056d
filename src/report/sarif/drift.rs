//! Drift as SARIF: each finding at the line of the declaration.
//!
//! The finding of an unlisted resource is about the whole file. A failed account is a notification, not a finding (SARIF, section
//! 3.58).

use serde_json::json;

use crate::plan::sha256;
use crate::plan::{AccountPlan, Run, Status};
use crate::report::display_item::{ChangeMarker, DisplayItem, blocks};

use super::{
    Configuration, Finding, Notification, Region, ReportingDescriptor, location, log, message,
};

/// Types of findings.
#[derive(Clone, Copy)]
enum Rule {
    /// Protects less than declared.
    Weaker,
    /// Differs, and does not protect less.
    Differs,
    /// Unlisted.
    Unlisted,
    /// Ambiguous, or not planned for another reason.
    Ambiguous,
}

impl Rule {
    /// In order of their indices.
    const ALL: [Rule; 4] = [Rule::Weaker, Rule::Differs, Rule::Unlisted, Rule::Ambiguous];

    fn of(block: &DisplayItem<'_>) -> Self {
        match (block.mark, block.weakening) {
            (ChangeMarker::Unlisted, _) => Rule::Unlisted,
            (ChangeMarker::Ambiguous, _) => Rule::Ambiguous,
            (_, Some(_)) => Rule::Weaker,
            (_, None) => Rule::Differs,
        }
    }

    fn id(self) -> &'static str {
        match self {
            Rule::Weaker => "weaker",
            Rule::Differs => "differs",
            Rule::Unlisted => "unlisted",
            Rule::Ambiguous => "ambiguous",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Rule::Weaker | Rule::Ambiguous => "error",
            Rule::Differs => "warning",
            Rule::Unlisted => "note",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Rule::Weaker => "The live setting protects less than the declared one.",
            Rule::Differs => "The live setting differs from the declared one.",
            Rule::Unlisted => "A live resource is in no file.",
            Rule::Ambiguous => "An entry cannot be matched to one live resource.",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Rule::Weaker | Rule::Differs => {
                "Run `riskform apply` to restore the declared state, or change the file to the live state."
            }
            Rule::Ambiguous => "Add the `id` of the right integration to the entry.",
            Rule::Unlisted => "Add it to the file, delete it, or set `unlisted` to keep.",
        }
    }
}

/// Returns drift as SARIF.
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
        .chain(block.lines.iter().map(|line| line.trim().to_owned()))
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
    // The fingerprint is stable between runs, even if the line moves.
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
