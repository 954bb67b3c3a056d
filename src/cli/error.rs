//! Errors of commands, with their messages, help and exit codes.

use std::fmt;

use crate::api::{ApiError, ErrorKind as ApiErrorKind};
use crate::cli::exit::Exit;
use crate::plan::{AccountError, FailureKind, Run};

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
    /// Missing file argument and missing `riskform.yaml`.
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
    /// A signal before the first write, which determines the exit code.
    Interrupted(Exit),
    Other,
}

impl ErrorKind {
    /// Returns the kind in JSON output and the exit code of a command.
    fn codes(self) -> (&'static str, Exit) {
        match self {
            ErrorKind::Usage => ("usage", Exit::Usage),
            ErrorKind::NoFile | ErrorKind::Files => ("files", Exit::Error),
            ErrorKind::Account(kind) => (kind.as_str(), kind.into()),
            ErrorKind::Stale => ("stale", Exit::Stale),
            ErrorKind::NoSuchUser => ("no_such_user", Exit::Error),
            ErrorKind::NoTerminal => ("no_terminal", Exit::Error),
            ErrorKind::Declined => ("declined", Exit::Error),
            ErrorKind::Interrupted(exit) => ("interrupted", exit),
            ErrorKind::Other => ("error", Exit::Error),
        }
    }

    /// Returns the exit code of a command with this error.
    pub(crate) fn exit(self) -> Exit {
        self.codes().1
    }

    /// Returns the kind in JSON output.
    pub(crate) fn as_str(self) -> &'static str {
        self.codes().0
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

/// Cuts a long text.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_ERROR_CHARS) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text,
    }
}

impl From<&ApiError> for FailureKind {
    fn from(error: &ApiError) -> Self {
        match error.kind() {
            ApiErrorKind::Credentials => FailureKind::Credentials,
            ApiErrorKind::CredentialsOrPermission => FailureKind::CredentialsOrPermission,
            ApiErrorKind::Permission => FailureKind::Permission,
            ApiErrorKind::Entitlement => FailureKind::Entitlement,
            ApiErrorKind::Transport { .. } => FailureKind::Network,
            _ => FailureKind::Api,
        }
    }
}
