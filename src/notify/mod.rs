//! Notifications: tells webhooks, Slack and a dead-man's switch how a check ended.
//!
//! Has a client of its own, so no Cloudflare token ever comes near it. A URL says by its scheme what is sent there:
//!
//! | URL | what is sent | when |
//! | --- | --- | --- |
//! | `https://…` | a JSON document by POST, signed if there is a secret | on drift and error, and once they are gone |
//! | `https://hooks.slack.com/…`, `slack+https://…` | a Slack message by POST | on drift and error, and once they are gone |
//! | `ping+https://…` | nothing, by GET: a dead-man's switch alarms when it stops coming | when all is well |
//!
//! Never decides what drift is, never follows a redirect, and never shows more of a URL than its host: the rest is its password. What was
//! told already is for the caller to keep ([`DeliveryRecord`]).

mod delivery;
mod delivery_record;
mod payload;
mod slack;
mod target;

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Certificate;
use secrecy::SecretString;

use crate::model::open_enum::words;
use crate::plan::Run;

pub use delivery::{DeliveryError, ID_HEADER, NotifyError, SIGNATURE_HEADER, TIMESTAMP_HEADER};
pub use delivery_record::DeliveryRecord;
pub use payload::NOTIFICATION_FORMAT;
pub use target::{ParseTargetError, Target, TargetKind};

words! {
    /// How a check ended.
    Outcome {
        /// Live is as declared.
        Ok = "ok",
        /// Something differs, or is in no file.
        Drift = "drift",
        /// Something could not be checked; what could be may have drifted all the same.
        Error = "error",
        /// Live is as declared, and the last message said otherwise.
        Resolved = "resolved",
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// How the check ended.
    pub outcome: Outcome,
    /// What it found.
    pub finding: CheckResult<'a>,
    /// Where the pipeline around the run shows it.
    pub run_url: Option<&'a str>,
    /// The command that goes on from here.
    pub next: Option<&'a str>,
}

/// What a check found.
#[derive(Clone, Copy, Debug)]
pub enum CheckResult<'a> {
    /// Accounts, each checked or failed.
    Accounts(&'a Run),
    /// Nothing: it failed before it had accounts.
    Failed {
        /// What kind of error it was.
        kind: &'a str,
        /// What happened.
        message: &'a str,
        /// The way out.
        help: Option<&'a str>,
    },
}

/// How to notify.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is worth a message.
    pub when: NotifyOn,
    /// Signs what goes to webhooks.
    pub secret: Option<SecretString>,
    /// Certificate authorities to trust beside the machine's own.
    pub certificates: Vec<Certificate>,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// How long to wait before each further attempt; as many as there are.
    pub pauses: Vec<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            when: NotifyOn::Problems,
            secret: None,
            certificates: Vec::new(),
            timeout: Duration::from_secs(10),
            pauses: vec![Duration::from_secs(1), Duration::from_secs(4)],
        }
    }
}

/// What is worth a message. Pings don't care: they come exactly when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyOn {
    /// Drift and errors.
    Problems,
    /// Every check.
    Always,
}

/// Tells every target that wants to know, all at once, and says who could not be told.
///
/// What the check found does not depend on who heard of it, so a failure is for the caller to mention, no more.
pub async fn notify(
    targets: &[Target],
    message: &Message<'_>,
    settings: &Settings,
) -> Vec<NotifyError> {
    let deliveries = targets
        .iter()
        .filter(|target| wants(target.form(), message.outcome, settings.when))
        .map(|target| delivery::deliver(target, message, settings));
    join_all(deliveries)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Says whether a target is told of such an outcome. A ping on drift would keep a dead-man's switch quiet that should ring.
fn wants(form: TargetKind, outcome: Outcome, when: NotifyOn) -> bool {
    match (form, outcome) {
        (TargetKind::Ping, Outcome::Ok | Outcome::Resolved) => true,
        (TargetKind::Ping, Outcome::Drift | Outcome::Error) => false,
        (
            TargetKind::Webhook | TargetKind::Slack,
            Outcome::Drift | Outcome::Error | Outcome::Resolved,
        ) => true,
        (TargetKind::Webhook | TargetKind::Slack, Outcome::Ok) => when == NotifyOn::Always,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_when_something_is_wrong_and_pings_when_nothing_is() {
        let table = [
            (TargetKind::Webhook, Outcome::Ok, false, true),
            (TargetKind::Webhook, Outcome::Drift, true, true),
            (TargetKind::Webhook, Outcome::Error, true, true),
            (TargetKind::Slack, Outcome::Ok, false, true),
            (TargetKind::Slack, Outcome::Drift, true, true),
            (TargetKind::Slack, Outcome::Error, true, true),
            (TargetKind::Webhook, Outcome::Resolved, true, true),
            (TargetKind::Slack, Outcome::Resolved, true, true),
            (TargetKind::Ping, Outcome::Ok, true, true),
            (TargetKind::Ping, Outcome::Resolved, true, true),
            (TargetKind::Ping, Outcome::Drift, false, false),
            (TargetKind::Ping, Outcome::Error, false, false),
        ];
        for (form, outcome, noteworthy, always) in table {
            let case = format!("{form:?} on {outcome}");
            assert_eq!(
                wants(form, outcome, NotifyOn::Problems),
                noteworthy,
                "{case}"
            );
            assert_eq!(wants(form, outcome, NotifyOn::Always), always, "{case}");
        }
    }
}
