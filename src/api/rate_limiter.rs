//! The rate limit of one token: a fixed number of requests per period, the user's own maximum, and the pauses that the server asks for.
//!
//! A request counts from when it is sent until a whole period after its response, because the server counted it somewhere in between.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::event::WaitReason;

/// Shorter waits are not reported.
const MIN_REPORTED_WAIT: Duration = Duration::from_secs(1);

/// Maximum length of a pause. Keeps times in range; no request waits nearly that long.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A number of requests per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RatePolicy {
    pub requests: u32,
    pub period: Duration,
}

/// Limits of the request rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Limit of the token; `None` for a server without one.
    pub token: Option<RatePolicy>,
    /// Maximum requests per second (`--max-requests-per-second`).
    pub max_per_second: Option<NonZeroU32>,
}

impl RateSettings {
    /// No limit.
    pub const UNLIMITED: RateSettings = RateSettings {
        token: None,
        max_per_second: None,
    };
}

impl Default for RateSettings {
    /// Returns Cloudflare's limit (`schema/api.md`, Transport).
    fn default() -> Self {
        RateSettings {
            token: Some(RatePolicy {
                requests: 1200,
                period: Duration::from_secs(300),
            }),
            ..RateSettings::UNLIMITED
        }
    }
}

/// Requests left, from the `Ratelimit` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Requests left until the window ends.
    pub requests: u64,
    /// Time until the window ends.
    pub resets_in: Duration,
}

/// Limits requests with one token.
#[derive(Debug)]
pub(super) struct RateLimiter {
    state: Mutex<State>,
    /// Held by the next request to be admitted; holds the end of the last reported wait. The others queue in order.
    turn: tokio::sync::Mutex<Option<Instant>>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    windows: Vec<Window>,
    in_flight: usize,
    paused: Option<(Instant, WaitReason)>,
}

#[derive(Debug)]
struct Window {
    policy: RatePolicy,
    reason: WaitReason,
    /// End times of finished requests, oldest first.
    finished: VecDeque<Instant>,
}

/// The right to send one request. Dropped when the request has ended.
pub(super) struct Permit<'a> {
    limiter: &'a RateLimiter,
    /// Time for which this request was first in the queue.
    pub(super) held_up: Duration,
}

/// Time that one request has waited for the server.
#[derive(Debug, Default)]
pub(super) struct Waited {
    pub(super) total: Duration,
    /// End of the last pause that was added.
    until: Option<Instant>,
}

/// The server asks for a longer wait than permitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitTooLong(pub(super) Duration);

impl RateLimiter {
    pub(super) fn new(settings: RateSettings) -> Self {
        let RateSettings {
            token,
            max_per_second,
        } = settings;
        let token = token.map(|policy| (policy, WaitReason::Budget(policy)));
        let own = max_per_second.map(|requests| {
            let policy = RatePolicy {
                requests: requests.get(),
                period: Duration::from_secs(1),
            };
            (policy, WaitReason::MaxRequestsPerSecond)
        });
        let windows = token.into_iter().chain(own);
        let windows = windows.map(|(policy, reason)| Window {
            policy,
            reason,
            finished: VecDeque::new(),
        });
        RateLimiter {
            state: Mutex::new(State {
                windows: windows.collect(),
                in_flight: 0,
                paused: None,
            }),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits until a request may be sent. `report` receives each long wait once, regardless of the number of waiting requests.
    ///
    /// # Errors
    /// At once, if the pauses of this request would exceed `max_wait` in total.
    pub(super) async fn acquire(
        &self,
        waited: &mut Waited,
        max_wait: Duration,
        report: impl Fn(Duration, WaitReason),
    ) -> Result<Permit<'_>, WaitTooLong> {
        waited.add(self.state().paused, max_wait)?;
        let mut reported = self.turn.lock().await;
        let asked = Instant::now();
        let mut now = asked;
        loop {
            let next = {
                let mut state = self.state();
                state.paused = state.paused.filter(|(until, _)| *until > now);
                waited.add(state.paused, max_wait)?;
                let next = state.paused.map(|(until, reason)| (Some(until), reason));
                let next = next.or_else(|| state.full_window(now));
                if next.is_none() {
                    state.in_flight += 1;
                }
                next
            };
            match next {
                None => {
                    return Ok(Permit {
                        limiter: self,
                        held_up: now - asked,
                    });
                }
                Some((None, _)) => self.changed.notified().await,
                Some((Some(until), reason)) => {
                    let wait = until - now;
                    let is_new = reported.is_none_or(|known| until > known + MIN_REPORTED_WAIT);
                    if is_new && wait >= MIN_REPORTED_WAIT {
                        *reported = Some(until);
                        report(wait, reason);
                    }
                    tokio::select! {
                        () = sleep_until(until) => {}
                        () = self.changed.notified() => {}
                    }
                }
            }
            now = Instant::now();
        }
    }

    /// Pauses all requests with this token.
    pub(super) fn pause(&self, length: Duration, reason: WaitReason) {
        let until = Instant::now() + length.min(MAX_PAUSE);
        let mut state = self.state();
        if state.paused.is_none_or(|(known, _)| known < until) {
            state.paused = Some((until, reason));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("rate limiter lock poisoned")
    }
}

impl State {
    /// Returns a window without room for another request, and when it will have some; `None` after the next response.
    fn full_window(&mut self, now: Instant) -> Option<(Option<Instant>, WaitReason)> {
        for window in &mut self.windows {
            let Window {
                policy,
                reason,
                finished,
            } = window;
            while finished
                .front()
                .is_some_and(|end| *end + policy.period <= now)
            {
                finished.pop_front();
            }
            if finished.len() + self.in_flight >= policy.requests as usize {
                let at = finished.front().map(|end| *end + policy.period);
                return Some((at, *reason));
            }
        }
        None
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.in_flight -= 1;
        for window in &mut state.windows {
            window.finished.push_back(Instant::now());
        }
        drop(state);
        self.limiter.changed.notify_one();
    }
}

impl Waited {
    /// Adds the part of a pause that has not been added.
    fn add(
        &mut self,
        pause: Option<(Instant, WaitReason)>,
        max_wait: Duration,
    ) -> Result<(), WaitTooLong> {
        let Some((until, _)) = pause else {
            return Ok(());
        };
        let now = Instant::now();
        let from = self.until.map_or(now, |added| added.max(now));
        self.total += until.saturating_duration_since(from);
        self.until = Some(until.max(from));
        if self.total > max_wait {
            return Err(WaitTooLong(until.saturating_duration_since(now)));
        }
        Ok(())
    }
}

/// Returns the smallest number of requests left that the `Ratelimit` header states, such as `"default";r=50;t=30`.
pub(super) fn remaining(headers: &HeaderMap) -> Option<Remaining> {
    let lines = headers.get_all("ratelimit").iter();
    let members = lines.filter_map(|line| line.to_str().ok());
    let members = members.flat_map(|line| line.split(','));
    let remaining = members.filter_map(|member| {
        let number = |name| {
            let mut parts = member.split(';').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok())
        };
        Some(Remaining {
            requests: number("r=")?,
            resets_in: Duration::from_secs(number("t=")?),
        })
    });
    remaining.min_by_key(|left| (left.requests, std::cmp::Reverse(left.resets_in)))
}

/// Returns `Retry-After`, in seconds or as a date. A date is relative to the response's own `Date`, so that a wrong local clock does
/// not matter.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let answered = headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or_else(SystemTime::now);
    Some(until.duration_since(answered).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratelimit_header_gives_the_smallest_remainder() {
        for (lines, expected) in [
            (&[r#""default";r=50;t=30"#][..], Some((50, 30))),
            (&["default;t=30;r=0;pk=:eA==:"], Some((0, 30))),
            (&[r#""a";r=1;t=2, "b";r=3;t=4"#], Some((1, 2))),
            (&[r#""a";r=3;t=2"#, r#""b";r=1;t=4"#], Some((1, 4))),
            (&[r#""a";r=0;t=2, "b";r=0;t=4"#], Some((0, 4))),
            (&[r#""default";r=50"#], None),
            (&[r#""default";r=-1;t=30"#], None),
            (&[r#""default";r=1.5;t=30"#], None),
            (&["limit=100, remaining=50"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("ratelimit", line.parse().unwrap());
            }
            let found = remaining(&headers).map(|left| (left.requests, left.resets_in.as_secs()));
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 22 Nov 2026 10:01:30 GMT", Some(90)),
            ("Sunday, 22-Nov-26 10:01:30 GMT", Some(90)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999", Some(u64::MAX)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            headers.insert(DATE, "Sun, 22 Nov 2026 10:00:00 GMT".parse().unwrap());
            let found = retry_after(&headers).map(|wait| wait.as_secs());
            assert_eq!(found, seconds, "{text}");
        }
        // Without a Date header, the local clock counts.
        let mut headers = HeaderMap::new();
        headers.insert(
            RETRY_AFTER,
            "Sun, 22 Nov 2020 10:00:00 GMT".parse().unwrap(),
        );
        assert_eq!(retry_after(&headers), Some(Duration::ZERO));
    }
}
