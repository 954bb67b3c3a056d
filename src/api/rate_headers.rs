//! What an answer says about the rate limit: `Ratelimit`, `Ratelimit-Policy` and `Retry-After` (`schema/api.md`, Transport).
//!
//! Read generously: a header that makes no sense is as good as none, since no call may fail over it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use sfv::{BareItem, Item, List, ListEntry, Parser};

/// The three headers of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// What is left of the windows that the server counts in.
    pub remaining: Vec<Remaining>,
    /// The quotas that it enforces.
    pub policies: Vec<RatePolicy>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

/// `Ratelimit: "default";r=50;t=30`: so many requests are left, and the window ends so soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Requests left in the window.
    pub requests: u64,
    /// How long until the window starts anew.
    pub resets_in: Duration,
}

/// `Ratelimit-Policy: "burst";q=100;w=60`: so many requests in any such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RatePolicy {
    /// Requests that a window may hold; at least one.
    pub quota: u64,
    /// How long a window is; longer than nothing.
    pub window: Duration,
}

impl RateHeaders {
    /// Reads the headers of an answer.
    pub fn read(headers: &HeaderMap) -> Self {
        let remaining = members(headers, "ratelimit", "r", "t")
            .map(|(requests, seconds)| Remaining {
                requests,
                resets_in: Duration::from_secs(seconds),
            })
            .collect();
        let policies = members(headers, "ratelimit-policy", "q", "w")
            .filter(|(quota, seconds)| *quota > 0 && *seconds > 0)
            .map(|(quota, seconds)| RatePolicy {
                quota,
                window: Duration::from_secs(seconds),
            })
            .collect();
        RateHeaders {
            remaining,
            policies,
            retry_after: retry_after(headers, SystemTime::now()),
        }
    }
}

/// The members of a structured list that carry both whole-numbered parameters (RFC 9651).
fn members(
    headers: &HeaderMap,
    name: &str,
    first: &str,
    second: &str,
) -> impl Iterator<Item = (u64, u64)> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| Parser::new(value.as_bytes()).parse::<List>().ok())
        .flatten()
        .filter_map(|entry| match entry {
            ListEntry::Item(item) => Some((whole(&item, first)?, whole(&item, second)?)),
            ListEntry::InnerList(_) => None,
        })
}

fn whole(item: &Item, parameter: &str) -> Option<u64> {
    match item.params.get(parameter)? {
        BareItem::Integer(number) => u64::try_from(i64::from(*number)).ok(),
        _ => None,
    }
}

/// `Retry-After` in seconds or as a date. A date is measured against the answer's own `Date` where it has one, so that a clock that
/// is wrong here changes nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than any number can hold is longer than anybody waits.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let answered = headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .unwrap_or(now);
    Some(until.duration_since(answered).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> RateHeaders {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        RateHeaders::read(&headers)
    }

    #[test]
    fn reads_what_is_left_and_the_policies() {
        let left = |requests, seconds| Remaining {
            requests,
            resets_in: Duration::from_secs(seconds),
        };
        for (text, expected) in [
            (r#""default";r=50;t=30"#, vec![left(50, 30)]),
            (r#"default;t=30;r=0;pk=:eA==:"#, vec![left(0, 30)]),
            (r#""a";r=1;t=2, "b";r=3;t=4"#, vec![left(1, 2), left(3, 4)]),
            (r#""default";r=50"#, vec![]),
            (r#""default";r=-1;t=30"#, vec![]),
            (r#""default";r=1.5;t=30"#, vec![]),
            ("limit=100, remaining=50", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(read(&[("ratelimit", text)]).remaining, expected, "{text}");
        }
        let policy = |quota, seconds| RatePolicy {
            quota,
            window: Duration::from_secs(seconds),
        };
        for (text, expected) in [
            (r#""burst";q=100;w=60"#, vec![policy(100, 60)]),
            (
                r#""burst";q=100;w=60,"daily";q=1000;w=86400"#,
                vec![policy(100, 60), policy(1000, 86400)],
            ),
            (r#""nothing";q=0;w=60"#, vec![]),
            (r#""no time";q=5;w=0"#, vec![]),
            (r#""burst";q="100";w=60"#, vec![]),
        ] {
            assert_eq!(
                read(&[("ratelimit-policy", text)]).policies,
                expected,
                "{text}"
            );
        }
        let twice = read(&[
            ("ratelimit", r#""a";r=1;t=2"#),
            ("ratelimit", r#""b";r=3;t=4"#),
        ]);
        assert_eq!(twice.remaining, [left(1, 2), left(3, 4)]);
    }

    #[test]
    fn reads_how_long_to_wait() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:01:00 GMT").unwrap();
        for (text, with_date, without_date) in [
            ("120", Some(120), Some(120)),
            ("0", Some(0), Some(0)),
            ("Sun, 22 Nov 2026 10:01:30 GMT", Some(90), Some(30)),
            ("Sunday, 22-Nov-26 10:01:30 GMT", Some(90), Some(30)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", Some(0), Some(0)),
            ("-5", None, None),
            ("soon", None, None),
            ("99999999999999999999", Some(u64::MAX), Some(u64::MAX)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let seconds =
                |headers: &HeaderMap| retry_after(headers, now).map(|wait| wait.as_secs());
            assert_eq!(seconds(&headers), without_date, "{text}");
            headers.insert(DATE, "Sun, 22 Nov 2026 10:00:00 GMT".parse().unwrap());
            assert_eq!(seconds(&headers), with_date, "{text}");
        }
    }
}
