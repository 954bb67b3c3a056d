//! Metadata of a response, read from its headers: request IDs, rate limit and clock.

use http::HeaderMap;
use http::header::DATE;
use jiff::{SignedDuration, Timestamp};

use super::rate_limiter::{self, Remaining};

/// IDs that identify a request in Cloudflare's logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// `Cf-Auditlog-Id` header. Not every response has one (`schema/api.md`, Transport).
    pub audit_log_id: Option<String>,
    /// `CF-Ray` header, also shown in Cloudflare's audit log and error pages.
    pub ray: Option<String>,
}

impl RequestIds {
    /// Overwrites the IDs with those of a later response; keeps IDs that it lacks.
    pub(crate) fn update_from(&mut self, later: &RequestIds) {
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
            // Untrusted and printed in messages, so only letters, digits and hyphens are accepted.
            ray: text("cf-ray").filter(|ray| {
                ray.len() <= 64 && ray.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            }),
        }
    }
}

/// Metadata of one response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseMetadata {
    /// Requests left before the rate limit, if the response says so.
    pub remaining: Option<Remaining>,
    /// Offset of the server's clock from this machine's, to about a second; `None` without a `Date` header.
    pub clock_skew: Option<SignedDuration>,
}

impl ResponseMetadata {
    /// Reads the headers of a response that has just arrived.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        ResponseMetadata {
            remaining: rate_limiter::remaining(headers),
            clock_skew: date(headers).map(|date| date.duration_since(Timestamp::now())),
        }
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}
