//! One notification to one target: a client, a signature, and another attempt where it may help.

use std::error::Error;

use aws_lc_rs::hmac;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::model::text::hex;

use super::payload::webhook_payload;
use super::slack::slack_payload;
use super::target::{Target, TargetKind};
use super::{Message, Settings};

/// Names a message: the same in every attempt to deliver it, so that a receiver can tell one that comes twice.
pub const ID_HEADER: &str = "X-Riskform-Id";
/// When the message was made, in seconds since 1970: a receiver refuses what is older than a few minutes, so that nobody can send it anew.
pub const TIMESTAMP_HEADER: &str = "X-Riskform-Timestamp";
/// Carries `sha256=` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY`, in hexadecimal, under the secret that both sides know.
pub const SIGNATURE_HEADER: &str = "X-Riskform-Signature-256";

/// A notification that nobody got.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{target} was not notified: {reason}")]
pub struct NotifyError {
    /// Who should have got it.
    pub target: Target,
    /// What the last attempt came to.
    pub reason: DeliveryError,
}

/// What an attempt came to. Never holds what the server wrote: a page that says what it could not find would show the secret path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// It answered, and did not take it.
    #[error("it answered {0}")]
    Refused(StatusCode),
    /// It pointed elsewhere.
    #[error("it answered {0}, and redirects are not followed; give the URL that it redirects to")]
    Redirected(StatusCode),
    /// It did not answer.
    #[error("it did not answer: {0}")]
    Unreachable(String),
    /// There was no way to ask.
    #[error("the request can't be made: {0}")]
    Setup(String),
}

impl DeliveryError {
    /// Says whether the same request may fare better a moment later. One that got through unnoticed and comes twice does no harm.
    fn may_pass(&self) -> bool {
        match self {
            DeliveryError::Refused(status) => status.is_server_error(),
            DeliveryError::Unreachable(_) => true,
            DeliveryError::Redirected(_) | DeliveryError::Setup(_) => false,
        }
    }
}

/// Tells one target, with as many further attempts as there are pauses.
pub(super) async fn deliver(
    target: &Target,
    message: &Message<'_>,
    settings: &Settings,
) -> Result<(), NotifyError> {
    let failure = |reason| NotifyError {
        target: target.clone(),
        reason,
    };
    let client =
        client(target, settings).map_err(|error| failure(DeliveryError::Setup(cause(error))))?;
    let stamp = MessageStamp {
        id: Uuid::new_v4(),
        at: Timestamp::now().as_second(),
    };
    let mut pauses = settings.pauses.iter();
    loop {
        let request = request(&client, target, message, stamp, settings.secret.as_ref());
        match attempt(request).await {
            Ok(()) => return Ok(()),
            Err(reason) => match pauses.next().filter(|_| reason.may_pass()) {
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
        // Only the operator says where a finding goes.
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(settings.certificates.iter().cloned());
    if target.is_local() {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// What tells one message from every other.
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
    let url = target.url().clone();
    let post = |body| {
        client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body::<String>(body)
    };
    match target.form() {
        TargetKind::Ping => client.get(url),
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
            DeliveryError::Setup(cause(error))
        } else if error.is_timeout() {
            DeliveryError::Unreachable("it took too long".to_owned())
        } else {
            DeliveryError::Unreachable(cause(error))
        }
    })?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(DeliveryError::Redirected(status))
    } else {
        Err(DeliveryError::Refused(status))
    }
}

/// What is at the bottom of an error; the layers above would name the URL.
fn cause(error: reqwest::Error) -> String {
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
        // As `printf 00000000-0000-0000-0000-000000000000.1700000000.body | openssl dgst -sha256 -hmac Jefe` says.
        assert_eq!(
            signature(&"Jefe".into(), stamp, "body"),
            "sha256=8a5b8ffa6afcb5e13e09eda4efe5c392bf9892d855aab70d3cb26250bf9b4a8d"
        );
    }
}
