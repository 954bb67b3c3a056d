//! Exit codes of runs.

use crate::apply::{ApplyResult, OperationError, Outcome, ResetResult};
use crate::cli::error::{CommandError, account_error, account_exit};
use crate::cli::exit::{Exit, Signal};
use crate::doctor::{AuditReport, CheckStatus};
use crate::plan::Run;

/// Returns the error of the account if there is only one. With several accounts, it is part of the report.
pub(crate) fn fail_if_single_account(run: &Run) -> Result<(), CommandError> {
    match run.accounts.as_slice() {
        [account] => match &account.error {
            Some(error) => Err(CommandError::Account(error.clone())),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Returns the exit code of a plan. `changes` is the code for an account with changes.
pub(crate) fn exit_for_plan(run: &Run, changes: Exit) -> Exit {
    Exit::gravest(run.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if !account.errors.is_empty() => Exit::Error,
        None if !account.violations.is_empty() => Exit::Blocked,
        None if account.is_empty() => Exit::Done,
        None => changes,
    }))
}

/// Returns the exit code of a drift check.
pub(crate) fn exit_for_drift(run: &Run) -> Exit {
    Exit::gravest(run.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if account.has_drift() => Exit::Changes,
        None => Exit::Done,
    }))
}

/// Returns the exit code of an audit: failed checks first, then missing permissions.
pub(crate) fn exit_for_audit(audit: &AuditReport) -> Exit {
    Exit::gravest(audit.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if account.worst_status() == Some(CheckStatus::Fail) => Exit::Changes,
        None if account.lacks_permission() => Exit::Auth,
        None => Exit::Done,
    }))
}

/// Returns the exit code of `reset`, by the same rule as `apply`.
pub(crate) fn exit_for_reset(resets: &[ResetResult], ended: Option<Signal>) -> Exit {
    let first = resets.iter().find_map(|reset| match &reset.outcome {
        Outcome::Done(_) => None,
        Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure_exit(failure)),
        Outcome::NotAttempted(_) => Some(Exit::Error),
    });
    let Some(first) = first else {
        return Exit::Done;
    };
    let any = |what: fn(&ResetResult) -> bool| resets.iter().any(what);
    match ended {
        Some(signal) if !any(|reset| reset.attempts > 0) => signal.exit(),
        Some(_) => Exit::Incomplete,
        None if any(|reset| reset.wrote) => Exit::Incomplete,
        None => first,
    }
}

fn failure_exit(failure: &OperationError) -> Exit {
    let error = failure.api_error();
    error.map_or(Exit::Error, |error| account_exit(&account_error(error)))
}

/// Returns the exit code of `apply`: 3 if a write was sent and not all went well, else the most severe code of the accounts.
pub(crate) fn exit_for_apply(
    run: &Run,
    applied: &[Option<ApplyResult>],
    ended: Option<Signal>,
) -> Exit {
    let ends = run.accounts.iter().zip(applied);
    let gravest = Exit::gravest(
        ends.map(|(account, applied)| match (&account.error, applied) {
            (Some(error), _) => account_exit(error),
            (None, None) if !account.errors.is_empty() => Exit::Error,
            (None, None) if !account.violations.is_empty() => Exit::Blocked,
            (None, None) => Exit::Done,
            (None, Some(applied)) if applied.is_complete() => match account.errors.as_slice() {
                [] => Exit::Done,
                // `destroy` skipped these entries.
                [_, ..] => Exit::Error,
            },
            (None, Some(applied)) if applied.wrote_anything() || applied.all_operations_done() => {
                Exit::Incomplete
            }
            (None, Some(applied)) => match applied.first_failure() {
                Some(failure) => failure_exit(failure),
                None if applied.is_stale() => Exit::Stale,
                None => Exit::Error,
            },
        }),
    );
    let any = |what: fn(&ApplyResult) -> bool| applied.iter().flatten().any(what);
    match (gravest, ended) {
        (Exit::Done, _) => Exit::Done,
        (_, Some(signal)) if !any(ApplyResult::sent_anything) => signal.exit(),
        (_, Some(_)) => Exit::Incomplete,
        (_, None) if any(ApplyResult::wrote_anything) => Exit::Incomplete,
        (gravest, None) => gravest,
    }
}
