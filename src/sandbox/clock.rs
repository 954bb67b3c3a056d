//! Time and IDs, which a start time and a seed make reproducible.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::{Builder, Uuid};

/// A clock based on tokio's clock, which may be paused.
#[derive(Debug)]
pub(super) struct Clock {
    start: Timestamp,
    started: Instant,
}

impl Clock {
    pub(super) fn starting_at(start: Option<Timestamp>) -> Self {
        Clock {
            start: start.unwrap_or_else(Timestamp::now),
            started: Instant::now(),
        }
    }

    /// Returns the time in whole seconds, as in the recorded responses.
    pub(super) fn now(&self) -> Timestamp {
        let elapsed =
            SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let now = self.start.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    pub(super) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }
}

/// Generates IDs from a seed and a serial number; different serial numbers give different IDs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    seed: u64,
}

impl Ids {
    pub(super) fn seeded(seed: Option<u64>) -> Self {
        Ids {
            seed: seed.unwrap_or_else(|| fastrand::u64(..)),
        }
    }

    pub(super) fn nth(self, serial: u64) -> Uuid {
        let mut random =
            fastrand::Rng::with_seed(self.seed ^ fastrand::Rng::with_seed(serial).u64(..));
        Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_repeat_with_the_seed_and_never_within_it() {
        let made = |seed| {
            (0..10_000)
                .map(|n| Ids::seeded(Some(seed)).nth(n))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_eq!(made(7).len(), 10_000);
        assert!(made(7).is_disjoint(&made(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_goes_on_with_tokio() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(Some(start));
        tokio::time::sleep(std::time::Duration::from_millis(90_900)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
    }
}
