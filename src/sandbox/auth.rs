//! Authentication: a token, or the legacy pair of email address and key (`schema/api.md`, Transport).

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};
use uuid::Uuid;

use super::envelope::ApiFailure;
use super::recorded_errors::RecordedError;
use super::settings::{Permissions, Settings};

/// A caller with valid credentials.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The token; with the legacy pair, the key.
    pub(super) token: String,
    /// The email address of the legacy pair; `None` with a token.
    pub(super) email: Option<String>,
    pub(super) permissions: Permissions,
}

impl Caller {
    /// Returns the public ID of the token, which does not reveal the token.
    pub(super) fn token_id(&self) -> String {
        let hash = digest(&SHA256, self.token.as_bytes());
        let first = hash.as_ref()[..16]
            .try_into()
            .expect("a SHA-256 has 32 bytes");
        Uuid::from_bytes(first).simple().to_string()
    }
}

/// Authenticates a request. A key is valid if it equals a valid token; any email address is accepted.
pub(super) fn authenticate(
    headers: &HeaderMap,
    settings: &Settings,
) -> Result<Caller, RecordedError> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let (token, email) = match (
        text(header::AUTHORIZATION.as_str()),
        text("x-auth-email"),
        text("x-auth-key"),
    ) {
        (Some(authorization), _, _) => (bearer(authorization)?, None),
        (None, Some(email), Some(key)) => match (email.contains('@'), !key.is_empty()) {
            (true, true) => (key, Some(email.to_owned())),
            (true, false) => return Err(RecordedError::MalformedKey),
            (false, _) => return Err(RecordedError::MalformedPair),
        },
        (None, _, _) => return Err(RecordedError::NoCredentials),
    };
    if settings.ip_restricted_tokens.contains(token) {
        return Err(RecordedError::OtherLocation);
    }
    let permissions = settings.tokens.get(token).ok_or(match email {
        Some(_) => RecordedError::PairRefused,
        None => RecordedError::DeadToken,
    })?;
    Ok(Caller {
        token: token.to_owned(),
        email,
        permissions: permissions.clone(),
    })
}

/// Returns the token of an `Authorization` header.
fn bearer(authorization: &str) -> Result<&str, RecordedError> {
    match authorization.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() =>
        {
            Ok(token.trim())
        }
        Some(_) | None => Err(RecordedError::MalformedToken),
    }
}

impl From<RecordedError> for ApiFailure {
    fn from(refusal: RecordedError) -> Self {
        ApiFailure::Refused(refusal)
    }
}
