//! The JSON Schema of desired-state files, generated from the tables that files are read by, for editors that complete and check.
//!
//! JSON Schema can say less than the loader checks: nothing between files, nothing about uniqueness, nothing about what a variable holds.
//! What it refuses, the loader refuses as well.

use serde_json::Value;

use super::json_schema::{printed, root_schema};
use super::kinds::account::Layer;
use crate::model::behavior::BehaviorKey;

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
