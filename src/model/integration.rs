//! Integrations: where the account sends users' risk scores. One known kind, Okta.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::AccountId;
use super::address::Name;
use super::location::Location;
use super::null_is_default;
use super::open_enum::{OpenEnum, words};

pub use super::tenant_url::{ParseTenantUrlError, TenantUrl, TenantUrlWarning};

/// The id that the API gave an integration; a UUID.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct IntegrationId(Uuid);

impl IntegrationId {
    /// Enough of it to know it again: its first eight digits.
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

/// The reference that the account's owner gave an integration: a string that is not empty.
///
/// Should be the id of the Access identity provider for the Okta tenant, but the API takes any string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ReferenceId(#[schemars(length(min = 1))] Arc<str>);

impl ReferenceId {
    /// Takes a reference as it is written; `None` for the empty string, which is how the API may show an unset one.
    pub fn new(text: impl Into<Arc<str>>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(ReferenceId(text))
    }

    /// The reference as written.
    pub fn as_str(&self) -> &str {
        &self.0
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
            .ok_or_else(|| serde::de::Error::custom("a reference_id is never empty"))
    }
}

/// Reads a `reference_id` as the API may show it: `""`, `null` and absent are the same unset reference (`schema/api.md`, Integrations).
fn deserialize_reference_id<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ReferenceId>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(ReferenceId::new))
}

words! {
    /// The kinds of integration that a file may declare.
    IntegrationType {
        /// `Okta`
        Okta = "Okta",
    }
}

words! {
    /// The fields of an integration that a file declares and a change names, in the order they are shown.
    IntegrationField {
        /// `integration_type`; can't be changed, so that another one means a replacement.
        IntegrationType = "integration_type",
        /// `tenant_url`
        TenantUrl = "tenant_url",
        /// `reference_id`
        ReferenceId = "reference_id",
        /// `active`
        Active = "active",
    }
}

/// The part of an integration that is configured rather than given by the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationSettings {
    /// What kind it is.
    pub integration_type: OpenEnum<IntegrationType>,
    /// Which tenant receives the scores.
    pub tenant_url: TenantUrl,
    /// The owner's reference; `None` is unset.
    #[serde(default, deserialize_with = "deserialize_reference_id")]
    pub reference_id: Option<ReferenceId>,
    /// Whether scores are sent.
    pub active: bool,
}

impl IntegrationSettings {
    /// The body that creates such an integration. It can't say `active`: a new one always is (`schema/api.md`, Integrations).
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

    /// The body that overwrites an integration. Always all three: what is left out is lost (`schema/api.md`, Integrations).
    pub fn update_body(&self) -> Value {
        let IntegrationSettings {
            integration_type: _,
            tenant_url,
            reference_id,
            active,
        } = self;
        json!({ "tenant_url": tenant_url, "reference_id": reference_id, "active": active })
    }
}

/// The path, below the base URL, at which integrations are listed and created.
pub fn collection_path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/integrations")
}

/// The path of one integration. `id` displays an [`IntegrationId`], or stands for one that is yet to be made.
pub fn path(account: &AccountId, id: impl fmt::Display) -> String {
    format!("/accounts/{account}/zt_risk_scoring/integrations/{id}")
}

/// The path that finds an integration by its reference, or `None` for one that no path can carry: the dot segments, which every
/// URL library takes for a step up.
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

/// One integration as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Integration {
    /// The server's id.
    pub id: IntegrationId,
    /// The account that it belongs to, as the server names it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub account_tag: String,
    /// When it was created, as the server wrote it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub created_at: String,
    /// What an operator pastes into Okta.
    #[serde(default, deserialize_with = "null_is_default")]
    pub well_known_url: String,
    /// How it is configured.
    #[serde(flatten)]
    pub settings: IntegrationSettings,
}

impl IntegrationSettings {
    /// Says whether two integrations are the same but for their ids and whether they are active.
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
    /// Orders integrations by age, then by id, so that every run agrees on the elder of two.
    pub fn seniority(&self) -> impl Ord + use<> {
        (self.created(), self.created_at.clone(), self.id)
    }

    /// The moment of its creation, where the server's text is one.
    pub fn created(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }
}

/// One entry under `integrations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DesiredIntegration {
    /// The local name; never sent.
    pub name: Name,
    /// What kind it should be; left out it stays as it is, and is Okta on create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration_type: Option<IntegrationType>,
    /// Which tenant should receive the scores.
    pub tenant_url: TenantUrl,
    /// The owner's reference; left out it stays as it is, and is our own on create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// The name of the Access identity provider that `reference_id` is the id of, once it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The Okta org that this provider belongs to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider_org: Option<TenantUrl>,
    /// Whether scores should be sent.
    pub active: bool,
    /// Pins the entry to one live integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<IntegrationId>,
    /// What must not happen to it.
    pub lifecycle: Lifecycle,
    /// Where it is declared.
    pub location: Location,
    /// By field, the names of the variables that its value was made of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
}

impl DesiredIntegration {
    /// The settings it has when it is created, before `ignore_changes` has any live value to keep.
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

    /// Lays the declared fields over the live ones, `ignore_changes` left aside. What compares equal keeps its live spelling, so that
    /// a URL that differs in its trailing slash alone is never rewritten.
    pub fn over<'a>(&self, live: &'a IntegrationSettings) -> Cow<'a, IntegrationSettings> {
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
            reference_id: self
                .reference_id
                .clone()
                .or_else(|| live.reference_id.clone()),
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

/// What must not happen to an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lifecycle {
    /// Deleting or replacing it is refused, without an override.
    pub prevent_destroy: bool,
    /// Fields that are sent as they are live.
    pub ignore_changes: Vec<IgnoreChange>,
}

/// One field whose live value is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoreChange {
    pub field: IntegrationField,
    /// The last day, in UTC, on which it is left alone; without one, for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Why, for whoever reads the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is declared.
    pub location: Location,
}

words! {
    /// Why a change of an integration weakens protection.
    IntegrationWeakening {
        /// It is gone.
        Deleted = "deleted",
        /// Another one stands in its place.
        Replaced = "replaced",
        /// It no longer sends scores.
        Deactivated = "deactivated",
        /// Scores go to another tenant.
        TenantUrl = "tenant_url changed",
        /// It belongs to another identity provider.
        ReferenceId = "reference_id changed",
    }
}

/// Says why going from `before` to `after` weakens protection: the gravest reason, or `None` when it does not. An absent state is `None`.
/// `is_own` says whether riskform made a reference: giving that up unlinks nothing, no more than giving an unset one a value.
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
                Some(IntegrationWeakening::TenantUrl)
            } else {
                let linked = reference_id
                    .as_ref()
                    .is_some_and(|reference| !is_own(reference));
                (linked && *reference_id != after.reference_id)
                    .then_some(IntegrationWeakening::ReferenceId)
            }
        }
    }
}
