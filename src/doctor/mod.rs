//! Finds out why somebody can't get in: asks what can be asked without writing, and turns the answers into findings.
//!
//! [`examine`] asks, and [`account_findings`] judges; the judging is pure. Each check is one function in `checks`, and one line in the list
//! there. Deliberately absent: writing, files, the environment, printing.

mod checks;
mod evidence;

use serde::Serialize;

use crate::model::open_word::words;

pub use checks::{account_findings, files_finding, no_credentials_finding};
pub use evidence::{Access, Asked, Declared, Evidence, Files, Means, Owner, Way, examine};

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
    pub mend: Option<String>,
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
            Check::Files | Check::Api | Check::RateBudget | Check::Clock | Check::NewBehaviors => {
                false
            }
        }
    }
}
