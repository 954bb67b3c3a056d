//! Risk behaviors: a fixed set that the vendor offers per account, which can be configured but neither created nor deleted.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::AccountId;
use super::location::Location;
use super::null_is_default;
use super::open_enum::{OpenEnum, words};

/// The short name of a behavior, such as `imp_travel`.
///
/// Any word: the vendor adds behaviors over time and does not publish their keys (`schema/api.md`, Behaviors).
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct BehaviorKey(String);

impl BehaviorKey {
    /// Takes the key as the API or a file spells it.
    pub fn new(key: impl Into<String>) -> Self {
        BehaviorKey(key.into())
    }

    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BehaviorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

words! {
    /// How much a behavior adds to a user's risk: the words a file may declare, in rising order.
    RiskLevel {
        /// `low`
        Low = "low",
        /// `medium`
        Medium = "medium",
        /// `high`
        High = "high",
    }
}

/// The part of a behavior that can be configured, as the API holds it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct BehaviorSettings {
    /// Whether the behavior is detected.
    pub enabled: bool,
    /// The level it gives; a word riskform does not know is carried along untouched.
    pub risk_level: OpenEnum<RiskLevel>,
}

/// One behavior as the account offers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Behavior {
    /// The vendor's title.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The vendor's sentence about what triggers it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub description: String,
    /// How it is configured.
    #[serde(flatten)]
    pub settings: BehaviorSettings,
}

/// The path, below the base URL, at which an account's behaviors are read and written.
pub fn path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/behaviors")
}

/// The body that writes behaviors. Always the complete map: nobody knows what the API does with keys left out (`schema/api.md`, Behaviors).
pub fn write_body(behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>) -> Value {
    json!({ "behaviors": behaviors })
}

/// What a file declares about one behavior; a field left out stays as it is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DesiredBehavior {
    /// Whether it should be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The level it should give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
    /// Where it is declared.
    pub location: Location,
    /// By field, the names of the variables that its value was made of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
}

impl DesiredBehavior {
    /// What it declares, without its place.
    pub fn declared(&self) -> DeclaredBehavior {
        DeclaredBehavior {
            enabled: self.enabled,
            risk_level: self.risk_level,
        }
    }
}

/// The declared fields of one behavior; what is `None` stays as it is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclaredBehavior {
    /// Whether it should be detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The level it should give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
}

impl DeclaredBehavior {
    /// Off, at whatever level.
    pub const DISABLED: DeclaredBehavior = DeclaredBehavior {
        enabled: Some(false),
        risk_level: None,
    };

    /// Lays these fields over others that are declared.
    pub fn overriding(self, lower: DeclaredBehavior) -> DeclaredBehavior {
        DeclaredBehavior {
            enabled: self.enabled.or(lower.enabled),
            risk_level: self.risk_level.or(lower.risk_level),
        }
    }

    /// Lays the declared fields over the live ones.
    pub fn over(&self, live: &BehaviorSettings) -> BehaviorSettings {
        BehaviorSettings {
            enabled: self.enabled.unwrap_or(live.enabled),
            risk_level: self
                .risk_level
                .map_or_else(|| live.risk_level.clone(), OpenEnum::Known),
        }
    }
}

/// Lays declared values over a complete live map. What is not declared stays as it is live; what is not live is not added.
pub fn overlay(
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
    live: &BTreeMap<BehaviorKey, BehaviorSettings>,
) -> BTreeMap<BehaviorKey, BehaviorSettings> {
    live.iter()
        .map(|(key, settings)| {
            let settings = match declared.get(key) {
                Some(declared) => declared.over(settings),
                None => settings.clone(),
            };
            (key.clone(), settings)
        })
        .collect()
}

words! {
    /// Why a change of a behavior weakens protection.
    BehaviorWeakening {
        /// It is no longer detected.
        Disabled = "disabled",
        /// It gives a lower level.
        Lowered = "lowered",
        /// Its level moved to or from a word whose rank nobody knows.
        UnknownLevel = "level unknown",
    }
}

/// Says why going from `before` to `after` weakens protection, or `None` when it does not.
pub fn weakening(before: &BehaviorSettings, after: &BehaviorSettings) -> Option<BehaviorWeakening> {
    // A behavior that is off protects nobody, so nothing that happens to it weakens anything.
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

/// Says whether the level that an enabled behavior gives changes. Up or down: Access policies match a level exactly, so those that matched
/// the one before stop matching (`schema/api.md`, Access policies).
pub fn changes_level(before: &BehaviorSettings, after: &BehaviorSettings) -> bool {
    before.enabled && after.enabled && before.risk_level != after.risk_level
}
