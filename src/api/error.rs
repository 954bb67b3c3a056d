//! The error of an API request. Callers decide on its [`ErrorKind`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::model::integration::IntegrationId;
use crate::model::null_is_default;

use super::base_url::BaseUrl;
use super::endpoint::Endpoint;
use super::response_metadata::RequestIds;
use super::retry::MAX_WAIT;
use super::transport_error::{Delivery, TransportErrorKind};

/// A failed API request. Displays as one line; [`help`](ApiError::help) suggests a fix.
#[derive(Clone, Debug)]
pub struct ApiError(Box<ErrorDetails>);

#[derive(Clone, Debug)]
pub(super) struct ErrorDetails {
    pub(super) operation: Endpoint,
    pub(super) base_url: BaseUrl,
    pub(super) path: String,
    /// Source of the credentials.
    pub(super) credentials: Arc<str>,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<StatusCode>,
    pub(super) messages: Vec<ApiMessage>,
    pub(super) request_ids: RequestIds,
    pub(super) retry_after: Option<Duration>,
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
    /// No complete response.
    #[error("{failure}: {detail}")]
    Transport {
        failure: TransportErrorKind,
        /// Whether the request may have reached the server.
        delivery: Delivery,
        /// Message of the underlying error.
        detail: String,
    },
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

/// An entry of `errors` in an envelope. Control characters and credentials are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiMessage {
    /// Cloudflare's error code.
    pub code: i64,
    pub message: String,
    /// Causes, with code and message.
    #[serde(rename = "error_chain", deserialize_with = "null_is_default")]
    pub chain: Vec<ApiMessage>,
    /// Link to Cloudflare's documentation.
    pub documentation_url: Option<String>,
    /// The invalid field of the request.
    pub source: Option<MessageSource>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MessageSource {
    /// JSON pointer.
    pub pointer: Option<String>,
}

impl fmt::Display for ApiMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {}", self.message, self.code)?;
        let source = self.source.as_ref();
        if let Some(pointer) = source.and_then(|source| source.pointer.as_ref()) {
            write!(f, ", at {pointer}")?;
        }
        if let Some(url) = &self.documentation_url {
            write!(f, ", see {url}")?;
        }
        f.write_str(")")?;
        for (index, cause) in self.chain.iter().enumerate() {
            let link = if index == 0 { ": " } else { ", " };
            write!(f, "{link}{cause}")?;
        }
        Ok(())
    }
}

impl ApiError {
    pub(super) fn new(details: ErrorDetails) -> Self {
        ApiError(Box::new(details))
    }

    /// Returns the kind of error.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the endpoint of the request.
    pub fn operation(&self) -> Endpoint {
        self.0.operation
    }

    /// Returns the HTTP method of the request.
    pub fn method(&self) -> Method {
        self.0.operation.method()
    }

    /// Returns the path of the request, relative to the base URL.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the base URL of the request.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// Returns the HTTP status, if there was a response.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns the request IDs of the response.
    pub fn request_ids(&self) -> &RequestIds {
        &self.0.request_ids
    }

    /// Returns the delay of the `Retry-After` header.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns true if a failed write may still have been applied. Check the live state before a retry.
    pub fn may_have_succeeded(&self) -> bool {
        // The server gave up on a request that it had received.
        if matches!(
            self.status().map(|status| status.as_u16()),
            Some(408 | 425 | 499)
        ) {
            return true;
        }
        match &self.0.kind {
            ErrorKind::Transport { delivery, .. } => *delivery == Delivery::MaybeDelivered,
            // A gateway's 502 or 504, or a response in an unknown format, does not say whether the write was applied.
            ErrorKind::ServerError { .. }
            | ErrorKind::OtherAccount { .. }
            | ErrorKind::UnexpectedResponse { .. } => true,
            _ => false,
        }
    }

    /// Returns true if all other requests would fail the same way or make it worse. A slow or broken response to one says little about them.
    pub fn concerns_all_requests(&self) -> bool {
        use TransportErrorKind::{ClientBuild, Connect, ProxyRefused, Tls};
        matches!(
            self.kind(),
            ErrorKind::RateLimited
                | ErrorKind::Cancelled
                | ErrorKind::Transport {
                    failure: ClientBuild | Connect | ProxyRefused | Tls,
                    ..
                }
        )
    }

    /// Returns the cause without the request, which is the same for all requests that fail for this reason.
    pub fn cause(&self) -> String {
        let host = self.base_url().host();
        match (self.kind(), self.status()) {
            (
                ErrorKind::Transport {
                    failure: TransportErrorKind::Connect | TransportErrorKind::ProxyRefused,
                    ..
                },
                _,
            ) => format!("can't connect to {host}"),
            (ErrorKind::Transport { failure, .. }, _) => format!("{host}: {failure}"),
            (_, Some(status)) => format!("{host}: HTTP {}", status.as_u16()),
            (_, None) => format!("{host}: invalid response"),
        }
    }

    /// Returns a suggested fix in one or two sentences, if there is one.
    pub fn help(&self) -> Option<String> {
        // With a wrong base URL, every other hint would mislead.
        if matches!(
            self.kind(),
            ErrorKind::UnknownRoute | ErrorKind::UnexpectedResponse { .. }
        ) && let Some(meant) = self.base_url().with_default_path()
        {
            return Some(format!(
                "the base URL {} does not end in /client/v4; did you mean {meant}?",
                self.base_url()
            ));
        }
        const ENTERPRISE: &str =
            "Risk Scoring is an Enterprise feature; ask your Cloudflare account team to enable it";
        let ErrorDetails {
            operation,
            base_url,
            credentials,
            kind,
            messages,
            ..
        } = &*self.0;
        let permission = operation.permission();
        match kind {
            ErrorKind::Credentials => {
                let elsewhere = |message: &ApiMessage| message.message.contains("from location");
                Some(if messages.iter().any(elsewhere) {
                    format!("the token in {credentials} is restricted to other IP addresses; add this one in the token settings")
                } else {
                    format!("check {credentials}: the value may be incomplete, expired or revoked")
                })
            }
            ErrorKind::CredentialsOrPermission => {
                let account = match self.account() {
                    Some(account) => format!("check the account ID {account}, then "),
                    None => String::new(),
                };
                let lacks = match permission {
                    Some(permission) => format!("lack the permission {permission}, or "),
                    None => String::new(),
                };
                Some(format!(
                    "{account}the credentials in {credentials}: they may {lacks}be expired, revoked or restricted"
                ))
            }
            ErrorKind::Permission => permission.map(|permission| {
                let grant =
                    format!("give the token in {credentials} the permission {permission}");
                let said = messages.iter().any(|message| message.code == 9109);
                // For an account without the entitlement, the list of integrations returns 403 without code 3314.
                match operation.has_sensitive_response() || said {
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
            ErrorKind::Transport { failure, .. } => failure.help().map(str::to_owned),
            ErrorKind::OtherAccount { .. } | ErrorKind::UnexpectedResponse { .. } => Some(format!(
                "check the base URL {base_url}: a proxy may have answered instead of the Cloudflare API, or the API has changed"
            )),
        }
    }

    /// Returns the account ID in the path.
    fn account(&self) -> Option<&str> {
        self.0.path.strip_prefix("/accounts/")?.split('/').next()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &*self.0;
        let base_url = match details.kind {
            // The base URL may be the cause.
            ErrorKind::Transport { .. } | ErrorKind::UnexpectedResponse { .. } => {
                details.base_url.as_str()
            }
            _ => "",
        };
        write!(f, "{} {base_url}{}: ", self.method(), self.path())?;
        match (&details.kind, details.retry_after) {
            (ErrorKind::UnexpectedResponse { problem, excerpt }, _) => {
                let expected = details.operation.expected_response();
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
        for message in &details.messages {
            write!(f, ": {message}")?;
        }
        match (details.status, &details.request_ids.ray) {
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
        let transport = |failure, delivery| ErrorKind::Transport {
            failure,
            delivery,
            detail: "connection refused".to_owned(),
        };
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
                transport(TransportErrorKind::Connect, Delivery::NotDelivered),
            ),
            (
                Endpoint::CreateIntegration,
                None,
                transport(TransportErrorKind::Timeout, Delivery::MaybeDelivered),
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
        .map(|(operation, status, kind)| {
            let error = ApiError::new(ErrorDetails {
                operation,
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
