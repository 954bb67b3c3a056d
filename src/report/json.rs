//! Results as JSON: plans, applies, audits, and the error of a run without accounts.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::apply::{ApplyResult, OperationReport, Outcome};
use crate::config::diagnostic::Diagnostics;
use crate::model::account::DesiredAccount;
use crate::model::text::escape_invisible_json;
use crate::plan::{Format, OperationOutcome, OperationStatus, Run};

/// Format of an error.
pub const ERROR_FORMAT: &str = "riskform.error/1";

/// Returns a plan with its results. `applied` is in the order of the accounts; `None` is an account that was not changed.
pub fn applied(plan: &Run, applied: &[Option<ApplyResult>], created_at: Timestamp) -> Run {
    let mut run = plan.clone();
    run.format = Format::Apply;
    run.created_at = created_at;
    for (account, applied) in run.accounts.iter_mut().zip(applied) {
        if let Some(applied) = applied {
            for (operation, executed) in account.operations.iter_mut().zip(&applied.operations) {
                operation.end = Some(end(executed));
            }
            account.notes.extend(applied.notes.iter().cloned());
            account.problems = Some(applied.problems.clone());
        }
    }
    run
}

fn end(executed: &OperationReport) -> OperationStatus {
    use OperationOutcome::{Done, Failed, NotAttempted, Unknown};
    let (outcome, error, help) = match &executed.outcome {
        Outcome::Done(_) => (Done, None, None),
        Outcome::Failed(error) => (Failed, Some(error.to_string()), error.help()),
        Outcome::Unknown(error) => (Unknown, Some(error.to_string()), error.help()),
        Outcome::NotAttempted(reason) => (NotAttempted, Some(reason.to_string()), None),
    };
    OperationStatus {
        outcome,
        error,
        help,
        result: match &executed.outcome {
            Outcome::Done(created) => created.clone(),
            _ => None,
        },
        audit_log_id: executed.request_ids.audit_log_id.clone(),
        cf_ray: executed.request_ids.ray.clone(),
    }
}

/// Returns a document as JSON with a final line break, safe for terminals.
pub fn document(document: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(document);
    let json = json.expect("a document has string keys only");
    escape_invisible_json(json) + "\n"
}

/// Returns the document of a check of files.
pub(super) fn validation(accounts: &[DesiredAccount], diagnostics: &Diagnostics) -> String {
    let account = |account: &DesiredAccount| {
        json!({
            "account_id": account.account_id,
            "name": account.label(),
            "source": account.source,
        })
    };
    document(&json!({
        "format": "riskform.validate/1",
        "riskform_version": env!("CARGO_PKG_VERSION"),
        "accounts": accounts.iter().map(account).collect::<Vec<_>>(),
        "errors": diagnostics.errors(),
        "warnings": diagnostics.warnings(),
        // Number of errors that are not in the list.
        "omitted": diagnostics.omitted(),
        "diagnostics": diagnostics.iter().collect::<Vec<_>>(),
    }))
}

/// Returns the document of a run that failed before it had accounts.
pub fn error_document(kind: &str, message: &str, help: Option<&str>) -> String {
    document(&json!({
        "format": ERROR_FORMAT,
        "error": { "kind": kind, "message": message, "help": help },
    }))
}
