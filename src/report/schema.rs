//! JSON Schemas, generated from the types of the documents.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::doctor::AuditReport;
use crate::plan::{Format, RunWithDigest};

/// Returns the JSON Schema (draft 2020-12) of a document format, with a final line break.
pub fn schema(format: Format) -> String {
    of::<RunWithDigest<'_>>(format.as_str(), description(format))
}

/// Returns the JSON Schema of an audit.
pub fn audit_schema() -> String {
    of::<AuditReport>(
        AuditReport::FORMAT,
        "Output of `riskform audit --format json`: the result of each check in each account.",
    )
}

fn of<T: JsonSchema>(format: &str, description: &str) -> String {
    // For serialization: all fields that are always present are required.
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(format));
    schema.insert("description".to_owned(), json!(description));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("format".to_owned(), json!({ "const": format }));
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema has string keys only");
    text.push('\n');
    text
}

fn description(format: Format) -> &'static str {
    match format {
        Format::Plan => {
            "Output of `riskform plan --format json` and input of `riskform apply --plan`: the changes and operations of each account."
        }
        Format::Drift => {
            "Output of `riskform drift --format json`: differences between live accounts and their files. `before` is live, `after` is declared."
        }
        Format::Apply => {
            "Output of `riskform apply --format json`: the plan and the outcome of each operation."
        }
    }
}
