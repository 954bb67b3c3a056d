//! Types of the domain: the desired and live state of an account, and the names of its resources. Start with [`account`].
//!
//! This module uses no other module, network, file, environment variable or clock. Everything specific to one kind of resource (its
//! identity, its fields, which changes weaken protection) is in the file of that kind.

pub mod account;
pub mod address;
pub mod audit_log;
pub mod behavior;
pub mod context;
pub mod evidence;
pub mod field;
pub mod finding;
pub mod generated_reference;
pub mod id;
pub mod integration;
pub mod limits;
pub mod location;
pub mod loopback;
pub mod open_enum;
mod tenant_url;
pub mod text;
pub mod user;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Deserializes a field that may be null in API responses.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Deserializes a field that is only displayed (`schema/api.md`, Optional fields): null or a malformed value becomes the default.
pub(crate) fn malformed_is_default<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
