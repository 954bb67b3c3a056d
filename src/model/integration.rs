//! Integrations: Okta tenants that receive users' risk scores.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::AccountId;
use super::address::Name;
use super::location::Location;
use super::malformed_is_default;
use super::open_enum::{OpenEnum, string_enum};
use super::text::is_invisible;

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

/// Deserializes a `reference_id` of the API: `""`, `null` and a missing field all mean unset (`schema/api.md`, Integrations).
fn deserialize_reference_id<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ReferenceId>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(ReferenceId::new))
}

string_enum! {
    /// Type of an integration.
    IntegrationType {
        /// `Okta`
        Okta = "Okta",
    }
}

string_enum! {
    /// Field of an integration, in display order.
    IntegrationField {
        /// `integration_type`. Changing it replaces the integration.
        IntegrationType = "integration_type",
        /// `tenant_url`
        TenantUrl = "tenant_url",
        /// `reference_id`
        ReferenceId = "reference_id",
        /// `active`
        Active = "active",
    }
}

/// Settings of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct IntegrationSettings {
    /// Type of the integration.
    pub integration_type: OpenEnum<IntegrationType>,
    /// Tenant that receives the scores.
    pub tenant_url: TenantUrl,
    /// ID of the Access identity provider, or a generated reference. Null if unset.
    #[serde(default, deserialize_with = "deserialize_reference_id")]
    pub reference_id: Option<ReferenceId>,
    /// Whether scores are sent.
    pub active: bool,
}

impl IntegrationSettings {
    /// Returns the request body that creates the integration. It has no `active`: new integrations are always active (`schema/api.md`,
    /// Integrations).
    pub fn create_body(&self) -> Value {
        let IntegrationSettings {
            integration_type,
            tenant_url,
            reference_id,
            active: _,
        } = self;
        match reference_id {
            Some(reference_id) => json!({
                "integration_type": integration_type,
                "tenant_url": tenant_url,
                "reference_id": reference_id,
            }),
            None => json!({ "integration_type": integration_type, "tenant_url": tenant_url }),
        }
    }

    /// Returns the request body that updates the integration. It has all fields, because the API clears missing ones (`schema/api.md`,
    /// Integrations). An unset reference is left out.
    pub fn update_body(&self) -> Value {
        let IntegrationSettings {
            integration_type: _,
            tenant_url,
            reference_id,
            active,
        } = self;
        match reference_id {
            Some(reference_id) => {
                json!({ "tenant_url": tenant_url, "reference_id": reference_id, "active": active })
            }
            None => json!({ "tenant_url": tenant_url, "active": active }),
        }
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
    /// Settings of the integration.
    #[serde(flatten)]
    pub settings: IntegrationSettings,
}

impl IntegrationSettings {
    /// Returns true if both have the same type, tenant and reference.
    pub fn is_duplicate_of(&self, other: &IntegrationSettings) -> bool {
        let IntegrationSettings {
            integration_type,
            tenant_url,
            reference_id,
            active: _,
        } = self;
        *integration_type == other.integration_type
            && *tenant_url == other.tenant_url
            && *reference_id == other.reference_id
    }
}

impl Integration {
    /// Returns a sort key: oldest first, then by ID, so that every run finds the same oldest integration. An invalid date sorts last.
    pub fn creation_order(&self) -> impl Ord + use<> {
        let created = self.created();
        (created.is_none(), created, self.id)
    }

    /// Returns the creation time, if the text from the API is valid.
    pub fn created(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }
}

/// An integration as declared in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct DesiredIntegration {
    /// Local name, which is not sent to Cloudflare.
    pub name: Name,
    /// Type of the integration. Default: the live value, or Okta on create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration_type: Option<IntegrationType>,
    /// Tenant that receives the scores.
    pub tenant_url: TenantUrl,
    /// ID of the Access identity provider. Default: the live value, or a generated one on create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// Name of the Access identity provider. Its ID is in `reference_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// Okta organization of the identity provider, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider_org: Option<TenantUrl>,
    /// Whether scores are sent.
    #[serde(default = "active_by_default")]
    pub active: bool,
    /// ID of the live integration this entry manages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<IntegrationId>,
    /// Protection settings.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Location of the entry.
    pub location: Location,
    /// Names of the variables used in the values, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
}

fn active_by_default() -> bool {
    true
}

impl DesiredIntegration {
    /// Returns the settings for a create. `ignore_changes` has no effect, because there are no live values to keep.
    pub fn create_settings(&self) -> IntegrationSettings {
        IntegrationSettings {
            integration_type: self
                .integration_type
                .unwrap_or(IntegrationType::Okta)
                .into(),
            tenant_url: self.tenant_url.clone(),
            reference_id: self.reference_id.clone(),
            active: self.active,
        }
    }

    /// Returns the violations of the rules for files that the types allow, each beginning with its field.
    pub(super) fn check(&self) -> impl Iterator<Item = String> {
        let tenant = self.tenant_url.as_str().parse::<TenantUrl>().err();
        let ignored = &self.lifecycle.ignore_changes;
        let reasons = ignored.iter().filter_map(|one| one.reason.as_deref());
        let mut texts = (self.reference_id.iter().map(|one| one.as_str()))
            .chain(self.identity_provider.as_deref())
            .chain(reasons);
        let invisible = texts.any(|text| text.contains(is_invisible));
        let nameless = self.identity_provider.as_deref() == Some("");
        let fields: BTreeSet<_> = ignored.iter().map(|one| one.field.as_str()).collect();
        let tenant = tenant.map(|error| format!(".tenant_url: invalid tenant URL: {error}"));
        let text = (invisible || nameless)
            .then(|| " contains an empty name or an invisible character".to_owned());
        let twice = (fields.len() < ignored.len())
            .then(|| ".lifecycle.ignore_changes contains a field twice".to_owned());
        [tenant, text, twice].into_iter().flatten()
    }

    /// Merges the declared fields over the live ones, without regard to `ignore_changes`. Equal values keep their live notation, so that a
    /// URL that differs only in a trailing slash, or a UUID in upper case, is not rewritten.
    pub fn apply_to<'a>(&self, live: &'a IntegrationSettings) -> Cow<'a, IntegrationSettings> {
        let same_tenant = self.tenant_url == live.tenant_url;
        if same_tenant && self.matches_except_tenant(live) {
            return Cow::Borrowed(live);
        }
        Cow::Owned(IntegrationSettings {
            integration_type: self
                .integration_type
                .map_or_else(|| live.integration_type.clone(), OpenEnum::Known),
            tenant_url: if same_tenant {
                live.tenant_url.clone()
            } else {
                self.tenant_url.clone()
            },
            reference_id: match &self.reference_id {
                Some(declared) if live.reference_id.as_ref() != Some(declared) => {
                    Some(declared.clone())
                }
                Some(_) | None => live.reference_id.clone(),
            },
            active: self.active,
        })
    }

    fn matches_except_tenant(&self, live: &IntegrationSettings) -> bool {
        let same_type = self
            .integration_type
            .is_none_or(|declared| live.integration_type == declared.into());
        let same_reference = self.reference_id.is_none() || self.reference_id == live.reference_id;
        same_type && same_reference && self.active == live.active
    }
}

/// Protection settings of an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default)]
pub struct Lifecycle {
    /// Blocks every plan that deletes or replaces the integration. Cannot be overridden.
    pub prevent_destroy: bool,
    /// Fields to ignore. Updates send their live values.
    pub ignore_changes: Vec<IgnoreChange>,
}

impl Lifecycle {
    /// Returns true if changes of the field are ignored on this day (UTC).
    pub fn ignores(&self, field: IntegrationField, today: Date) -> bool {
        let mut ignored = self.ignore_changes.iter();
        ignored.any(|one| one.field == field && one.until.is_none_or(|until| until >= today))
    }
}

/// A field to ignore, permanently or until a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct IgnoreChange {
    pub field: IntegrationField,
    /// Last day (UTC) the field is ignored. Permanent if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Reason, shown in plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Location of the item.
    pub location: Location,
}

string_enum! {
    /// Reason why a change of an integration weakens protection.
    IntegrationWeakening {
        /// The integration is deleted.
        Deleted = "deleted",
        /// The integration is replaced.
        Replaced = "replaced",
        /// Scores are no longer sent.
        Deactivated = "deactivated",
        /// Scores are sent to another tenant.
        TenantUrlChanged = "tenant_url_changed",
        /// The integration is linked to another identity provider.
        ReferenceIdChanged = "reference_id_changed",
    }
}

/// Returns the most severe reason why a change from `before` to `after` weakens protection, if it does. `None` is a missing integration.
///
/// `is_own` returns true for generated references. Replacing one does not unlink an identity provider, and so does not weaken protection.
pub fn weakening(
    before: Option<&IntegrationSettings>,
    after: Option<&IntegrationSettings>,
    is_own: impl Fn(&ReferenceId) -> bool,
) -> Option<IntegrationWeakening> {
    match (before, after) {
        (None, _) => None,
        (Some(_), None) => Some(IntegrationWeakening::Deleted),
        (Some(before), Some(after)) => {
            let IntegrationSettings {
                integration_type,
                tenant_url,
                reference_id,
                active,
            } = before;
            if *integration_type != after.integration_type {
                Some(IntegrationWeakening::Replaced)
            } else if *active && !after.active {
                Some(IntegrationWeakening::Deactivated)
            } else if *tenant_url != after.tenant_url {
                Some(IntegrationWeakening::TenantUrlChanged)
            } else {
                let linked = reference_id
                    .as_ref()
                    .is_some_and(|reference| !is_own(reference));
                (linked && *reference_id != after.reference_id)
                    .then_some(IntegrationWeakening::ReferenceIdChanged)
            }
        }
    }
}
