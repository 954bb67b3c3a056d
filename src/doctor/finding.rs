//! What a check says: how one thing stands, and what to do about it.

use serde::Serialize;

use crate::api::ApiError;
use crate::model::open_word::words;

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

words! {
    /// How a check stands.
    Status {
        /// As it should be.
        Ok = "ok",
        /// Worth a look.
        Warn = "warn",
        /// Something will not work.
        Fail = "fail",
    }
}

words! {
    /// The checks, in the order in which one thing needs the other.
    Check {
        /// The desired-state files are there and valid.
        Files = "files",
        /// There is something to show the API.
        Credentials = "credentials",
        /// The API answers.
        Api = "api",
        /// The proxy that the environment names.
        Proxy = "proxy",
        /// The token is valid.
        Token = "token",
        /// *Zero Trust Read*.
        Read = "zero_trust_read",
        /// *Zero Trust: PII Read*.
        PiiRead = "zero_trust_pii_read",
        /// *Zero Trust Write*.
        Write = "zero_trust_write",
        /// The account has bought risk scoring.
        Entitlement = "entitlement",
        /// How many requests are left.
        RateBudget = "rate_budget",
        /// This machine's clock.
        Clock = "clock",
        /// Behaviors that the vendor offers and no file lists.
        NewBehaviors = "new_behaviors",
    }
}

impl Check {
    /// What the check is called in a table; permissions by the names that the dashboard shows.
    pub fn title(self) -> &'static str {
        match self {
            Check::Files => "files",
            Check::Credentials => "credentials",
            Check::Api => "API",
            Check::Proxy => "proxy",
            Check::Token => "token",
            Check::Read => "Zero Trust Read",
            Check::PiiRead => "Zero Trust: PII Read",
            Check::Write => "Zero Trust Write",
            Check::Entitlement => "entitlement",
            Check::RateBudget => "rate budget",
            Check::Clock => "clock",
            Check::NewBehaviors => "new behaviors",
        }
    }

    /// Whether it is about being let in, rather than about anything else.
    pub fn is_about_access(self) -> bool {
        match self {
            Check::Credentials
            | Check::Token
            | Check::Read
            | Check::PiiRead
            | Check::Write
            | Check::Entitlement => true,
            Check::Files
            | Check::Api
            | Check::Proxy
            | Check::RateBudget
            | Check::Clock
            | Check::NewBehaviors => false,
        }
    }
}

pub(super) fn ok(check: Check, message: impl Into<String>) -> Finding {
    Finding {
        check,
        status: Status::Ok,
        message: message.into(),
        help: None,
    }
}

pub(super) fn warn(check: Check, message: String, help: &str) -> Finding {
    Finding {
        check,
        status: Status::Warn,
        message,
        help: Some(help.to_owned()),
    }
}

pub(super) fn fail(check: Check, message: String, help: &str) -> Finding {
    Finding {
        status: Status::Fail,
        ..warn(check, message, help)
    }
}

pub(super) fn of_error(check: Check, status: Status, error: &ApiError) -> Finding {
    Finding {
        check,
        status,
        message: error.to_string(),
        help: error.help(),
    }
}

/// Another check says why it can't be told.
pub(super) fn unknown(check: Check) -> Finding {
    Finding {
        check,
        status: Status::Warn,
        message: "can't be told before the rest is fixed".to_owned(),
        help: None,
    }
}
