//! What the API says about the token itself (`schema/api.md`, Transport).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::account::AccountId;
use crate::model::open_enum::{OpenEnum, words};

words! {
    /// Whether a token can be used.
    TokenStatus {
        /// It can.
        Active = "active",
        /// Its owner switched it off.
        Disabled = "disabled",
        /// Its time is over.
        Expired = "expired",
    }
}

/// A token that the API knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedToken {
    /// Its id, which is no secret.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether it can be used.
    pub status: OpenEnum<TokenStatus>,
    /// When it begins to be valid.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// When it ceases to be valid; without one, never.
    #[serde(default)]
    pub expires_on: Option<Timestamp>,
}

/// Who a token belongs to: the two kinds are verified at different places, and each place refuses the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwner<'a> {
    User,
    Account(&'a AccountId),
}

impl TokenOwner<'_> {
    /// The path, below the base URL, that verifies the token a call is made with.
    pub(super) fn verify_path(self) -> String {
        match self {
            TokenOwner::User => "/user/tokens/verify".to_owned(),
            TokenOwner::Account(account) => format!("/accounts/{account}/tokens/verify"),
        }
    }
}
