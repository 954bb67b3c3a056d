//! The rate budget that every call with one token shares: [`Pace`] on tokio's clock.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::event::WaitReason;
use super::pace::{Admission, Pace, RateSettings};
use super::rate_headers::RateHeaders;

/// Waits shorter than this are no news.
const MIN_REPORTED_WAIT: Duration = Duration::from_secs(1);

/// One token's budget.
#[derive(Debug)]
pub(super) struct RateBudget {
    pace: Mutex<Pace>,
    /// Whoever holds it is the next to be admitted; the others queue behind in the order they came, so that one change wakes one.
    turn: tokio::sync::Mutex<LastReportedWait>,
    changed: Notify,
}

/// Until when a wait has been told.
#[derive(Debug, Default)]
struct LastReportedWait(Option<Instant>);

/// Leave to send one request. Dropped when the request is over, however it ended.
pub(super) struct Permit<'a> {
    budget: &'a RateBudget,
    /// How long this request held up the queue.
    pub(super) held_up: Duration,
}

impl RateBudget {
    pub(super) fn new(settings: RateSettings) -> Self {
        RateBudget {
            pace: Mutex::new(Pace::new(settings)),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits for leave to send. `tell` hears of each long wait once, whichever call comes upon it.
    pub(super) async fn admit(&self, tell: impl Fn(Duration, WaitReason)) -> Permit<'_> {
        let mut told = self.turn.lock().await;
        let asked = Instant::now();
        let mut now = asked;
        loop {
            let admission = self.pace().admit(now);
            match admission {
                Admission::Granted => {
                    return Permit {
                        budget: self,
                        held_up: now - asked,
                    };
                }
                Admission::AfterNextResponse => self.changed.notified().await,
                Admission::WaitUntil(at, reason) => {
                    let wait = at.saturating_duration_since(now);
                    let is_news = told.0.is_none_or(|known| at > known + MIN_REPORTED_WAIT);
                    if is_news && wait >= MIN_REPORTED_WAIT {
                        told.0 = Some(at);
                        tell(wait, reason);
                    }
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.changed.notified() => {}
                    }
                }
            }
            now = Instant::now();
        }
    }

    /// Holds back every call with this token.
    pub(super) fn pause(&self, length: Duration, reason: WaitReason) {
        self.pace().pause_until(Instant::now() + length, reason);
        self.changed.notify_one();
    }

    /// The same for a length that is a guess, which a run makes once. Says whether a request that was sent then is one of those held back.
    pub(super) fn pause_once(&self, length: Duration, sent: Instant) -> bool {
        let held_back = self.pace().pause_once(Instant::now() + length, sent);
        self.changed.notify_one();
        held_back
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().expect("pace lock poisoned")
    }
}

impl Permit<'_> {
    /// Takes note of what the answer says about the limits.
    pub(super) fn learn(&self, headers: &RateHeaders) {
        self.budget.pace().learn(headers, Instant::now());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.pace().finished(Instant::now());
        self.budget.changed.notify_one();
    }
}
