//! What a caller may want to show or count while calls are under way. Nothing here prints.

use std::fmt;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::rate_headers::RatePolicy;

/// Something that makes a run slower than it looks from outside. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A call failed and will be sent again.
    Retrying {
        /// What was asked.
        operation: Endpoint,
        /// Its path, below the base URL.
        path: String,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How many attempts there are at most.
        attempts: u32,
        /// How long until the next one.
        wait: Duration,
        /// What the failed attempt ended with, in one line.
        error: String,
    },
    /// Every call that shares the token waits, in all accounts of the run. Told once for all of them.
    Waiting {
        /// How long.
        wait: Duration,
        /// What for.
        reason: WaitReason,
    },
}

/// Why calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The server answered 429, and said for how long.
    RateLimited,
    /// The server answered 429, and not for how long.
    RateLimitedNoRetryAfter,
    /// The server's rate limit is used up, or nearly.
    Budget(RatePolicy),
    /// The limit for everything that calls from this address is used up.
    Address(RatePolicy),
    /// The run's own `--max-requests-per-second`.
    MaxRequestsPerSecond,
}

/// What a run's calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Requests sent, every attempt counted.
    pub requests: u64,
    /// Attempts repeated after a failure other than a 429.
    pub retries: u64,
    /// Answers 429.
    pub rate_limited: u64,
    /// How often the whole run had to wait for its rate budget.
    pub waits: u64,
    /// How long it waited for it in total.
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
            ClientEvent::Retrying {
                operation: _,
                path: _,
                attempt,
                attempts,
                wait,
                error,
            } => write!(
                f,
                "attempt {attempt} of {attempts} failed, next in {:.1} s: {error}",
                wait.as_secs_f64()
            ),
            ClientEvent::Waiting { wait, reason } => {
                write!(
                    f,
                    "every call waits {:.0} s: {reason}",
                    wait.as_secs_f64().ceil()
                )
            }
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::RateLimited => f.write_str("the server answered 429 and asks for it"),
            WaitReason::RateLimitedNoRetryAfter => f.write_str(
                "the server answered 429 without saying for how long; after that the run gives up",
            ),
            WaitReason::Budget(RatePolicy { quota, window }) => {
                write!(
                    f,
                    "the token's {quota} requests per {} s are nearly used up",
                    window.as_secs()
                )
            }
            WaitReason::Address(RatePolicy { quota, window }) => {
                write!(
                    f,
                    "{quota} requests per {} s is the limit for one address",
                    window.as_secs()
                )
            }
            WaitReason::MaxRequestsPerSecond => f.write_str("--max-requests-per-second"),
        }
    }
}
