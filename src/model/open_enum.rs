//! Enums of known values, and open enums that keep values unknown to riskform unchanged.

#[cfg(test)]
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A value of the API that may be unknown to riskform.
///
/// Cloudflare may add risk levels and integration types at any time, so values read from the API are of this type. Values in files must
/// be known ones (`schema/api.md`, Behaviors and Integrations).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OpenEnum<T> {
    /// A value known to riskform.
    Known(T),
    /// Any other value, unchanged.
    Unknown(String),
}

impl<T: Copy> OpenEnum<T> {
    /// Returns the value if riskform knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            OpenEnum::Known(word) => Some(*word),
            OpenEnum::Unknown(_) => None,
        }
    }
}

impl<T: FromStr> OpenEnum<T> {
    /// Parses a value of the API; never fails.
    pub fn parse(word: &str) -> Self {
        word.parse()
            .map_or_else(|_| OpenEnum::Unknown(word.to_owned()), OpenEnum::Known)
    }
}

impl<T: fmt::Display> fmt::Display for OpenEnum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenEnum::Known(word) => word.fmt(f),
            OpenEnum::Unknown(word) => word.fmt(f),
        }
    }
}

#[cfg(test)]
impl<T: JsonSchema> JsonSchema for OpenEnum<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Open{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let known = generator.subschema_for::<T>();
        json_schema!({
            "description": "A known value, or another one that a later version of the API may use.",
            "anyOf": [known, { "type": "string" }]
        })
    }
}

/// Declares an enum with one text per variant, used by `as_str`, `Display`, `FromStr`, serde and the JSON Schema.
macro_rules! string_enum {
    ($(#[$attribute:meta])* $name:ident { $($(#[$variant_attribute:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_attribute])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All texts, in the order of declaration.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// All values, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// Returns the text used in files, JSON and the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = serde::de::value::Error;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                serde::Deserialize::deserialize(serde::de::IntoDeserializer::into_deserializer(word))
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}
pub(crate) use string_enum;
