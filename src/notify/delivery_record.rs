//! The last notification of a target, so that the same drift is not sent on every run, and its resolution is sent once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::sha256;
use crate::report::accounts_with_problems;

use super::{CheckResult, Message, Outcome};

/// The last notification of drift or an error. Contains only a digest of the findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Digest of the findings.
    digest: String,
    /// Time of delivery.
    at: Timestamp,
}

impl DeliveryRecord {
    /// Returns the record of a delivered message; `None` if it reports no problem.
    pub fn of(message: &Message<'_>, at: Timestamp) -> Option<Self> {
        match message.outcome {
            Outcome::Ok | Outcome::Resolved => None,
            Outcome::Drift | Outcome::Error => Some(DeliveryRecord {
                digest: digest(&message.finding),
                at,
            }),
        }
    }
}

impl Message<'_> {
    /// Returns the outcome to send after the last notification; `None` if the same was sent less than `again` ago.
    pub fn outcome_to_send(
        &self,
        told: Option<&DeliveryRecord>,
        now: Timestamp,
        again: SignedDuration,
    ) -> Option<Outcome> {
        match (self.outcome, told) {
            (Outcome::Ok, told) => told.map(|_| Outcome::Resolved),
            (Outcome::Drift | Outcome::Error, Some(told)) => {
                // Send if the clock was set back.
                let ago = now.duration_since(told.at);
                let is_recent = !ago.is_negative() && ago < again;
                (!is_recent || told.digest != digest(&self.finding)).then_some(self.outcome)
            }
            (outcome, _) => Some(outcome),
        }
    }
}

/// Returns a digest of the findings, without request IDs, times and authors, which differ between checks.
fn digest(finding: &CheckResult<'_>) -> String {
    match finding {
        CheckResult::Failed { kind, message, .. } => sha256(&(kind, message)),
        CheckResult::Accounts(run) => {
            let accounts = accounts_with_problems(run).into_iter().map(|account| {
                let changes = account.changes.iter();
                let changes = changes.map(|one| (&one.address, one.action, &one.fields));
                let unlisted = account.reported().map(|one| (&one.address, &one.fields));
                (
                    &account.account_id,
                    account.error.as_ref().map(|error| error.kind),
                    &account.errors,
                    changes.collect::<Vec<_>>(),
                    unlisted.collect::<Vec<_>>(),
                )
            });
            sha256(&accounts.collect::<Vec<_>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::payload::tests::{FILES, document};
    use crate::plan::Run;

    fn message(outcome: Outcome, run: &Run) -> Message<'_> {
        Message {
            outcome,
            finding: CheckResult::Accounts(run),
            run_url: None,
            next: None,
        }
    }

    #[test]
    fn same_finding_is_sent_again_after_the_interval_and_its_end_once() {
        let run = document();
        let mut less = run.clone();
        less.accounts.remove(0);
        let then = run.created_at;
        let told = DeliveryRecord::of(&message(Outcome::Drift, &run), then);
        let hours = SignedDuration::from_hours;
        let day = hours(24);
        let table = [
            (Outcome::Drift, &run, hours(1), day, None),
            (Outcome::Drift, &run, hours(23), day, None),
            (Outcome::Drift, &run, hours(24), day, Some(Outcome::Drift)),
            (
                Outcome::Drift,
                &run,
                hours(1),
                hours(0),
                Some(Outcome::Drift),
            ),
            (Outcome::Drift, &run, hours(-1), day, Some(Outcome::Drift)),
            (Outcome::Drift, &less, hours(1), day, Some(Outcome::Drift)),
            (Outcome::Error, &less, hours(1), day, Some(Outcome::Error)),
            (Outcome::Ok, &less, hours(1), day, Some(Outcome::Resolved)),
        ];
        for (outcome, run, later, again, expected) in table {
            let message = message(outcome, run);
            let due = message.outcome_to_send(told.as_ref(), then + later, again);
            assert_eq!(due, expected, "{outcome} {later}");
            let first = message.outcome_to_send(None, then, again);
            assert_eq!(first, (outcome != Outcome::Ok).then_some(outcome));
        }
        assert_eq!(
            DeliveryRecord::of(&message(Outcome::Resolved, &run), then),
            None
        );
    }

    #[test]
    fn volatile_values_keep_the_same_finding() {
        let run = document();
        let mut later = run.clone();
        later.created_at += SignedDuration::from_hours(1);
        let error = later.accounts[2].error.as_mut().unwrap();
        error.message = "the API answered 500 after 31 s".to_owned();
        error.cf_ray = Some("8f00ba4".to_owned());
        assert_eq!(
            digest(&CheckResult::Accounts(&run)),
            digest(&CheckResult::Accounts(&later))
        );
        assert_ne!(digest(&CheckResult::Accounts(&run)), digest(&FILES));
    }
}
