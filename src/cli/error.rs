//! Errors of commands, with their messages, help and exit codes.

use std::borrow::Cow;
use std::fmt;

use crate::api::{ApiError, ErrorKind, TransportErrorKind};
use crate::cli::exit::{Exit, Signal};
use crate::cli::io::environment;
use crate::cli::run::user_selection::UserLookupError;
use crate::config::diagnostic::{Color, Diagnostics};
use crate::plan::{AccountError, FailureKind, PlanError, describe};

/// Error of a command.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Invalid command line.
    Usage(String),
    /// Invalid files.
    Files(Box<Diagnostics>),
    /// No file given and no `riskform.yaml`.
    NoFile,
    /// Error of one account.
    Account(AccountError),
    /// The live state changed after the plan was saved; with one sentence per change.
    StalePlan(Vec<String>),
    /// Unknown or ambiguous users.
    UserLookup(Vec<UserLookupError>),
    /// Approval is needed, but standard input is not a terminal.
    NotATerminal,
    /// The user did not approve.
    Declined,
    /// A signal before the first write.
    Interrupted(Signal),
    /// An error with the way to fix it.
    WithHelp(Box<CommandError>, String),
    /// Any other error.
    Other(anyhow::Error),
}

impl CommandError {
    /// Wraps an error with context.
    pub(crate) fn other<E: Into<anyhow::Error>>(
        context: impl fmt::Display,
    ) -> impl FnOnce(E) -> CommandError {
        move |error| CommandError::Other(error.into().context(context.to_string()))
    }

    /// Returns a command-line error with the way to fix it.
    pub(crate) fn usage(message: impl fmt::Display, help: impl Into<String>) -> Self {
        CommandError::Usage(message.to_string()).with_help(help)
    }

    /// Adds the way to fix the error.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        CommandError::WithHelp(Box::new(self), help.into())
    }

    /// Returns the exit code of the error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CommandError::Usage(_) => Exit::Usage,
            CommandError::Account(error) => account_exit(error),
            CommandError::StalePlan(_) => Exit::Stale,
            CommandError::Interrupted(signal) => signal.exit(),
            CommandError::WithHelp(error, _) => error.exit(),
            CommandError::Files(_)
            | CommandError::NoFile
            | CommandError::UserLookup(_)
            | CommandError::NotATerminal
            | CommandError::Declined
            | CommandError::Other(_) => Exit::Error,
        }
    }

    /// Returns the kind of error for JSON output.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            CommandError::Usage(_) => "usage",
            CommandError::Files(_) | CommandError::NoFile => "files",
            CommandError::Account(error) => error.kind.as_str(),
            CommandError::StalePlan(_) => "stale",
            CommandError::UserLookup(_) => "no_such_user",
            CommandError::NotATerminal => "no_terminal",
            CommandError::Declined => "declined",
            CommandError::Interrupted(_) => "interrupted",
            CommandError::WithHelp(error, _) => error.kind(),
            CommandError::Other(_) => "error",
        }
    }

    /// Returns the way to fix the error.
    pub(crate) fn help(&self) -> Option<Cow<'_, str>> {
        let help = match self {
            CommandError::NoFile => {
                "run `riskform init` to create it, or pass a file or directory".into()
            }
            CommandError::Account(error) => error.help.as_deref()?.into(),
            CommandError::WithHelp(_, help) => help.into(),
            CommandError::StalePlan(_) => {
                "run `riskform plan --out` again and review the new plan".into()
            }
            CommandError::NotATerminal => {
                "review the plan, then run again with --auto-approve".into()
            }
            CommandError::Usage(_)
            | CommandError::Files(_)
            | CommandError::UserLookup(_)
            | CommandError::Declined
            | CommandError::Interrupted(_)
            | CommandError::Other(_) => return None,
        };
        Some(help)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Usage(message) => f.write_str(message),
            CommandError::Files(diagnostics) => f.write_str(&diagnostics.render(Color::Ansi)),
            CommandError::NoFile => f.write_str("riskform.yaml not found in this directory"),
            CommandError::Account(error) => error.fmt(f),
            CommandError::WithHelp(error, _) => error.fmt(f),
            CommandError::StalePlan(moves) => {
                f.write_str("the plan is stale")?;
                moves.iter().try_for_each(|moved| write!(f, "\n  {moved}"))
            }
            CommandError::UserLookup(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            CommandError::NotATerminal => f.write_str("cannot ask for approval: no terminal"),
            CommandError::Declined => f.write_str("not approved; no changes were made"),
            CommandError::Interrupted(signal) => {
                write!(f, "interrupted by {signal}; no changes were made")
            }
            CommandError::Other(error) => f.write_str(&shortened(format!("{error:#}"))),
        }
    }
}

/// Maximum length of an error with text from elsewhere, such as an unknown key of a saved plan.
const MAX_ERROR_CHARS: usize = 2_000;

/// Removes the middle of a long text.
fn shortened(text: String) -> String {
    let length = text.chars().count();
    if length <= MAX_ERROR_CHARS {
        return text;
    }
    let half = MAX_ERROR_CHARS / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{start} … {end}")
}

/// Returns the exit code for the error of one account.
pub(crate) fn account_exit(error: &AccountError) -> Exit {
    match error.kind {
        FailureKind::Credentials
        | FailureKind::CredentialsOrPermission
        | FailureKind::Permission
        | FailureKind::Entitlement => Exit::Auth,
        FailureKind::Plan | FailureKind::Api | FailureKind::Network => Exit::Error,
    }
}

/// Converts an API error to an account error.
pub(crate) fn account_error(error: &ApiError) -> AccountError {
    let kind = match error.kind() {
        ErrorKind::Credentials => FailureKind::Credentials,
        ErrorKind::CredentialsOrPermission => FailureKind::CredentialsOrPermission,
        ErrorKind::Permission => FailureKind::Permission,
        ErrorKind::Entitlement => FailureKind::Entitlement,
        ErrorKind::Transport { .. } => FailureKind::Network,
        ErrorKind::NotFound
        | ErrorKind::UnknownRoute
        | ErrorKind::RateLimited
        | ErrorKind::Rejected
        | ErrorKind::Cancelled
        | ErrorKind::ServerError { .. }
        | ErrorKind::UnexpectedResponse { .. } => FailureKind::Api,
    };
    AccountError {
        kind,
        message: error.to_string(),
        cf_ray: error.request_ids().ray.clone(),
        help: match (error.help(), proxy(error)) {
            (Some(help), Some(proxy)) => Some(format!("{help}; {proxy}")),
            (help, proxy) => help.or(proxy),
        },
    }
}

/// Returns a hint at the proxy if the API cannot be reached.
fn proxy(error: &ApiError) -> Option<String> {
    match error.kind() {
        ErrorKind::Transport {
            failure:
                TransportErrorKind::Connect
                | TransportErrorKind::ProxyRefused
                | TransportErrorKind::Timeout,
            ..
        } if error.base_url().is_https() => environment::proxy_for(error.base_url().as_str())
            .map(|proxy| format!("check the proxy set in {}", proxy.variable())),
        _ => None,
    }
}

/// Converts errors of entries to an account error.
pub(crate) fn plan_error(errors: &[PlanError]) -> AccountError {
    AccountError {
        kind: FailureKind::Plan,
        message: describe(errors),
        cf_ray: None,
        help: None,
    }
}
