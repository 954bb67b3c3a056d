//! JSON Schemas of results. The committed files are generated from the types.

/// JSON Schema of the results of plan, drift and apply.
pub const RUN_SCHEMA: &str = include_str!("../../schema/run.schema.json");

/// JSON Schema of an audit's result.
pub const AUDIT_SCHEMA: &str = include_str!("../../schema/audit.schema.json");

#[cfg(test)]
mod tests {
    use std::fs;

    use schemars::generate::{Contract, SchemaSettings};
    use schemars::transform::RecursiveTransform;
    use schemars::{JsonSchema, Schema};
    use serde_json::{Value, json};

    use crate::doctor::AuditReport;
    use crate::plan::RunWithTotals;

    #[test]
    fn committed_schemas_match_the_types() {
        let run = schema::<RunWithTotals<'_>>(
            "run",
            "Output of `riskform plan`, `drift` and `apply` with `--format json`.",
        );
        let audit = schema::<AuditReport>(
            "audit",
            "Output of `riskform audit --format json`: the result of each check in each account.",
        );
        for (name, generated) in [("run", run), ("audit", audit)] {
            let file = format!("schema/{name}.schema.json");
            if std::env::var_os("RISKFORM_UPDATE_SCHEMAS").is_some() {
                fs::write(&file, &generated).unwrap();
            }
            assert!(
                fs::read_to_string(&file).unwrap() == generated,
                "{file} is out of date; run RISKFORM_UPDATE_SCHEMAS=1 cargo test --lib schema"
            );
        }
    }

    /// Returns the JSON Schema (draft 2020-12) of a type, which `schema/NAME.schema.json` publishes.
    fn schema<T: JsonSchema>(name: &str, description: &str) -> String {
        let mut settings = SchemaSettings::draft2020_12();
        // Fields that are always written are required.
        settings.contract = Contract::Serialize;
        let generator = settings
            .with_transform(RecursiveTransform(unwrap_description))
            .into_generator();
        let mut schema = generator.into_root_schema_for::<T>();
        let raw = env!("CARGO_PKG_REPOSITORY").replace("github.com", "raw.githubusercontent.com");
        schema.insert(
            "$id".to_owned(),
            json!(format!("{raw}/main/schema/{name}.schema.json")),
        );
        schema.insert("title".to_owned(), json!(format!("riskform {name}")));
        schema.insert("description".to_owned(), json!(description));
        let mut text = serde_json::to_string_pretty(&schema).unwrap();
        text.push('\n');
        text
    }

    /// Joins the lines of a description, which comes from a wrapped doc comment.
    fn unwrap_description(schema: &mut Schema) {
        if let Some(Value::String(description)) = schema.get_mut("description") {
            *description = description.replace('\n', " ");
        }
    }
}
