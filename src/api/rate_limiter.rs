//! The rate limit of one token: a fixed number of requests per period, the user's own maximum, and the pauses that the server asks for.
//!
//! A request counts from when it is sent.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

/// Maximum time that one request waits for the server.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(600);

/// Shorter waits are not reported.
const MIN_REPORTED_WAIT: Duration = Duration::from_secs(1);

/// Maximum length of a pause. Prevents overflow of times. Actual pauses are much shorter.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Wait after a 429 without `Retry-After`.
const GUESSED_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Reason for a wait: text before and after its length.
pub(super) type WaitReason = (&'static str, &'static str);

/// Metadata of one response, from its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseMetadata {
    /// Requests left before the rate limit, and the time until its window ends, if the response has them.
    pub remaining: Option<(u64, Duration)>,
    /// Offset of the server's clock from this machine's, to about a second; `None` without a `Date` header.
    pub clock_skew: Option<SignedDuration>,
}

/// Limits requests with one token.
#[derive(Default)]
pub(super) struct RateLimiter {
    state: Mutex<State>,
    /// Held by the next request to be admitted; holds the end of the last reported wait. The others queue in order.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct State {
    windows: Vec<Window>,
    paused: Option<(Instant, WaitReason)>,
}

/// A maximum number of requests per period.
struct Window {
    requests: usize,
    period: Duration,
    reason: WaitReason,
    /// Times at which requests were sent, oldest first.
    sent: VecDeque<Instant>,
}

/// The right to send one request: within the rate limit, and not canceled.
#[must_use]
pub struct SendPermit(());

/// Attempts of one request, and its waits for the server.
#[derive(Debug, Default)]
pub struct Attempts {
    pub(super) failed: u32,
    /// Total time of the waits.
    pub(super) waited: Duration,
    /// End of the last pause that was added.
    paused_until: Option<Instant>,
}

impl RateLimiter {
    /// Creates a rate limiter with Cloudflare's limit (`schema/api.md`, Transport) and the user's own.
    pub(super) fn new(has_limit: bool, max_per_second: Option<NonZeroU32>) -> Self {
        let window = |requests: u32, seconds, reason| Window {
            requests: requests as usize,
            period: Duration::from_secs(seconds),
            reason,
            sent: VecDeque::new(),
        };
        const BUDGET: &str = ": staying below the limit of 1200 requests per 300 s";
        // Two seconds more, because the server counts a request a little later than it is sent.
        let token = has_limit.then(|| window(1200, 302, ("", BUDGET)));
        let own = ("", ": --max-requests-per-second");
        let own = max_per_second.map(|requests| window(requests.get(), 1, own));
        let limiter = RateLimiter::default();
        limiter.state().windows.extend(token.into_iter().chain(own));
        limiter
    }

    /// Waits until a request may be sent. `report` receives each long wait once, regardless of the number of waiting requests.
    ///
    /// # Errors
    /// The length of the pause, at once, if the pauses of this request would exceed `max_wait` in total.
    pub(super) async fn acquire(
        &self,
        attempts: &mut Attempts,
        max_wait: Duration,
        report: impl Fn(Duration, WaitReason),
    ) -> Result<SendPermit, Duration> {
        attempts.add_pause(self.state().paused, max_wait)?;
        let mut reported = self.turn.lock().await;
        loop {
            let now = Instant::now();
            let next = {
                let mut state = self.state();
                let pause = state.paused.filter(|(until, _)| *until > now);
                attempts.add_pause(pause, max_wait)?;
                let next = pause.or_else(|| state.full_window(now));
                if next.is_none() {
                    let windows = state.windows.iter_mut();
                    windows.for_each(|window| window.sent.push_back(now));
                }
                next
            };
            let Some((until, reason)) = next else {
                return Ok(SendPermit(()));
            };
            let is_new = reported.is_none_or(|known| until > known + MIN_REPORTED_WAIT);
            if is_new && until - now >= MIN_REPORTED_WAIT {
                *reported = Some(until);
                report(until - now, reason);
            }
            sleep_until(until).await;
        }
    }

    /// Pauses all requests with this token if a response asks for it. Returns the delay before a retry.
    pub(super) fn pause_after(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        remaining: Option<(u64, Duration)>,
    ) -> Option<Duration> {
        let retry_after = retry_after(headers);
        if status == StatusCode::TOO_MANY_REQUESTS {
            let reason = match retry_after {
                Some(_) => " (429, Retry-After)",
                None => " (429, no Retry-After)",
            };
            let wait = retry_after.unwrap_or(GUESSED_RETRY_AFTER);
            let wait = wait.max(Duration::from_secs(1));
            self.pause(wait, ("rate limited, ", reason));
            return Some(wait);
        }
        if let Some((0, resets_in)) = remaining {
            // The header has whole seconds, so one more is added.
            let wait = resets_in.saturating_add(Duration::from_secs(1));
            self.pause(wait, ("rate limit used up, ", " (Ratelimit header)"));
        }
        retry_after
    }

    fn pause(&self, length: Duration, reason: WaitReason) {
        let until = Instant::now() + length.min(MAX_PAUSE);
        let mut state = self.state();
        if state.paused.is_none_or(|(known, _)| known < until) {
            state.paused = Some((until, reason));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("rate limiter lock poisoned")
    }
}

impl State {
    /// Returns when a window without room for another request will have some.
    fn full_window(&mut self, now: Instant) -> Option<(Instant, WaitReason)> {
        self.windows.iter_mut().find_map(|window| {
            let ends = window.sent.iter().map(|sent| *sent + window.period);
            let past = ends.take_while(|end| *end <= now).count();
            window.sent.drain(..past);
            let next = *window.sent.front()? + window.period;
            (window.sent.len() >= window.requests).then_some((next, window.reason))
        })
    }
}

impl Attempts {
    /// Adds the part of a pause that has not been added.
    fn add_pause(
        &mut self,
        pause: Option<(Instant, WaitReason)>,
        max_wait: Duration,
    ) -> Result<(), Duration> {
        let Some((until, _)) = pause else {
            return Ok(());
        };
        let now = Instant::now();
        let from = self.paused_until.map_or(now, |added| added.max(now));
        self.waited += until.saturating_duration_since(from);
        self.paused_until = Some(until.max(from));
        match self.waited > max_wait {
            true => Err(until.saturating_duration_since(now)),
            false => Ok(()),
        }
    }
}

impl ResponseMetadata {
    /// Reads the headers of a response that has just arrived.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let date = date(headers).and_then(|date| Timestamp::try_from(date).ok());
        ResponseMetadata {
            remaining: remaining(headers),
            clock_skew: date.map(|date| date.duration_since(Timestamp::now())),
        }
    }
}

/// Returns the smallest number of requests left that the `Ratelimit` header states, such as `"default";r=50;t=30`.
fn remaining(headers: &HeaderMap) -> Option<(u64, Duration)> {
    let lines = headers.get_all("ratelimit").iter();
    let members = lines.filter_map(|line| line.to_str().ok());
    let members = members.flat_map(|line| line.split(','));
    let remaining = members.filter_map(|member| {
        let number = |name| {
            let mut parts = member.split(';').map(str::trim);
            parts.find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok())
        };
        Some((number("r=")?, Duration::from_secs(number("t=")?)))
    });
    remaining.min_by_key(|(left, resets_in)| (*left, std::cmp::Reverse(*resets_in)))
}

/// Returns `Retry-After`, in seconds or as a date. A date is relative to the response's own `Date`, so that a wrong local clock does
/// not matter.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let answered = date(headers).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(answered).unwrap_or(Duration::ZERO))
}

/// Returns the time of a response.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
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
            let found = remaining(&headers).map(|(left, resets_in)| (left, resets_in.as_secs()));
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
