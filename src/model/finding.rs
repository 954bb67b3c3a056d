//! Findings of checks, and the error of an account that could not be checked.

use std::sync::Arc;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{AccountId, Name};
use super::location::Location;
use super::open_enum::string_enum;

/// Result of one check for one subject, from `validate`, `doctor`, `audit` or `drift`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Finding {
    /// Account; `None` if the finding is about the whole run.
    #[serde(skip)]
    pub account: Option<Arc<CheckedAccount>>,
    /// Stable ID of the check.
    pub check: &'static str,
    pub status: CheckStatus,
    /// Address of a resource, or a risk level; empty if the finding is about the whole account.
    pub subject: String,
    /// Sentence that names the subject.
    pub message: String,
    /// Suggestion to fix the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Missing permission, if the status is unknown because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Location of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Column after the last character, if the location is a part of a line.
    #[serde(skip)]
    pub end_column: Option<u32>,
    /// Further lines: candidates of an ambiguous entry, or the author of a difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// Account of a finding, or one that could not be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct CheckedAccount {
    pub account_id: AccountId,
    pub name: Option<Name>,
    /// File that declares the account.
    pub source: Arc<str>,
}

impl CheckedAccount {
    /// Returns the name of the account, else its ID.
    pub fn label(&self) -> &str {
        let id = self.account_id.as_str();
        self.name.as_ref().map_or(id, Name::as_str)
    }
}

string_enum! {
    /// Status of a check, in rising severity.
    CheckStatus {
        /// The check passed.
        Pass = "pass",
        /// Information; not a problem.
        Info = "info",
        /// A possible problem.
        Warn = "warn",
        /// The result is unknown.
        Unknown = "unknown",
        /// A problem.
        Fail = "fail",
    }
}

impl Finding {
    /// ID of the check that an account can be read. Its only finding is about an account with an error.
    pub const READ: &'static str = "read";

    /// Returns a finding without check and account, which the caller of the check adds.
    pub fn new(status: CheckStatus, message: impl Into<String>) -> Self {
        Finding {
            account: None,
            check: "",
            status,
            subject: String::new(),
            message: message.into(),
            help: None,
            permission: None,
            location: None,
            end_column: None,
            details: Vec::new(),
        }
    }

    pub fn pass(message: impl Into<String>) -> Self {
        Finding::new(CheckStatus::Pass, message)
    }

    pub fn warn(message: impl Into<String>) -> Self {
        Finding::new(CheckStatus::Warn, message)
    }

    pub fn fail(message: impl Into<String>) -> Self {
        Finding::new(CheckStatus::Fail, message)
    }

    /// Returns the finding about an account with a read error.
    pub fn unread(account: Arc<CheckedAccount>, error: &AccountError) -> Self {
        Finding {
            account: Some(account),
            check: Finding::READ,
            help: error.help.clone(),
            ..Finding::new(CheckStatus::Unknown, error.message.clone())
        }
    }

    /// Sets the check.
    pub fn of(self, check: &'static str) -> Self {
        Finding { check, ..self }
    }

    pub fn about(self, subject: impl ToString) -> Self {
        Finding {
            subject: subject.to_string(),
            ..self
        }
    }

    pub fn at(self, location: Option<&Location>) -> Self {
        Finding {
            location: location.cloned(),
            ..self
        }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Finding {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Error of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(JsonSchema))]
#[error("{message}")]
pub struct AccountError {
    /// Kind of the error; determines the exit code.
    pub kind: FailureKind,
    pub message: String,
    /// `CF-Ray` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cf_ray: Option<String>,
    /// Suggestion to fix the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl AccountError {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        AccountError {
            kind,
            message: message.into(),
            cf_ray: None,
            help: None,
        }
    }
}

string_enum! {
    /// Kind of an account error.
    FailureKind {
        /// Credentials are missing or invalid.
        Credentials = "credentials",
        /// Credentials are invalid or lack a permission; the API does not say which.
        CredentialsOrPermission = "credentials_or_permission",
        /// A permission is missing.
        Permission = "permission",
        /// The plan of the account does not include risk scoring.
        Entitlement = "entitlement",
        /// The desired state cannot be planned for the live account.
        Plan = "plan",
        /// The API rejected the request, failed, or sent an unexpected response.
        Api = "api",
        /// The API cannot be reached.
        Network = "network",
    }
}
