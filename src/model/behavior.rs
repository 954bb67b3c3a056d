//! Risk behaviors: a fixed set per account. They can be configured, but not created or deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::field::{Fields, Kind};
use super::id::AccountId;
use super::malformed_is_default;

pub use super::field::RiskLevel;
pub use super::id::BehaviorKey;

/// A behavior of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behavior {
    /// Title of the behavior.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub name: String,
    /// Description of what triggers the behavior.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub description: String,
    #[serde(flatten, deserialize_with = "fields")]
    pub fields: Fields,
}

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
    Fields::deserialize_complete(Kind::Behavior, deserializer)
}

/// Returns the path to read and write the behaviors of an account, relative to the base URL.
pub fn path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/behaviors")
}

/// Returns the request body that writes behaviors. It must contain all behaviors of the account: how the API treats missing keys is
/// unknown (`schema/api.md`, Behaviors).
pub fn write_body(behaviors: &BTreeMap<BehaviorKey, Fields>) -> Value {
    let behaviors = behaviors.iter();
    let behaviors = behaviors.map(|(key, fields)| (key.as_str().to_owned(), fields.update_body()));
    json!({ "behaviors": Value::Object(behaviors.collect()) })
}

/// Merges declared behaviors over all live ones. Undeclared behaviors keep their fields. Behaviors that do not exist live are not added.
pub fn apply_declared(
    declared: &BTreeMap<BehaviorKey, Fields>,
    live: &BTreeMap<BehaviorKey, Fields>,
) -> BTreeMap<BehaviorKey, Fields> {
    let live = live.iter().map(|(key, fields)| {
        let declared = declared.get(key).map(|declared| declared.apply_to(fields));
        (key.clone(), declared.unwrap_or_else(|| fields.clone()))
    });
    live.collect()
}
