//! The JSON Schema of desired-state files, generated from the types that files are read into, for editors that complete and check.
//!
//! JSON Schema can say less than the loader checks: nothing between files, nothing about uniqueness, nothing about what a variable holds.
//! What it refuses, the loader refuses as well.

use std::borrow::Cow;

use jiff::civil::Date;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::kinds::account::{Layer, VariableName, Version};
use super::kinds::behavior::BehaviorLayer;
use super::kinds::decode::{Field, Text};
use super::kinds::entries::{Listed, Section};
use super::kinds::integration::{IgnoreLayer, IntegrationLayer};
use super::source::Spanned;
use crate::model::account::{AccountId, UnlistedBehaviors, UnlistedIntegrations, WeakeningPolicy};
use crate::model::address::Name;
use crate::model::behavior::RiskLevel;
use crate::model::integration::{
    IntegrationField, IntegrationId, IntegrationType, ReferenceId, TenantUrl,
};

/// A variable somewhere in a text.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

/// The JSON Schema of one document, draft 7, since editors know that one best. Ends with a line break.
pub fn schema() -> String {
    let generator = SchemaSettings::draft07()
        .with_transform(RecursiveTransform(unwrap_description))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Layer>();
    schema.insert("title".to_owned(), json!("riskform desired state"));
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON already");
    text.push('\n');
    text
}

/// Descriptions come from comments, whose line breaks mean nothing to an editor.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// How a value of a type is written in a file.
trait Written {
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: Written> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Written> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Spanned".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<L: Listed + KeyPattern + JsonSchema> JsonSchema for Section<L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Section".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<L>();
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": L::PATTERN, "examples": L::EXAMPLES },
            "additionalProperties": { "anyOf": [entry, { "type": "null" }] },
        })
    }
}

/// What the keys of a section look like.
trait KeyPattern {
    const PATTERN: &'static str;
    const EXAMPLES: &'static [&'static str];
}

impl KeyPattern for BehaviorLayer {
    const PATTERN: &'static str = r"^(?!.*\$\{)\S+$";
    const EXAMPLES: &'static [&'static str] = &["imp_travel", "high_dlp", "sentinel_one"];
}

impl KeyPattern for IntegrationLayer {
    const PATTERN: &'static str = "^[A-Za-z0-9_-]+$";
    const EXAMPLES: &'static [&'static str] = &["corporate-okta"];
}

/// What is no text by itself may also come out of a variable.
fn or_variable(schema: Value) -> Schema {
    json_schema!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] })
}

/// A text of a certain shape, or one with a variable in it.
fn text_like(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": format!("^({pattern})$|{VARIABLE}") })
}

/// A text that somebody may leave without quotes although it looks like a number; the loader takes it as it is written.
fn text_or_digits(pattern: &str) -> Schema {
    json_schema!({
        "type": ["string", "number"],
        "pattern": format!("^({pattern})$|{VARIABLE}"),
    })
}

/// Gives closed sets of words their schema.
macro_rules! written_words {
    ($($word:ty),+) => {
        $(impl Written for $word {
            fn schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
                or_variable(json!({ "type": "string", "enum": words }))
            }
        })+
    };
}

written_words!(
    RiskLevel,
    IntegrationType,
    IntegrationField,
    UnlistedBehaviors,
    UnlistedIntegrations,
    WeakeningPolicy
);

impl Written for Version {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": 1 })
    }
}

impl Written for bool {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(json!({ "type": "boolean" }))
    }
}

impl Written for u32 {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }))
    }
}

impl Written for AccountId {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_or_digits("[0-9a-fA-F]{32}")
    }
}

impl Written for Name {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_or_digits("[A-Za-z0-9_-]+")
    }
}

impl Written for VariableName {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like("[A-Za-z_][A-Za-z0-9_]*")
    }
}

impl Written for Text {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"] })
    }
}

impl Written for TenantUrl {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like(r"[Hh][Tt][Tt][Pp][Ss]://([^\s/?#@\\:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?")
    }
}

impl Written for Option<ReferenceId> {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "null"], "minLength": 1 })
    }
}

impl Written for IntegrationId {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    }
}

impl Written for Date {
    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like("[0-9]{4}-[0-9]{2}-[0-9]{2}")
    }
}

impl Written for Vec<Text> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let item = Text::schema(generator);
        json_schema!({ "type": "array", "items": item })
    }
}

impl Written for Vec<IgnoreLayer> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let field = IntegrationField::schema(generator);
        let with_end = generator.subschema_for::<IgnoreLayer>();
        json_schema!({ "type": "array", "items": { "anyOf": [field, with_end] } })
    }
}

/// Fields that a file leaves out are inherited, or stay as they are live.
pub(super) fn all_optional(schema: &mut Schema) {
    schema.remove("required");
}

/// Every file says which version of the format it is written in.
pub(super) fn only_version_required(schema: &mut Schema) {
    schema.insert("required".to_owned(), json!(["version"]));
}

/// An item that ends must name its field.
pub(super) fn only_field_required(schema: &mut Schema) {
    schema.insert("required".to_owned(), json!(["field"]));
}
