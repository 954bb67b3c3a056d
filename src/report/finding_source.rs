//! Findings from the diagnostics of `validate` and from the changes of `drift`, and the rules of all commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::code::{DiagnosticCode, Severity};
use crate::config::diagnostic::{Diagnostics, Label};
use crate::doctor::AUDIT_CHECKS;
use crate::model::address::Address;
use crate::model::finding::{CheckStatus, Finding};
use crate::model::location::Location;
use crate::plan::{AccountPlan, Action, Change, Field, FieldChange, FieldValue, Run};

use super::attribution::facts;
use super::sarif::Rule;

/// Rules of drift.
pub(super) const DRIFT_RULES: [Rule; 5] = [
    Rule {
        id: "weaker",
        description: "The live setting protects less than the declared one.",
        help: Some(RESTORE),
        level: "error",
    },
    Rule {
        id: "differs",
        description: "The live setting differs from the declared one.",
        help: Some(RESTORE),
        level: "warning",
    },
    Rule {
        id: "unlisted_active",
        description: "An active integration is in no file, and receives risk scores.",
        help: Some("Add it to the file, or delete it with `riskform destroy --target`."),
        level: "error",
    },
    Rule {
        id: "unlisted",
        description: "A live resource is in no file.",
        help: Some("Add it to the file, delete it, or set `unlisted` to keep."),
        level: "note",
    },
    Rule {
        id: "ambiguous",
        description: "An entry cannot be matched to one live resource.",
        help: Some("Add the `id` of the right integration to the entry."),
        level: "error",
    },
];
const RESTORE: &str =
    "Run `riskform apply` to restore the declared state, or change the file to the live state.";

/// Returns the rules of the audit.
pub(super) fn audit_rules() -> Vec<Rule> {
    let rule = |check: &crate::doctor::AuditCheck| Rule {
        id: check.id,
        description: check.title,
        help: None,
        level: "error",
    };
    AUDIT_CHECKS.iter().map(rule).collect()
}

/// Returns the rules of files.
pub(super) fn file_rules() -> Vec<Rule> {
    let rule = |code: &DiagnosticCode| Rule {
        id: code.as_str(),
        description: code.description(),
        help: None,
        level: match code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
    };
    DiagnosticCode::ALL.iter().map(rule).collect()
}

/// Returns the findings of diagnostics. One about a whole file is at its first line.
pub(super) fn diagnostic_findings(diagnostics: &Diagnostics) -> Vec<Finding> {
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
    let findings = run.accounts.iter().flat_map(|plan| {
        let account = Arc::new(plan.checked_account());
        let findings = match &plan.error {
            Some(error) => vec![Finding::unread(Arc::clone(&account), error)],
            None => account_findings(run, plan),
        };
        findings.into_iter().map(move |finding| Finding {
            account: Some(Arc::clone(&account)),
            ..finding
        })
    });
    findings.collect()
}

fn account_findings(run: &Run, plan: &AccountPlan) -> Vec<Finding> {
    let errors = plan.errors.iter().map(|error| Finding {
        check: "ambiguous",
        details: error.candidates.iter().map(ToString::to_string).collect(),
        ..Finding::fail(format!("{}: {}", error.address, error.message))
            .about(&error.address)
            .at(error.location.as_ref())
            .help(&error.help)
    });
    let changes = plan.changes.iter().map(|change| {
        let fields = match change.action {
            Action::Create | Action::Delete => field_lines(&change.fields),
            Action::Update | Action::Replace => Vec::new(),
        };
        let authors = facts(&change.attribution, run.created_at);
        let authors = authors.iter().map(ToString::to_string);
        Finding {
            check: rule(change),
            details: fields.into_iter().chain(authors).collect(),
            ..Finding::fail(change.difference())
                .about(&change.address)
                .at(change.origin.location.as_ref())
        }
    });
    let reported = plan.reported().map(|unlisted| {
        let fields = unlisted.field_changes();
        let authors = facts(&unlisted.attribution, run.created_at);
        let authors = authors.iter().map(ToString::to_string);
        Finding {
            check: unlisted_rule(&fields),
            details: field_lines(&fields).into_iter().chain(authors).collect(),
            ..Finding::fail(format!("{} is unlisted", unlisted.address)).about(&unlisted.address)
        }
    });
    let mut findings: Vec<Finding> = errors.chain(changes).chain(reported).collect();
    let mut seen: BTreeSet<String> = findings
        .iter()
        .map(|finding| finding.subject.clone())
        .collect();
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
            findings.push(Finding {
                check: "differs",
                ..Finding::new(status, message).about(address)
            });
        }
    }
    findings
}

fn rule(change: &Change) -> &'static str {
    match change.origin.location.as_ref() {
        None => unlisted_rule(&change.fields),
        Some(_) if change.live_weaker.is_some() => "weaker",
        Some(_) => "differs",
    }
}

fn unlisted_rule(fields: &[FieldChange]) -> &'static str {
    let mut fields = fields.iter();
    let is_active = |field: &FieldChange| {
        field.field == Field::Active && field.before == Some(FieldValue::Bool(true))
    };
    match fields.any(is_active) {
        true => "unlisted_active",
        false => "unlisted",
    }
}

fn field_lines(fields: &[FieldChange]) -> Vec<String> {
    let lines = fields.iter().map(|change| {
        let value = change.after.as_ref().or(change.before.as_ref());
        let value = value.map_or_else(|| "(unset)".to_owned(), ToString::to_string);
        format!("{}: {value}", change.field)
    });
    lines.collect()
}
