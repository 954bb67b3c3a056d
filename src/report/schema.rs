//! JSON Schemas of results, generated from their types.

use schemars::JsonSchema;
use schemars::generate::Contract;
use serde_json::json;

use crate::config::json_schema::{printed, root_schema};
use crate::doctor::AuditReport;
use crate::plan::RunWithTotals;

/// Returns the JSON Schema that plan, drift and apply share.
pub fn run_schema() -> String {
    schema::<RunWithTotals<'_>>(
        "run",
        "Output of `riskform plan`, `drift` and `apply` with `--format json`.",
    )
}

/// Returns the JSON Schema of an audit.
pub fn audit_schema() -> String {
    schema::<AuditReport>(
        "audit",
        "Output of `riskform audit --format json`: the result of each check in each account.",
    )
}

fn schema<T: JsonSchema>(name: &str, description: &str) -> String {
    // Fields that are always written are required.
    let mut schema = root_schema::<T>(name, &format!("riskform {name}"), Contract::Serialize);
    schema.insert("description".to_owned(), json!(description));
    printed(&schema)
}
