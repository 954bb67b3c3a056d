//! IDs and names.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// ID of a Cloudflare account: 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct AccountId(#[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{32}$")))] Arc<str>);

impl AccountId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first eight and the last four digits, for headings.
    pub fn abbreviated(&self) -> String {
        format!("{}…{}", &self.0[..8], &self.0[28..])
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AccountId {
    type Err = ParseAccountIdError;

    fn from_str(text: &str) -> Result<Self, ParseAccountIdError> {
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(AccountId(text.to_ascii_lowercase().into()))
        } else {
            Err(ParseAccountIdError)
        }
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Error for text that is not an account ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct ParseAccountIdError;

/// Name of an account or integration in files (`[A-Za-z0-9_-]+`). It is not sent to Cloudflare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct Name(#[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_-]+$")))] Arc<str>);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let valid = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if valid {
            Ok(Name(text.into()))
        } else {
            Err(ParseNameError)
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Error for a name that is empty or has characters other than `[A-Za-z0-9_-]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use one or more of A-Z, a-z, 0-9, `_` and `-`")]
pub struct ParseNameError;

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

/// ID of an integration: a UUID assigned by the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct IntegrationId(Uuid);

impl IntegrationId {
    /// Returns the first eight digits.
    pub fn abbreviated(self) -> String {
        format!("{}…", &self.0.to_string()[..8])
    }
}

impl From<Uuid> for IntegrationId {
    fn from(id: Uuid) -> Self {
        IntegrationId(id)
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IntegrationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(IntegrationId)
    }
}

/// Reference of an integration: the ID of the Access identity provider for the tenant, or a generated reference.
///
/// Never empty. The API accepts any other string. UUIDs are compared without regard to letter case.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct ReferenceId(#[cfg_attr(test, schemars(length(min = 1)))] Arc<str>);

impl ReferenceId {
    /// Creates a reference. Returns `None` for the empty string, which the API may return for an unset reference.
    pub fn new(text: impl Into<Arc<str>>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(ReferenceId(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form for comparisons: a UUID in lower case, any other text unchanged.
    pub fn normalized(&self) -> Cow<'_, str> {
        let text = self.as_str();
        let has_upper_case = text.bytes().any(|byte| byte.is_ascii_uppercase());
        if has_upper_case && text.len() == 36 && Uuid::try_parse(text).is_ok() {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    }
}

impl PartialEq for ReferenceId {
    fn eq(&self, other: &Self) -> bool {
        self.normalized() == other.normalized()
    }
}

impl Eq for ReferenceId {}

impl PartialOrd for ReferenceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ReferenceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.normalized().cmp(&other.normalized())
    }
}

impl Hash for ReferenceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized().hash(state);
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReferenceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ReferenceId::new(String::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("reference_id must not be empty"))
    }
}
