//! Credentials for the API: a token, or email and API key. They are redacted in all output.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// API credentials. Debug output shows `***`.
#[derive(Clone)]
pub struct Credentials {
    form: CredentialKind,
    source: Arc<str>,
}

#[derive(Clone)]
enum CredentialKind {
    /// `Authorization: Bearer …`
    ApiToken(Secret),
    /// The legacy pair, `X-Auth-Email` and `X-Auth-Key`.
    ApiKey { email: Secret, key: Secret },
}

impl Credentials {
    /// Creates credentials from an API token.
    pub fn api_token(token: SecretString) -> Result<Self, CredentialsError> {
        let token = Secret::new("API token", token)?;
        Ok(Credentials::new(CredentialKind::ApiToken(token)))
    }

    /// Creates credentials from an email address and its global API key.
    pub fn api_key(email: SecretString, key: SecretString) -> Result<Self, CredentialsError> {
        Ok(Credentials::new(CredentialKind::ApiKey {
            email: Secret::new("email address of the API key", email)?,
            key: Secret::new("API key", key)?,
        }))
    }

    fn new(form: CredentialKind) -> Self {
        let source = "CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY";
        Credentials {
            form,
            source: source.into(),
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

    /// Adds the authentication headers, marked as sensitive.
    pub(super) fn authorize(&self, headers: &mut HeaderMap) {
        const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
        const KEY: HeaderName = HeaderName::from_static("x-auth-key");
        match &self.form {
            CredentialKind::ApiToken(token) => {
                headers.insert(AUTHORIZATION, token.header_value("Bearer "));
            }
            CredentialKind::ApiKey { email, key } => {
                headers.insert(EMAIL, email.header_value(""));
                headers.insert(KEY, key.header_value(""));
            }
        }
    }

    /// Replaces the secret in a text with `***`, since a server or proxy may echo request headers.
    pub(super) fn redact(&self, text: &str) -> String {
        match &self.form {
            CredentialKind::ApiToken(secret)
            | CredentialKind::ApiKey {
                email: _,
                key: secret,
            } => text.replace(secret.0.expose_secret(), "***"),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            CredentialKind::ApiToken(_) => "ApiToken(***)",
            CredentialKind::ApiKey { .. } => "ApiKey(***)",
        })
    }
}

/// A secret header value in visible ASCII.
#[derive(Clone)]
struct Secret(SecretString);

impl Secret {
    fn new(name: &'static str, secret: SecretString) -> Result<Self, CredentialsError> {
        let text = secret.expose_secret();
        let problem = match text {
            "" => "is empty",
            _ if text.bytes().all(|byte| byte.is_ascii_graphic()) => return Ok(Secret(secret)),
            _ => "contains a space, line break or non-ASCII character",
        };
        Err(CredentialsError { name, problem })
    }

    fn header_value(&self, scheme: &str) -> HeaderValue {
        let text = SecretString::from(format!("{scheme}{}", self.0.expose_secret()));
        let mut value = HeaderValue::from_str(text.expose_secret())
            .expect("a secret holds visible ASCII only, which every header can carry");
        value.set_sensitive(true);
        value
    }
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
