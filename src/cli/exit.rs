//! Exit codes. `schema/README.md` has the same table.

use std::process::ExitCode;

use crate::apply::{ApplyResult, OperationError, Outcome, ResetResult};
use crate::plan::{AccountPlan, FailureKind, Format, Run};

/// Exit code of a run. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// Error, or not approved.
    Error = 1,
    /// Changes (`plan --detailed-exitcode`), drift or failed checks.
    Changes = 2,
    /// Some writes were sent, but not all changes were made.
    Incomplete = 3,
    /// The live account changed after the plan was made.
    Stale = 4,
    /// Blocked by a guard.
    Blocked = 5,
    /// Credentials, permission or entitlement problem.
    Auth = 6,
    /// Invalid command line.
    Usage = 64,
    /// Interrupted by Ctrl-C before any write.
    Interrupted = 130,
    /// Terminated by SIGTERM or SIGHUP before any write.
    Terminated = 143,
}

impl Exit {
    /// All exit codes and their general meanings, in numeric order.
    pub(crate) const ALL: [(Exit, &str); 10] = [
        (Exit::Done, "success"),
        (Exit::Error, "error, or the plan was not approved"),
        (
            Exit::Changes,
            "changes (plan --detailed-exitcode), drift, or failed checks (audit)",
        ),
        (
            Exit::Incomplete,
            "some writes were sent, but not all changes were made",
        ),
        (
            Exit::Stale,
            "the live account changed after the plan was made",
        ),
        (Exit::Blocked, "blocked by a guard"),
        (Exit::Auth, "credentials, permission or entitlement problem"),
        (Exit::Usage, "invalid command line"),
        (Exit::Interrupted, "interrupted by Ctrl-C before any write"),
        (
            Exit::Terminated,
            "terminated by SIGTERM or SIGHUP before any write",
        ),
    ];

    /// Returns the numeric code.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Returns the most severe of several exit codes.
    pub(crate) fn most_severe(exits: impl IntoIterator<Item = Exit>) -> Exit {
        use Exit::{Auth, Blocked, Changes, Error, Incomplete, Stale};
        let least_severe_first = [Changes, Blocked, Stale, Error, Auth, Incomplete];
        let severity = |exit: &Exit| least_severe_first.iter().position(|other| other == exit);
        exits.into_iter().max_by_key(severity).unwrap_or(Exit::Done)
    }

    /// Returns the exit code of a run. `applied` has the results of an apply, in the order of the accounts; `ended` is the exit code of a
    /// signal.
    pub(crate) fn from_run(
        run: &Run,
        applied: &[Option<ApplyResult>],
        ended: Option<Exit>,
    ) -> Exit {
        let accounts = run.accounts.iter().enumerate().map(|(index, account)| {
            let applied = applied.get(index).and_then(Option::as_ref);
            Exit::from_account(run.format, account, applied)
        });
        let mut results = applied.iter().flatten();
        let sent = results.clone().any(ApplyResult::sent_anything);
        let wrote = results.any(ApplyResult::wrote_anything);
        Exit::most_severe(accounts).after_writes(sent, wrote, ended)
    }

    fn from_account(format: Format, account: &AccountPlan, applied: Option<&ApplyResult>) -> Exit {
        if let Some(error) = &account.error {
            return error.kind.into();
        }
        match applied {
            None if format == Format::Drift && account.has_drift() => Exit::Changes,
            None if format == Format::Drift => Exit::Done,
            // `destroy` skips entries with errors.
            Some(applied) if applied.is_complete() && account.errors.is_empty() => Exit::Done,
            Some(applied) if applied.all_operations_done() && !applied.is_complete() => {
                Exit::Incomplete
            }
            Some(applied) => match applied.first_failure().and_then(OperationError::api_error) {
                Some(error) => FailureKind::from(error).into(),
                None if applied.is_stale() => Exit::Stale,
                None => Exit::Error,
            },
            None if !account.errors.is_empty() => Exit::Error,
            None if !account.violations.is_empty() => Exit::Blocked,
            None if format == Format::Apply || account.changes.is_empty() => Exit::Done,
            None => Exit::Changes,
        }
    }

    /// Returns the exit code of a reset.
    pub(crate) fn from_resets(resets: &[ResetResult], ended: Option<Exit>) -> Exit {
        let failed = resets.iter().find_map(|reset| match &reset.report.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure.api_error()),
            Outcome::NotAttempted(_) => Some(None),
        });
        let exit = match failed {
            None => Exit::Done,
            Some(Some(error)) => FailureKind::from(error).into(),
            Some(None) => Exit::Error,
        };
        let sent = resets.iter().any(|reset| reset.report.attempts > 0);
        exit.after_writes(sent, resets.iter().any(|reset| reset.report.wrote), ended)
    }

    /// Returns the exit code of a run that sent writes, or was ended by a signal. `wrote` is true if a write may have been applied.
    fn after_writes(self, sent: bool, wrote: bool, ended: Option<Exit>) -> Exit {
        match ended {
            _ if self == Exit::Done => Exit::Done,
            Some(signal) if !sent => signal,
            Some(_) => Exit::Incomplete,
            None if wrote => Exit::Incomplete,
            None => self,
        }
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Credentials
            | FailureKind::CredentialsOrPermission
            | FailureKind::Permission
            | FailureKind::Entitlement => Exit::Auth,
            FailureKind::Plan | FailureKind::Api | FailureKind::Network => Exit::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::RequestIds;
    use crate::apply::{OperationReport, SkipReason};
    use crate::model::context::Context;
    use crate::plan::{AccountError, OperationId, Options, Purpose, plan};

    #[test]
    fn most_severe_account_decides() {
        let falling = [
            Exit::Incomplete,
            Exit::Auth,
            Exit::Error,
            Exit::Stale,
            Exit::Blocked,
            Exit::Changes,
            Exit::Done,
        ];
        for pair in falling.windows(2) {
            assert_eq!(Exit::most_severe([pair[1], pair[0]]), pair[0]);
        }
        assert_eq!(Exit::most_severe([]), Exit::Done);
    }

    const UNCHANGED: &str = "unchanged";
    const CHANGED: &str = "changed";
    const BLOCKED: &str = "blocked";
    const AMBIGUOUS: &str = "ambiguous";
    const UNREADABLE: &str = "unreadable";
    const NO_TOKEN: &str = "no token";

    fn account(format: Format, state: &str) -> AccountPlan {
        let mut desired = json!({ "account_id": "f037e56e89293a057740de681ac9abbe", "source": "riskform.yaml",
            "behaviors": { "imp_travel": { "enabled": state == UNCHANGED,
                "location": { "file": "riskform.yaml", "line": 4, "column": 3 } } },
            "integrations": {}, "unlisted": { "behaviors": "keep", "integrations": "report" },
            "guards": { "max_deletes": 1, "weakening": "warn", "policies": "warn", "protected": [] } });
        if state == BLOCKED {
            desired["guards"]["weakening"] = "deny".into();
        }
        if state == AMBIGUOUS {
            let unknown = desired["behaviors"]["imp_travel"].take();
            desired["behaviors"] = json!({ "imp_trvel": unknown });
        }
        let live = json!({ "behaviors": { "imp_travel": { "name": "", "description": "", "enabled": true,
            "risk_level": "high" } }, "integrations": [] });
        let parse = |value: Value| serde_json::from_value(value).unwrap();
        let desired = Arc::new(serde_json::from_value(desired).unwrap());
        let kind = match state {
            UNREADABLE => FailureKind::Network,
            NO_TOKEN => FailureKind::Credentials,
            _ => {
                let today = "2026-12-01".parse().unwrap();
                let context = Context::default();
                let purpose = match format {
                    Format::Drift => Purpose::Drift,
                    _ => Purpose::Apply,
                };
                let options = Options {
                    purpose,
                    ..Options::default()
                };
                return plan(&desired, &Arc::new(parse(live)), &context, today, &options);
            }
        };
        let error = AccountError {
            kind,
            message: String::new(),
            cf_ray: None,
            help: None,
        };
        AccountPlan::failed(&desired, error)
    }

    fn run(format: Format, states: &[&str]) -> Run {
        let accounts = states.iter().map(|state| account(format, state)).collect();
        Run::new(format, String::new(), accounts, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn exit_code_of_plan_and_drift() {
        for (states, planned, drift) in [
            (&[UNCHANGED][..], Exit::Done, Exit::Done),
            (&[CHANGED], Exit::Changes, Exit::Changes),
            (&[BLOCKED], Exit::Blocked, Exit::Changes),
            (&[AMBIGUOUS], Exit::Error, Exit::Changes),
            (&[UNREADABLE], Exit::Error, Exit::Error),
            (&[NO_TOKEN], Exit::Auth, Exit::Auth),
            (&[UNCHANGED, CHANGED], Exit::Changes, Exit::Changes),
            (&[CHANGED, BLOCKED], Exit::Blocked, Exit::Changes),
            (&[BLOCKED, UNREADABLE], Exit::Error, Exit::Error),
            (&[UNREADABLE, NO_TOKEN], Exit::Auth, Exit::Auth),
        ] {
            let exit = |format| Exit::from_run(&run(format, states), &[], None);
            let found = (exit(Format::Plan), exit(Format::Drift));
            assert_eq!(found, (planned, drift), "{states:?}");
        }
    }

    fn applied(outcome: Outcome, attempts: u32, wrote: bool) -> ApplyResult {
        ApplyResult {
            operations: vec![OperationReport {
                operation: OperationId(1),
                outcome,
                attempts,
                wrote,
                request_ids: RequestIds::default(),
            }],
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn done() -> Option<ApplyResult> {
        Some(applied(Outcome::Done(None), 1, true))
    }

    fn failed(wrote: bool) -> Option<ApplyResult> {
        let error = OperationError::DifferentResponse(String::new());
        Some(applied(Outcome::Failed(error), 1, wrote))
    }

    fn skipped(reason: SkipReason) -> Option<ApplyResult> {
        Some(applied(Outcome::NotAttempted(reason), 0, false))
    }

    #[test]
    fn exit_code_of_apply() {
        let changed = || skipped(SkipReason::Changed(String::new()));
        let term = Some(Exit::Terminated);
        for (states, results, ended, expected) in [
            (&[UNCHANGED][..], vec![None], None, Exit::Done),
            (&[UNCHANGED], vec![None], term, Exit::Done),
            (&[CHANGED], vec![done()], None, Exit::Done),
            (&[CHANGED], vec![failed(true)], None, Exit::Incomplete),
            (&[CHANGED], vec![failed(false)], None, Exit::Error),
            (&[CHANGED], vec![failed(false)], term, Exit::Incomplete),
            (&[CHANGED], vec![changed()], None, Exit::Stale),
            (
                &[CHANGED],
                vec![skipped(SkipReason::Stopped)],
                term,
                Exit::Terminated,
            ),
            (&[BLOCKED], vec![None], None, Exit::Blocked),
            (&[AMBIGUOUS], vec![None], None, Exit::Error),
            (&[AMBIGUOUS], vec![done()], None, Exit::Incomplete),
            (
                &[CHANGED, CHANGED],
                vec![done(), changed()],
                None,
                Exit::Incomplete,
            ),
            (
                &[CHANGED, BLOCKED],
                vec![done(), None],
                None,
                Exit::Incomplete,
            ),
            (
                &[CHANGED, UNREADABLE],
                vec![done(), None],
                None,
                Exit::Incomplete,
            ),
            (
                &[CHANGED, NO_TOKEN],
                vec![changed(), None],
                None,
                Exit::Auth,
            ),
            (&[UNCHANGED, NO_TOKEN], vec![None, None], None, Exit::Auth),
        ] {
            let run = run(Format::Apply, states);
            let exit = Exit::from_run(&run, &results, ended);
            assert_eq!(exit, expected, "{states:?} {results:?} {ended:?}");
        }
    }

    #[test]
    fn operation_that_is_done_but_not_verified_is_incomplete() {
        let mut result = applied(Outcome::Done(None), 0, false);
        result.problems.push("stopped".to_owned());
        let exit = Exit::from_run(&run(Format::Apply, &[CHANGED]), &[Some(result)], None);
        assert_eq!(exit, Exit::Incomplete);
    }
}
