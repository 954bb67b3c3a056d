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

/// A failed attempt. Does not contain the response body, which may show the secret URL path.
struct FailedAttempt {
    reason: String,
    retry: Retry,
}

/// Chance that a retry succeeds. A message delivered twice has the same ID.
enum Retry {
    Never,
    AfterPause,
    After(Duration),
}

/// Sends a message to one target, with one retry per pause.
///
/// A failure does not change the result of the check. The caller prints a warning.
///
/// # Errors
///
/// A warning that names the target and the error of the last attempt.
pub async fn notify(
    target: &Target,
    message: &Message<'_>,
    settings: &Settings,
) -> Result<(), String> {
    let failure = |reason| format!("cannot notify {target}: {reason}");
    let client = client(target, settings).map_err(|error| failure(setup_error(error)))?;
    let (body, headers) = match target.kind {
        TargetKind::Slack => (slack_payload(message), Vec::new()),
        TargetKind::Webhook => {
            let body = webhook_payload(message);
            let id = Uuid::new_v4().to_string();
            let time = Timestamp::now().as_second().to_string();
            let signature = settings.secret.as_ref();
            let signature = signature.map(|secret| signature_of(secret, &id, &time, &body));
            let signature = signature.map(|signature| (SIGNATURE_HEADER, signature));
            let stamp = [(ID_HEADER, id), (TIMESTAMP_HEADER, time)];
            (body, stamp.into_iter().chain(signature).collect())
        }
    };
    let mut pauses = settings.pauses.iter();
    let mut rate_limit_wait = MAX_RATE_LIMIT_WAIT;
    loop {
        let request = client.post(target.url.clone());
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        });
        let Err(failed) = attempt(request.body(body.clone())).await else {
            return Ok(());
        };
        let pause = match failed.retry {
            Retry::After(wait) => rate_limit_wait.checked_sub(wait).map(|left| {
                rate_limit_wait = left;
                wait
            }),
            Retry::AfterPause => pauses.next().copied(),
            Retry::Never => None,
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(failure(failed.reason)),
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

async fn attempt(request: RequestBuilder) -> Result<(), FailedAttempt> {
    let failed = |reason, retry| Err(FailedAttempt { reason, retry });
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() => return failed(setup_error(error), Retry::Never),
        Err(error) if error.is_timeout() => {
            return failed("no answer: timed out".to_owned(), Retry::AfterPause);
        }
        Err(error) => {
            let reason = format!("no answer: {}", root_cause(error));
            return failed(reason, Retry::AfterPause);
        }
    };
    let status = response.status();
    let answered = format!("it answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS => {
            let wait = response.headers().get(RETRY_AFTER);
            let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
            let wait = wait.map_or(DEFAULT_RETRY_AFTER, Duration::from_secs);
            let wait = wait.max(DEFAULT_RETRY_AFTER);
            let reason = format!("{answered} (retry after {} s)", wait.as_secs());
            failed(reason, Retry::After(wait))
        }
        status if status.is_redirection() => {
            let reason = format!("{answered} (redirects are not followed); use the final URL");
            failed(reason, Retry::Never)
        }
        status if status.is_server_error() => failed(answered, Retry::AfterPause),
        _ => failed(answered, Retry::Never),
    }
}

fn setup_error(error: reqwest::Error) -> String {
    format!("cannot create the request: {}", root_cause(error))
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

fn signature_of(secret: &SecretString, id: &str, time: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signed = format!("{id}.{time}.{body}");
    format!("sha256={}", hex(hmac::sign(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::signature_of;

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let id = "00000000-0000-0000-0000-000000000000";
        // Expected value: printf 00000000-0000-0000-0000-000000000000.1700000000.body | openssl dgst -sha256 -hmac Jefe
        assert_eq!(
            signature_of(&"Jefe".into(), id, "1700000000", "body"),
            "sha256=8a5b8ffa6afcb5e13e09eda4efe5c392bf9892d855aab70d3cb26250bf9b4a8d"
        );
    }
}
