//! Addresses of resources: `behavior.imp_travel`, `integration.corporate-okta`, `integration[<id>]`.

#[cfg(test)]
use std::borrow::Cow;
use std::fmt;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
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

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// Address pattern with the wildcards `*` and `?`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// Parses any text.
    pub fn new(text: &str) -> Self {
        Glob(text.to_owned())
    }

    /// Returns true if it matches the address, with or without the account in front. `label` is the display name of the account.
    pub fn matches(&self, label: &str, address: &Address) -> bool {
        let (pattern, address) = (WildMatch::new(&self.0), address.to_string());
        pattern.matches(&address) || pattern.matches(&format!("{label}/{address}"))
    }

    /// Returns true if it may match an address of the account: it does not name another account.
    pub fn may_match_account(&self, label: &str) -> bool {
        let account = self.0.split_once('/').map(|(account, _)| account);
        account.is_none_or(|account| WildMatch::new(account).matches(label))
    }

    /// Returns true if it is this address, with or without the account in front, and not a pattern.
    pub fn is_address(&self, label: &str, address: &Address) -> bool {
        let account = format!("{label}/");
        let path = self.0.strip_prefix(&account).unwrap_or(&self.0);
        path == address.to_string()
    }
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Glob(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
