//! An account: its desired state, as declared in files, and its live state, as returned by the API.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::address::{Address, Glob, Name};
use super::behavior::{Behavior, BehaviorKey, DeclaredBehavior, DesiredBehavior};
use super::integration::{DesiredIntegration, Integration, IntegrationId, ReferenceId, TenantUrl};
use super::location::Location;
use super::open_enum::string_enum;
use super::text::is_invisible;

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

/// Desired state of one account, as declared in its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct DesiredAccount {
    pub account_id: AccountId,
    /// Display name of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// File that declares the account, as given by the user.
    pub source: Arc<str>,
    /// Name of the environment variable that holds the API token for this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_token_env: Option<String>,
    /// Behaviors declared by name.
    pub behaviors: BTreeMap<BehaviorKey, DesiredBehavior>,
    /// The wildcard entry `"*"`. It applies to all behaviors of the account, and to fields that a named entry leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<DesiredBehavior>,
    /// Behaviors excluded from `"*"` and from `unlisted` (`NAME: null`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unmanaged: BTreeMap<BehaviorKey, Location>,
    /// Declared integrations by name.
    pub integrations: BTreeMap<Name, DesiredIntegration>,
    /// Handling of live resources that are not in any file.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// Rules that block a plan.
    #[serde(default)]
    pub guards: Guards,
}

impl DesiredAccount {
    /// Returns the declaration of a behavior, with the wildcard entry merged in.
    pub fn behavior(&self, key: &BehaviorKey) -> BehaviorDeclaration<'_> {
        let every = self.wildcard.as_ref();
        match (self.behaviors.get(key), every) {
            (Some(named), every) => BehaviorDeclaration::Named {
                declared: match every {
                    Some(every) => named.declared().overriding(every.declared()),
                    None => named.declared(),
                },
                location: &named.location,
            },
            (None, _) if self.unmanaged.contains_key(key) => BehaviorDeclaration::Unmanaged,
            (None, Some(every)) => BehaviorDeclaration::Wildcard {
                declared: every.declared(),
                location: &every.location,
            },
            (None, None) => BehaviorDeclaration::Unlisted,
        }
    }

    /// Returns the names of the variables in a behavior's declared values, by field.
    pub fn behavior_variables(&self, key: &BehaviorKey) -> BTreeMap<String, Vec<String>> {
        let every = self.wildcard.as_ref();
        let Some(named) = self.behaviors.get(key) else {
            return every
                .map(|every| every.variables.clone())
                .unwrap_or_default();
        };
        let beneath = every.into_iter().flat_map(|every| &every.variables);
        let shows = |field: &str| match field {
            "enabled" => named.enabled.is_none(),
            _ => named.risk_level.is_none(),
        };
        let beneath = beneath.filter(|(field, _)| shows(field));
        let mut variables: BTreeMap<String, Vec<String>> = beneath
            .map(|(field, names)| (field.clone(), names.clone()))
            .collect();
        variables.extend(named.variables.clone());
        variables
    }

    /// Returns the display name of the account: its name, or its ID if it has none.
    pub fn label(&self) -> &str {
        self.name
            .as_ref()
            .map_or_else(|| self.account_id.as_str(), Name::as_str)
    }

    /// Returns all violations of the rules for desired-state files that the types allow. Files are checked when they are read; a saved
    /// plan could hold values that no file can declare.
    pub fn check(&self) -> Vec<String> {
        let DesiredAccount {
            account_id: _,
            name: _,
            source: _,
            api_token_env,
            behaviors,
            wildcard,
            unmanaged,
            integrations,
            unlisted: _,
            guards,
        } = self;
        let mut wrong = Vec::new();
        if let Some(name) = api_token_env
            && !(name.starts_with("CLOUDFLARE_") && is_variable_name(name))
        {
            wrong
                .push("api_token_env must name a variable that starts with CLOUDFLARE_".to_owned());
        }
        for key in behaviors.keys().chain(unmanaged.keys()) {
            let key = key.as_str();
            let strange = |c: char| c.is_whitespace() || is_invisible(c);
            if key.is_empty() || key == "*" || key.contains(strange) {
                wrong.push("invalid behavior name".to_owned());
            }
        }
        for key in unmanaged.keys() {
            if wildcard.is_none() || behaviors.contains_key(key) {
                wrong.push(format!(
                    "behavior.{key}: null needs \"*\" and no other entry"
                ));
            }
        }
        for (name, entry) in integrations {
            if entry.name != *name {
                wrong.push(format!("integration.{name}: the name differs from the key"));
            }
            wrong.extend(
                entry
                    .check()
                    .map(|mistake| format!("integration.{name}{mistake}")),
            );
        }
        wrong.extend(self.shared_keys("id", |one| one.id));
        wrong.extend(self.shared_keys("tenant_url", |one| Some(one.tenant_url.normalized())));
        wrong.extend(self.shared_keys("reference_id", |one| one.reference_id.as_ref()));
        for ProtectedItem { text, .. } in &guards.protected {
            let is_url = text.contains("://");
            if text.is_empty()
                || text.contains(is_invisible)
                || (is_url && text.parse::<TenantUrl>().is_err())
            {
                wrong.push("invalid item of guards.protected".to_owned());
            }
        }
        let variables = behaviors.values().chain(wildcard).map(|one| &one.variables);
        let variables = variables.chain(integrations.values().map(|one| &one.variables));
        if !variables
            .flat_map(|one| one.values().flatten())
            .all(|name| is_variable_name(name))
        {
            wrong.push("invalid variable name".to_owned());
        }
        wrong
    }

    /// Returns a mistake for each entry that shares a key with an earlier one, unless it is no `id` and both pin one.
    fn shared_keys<'a, K: Ord>(
        &'a self,
        field: &str,
        key: impl Fn(&'a DesiredIntegration) -> Option<K>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut first: BTreeMap<K, &DesiredIntegration> = BTreeMap::new();
        for entry in self.integrations.values() {
            let Some(key) = key(entry) else { continue };
            let other = *first.entry(key).or_insert(entry);
            let told_apart = field != "id" && entry.id.is_some() && other.id.is_some();
            if other.name != entry.name && !told_apart {
                let (a, b) = (&other.name, &entry.name);
                wrong.push(format!(
                    "integration.{a} and integration.{b} have the same {field}"
                ));
            }
        }
        wrong
    }
}

/// Returns true if a text can be the name of an environment variable.
fn is_variable_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(is_word)
}

/// A behavior as declared in files.
#[derive(Clone, Copy, Debug)]
pub enum BehaviorDeclaration<'a> {
    /// Declared by name.
    Named {
        declared: DeclaredBehavior,
        /// Location of the entry.
        location: &'a Location,
    },
    /// Declared only by the wildcard entry `"*"`.
    Wildcard {
        declared: DeclaredBehavior,
        /// Location of the wildcard entry.
        location: &'a Location,
    },
    /// Excluded from the wildcard entry with `null`.
    Unmanaged,
    /// Not declared.
    Unlisted,
}

/// Handling of live resources that are not in any file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default)]
pub struct Unlisted {
    /// Handling of unlisted behaviors.
    pub behaviors: UnlistedBehaviors,
    /// Handling of unlisted integrations.
    pub integrations: UnlistedIntegrations,
}

string_enum! {
    /// Handling of behaviors that are not in any file.
    #[derive(Default)]
    UnlistedBehaviors {
        /// Keeps it.
        #[default]
        Keep = "keep",
        /// Keeps it and reports it as drift.
        Report = "report",
        /// Disables it.
        Disable = "disable",
    }
}

string_enum! {
    /// Handling of integrations that are not in any file.
    #[derive(Default)]
    UnlistedIntegrations {
        /// Keeps it.
        Keep = "keep",
        /// Keeps it and reports it as drift.
        #[default]
        Report = "report",
        /// Deletes it.
        Delete = "delete",
    }
}

/// Rules that block a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default)]
pub struct Guards {
    /// Maximum number of integrations a plan may delete or replace.
    pub max_deletes: u32,
    /// Handling of plans that weaken protection.
    pub weakening: GuardMode,
    /// Handling of plans after which no enabled behavior assigns a level that an Access policy uses.
    #[serde(default)]
    pub policies: PolicyGuardMode,
    /// Integrations that cannot be deleted, replaced, deactivated or redirected.
    pub protected: Vec<ProtectedItem>,
}

impl Default for Guards {
    fn default() -> Self {
        Guards {
            max_deletes: 1,
            weakening: GuardMode::Warn,
            policies: PolicyGuardMode::Warn,
            protected: Vec::new(),
        }
    }
}

string_enum! {
    /// Handling of plans that weaken protection.
    #[derive(Default)]
    GuardMode {
        /// Adds a note to the plan.
        #[default]
        Warn = "warn",
        /// Blocks the plan.
        Deny = "deny",
    }
}

string_enum! {
    /// Handling of plans after which no enabled behavior assigns a level that an Access policy uses.
    #[derive(Default)]
    PolicyGuardMode {
        /// Adds a note to the plan.
        #[default]
        Warn = "warn",
        /// Blocks the plan, also if Access policies cannot be read.
        Deny = "deny",
    }
}

/// An item of `guards.protected`: a tenant_url, a reference_id, an ID, an address or an address pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct ProtectedItem {
    /// Text as declared.
    pub text: String,
    /// Location of the item.
    pub location: Location,
}

impl ProtectedItem {
    /// Returns true if `text` is an address or an address pattern.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("integration.")
            || text.starts_with("integration[")
            || text.contains(['*', '?'])
    }

    /// Returns true if the item protects this entry, whether or not it exists live.
    pub fn matches_entry(&self, label: &str, entry: &DesiredIntegration) -> bool {
        let address = Address::Integration(entry.name.clone());
        let reference = entry.reference_id.as_ref();
        self.names(label, &[&address], &entry.tenant_url, reference, entry.id)
    }

    /// Returns true if the item protects this live integration. `label` is the display name of the account.
    pub fn matches(&self, label: &str, address: &Address, live: &Integration) -> bool {
        let Integration { id, settings, .. } = live;
        let addresses = [address, &Address::UnlistedIntegration(*id)];
        let reference = settings.reference_id.as_ref();
        self.names(
            label,
            &addresses,
            &settings.tenant_url,
            reference,
            Some(*id),
        )
    }

    fn names(
        &self,
        label: &str,
        addresses: &[&Address],
        tenant_url: &TenantUrl,
        reference: Option<&ReferenceId>,
        id: Option<IntegrationId>,
    ) -> bool {
        let glob = Glob::new(&self.text);
        TenantUrl::from_live(self.text.as_str()) == *tenant_url
            || reference.is_some() && ReferenceId::new(self.text.as_str()).as_ref() == reference
            || id.is_some_and(|id| self.text.parse() == Ok(id))
            || addresses.iter().any(|address| glob.matches(label, address))
    }
}

/// Live state of one account, as returned by the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct LiveAccount {
    /// All behaviors of the account.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
    /// All integrations of the account, ordered by ID.
    pub integrations: Vec<Integration>,
}

impl LiveAccount {
    /// Creates a live state. Sorts the integrations, so that their order does not depend on the server.
    pub fn new(
        behaviors: BTreeMap<BehaviorKey, Behavior>,
        mut integrations: Vec<Integration>,
    ) -> Self {
        integrations.sort_by_key(|integration| integration.id);
        LiveAccount {
            behaviors,
            integrations,
        }
    }
}
