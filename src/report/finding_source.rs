//! Findings from the diagnostics of `validate` and from the changes of `drift`, and the rules of all commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::code::{DiagnosticCode, Severity};
use crate::config::diagnostic::{Diagnostics, Label};
use crate::doctor::{AUDIT_CHECKS, differences};
use crate::model::address::Address;
use crate::model::finding::{CheckStatus, Finding};
use crate::model::location::Location;
use crate::plan::{AccountPlan, Run};

use super::attribution::facts;
use super::sarif::Rule;

/// Rules of drift.
pub(super) const DRIFT_RULES: [Rule; 5] = [
    (
        "weaker",
        "error",
        "The live setting protects less than the declared one. Run `riskform apply` to restore it, or change the file.",
    ),
    (
        "differs",
        "warning",
        "The live setting differs from the declared one. Run `riskform apply` to restore it, or change the file.",
    ),
    (
        "unlisted_active",
        "error",
        "An active integration is in no file, and receives risk scores. Add it to the file, or delete it with `riskform destroy --target`.",
    ),
    (
        "unlisted",
        "note",
        "A live resource is in no file. Add it to the file, delete it, or set `unlisted` to keep.",
    ),
    (
        "ambiguous",
        "error",
        "An entry cannot be matched to one live resource. Add the `id` of the right integration to the entry.",
    ),
];

/// Returns the rules of the audit.
pub(super) fn audit_rules() -> Vec<Rule> {
    let checks = AUDIT_CHECKS.iter();
    checks
        .map(|(id, title, _)| (*id, "error", *title))
        .collect()
}

/// Returns the rules of files.
pub(super) fn file_rules() -> Vec<Rule> {
    let rule = |code: &DiagnosticCode| {
        let level = match code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        (code.as_str(), level, code.description())
    };
    DiagnosticCode::ALL.iter().map(rule).collect()
}

/// Returns the findings of diagnostics. One about a whole file is at its first line.
pub fn diagnostic_findings(diagnostics: &Diagnostics) -> Vec<Finding> {
    let location = |label: &Label| {
        let region = label.place.region.as_ref();
        let (line, column) = region.map_or((1, 1), |region| (region.line, region.column));
        Location {
            file: Arc::clone(&label.place.file),
            line,
            column,
        }
    };
    let findings = diagnostics.iter().map(|diagnostic| {
        let region = diagnostic.primary.place.region.as_ref();
        let related = diagnostic.related.iter();
        let related = related.map(|label| format!("{}: {}", location(label), label.text));
        Finding {
            check: diagnostic.rule.as_str(),
            location: Some(location(&diagnostic.primary)),
            end_column: region.map(|region| region.end_column),
            details: diagnostic.note.iter().cloned().chain(related).collect(),
            help: diagnostic.help.clone(),
            ..Finding::new(
                match diagnostic.severity {
                    Severity::Error => CheckStatus::Fail,
                    Severity::Warning => CheckStatus::Warn,
                },
                diagnostic.message.clone(),
            )
        }
    });
    findings.collect()
}

/// Returns the findings of drift: differences, unlisted and ambiguous resources, then excluded ones, then those as declared.
pub(super) fn drift_findings(run: &Run) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plan in &run.accounts {
        let account = Arc::new(plan.checked_account());
        let of_account = match &plan.error {
            Some(error) => vec![Finding::unread(Arc::clone(&account), error)],
            None => account_findings(run, plan),
        };
        findings.extend(of_account.into_iter().map(|finding| Finding {
            account: Some(Arc::clone(&account)),
            ..finding
        }));
    }
    findings
}

fn account_findings(run: &Run, plan: &AccountPlan) -> Vec<Finding> {
    let differences = differences(plan).map(|(mut finding, _, authors)| {
        let authors = facts(authors, run.created_at).into_iter();
        finding.details.extend(authors.map(|fact| fact.to_string()));
        finding
    });
    let mut findings: Vec<Finding> = differences.collect();
    let subjects = findings.iter().map(|finding| finding.subject.clone());
    let mut seen: BTreeSet<String> = subjects.collect();
    let excluded = plan.excluded.iter().map(|address| {
        let message = "excluded by --target or --ignore";
        (address.to_string(), CheckStatus::Info, message)
    });
    let desired = plan.desired.iter().flat_map(|desired| {
        let behaviors = desired.behaviors.keys().cloned().map(Address::Behavior);
        let integrations = desired.integrations.keys().cloned();
        behaviors.chain(integrations.map(Address::Integration))
    });
    let declared = desired.map(|address| (address.to_string(), CheckStatus::Pass, "as declared"));
    for (address, status, message) in excluded.chain(declared) {
        if seen.insert(address.clone()) {
            let finding = Finding::new(status, message).of("differs");
            findings.push(finding.about(address));
        }
    }
    findings
}
