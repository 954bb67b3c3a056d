//! Fields of behaviors and integrations. [`FIELDS`] is the only list of them: comparison, JSON, request bodies, checks of responses and
//! attribution follow from it.

#[cfg(test)]
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::id::{ReferenceId, TenantUrl};
use super::open_enum::{OpenEnum, string_enum};

string_enum! {
    /// Kind of a resource.
    Kind {
        /// A risk behavior.
        Behavior = "behavior",
        /// An integration that receives scores.
        Integration = "integration",
    }
}

string_enum! {
    /// Risk level that a behavior assigns to users, in rising order.
    RiskLevel {
        /// `low`
        Low = "low",
        /// `medium`
        Medium = "medium",
        /// `high`
        High = "high",
    }
}

string_enum! {
    /// Field of a resource, in display order.
    Field {
        Enabled = "enabled",
        RiskLevel = "risk_level",
        IntegrationType = "integration_type",
        TenantUrl = "tenant_url",
        ReferenceId = "reference_id",
        Active = "active",
    }
}

/// Type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Bool,
    Level,
    Text,
    Reference,
    Url,
}

/// Properties of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    pub field: Field,
    pub kind: Kind,
    pub value_type: FieldType,
    /// True if the request that creates a resource has the field.
    pub in_create: bool,
    /// True if the request that updates a resource has the field.
    pub in_update: bool,
}

/// All fields, in the order of [`Field`].
///
/// Requests that create integrations have no `active`: new integrations are always active. `integration_type` cannot be updated
/// (`schema/api.md`, Integrations).
pub const FIELDS: [FieldSpec; 6] = {
    use FieldType::{Bool, Level, Reference, Text, Url};
    use Kind::{Behavior, Integration};
    [
        spec(Field::Enabled, Behavior, Bool, false, true),
        spec(Field::RiskLevel, Behavior, Level, false, true),
        spec(Field::IntegrationType, Integration, Text, true, false),
        spec(Field::TenantUrl, Integration, Url, true, true),
        spec(Field::ReferenceId, Integration, Reference, true, true),
        spec(Field::Active, Integration, Bool, false, true),
    ]
};

const fn spec(
    field: Field,
    kind: Kind,
    value_type: FieldType,
    in_create: bool,
    in_update: bool,
) -> FieldSpec {
    FieldSpec {
        field,
        kind,
        value_type,
        in_create,
        in_update,
    }
}

impl Field {
    /// Returns the properties of the field.
    pub fn spec(self) -> &'static FieldSpec {
        &FIELDS[self as usize]
    }
}

/// Value of a field. Two values are equal if the server treats them as equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum FieldValue {
    Bool(bool),
    Level(OpenEnum<RiskLevel>),
    Text(Arc<str>),
    Reference(ReferenceId),
    Url(TenantUrl),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Bool(value) => value.fmt(f),
            FieldValue::Level(level) => level.fmt(f),
            FieldValue::Text(text) => text.fmt(f),
            FieldValue::Reference(reference) => reference.fmt(f),
            FieldValue::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
impl JsonSchema for FieldValue {
    fn schema_name() -> Cow<'static, str> {
        "FieldValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Value of a field.", "type": ["boolean", "string"] })
    }
}

impl FieldType {
    /// Parses a value. `null` and an empty reference are unset.
    pub(super) fn parse(self, value: &Value) -> serde_json::Result<Option<FieldValue>> {
        Ok(match self {
            FieldType::Bool => Option::deserialize(value)?.map(FieldValue::Bool),
            FieldType::Level => Option::deserialize(value)?.map(FieldValue::Level),
            FieldType::Text => Option::deserialize(value)?.map(FieldValue::Text),
            FieldType::Reference => <Option<&str>>::deserialize(value)?
                .and_then(ReferenceId::new)
                .map(FieldValue::Reference),
            FieldType::Url => Option::deserialize(value)?.map(FieldValue::Url),
        })
    }
}

/// The only type of integrations that riskform knows.
pub const OKTA: &str = "Okta";

/// Values of fields. A field without a value is unset or, in a file, not declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fields(
    /// Sorted by field.
    Vec<(Field, FieldValue)>,
);

impl FromIterator<(Field, FieldValue)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Field, FieldValue)>>(values: I) -> Self {
        let mut fields = Fields::default();
        for (field, value) in values {
            fields.set(field, Some(value));
        }
        fields
    }
}

impl Fields {
    /// Creates the fields of a behavior.
    pub fn of_behavior(enabled: bool, level: OpenEnum<RiskLevel>) -> Self {
        Fields::from_iter([
            (Field::Enabled, FieldValue::Bool(enabled)),
            (Field::RiskLevel, FieldValue::Level(level)),
        ])
    }

    /// Creates the fields of an integration.
    pub fn of_integration(
        integration_type: &str,
        tenant_url: TenantUrl,
        reference_id: Option<ReferenceId>,
        active: bool,
    ) -> Self {
        let fields = Fields::from_iter([
            (
                Field::IntegrationType,
                FieldValue::Text(integration_type.into()),
            ),
            (Field::TenantUrl, FieldValue::Url(tenant_url)),
            (Field::Active, FieldValue::Bool(active)),
        ]);
        fields.with(Field::ReferenceId, reference_id.map(FieldValue::Reference))
    }

    pub fn get(&self, field: Field) -> Option<&FieldValue> {
        let mut values = self.0.iter();
        values
            .find(|(one, _)| *one == field)
            .map(|(_, value)| value)
    }

    /// Sets or unsets a field.
    pub fn set(&mut self, field: Field, value: Option<FieldValue>) {
        let position = self.0.binary_search_by_key(&field, |(field, _)| *field);
        match (position, value) {
            (Ok(index), Some(value)) => self.0[index].1 = value,
            (Ok(index), None) => drop(self.0.remove(index)),
            (Err(index), Some(value)) => self.0.insert(index, (field, value)),
            (Err(_), None) => {}
        }
    }

    /// Returns the fields with one of them set or unset.
    #[must_use]
    pub fn with(mut self, field: Field, value: Option<FieldValue>) -> Self {
        self.set(field, value);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (Field, &FieldValue)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// Merges these fields over others. Equal values keep the notation of the others, so that a URL that differs only in a trailing slash,
    /// or a UUID in upper case, is not rewritten.
    #[must_use]
    pub fn apply_to(&self, base: &Fields) -> Fields {
        let mut merged = base.clone();
        for (field, value) in &self.0 {
            if base.get(*field) != Some(value) {
                merged.set(*field, Some(value.clone()));
            }
        }
        merged
    }

    /// Returns true if the field is `true`.
    pub fn is_on(&self, field: Field) -> bool {
        self.get(field) == Some(&FieldValue::Bool(true))
    }

    pub fn level(&self) -> Option<&OpenEnum<RiskLevel>> {
        match self.get(Field::RiskLevel) {
            Some(FieldValue::Level(level)) => Some(level),
            _ => None,
        }
    }

    pub fn tenant_url(&self) -> Option<&TenantUrl> {
        match self.get(Field::TenantUrl) {
            Some(FieldValue::Url(url)) => Some(url),
            _ => None,
        }
    }

    pub fn reference_id(&self) -> Option<&ReferenceId> {
        match self.get(Field::ReferenceId) {
            Some(FieldValue::Reference(reference)) => Some(reference),
            _ => None,
        }
    }

    /// Returns true if both have the same type, tenant and reference.
    pub fn is_duplicate_of(&self, other: &Fields) -> bool {
        let but_active = |fields: &Fields| fields.clone().with(Field::Active, None);
        but_active(self) == but_active(other)
    }

    /// Returns a field as displayed.
    pub fn shown(&self, field: Field) -> String {
        let value = self.get(field);
        value.map_or_else(|| "(unset)".to_owned(), ToString::to_string)
    }

    /// Returns the body of a request that creates the resource.
    pub fn create_body(&self) -> Value {
        self.body(|spec| spec.in_create)
    }

    /// Returns the body of a request that updates the resource. It has all fields, because the API clears missing ones (`schema/api.md`,
    /// Integrations).
    pub fn update_body(&self) -> Value {
        self.body(|spec| spec.in_update)
    }

    fn body(&self, has: impl Fn(&FieldSpec) -> bool) -> Value {
        let sent = self.0.iter().filter(|(field, _)| has(field.spec()));
        let members = sent.map(|(field, value)| match value {
            FieldValue::Bool(value) => (field.to_string(), Value::from(*value)),
            value => (field.to_string(), Value::from(value.to_string())),
        });
        Value::Object(members.collect())
    }
}

/// Live resources.
impl Fields {
    /// Deserializes the fields of a live resource. All but `reference_id` must be set: `""`, `null` and a missing reference all mean unset
    /// (`schema/api.md`, Integrations).
    pub(crate) fn deserialize_complete<'de, D: Deserializer<'de>>(
        kind: Kind,
        deserializer: D,
    ) -> Result<Fields, D::Error> {
        let mut fields = Fields::deserialize(deserializer)?;
        fields.0.retain(|(field, _)| field.spec().kind == kind);
        let mut required = FIELDS
            .iter()
            .filter(|spec| spec.kind == kind && spec.field != Field::ReferenceId);
        match required.find(|spec| fields.get(spec.field).is_none()) {
            Some(missing) => Err(serde::de::Error::missing_field(missing.field.as_str())),
            None => Ok(fields),
        }
    }
}

/// Writes all fields of the kind. Unset ones are null.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.0.first().map(|(field, _)| field.spec().kind);
        let specs = FIELDS.iter().filter(|spec| Some(spec.kind) == kind);
        serializer.collect_map(specs.map(|spec| (spec.field, self.get(spec.field))))
    }
}

/// Reads the members that are fields, and skips all others.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let mut fields = Fields::default();
        for (name, value) in members {
            if let Ok(field) = name.parse::<Field>() {
                let value = field.spec().value_type.parse(&value);
                fields.set(field, value.map_err(serde::de::Error::custom)?);
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties = FIELDS.iter().map(|spec| {
            let value_type = match spec.value_type {
                FieldType::Bool => "boolean",
                _ => "string",
            };
            let value = serde_json::json!({ "type": [value_type, "null"] });
            (spec.field.to_string(), value)
        });
        let properties: serde_json::Map<String, Value> = properties.collect();
        json_schema!({ "description": "Fields of a behavior or an integration.", "type": "object", "properties": properties })
    }
}
