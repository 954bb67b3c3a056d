//! Who is calling: a token, or the legacy pair of e-mail address and key (`contract.md`, Transport).

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

use super::envelope::Failure;
use super::settings::Permissions;

/// A caller whose credentials are valid.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The token; with the legacy pair, the key.
    pub(super) token: String,
    /// What it may do.
    pub(super) permissions: Permissions,
}

/// Reads the credentials of a request. A key is valid if a token of that name is; the e-mail address may be any.
pub(super) fn authenticate(
    headers: &HeaderMap,
    tokens: &BTreeMap<String, Permissions>,
) -> Result<Caller, Failure> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let token = match (
        text(header::AUTHORIZATION.as_str()),
        text("x-auth-email"),
        text("x-auth-key"),
    ) {
        (Some(authorization), _, _) => bearer(authorization),
        (None, Some(email), Some(key)) if !email.is_empty() => key,
        (None, _, _) => return Err(Failure::NoCredentials),
    };
    let permissions = tokens.get(token).ok_or(Failure::InvalidCredentials)?;
    Ok(Caller {
        token: token.to_owned(),
        permissions: permissions.clone(),
    })
}

/// The token of an `Authorization` header; empty, which no token is, for another scheme.
fn bearer(authorization: &str) -> &str {
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => "",
    }
}
