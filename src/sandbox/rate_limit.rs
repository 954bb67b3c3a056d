//! Rate limit per token (`schema/api.md`, Transport). The limit of 200 requests per second and IP address is not simulated.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::settings::RateLimit;

/// Requests of each token.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    /// Requests without a valid token share one window, which bounds the memory.
    windows: HashMap<Option<String>, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Instant,
    used: u32,
    blocked: bool,
}

/// Rate-limit status of a token after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimitStatus {
    limit: u32,
    window: Duration,
    remaining: u32,
    /// Time until the window resets or the block ends.
    resets_in: Duration,
    /// True if the request exceeded the limit or came during a block.
    pub(super) blocked: bool,
}

impl RateLimits {
    /// Counts one request; returns `None` without a limit.
    pub(super) fn count(
        &mut self,
        limit: RateLimit,
        token: Option<&str>,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        let RateLimit::Limited {
            requests,
            window: length,
        } = limit
        else {
            return None;
        };
        let limit = requests.get();
        let fresh = Window {
            ends: now + length,
            used: 0,
            blocked: false,
        };
        let window = self
            .windows
            .entry(token.map(str::to_owned))
            .or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        window.used = window.used.saturating_add(1);
        if window.used > limit && !window.blocked {
            // Exceeding the limit blocks all requests for another full window.
            window.blocked = true;
            window.ends = now + length;
        }
        Some(RateLimitStatus {
            limit,
            window: length,
            remaining: limit.saturating_sub(window.used),
            resets_in: window.ends - now,
            blocked: window.blocked,
        })
    }
}

impl RateLimitStatus {
    /// Adds the rate-limit headers. Times are whole seconds, rounded up.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let resets_in = self.resets_in.as_secs_f64().ceil();
        let (limit, remaining, window) = (self.limit, self.remaining, self.window.as_secs());
        let mut add = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value)
                .expect("numbers, letters and quotes make a header value");
            headers.insert(name, value);
        };
        add(
            "ratelimit",
            format!("\"default\";r={remaining};t={resets_in}"),
        );
        add(
            "ratelimit-policy",
            format!("\"default\";q={limit};w={window}"),
        );
        if self.blocked {
            add("retry-after", resets_in.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_blocks_for_a_whole_window() {
        let limit: RateLimit = "3/300".parse().unwrap();
        let start = Instant::now();
        let mut limits = RateLimits::default();
        let mut at = |seconds, token| {
            let standing = limits
                .count(limit, Some(token), start + Duration::from_secs(seconds))
                .unwrap();
            (
                standing.remaining,
                standing.resets_in.as_secs(),
                standing.blocked,
            )
        };
        assert_eq!(at(0, "a"), (2, 300, false));
        assert_eq!(at(100, "a"), (1, 200, false));
        assert_eq!(at(200, "a"), (0, 100, false));
        assert_eq!(at(200, "a"), (0, 300, true), "the fourth");
        assert_eq!(
            at(200, "b"),
            (2, 300, false),
            "another token is not touched"
        );
        assert_eq!(at(499, "a"), (0, 1, true), "still blocked");
        assert_eq!(at(500, "a"), (2, 300, false), "a new window");
    }

    #[test]
    fn limit_off_allows_every_request() {
        assert_eq!(
            RateLimits::default().count(RateLimit::Off, None, Instant::now()),
            None
        );
    }
}
