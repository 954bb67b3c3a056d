//! Risk behaviors: a fixed set per account. They can be configured, but not created or deleted.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::account::AccountId;
use super::field::{Fields, Kind};
use super::malformed_is_default;
use super::open_enum::string_enum;

/// Name of a behavior, such as `imp_travel`.
///
/// Any text is valid, because Cloudflare adds behaviors over time and does not publish their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct BehaviorKey(String);

impl BehaviorKey {
    /// Creates a key from text of the API or a file, without validation.
    pub fn new(key: impl Into<String>) -> Self {
        BehaviorKey(key.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BehaviorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

string_enum! {
    /// Risk level that a behavior assigns to users, in rising order.
    RiskLevel {
        /// `low`
        Low = "low",
        /// `medium`
        Medium = "medium",
        /// `high`
        High = "high",
    }
}

/// A behavior of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
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
