//! Verification of an API token (`schema/api.md`, Transport).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::account::AccountId;
use crate::model::malformed_is_default;
use crate::model::open_enum::{OpenEnum, string_enum};

string_enum! {
    /// Status of an API token.
    TokenStatus {
        /// Usable.
        Active = "active",
        /// Disabled by its owner.
        Disabled = "disabled",
        /// Past its expiration date.
        Expired = "expired",
    }
}

/// Result of verifying a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedToken {
    /// ID of the token (not secret).
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub id: Option<String>,
    pub status: OpenEnum<TokenStatus>,
    /// Start of validity.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub not_before: Option<Timestamp>,
    /// End of validity; `None` if the token does not expire, or if it is unknown.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub expires_on: Option<Timestamp>,
}

/// Owner of a token. User tokens and account tokens have different verification endpoints, and each rejects the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwner<'a> {
    User,
    Account(&'a AccountId),
}

impl TokenOwner<'_> {
    /// Returns the path that verifies the request's token, relative to the base URL.
    pub(super) fn verify_path(self) -> String {
        match self {
            TokenOwner::User => "/user/tokens/verify".to_owned(),
            TokenOwner::Account(account) => format!("/accounts/{account}/tokens/verify"),
        }
    }
}
