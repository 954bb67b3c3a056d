//! Credentials for the API: a token, or email and API key. They are redacted in all output.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// API credentials. Debug output does not show them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Authentication headers, marked as sensitive.
    headers: Vec<(HeaderName, HeaderValue)>,
    secret: SecretString,
    source: Arc<str>,
}

impl Credentials {
    /// Creates credentials from an API token: `Authorization: Bearer …`.
    pub fn api_token(token: SecretString) -> Result<Self, CredentialsError> {
        let header = header("API token", "Bearer ", &token)?;
        Ok(Credentials::new(vec![(AUTHORIZATION, header)], token))
    }

    /// Creates credentials from an email address and its global API key: `X-Auth-Email` and `X-Auth-Key`.
    pub fn api_key(email: SecretString, key: SecretString) -> Result<Self, CredentialsError> {
        const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
        const KEY: HeaderName = HeaderName::from_static("x-auth-key");
        let email = header("email address of the API key", "", &email)?;
        let headers = vec![(EMAIL, email), (KEY, header("API key", "", &key)?)];
        Ok(Credentials::new(headers, key))
    }

    fn new(headers: Vec<(HeaderName, HeaderValue)>, secret: SecretString) -> Self {
        let source = "CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY".into();
        Credentials {
            headers,
            secret,
            source,
        }
    }

    /// Sets the names of the variables that the credentials come from, for error messages.
    #[must_use]
    pub fn with_source(self, source: &str) -> Self {
        Credentials {
            source: source.into(),
            ..self
        }
    }

    pub(super) fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Adds the authentication headers.
    pub(super) fn authorize(&self, headers: &mut HeaderMap) {
        headers.extend(self.headers.iter().cloned());
    }

    /// Replaces the secret in a text with `***`, since a server or proxy may echo request headers.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(self.secret.expose_secret(), "***")
    }
}

/// Returns a header with a secret, which must be visible ASCII.
fn header(
    name: &'static str,
    scheme: &str,
    secret: &SecretString,
) -> Result<HeaderValue, CredentialsError> {
    let text = secret.expose_secret();
    let problem = match text {
        "" => "is empty",
        _ if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            let mut value = HeaderValue::try_from(format!("{scheme}{text}"))
                .expect("every header can carry visible ASCII");
            value.set_sensitive(true);
            return Ok(value);
        }
        _ => "contains a space, line break or non-ASCII character",
    };
    Err(CredentialsError { name, problem })
}

/// Invalid credentials. Never shows the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {name} {problem}")]
pub struct CredentialsError {
    name: &'static str,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-9f3c";

    fn headers(credentials: &Credentials) -> HeaderMap {
        let mut headers = HeaderMap::new();
        credentials.authorize(&mut headers);
        headers
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let token = Credentials::api_token(CANARY.into()).unwrap();
        let key = Credentials::api_key("a@example.com".into(), CANARY.into()).unwrap();
        assert_eq!(headers(&token)["authorization"], format!("Bearer {CANARY}"));
        assert_eq!(headers(&key)["x-auth-email"], "a@example.com");
        assert_eq!(headers(&key)["x-auth-key"], CANARY);
        for credentials in [token, key] {
            let shown = format!("{credentials:?} {:?}", headers(&credentials));
            assert!(!shown.contains(CANARY), "{shown}");
            assert_eq!(credentials.redact(&format!("<{CANARY}>")), "<***>");
        }
    }

    #[test]
    fn invalid_credentials_are_errors_that_hide_them() {
        for bad in [
            "",
            "canary\n",
            "can ary",
            "canary\r\nX-Evil: 1",
            "canary\0",
            "cänary",
        ] {
            let error = Credentials::api_token(bad.into()).unwrap_err();
            assert_eq!(bad.is_empty(), error.to_string().ends_with(" is empty"));
            assert!(!format!("{error} {error:?}").contains("nary"), "{error}");
            assert!(Credentials::api_key(bad.into(), CANARY.into()).is_err());
            assert!(Credentials::api_key("a@example.com".into(), bad.into()).is_err());
        }
    }
}
