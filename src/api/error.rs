//! The error of an API request. Callers decide on its [`ErrorKind`].

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::model::integration::IntegrationId;

use super::base_url::BaseUrl;
use super::endpoint::Endpoint;
use super::rate_limiter::MAX_WAIT;
use super::transport::{TransportError, TransportErrorKind};

/// A failed API request. Displays as one line; [`help`](ApiError::help) suggests a fix.
#[derive(Clone, Debug)]
pub struct ApiError(Box<ErrorDetails>);

/// Details of an [`ApiError`].
#[derive(Clone, Debug)]
pub struct ErrorDetails {
    pub endpoint: Endpoint,
    pub base_url: BaseUrl,
    /// Relative to the base URL.
    pub path: String,
    /// Source of the credentials.
    pub credentials: Arc<str>,
    pub kind: ErrorKind,
    /// HTTP status, if there was a response.
    pub status: Option<StatusCode>,
    pub messages: Vec<ApiMessage>,
    pub request_ids: RequestIds,
    /// Delay of the `Retry-After` header.
    pub retry_after: Option<Duration>,
}

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
        let later = later.clone();
        self.audit_log_id = later.audit_log_id.or(self.audit_log_id.take());
        self.ray = later.ray.or(self.ray.take());
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

/// Kind of an API error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// Credentials are missing, invalid, expired, malformed or restricted to other IP addresses.
    #[error("authentication failed")]
    Credentials,
    /// Authentication failed or permission missing (code 10000 for both).
    #[error("authentication failed or permission missing")]
    CredentialsOrPermission,
    /// Credentials are valid but lack the permission.
    #[error("permission denied")]
    Permission,
    /// The account's plan does not include Risk Scoring (code 3314).
    #[error("the account does not have Risk Scoring")]
    Entitlement,
    /// The resource does not exist: 404.
    #[error("not found")]
    NotFound,
    /// Unknown account ID or path (code 7003).
    #[error("unknown account or path")]
    UnknownRoute,
    /// Rate limit exceeded: 429.
    #[error("rate limit exceeded")]
    RateLimited,
    /// Any other 4xx.
    #[error("refused")]
    Rejected,
    /// Canceled before it was sent.
    #[error("canceled before it was sent")]
    Cancelled,
    /// 5xx.
    #[error("server error{}", quoted(.excerpt.as_deref()))]
    ServerError {
        /// Beginning of the response if it is not an envelope.
        excerpt: Option<String>,
    },
    /// Missing or incomplete response.
    #[error(transparent)]
    Transport(TransportError),
    /// A response with an integration of another account.
    #[error("unexpected response: integration {id} belongs to another account, {account_tag:?}")]
    OtherAccount {
        id: IntegrationId,
        account_tag: String,
    },
    /// A response that is not from Cloudflare's API or has an unknown format.
    #[error("unexpected response: {problem}")]
    UnexpectedResponse {
        problem: String,
        /// Beginning of the response; `None` if it may contain personal data.
        excerpt: Option<String>,
    },
}

/// An entry of `errors` in an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiMessage {
    /// Cloudflare's error code.
    pub code: i64,
    /// Message, code and causes in one line, without control characters and credentials.
    pub text: String,
}

impl Deref for ApiError {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl DerefMut for ApiError {
    fn deref_mut(&mut self) -> &mut ErrorDetails {
        &mut self.0
    }
}

impl From<ErrorDetails> for ApiError {
    fn from(details: ErrorDetails) -> Self {
        ApiError(Box::new(details))
    }
}

impl ApiError {
    /// Returns the kind of error.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Returns the kind of a failure without a complete response.
    pub fn transport_failure(&self) -> Option<TransportErrorKind> {
        match &self.kind {
            ErrorKind::Transport(error) => Some(error.failure),
            _ => None,
        }
    }

    /// Returns true if a failed write may still have been applied. Check the live state before a retry.
    pub fn may_have_succeeded(&self) -> bool {
        match &self.kind {
            // The server gave up on a request that it had received.
            _ if matches!(
                self.status.map(|status| status.as_u16()),
                Some(408 | 425 | 499)
            ) =>
            {
                true
            }
            ErrorKind::Transport(error) => error.failure.may_be_delivered(),
            // A gateway's 502 or 504, or a response in an unknown format, does not show if the write was applied.
            ErrorKind::ServerError { .. }
            | ErrorKind::OtherAccount { .. }
            | ErrorKind::UnexpectedResponse { .. } => true,
            _ => false,
        }
    }

    /// Returns true if all other requests would fail the same way or make it worse. A slow or broken response to one says little about them.
    pub fn concerns_all_requests(&self) -> bool {
        use TransportErrorKind::{ClientBuild, Connect, ProxyRefused, Tls};
        matches!(self.kind, ErrorKind::RateLimited | ErrorKind::Cancelled)
            || matches!(
                self.transport_failure(),
                Some(ClientBuild | Connect | ProxyRefused | Tls)
            )
    }

    /// Returns the cause without the request, which is the same for all requests that fail for this reason.
    pub fn cause(&self) -> String {
        use TransportErrorKind::{Connect, ProxyRefused};
        let host = self.base_url.host();
        match (self.transport_failure(), self.status) {
            (Some(Connect | ProxyRefused), _) => format!("can't connect to {host}"),
            (Some(failure), _) => format!("{host}: {failure}"),
            (_, Some(status)) => format!("{host}: HTTP {}", status.as_u16()),
            (_, None) => format!("{host}: invalid response"),
        }
    }

    /// Returns a suggested fix in one or two sentences, if there is one.
    pub fn help(&self) -> Option<String> {
        // With a wrong base URL, every other hint would mislead.
        if let ErrorKind::UnknownRoute | ErrorKind::UnexpectedResponse { .. } = self.kind
            && let Some(meant) = self.base_url.with_default_path()
        {
            let given = &self.base_url;
            return Some(format!(
                "the base URL {given} does not end in /client/v4; did you mean {meant}?"
            ));
        }
        const ENTERPRISE: &str =
            "Risk Scoring is an Enterprise feature; ask your Cloudflare account team to enable it";
        let (base_url, credentials) = (&self.base_url, &self.credentials);
        let (messages, permission) = (&self.messages, self.endpoint.permission());
        match &self.kind {
            ErrorKind::Credentials => {
                let elsewhere = |message: &ApiMessage| message.text.contains("from location");
                Some(if messages.iter().any(elsewhere) {
                    format!("the token in {credentials} is restricted to other IP addresses; add this one in the token settings")
                } else {
                    format!("check {credentials}: the value may be incomplete, expired or revoked")
                })
            }
            ErrorKind::CredentialsOrPermission => {
                let account = self.account();
                let account = account.map(|account| format!("check the account ID {account}, then "));
                let account = account.unwrap_or_default();
                let lacks = permission.map(|name| format!("lack the permission {name}, or "));
                let lacks = lacks.unwrap_or_default();
                Some(format!(
                    "{account}the credentials in {credentials}: they may {lacks}be expired, revoked or restricted"
                ))
            }
            ErrorKind::Permission => permission.map(|permission| {
                let grant =
                    format!("give the token in {credentials} the permission {permission}");
                let said = messages.iter().any(|message| message.code == 9109);
                // For an account without the entitlement, the list of integrations returns 403 without code 3314.
                match self.endpoint.has_sensitive_response() || said {
                    true => grant,
                    false => format!("{grant}. If the token has it, the account may lack Risk Scoring (an Enterprise feature)"),
                }
            }),
            ErrorKind::Entitlement => Some(ENTERPRISE.to_owned()),
            ErrorKind::NotFound => Some("check the account ID and the resource ID".to_owned()),
            ErrorKind::UnknownRoute => Some(match self.account() {
                Some(account) => format!("check the account ID {account}"),
                None => format!("check the base URL {base_url}"),
            }),
            ErrorKind::RateLimited => Some(
                "wait a few minutes or use --max-requests-per-second; other clients of this token count toward the same limit"
                    .to_owned(),
            ),
            ErrorKind::Rejected | ErrorKind::Cancelled => None,
            ErrorKind::ServerError { .. } => {
                Some("try again later; see https://www.cloudflarestatus.com for incidents".to_owned())
            }
            ErrorKind::Transport(error) => error.failure.help().map(str::to_owned),
            ErrorKind::OtherAccount { .. } | ErrorKind::UnexpectedResponse { .. } => Some(format!(
                "check the base URL {base_url}: a proxy may have answered instead of the Cloudflare API, or the API has changed"
            )),
        }
    }

    /// Returns the account ID in the path.
    fn account(&self) -> Option<&str> {
        self.path.strip_prefix("/accounts/")?.split('/').next()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.endpoint.method())?;
        // The base URL may be the cause.
        if let ErrorKind::Transport(_) | ErrorKind::UnexpectedResponse { .. } = self.kind {
            f.write_str(self.base_url.as_str())?;
        }
        write!(f, "{}: ", self.path)?;
        match (&self.kind, self.retry_after) {
            (ErrorKind::UnexpectedResponse { problem, excerpt }, _) => {
                let expected = self.endpoint.expected_response();
                let excerpt = quoted(excerpt.as_deref());
                write!(
                    f,
                    "unexpected response: expected {expected}, got {problem}{excerpt}"
                )?;
            }
            (kind @ ErrorKind::RateLimited, Some(wait)) => {
                write!(f, "{kind}, retry after {} s", wait.as_secs())?;
                if wait > MAX_WAIT {
                    write!(f, " (the maximum wait is {} s)", MAX_WAIT.as_secs())?;
                }
            }
            (kind, _) => write!(f, "{kind}")?,
        }
        for message in &self.messages {
            write!(f, ": {}", message.text)?;
        }
        match (self.status, &self.request_ids.ray) {
            (Some(status), Some(ray)) => write!(f, " [status {}, ray {ray}]", status.as_u16()),
            (Some(status), None) => write!(f, " [status {}]", status.as_u16()),
            (None, _) => Ok(()),
        }
    }
}

fn quoted(excerpt: Option<&str>) -> String {
    excerpt.map_or_else(String::new, |excerpt| format!(" ({excerpt:?})"))
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_what_happened_and_the_way_out() {
        let transport =
            |failure| ErrorKind::Transport(TransportError::new(failure, "connection refused"));
        let lines: Vec<String> = [
            (Endpoint::ReadBehaviors, Some(401), ErrorKind::Credentials),
            (
                Endpoint::ReadBehaviors,
                Some(403),
                ErrorKind::CredentialsOrPermission,
            ),
            (Endpoint::ReadBehaviors, Some(403), ErrorKind::Permission),
            (
                Endpoint::CreateIntegration,
                Some(403),
                ErrorKind::Permission,
            ),
            (Endpoint::ListUsers, Some(403), ErrorKind::Permission),
            (Endpoint::WriteBehaviors, Some(403), ErrorKind::Entitlement),
            (Endpoint::ReadIntegration, None, ErrorKind::NotFound),
            (
                Endpoint::ListIntegrations,
                Some(404),
                ErrorKind::UnknownRoute,
            ),
            (Endpoint::ReadBehaviors, Some(429), ErrorKind::RateLimited),
            (Endpoint::UpdateIntegration, Some(409), ErrorKind::Rejected),
            (
                Endpoint::DeleteIntegration,
                Some(502),
                ErrorKind::ServerError {
                    excerpt: Some("<html>".to_owned()),
                },
            ),
            (
                Endpoint::ReadBehaviors,
                None,
                transport(TransportErrorKind::Connect),
            ),
            (
                Endpoint::CreateIntegration,
                None,
                transport(TransportErrorKind::Timeout),
            ),
            (
                Endpoint::CreateIntegration,
                Some(200),
                ErrorKind::UnexpectedResponse {
                    problem: "a response of type text/html that is not from the Cloudflare API"
                        .to_owned(),
                    excerpt: Some("<html>".to_owned()),
                },
            ),
        ]
        .into_iter()
        .map(|(endpoint, status, kind)| {
            let error = ApiError::from(ErrorDetails {
                endpoint,
                base_url: BaseUrl::default(),
                path: "/accounts/023e…/x".to_owned(),
                credentials: "PROD_TOKEN".into(),
                kind,
                status: status.map(|status| StatusCode::from_u16(status).unwrap()),
                messages: Vec::new(),
                request_ids: RequestIds::default(),
                retry_after: None,
            });
            let ambiguous = if error.may_have_succeeded() {
                " (ambiguous)"
            } else {
                ""
            };
            let help = error.help().unwrap_or_default();
            format!("{error}{ambiguous}\n  {help}")
                .trim_end()
                .to_owned()
        })
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        GET /accounts/023e…/x: authentication failed [status 401]
          check PROD_TOKEN: the value may be incomplete, expired or revoked
        GET /accounts/023e…/x: authentication failed or permission missing [status 403]
          check the account ID 023e…, then the credentials in PROD_TOKEN: they may lack the permission Zero Trust Read, or be expired, revoked or restricted
        GET /accounts/023e…/x: permission denied [status 403]
          give the token in PROD_TOKEN the permission Zero Trust Read. If the token has it, the account may lack Risk Scoring (an Enterprise feature)
        POST /accounts/023e…/x: permission denied [status 403]
          give the token in PROD_TOKEN the permission Zero Trust Write. If the token has it, the account may lack Risk Scoring (an Enterprise feature)
        GET /accounts/023e…/x: permission denied [status 403]
          give the token in PROD_TOKEN the permission Zero Trust: PII Read
        PUT /accounts/023e…/x: the account does not have Risk Scoring [status 403]
          Risk Scoring is an Enterprise feature; ask your Cloudflare account team to enable it
        GET /accounts/023e…/x: not found
          check the account ID and the resource ID
        GET /accounts/023e…/x: unknown account or path [status 404]
          check the account ID 023e…
        GET /accounts/023e…/x: rate limit exceeded [status 429]
          wait a few minutes or use --max-requests-per-second; other clients of this token count toward the same limit
        PUT /accounts/023e…/x: refused [status 409]
        DELETE /accounts/023e…/x: server error ("<html>") [status 502] (ambiguous)
          try again later; see https://www.cloudflarestatus.com for incidents
        GET https://api.cloudflare.com/client/v4/accounts/023e…/x: cannot connect: connection refused
          check your network connection and the base URL
        POST https://api.cloudflare.com/client/v4/accounts/023e…/x: timed out: connection refused (ambiguous)
          try again or use a longer --timeout
        POST https://api.cloudflare.com/client/v4/accounts/023e…/x: unexpected response: expected the new integration, got a response of type text/html that is not from the Cloudflare API ("<html>") [status 200] (ambiguous)
          check the base URL https://api.cloudflare.com/client/v4: a proxy may have answered instead of the Cloudflare API, or the API has changed
        "#);
    }
}
