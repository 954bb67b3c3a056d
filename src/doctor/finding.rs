//! Results of checks, shared by doctor and audit.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::ApiError;
use crate::model::context::FetchError;
use crate::model::location::Location;
use crate::model::open_enum::string_enum;

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Finding<C> {
    pub check: C,
    /// Status of the check.
    pub status: CheckStatus,
    /// Summary of the result.
    pub message: String,
    /// Suggestion to fix the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Missing permission, if the status is unknown because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Details of the message, one per resource or level.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// A resource or level that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Detail {
    /// Status of the resource or level.
    pub status: CheckStatus,
    /// Address of the resource, or the level.
    pub subject: String,
    /// Description of the status.
    pub message: String,
    /// Location of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
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

impl<C> Finding<C> {
    pub fn new(check: C, status: CheckStatus, message: impl Into<String>) -> Self {
        Finding {
            check,
            status,
            message: message.into(),
            help: None,
            permission: None,
            details: Vec::new(),
        }
    }

    pub(super) fn pass(check: C, message: impl Into<String>) -> Self {
        Finding::new(check, CheckStatus::Pass, message)
    }

    pub(super) fn warn(check: C, message: impl Into<String>) -> Self {
        Finding::new(check, CheckStatus::Warn, message)
    }

    pub(super) fn fail(check: C, message: impl Into<String>) -> Self {
        Finding::new(check, CheckStatus::Fail, message)
    }

    /// Returns an unknown result that another check explains.
    pub(super) fn blocked(check: C) -> Self {
        let message = "skipped because an earlier check failed";
        Finding::new(check, CheckStatus::Unknown, message)
    }

    pub(super) fn from_error(check: C, status: CheckStatus, error: &ApiError) -> Self {
        Finding {
            help: error.help(),
            ..Finding::new(check, status, error.to_string())
        }
    }

    /// Returns an unknown result caused by a failed read.
    pub(super) fn unavailable(check: C, unread: &FetchError) -> Self {
        Finding {
            permission: unread.permission.clone(),
            ..Finding::new(
                check,
                CheckStatus::Unknown,
                format!("cannot be determined: {unread}"),
            )
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Finding {
            help: Some(help.into()),
            ..self
        }
    }

    pub(super) fn details(self, details: Vec<Detail>) -> Self {
        Finding { details, ..self }
    }
}
