//! One account: what its file declares for it, and what it holds live.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use wildmatch::WildMatch;

use super::address::{Address, Name};
use super::behavior::{Behavior, BehaviorKey, DeclaredBehavior, DesiredBehavior};
use super::integration::{DesiredIntegration, Integration, TenantUrl};
use super::location::Location;
use super::open_enum::words;

/// The id of a Cloudflare account: 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct AccountId(#[schemars(regex(pattern = "^[0-9a-f]{32}$"))] Arc<str>);

impl AccountId {
    /// The id as the API spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight and the last four digits, for headings.
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

/// A text that is not an account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account id is 32 hexadecimal digits")]
pub struct ParseAccountIdError;

/// What the files declare for one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DesiredAccount {
    pub account_id: AccountId,
    /// Its label in output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The file that declares it, as the user named it.
    pub source: Arc<str>,
    /// The name of the variable that holds its token, where the file names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_token_env: Option<String>,
    /// The behaviors that the file names.
    pub behaviors: BTreeMap<BehaviorKey, DesiredBehavior>,
    /// `"*"`: what every behavior should be that the account offers. What a named one leaves out, it takes from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_behavior: Option<DesiredBehavior>,
    /// `NAME: null` beside a `"*"`: neither that nor `unlisted` touches them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unmanaged: BTreeMap<BehaviorKey, Location>,
    /// The listed integrations.
    pub integrations: BTreeMap<Name, DesiredIntegration>,
    /// What to do with what is not listed.
    pub unlisted: Unlisted,
    /// What a plan may not do.
    pub guards: Guards,
}

impl DesiredAccount {
    /// What the file says of one behavior.
    pub fn behavior(&self, key: &BehaviorKey) -> BehaviorDeclaration<'_> {
        let every = self.every_behavior.as_ref();
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

    /// By field, the names of the variables that a behavior's declared values were made of.
    pub fn behavior_variables(&self, key: &BehaviorKey) -> BTreeMap<String, Vec<String>> {
        let every = self.every_behavior.as_ref();
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

    /// How the account is called in output: its name, else its id.
    pub fn label(&self) -> &str {
        self.name
            .as_ref()
            .map_or_else(|| self.account_id.as_str(), Name::as_str)
    }
}

/// What a file says of one behavior.
#[derive(Clone, Copy, Debug)]
pub enum BehaviorDeclaration<'a> {
    /// It names it.
    Named {
        /// What it should be.
        declared: DeclaredBehavior,
        /// Where it is named.
        location: &'a Location,
    },
    /// Only `"*"` covers it.
    Wildcard {
        /// What it should be.
        declared: DeclaredBehavior,
        /// Where the star stands.
        location: &'a Location,
    },
    /// It says that it is not managed.
    Unmanaged,
    /// It does not say anything.
    Unlisted,
}

/// What to do with live things that no file lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unlisted {
    /// With behaviors.
    pub behaviors: UnlistedBehaviors,
    /// With integrations.
    pub integrations: UnlistedIntegrations,
}

words! {
    /// What to do with a behavior that no file lists.
    #[derive(Default)]
    UnlistedBehaviors {
        /// Leave it alone.
        #[default]
        Keep = "keep",
        /// Leave it alone, and say so; drift.
        Report = "report",
        /// Disable it.
        Disable = "disable",
    }
}

words! {
    /// What to do with an integration that no file lists.
    #[derive(Default)]
    UnlistedIntegrations {
        /// Leave it alone.
        Keep = "keep",
        /// Leave it alone, and say so; drift.
        #[default]
        Report = "report",
        /// Delete it.
        Delete = "delete",
    }
}

/// What a plan for this account may not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guards {
    /// The most integrations that a plan may delete; a replacement counts as one.
    pub max_deletes: u32,
    /// What to do about weakening changes.
    pub weakening: GuardMode,
    /// What to do about levels that no enabled behavior gives any more although a policy acts on them.
    #[serde(default)]
    pub policies: PolicyGuardMode,
    /// Integrations that must stay as they are.
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

words! {
    /// What to do about a change that weakens protection.
    #[derive(Default)]
    GuardMode {
        /// Say so.
        #[default]
        Warn = "warn",
        /// Refuse the plan.
        Deny = "deny",
    }
}

words! {
    /// What to do about a change after which a level that an Access policy acts on is given by no enabled behavior.
    #[derive(Default)]
    PolicyGuardMode {
        /// Say so.
        #[default]
        Warn = "warn",
        /// Refuse the plan; also where policies can't be read.
        Deny = "deny",
    }
}

/// One item of `guards.protected`: names live integrations by what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProtectedItem {
    /// The text as declared.
    pub text: String,
    /// Where it is declared.
    pub location: Location,
}

impl ProtectedItem {
    /// Says whether a text is an address, or a glob of addresses.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("integration.")
            || text.starts_with("integration[")
            || text.contains(['*', '?'])
    }

    /// Says whether an entry of the file is meant, live or yet to be made.
    pub fn matches_entry(&self, label: &str, entry: &DesiredIntegration) -> bool {
        let address = Address::Integration(entry.name.clone()).to_string();
        let pattern = WildMatch::new(&self.text);
        TenantUrl::from_live(self.text.as_str()) == entry.tenant_url
            || (entry.reference_id.as_ref()).is_some_and(|one| one.as_str() == self.text)
            || (entry.id).is_some_and(|id| self.text.parse() == Ok(id))
            || pattern.matches(&address)
            || pattern.matches(&format!("{label}/{address}"))
    }

    /// Says whether a live integration is meant, which an account of this label has under this address.
    pub fn covers(&self, label: &str, address: &Address, live: &Integration) -> bool {
        let Integration { id, settings, .. } = live;
        let glob = || {
            let pattern = WildMatch::new(&self.text);
            let own = Address::UnlistedIntegration(*id).to_string();
            [address.to_string(), own]
                .iter()
                .any(|one| pattern.matches(one) || pattern.matches(&format!("{label}/{one}")))
        };
        TenantUrl::from_live(self.text.as_str()) == settings.tenant_url
            || (settings.reference_id.as_ref()).is_some_and(|one| one.as_str() == self.text)
            || self.text.parse() == Ok(*id)
            || (ProtectedItem::is_address(&self.text) && glob())
    }
}

/// What the API answered for one account: the only truth there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveAccount {
    /// Every behavior that the account offers.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
    /// Every integration, ordered by id.
    pub integrations: Vec<Integration>,
}

impl LiveAccount {
    /// Joins the two answers, and puts the integrations into an order that does not depend on the server's.
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
