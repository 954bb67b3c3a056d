//! What an answer tells about the server itself, whatever was asked.

use http::HeaderMap;
use http::header::DATE;
use jiff::{SignedDuration, Timestamp};

use super::rate_headers::RateHeaders;

/// The signs of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Where the caller stands with the rate limit.
    pub rate: RateHeaders,
    /// How far the server's clock was ahead of this machine's, within a second or so; `None` where the answer bore no `Date`.
    pub clock_ahead: Option<SignedDuration>,
}

impl Signs {
    /// Reads the headers of an answer that has just come in.
    pub(super) fn read(headers: &HeaderMap, rate: &RateHeaders) -> Self {
        Signs {
            rate: rate.clone(),
            clock_ahead: date(headers).map(|date| date.duration_since(Timestamp::now())),
        }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}
