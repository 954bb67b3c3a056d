//! One difference: a resource before and after. Its action and its fields are derived from the two.

#[cfg(test)]
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::model::address::Address;
use crate::model::behavior::{BehaviorSettings, BehaviorWeakening};
use crate::model::integration::{
    IntegrationField, IntegrationId, IntegrationSettings, IntegrationWeakening,
};
use crate::model::location::Location;
use crate::model::open_enum::string_enum;

use super::attribution::FieldAttribution;
use super::change_shape::ChangeJson;
use super::matching::MatchedBy;

/// A change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(into = "ChangeJson")]
#[cfg_attr(test, schemars(from = "ChangeJson"))]
pub enum Change {
    Behavior(ResourceDiff<BehaviorSettings>),
    Integration(ResourceDiff<IntegrationSettings>),
}

/// State of a resource before and after a change. At most one of the two is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceDiff<T> {
    pub address: Address,
    pub before: Option<T>,
    pub after: Option<T>,
    /// Reason why the change weakens protection, if it does.
    pub weakens: Option<Weakening>,
    /// Reason why the live state protects less than the desired state, if it does.
    pub live_weaker: Option<Weakening>,
    /// Location of the entry. `None` for unlisted resources.
    pub location: Option<Location>,
    /// Entry that declares the resource if it is not declared by name.
    pub declared_by: Option<DeclaredBy>,
    /// Live integration, if it exists.
    pub found: Option<LiveMatch>,
    /// Variables and identity provider used in the declared values.
    pub sources: ValueSources,
    /// Drift only: authors of the difference.
    pub attribution: Vec<FieldAttribution>,
}

/// Variables and identity provider used in declared values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueSources {
    /// Names of the variables used in the value, by field.
    pub variables: BTreeMap<String, Vec<String>>,
    /// Name of the identity provider that has the declared `reference_id`.
    pub identity_provider: Option<String>,
}

/// A live integration and how it was matched to its entry (`None` if it is unlisted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveMatch {
    pub id: IntegrationId,
    pub by: Option<MatchedBy>,
}

string_enum! {
    /// Entry that declares resources without naming them.
    DeclaredBy {
        /// The wildcard entry.
        Wildcard = "wildcard",
    }
}

string_enum! {
    /// Action of a change.
    Action {
        /// Creates the resource.
        Create = "create",
        /// Updates fields of the resource.
        Update = "update",
        /// Deletes the resource and creates it again, because a field cannot be updated.
        Replace = "replace",
        /// Deletes the resource.
        Delete = "delete",
    }
}

string_enum! {
    /// Kind of a resource.
    Kind {
        /// A risk behavior.
        Behavior = "behavior",
        /// An integration that receives scores.
        Integration = "integration",
    }
}

impl From<&Address> for Kind {
    fn from(address: &Address) -> Self {
        match address {
            Address::Behavior(_) => Kind::Behavior,
            Address::Integration(_) | Address::UnlistedIntegration(_) => Kind::Integration,
        }
    }
}

impl Change {
    pub fn address(&self) -> &Address {
        match self {
            Change::Behavior(diff) => &diff.address,
            Change::Integration(diff) => &diff.address,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Change::Behavior(_) => Kind::Behavior,
            Change::Integration(_) => Kind::Integration,
        }
    }

    /// Where it is declared.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Change::Behavior(diff) => diff.location.as_ref(),
            Change::Integration(diff) => diff.location.as_ref(),
        }
    }

    /// The live integration that it is about.
    pub fn found(&self) -> Option<LiveMatch> {
        match self {
            Change::Behavior(diff) => diff.found,
            Change::Integration(diff) => diff.found,
        }
    }

    pub fn action(&self) -> Action {
        match self {
            Change::Behavior(diff) => diff.action(|_, _| false),
            Change::Integration(diff) => {
                diff.action(|before, after| before.integration_type != after.integration_type)
            }
        }
    }

    /// Returns the reason why the change weakens protection, if it does.
    pub fn weakens(&self) -> Option<Weakening> {
        match self {
            Change::Behavior(diff) => diff.weakens,
            Change::Integration(diff) => diff.weakens,
        }
    }

    /// Returns the reason why the live state protects less than the desired state, if it does.
    pub fn live_weaker(&self) -> Option<Weakening> {
        match self {
            Change::Behavior(diff) => diff.live_weaker,
            Change::Integration(diff) => diff.live_weaker,
        }
    }

    /// Returns the entry that declares the resource if it is not declared by name.
    pub fn declared_by(&self) -> Option<DeclaredBy> {
        match self {
            Change::Behavior(diff) => diff.declared_by,
            Change::Integration(diff) => diff.declared_by,
        }
    }

    /// In drift: who made it differ, as far as the audit log was asked.
    pub fn attribution(&self) -> &[FieldAttribution] {
        match self {
            Change::Behavior(diff) => &diff.attribution,
            Change::Integration(diff) => &diff.attribution,
        }
    }

    pub(super) fn attribute(&mut self, attribution: Vec<FieldAttribution>) {
        match self {
            Change::Behavior(diff) => diff.attribution = attribution,
            Change::Integration(diff) => diff.attribution = attribution,
        }
    }

    /// The fields that differ, in the order that they are shown; all of them, where the thing comes or goes.
    pub fn fields(&self) -> Vec<FieldChange> {
        match self {
            Change::Behavior(diff) => diff.fields(),
            Change::Integration(diff) => diff.fields(),
        }
    }
}

impl<T> ResourceDiff<T> {
    fn action(&self, replaces: impl Fn(&T, &T) -> bool) -> Action {
        match (&self.before, &self.after) {
            (None, _) => Action::Create,
            (Some(_), None) => Action::Delete,
            (Some(before), Some(after)) if replaces(before, after) => Action::Replace,
            (Some(_), Some(_)) => Action::Update,
        }
    }
}

impl<T: ResourceFields> ResourceDiff<T> {
    pub(super) fn fields(&self) -> Vec<FieldChange> {
        let mut fields = field_changes(self.before.as_ref(), self.after.as_ref());
        for field in &mut fields {
            let ValueSources {
                variables,
                identity_provider,
            } = &self.sources;
            let variables = variables.get(field.field.as_str());
            field.variables = variables.cloned().unwrap_or_default();
            if field.field == Field::ReferenceId {
                field.identity_provider.clone_from(identity_provider);
            }
        }
        fields
    }
}

/// The settings of one kind of resource, as fields.
pub trait ResourceFields {
    /// Every field, in the order that they are shown.
    const FIELDS: &'static [Field];

    /// The value of one of its fields; `None` where it is unset.
    fn value(&self, field: Field) -> Option<FieldValue>;

    /// Says whether a field compares equal; a `tenant_url` does in its normalized form.
    fn same(&self, other: &Self, field: Field) -> bool;
}

/// The fields in which two states of a thing differ.
pub fn field_changes<T: ResourceFields>(before: Option<&T>, after: Option<&T>) -> Vec<FieldChange> {
    T::FIELDS
        .iter()
        .filter(|field| match (before, after) {
            (Some(before), Some(after)) => !before.same(after, **field),
            (None, _) | (_, None) => true,
        })
        .map(|field| FieldChange {
            field: *field,
            before: before.and_then(|before| before.value(*field)),
            after: after.and_then(|after| after.value(*field)),
            variables: Vec::new(),
            identity_provider: None,
        })
        .collect()
}

impl ResourceFields for BehaviorSettings {
    const FIELDS: &'static [Field] = &[Field::Enabled, Field::RiskLevel];

    fn value(&self, field: Field) -> Option<FieldValue> {
        let BehaviorSettings {
            enabled,
            risk_level,
        } = self;
        match field {
            Field::Enabled => Some(FieldValue::Bool(*enabled)),
            Field::RiskLevel => Some(FieldValue::Text(risk_level.to_string())),
            Field::IntegrationType | Field::TenantUrl | Field::ReferenceId | Field::Active => None,
        }
    }

    fn same(&self, other: &Self, field: Field) -> bool {
        self.value(field) == other.value(field)
    }
}

impl ResourceFields for IntegrationSettings {
    const FIELDS: &'static [Field] = &[
        Field::IntegrationType,
        Field::TenantUrl,
        Field::ReferenceId,
        Field::Active,
    ];

    fn value(&self, field: Field) -> Option<FieldValue> {
        let IntegrationSettings {
            integration_type,
            tenant_url,
            reference_id,
            active,
        } = self;
        match field {
            Field::IntegrationType => Some(FieldValue::Text(integration_type.to_string())),
            Field::TenantUrl => Some(FieldValue::Text(tenant_url.to_string())),
            Field::ReferenceId => reference_id
                .as_ref()
                .map(|reference| FieldValue::Text(reference.to_string())),
            Field::Active => Some(FieldValue::Bool(*active)),
            Field::Enabled | Field::RiskLevel => None,
        }
    }

    fn same(&self, other: &Self, field: Field) -> bool {
        match field {
            Field::TenantUrl => self.tenant_url == other.tenant_url,
            Field::IntegrationType => self.integration_type == other.integration_type,
            Field::ReferenceId => self.reference_id == other.reference_id,
            Field::Active => self.active == other.active,
            Field::Enabled | Field::RiskLevel => true,
        }
    }
}

string_enum! {
    /// Field of a resource, in display order.
    Field {
        /// `enabled` of a behavior.
        Enabled = "enabled",
        /// `risk_level` of a behavior.
        RiskLevel = "risk_level",
        /// `integration_type` of an integration.
        IntegrationType = "integration_type",
        /// `tenant_url` of an integration.
        TenantUrl = "tenant_url",
        /// `reference_id` of an integration.
        ReferenceId = "reference_id",
        /// `active` of an integration.
        Active = "active",
    }
}

impl From<IntegrationField> for Field {
    fn from(field: IntegrationField) -> Self {
        match field {
            IntegrationField::IntegrationType => Field::IntegrationType,
            IntegrationField::TenantUrl => Field::TenantUrl,
            IntegrationField::ReferenceId => Field::ReferenceId,
            IntegrationField::Active => Field::Active,
        }
    }
}

/// A changed field. Values are missing if the resource does not exist or the field is unset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct FieldChange {
    pub field: Field,
    pub before: Option<FieldValue>,
    pub after: Option<FieldValue>,
    /// Names of the variables used in the declared value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Name of the Access identity provider that has the declared reference_id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
}

impl FieldChange {
    /// The field as it reads where it should have been changed: `risk_level is "low", not "high"`.
    pub fn not_read_back(&self) -> String {
        let FieldChange {
            field,
            before,
            after,
            variables: _,
            identity_provider: _,
        } = self;
        let (is, not) = (quoted(before.as_ref()), quoted(after.as_ref()));
        format!("{field} is {is}, not {not}")
    }
}

/// Value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum FieldValue {
    Bool(bool),
    Text(String),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Bool(value) => value.fmt(f),
            FieldValue::Text(text) => text.fmt(f),
        }
    }
}

/// A value within a sentence: texts in quotes, so that it is plain where they end.
pub(super) fn quoted(value: Option<&FieldValue>) -> String {
    match value {
        None => "(unset)".to_owned(),
        Some(FieldValue::Bool(value)) => value.to_string(),
        Some(FieldValue::Text(text)) => format!("{text:?}"),
    }
}

/// Reason why a change weakens protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weakening {
    Behavior(BehaviorWeakening),
    Integration(IntegrationWeakening),
}

impl Weakening {
    /// The value in JSON.
    fn as_str(self) -> &'static str {
        match self {
            Weakening::Behavior(weakening) => weakening.as_str(),
            Weakening::Integration(weakening) => weakening.as_str(),
        }
    }
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weakening::Behavior(BehaviorWeakening::UnknownLevel) => f.write_str("unknown level"),
            Weakening::Integration(IntegrationWeakening::TenantUrlChanged) => {
                f.write_str("tenant_url changed")
            }
            Weakening::Integration(IntegrationWeakening::ReferenceIdChanged) => {
                f.write_str("reference_id changed")
            }
            Weakening::Behavior(_) | Weakening::Integration(_) => f.write_str(self.as_str()),
        }
    }
}

impl Serialize for Weakening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
impl JsonSchema for Weakening {
    fn schema_name() -> Cow<'static, str> {
        "Weakening".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let behaviors = BehaviorWeakening::ALL.iter().map(|word| word.as_str());
        let integrations = IntegrationWeakening::ALL.iter().map(|word| word.as_str());
        let words: Vec<&str> = behaviors.chain(integrations).collect();
        json_schema!({ "description": "Reason why protection is weakened.", "type": "string", "enum": words })
    }
}

/// A live resource that is not in any file and is not changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct UnlistedResource {
    pub address: Address,
    /// Handling of such resources, as declared in `unlisted`.
    pub policy: Policy,
    pub settings: UnlistedSettings,
    /// Drift only: author of the resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attribution: Vec<FieldAttribution>,
}

impl UnlistedResource {
    /// Says whether the file wants it reported.
    pub fn is_reported(&self) -> bool {
        match self.policy {
            Policy::Report => true,
            Policy::Keep | Policy::Disable | Policy::Delete => false,
        }
    }
}

string_enum! {
    /// Handling of unlisted resources. Resources to disable or delete are changes, and not in the list of unlisted resources.
    Policy {
        /// Keeps them.
        Keep = "keep",
        /// Keeps them and reports them as drift.
        Report = "report",
        /// Disables behaviors; this one is already disabled.
        Disable = "disable",
        /// Deletes integrations, except on `destroy`.
        Delete = "delete",
    }
}

/// Settings of an unlisted resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum UnlistedSettings {
    Behavior(BehaviorSettings),
    Integration(IntegrationSettings),
}

impl UnlistedSettings {
    /// Every field with its value.
    pub fn fields(&self) -> Vec<FieldChange> {
        match self {
            UnlistedSettings::Behavior(settings) => field_changes(Some(settings), None),
            UnlistedSettings::Integration(settings) => field_changes(Some(settings), None),
        }
    }
}
