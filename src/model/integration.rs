//! Integrations: Okta tenants that receive users' risk scores.

use std::fmt;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize};

use super::field::{Fields, Kind};
use super::id::AccountId;
use super::malformed_is_default;

pub use super::id::{IntegrationId, ReferenceId, TenantUrl};

/// Returns the path to list and create integrations, relative to the base URL.
pub fn collection_path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/integrations")
}

/// Returns the path of one integration. `id` is an [`IntegrationId`], or a placeholder for one that does not exist yet.
pub fn path(account: &AccountId, id: impl fmt::Display) -> String {
    format!("/accounts/{account}/zt_risk_scoring/integrations/{id}")
}

/// Returns the path to get an integration by its reference. Returns `None` for `.` and `..`, which URL libraries remove from paths.
pub fn reference_path(account: &AccountId, reference: &ReferenceId) -> Option<String> {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    let text = reference.as_str();
    (text != "." && text != "..").then(|| {
        format!(
            "/accounts/{account}/zt_risk_scoring/integrations/reference_id/{}",
            utf8_percent_encode(text, SEGMENT)
        )
    })
}

/// An integration of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// ID of the integration.
    pub id: IntegrationId,
    /// Account tag returned by the API.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub account_tag: String,
    /// Creation time, as returned by the API.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub created_at: String,
    /// URL to enter in Okta's shared-signals settings.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub well_known_url: String,
    #[serde(flatten, deserialize_with = "fields")]
    pub fields: Fields,
}

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
    Fields::deserialize_complete(Kind::Integration, deserializer)
}

impl Integration {
    /// Returns a sort key: oldest first, then by ID, so that every run finds the same oldest integration. An invalid date sorts last.
    pub fn creation_order(&self) -> impl Ord + use<> {
        let created: Option<Timestamp> = self.created_at.parse().ok();
        (created.is_none(), created, self.id)
    }
}
