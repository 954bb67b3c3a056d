//! The JSON Schemas of the documents, generated from their types so that they cannot lag behind.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::doctor::AuditReport;
use crate::plan::{Format, RunWithDigest};

/// The JSON Schema (draft 2020-12) of a document's format, as text that ends with a line break.
pub fn schema(format: Format) -> String {
    of::<RunWithDigest<'_>>(format.as_str(), description(format))
}

/// The JSON Schema of an audit.
pub fn audit_schema() -> String {
    of::<AuditReport>(
        AuditReport::FORMAT,
        "What `riskform audit --format json` prints: how each account stands to each check.",
    )
}

fn of<T: JsonSchema>(format: &str, description: &str) -> String {
    // As it is written: every field that is always there is required.
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
            "What `riskform plan --format json` prints and `riskform apply --plan` reads: what would be done, account by account."
        }
        Format::Drift => {
            "What `riskform drift --format json` prints: how live accounts differ from their files. `before` is live, `after` declared."
        }
        Format::Apply => {
            "What `riskform apply --format json` prints: what was to be done, and what became of each operation."
        }
    }
}
