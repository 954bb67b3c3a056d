//! JSON Schema of desired-state files for editors, generated from the tables that the loader uses.
//!
//! The loader also rejects all files that the schema rejects. It checks more: relations between files, uniqueness and values of variables.

use schemars::generate::Contract;
use serde_json::Value;

use super::json_schema::{printed, root_schema};
use super::kinds::account::Layer;
use crate::model::behavior::BehaviorKey;

/// Returns the JSON Schema of a document. Editors complete the given behaviors, or the documented ones if there are none.
pub fn schema<'k>(behaviors: impl IntoIterator<Item = &'k BehaviorKey>) -> String {
    let mut schema =
        root_schema::<Layer>("config", "riskform desired state", Contract::Deserialize);
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
