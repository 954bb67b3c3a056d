//! Events and counters of a client. Nothing in this module prints.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use super::error::ApiError;
use super::rate_limiter::RatePolicy;

/// An event of a client. Displays as one line.
#[derive(Clone, Debug)]
pub enum ClientEvent {
    /// A response was received.
    Responded {
        method: Method,
        /// Path relative to the base URL.
        path: String,
        status: StatusCode,
        elapsed: Duration,
    },
    /// A request failed and will be retried.
    Retrying {
        error: ApiError,
        /// Number of the failed attempt, from 1.
        attempt: u32,
        /// Maximum number of attempts.
        attempts: u32,
        /// Delay before the next attempt.
        wait: Duration,
    },
    /// All requests with this token wait, in every account of the run. Sent once per wait.
    RateLimited { wait: Duration, reason: WaitReason },
}

/// Reason for a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Response 429 with a delay.
    RateLimited,
    /// Response 429 without a delay.
    RateLimitedNoRetryAfter,
    /// A response said that the rate limit is used up.
    NothingLeft,
    /// This run has used up the token's rate limit.
    Budget(RatePolicy),
    /// Limit set with `--max-requests-per-second`.
    MaxRequestsPerSecond,
}

/// Request counters of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Requests sent, including retries.
    pub requests: u64,
    /// Retries, except those after a 429.
    pub retries: u64,
    /// Responses with status 429.
    pub rate_limited: u64,
    /// Number of waits for the rate limit.
    pub waits: u64,
    /// Total time spent in those waits.
    pub waited: Duration,
}

impl std::iter::Sum for RequestStats {
    fn sum<I: Iterator<Item = RequestStats>>(counters: I) -> RequestStats {
        counters.fold(RequestStats::default(), |sum, one| RequestStats {
            requests: sum.requests + one.requests,
            retries: sum.retries + one.retries,
            rate_limited: sum.rate_limited + one.rate_limited,
            waits: sum.waits + one.waits,
            waited: sum.waited + one.waited,
        })
    }
}

impl fmt::Display for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientEvent::Responded {
                method,
                path,
                status,
                elapsed,
            } => write!(f, "{method} {path}: {status} in {} ms", elapsed.as_millis()),
            ClientEvent::Retrying {
                error,
                attempt,
                attempts,
                wait,
            } => write!(
                f,
                "attempt {attempt}/{attempts} failed, retrying in {:.1} s: {error}",
                wait.as_secs_f64()
            ),
            ClientEvent::RateLimited { wait, reason } => {
                let seconds = wait.as_secs_f64().ceil();
                match reason {
                    WaitReason::RateLimited => {
                        write!(f, "rate limited, waiting {seconds:.0} s (429, Retry-After)")
                    }
                    WaitReason::RateLimitedNoRetryAfter => write!(
                        f,
                        "rate limited, waiting {seconds:.0} s (429, no Retry-After)"
                    ),
                    WaitReason::NothingLeft => write!(
                        f,
                        "rate limit used up, waiting {seconds:.0} s (Ratelimit header)"
                    ),
                    WaitReason::Budget(RatePolicy { requests, period }) => write!(
                        f,
                        "waiting {seconds:.0} s: staying below the limit of {requests} requests per {} s",
                        period.as_secs()
                    ),
                    WaitReason::MaxRequestsPerSecond => {
                        write!(f, "waiting {seconds:.0} s: --max-requests-per-second")
                    }
                }
            }
        }
    }
}
