//! Sends notifications about the result of a check to webhooks and Slack.
//!
//! Uses a separate HTTP client without Cloudflare credentials. The URL's scheme selects the format:
//!
//! | URL | content |
//! | --- | --- |
//! | `https://…` | JSON by POST, signed if a secret is set |
//! | `https://hooks.slack.com/…`, `slack+https://…` | Slack message by POST |
//!
//! Does not follow redirects, and shows only the scheme and host of a URL, because the rest is secret. The caller stores which
//! notifications were sent ([`DeliveryRecord`]).

mod delivery;
mod delivery_record;
mod payload;
mod target;

use std::time::Duration;

use reqwest::Certificate;
use secrecy::SecretString;

use crate::api::Proxy;
use crate::model::open_enum::string_enum;
use crate::plan::Run;

pub use delivery::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, notify};
pub use delivery_record::DeliveryRecord;
pub use target::Target;

string_enum! {
    /// Outcome of a check.
    Outcome {
        /// The live state is as declared.
        Ok = "ok",
        /// Differences or unlisted resources.
        Drift = "drift",
        /// An account could not be checked; others may have drifted.
        Error = "error",
        /// The live state is as declared again, after a notification of drift or an error.
        Resolved = "resolved",
    }
}

/// A notification.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub outcome: Outcome,
    pub finding: CheckResult<'a>,
    /// URL of the CI job.
    pub run_url: Option<&'a str>,
    /// Suggested next command.
    pub next: Option<&'a str>,
}

/// Result of a check.
#[derive(Clone, Copy, Debug)]
pub enum CheckResult<'a> {
    /// Checked and failed accounts.
    Accounts(&'a Run),
    /// The check failed before reading any account.
    Failed {
        kind: &'a str,
        message: &'a str,
        help: Option<&'a str>,
    },
}

/// Settings of notifications.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Secret that signs webhook messages.
    pub secret: Option<SecretString>,
    /// CA certificates to trust in addition to the system's.
    pub certificates: Vec<Certificate>,
    /// Proxy for https.
    pub proxy: Option<Proxy>,
    /// Timeout per attempt.
    pub timeout: Duration,
    /// Delay before each retry, one per retry.
    pub pauses: Vec<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            secret: None,
            certificates: Vec::new(),
            proxy: None,
            timeout: Duration::from_secs(10),
            pauses: vec![Duration::from_secs(1), Duration::from_secs(4)],
        }
    }
}
