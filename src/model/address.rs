//! Addresses of resources: `behavior.imp_travel`, `integration.corporate-okta`, `integration[<id>]`.

#[cfg(test)]
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wildmatch::WildMatch;

use super::field::Kind;
use super::id::{BehaviorKey, IntegrationId};

pub use super::id::Name;

/// Address of a resource within an account, as in plans, reports and `--target`.
///
/// Sorted as in plans: behaviors by key, declared integrations by name, unlisted ones by ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `behavior.imp_travel`
    Behavior(BehaviorKey),
    /// `integration.corporate-okta`
    Integration(Name),
    /// `integration[4cfe8442-664b-4915-acd4-b39cd65c4314]`: a live integration that is not in any file.
    UnlistedIntegration(IntegrationId),
}

impl Address {
    /// Returns the kind of the resource.
    pub fn kind(&self) -> Kind {
        match self {
            Address::Behavior(_) => Kind::Behavior,
            Address::Integration(_) | Address::UnlistedIntegration(_) => Kind::Integration,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Behavior(key) => write!(f, "behavior.{key}"),
            Address::Integration(name) => write!(f, "integration.{name}"),
            Address::UnlistedIntegration(id) => write!(f, "integration[{id}]"),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        if let Some(key) = text.strip_prefix("behavior.") {
            return Ok(Address::Behavior(BehaviorKey::new(key)));
        }
        if let Some(name) = text.strip_prefix("integration.") {
            return name
                .parse()
                .map(Address::Integration)
                .map_err(|_| ParseAddressError);
        }
        text.strip_prefix("integration[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|id| id.parse().ok())
            .map(Address::UnlistedIntegration)
            .ok_or(ParseAddressError)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Address of a resource: `behavior.NAME`, `integration.NAME`, or `integration[ID]` for an unlisted integration.",
            "type": "string",
            "pattern": r"^(behavior\..*|integration\.[A-Za-z0-9_-]+|integration\[[0-9a-f-]{36}\])$"
        })
    }
}

/// Error for text that is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address: behavior.NAME, integration.NAME or integration[ID]")]
pub struct ParseAddressError;

/// Address pattern with the wildcards `*` and `?`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(into = "String", from = "String")]
pub struct Glob {
    text: String,
    pattern: WildMatch,
}

impl Glob {
    /// Parses any text.
    pub fn new(text: &str) -> Self {
        Glob {
            text: text.to_owned(),
            pattern: WildMatch::new(text),
        }
    }

    /// Returns true if it matches the address, with or without the account in front. `label` is the display name of the account.
    pub fn matches(&self, label: &str, address: &Address) -> bool {
        let address = address.to_string();
        self.pattern.matches(&address) || self.pattern.matches(&format!("{label}/{address}"))
    }

    /// Returns true if it may match an address of the account: it does not name another account.
    pub fn may_match_account(&self, label: &str) -> bool {
        let account = self.text.split_once('/').map(|(account, _)| account);
        account.is_none_or(|account| WildMatch::new(account).matches(label))
    }

    /// Returns true if it is this address, with or without the account in front, and not a pattern.
    pub fn is_address(&self, label: &str, address: &Address) -> bool {
        let account = format!("{label}/");
        let path = self.text.strip_prefix(&account).unwrap_or(&self.text);
        path == address.to_string()
    }
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Glob::new(&text)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.text
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
