//! Retry policy: which failed requests are retried, and after which delay. Pure functions without clock or sleep; jitter comes from a seed.

use std::num::NonZeroU32;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};
use super::rate_limiter::{Attempts, MAX_WAIT};

/// Upper limit of the doubled delay.
const MAX_DELAY: Duration = Duration::from_secs(20);

/// Limits and delays of retries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Maximum number of attempts per request, including the first one.
    pub max_attempts: NonZeroU32,
    /// Maximum delay before the second attempt, doubled with each further one.
    pub base_delay: Duration,
    /// Maximum time that one request waits for the server in total. If it should wait longer, it fails at once.
    pub max_wait: Duration,
    /// Seed of the jitter; `None` for a random one in each run.
    pub seed: Option<u64>,
}

/// Request counters of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestStats {
    /// Requests sent, including retries.
    pub requests: u64,
    /// Retries, except those after a 429.
    pub retries: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_attempts: NonZeroU32::MIN.saturating_add(3),
            base_delay: Duration::from_millis(500),
            max_wait: MAX_WAIT,
            seed: None,
        }
    }
}

impl RetryPolicy {
    /// Returns the delay before a failed request is retried, or `None` to give up. A 429 does not count as a failure: it pauses all requests,
    /// and only the total wait is limited.
    pub(super) fn delay(
        &self,
        attempts: &mut Attempts,
        error: &ApiError,
        stats: &mut RequestStats,
        random: &mut fastrand::Rng,
    ) -> Option<Duration> {
        let left = self.max_wait.saturating_sub(attempts.waited);
        if error.kind == ErrorKind::RateLimited {
            let wait = error.retry_after.filter(|wait| *wait <= left);
            return wait.map(|_| Duration::ZERO);
        }
        attempts.failed += 1;
        if !is_retryable(error.endpoint, &error.kind) || !has_retry_budget(stats) {
            return None;
        }
        let wait = self.wait(attempts.failed, error.retry_after, random)?;
        let wait = Some(wait).filter(|wait| *wait <= left)?;
        attempts.waited += wait;
        stats.retries += 1;
        Some(wait)
    }

    /// Returns the delay after a failed attempt (counted from 1), or `None` to give up.
    fn wait(
        &self,
        attempt: u32,
        retry_after: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Option<Duration> {
        if attempt >= self.max_attempts.get() {
            return None;
        }
        // Full jitter, between zero and the doubled delay, so that concurrent requests do not retry at the same time.
        let doubled = self.base_delay.saturating_mul(1 << (attempt - 1).min(31));
        let jittered = doubled.min(MAX_DELAY).mul_f64(random.f64());
        Some(retry_after.map_or(jittered, |asked| asked.max(jittered)))
    }
}

/// Returns true if a failed request may be retried.
///
/// A request that was not delivered may always be retried. One that may have been delivered is retried only if it is idempotent: not a
/// create, which could create a duplicate, and not a reset, which would also reset newer events.
fn is_retryable(endpoint: Endpoint, kind: &ErrorKind) -> bool {
    let is_idempotent = endpoint.method().is_idempotent();
    match kind {
        ErrorKind::RateLimited => true,
        ErrorKind::ServerError { .. } => is_idempotent,
        ErrorKind::Transport(error) => {
            error.failure.is_temporary() && (!error.failure.may_be_delivered() || is_idempotent)
        }
        _ => false,
    }
}

/// Returns true if the run may still retry: 20 times plus one retry per five requests. A failing server is not flooded by the accounts
/// of a large run, and the run fails early.
fn has_retry_budget(counters: &RequestStats) -> bool {
    counters.retries < 20 + counters.requests / 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{TransportError, TransportErrorKind};

    #[test]
    fn delays_double_up_to_the_maximum() {
        let settings = RetryPolicy {
            max_attempts: NonZeroU32::new(40).unwrap(),
            ..RetryPolicy::default()
        };
        for (attempt, cap) in [
            (1, 0.5),
            (2, 1.0),
            (3, 2.0),
            (6, 16.0),
            (7, 20.0),
            (39, 20.0),
        ] {
            let mut random = fastrand::Rng::with_seed(7);
            let waits: Vec<f64> = (0..200)
                .map(|_| {
                    settings
                        .wait(attempt, None, &mut random)
                        .unwrap()
                        .as_secs_f64()
                })
                .collect();
            assert!(
                waits.iter().all(|wait| (0.0..=cap).contains(wait)),
                "{attempt}"
            );
            assert!(waits.iter().any(|wait| *wait < cap * 0.1), "{attempt}");
            assert!(waits.iter().any(|wait| *wait > cap * 0.9), "{attempt}");
        }
        assert_eq!(
            settings.wait(40, None, &mut fastrand::Rng::with_seed(7)),
            None
        );
    }

    #[test]
    fn delays_depend_on_the_seed() {
        let waits = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            [1, 2, 3].map(|attempt| RetryPolicy::default().wait(attempt, None, &mut random))
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn maybe_delivered_requests_are_retried_if_idempotent() {
        use Endpoint::*;
        let transport = |failure| ErrorKind::Transport(TransportError::new(failure, ""));
        let refused = transport(TransportErrorKind::Connect);
        let no_handshake = transport(TransportErrorKind::ConnectTimeout);
        let closed = transport(TransportErrorKind::ConnectionClosed);
        let late = transport(TransportErrorKind::Timeout);
        let fault = ErrorKind::ServerError { excerpt: None };
        let everything = [
            ReadBehaviors,
            WriteBehaviors,
            ListIntegrations,
            ReadIntegration,
            ReadIntegrationByReference,
            CreateIntegration,
            UpdateIntegration,
            DeleteIntegration,
            ListUsers,
            ReadUser,
            ResetUser,
            VerifyToken,
        ];
        for operation in everything {
            let idempotent = !matches!(operation, CreateIntegration | ResetUser);
            for (kind, repeatable) in [
                (&refused, true),
                (&no_handshake, true),
                (&ErrorKind::RateLimited, true),
                (&closed, idempotent),
                (&late, idempotent),
                (&fault, idempotent),
                (&ErrorKind::Permission, false),
                (&ErrorKind::Credentials, false),
                (&ErrorKind::NotFound, false),
                (&ErrorKind::Rejected, false),
                (&transport(TransportErrorKind::Tls), false),
                (&transport(TransportErrorKind::TooLarge), false),
            ] {
                assert_eq!(
                    is_retryable(operation, kind),
                    repeatable,
                    "{operation:?} {kind:?}"
                );
            }
        }
    }

    #[test]
    fn retries_of_a_run_are_bounded() {
        for (requests, retries, may) in [
            (1, 0, true),
            (20, 20, true),
            (20, 24, false),
            (1000, 219, true),
            (1000, 220, false),
        ] {
            let counters = RequestStats { requests, retries };
            assert_eq!(has_retry_budget(&counters), may, "{requests} {retries}");
        }
    }
}
