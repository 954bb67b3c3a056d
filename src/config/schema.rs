//! The JSON Schema of desired-state files, generated from the tables that files are read by, for editors that complete and check.
//!
//! JSON Schema can say less than the loader checks: nothing between files, nothing about uniqueness, nothing about what a variable holds.
//! What it refuses, the loader refuses as well.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::kinds::account::Layer;
use super::kinds::{Field, Written};
use crate::model::behavior::BehaviorKey;

/// A variable somewhere in a text.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

/// The JSON Schema of one document.
///
/// Editors complete the behaviors that are named: those of an account, else the documented ones.
pub fn schema<'k>(behaviors: impl IntoIterator<Item = &'k BehaviorKey>) -> String {
    let mut schema = root_schema::<Layer>("riskform desired state");
    let behaviors: Vec<&str> = behaviors.into_iter().map(BehaviorKey::as_str).collect();
    if let Some(section) = schema.pointer_mut("/properties/behaviors")
        && !behaviors.is_empty()
    {
        let entry = section["additionalProperties"].clone();
        let names = behaviors.iter().chain(&["*"]);
        let names = names.map(|key| ((*key).to_owned(), entry.clone()));
        section["properties"] = Value::Object(names.collect());
    }
    printed(&schema)
}

/// A JSON Schema of draft 7, since editors know that one best.
pub(super) fn root_schema<T: JsonSchema>(title: &str) -> Schema {
    let generator = SchemaSettings::draft07()
        .with_transform(RecursiveTransform(unwrap_description))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    schema
}

/// A schema as text. Ends with a line break.
pub(super) fn printed(schema: &Schema) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is JSON already");
    text.push('\n');
    text
}

/// Descriptions come from comments, whose line breaks mean nothing to an editor.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
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

/// What is not text by itself may also come out of a variable. Editors show `expected` where something else stands.
pub(super) fn or_variable(schema: Value, expected: &str) -> Schema {
    json_schema!({
        "anyOf": [schema, { "type": "string", "pattern": VARIABLE }],
        "errorMessage": expected,
    })
}

/// A text of a certain shape, or one with a variable in it.
pub(super) fn text_like(pattern: &str, expected: &str) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": format!("^({pattern})$|{VARIABLE}"),
        "errorMessage": expected,
    })
}

/// A text that somebody may leave without quotes although it looks like a number; the loader takes it as it is written.
pub(super) fn text_or_digits(pattern: &str, expected: &str) -> Schema {
    json_schema!({
        "type": ["string", "number"],
        "pattern": format!("^({pattern})$|{VARIABLE}"),
        "errorMessage": expected,
    })
}

/// A list of texts.
pub(super) fn texts() -> Schema {
    json_schema!({ "type": "array", "items": { "type": ["string", "number"] } })
}
