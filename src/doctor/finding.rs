//! What a check says: how one thing stands, and what to do about it. One shape for everything that is looked at.

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::ApiError;
use crate::model::context::FetchError;
use crate::model::location::Location;
use crate::model::open_enum::words;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding<C> {
    pub check: C,
    /// How it stands.
    pub status: CheckStatus,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The permission that would tell, where the want of it is why nothing can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// What the message sums up, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// One of the things that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Detail {
    /// How it stands.
    pub status: CheckStatus,
    /// Its address, or the level that it is about.
    pub about: String,
    /// What is to be said of it.
    pub message: String,
    /// Where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

words! {
    /// How a check stands, in rising gravity.
    CheckStatus {
        /// As it should be.
        Pass = "pass",
        /// Nothing is wrong, and it is good to know.
        Info = "info",
        /// Worth a look.
        Warn = "warn",
        /// It can't be told.
        Unknown = "unknown",
        /// Something is not as it should be, or will not work.
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

    /// Another check says why it can't be told.
    pub(super) fn untold(check: C) -> Self {
        let message = "can't be told before the rest is fixed";
        Finding::new(check, CheckStatus::Unknown, message)
    }

    pub(super) fn from_error(check: C, status: CheckStatus, error: &ApiError) -> Self {
        Finding {
            help: error.help(),
            ..Finding::new(check, status, error.to_string())
        }
    }

    /// What can't be told since something could not be read.
    pub(super) fn unread(check: C, unread: &FetchError) -> Self {
        Finding {
            permission: unread.permission.clone(),
            ..Finding::new(
                check,
                CheckStatus::Unknown,
                format!("can't be told: {unread}"),
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
