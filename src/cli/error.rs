//! What a command can fail with: each with its words, its way out and its exit code.

use std::borrow::Cow;
use std::fmt;

use crate::api::{ApiError, ErrorKind, TransportFailure};
use crate::cli::exit::{Exit, Signal};
use crate::cli::io::environment;
use crate::cli::run::users::NoSuchUser;
use crate::config::diagnostic::{Color, Diagnostics};
use crate::plan::{AccountError, FailureKind, InvalidMerge, PlanErrors};
use crate::report::text::count;

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

/// A file that can't come true as the failure of its account.
pub(crate) fn plan_error(errors: &PlanErrors) -> AccountError {
    AccountError {
        kind: FailureKind::Desired,
        message: errors.to_string(),
        ray: None,
        help: None,
    }
}
