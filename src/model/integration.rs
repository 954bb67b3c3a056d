//! Integrations: Okta tenants that receive users' risk scores.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::account::AccountId;
use super::field::{Fields, Kind};
use super::malformed_is_default;

pub use super::tenant_url::{ParseTenantUrlError, TenantUrl, TenantUrlWarning};

/// ID of an integration: a UUID assigned by the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct IntegrationId(Uuid);

impl IntegrationId {
    /// Returns the first eight digits.
    pub fn abbreviated(self) -> String {
        format!("{}…", &self.0.to_string()[..8])
    }
}

impl From<Uuid> for IntegrationId {
    fn from(id: Uuid) -> Self {
        IntegrationId(id)
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IntegrationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(IntegrationId)
    }
}

/// Reference of an integration: the ID of the Access identity provider for the tenant, or a generated reference.
///
/// Never empty. The API accepts any other string. UUIDs are compared without regard to letter case.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct ReferenceId(#[cfg_attr(test, schemars(length(min = 1)))] Arc<str>);

impl ReferenceId {
    /// Creates a reference. Returns `None` for the empty string, which the API may return for an unset reference.
    pub fn new(text: impl Into<Arc<str>>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(ReferenceId(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form for comparisons: a UUID in lower case, any other text unchanged.
    pub fn normalized(&self) -> Cow<'_, str> {
        let text = self.as_str();
        let has_upper_case = text.bytes().any(|byte| byte.is_ascii_uppercase());
        if has_upper_case && text.len() == 36 && Uuid::try_parse(text).is_ok() {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    }
}

impl PartialEq for ReferenceId {
    fn eq(&self, other: &Self) -> bool {
        self.normalized() == other.normalized()
    }
}

impl Eq for ReferenceId {}

impl PartialOrd for ReferenceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReferenceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.normalized().cmp(&other.normalized())
    }
}

impl Hash for ReferenceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized().hash(state);
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReferenceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ReferenceId::new(String::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("reference_id must not be empty"))
    }
}

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
#[cfg_attr(test, derive(JsonSchema))]
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
    #[serde(
        flatten,
        serialize_with = "Fields::serialize_complete",
        deserialize_with = "fields"
    )]
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
