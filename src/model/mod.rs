//! The domain's words as types: what an account declares, what it holds live, and how each thing is named.
//!
//! Knows nobody: no other room, no network, no command line, no file, no environment, no clock. Whatever is true of one kind of
//! resource (its identity, its fields, what weakens it) stands in that kind's own file.

pub mod account;
pub mod account_error;
pub mod address;
pub mod audit_log;
pub mod behavior;
pub mod context;
pub mod generated_reference;
pub mod integration;
pub mod limits;
pub mod location;
pub mod loopback;
pub mod open_enum;
pub mod shard;
mod tenant_url;
pub mod text;
pub mod user;

use serde::{Deserialize, Deserializer};

/// Reads a field that is only shown, and that the API may leave null (`schema/api.md`, Optional fields).
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
