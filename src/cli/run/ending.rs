//! The one place where the end of a run becomes an exit code.

use crate::apply::{Applied, Failure, Outcome, Reset};
use crate::cli::error::{Error, account_error, account_exit};
use crate::cli::exit::{Exit, Signal};
use crate::doctor::{Audit, Standing};
use crate::plan::{AccountPlan, Format, OperationOutcome, Run};

/// Makes the failure of the only account the error of the run; in a fleet it is one finding among others.
pub(crate) fn fail_if_alone(run: &Run) -> Result<(), Error> {
    match run.accounts.as_slice() {
        [account] => match &account.error {
            Some(error) => Err(Error::Account(error.clone())),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// How a run ends that only looked. `changes` is what an account with changes counts as.
pub(crate) fn of_plan(run: &Run, changes: Exit) -> Exit {
    Exit::gravest(run.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if !account.refusals.is_empty() => Exit::Refused,
        None if account.is_empty() => Exit::Done,
        None => changes,
    }))
}

/// How a check of drift ends.
pub(crate) fn of_drift(run: &Run) -> Exit {
    Exit::gravest(run.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if account.has_drift() => Exit::Changes,
        None => Exit::Done,
    }))
}

/// How an audit ends: with its failures, else with what it lacks a permission to tell.
pub(crate) fn of_audit(audit: &Audit) -> Exit {
    Exit::gravest(audit.accounts.iter().map(|account| match &account.error {
        Some(error) => account_exit(error),
        None if account.gravest() == Some(Standing::Fail) => Exit::Changes,
        None if account.lacks_permission() => Exit::Access,
        None => Exit::Done,
    }))
}

/// How an application ended, by what it wrote down.
pub(crate) fn of_application(run: &Run) -> Exit {
    let ends = |account: &AccountPlan| -> Vec<OperationOutcome> {
        let operations = account.operations.iter();
        operations
            .filter_map(|operation| Some(operation.end.as_ref()?.outcome))
            .collect()
    };
    let sent = |outcome: &OperationOutcome| match outcome {
        OperationOutcome::Done | OperationOutcome::Unknown => true,
        OperationOutcome::Failed | OperationOutcome::NotAttempted => false,
    };
    let wrote = run
        .accounts
        .iter()
        .any(|account| ends(account).iter().any(sent));
    let gravest = Exit::gravest(run.accounts.iter().map(|account| {
        let done = ends(account)
            .iter()
            .all(|end| *end == OperationOutcome::Done);
        match (&account.error, &account.problems) {
            (Some(error), _) => account_exit(error),
            (None, None) if !account.refusals.is_empty() => Exit::Refused,
            (None, None) => Exit::Done,
            (None, Some(problems)) if done && problems.is_empty() => Exit::Done,
            (None, Some(_)) => Exit::Error,
        }
    }));
    match gravest {
        Exit::Done => Exit::Done,
        _ if wrote => Exit::Incomplete,
        gravest => gravest,
    }
}

/// How a run ended, by what it wrote down.
pub(crate) fn of_run(run: &Run) -> Exit {
    match run.format {
        Format::Plan => of_plan(run, Exit::Done),
        Format::Drift => of_drift(run),
        Format::Apply => of_application(run),
    }
}

/// How a run of resets ends: by the same rule as an application.
pub(crate) fn of_resets(resets: &[Reset], ended: Option<Signal>) -> Exit {
    let first = resets.iter().find_map(|reset| match &reset.outcome {
        Outcome::Done(_) => None,
        Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure_exit(failure)),
        Outcome::NotAttempted(_) => Some(Exit::Error),
    });
    let Some(first) = first else {
        return Exit::Done;
    };
    let any = |what: fn(&Reset) -> bool| resets.iter().any(what);
    match ended {
        Some(signal) if !any(|reset| reset.attempts > 0) => signal.exit(),
        Some(_) => Exit::Incomplete,
        None if any(|reset| reset.wrote) => Exit::Incomplete,
        None => first,
    }
}

fn failure_exit(failure: &Failure) -> Exit {
    let error = failure.api_error();
    error.map_or(Exit::Error, |error| account_exit(&account_error(error)))
}

/// How a run ends that applied. Where nothing was written, the reason counts; once anything was written, whatever did not go well leaves
/// the run half done, in whichever account it was.
pub(crate) fn of_applied(run: &Run, applied: &[Option<Applied>], ended: Option<Signal>) -> Exit {
    let ends = run.accounts.iter().zip(applied);
    let gravest = Exit::gravest(
        ends.map(|(account, applied)| match (&account.error, applied) {
            (Some(error), _) => account_exit(error),
            (None, None) if !account.refusals.is_empty() => Exit::Refused,
            (None, None) => Exit::Done,
            (None, Some(applied)) if applied.is_complete() => Exit::Done,
            (None, Some(applied)) if applied.wrote_anything() || applied.is_carried_out() => {
                Exit::Incomplete
            }
            (None, Some(applied)) => applied.first_failure().map_or(Exit::Error, failure_exit),
        }),
    );
    let any = |what: fn(&Applied) -> bool| applied.iter().flatten().any(what);
    match (gravest, ended) {
        (Exit::Done, _) => Exit::Done,
        (_, Some(signal)) if !any(Applied::sent_anything) => signal.exit(),
        (_, Some(_)) => Exit::Incomplete,
        (_, None) if any(Applied::wrote_anything) => Exit::Incomplete,
        (gravest, None) => gravest,
    }
}
