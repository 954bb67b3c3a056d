//! IDs and names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Implements the conversions of types that contain text. The expression parses it.
macro_rules! text_types {
    ($($name:ident: $parse:expr;)+) => {$(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                $parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text_types! {
    AccountId: |text: &str| {
        let is_valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = || AccountId(text.to_ascii_lowercase().into());
        is_valid.then(id).ok_or("expected 32 hexadecimal digits")
    };
    Name: |text: &str| {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_valid = !text.is_empty() && text.bytes().all(is_valid);
        is_valid.then(|| Name(text.into())).ok_or("use one or more of A-Z, a-z, 0-9, `_` and `-`")
    };
    BehaviorKey: |text: &str| Ok(BehaviorKey::new(text));
    ReferenceId: |text: &str| ReferenceId::new(text).ok_or("reference_id must not be empty");
}

/// ID of a Cloudflare account: 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct AccountId(#[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{32}$")))] Arc<str>);

impl AccountId {
    /// Returns the first eight and the last four digits, for headings.
    pub fn abbreviated(&self) -> String {
        format!("{}…{}", &self.0[..8], &self.0[28..])
    }
}

/// Name of an account or integration in files (`[A-Za-z0-9_-]+`). It is not sent to Cloudflare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct Name(#[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_-]+$")))] Arc<str>);

/// Name of a behavior, such as `imp_travel`.
///
/// Any text is valid, because Cloudflare adds behaviors over time and does not publish their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct BehaviorKey(String);

impl BehaviorKey {
    /// Creates a key from text of the API or a file, without validation.
    pub fn new(key: impl Into<String>) -> Self {
        BehaviorKey(key.into())
    }
}

/// Reference of an integration: the ID of the Access identity provider for the tenant, or a generated reference.
///
/// Never empty. The API accepts any other string. UUIDs are compared without regard to letter case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct ReferenceId(#[cfg_attr(test, schemars(length(min = 1), with = "String"))] Normalized);

impl ReferenceId {
    /// Creates a reference. Returns `None` for the empty string, which the API may return for an unset reference.
    pub fn new(text: impl Into<Arc<str>>) -> Option<Self> {
        let written = text.into();
        let is_uuid = written.len() == 36 && Uuid::try_parse(&written).is_ok();
        let normalized = match is_uuid {
            true => written.to_ascii_lowercase().into(),
            false => Arc::clone(&written),
        };
        let text = Normalized::new(written, normalized);
        (!text.is_empty()).then_some(ReferenceId(text))
    }

    /// Returns the form for comparisons: a UUID in lower case, any other text unchanged.
    pub fn normalized(&self) -> &str {
        &self.0.normalized
    }
}

/// Text that is shown as written and compared in normalized form.
#[derive(Clone, Debug)]
pub(super) struct Normalized {
    written: Arc<str>,
    /// Shares `written` if both are equal.
    pub(super) normalized: Arc<str>,
}

impl Normalized {
    pub(super) fn new(written: Arc<str>, normalized: Arc<str>) -> Self {
        let written = match written == normalized {
            true => Arc::clone(&normalized),
            false => written,
        };
        Normalized {
            written,
            normalized,
        }
    }
}

impl Deref for Normalized {
    type Target = str;

    fn deref(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Normalized {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for Normalized {}

impl Hash for Normalized {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized.hash(state);
    }
}

impl Serialize for Normalized {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

/// Implements the conversions of types that contain a UUID.
macro_rules! uuid_types {
    ($($(#[$attribute:meta])* $name:ident;)+) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map($name)
            }
        }
    )+};
}

uuid_types! {
    /// ID of an integration: a UUID assigned by the API.
    IntegrationId;
    /// ID of a Zero Trust user: always a UUID, so it cannot be confused with other path segments.
    UserId;
}

impl IntegrationId {
    /// Returns the first eight digits.
    pub fn abbreviated(self) -> String {
        format!("{}…", &self.0.to_string()[..8])
    }
}
