//! Delivers one notification to one target, with a signature and retries.

use std::error::Error;
use std::time::Duration;

use aws_lc_rs::hmac;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::model::text::hex;

use super::payload::{slack_payload, webhook_payload};
use super::target::{Target, TargetKind};
use super::{Message, Settings};

/// Header with the message ID. All delivery attempts use the same ID, so receivers can detect duplicates.
pub const ID_HEADER: &str = "X-Riskform-Id";
/// Header with the Unix time of the message. Receivers should reject old messages to prevent replays.
pub const TIMESTAMP_HEADER: &str = "X-Riskform-Timestamp";
/// Header with `sha256=` and the hexadecimal HMAC-SHA256 of `ID.TIMESTAMP.BODY`, using the shared secret.
pub const SIGNATURE_HEADER: &str = "X-Riskform-Signature-256";

/// Maximum time to wait for rate limits, in total.
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(10);
/// Time to wait if the response does not say it, and at least.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A notification that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot notify {target}: {reason}")]
pub struct NotifyError {
    pub target: Target,
    /// Error of the last attempt.
    pub reason: DeliveryError,
}

/// Error of a delivery attempt. Does not contain the response body, which may show the secret URL path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Error status.
    #[error("it answered {0}")]
    Refused(StatusCode),
    /// Rate limit, with the time to wait.
    #[error("it answered {} (retry after {} s)", StatusCode::TOO_MANY_REQUESTS, .0.as_secs())]
    RateLimited(Duration),
    /// Redirect.
    #[error("it answered {0} (redirects are not followed); use the final URL")]
    Redirected(StatusCode),
    /// No response.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The request cannot be created.
    #[error("cannot create the request: {0}")]
    Setup(String),
}

impl DeliveryError {
    /// Returns true if a retry may succeed. A message delivered twice has the same ID.
    fn is_retryable(&self) -> bool {
        match self {
            DeliveryError::Refused(status) => status.is_server_error(),
            DeliveryError::Unreachable(_) => true,
            DeliveryError::RateLimited(_)
            | DeliveryError::Redirected(_)
            | DeliveryError::Setup(_) => false,
        }
    }
}

/// Delivers a message to one target, with one retry per pause.
pub(super) async fn deliver(
    target: &Target,
    message: &Message<'_>,
    settings: &Settings,
) -> Result<(), NotifyError> {
    let failure = |reason| NotifyError {
        target: target.clone(),
        reason,
    };
    let client = client(target, settings)
        .map_err(|error| failure(DeliveryError::Setup(root_cause(error))))?;
    let stamp = MessageStamp {
        id: Uuid::new_v4(),
        at: Timestamp::now().as_second(),
    };
    let mut pauses = settings.pauses.iter();
    let mut rate_limit_wait = MAX_RATE_LIMIT_WAIT;
    loop {
        let request = request(&client, target, message, stamp, settings.secret.as_ref());
        match attempt(request).await {
            Ok(()) => return Ok(()),
            Err(DeliveryError::RateLimited(wait)) if wait <= rate_limit_wait => {
                rate_limit_wait -= wait;
                tokio::time::sleep(wait).await;
            }
            Err(reason) => match pauses.next().filter(|_| reason.is_retryable()) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(failure(reason)),
            },
        }
    }
}

fn client(target: &Target, settings: &Settings) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("riskform/", env!("CARGO_PKG_VERSION")))
        .timeout(settings.timeout)
        // A redirect would send the message to a URL that the user did not choose.
        // Retries are decided here.
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(settings.certificates.iter().cloned());
    if target.is_local() {
        builder = builder.no_proxy();
    } else if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(proxy.client_proxy()?);
    }
    builder.build()
}

/// ID and time of a message.
#[derive(Clone, Copy)]
struct MessageStamp {
    id: Uuid,
    at: i64,
}

fn request(
    client: &Client,
    target: &Target,
    message: &Message<'_>,
    stamp: MessageStamp,
    secret: Option<&SecretString>,
) -> RequestBuilder {
    let post = |body| {
        client
            .post(target.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .body::<String>(body)
    };
    match target.form() {
        TargetKind::Slack => post(slack_payload(message)),
        TargetKind::Webhook => {
            let body = webhook_payload(message);
            let signature = secret.map(|secret| signature(secret, stamp, &body));
            let request = post(body)
                .header(ID_HEADER, stamp.id.to_string())
                .header(TIMESTAMP_HEADER, stamp.at);
            match signature {
                Some(signature) => request.header(SIGNATURE_HEADER, signature),
                None => request,
            }
        }
    }
}

async fn attempt(request: RequestBuilder) -> Result<(), DeliveryError> {
    let answer = request.send().await.map_err(|error| {
        if error.is_builder() {
            DeliveryError::Setup(root_cause(error))
        } else if error.is_timeout() {
            DeliveryError::Unreachable("timed out".to_owned())
        } else {
            DeliveryError::Unreachable(root_cause(error))
        }
    })?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = answer.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
        Err(DeliveryError::RateLimited(
            wait.map_or(DEFAULT_RETRY_AFTER, Duration::from_secs)
                .max(DEFAULT_RETRY_AFTER),
        ))
    } else if status.is_redirection() {
        Err(DeliveryError::Redirected(status))
    } else {
        Err(DeliveryError::Refused(status))
    }
}

/// Returns the innermost cause of an error. The outer ones contain the URL.
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn signature(secret: &SecretString, stamp: MessageStamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signed = format!("{}.{}.{body}", stamp.id, stamp.at);
    format!("sha256={}", hex(hmac::sign(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{MessageStamp, signature};
    use uuid::Uuid;

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let stamp = MessageStamp {
            id: Uuid::nil(),
            at: 1_700_000_000,
        };
        // Expected value: printf 00000000-0000-0000-0000-000000000000.1700000000.body | openssl dgst -sha256 -hmac Jefe
        assert_eq!(
            signature(&"Jefe".into(), stamp, "body"),
            "sha256=8a5b8ffa6afcb5e13e09eda4efe5c392bf9892d855aab70d3cb26250bf9b4a8d"
        );
    }
}
