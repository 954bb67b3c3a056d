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
use super::target::{Form, Target};
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
pub struct NotifyFailure {
    /// Who should have got it.
    pub target: Target,
    /// What the last attempt came to.
    pub reason: Reason,
}

/// What an attempt came to. Never holds what the server wrote: a page that says what it could not find would show the secret path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
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

impl Reason {
    /// Says whether the same request may fare better a moment later. One that got through unnoticed and comes twice does no harm.
    fn may_pass(&self) -> bool {
        match self {
            Reason::Refused(status) => status.is_server_error(),
            Reason::Unreachable(_) => true,
            Reason::Redirected(_) | Reason::Setup(_) => false,
        }
    }
}

/// Tells one target, with as many further attempts as there are pauses.
pub(super) async fn deliver(
    target: &Target,
    message: &Message<'_>,
    settings: &Settings,
) -> Result<(), NotifyFailure> {
    let failure = |reason| NotifyFailure {
        target: target.clone(),
        reason,
    };
    let client = client(target, settings).map_err(|error| failure(Reason::Setup(cause(error))))?;
    let stamp = Stamp {
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
struct Stamp {
    id: Uuid,
    at: i64,
}

fn request(
    client: &Client,
    target: &Target,
    message: &Message<'_>,
    stamp: Stamp,
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
        Form::Ping => client.get(url),
        Form::Slack => post(slack_payload(message)),
        Form::Webhook => {
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

async fn attempt(request: RequestBuilder) -> Result<(), Reason> {
    let answer = request.send().await.map_err(|error| {
        if error.is_builder() {
            Reason::Setup(cause(error))
        } else if error.is_timeout() {
            Reason::Unreachable("it took too long".to_owned())
        } else {
            Reason::Unreachable(cause(error))
        }
    })?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(Reason::Redirected(status))
    } else {
        Err(Reason::Refused(status))
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

fn signature(secret: &SecretString, stamp: Stamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signed = format!("{}.{}.{body}", stamp.id, stamp.at);
    format!("sha256={}", hex(hmac::sign(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{Stamp, signature};
    use uuid::Uuid;

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let stamp = Stamp {
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
