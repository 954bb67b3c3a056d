//! The pieces that JSON Schemas of files are made of.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Value, json};

/// A variable somewhere in a text.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

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
