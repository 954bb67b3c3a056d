//! What an answer tells whatever was asked: how to find the call again, and how it stands with the server.

use http::HeaderMap;
use http::header::DATE;
use jiff::{SignedDuration, Timestamp};

use super::rate_headers::RateHeaders;

/// How an operator finds a call again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// The answer's `Cf-Auditlog-Id`. Not every answer has one (`schema/api.md`, Transport).
    pub audit_log_id: Option<String>,
    /// The answer's `CF-Ray`, which the vendor's audit log and its error pages name.
    pub ray: Option<String>,
}

impl RequestIds {
    /// Takes what a later answer tells, and keeps what it doesn't.
    pub(crate) fn keep(&mut self, later: &RequestIds) {
        let RequestIds { audit_log_id, ray } = later;
        if audit_log_id.is_some() {
            self.audit_log_id.clone_from(audit_log_id);
        }
        if ray.is_some() {
            self.ray.clone_from(ray);
        }
    }

    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        RequestIds {
            audit_log_id: text("cf-auditlog-id"),
            // Printed among words, so nothing that is not one.
            ray: text("cf-ray").filter(|ray| {
                ray.len() <= 64 && ray.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            }),
        }
    }
}

/// The signs of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseMetadata {
    /// Where the caller stands with the rate limit.
    pub rate: RateHeaders,
    /// How far the server's clock was ahead of this machine's, within a second or so; `None` where the answer bore no `Date`.
    pub clock_ahead: Option<SignedDuration>,
}

impl ResponseMetadata {
    /// Reads the headers of an answer that has just come in.
    pub(super) fn read(headers: &HeaderMap, rate: &RateHeaders) -> Self {
        ResponseMetadata {
            rate: rate.clone(),
            clock_ahead: date(headers).map(|date| date.duration_since(Timestamp::now())),
        }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}
