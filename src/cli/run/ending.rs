//! How a run can end: its exit codes, one table in code and in the README, and what a command can fail with, each with its exit code
//! and its way out. The one place where an end becomes an exit code.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

use crate::api::{ApiError, ErrorKind, TransportFailure};
use crate::apply::{Applied, Failure, Outcome, Reset};
use crate::cli::io::environment;
use crate::config::diagnostic::{Color, Diagnostics};
use crate::doctor::{Audit, Standing};
use crate::plan::{
    AccountError, AccountPlan, FailureKind, Format, InvalidMerge, OperationOutcome, Run,
};

use crate::cli::run::signals::Signal;
use crate::cli::run::users::NoSuchUser;
use crate::report::text::count;

/// How a run ended. Scripts depend on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// An error of a file, the network or the API; or the user declined.
    Error = 1,
    /// There are changes (`plan --detailed-exitcode`), or drift.
    Changes = 2,
    /// Some operations failed, were not attempted, or did not read back.
    Incomplete = 3,
    /// The plan is stale.
    Stale = 4,
    /// A guard refused.
    Refused = 5,
    /// Credentials are missing or refused, or a permission or the entitlement is missing.
    Access = 6,
    /// The command line is wrong.
    Usage = 64,
    /// Ended by Ctrl-C before anything was written.
    Interrupted = 130,
    /// Ended by SIGTERM before anything was written.
    Terminated = 143,
}

impl Exit {
    /// Every end, by its number.
    pub(crate) const ALL: &[Exit] = &[
        Exit::Done,
        Exit::Error,
        Exit::Changes,
        Exit::Incomplete,
        Exit::Stale,
        Exit::Refused,
        Exit::Access,
        Exit::Usage,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// What it means, for whoever reads the help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done; nothing to do",
            Exit::Error => "error: file, network, API; or declined",
            Exit::Changes => {
                "there are changes (plan --detailed-exitcode), drift, or failed checks (audit)"
            }
            Exit::Incomplete => {
                "incomplete: some operations failed, are unknown, were not attempted, or did not read back"
            }
            Exit::Stale => "the plan is stale",
            Exit::Refused => "a guard refused",
            Exit::Access => "credentials missing or refused, permission or entitlement missing",
            Exit::Usage => "wrong command line",
            Exit::Interrupted => "ended by Ctrl-C before anything was written",
            Exit::Terminated => "ended by SIGTERM before anything was written",
        }
    }

    /// The number that scripts see.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The gravest of a fleet's ends: what was half written first, then what could not be done, then what was not to be done.
    pub(crate) fn gravest(ends: impl IntoIterator<Item = Exit>) -> Exit {
        ends.into_iter()
            .max_by_key(|end| end.gravity())
            .unwrap_or(Exit::Done)
    }

    fn gravity(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Changes => 1,
            Exit::Refused => 2,
            Exit::Stale => 3,
            Exit::Error => 4,
            Exit::Access => 5,
            Exit::Incomplete => 6,
            Exit::Usage => 7,
            Exit::Interrupted | Exit::Terminated => 8,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense.
    Usage(String),
    /// The files are wrong.
    Files(Diagnostics),
    /// Nobody named a file, and there is none of the usual name; holds what may have been meant.
    NoFile { nearby: Vec<String> },
    /// An account could not be handled.
    Account(AccountError),
    /// What is live is no longer what the saved plan was made from; holds each move as a sentence.
    Stale(Vec<String>),
    /// The saved plan holds this many refusals.
    RefusedPlan(usize),
    /// Users are named who can't be found, or not for certain.
    NoSuchUsers(Vec<NoSuchUser>),
    /// There is a question to ask and nobody to answer it.
    NotATerminal,
    /// The user said no.
    Declined,
    /// Ctrl-C or SIGTERM, before anything was written.
    Ended(Signal),
    /// Whoever reads standard output has stopped.
    BrokenPipe,
    /// The limits of this run refuse the saved plan; holds each refusal as a sentence.
    RefusedByLimits(Vec<String>),
    /// Results that don't belong together.
    Merge(InvalidMerge),
    /// Anything else.
    Other(anyhow::Error),
}

impl Error {
    /// Wraps any error with what was being done.
    pub(crate) fn other<E: Into<anyhow::Error>>(
        context: impl fmt::Display,
    ) -> impl FnOnce(E) -> Error {
        move |error| Error::Other(error.into().context(context.to_string()))
    }

    /// How the program ends because of it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            Error::Account(error) => account_exit(error),
            Error::Stale(_) => Exit::Stale,
            Error::RefusedPlan(_) | Error::RefusedByLimits(_) => Exit::Refused,
            Error::Ended(signal) => signal.exit(),
            Error::Files(_)
            | Error::NoFile { .. }
            | Error::NoSuchUsers(_)
            | Error::NotATerminal
            | Error::Declined
            | Error::Merge(_)
            | Error::Other(_) => Exit::Error,
            // Whoever closed the pipe has seen enough; that is no failure of ours.
            Error::BrokenPipe => Exit::Done,
        }
    }

    /// What kind of error it is, for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Error::Usage(_) => "usage",
            Error::Files(_) | Error::NoFile { .. } => "files",
            Error::Account(error) => error.kind.as_str(),
            Error::Stale(_) => "stale",
            Error::RefusedPlan(_) | Error::RefusedByLimits(_) => "refused",
            Error::NoSuchUsers(_) => "no_such_user",
            Error::NotATerminal => "not_a_terminal",
            Error::Declined => "declined",
            Error::Ended(_) => "ended",
            Error::BrokenPipe => "broken_pipe",
            Error::Merge(_) | Error::Other(_) => "error",
        }
    }

    /// The way out.
    pub(crate) fn help(&self) -> Option<Cow<'_, str>> {
        let help = match self {
            Error::NoFile { nearby } if nearby.is_empty() => {
                "riskform init writes one; else name a file or a folder".into()
            }
            Error::NoFile { nearby } => format!(
                "name it: {}; or let riskform init write one",
                nearby.join(", ")
            )
            .into(),
            Error::Account(error) => error.help.as_deref()?.into(),
            Error::Merge(error) => error.help()?.into(),
            Error::Stale(_) => "plan again, and have the new plan looked at".into(),
            Error::RefusedPlan(_) => {
                "an override belongs to plan: give it there, and save the plan again".into()
            }
            Error::NotATerminal => {
                "look at what would be done, then pass --auto-approve to do it unattended".into()
            }
            Error::Usage(_)
            | Error::Files(_)
            | Error::NoSuchUsers(_)
            | Error::Declined
            | Error::Ended(_)
            | Error::BrokenPipe
            | Error::RefusedByLimits(_)
            | Error::Other(_) => return None,
        };
        Some(help)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(message) => f.write_str(message),
            Error::Files(diagnostics) => f.write_str(&diagnostics.render(Color::Ansi)),
            Error::NoFile { .. } => f.write_str("there is no riskform.yaml here"),
            Error::Account(error) => error.fmt(f),
            Error::Stale(moves) => {
                f.write_str("the plan is stale")?;
                moves.iter().try_for_each(|moved| write!(f, "\n  {moved}"))
            }
            Error::RefusedPlan(refusals) => {
                write!(
                    f,
                    "the plan was refused when it was made, by {}",
                    count(*refusals, "guard")
                )
            }
            Error::NoSuchUsers(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Error::NotATerminal => {
                f.write_str("there is something to approve, and standard input is not a terminal")
            }
            Error::Declined => f.write_str("declined; nothing was written"),
            Error::Ended(signal) => write!(f, "ended by {signal}; nothing was written"),
            Error::BrokenPipe => f.write_str("standard output is closed"),
            Error::RefusedByLimits(refusals) => {
                f.write_str("the limits of this run refuse the plan")?;
                refusals.iter().try_for_each(|one| write!(f, "\n  {one}"))
            }
            Error::Merge(error) => write!(f, "these can't be merged: {error}"),
            Error::Other(error) => write!(f, "{error:#}"),
        }
    }
}

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

/// How the program ends when one account could not be handled.
pub(crate) fn account_exit(error: &AccountError) -> Exit {
    match error.kind {
        FailureKind::Credentials
        | FailureKind::Access
        | FailureKind::Permission
        | FailureKind::Entitlement => Exit::Access,
        FailureKind::Desired | FailureKind::Api | FailureKind::Transport => Exit::Error,
    }
}

/// An API error as the failure of an account.
pub(crate) fn account_error(error: &ApiError) -> AccountError {
    let kind = match error.kind() {
        ErrorKind::Credentials => FailureKind::Credentials,
        ErrorKind::Access => FailureKind::Access,
        ErrorKind::Permission => FailureKind::Permission,
        ErrorKind::Entitlement => FailureKind::Entitlement,
        ErrorKind::Transport { .. } => FailureKind::Transport,
        ErrorKind::NotFound
        | ErrorKind::NoRoute
        | ErrorKind::RateLimited
        | ErrorKind::Refused
        | ErrorKind::Stopped
        | ErrorKind::ServerFault { .. }
        | ErrorKind::Unexpected { .. } => FailureKind::Api,
    };
    AccountError {
        kind,
        message: error.to_string(),
        ray: error.trace().ray.clone(),
        help: match (error.help(), proxy(error)) {
            (Some(help), Some(proxy)) => Some(format!("{help}; {proxy}")),
            (help, proxy) => help.or(proxy),
        },
    }
}

/// Where the API can't be reached, which variable names the proxy on the way.
fn proxy(error: &ApiError) -> Option<String> {
    match error.kind() {
        ErrorKind::Transport {
            failure: TransportFailure::Connect | TransportFailure::Timeout,
            ..
        } if error.base_url().is_https() => environment::proxy_variable().map(|name| {
            format!("{name} names a proxy: check that it is up, or unset the variable")
        }),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_gravest_end_of_a_fleet_wins() {
        let falling = [
            Exit::Incomplete,
            Exit::Access,
            Exit::Error,
            Exit::Stale,
            Exit::Refused,
            Exit::Changes,
            Exit::Done,
        ];
        for pair in falling.windows(2) {
            assert_eq!(Exit::gravest([pair[1], pair[0]]), pair[0]);
        }
        assert_eq!(Exit::gravest([]), Exit::Done);
    }
}
