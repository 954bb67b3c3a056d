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
pub mod open_enum;
pub mod text;
pub mod user;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Host;

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

/// Returns true if the host is `localhost` or a loopback address (127.0.0.0/8, `::1`; RFC 1122 and RFC 4291). Only these hosts may be
/// contacted over plain HTTP, because such requests do not cross a network.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
