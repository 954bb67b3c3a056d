//! The shape of a desired-state file and of a limits file: one constant each, which determines keys, types, merging, the order of keys in
//! generated files, and the JSON Schema.
//!
//! A new key is one line here. If it is a new field, see also `model`.

use serde_json::Value;

use super::scalar::Scalar;
use crate::model::account::GuardMode;
use crate::model::behavior::{BehaviorKey, RiskLevel};
use crate::model::field::OKTA;

/// The JSON Schema of desired-state files. A test generates it from [`DOCUMENT`].
pub const CONFIG_SCHEMA: &str = include_str!("../../schema/config.schema.json");
/// The JSON Schema of limits files. A test generates it from [`LIMITS`].
pub const LIMITS_SCHEMA: &str = include_str!("../../schema/limits.schema.json");

/// Returns the JSON Schema of desired-state files with the behaviors that editors complete.
pub fn schema_with_behaviors<'k>(behaviors: impl IntoIterator<Item = &'k BehaviorKey>) -> String {
    let mut schema: Value = serde_json::from_str(CONFIG_SCHEMA).expect("the schema is JSON");
    let section = &mut schema["properties"]["behaviors"];
    let entry = section["additionalProperties"].clone();
    let names = behaviors.into_iter().map(BehaviorKey::as_str).chain(["*"]);
    section["properties"] = names.map(|name| (name.to_owned(), entry.clone())).collect();
    format!("{schema:#}\n")
}

/// The permitted form of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A map of known keys.
    Map(&'static Map),
    /// A map whose keys are names of behaviors or integrations; `null` removes an inherited entry.
    Entries(&'static Entries),
    List(&'static Shape, Merge),
    Scalar(Scalar),
    /// A map, or the value of its first key as a shorthand.
    MapOrScalar(&'static Map),
}

impl Shape {
    /// Returns the expected form for messages, and a help.
    pub(super) fn expected(&self) -> (String, String) {
        let (expected, help) = match self {
            Shape::Map(_) | Shape::Entries(_) => (
                "a mapping",
                "write indented `key: value` lines below the key, or `{}` for an empty mapping",
            ),
            Shape::List(..) => ("a list", "use brackets, as in `[one, two]`"),
            Shape::MapOrScalar(map) => return map.keys[0].shape.expected(),
            Shape::Scalar(scalar) => {
                let (_, expected, help) = scalar.expected();
                return (expected, help);
            }
        };
        (expected.to_owned(), help.to_owned())
    }
}

/// The rule for merging a list with an inherited one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    Replace,
    /// Combines both lists.
    Union,
}

/// A map of known keys.
#[derive(Debug)]
pub struct Map {
    /// Name of the definition in the JSON Schema.
    pub name: &'static str,
    pub description: &'static str,
    pub keys: &'static [Key],
    /// True if `null` removes an inherited key.
    pub allows_null: bool,
    /// True if generated files have the map on one line.
    pub one_line: bool,
}

/// A known key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub description: &'static str,
    /// Help if the key is missing: in the merged document if the map allows `null`, else in each file. Empty if the key is optional.
    pub required: &'static str,
    /// Default and example in the JSON Schema, as JSON.
    pub default: &'static str,
    pub example: &'static str,
}

/// A map with names as keys.
#[derive(Debug)]
pub struct Entries {
    /// The noun for an entry in messages.
    pub noun: &'static str,
    pub entry: &'static Map,
    /// Type of the names.
    pub name: Scalar,
    /// Help for an entry without keys.
    pub empty_help: &'static str,
    /// Names that editors complete.
    pub examples: &'static [&'static str],
}

impl Map {
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn map(name: &'static str, description: &'static str, keys: &'static [Key]) -> Map {
    Map {
        name,
        description,
        keys,
        allows_null: false,
        one_line: false,
    }
}

/// Declares the keys of a map: name, shape, description, other properties.
macro_rules! keys {
    ($($name:literal: $shape:expr, $description:expr $(, $property:ident = $value:literal)*;)+) => {{
        const KEYS: &[Key] = &[$(Key {
            $($property: $value,)*
            ..key($name, $shape, $description)
        }),+];
        KEYS
    }};
}

const fn key(name: &'static str, shape: Shape, description: &'static str) -> Key {
    Key {
        name,
        shape,
        description,
        required: "",
        default: "",
        example: "",
    }
}

const fn scalar(scalar: Scalar) -> Shape {
    Shape::Scalar(scalar)
}

/// A document of a desired-state file.
pub const DOCUMENT: Map = map(
    "DesiredState",
    "Desired state of Zero Trust Risk Scoring in one Cloudflare account. Files whose name starts with `_` are fragments for `extends`.",
    keys! {
        "$schema": scalar(Scalar::Text), SCHEMA;
        "version": scalar(Scalar::Version), VERSION, required = "write `version: 1`";
        "account_id": scalar(Scalar::AccountId),
            "Account ID (32 hexadecimal digits). Default: --account-id, then CLOUDFLARE_ACCOUNT_ID.",
            example = r#"["023e105f4ecef8ad9ca31a8372d0c353", "${CLOUDFLARE_ACCOUNT_ID}"]"#;
        "name": scalar(Scalar::Name), "Display name of the account; must be unique. Default: the account ID.", example = r#"["production"]"#;
        "extends": Shape::List(&Shape::Scalar(Scalar::Path), Merge::Replace),
            "Base files, relative to this file. Later files override earlier ones; this file overrides all.",
            example = r#"[["_baseline.yaml"]]"#;
        "api_token_env": scalar(Scalar::TokenVariable),
            "Name of the environment variable that holds the API token for this account. Never the token itself.",
            example = r#"["CLOUDFLARE_API_TOKEN"]"#;
        "behaviors": Shape::Entries(&BEHAVIORS),
            "Risk behaviors by name. `\"*\"` applies to all behaviors not listed. `null` removes an inherited entry, or excludes a behavior from `\"*\"`.";
        "integrations": Shape::Entries(&INTEGRATIONS),
            "Integrations by a local name, which is not sent to Cloudflare. `null` removes an inherited entry.";
        "unlisted": Shape::Map(&UNLISTED), UNLISTED.description;
        "guards": Shape::Map(&GUARDS), GUARDS.description;
    },
);

const SCHEMA: &str = "JSON Schema of this file, for editors.";
const VERSION: &str = "Version of the file format.";

pub const BEHAVIORS: Entries = Entries {
    noun: "behavior",
    entry: &Map {
        allows_null: true,
        one_line: true,
        ..map(
            "Behavior",
            "A risk behavior. Fields you leave out keep their live value; set at least one.",
            keys! {
                "enabled": scalar(Scalar::Bool),
                    "Enable detection. Disabling does not change existing scores.", example = "[true]";
                "risk_level": scalar(Scalar::Word(RiskLevel::WORDS)),
                    "Level assigned to users. Access policies match a level exactly, not \"at least\".", example = r#"["high"]"#;
            },
        )
    },
    name: Scalar::BehaviorKey,
    empty_help: "set `enabled` or `risk_level`, or remove the entry",
    examples: &["imp_travel", "high_dlp", "sentinel_one", "*"],
};

/// Keys of an integration that replace each other when merged.
pub const EXCLUSIVE_KEYS: [&str; 2] = ["reference_id", "identity_provider"];

pub const INTEGRATIONS: Entries = Entries {
    noun: "integration",
    entry: &Map {
        allows_null: true,
        ..map(
            "Integration",
            "An Okta tenant that receives users' risk scores.",
            keys! {
                "integration_type": scalar(Scalar::Word(&[OKTA])),
                    "Integration type. Default: the live value, or Okta on create. Changing it replaces the integration.",
                    example = r#"["Okta"]"#;
                "tenant_url": scalar(Scalar::TenantUrl),
                    "Base URL of the tenant: https, host and optional port. Required.", example = r#"["https://corp.okta.com"]"#,
                    required = "set the base URL of the tenant, such as `tenant_url: https://corp.okta.com`";
                "reference_id": scalar(Scalar::ReferenceId),
                    "ID of the Access identity provider for the tenant. Default: the live value, or a generated one on create.",
                    example = r#"["3701e70b-5de4-4d9d-8972-f5aa994d9057"]"#;
                "identity_provider": scalar(Scalar::ProviderName),
                    "Name of the Access identity provider, instead of its ID in `reference_id`.", example = r#"["Okta (corp)"]"#;
                "active": scalar(Scalar::Bool), "Send scores.", default = "true";
                "id": scalar(Scalar::IntegrationId),
                    "ID of the live integration this entry manages. Required only if several share a tenant_url or reference_id.",
                    example = r#"["4cfe8442-664b-4915-acd4-b39cd65c4314"]"#;
                "lifecycle": Shape::Map(&LIFECYCLE), "Protection settings.";
            },
        )
    },
    name: Scalar::IntegrationName,
    empty_help: "set `tenant_url`, or remove the entry",
    examples: &["corporate-okta"],
};

const LIFECYCLE: Map = map(
    "Lifecycle",
    "Protection settings of an integration.",
    keys! {
        "prevent_destroy": scalar(Scalar::Bool),
            "Block every plan that deletes or replaces this integration. Cannot be overridden.", default = "false";
        "ignore_changes": Shape::List(&Shape::MapOrScalar(&IGNORE_CHANGE), Merge::Replace),
            "Fields to ignore. An overriding file replaces the whole list.", example = r#"[["active"]]"#;
    },
);

const IGNORE_CHANGE: Map = map(
    "IgnoreChange",
    "A field to ignore, permanently or until a date.",
    keys! {
        "field": scalar(Scalar::Word(&["integration_type", "tenant_url", "reference_id", "active"])),
            "Field to ignore.", example = r#"["active"]"#,
            required = "name the field to ignore, as in `{ field: active, until: 2026-12-31 }`";
        "until": scalar(Scalar::Date), "Last day (UTC) the field is ignored.", example = r#"["2026-12-31"]"#;
        "reason": scalar(Scalar::Text), "Reason, shown in plans.", example = r#"["Okta migration"]"#;
    },
);

const UNLISTED: Map = map(
    "Unlisted",
    "Handling of live resources that are not in any file.",
    keys! {
        "behaviors": scalar(Scalar::Word(&["keep", "report", "disable"])),
            "Unlisted behaviors: keep, report as drift, or disable.", default = r#""keep""#;
        "integrations": scalar(Scalar::Word(&["keep", "report", "delete"])),
            "Unlisted integrations: keep, report as drift, or delete.", default = r#""report""#;
    },
);

const GUARDS: Map = map(
    "Guards",
    "Rules that block a plan.",
    keys! {
        "max_deletes": scalar(Scalar::Number),
            "Maximum number of integrations a plan may delete or replace. Override: --max-deletes.", default = "1";
        "weakening": scalar(Scalar::Word(GuardMode::WORDS)),
            "Block plans that weaken protection. Override: --allow-weakening.", default = r#""warn""#;
        "policies": scalar(Scalar::Word(GuardMode::WORDS)),
            "Block plans after which no enabled behavior assigns a level that an Access policy uses. Override: --allow-policies.",
            default = r#""warn""#;
        "protected": Shape::List(&Shape::Scalar(Scalar::Protected), Merge::Union),
            "Integrations that cannot be deleted, replaced, deactivated, or changed in tenant_url or reference_id: tenant_url, reference_id, ID, address or address pattern. Lists of all files are combined. Cannot be overridden.",
            example = r#"[["https://corp.okta.com"]]"#;
    },
);

/// A limits file.
pub const LIMITS: Map = map(
    "Limits",
    "Operator limits. The stricter of limits and files applies; no file or flag can exceed the limits.",
    keys! {
        "$schema": scalar(Scalar::Text), SCHEMA;
        "version": scalar(Scalar::Version), VERSION, required = "write `version: 1`";
        "guards": Shape::Map(&LIMIT_GUARDS), LIMIT_GUARDS.description;
        "allowed_tenants": Shape::List(&Shape::Scalar(Scalar::HostGlob), Merge::Replace),
            "Host patterns that integrations may send scores to. Default: all; an empty list allows none.", example = r#"[["*.okta.com"]]"#;
    },
);

const LIMIT_GUARDS: Map = map(
    "LimitGuards",
    "Guards for every plan.",
    keys! {
        "max_deletes": scalar(Scalar::Number), "Maximum number of integrations a plan may delete or replace.";
        "delete_all": scalar(Scalar::Word(&["deny"])), "`deny` blocks plans that leave none of several active integrations active.";
        "weakening": scalar(Scalar::Word(GuardMode::WORDS)), "Allow plans that weaken protection.";
        "policies": scalar(Scalar::Word(GuardMode::WORDS)),
            "Allow plans after which no enabled behavior assigns a level that an Access policy uses.";
        "protected": Shape::List(&Shape::Scalar(Scalar::LimitProtected), Merge::Union),
            "Protected integrations by tenant_url, reference_id or ID, in addition to those in the files.",
            example = r#"[["https://corp.okta.com"]]"#;
    },
);

#[cfg(test)]
mod tests {
    use serde_json::{Map as Object, Value, json};

    use super::*;

    /// Pattern of a variable in a text.
    const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";

    /// Returns the JSON Schemas (draft 2020-12) of desired-state and limits files, which `schema/NAME.schema.json` publishes.
    fn generate_schemas() -> [String; 2] {
        [
            ("config", "riskform desired state", &DOCUMENT),
            ("limits", "riskform limits", &LIMITS),
        ]
        .map(|(name, title, map)| {
            let mut definitions = Object::new();
            let mut schema = map_schema(map, &mut definitions);
            let raw =
                env!("CARGO_PKG_REPOSITORY").replace("github.com", "raw.githubusercontent.com");
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
            schema["$id"] = format!("{raw}/main/schema/{name}.schema.json").into();
            schema["title"] = title.into();
            schema["$defs"] = definitions.into();
            format!("{schema:#}\n")
        })
    }

    fn map_schema(map: &Map, definitions: &mut Object<String, Value>) -> Value {
        let mut properties = Object::new();
        for key in map.keys {
            let mut schema = shape_schema(&key.shape, definitions);
            if map.allows_null {
                schema = json!({ "anyOf": [schema, { "type": "null" }] });
            }
            schema["description"] = key.description.into();
            for (name, text) in [("default", key.default), ("examples", key.example)] {
                if !text.is_empty() {
                    schema[name] = serde_json::from_str(text).expect("the shape has valid JSON");
                }
            }
            properties.insert(key.name.to_owned(), schema);
        }
        let is_required = |key: &&Key| !key.required.is_empty() && !map.allows_null;
        let required: Vec<&str> = map
            .keys
            .iter()
            .filter(is_required)
            .map(|key| key.name)
            .collect();
        json!({
            "description": map.description,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// Adds the definition of a map and returns a reference to it.
    fn reference(map: &Map, definitions: &mut Object<String, Value>) -> Value {
        let schema = map_schema(map, definitions);
        definitions.insert(map.name.to_owned(), schema);
        json!({ "$ref": format!("#/$defs/{}", map.name) })
    }

    fn shape_schema(shape: &Shape, definitions: &mut Object<String, Value>) -> Value {
        match shape {
            Shape::Map(map) => reference(map, definitions),
            Shape::Entries(entries) => {
                let entry = reference(entries.entry, definitions);
                definitions[entries.entry.name]["minProperties"] = 1.into();
                let entry = json!({ "anyOf": [entry, { "type": "null" }] });
                let examples = entries.examples.iter();
                let examples: Object<String, Value> = examples
                    .map(|name| ((*name).to_owned(), entry.clone()))
                    .collect();
                json!({
                    "type": "object",
                    "propertyNames": entries.name.schema(),
                    // Names that editors complete; others are just as valid.
                    "properties": examples,
                    "additionalProperties": entry,
                })
            }
            Shape::List(item, _) => {
                json!({ "type": "array", "items": shape_schema(item, definitions) })
            }
            Shape::MapOrScalar(map) => {
                let shorthand = shape_schema(&map.keys[0].shape, definitions);
                json!({ "anyOf": [shorthand, reference(map, definitions)] })
            }
            Shape::Scalar(scalar) => scalar.schema(),
        }
    }

    impl Scalar {
        fn schema(self) -> Value {
            let or_variable = |schema: Value, expected: &str| {
                let variable = json!({ "type": "string", "pattern": VARIABLE });
                json!({ "anyOf": [schema, variable], "errorMessage": expected })
            };
            let text = |types: Value, pattern: &str, expected: &str| json!({ "type": types, "pattern": pattern, "errorMessage": expected });
            let or_pattern = |pattern: &str| format!("^({pattern})$|{VARIABLE}");
            let (string, number) = (json!("string"), json!(["string", "number"]));
            match self {
                Scalar::Bool => or_variable(json!({ "type": "boolean" }), "true or false"),
                Scalar::Number => or_variable(
                    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
                    "a whole number",
                ),
                Scalar::Version => json!({ "type": "integer", "const": 1 }),
                Scalar::Word(words) => or_variable(
                    json!({ "type": "string", "enum": words }),
                    &self.expected().1.replace('`', ""),
                ),
                Scalar::AccountId => text(
                    number,
                    &or_pattern("[0-9a-fA-F]{32}"),
                    "an account ID (32 hexadecimal digits) or ${CLOUDFLARE_ACCOUNT_ID}",
                ),
                Scalar::Name => text(
                    number,
                    &or_pattern("[A-Za-z0-9_-]+"),
                    "a name of letters, digits, _ and -",
                ),
                Scalar::IntegrationName => text(
                    string,
                    "^[A-Za-z0-9_-]+$",
                    "a name of letters, digits, _ and -",
                ),
                Scalar::BehaviorKey => text(
                    string,
                    r"^(?!.*\$\{)\S+$",
                    "a behavior name such as imp_travel, or \"*\" for all behaviors not listed",
                ),
                Scalar::TenantUrl => text(
                    string,
                    &or_pattern(
                        r"[Hh][Tt][Tt][Pp][Ss]://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/?",
                    ),
                    "the https URL of the tenant without a path, such as https://corp.okta.com",
                ),
                Scalar::IntegrationId => text(
                    string,
                    &or_pattern("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
                    "the ID of a live integration, a UUID (see riskform get integrations)",
                ),
                Scalar::Date => text(
                    string,
                    &or_pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                    "a date such as 2026-12-31",
                ),
                Scalar::TokenVariable => text(
                    string,
                    "^CLOUDFLARE_[A-Za-z0-9_]*$",
                    "the name of an environment variable that starts with CLOUDFLARE_, never the token itself",
                ),
                Scalar::ReferenceId | Scalar::ProviderName => {
                    text(number, r"\S", "a non-empty text")
                }
                Scalar::Text
                | Scalar::Path
                | Scalar::Protected
                | Scalar::LimitProtected
                | Scalar::HostGlob => json!({ "type": number }),
            }
        }
    }

    #[test]
    fn committed_schemas_match_the_shape() {
        for (name, generated) in ["config", "limits"].into_iter().zip(generate_schemas()) {
            let file = format!("schema/{name}.schema.json");
            if std::env::var_os("RISKFORM_UPDATE_SCHEMAS").is_some() {
                std::fs::write(&file, &generated).unwrap();
            }
            let committed = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                committed == generated,
                "{file} is out of date; run RISKFORM_UPDATE_SCHEMAS=1 cargo test --lib schema"
            );
        }
    }
}
