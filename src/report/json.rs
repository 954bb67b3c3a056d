//! Results as JSON: the plan's document, with what became of each operation after an application; and the error of a run that has no
//! accounts to show.

use jiff::Timestamp;
use serde::Serialize;

use crate::apply::{Applied, Done, Outcome};
use crate::plan::{End, Format, OperationOutcome, OperationResult, Run};

/// The format of an error.
pub const ERROR_FORMAT: &str = "riskform.error/1";

/// A plan with what became of it. `applied` stands in the order of its accounts; `None` is an account that was not touched.
pub fn applied(plan: &Run, applied: &[Option<Applied>], created_at: Timestamp) -> Run {
    let mut run = plan.clone();
    run.format = Format::Apply;
    run.created_at = created_at;
    for (account, applied) in run.accounts.iter_mut().zip(applied) {
        if let Some(applied) = applied {
            for (operation, executed) in account.operations.iter_mut().zip(&applied.executed) {
                operation.end = Some(end(&executed.outcome));
            }
            account.problems = Some(applied.problems());
        }
    }
    run
}

fn end(outcome: &Outcome) -> End {
    let mut end = End {
        outcome: OperationOutcome::Done,
        result: None,
        audit_log_id: None,
        ray: None,
        error: None,
        help: None,
    };
    match outcome {
        Outcome::Done(Done { made, audit_log_id }) => {
            end.result = made.as_ref().map(|made| OperationResult {
                id: made.id,
                well_known_url: made.well_known_url.clone(),
            });
            end.audit_log_id.clone_from(audit_log_id);
        }
        Outcome::Failed(failure) => {
            end.outcome = OperationOutcome::Failed;
            end.error = Some(failure.to_string());
            end.help = failure.help();
            end.audit_log_id = failure
                .api_error()
                .and_then(|error| error.audit_log_id())
                .map(str::to_owned);
        }
        Outcome::NotAttempted(reason) => {
            end.outcome = OperationOutcome::NotAttempted;
            end.error = Some(reason.to_string());
        }
    }
    end
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
