//! Building blocks for the JSON Schemas of files.

use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Value, json};

/// Pattern of a variable in a text.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

/// Returns the JSON Schema (draft 2020-12) of a type, which `schema/NAME.schema.json` publishes.
pub(crate) fn root_schema<T: JsonSchema>(name: &str, title: &str, contract: Contract) -> Schema {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = contract;
    let generator = settings
        .with_transform(RecursiveTransform(unwrap_description))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    let raw = env!("CARGO_PKG_REPOSITORY").replace("github.com", "raw.githubusercontent.com");
    schema.insert(
        "$id".to_owned(),
        json!(format!("{raw}/main/schema/{name}.schema.json")),
    );
    schema.insert("title".to_owned(), json!(title));
    schema
}

/// Formats a schema, with a final line break.
pub(crate) fn printed(schema: &Schema) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is JSON already");
    text.push('\n');
    text
}

/// Joins the lines of a description, which comes from a wrapped doc comment.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Returns a schema that also accepts a variable. `expected` is the error message in editors.
pub(super) fn or_variable(schema: Value, expected: &str) -> Schema {
    json_schema!({
        "anyOf": [schema, { "type": "string", "pattern": VARIABLE }],
        "errorMessage": expected,
    })
}

/// Returns a schema for text that matches a pattern or contains a variable.
pub(super) fn text_like(pattern: &str, expected: &str) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": format!("^({pattern})$|{VARIABLE}"),
        "errorMessage": expected,
    })
}

/// Returns a schema for text that may be written without quotes even if it looks like a number.
pub(super) fn text_or_digits(pattern: &str, expected: &str) -> Schema {
    json_schema!({
        "type": ["string", "number"],
        "pattern": format!("^({pattern})$|{VARIABLE}"),
        "errorMessage": expected,
    })
}

/// Returns a schema for a list of texts.
pub(super) fn texts() -> Schema {
    json_schema!({ "type": "array", "items": { "type": ["string", "number"] } })
}
