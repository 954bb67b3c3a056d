//! Errors of commands, with their messages, help and exit codes.

use std::fmt;

use crate::api::{ApiError, ErrorKind as ApiErrorKind, TransportErrorKind};
use crate::cli::exit::{Exit, Signal};
use crate::cli::io::environment;
use crate::config::diagnostic::Diagnostics;
use crate::plan::{AccountError, FailureKind, PlanError, Run, describe};

/// Error of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// Suggestion to fix the error.
    pub(crate) help: Option<String>,
}

/// Kind of an error; determines the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Invalid command line.
    Usage,
    /// No file given and no `riskform.yaml`.
    NoFile,
    /// Invalid files. The message is the rendered diagnostics.
    Files,
    /// Error of one account.
    Account(FailureKind),
    /// The live state changed after the plan was saved.
    Stale,
    /// Unknown or ambiguous users.
    NoSuchUser,
    /// Approval is needed, but standard input is not a terminal.
    NoTerminal,
    /// The user did not approve.
    Declined,
    /// A signal before the first write.
    Interrupted(Signal),
    Other,
}

impl ErrorKind {
    /// Returns the exit code of a command, an account or an operation with this error.
    pub(crate) fn exit(self) -> Exit {
        match self {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Account(
                FailureKind::Credentials
                | FailureKind::CredentialsOrPermission
                | FailureKind::Permission
                | FailureKind::Entitlement,
            ) => Exit::Auth,
            ErrorKind::Stale => Exit::Stale,
            ErrorKind::Interrupted(signal) => signal.exit(),
            ErrorKind::Account(FailureKind::Plan | FailureKind::Api | FailureKind::Network)
            | ErrorKind::NoFile
            | ErrorKind::Files
            | ErrorKind::NoSuchUser
            | ErrorKind::NoTerminal
            | ErrorKind::Declined
            | ErrorKind::Other => Exit::Error,
        }
    }

    /// Returns the kind in JSON output.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Usage => "usage",
            ErrorKind::Files | ErrorKind::NoFile => "files",
            ErrorKind::Account(kind) => kind.as_str(),
            ErrorKind::Stale => "stale",
            ErrorKind::NoSuchUser => "no_such_user",
            ErrorKind::NoTerminal => "no_terminal",
            ErrorKind::Declined => "declined",
            ErrorKind::Interrupted(_) => "interrupted",
            ErrorKind::Other => "error",
        }
    }
}

impl CommandError {
    pub(crate) fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        CommandError {
            kind,
            message: message.to_string(),
            help: None,
        }
    }

    /// Returns an error of no particular kind.
    pub(crate) fn error(message: impl fmt::Display) -> Self {
        CommandError::new(ErrorKind::Other, shortened(message.to_string()))
    }

    /// Returns a function that adds context to an error.
    pub(crate) fn other<E: Into<anyhow::Error>>(
        context: impl fmt::Display,
    ) -> impl FnOnce(E) -> CommandError {
        move |error| CommandError::error(format_args!("{context}: {:#}", error.into()))
    }

    /// Returns a command-line error with the way to fix it.
    pub(crate) fn usage(message: impl fmt::Display, help: impl Into<String>) -> Self {
        CommandError::new(ErrorKind::Usage, message).with_help(help)
    }

    /// Adds the way to fix the error.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the error for a signal before the first write.
    pub(crate) fn interrupted(signal: Signal) -> Self {
        let message = format_args!("interrupted by {signal}; no changes were made");
        CommandError::new(ErrorKind::Interrupted(signal), message)
    }

    /// Returns the error for a plan that cannot be applied any more, with one sentence per reason.
    pub(crate) fn stale(reasons: &[String]) -> Self {
        let reasons: String = reasons.iter().map(|one| format!("\n  {one}")).collect();
        CommandError::new(ErrorKind::Stale, format_args!("the plan is stale{reasons}"))
            .with_help("run `riskform plan --out` again and review the new plan")
    }

    /// Returns the message without colors.
    pub(crate) fn plain_message(&self) -> String {
        anstream::adapter::strip_str(&self.message).to_string()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<AccountError> for CommandError {
    fn from(error: AccountError) -> Self {
        CommandError {
            kind: ErrorKind::Account(error.kind),
            message: error.message,
            help: error.help,
        }
    }
}

impl From<ApiError> for CommandError {
    fn from(error: ApiError) -> Self {
        AccountError::from(&error).into()
    }
}

impl From<&Diagnostics> for CommandError {
    fn from(diagnostics: &Diagnostics) -> Self {
        CommandError::new(ErrorKind::Files, diagnostics.render())
    }
}

/// Returns the error of the account if there is only one. With several accounts, it is part of the report.
pub(crate) fn fail_if_single_account(run: &Run) -> Result<(), CommandError> {
    match run.accounts.as_slice() {
        [account] => account
            .error
            .clone()
            .map_or(Ok(()), |error| Err(error.into())),
        _ => Ok(()),
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

impl From<&ApiError> for FailureKind {
    fn from(error: &ApiError) -> Self {
        match error.kind() {
            ApiErrorKind::Credentials => FailureKind::Credentials,
            ApiErrorKind::CredentialsOrPermission => FailureKind::CredentialsOrPermission,
            ApiErrorKind::Permission => FailureKind::Permission,
            ApiErrorKind::Entitlement => FailureKind::Entitlement,
            ApiErrorKind::Transport { .. } => FailureKind::Network,
            ApiErrorKind::NotFound
            | ApiErrorKind::UnknownRoute
            | ApiErrorKind::RateLimited
            | ApiErrorKind::Rejected
            | ApiErrorKind::Cancelled
            | ApiErrorKind::ServerError { .. }
            | ApiErrorKind::OtherAccount { .. }
            | ApiErrorKind::UnexpectedResponse { .. } => FailureKind::Api,
        }
    }
}

impl From<&ApiError> for AccountError {
    fn from(error: &ApiError) -> Self {
        let help = error.help().into_iter().chain(proxy_help(error));
        let help: Vec<String> = help.collect();
        AccountError {
            kind: error.into(),
            message: error.to_string(),
            cf_ray: error.request_ids.ray.clone(),
            help: (!help.is_empty()).then(|| help.join("; ")),
        }
    }
}

impl From<ApiError> for AccountError {
    fn from(error: ApiError) -> Self {
        AccountError::from(&error)
    }
}

/// Returns a hint at the proxy if the API cannot be reached.
fn proxy_help(error: &ApiError) -> Option<String> {
    use TransportErrorKind::{Connect, ProxyRefused, Timeout};
    match error.transport_failure()? {
        Connect | ProxyRefused | Timeout if error.base_url.is_https() => {
            let proxy = environment::proxy_for(error.base_url.as_str())?;
            Some(format!("check the proxy set in {}", proxy.variable()))
        }
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
