//! An account: its desired state, as declared in files, and its live state, as returned by the API.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::address::{Address, Glob};
use super::behavior::Behavior;
use super::field::{Field, FieldValue, Fields, Kind, OKTA};
use super::id::{BehaviorKey, IntegrationId, Name, ReferenceId, TenantUrl};
use super::integration::Integration;
use super::location::Location;
use super::open_enum::string_enum;
use super::text::is_invisible;

pub use super::id::AccountId;

/// Desired state of one account, as declared in its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredAccount {
    pub account_id: AccountId,
    /// Display name of the account.
    pub name: Option<Name>,
    /// File that declares the account, as given by the user.
    pub source: Arc<str>,
    /// Name of the environment variable that holds the API token for this account.
    pub api_token_env: Option<String>,
    /// Behaviors declared by name.
    pub behaviors: BTreeMap<BehaviorKey, Declared>,
    /// The wildcard entry `"*"`. It applies to all behaviors of the account, and to fields that a named entry leaves out.
    pub wildcard: Option<Declared>,
    /// Behaviors excluded from `"*"` and from `unlisted` (`NAME: null`).
    #[serde(default)]
    pub unmanaged: BTreeMap<BehaviorKey, Location>,
    /// Declared integrations by name.
    pub integrations: BTreeMap<Name, Declared>,
    /// Handling of live resources that are not in any file.
    #[serde(default)]
    pub unlisted: Unlisted,
    /// Rules that block a plan.
    #[serde(default)]
    pub guards: Guards,
}

impl DesiredAccount {
    /// Returns the entry of a behavior, merged over the wildcard entry; `None` if no entry declares it.
    pub fn behavior(&self, key: &BehaviorKey) -> Option<Declared> {
        let wildcard = self.wildcard.as_ref();
        let wildcard = wildcard.filter(|_| !self.unmanaged.contains_key(key));
        let (Some(named), Some(wildcard)) = (self.behaviors.get(key), wildcard) else {
            return self.behaviors.get(key).or(wildcard).cloned();
        };
        let is_named = |name: &str| named.fields.iter().any(|(field, _)| field.as_str() == name);
        let mut variables = wildcard.variables.clone();
        variables.retain(|field, _| !is_named(field));
        variables.extend(named.variables.clone());
        Some(Declared {
            fields: named.fields.apply_to(&wildcard.fields),
            variables,
            ..named.clone()
        })
    }

    /// Returns the display name of the account: its name, or its ID if it has none.
    pub fn label(&self) -> &str {
        self.name
            .as_ref()
            .map_or_else(|| self.account_id.as_str(), Name::as_str)
    }

    /// Returns all violations of the rules for desired-state files that the types allow. Files are checked when they are read. A saved
    /// plan could hold values that no file can declare.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(name) = &self.api_token_env
            && !(name.starts_with("CLOUDFLARE_") && is_variable_name(name))
        {
            wrong
                .push("api_token_env must name a variable that starts with CLOUDFLARE_".to_owned());
        }
        for key in self.behaviors.keys().chain(self.unmanaged.keys()) {
            let key = key.as_str();
            let strange = |c: char| c.is_whitespace() || is_invisible(c);
            if key.is_empty() || key == "*" || key.contains(strange) {
                wrong.push("invalid behavior name".to_owned());
            }
        }
        for key in self.unmanaged.keys() {
            if self.wildcard.is_none() || self.behaviors.contains_key(key) {
                wrong.push(format!(
                    "behavior.{key}: null needs \"*\" and no other entry"
                ));
            }
        }
        let behaviors = self.behaviors.iter();
        let behaviors = behaviors.map(|(key, entry)| (format!("behavior.{key}"), entry));
        let wildcard = self.wildcard.iter();
        let wildcard = wildcard.map(|entry| ("behavior.*".to_owned(), entry));
        for (address, entry) in behaviors.chain(wildcard) {
            let mistakes = entry.check(Kind::Behavior).into_iter();
            wrong.extend(mistakes.map(|mistake| format!("{address}{mistake}")));
        }
        for (name, entry) in &self.integrations {
            let mistakes = entry.check(Kind::Integration).into_iter();
            wrong.extend(mistakes.map(|mistake| format!("integration.{name}{mistake}")));
        }
        for key in ["id", "tenant_url", "reference_id"] {
            for (first, second) in shared_values(&self.integrations, key) {
                wrong.push(format!(
                    "integration.{first} and integration.{second} have the same {key}"
                ));
            }
        }
        let Unlisted {
            behaviors,
            integrations,
        } = self.unlisted;
        if behaviors == UnlistedPolicy::Delete || integrations == UnlistedPolicy::Disable {
            wrong.push("invalid value in unlisted".to_owned());
        }
        for ProtectedItem { text, .. } in &self.guards.protected {
            let is_url = text.contains("://");
            if text.is_empty()
                || text.contains(is_invisible)
                || (is_url && text.parse::<TenantUrl>().is_err())
            {
                wrong.push("invalid item of guards.protected".to_owned());
            }
        }
        wrong
    }
}

/// Returns the integrations that have the same value of a key as an earlier one, which is returned first. Pinned ones may share all but
/// the `id`.
pub fn shared_values<'a>(
    entries: impl IntoIterator<Item = (&'a Name, &'a Declared)>,
    key: &str,
) -> Vec<(&'a Name, &'a Name)> {
    let mut first: HashMap<String, (&Name, &Declared)> = HashMap::new();
    let shared = entries.into_iter().filter_map(|(name, entry)| {
        let fields = &entry.fields;
        let value = match key {
            "id" => entry.id?.to_string(),
            "tenant_url" => fields.tenant_url()?.normalized().to_owned(),
            _ => fields.reference_id()?.normalized().to_owned(),
        };
        let (other_name, other) = *first.entry(value).or_insert((name, entry));
        let are_pinned = key != "id" && entry.id.is_some() && other.id.is_some();
        (other_name != name && !are_pinned).then_some((other_name, name))
    });
    shared.collect()
}

/// Returns true if a text can be the name of an environment variable.
pub fn is_variable_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(is_word)
}

/// An entry of a file: a behavior or an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Declared fields. Other fields keep their live value.
    #[serde(flatten)]
    pub fields: Fields,
    /// Name of the Access identity provider. Its ID is in `reference_id`.
    pub identity_provider: Option<String>,
    /// Okta organization of the identity provider, if known.
    pub identity_provider_org: Option<TenantUrl>,
    /// ID of the live integration this entry manages.
    pub id: Option<IntegrationId>,
    /// Protection settings.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Location of the entry.
    pub location: Location,
    /// Names of the variables used in the values, by field.
    #[serde(default)]
    pub variables: BTreeMap<String, Vec<String>>,
}

impl Declared {
    /// Returns true unless the entry declares an inactive integration.
    pub fn is_active(&self) -> bool {
        self.fields.get(Field::Active) != Some(&FieldValue::Bool(false))
    }

    /// Returns the violations of the rules for files that the types allow, each beginning with its field.
    fn check(&self, kind: Kind) -> Vec<String> {
        let mut wrong = Vec::new();
        for (field, value) in self.fields.iter() {
            let is_known = match value {
                _ if field.spec().kind != kind => false,
                FieldValue::Level(level) => level.known().is_some(),
                FieldValue::Text(text) => **text == *OKTA,
                FieldValue::Bool(_) | FieldValue::Reference(_) | FieldValue::Url(_) => true,
            };
            if !is_known {
                wrong.push(format!(".{field}: invalid value"));
            }
        }
        match self
            .fields
            .tenant_url()
            .map(|url| url.as_str().parse::<TenantUrl>())
        {
            None if kind == Kind::Integration => wrong.push(".tenant_url: missing".to_owned()),
            Some(Err(error)) => wrong.push(format!(".tenant_url: invalid tenant URL: {error}")),
            None | Some(Ok(_)) => {}
        }
        let ignored = &self.lifecycle.ignore_changes;
        let reasons = ignored.iter().filter_map(|one| one.reason.as_deref());
        let reference = self.fields.reference_id().map(ReferenceId::as_str);
        let mut texts = (reference.into_iter())
            .chain(self.identity_provider.as_deref())
            .chain(reasons);
        let nameless = self.identity_provider.as_deref() == Some("");
        if nameless || texts.any(|text| text.contains(is_invisible)) {
            wrong.push(" contains an empty name or an invisible character".to_owned());
        }
        let fields: BTreeSet<Field> = ignored.iter().map(|one| one.field).collect();
        if fields.len() < ignored.len() || fields.iter().any(|field| field.spec().kind != kind) {
            wrong.push(
                ".lifecycle.ignore_changes contains an invalid field, or one twice".to_owned(),
            );
        }
        let mut variables = self.variables.values().flatten();
        if !variables.all(|name| is_variable_name(name)) {
            wrong.push(": invalid variable name".to_owned());
        }
        wrong
    }
}

/// Protection settings of an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// Blocks every plan that deletes or replaces the integration. Cannot be overridden.
    pub prevent_destroy: bool,
    /// Fields to ignore. Updates send their live values.
    pub ignore_changes: Vec<IgnoreChange>,
}

impl Lifecycle {
    /// Returns true if changes of the field are ignored on this day (UTC).
    pub fn ignores(&self, field: Field, today: Date) -> bool {
        let mut ignored = self.ignore_changes.iter();
        ignored.any(|one| one.field == field && one.until.is_none_or(|until| until >= today))
    }
}

/// A field to ignore, permanently or until a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoreChange {
    pub field: Field,
    /// Last day (UTC) the field is ignored. Permanent if missing.
    pub until: Option<Date>,
    /// Reason, shown in plans.
    pub reason: Option<String>,
    /// Location of the item.
    pub location: Location,
}

/// Handling of live resources that are not in any file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unlisted {
    /// Handling of unlisted behaviors.
    pub behaviors: UnlistedPolicy,
    /// Handling of unlisted integrations.
    pub integrations: UnlistedPolicy,
}

impl Default for Unlisted {
    fn default() -> Self {
        Unlisted {
            behaviors: UnlistedPolicy::Keep,
            integrations: UnlistedPolicy::Report,
        }
    }
}

string_enum! {
    /// Handling of unlisted resources. `destroy` changes none.
    UnlistedPolicy {
        /// Keeps them.
        Keep = "keep",
        /// Keeps them and reports them as drift.
        Report = "report",
        /// Disables behaviors.
        Disable = "disable",
        /// Deletes integrations.
        Delete = "delete",
    }
}

/// Rules that block a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guards {
    /// Maximum number of integrations a plan may delete or replace.
    pub max_deletes: u32,
    /// Handling of plans that weaken protection.
    pub weakening: GuardMode,
    /// Handling of plans after which no enabled behavior assigns a level that an Access policy uses.
    pub policies: GuardMode,
    /// Integrations that cannot be deleted, replaced, deactivated or redirected.
    pub protected: Vec<ProtectedItem>,
}

impl Default for Guards {
    fn default() -> Self {
        Guards {
            max_deletes: 1,
            weakening: GuardMode::Warn,
            policies: GuardMode::Warn,
            protected: Vec::new(),
        }
    }
}

string_enum! {
    /// Handling of plans that a guard is about.
    #[derive(Default)]
    GuardMode {
        /// Shows a warning.
        #[default]
        Warn = "warn",
        /// Blocks the plan.
        Deny = "deny",
    }
}

/// An item of `guards.protected`: a tenant_url, a reference_id, an ID, an address or an address pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Returns true if the item protects an integration with these addresses, fields and ID. `label` is the display name of the account.
    pub fn matches(
        &self,
        label: &str,
        addresses: &[Address],
        fields: &Fields,
        id: Option<IntegrationId>,
    ) -> bool {
        let text = self.text.as_str();
        let glob = Glob::new(text);
        let reference = ReferenceId::new(text);
        fields.tenant_url() == Some(&TenantUrl::from_live(text))
            || reference.is_some() && reference.as_ref() == fields.reference_id()
            || id.is_some_and(|id| text.parse() == Ok(id))
            || addresses.iter().any(|address| glob.matches(label, address))
    }
}

/// Live state of one account, as returned by the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Returns the fields of all resources. Integrations have the address of unlisted ones.
    pub fn by_address(&self) -> BTreeMap<Address, &Fields> {
        let behaviors = self.behaviors.iter();
        let behaviors =
            behaviors.map(|(key, behavior)| (Address::Behavior(key.clone()), &behavior.fields));
        let integrations = self.integrations.iter();
        let integrations =
            integrations.map(|live| (Address::UnlistedIntegration(live.id), &live.fields));
        behaviors.chain(integrations).collect()
    }
}
