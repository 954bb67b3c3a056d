//! What can go wrong with a call: one error type, and a kind on which callers decide.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::model::null_is_default;

use std::sync::Arc;

use super::base_url::BaseUrl;
use super::endpoint::{Endpoint, Permission};
use super::response_metadata::RequestIds;
use super::transport_error::{Delivery, TransportErrorKind};

/// A call that did not bring what was asked for. Displays as one line; [`help`](ApiError::help) is the way out.
#[derive(Clone, Debug)]
pub struct ApiError(Box<ErrorDetails>);

#[derive(Clone, Debug)]
pub(super) struct ErrorDetails {
    pub(super) operation: Endpoint,
    pub(super) base_url: BaseUrl,
    pub(super) path: String,
    /// Where the credentials come from.
    pub(super) credentials: Arc<str>,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<StatusCode>,
    pub(super) messages: Vec<ApiMessage>,
    pub(super) trace: RequestIds,
    pub(super) retry_after: Option<Duration>,
}

/// What went wrong, as far as a caller decides on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The credentials are missing, wrong, expired, malformed or bound to other addresses.
    Credentials,
    /// The credentials are refused or lack the permission; the API doesn't say which (code 10000).
    CredentialsOrPermission,
    /// The credentials are good but may not do this.
    Permission,
    /// The account does not have Risk Scoring (code 3314).
    Entitlement,
    /// There is no such thing: 404.
    NotFound,
    /// The account id, or the path, is wrong (code 7003).
    UnknownRoute,
    /// Too many requests: 429.
    RateLimited,
    /// Any other 4xx.
    Rejected,
    /// A stop came before it was sent.
    Cancelled,
    /// 5xx.
    ServerError {
        /// The answer, where it is no envelope.
        excerpt: Option<String>,
    },
    /// No whole answer.
    Transport {
        /// What went wrong.
        failure: TransportErrorKind,
        /// Whether the server may have seen the request.
        reach: Delivery,
        /// What the layers below say about it.
        detail: String,
    },
    /// An answer that Cloudflare would not give, or one in a shape that riskform does not know.
    UnexpectedResponse {
        /// What is wrong with it.
        problem: String,
        /// Its beginning; left out where it may tell about people.
        excerpt: Option<String>,
    },
}

/// One entry of an envelope's `errors` or `messages`. Its texts hold neither control characters nor credentials.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WireMessage")]
pub struct ApiMessage {
    /// The vendor's number for it.
    pub code: i64,
    /// What it says.
    pub message: String,
    /// What is behind it, in its own codes and words.
    pub chain: Vec<(i64, String)>,
    /// Where the vendor explains it.
    pub documentation_url: Option<String>,
    /// The field of the body that it is about, as a JSON pointer.
    pub pointer: Option<String>,
}

/// A message as the envelope carries it.
#[derive(Deserialize)]
struct WireMessage {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default, deserialize_with = "null_is_default")]
    error_chain: Vec<WireErrorChain>,
    #[serde(default)]
    documentation_url: Option<String>,
    #[serde(default)]
    source: Option<WireSource>,
}

#[derive(Deserialize)]
struct WireErrorChain {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct WireSource {
    #[serde(default)]
    pointer: Option<String>,
}

impl From<WireMessage> for ApiMessage {
    fn from(wire: WireMessage) -> Self {
        ApiMessage {
            code: wire.code,
            message: wire.message,
            chain: wire
                .error_chain
                .into_iter()
                .map(|link| (link.code, link.message))
                .collect(),
            documentation_url: wire.documentation_url,
            pointer: wire.source.and_then(|source| source.pointer),
        }
    }
}

impl fmt::Display for ApiMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiMessage {
            code,
            message,
            chain,
            documentation_url,
            pointer,
        } = self;
        write!(f, "{message} (code {code}")?;
        if let Some(pointer) = pointer {
            write!(f, ", at {pointer}")?;
        }
        if let Some(url) = documentation_url {
            write!(f, ", see {url}")?;
        }
        f.write_str(")")?;
        for (index, (code, message)) in chain.iter().enumerate() {
            let link = if index == 0 { ": " } else { ", " };
            write!(f, "{link}{message} (code {code})")?;
        }
        Ok(())
    }
}

impl ApiError {
    pub(super) fn new(details: ErrorDetails) -> Self {
        ApiError(Box::new(details))
    }

    /// What went wrong, to decide on.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What was asked.
    pub fn operation(&self) -> Endpoint {
        self.0.operation
    }

    /// The HTTP method of the call.
    pub fn method(&self) -> Method {
        self.0.operation.method()
    }

    /// The path of the call, below the base URL.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Whom the call went to.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The envelope's errors, if the answer was one.
    pub fn messages(&self) -> &[ApiMessage] {
        &self.0.messages
    }

    /// How an operator finds the call again.
    pub fn trace(&self) -> &RequestIds {
        &self.0.trace
    }

    /// How long the answer asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether a write that ended so may have been carried out all the same. Whoever repeats it must look first.
    pub fn may_have_succeeded(&self) -> bool {
        match &self.0.kind {
            ErrorKind::Transport { reach, .. } => *reach == Delivery::MaybeDelivered,
            // A gateway that answers 502 or 504 knows as little as we do, and so does whatever answered in no known shape.
            ErrorKind::ServerError { .. } | ErrorKind::UnexpectedResponse { .. } => true,
            ErrorKind::Credentials
            | ErrorKind::CredentialsOrPermission
            | ErrorKind::Permission
            | ErrorKind::Entitlement
            | ErrorKind::NotFound
            | ErrorKind::UnknownRoute
            | ErrorKind::RateLimited
            | ErrorKind::Rejected
            | ErrorKind::Cancelled => false,
        }
    }

    /// The way out, as one or two sentences; `None` where the error itself says all there is to say.
    pub fn help(&self) -> Option<String> {
        // Whatever else there is to say would blame the account or the server.
        if matches!(
            self.kind(),
            ErrorKind::UnknownRoute | ErrorKind::UnexpectedResponse { .. }
        ) && let Some(meant) = self.base_url().with_default_path()
        {
            return Some(format!(
                "the base URL {} does not end in /client/v4, as Cloudflare's does; did you mean {meant}?",
                self.base_url()
            ));
        }
        const ENTERPRISE: &str = "Zero Trust Risk Scoring is an Enterprise feature: ask the Cloudflare account team to enable it for this account";
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
                    format!("the token in {credentials} only works from other addresses: allow this one in its settings, or run it there")
                } else {
                    format!("set {credentials} to credentials that are whole, not expired and not revoked")
                })
            }
            ErrorKind::CredentialsOrPermission => {
                let account = match self.account() {
                    Some(account) => format!("check the account id {account} first; then "),
                    None => String::new(),
                };
                let lacks = match permission {
                    Some(permission) => format!("lack the permission \"{permission}\", or may "),
                    None => String::new(),
                };
                Some(format!(
                    "{account}the credentials in {credentials}: they may {lacks}be expired, revoked or restricted"
                ))
            }
            ErrorKind::Permission => permission.map(|permission| {
                let grant =
                    format!("give the token the permission \"{permission}\" on this account");
                let said = messages.iter().any(|message| message.code == 9109);
                match permission {
                    // The list of integrations answers 403 without a code of its own on an account without the feature.
                    Permission::Read | Permission::Write if !said => {
                        format!("{grant}; if it has it: {ENTERPRISE}")
                    }
                    Permission::Read
                    | Permission::Write
                    | Permission::PiiRead
                    | Permission::AccessPolicies
                    | Permission::AccessGroups
                    | Permission::AccountSettings => grant,
                }
            }),
            ErrorKind::Entitlement => Some(ENTERPRISE.to_owned()),
            ErrorKind::NotFound => Some("check the account id and the id in the path".to_owned()),
            ErrorKind::UnknownRoute => Some(match self.account() {
                Some(account) => format!("check the account id {account}"),
                None => format!("check the base URL {base_url}"),
            }),
            ErrorKind::RateLimited => Some(
                "wait, or call more slowly with --max-requests-per-second; whatever else uses the token counts as well"
                    .to_owned(),
            ),
            ErrorKind::Rejected | ErrorKind::Cancelled => None,
            ErrorKind::ServerError { .. } => {
                Some("try again; https://www.cloudflarestatus.com tells about incidents".to_owned())
            }
            ErrorKind::Transport { failure, .. } => transport_help(*failure).map(str::to_owned),
            ErrorKind::UnexpectedResponse { .. } => Some(format!(
                "check the base URL {base_url}: something other than the Cloudflare API, such as a proxy, may have answered, or the API has changed"
            )),
        }
    }

    /// The account that the path names.
    fn account(&self) -> Option<&str> {
        self.0.path.strip_prefix("/accounts/")?.split('/').next()
    }
}

fn transport_help(failure: TransportErrorKind) -> Option<&'static str> {
    match failure {
        TransportErrorKind::Connect => Some(
            "check the network, and the base URL if --base-url or CLOUDFLARE_BASE_URL names one",
        ),
        TransportErrorKind::Tls => Some(
            "if a proxy on the way inspects TLS, name its certificate authority with --ca-bundle FILE",
        ),
        TransportErrorKind::Timeout => Some("try again, or allow more time with --timeout SECONDS"),
        TransportErrorKind::ConnectionClosed => Some("try again"),
        TransportErrorKind::ClientBuild | TransportErrorKind::TooLarge => None,
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorDetails {
            operation,
            base_url,
            path,
            credentials: _,
            kind,
            status,
            messages,
            trace,
            retry_after,
        } = &*self.0;
        let method = operation.method();
        match kind {
            ErrorKind::Transport {
                failure, detail, ..
            } => return write!(f, "{method} {base_url}{path}: {failure}: {detail}"),
            ErrorKind::UnexpectedResponse { problem, excerpt } => {
                write!(
                    f,
                    "{method} {base_url}{path}: expected {}, but got {problem}",
                    operation.answers()
                )?;
                write_excerpt(f, excerpt.as_deref())?;
            }
            ErrorKind::Credentials => write!(f, "{method} {path}: the credentials were refused")?,
            ErrorKind::CredentialsOrPermission => write!(
                f,
                "{method} {path}: the credentials were refused, or lack the permission"
            )?,
            ErrorKind::Permission => write!(f, "{method} {path}: permission denied")?,
            ErrorKind::Entitlement => {
                write!(f, "{method} {path}: the account does not have Risk Scoring")?
            }
            ErrorKind::NotFound => write!(f, "{method} {path}: not found")?,
            ErrorKind::UnknownRoute => write!(f, "{method} {path}: the API has no such path")?,
            ErrorKind::Cancelled => {
                return write!(f, "{method} {path}: stopped before it was sent");
            }
            ErrorKind::RateLimited => {
                write!(f, "{method} {path}: too many requests")?;
                match retry_after {
                    Some(Duration::MAX) => f.write_str(", the server asks to wait for ever")?,
                    Some(wait) => write!(f, ", the server asks to wait {} s", wait.as_secs())?,
                    None => {}
                }
            }
            ErrorKind::Rejected => write!(f, "{method} {path}: refused")?,
            ErrorKind::ServerError { excerpt } => {
                write!(f, "{method} {path}: the server failed")?;
                write_excerpt(f, excerpt.as_deref())?;
            }
        }
        for message in messages {
            write!(f, ": {message}")?;
        }
        match (status, &trace.ray) {
            (Some(status), Some(ray)) => write!(f, " [status {}, ray {ray}]", status.as_u16()),
            (Some(status), None) => write!(f, " [status {}]", status.as_u16()),
            (None, _) => Ok(()),
        }
    }
}

fn write_excerpt(f: &mut fmt::Formatter<'_>, excerpt: Option<&str>) -> fmt::Result {
    match excerpt {
        Some(excerpt) => write!(f, " ({excerpt:?})"),
        None => Ok(()),
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_says_what_happened_and_the_way_out() {
        let transport = |failure, reach| ErrorKind::Transport {
            failure,
            reach,
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
                    problem: "text/html that is not an envelope of the API".to_owned(),
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
                trace: RequestIds::default(),
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
        insta::assert_snapshot!(lines.join("\n"), @r###"
        GET /accounts/023e…/x: the credentials were refused [status 401]
          set PROD_TOKEN to credentials that are whole, not expired and not revoked
        GET /accounts/023e…/x: the credentials were refused, or lack the permission [status 403]
          check the account id 023e… first; then the credentials in PROD_TOKEN: they may lack the permission "Zero Trust Read", or may be expired, revoked or restricted
        GET /accounts/023e…/x: permission denied [status 403]
          give the token the permission "Zero Trust Read" on this account; if it has it: Zero Trust Risk Scoring is an Enterprise feature: ask the Cloudflare account team to enable it for this account
        POST /accounts/023e…/x: permission denied [status 403]
          give the token the permission "Zero Trust Write" on this account; if it has it: Zero Trust Risk Scoring is an Enterprise feature: ask the Cloudflare account team to enable it for this account
        GET /accounts/023e…/x: permission denied [status 403]
          give the token the permission "Zero Trust: PII Read" on this account
        PUT /accounts/023e…/x: the account does not have Risk Scoring [status 403]
          Zero Trust Risk Scoring is an Enterprise feature: ask the Cloudflare account team to enable it for this account
        GET /accounts/023e…/x: not found
          check the account id and the id in the path
        GET /accounts/023e…/x: the API has no such path [status 404]
          check the account id 023e…
        GET /accounts/023e…/x: too many requests [status 429]
          wait, or call more slowly with --max-requests-per-second; whatever else uses the token counts as well
        PUT /accounts/023e…/x: refused [status 409]
        DELETE /accounts/023e…/x: the server failed ("<html>") [status 502] (ambiguous)
          try again; https://www.cloudflarestatus.com tells about incidents
        GET https://api.cloudflare.com/client/v4/accounts/023e…/x: could not connect: connection refused
          check the network, and the base URL if --base-url or CLOUDFLARE_BASE_URL names one
        POST https://api.cloudflare.com/client/v4/accounts/023e…/x: timed out: connection refused (ambiguous)
          try again, or allow more time with --timeout SECONDS
        POST https://api.cloudflare.com/client/v4/accounts/023e…/x: expected the new integration, but got text/html that is not an envelope of the API ("<html>") [status 200] (ambiguous)
          check the base URL https://api.cloudflare.com/client/v4: something other than the Cloudflare API, such as a proxy, may have answered, or the API has changed
        "###);
    }
}
