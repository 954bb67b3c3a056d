//! How fast requests may follow each other: bookkeeping of rate limits, told the time by its caller.
//!
//! A request counts from when it is sent until a whole window after it was answered, since the server counted it somewhere in
//! between. So no stretch of time as long as a window ever holds more than the quota, and it makes no difference whether the server's
//! window slides, stands on the clock, or begins with the first request. What the server says is left tells what others used.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::event::WaitReason;
use super::rate_headers::{RateHeaders, RatePolicy, Remaining};

/// Nobody knows before the first answer what is left of the limit, so no more than this many go out until it is there: the two reads of
/// each account that is worked on at once, unless `--parallelism` says otherwise.
const MAX_BEFORE_FIRST_RESPONSE: u64 = 20;

/// Once less than one part in so many of a quota is left, the rest is spread over the time until there is more, so that others who
/// use the token still find room.
const SLOW_FROM: u64 = 10;

/// How fast to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// The token's limit until the server says another; `None` for a server that has none unless it says so.
    pub token: Option<RatePolicy>,
    /// The limit for everything that calls from this address; the server never states it.
    pub address: Option<RatePolicy>,
    /// The run's own ceiling, in requests per second.
    pub ceiling: Option<NonZeroU32>,
}

impl RateSettings {
    /// No limit but those that the server states.
    pub const UNLIMITED: RateSettings = RateSettings {
        token: None,
        address: None,
        ceiling: None,
    };
}

impl Default for RateSettings {
    /// What Cloudflare documents (`schema/api.md`, Transport), and no ceiling.
    fn default() -> Self {
        RateSettings {
            token: Some(RatePolicy {
                quota: 1200,
                window: Duration::from_secs(300),
            }),
            address: Some(RatePolicy {
                quota: 200,
                window: Duration::from_secs(1),
            }),
            ceiling: None,
        }
    }
}

/// The limits of one token, and what is used of them.
#[derive(Debug)]
pub(super) struct Pace {
    /// The token's own, which the server may change.
    token: Vec<Window>,
    /// The others, which it doesn't know of.
    fixed: Vec<Window>,
    in_flight: u64,
    answered: bool,
    paused: Option<(Instant, WaitReason)>,
    /// Until when the one pause lasts whose length the server did not say.
    guessed_until: Option<Instant>,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Now; it is counted as in flight.
    Granted,
    /// Ask again then, or once something has changed.
    WaitUntil(Instant, WaitReason),
    /// Ask again once something has changed.
    AfterNextResponse,
}

impl Pace {
    pub(super) fn new(settings: RateSettings) -> Self {
        let RateSettings {
            token,
            address,
            ceiling,
        } = settings;
        let address = address.map(|policy| Window::new(policy, WaitReason::Address(policy)));
        let ceiling = ceiling.map(|ceiling| {
            let policy = RatePolicy {
                quota: ceiling.get().into(),
                window: Duration::from_secs(1),
            };
            Window::new(policy, WaitReason::MaxRequestsPerSecond)
        });
        Pace {
            token: token.map(Window::of_token).into_iter().collect(),
            fixed: address.into_iter().chain(ceiling).collect(),
            in_flight: 0,
            answered: false,
            paused: None,
            guessed_until: None,
        }
    }

    /// Asks to send one request.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        if let Some((until, reason)) = self.paused {
            if now < until {
                return Admission::WaitUntil(until, reason);
            }
            self.paused = None;
        }
        if !self.answered && self.in_flight >= MAX_BEFORE_FIRST_RESPONSE {
            return Admission::AfterNextResponse;
        }
        let in_flight = self.in_flight;
        let mut latest = None;
        for window in self.token.iter_mut().chain(&mut self.fixed) {
            match window.admission(now, in_flight) {
                Admission::Granted => {}
                Admission::AfterNextResponse => return Admission::AfterNextResponse,
                Admission::WaitUntil(at, reason) => {
                    latest = latest
                        .filter(|(other, _)| *other >= at)
                        .or(Some((at, reason)));
                }
            }
        }
        if let Some((at, reason)) = latest {
            return Admission::WaitUntil(at, reason);
        }
        self.in_flight += 1;
        for window in self.token.iter_mut().chain(&mut self.fixed) {
            window.spread(now, self.in_flight);
        }
        Admission::Granted
    }

    /// Takes note that an admitted request is over, however it ended.
    pub(super) fn finished(&mut self, now: Instant) {
        self.in_flight -= 1;
        for window in self.token.iter_mut().chain(&mut self.fixed) {
            window.leave.push(Reverse(now + window.policy.window));
        }
    }

    /// Takes note of what an answer says, before its request is finished.
    pub(super) fn learn(&mut self, headers: &RateHeaders, now: Instant) {
        self.answered = true;
        let known = self.token.iter().map(|window| &window.policy);
        if !headers.policies.is_empty() && !known.eq(&headers.policies) {
            let fullest = self.token.iter().max_by_key(|window| window.leave.len());
            self.token = headers
                .policies
                .iter()
                .map(|policy| Window::of_token(*policy).with_the_past_of(fullest))
                .collect();
        }
        // Which limit a remainder belongs to is not said for sure. Read into a wider one it does no harm: it only lasts until the
        // narrower one starts anew.
        for remaining in &headers.remaining {
            for window in &mut self.token {
                window.learn(*remaining, self.in_flight, now);
            }
        }
    }

    /// Holds every request back until then.
    pub(super) fn pause_until(&mut self, until: Instant, reason: WaitReason) {
        if self.paused.is_none_or(|(known, _)| known < until) {
            self.paused = Some((until, reason));
        }
    }

    /// The same for a refusal, of a request sent at `sent`, that didn't say for how long. That is guessed once in a run; says whether
    /// the request belongs to those that the guess is for.
    pub(super) fn pause_once(&mut self, until: Instant, sent: Instant) -> bool {
        match self.guessed_until {
            Some(guessed) => sent < guessed,
            None => {
                self.guessed_until = Some(until);
                self.pause_until(until, WaitReason::RateLimitedNoRetryAfter);
                true
            }
        }
    }
}

/// One limit, and what is used of it.
#[derive(Debug)]
struct Window {
    policy: RatePolicy,
    reason: WaitReason,
    /// When each of our own finished requests no longer counts, soonest first.
    leave: BinaryHeap<Reverse<Instant>>,
    /// What others used, and until when that counts.
    elsewhere: Option<(u64, Instant)>,
    /// When the next request may go while the last ones are spread.
    next_slot: Option<Instant>,
}

impl Window {
    fn new(policy: RatePolicy, reason: WaitReason) -> Self {
        Window {
            policy,
            reason,
            leave: BinaryHeap::new(),
            elsewhere: None,
            next_slot: None,
        }
    }

    fn of_token(policy: RatePolicy) -> Self {
        Window::new(policy, WaitReason::Budget(policy))
    }

    /// Counts the requests that another window of the same token has counted.
    fn with_the_past_of(mut self, other: Option<&Window>) -> Self {
        if let Some(other) = other {
            let finished = other
                .leave
                .iter()
                .filter_map(|Reverse(leaves)| leaves.checked_sub(other.policy.window));
            self.leave = finished
                .map(|finished| Reverse(finished + self.policy.window))
                .collect();
        }
        self
    }

    fn admission(&mut self, now: Instant, in_flight: u64) -> Admission {
        let room = self.room(now, in_flight);
        if room == 0 {
            return match self.more_room_at() {
                Some(at) => Admission::WaitUntil(at, self.reason),
                None => Admission::AfterNextResponse,
            };
        }
        match self.next_slot {
            Some(slot) if now < slot && self.is_scarce(room) => {
                Admission::WaitUntil(slot, self.reason)
            }
            _ => Admission::Granted,
        }
    }

    /// After a request was admitted: says when the next one may go, if few are left.
    fn spread(&mut self, now: Instant, in_flight: u64) {
        let room = self.room(now, in_flight);
        self.next_slot = match self.more_room_at() {
            Some(at) if self.is_scarce(room) => {
                let parts = u32::try_from(room + 1).unwrap_or(u32::MAX);
                Some(now + at.saturating_duration_since(now) / parts)
            }
            _ => None,
        };
    }

    fn room(&mut self, now: Instant, in_flight: u64) -> u64 {
        while self
            .leave
            .peek()
            .is_some_and(|Reverse(leaves)| *leaves <= now)
        {
            self.leave.pop();
        }
        self.elsewhere = self.elsewhere.filter(|(_, until)| *until > now);
        let elsewhere = self.elsewhere.map_or(0, |(used, _)| used);
        self.policy
            .quota
            .saturating_sub(self.own(in_flight).saturating_add(elsewhere))
    }

    fn own(&self, in_flight: u64) -> u64 {
        self.leave.len() as u64 + in_flight
    }

    fn is_scarce(&self, room: u64) -> bool {
        room < self.policy.quota / SLOW_FROM
    }

    fn more_room_at(&self) -> Option<Instant> {
        let own = self.leave.peek().map(|Reverse(leaves)| *leaves);
        let elsewhere = self.elsewhere.map(|(_, until)| until);
        own.into_iter().chain(elsewhere).min()
    }

    /// What the server counted beyond our own requests, others used. The server speaks in whole seconds, so one more is added.
    fn learn(&mut self, remaining: Remaining, in_flight: u64, now: Instant) {
        let Some(used) = self.policy.quota.checked_sub(remaining.requests) else {
            return;
        };
        let Some(elsewhere) = used
            .checked_sub(self.own(in_flight))
            .filter(|used| *used > 0)
        else {
            return;
        };
        // Answers overtake each other; an older one that knows of less changes nothing.
        if self
            .elsewhere
            .is_none_or(|(known, until)| until <= now || known <= elsewhere)
        {
            let lasts = (remaining.resets_in + Duration::from_secs(1)).min(self.policy.window);
            self.elsewhere = Some((elsewhere, now + lasts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(quota: u64, seconds: u64) -> RatePolicy {
        RatePolicy {
            quota,
            window: Duration::from_secs(seconds),
        }
    }

    fn paced(quota: u64, seconds: u64) -> Pace {
        let mut pace = Pace::new(RateSettings {
            token: Some(policy(quota, seconds)),
            address: None,
            ceiling: None,
        });
        pace.answered = true;
        pace
    }

    /// Sends and finishes requests, each taking no time, until one has to wait; says how many went and how long that one waits.
    fn burst(pace: &mut Pace, now: Instant) -> (u64, Duration) {
        for sent in 0.. {
            match pace.admit(now) {
                Admission::Granted => pace.finished(now),
                Admission::WaitUntil(at, _) => return (sent, at - now),
                Admission::AfterNextResponse => panic!("nothing is in flight"),
            }
        }
        unreachable!("a quota ends");
    }

    fn left(requests: u64, seconds: u64) -> RateHeaders {
        RateHeaders {
            remaining: vec![Remaining {
                requests,
                resets_in: Duration::from_secs(seconds),
            }],
            ..RateHeaders::default()
        }
    }

    #[test]
    fn no_window_holds_more_than_the_quota() {
        let start = Instant::now();
        let mut pace = paced(5, 10);
        assert_eq!(burst(&mut pace, start), (5, Duration::from_secs(10)));
        let later = start + Duration::from_secs(4);
        assert_eq!(burst(&mut pace, later), (0, Duration::from_secs(6)));
        assert_eq!(
            burst(&mut pace, start + Duration::from_secs(10)),
            (5, Duration::from_secs(10))
        );
    }

    #[test]
    fn a_request_in_flight_counts_until_a_window_after_its_answer() {
        let start = Instant::now();
        let mut pace = paced(1, 10);
        assert_eq!(pace.admit(start), Admission::Granted);
        assert_eq!(
            pace.admit(start + Duration::from_secs(60)),
            Admission::AfterNextResponse
        );
        let answered = start + Duration::from_secs(61);
        pace.finished(answered);
        assert_eq!(burst(&mut pace, answered), (0, Duration::from_secs(10)));
    }

    #[test]
    fn the_last_tenth_is_spread_over_the_time_left() {
        let start = Instant::now();
        let mut pace = paced(100, 10);
        assert_eq!(burst(&mut pace, start), (91, Duration::from_secs(1)));
        for second in 1..10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                burst(&mut pace, now),
                (1, Duration::from_secs(1)),
                "{second}"
            );
        }
    }

    #[test]
    fn little_is_sent_before_the_first_answer() {
        let now = Instant::now();
        let mut pace = Pace::new(RateSettings::default());
        let granted = (0..100)
            .take_while(|_| pace.admit(now) == Admission::Granted)
            .count();
        assert_eq!(granted as u64, MAX_BEFORE_FIRST_RESPONSE);
        assert_eq!(pace.admit(now), Admission::AfterNextResponse);
        pace.learn(&RateHeaders::default(), now);
        assert_eq!(pace.admit(now), Admission::Granted);
    }

    #[test]
    fn a_new_policy_counts_what_was_sent_under_the_old_one() {
        let now = Instant::now();
        let mut pace = paced(1200, 300);
        for _ in 0..3 {
            assert_eq!(pace.admit(now), Admission::Granted);
            pace.finished(now);
        }
        let narrower = RateHeaders {
            policies: vec![policy(5, 10), policy(1000, 86400)],
            ..RateHeaders::default()
        };
        pace.learn(&narrower, now);
        pace.learn(&narrower, now);
        assert_eq!(burst(&mut pace, now), (2, Duration::from_secs(10)));
    }

    #[test]
    fn what_others_used_counts_until_the_window_starts_anew() {
        let start = Instant::now();
        for (headers, sent) in [
            (vec![left(3, 4)], 3),
            (vec![left(9, 4)], 9),
            // More than the quota belongs to another limit.
            (vec![left(10, 4)], 9),
            // An older answer, which comes later, knows of less.
            (vec![left(3, 4), left(7, 4)], 3),
            (vec![left(7, 4), left(3, 4)], 3),
            (vec![left(0, 1_000_000_000_000_000)], 0),
        ] {
            let mut pace = paced(9, 10);
            for answer in &headers {
                pace.learn(answer, start);
            }
            assert_eq!(burst(&mut pace, start).0, sent, "{headers:?}");
        }
        let mut pace = paced(9, 10);
        pace.learn(&left(0, 4), start);
        assert_eq!(burst(&mut pace, start), (0, Duration::from_secs(5)));
        assert_eq!(burst(&mut pace, start + Duration::from_secs(5)).0, 9);
    }

    #[test]
    fn a_pause_holds_back_everything_and_never_gets_shorter() {
        let now = Instant::now();
        let mut pace = paced(5, 10);
        let reason = WaitReason::RateLimited;
        pace.pause_until(now + Duration::from_secs(60), reason);
        pace.pause_until(now + Duration::from_secs(30), reason);
        let until = now + Duration::from_secs(60);
        assert_eq!(
            pace.admit(now),
            Admission::WaitUntil(until, WaitReason::RateLimited)
        );
        assert_eq!(pace.admit(until), Admission::Granted);
    }
}
