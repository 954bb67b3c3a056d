//! One notification to one target: a client, a signature, and another attempt where it may help.

use std::error::Error;

use aws_lc_rs::hmac;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};

use crate::model::text::hex;

use super::payload::webhook_payload;
use super::slack::slack_payload;
use super::target::{Form, Target};
use super::{Message, Settings};

/// Carries `sha256=` and the HMAC-SHA256 of the body, in hexadecimal, under the secret that both sides know.
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
    let mut pauses = settings.pauses.iter();
    loop {
        match attempt(request(&client, target, message, settings.secret.as_ref())).await {
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

fn request(
    client: &Client,
    target: &Target,
    message: &Message<'_>,
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
            match secret.map(|secret| signature(secret, &body)) {
                Some(signature) => post(body).header(SIGNATURE_HEADER, signature),
                None => post(body),
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

fn signature(secret: &SecretString, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn signs_as_the_standard_says() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature(&"Jefe".into(), "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
