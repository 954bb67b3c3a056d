//! Results as JSON: the plan's document, with what became of each operation after an application; and the error of a run that has no
//! accounts to show.

use jiff::Timestamp;
use serde::Serialize;

use crate::apply::{Applied, Done, Executed, Outcome};
use crate::plan::Plan;
use crate::plan::document::{
    AccountDocument, Document, Format, OperationDocument, OperationOutcome, OperationResult,
};

/// The format of an error.
pub const ERROR_FORMAT: &str = "riskform.error/1";

/// What became of each account's plan. `applied` stands in the order of the plan's accounts; `None` is an account that was not touched.
pub fn apply_document(plan: &Plan, applied: &[Option<Applied>], created_at: Timestamp) -> Document {
    let mut document = Document::of_plan(plan, created_at);
    document.format = Format::Apply;
    for (account, applied) in document.accounts.iter_mut().zip(applied) {
        if let Some(applied) = applied {
            add_outcomes(account, applied);
        }
    }
    document
}

fn add_outcomes(account: &mut AccountDocument, applied: &Applied) {
    for (operation, executed) in account.operations.iter_mut().zip(&applied.executed) {
        add_outcome(operation, executed);
    }
    account.problems = Some(applied.problems());
}

fn add_outcome(operation: &mut OperationDocument, executed: &Executed) {
    match &executed.outcome {
        Outcome::Done(Done { made, audit_log_id }) => {
            operation.outcome = Some(OperationOutcome::Done);
            operation.result = made.as_ref().map(|made| OperationResult {
                id: made.id,
                well_known_url: made.well_known_url.clone(),
            });
            operation.audit_log_id.clone_from(audit_log_id);
        }
        Outcome::Failed(failure) => {
            operation.outcome = Some(OperationOutcome::Failed);
            operation.error = Some(failure.to_string());
            operation.help = failure.help();
            operation.audit_log_id = failure
                .api_error()
                .and_then(|error| error.audit_log_id())
                .map(str::to_owned);
        }
        Outcome::NotAttempted(reason) => {
            operation.outcome = Some(OperationOutcome::NotAttempted);
            operation.error = Some(reason.to_string());
        }
    }
}

/// The document of a run that failed before it had accounts.
pub fn error_document(kind: &str, message: &str, help: Option<&str>) -> String {
    #[derive(Serialize)]
    struct ErrorDocument<'a> {
        format: &'a str,
        error: Content<'a>,
    }
    #[derive(Serialize)]
    struct Content<'a> {
        kind: &'a str,
        message: &'a str,
        help: Option<&'a str>,
    }
    let document = ErrorDocument {
        format: ERROR_FORMAT,
        error: Content {
            kind,
            message,
            help,
        },
    };
    let mut json = serde_json::to_string_pretty(&document).expect("an error is plain text");
    json.push('\n');
    json
}
