//! Risk behaviors: a fixed set per account. They can be configured, but not created or deleted.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::AccountId;
use super::location::Location;
use super::malformed_is_default;
use super::open_enum::{OpenEnum, string_enum};

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

/// Settings of a behavior, as returned by the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct BehaviorSettings {
    /// Whether detection is enabled.
    pub enabled: bool,
    /// Level assigned to users. Levels unknown to riskform are kept unchanged.
    pub risk_level: OpenEnum<RiskLevel>,
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
    /// Settings of the behavior.
    #[serde(flatten)]
    pub settings: BehaviorSettings,
}

/// Returns the path to read and write the behaviors of an account, relative to the base URL.
pub fn path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/behaviors")
}

/// Returns the request body that writes behaviors. It must contain all behaviors of the account: how the API treats missing keys is
/// unknown (`schema/api.md`, Behaviors).
pub fn write_body(behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>) -> Value {
    json!({ "behaviors": behaviors })
}

/// A behavior as declared in files. Missing fields keep their live value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct DesiredBehavior {
    /// Whether detection is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Level assigned to users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
    /// Location of the entry.
    pub location: Location,
    /// Names of the variables used in the values, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
}

impl DesiredBehavior {
    /// Returns the declared fields without location and variables.
    pub fn declared(&self) -> DeclaredBehavior {
        DeclaredBehavior {
            enabled: self.enabled,
            risk_level: self.risk_level,
        }
    }
}

/// Declared fields of a behavior. Missing fields keep their live value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct DeclaredBehavior {
    /// Whether detection is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Level assigned to users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
}

impl DeclaredBehavior {
    /// Disables the behavior and keeps its level.
    pub const DISABLED: DeclaredBehavior = DeclaredBehavior {
        enabled: Some(false),
        risk_level: None,
    };

    /// Merges these fields over those of a base file.
    pub fn overriding(self, lower: DeclaredBehavior) -> DeclaredBehavior {
        DeclaredBehavior {
            enabled: self.enabled.or(lower.enabled),
            risk_level: self.risk_level.or(lower.risk_level),
        }
    }

    /// Merges the declared fields over the live settings.
    pub fn apply_to(&self, live: &BehaviorSettings) -> BehaviorSettings {
        BehaviorSettings {
            enabled: self.enabled.unwrap_or(live.enabled),
            risk_level: self
                .risk_level
                .map_or_else(|| live.risk_level.clone(), OpenEnum::Known),
        }
    }
}

/// Merges declared behaviors over all live ones. Undeclared behaviors keep their settings. Behaviors that do not exist live are not
/// added.
pub fn apply_declared(
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
    live: &BTreeMap<BehaviorKey, BehaviorSettings>,
) -> BTreeMap<BehaviorKey, BehaviorSettings> {
    live.iter()
        .map(|(key, settings)| {
            let settings = match declared.get(key) {
                Some(declared) => declared.apply_to(settings),
                None => settings.clone(),
            };
            (key.clone(), settings)
        })
        .collect()
}

string_enum! {
    /// Reason why a change of a behavior weakens protection.
    BehaviorWeakening {
        /// Detection is disabled.
        Disabled = "disabled",
        /// The level is lowered.
        Lowered = "lowered",
        /// The level changes to or from a level unknown to riskform.
        UnknownLevel = "unknown_level",
    }
}

/// Returns the reason why a change from `before` to `after` weakens protection, if it does.
pub fn weakening(before: &BehaviorSettings, after: &BehaviorSettings) -> Option<BehaviorWeakening> {
    // A change of a disabled behavior cannot weaken protection.
    if !before.enabled {
        return None;
    }
    if !after.enabled {
        return Some(BehaviorWeakening::Disabled);
    }
    match (before.risk_level.known(), after.risk_level.known()) {
        (Some(before), Some(after)) => (after < before).then_some(BehaviorWeakening::Lowered),
        (None, _) | (_, None) => {
            (before.risk_level != after.risk_level).then_some(BehaviorWeakening::UnknownLevel)
        }
    }
}

/// Returns true if an enabled behavior assigns another level after the change.
///
/// A higher level counts, too: Access policies match a level exactly, so policies that use the old level stop
/// matching (`schema/api.md`, Access policies).
pub fn changes_level(before: &BehaviorSettings, after: &BehaviorSettings) -> bool {
    before.enabled && after.enabled && before.risk_level != after.risk_level
}
