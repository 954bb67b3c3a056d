//! A simulated account: its state, and the API's rules for changes. A rejected change leaves the account unchanged.
//!
//! Independent of HTTP, files and clocks: times and serial numbers are parameters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::{Builder, Uuid};

use super::audit_log::{LogEntry, MAX_ENTRIES};
use super::body::{self, FieldErrors, child_pointer};
use super::response::ApiError;
use super::settings::{AcceptedReferences, BehaviorsPut, Settings, TenantUrlForm, UnsetReference};
use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use crate::model::field::{Field, Fields, OKTA};
use crate::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use crate::model::open_enum::OpenEnum;
use crate::model::user::{RiskEvent, UserId};

/// A simulated account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// All behaviors.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
    /// All integrations.
    pub integrations: BTreeMap<IntegrationId, Integration>,
    /// All users, including those without a score.
    pub users: BTreeMap<UserId, User>,
    /// Access resources.
    #[serde(default)]
    pub context: SandboxContext,
    /// The audit log, newest entry last.
    #[serde(default)]
    pub audit_log: VecDeque<LogEntry>,
}

/// Access resources of an account, as the API shows them. Read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxContext {
    /// The reusable Access policies.
    pub policies: Vec<Value>,
    /// The Access groups.
    pub groups: Vec<Value>,
    /// The Access applications, each with its policies.
    pub apps: Vec<Value>,
    /// The Access identity providers.
    pub identity_providers: Vec<Value>,
}

/// A simulated user. The score is derived from the events since the last reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub email: String,
    /// Events triggered by the user.
    pub events: Vec<RiskEvent>,
    /// Time of the last score reset.
    #[serde(default)]
    pub last_reset_time: Option<Timestamp>,
}

/// Time and serial number of a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) now: Timestamp,
    pub(super) serial: u64,
}

/// Ranges of the serial numbers from which IDs are derived. Integrations have the first range.
pub(super) const REFERENCE: u64 = 1 << 62;
pub(super) const LOG_ENTRY: u64 = 1 << 61;
pub(super) const RESPONSE: u64 = 1 << 60;
pub(super) const RAY: u64 = 1 << 59;

/// Returns the ID with this serial number. Equal runs have equal IDs.
pub(super) fn uuid(serial: u64) -> Uuid {
    let random = fastrand::Rng::with_seed(serial).u128(..);
    Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
}

impl From<LiveAccount> for Account {
    /// Creates an account without users or Access resources.
    fn from(live: LiveAccount) -> Self {
        let integrations = live.integrations.into_iter();
        Account {
            behaviors: live.behaviors,
            integrations: integrations.map(|one| (one.id, one)).collect(),
            ..Account::default()
        }
    }
}

impl Account {
    /// Returns the initial state: recorded responses of the real API, and a few invented users.
    pub(super) fn initial(id: &AccountId) -> Self {
        static RECORDED: LazyLock<Account> = LazyLock::new(Account::recorded);
        let mut account = RECORDED.clone();
        for integration in account.integrations.values_mut() {
            integration.account_tag = id.to_string();
        }
        account
    }

    fn recorded() -> Self {
        #[derive(Deserialize)]
        struct Envelope<T> {
            result: T,
        }
        fn built_in<T: for<'de> Deserialize<'de>>(text: &str) -> T {
            serde_json::from_str(text).expect("a test reads the built-in state")
        }
        let items = |text| built_in::<Envelope<Vec<Value>>>(text).result;
        let behaviors: Envelope<BTreeMap<String, BTreeMap<BehaviorKey, Behavior>>> =
            built_in(include_str!("recordings/behaviors.json"));
        let integrations: Envelope<Vec<Integration>> =
            built_in(include_str!("recordings/integrations.json"));
        let behaviors = behaviors.result.into_values().next().unwrap_or_default();
        Account {
            users: built_in(include_str!("seed/users.json")),
            context: SandboxContext {
                policies: items(include_str!("recordings/access_policies_risk.json")),
                groups: items(include_str!("recordings/access_groups_risk.json")),
                apps: items(include_str!("recordings/access_apps_risk.json")),
                identity_providers: items(include_str!("recordings/identity_providers_okta.json")),
            },
            ..Account::from(LiveAccount::new(behaviors, integrations.result))
        }
    }

    /// Returns the behaviors and integrations that a client reads.
    pub fn live(&self) -> LiveAccount {
        LiveAccount::new(
            self.behaviors.clone(),
            self.integrations.values().cloned().collect(),
        )
    }

    /// Adds an entry to the audit log, and drops the oldest one if the log is full.
    pub fn log(&mut self, time: Timestamp, shown: Value) {
        let serial = self.audit_log.back().map_or(1, |last| last.serial + 1);
        self.audit_log.push_back(LogEntry {
            serial,
            time,
            shown,
        });
        if self.audit_log.len() > MAX_ENTRIES {
            self.audit_log.pop_front();
        }
    }
}

/// Behaviors: a fixed set with settings.
impl Account {
    /// Writes behaviors. Returns the settings of all behaviors, not only of those sent (`schema/api.md`, Behaviors).
    pub(super) fn put_behaviors(
        &mut self,
        bytes: &[u8],
        rule: BehaviorsPut,
    ) -> Result<Value, ApiError> {
        let mut sent = body::read(bytes, |body, errors| {
            self.read_behaviors(body, errors, rule)
        })?;
        // Only `enabled: false` is documented.
        let unset = Fields::of_behavior(false, OpenEnum::Known(RiskLevel::Low));
        for (key, behavior) in &mut self.behaviors {
            match sent.remove(key) {
                Some(fields) => behavior.fields = fields,
                None if rule == BehaviorsPut::Replace => behavior.fields = unset.clone(),
                None => {}
            }
        }
        let all = self.behaviors.iter();
        let all: BTreeMap<_, _> = all.map(|(key, one)| (key, &one.fields)).collect();
        Ok(json!({ "behaviors": all }))
    }

    fn read_behaviors(
        &self,
        body: &Map<String, Value>,
        errors: &mut FieldErrors,
        rule: BehaviorsPut,
    ) -> Option<BTreeMap<BehaviorKey, Fields>> {
        const AT: &str = "/behaviors";
        let sent = errors.member(body, "", "behaviors")?.as_object();
        let sent = sent.or_else(|| errors.add(AT, "must be an object"))?;
        let mut read = BTreeMap::new();
        for (name, settings) in sent {
            let at = child_pointer(AT, name);
            let settings = self.read_settings(settings, &at, errors);
            let key = BehaviorKey::new(name.as_str());
            if !self.behaviors.contains_key(&key) {
                errors.add::<()>(&at, "this account offers no such behavior");
            }
            read.extend(settings.map(|settings| (key, settings)));
        }
        for key in self.behaviors.keys().map(BehaviorKey::as_str) {
            if rule == BehaviorsPut::RequireAll && !sent.contains_key(key) {
                errors.add::<()>(&child_pointer(AT, key), "is required");
            }
        }
        Some(read)
    }

    fn read_settings(
        &self,
        settings: &Value,
        at: &str,
        errors: &mut FieldErrors,
    ) -> Option<Fields> {
        let settings = settings.as_object();
        let settings = settings.or_else(|| errors.add(at, "must be an object"))?;
        let enabled = errors.boolean(settings, at, "enabled");
        let risk_level = OpenEnum::parse(errors.text(settings, at, "risk_level")?);
        // A level that Cloudflare added is accepted if the account uses it.
        let mut used = self.behaviors.values().map(|one| one.fields.level());
        if risk_level.known().is_none() && !used.any(|used| used == Some(&risk_level)) {
            let at = child_pointer(at, "risk_level");
            return errors.add(&at, "must be low, medium or high");
        }
        Some(Fields::of_behavior(enabled?, risk_level))
    }
}

/// Integrations, which are created, overwritten and deleted one at a time.
impl Account {
    /// Finds an integration by its ID.
    pub(super) fn integration(&self, id: IntegrationId) -> Result<&Integration, ApiError> {
        self.integrations.get(&id).ok_or_else(no_integration)
    }

    /// Finds an integration by its reference; if several match, the one with the lowest ID.
    pub(super) fn integration_with(&self, reference: &str) -> Result<&Integration, ApiError> {
        let mut all = self.integrations.values();
        all.find(|one| {
            let held = one.fields.reference_id();
            held.is_some_and(|held| held.as_str() == reference)
        })
        .ok_or_else(no_integration)
    }

    /// Creates an integration from a body. It is always active.
    pub(super) fn create_integration(
        &mut self,
        account_id: &AccountId,
        bytes: &[u8],
        stamp: Stamp,
        settings: &Settings,
    ) -> Result<&Integration, ApiError> {
        let fields = self.read_integration(bytes, None, stamp, settings)?;
        let id = IntegrationId::from(uuid(stamp.serial));
        let well_known_url = format!(
            "https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/{id}"
        );
        Ok(self.integrations.entry(id).or_insert(Integration {
            id,
            account_tag: account_id.to_string(),
            created_at: stamp.now.to_string(),
            well_known_url,
            fields,
        }))
    }

    /// Overwrites an integration, except its type. Omitted fields are reset.
    pub(super) fn put_integration(
        &mut self,
        id: IntegrationId,
        bytes: &[u8],
        stamp: Stamp,
        settings: &Settings,
    ) -> Result<&Integration, ApiError> {
        let held = self.integration(id)?;
        let written = self.read_integration(bytes, Some(held), stamp, settings)?;
        let integration = self.integrations.get_mut(&id).ok_or_else(no_integration)?;
        integration.fields = written;
        Ok(integration)
    }

    /// Deletes an integration.
    pub(super) fn delete_integration(&mut self, id: IntegrationId) -> Result<(), ApiError> {
        let deleted = self.integrations.remove(&id);
        deleted.map(drop).ok_or_else(no_integration)
    }

    /// Parses the body of a create, or of an update of `held`.
    fn read_integration(
        &self,
        bytes: &[u8],
        held: Option<&Integration>,
        stamp: Stamp,
        settings: &Settings,
    ) -> Result<Fields, ApiError> {
        let held_fields = held.map(|held| &held.fields);
        body::read(bytes, |body, errors| {
            let integration_type = match held_fields {
                Some(held) => Some(held.shown(Field::IntegrationType)),
                None => read_type(body, errors),
            };
            let active = match held {
                Some(_) => errors.boolean(body, "", "active"),
                None => Some(true),
            };
            let reference_id = match body.get("reference_id") {
                None | Some(Value::Null) => Some(None),
                Some(Value::String(text)) => Some(ReferenceId::new(text.as_str())),
                Some(_) => errors.add("/reference_id", "must be a string or null"),
            };
            if let Some(Some(sent)) = &reference_id
                && settings.references == AcceptedReferences::Providers
                && !self.offers_identity_provider(sent.as_str())
                && held_fields.is_none_or(|held| held.reference_id() != Some(sent))
            {
                errors.add::<()>("/reference_id", "must be the id of an identity provider");
            }
            let tenant_url = errors.text(body, "", "tenant_url")?;
            // The schema requires a URI. That it must be an https base URL is riskform's rule, not the API's.
            if !is_uri(tenant_url) {
                return errors.add("/tenant_url", "must be a URI");
            }
            let mut tenant_url = TenantUrl::from_live(tenant_url);
            if settings.tenant_url == TenantUrlForm::Normalized {
                tenant_url = TenantUrl::from_live(tenant_url.normalized());
            }
            let generated = || match settings.unset_reference {
                UnsetReference::Random => {
                    ReferenceId::new(uuid(REFERENCE | stamp.serial).to_string())
                }
                UnsetReference::Empty | UnsetReference::Null | UnsetReference::Absent => None,
            };
            let reference_id = reference_id?.or_else(generated);
            let integration_type = integration_type?;
            let read = Fields::of_integration(&integration_type, tenant_url, reference_id, active?);
            for key in &settings.unique {
                if self.is_taken(*key, &read, held) {
                    let message = "is taken by another integration of this account";
                    errors.add::<()>(&format!("/{key}"), message);
                }
            }
            Some(read)
        })
    }

    fn is_taken(&self, field: Field, wanted: &Fields, held: Option<&Integration>) -> bool {
        let wanted = wanted.get(field);
        let others = self.integrations.values();
        let mut others = others.filter(|other| Some(other.id) != held.map(|held| held.id));
        wanted.is_some() && others.any(|other| other.fields.get(field) == wanted)
    }

    fn offers_identity_provider(&self, id: &str) -> bool {
        let mut providers = self.context.identity_providers.iter();
        providers.any(|provider| provider["id"] == id)
    }
}

/// Returns an integration as the API shows it with these settings.
pub(super) fn show(integration: &Integration, settings: &Settings) -> Value {
    let mut shown = json!(integration);
    if integration.fields.reference_id().is_none() {
        match settings.unset_reference {
            // Unset by a direct change: shown as a string, as in the schema.
            UnsetReference::Random | UnsetReference::Empty => shown["reference_id"] = json!(""),
            UnsetReference::Null => shown["reference_id"] = Value::Null,
            UnsetReference::Absent => {
                shown
                    .as_object_mut()
                    .map(|shown| shown.remove("reference_id"));
            }
        }
    }
    shown
}

fn no_integration() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, 40401, "Integration not found")
}

fn read_type(body: &Map<String, Value>, errors: &mut FieldErrors) -> Option<String> {
    match errors.text(body, "", "integration_type")? {
        OKTA => Some(OKTA.to_owned()),
        _ => errors.add("/integration_type", "must be Okta"),
    }
}

/// Returns true for a URL with only the characters that RFC 3986 allows.
fn is_uri(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    text.bytes().all(allowed) && Url::parse(text).is_ok()
}

/// Users, their events and scores.
impl Account {
    /// Returns all users with a score.
    pub(super) fn scored_users(&self) -> Vec<Value> {
        let scored = self.users.iter().filter_map(|(id, user)| {
            let counted: Vec<_> = user.counted().collect();
            Some(json!({
                "user_id": id,
                "name": user.name,
                "email": user.email,
                "event_count": counted.len(),
                "last_event": counted.iter().filter_map(|event| event.timestamp).max()?,
                "max_risk_level": user.score()?,
            }))
        });
        scored.collect()
    }

    /// Returns a user, with or without a score.
    pub(super) fn user(&self, id: UserId) -> Result<Value, ApiError> {
        let mut shown = json!(self.users.get(&id).ok_or_else(no_user)?);
        if let Some(score) = self.users.get(&id).and_then(User::score) {
            shown["risk_level"] = json!(score);
        }
        Ok(shown)
    }

    /// Resets a user's score. The events are kept.
    pub(super) fn reset_user(&mut self, id: UserId, now: Timestamp) -> Result<(), ApiError> {
        let user = self.users.get_mut(&id).ok_or_else(no_user)?;
        // The reset must cover all events, even if the clocks differ.
        let newest = user.events.iter().filter_map(|event| event.timestamp).max();
        user.last_reset_time = Some(newest.map_or(now, |newest| newest.max(now)));
        Ok(())
    }
}

impl User {
    /// Returns the events that count toward the score.
    fn counted(&self) -> impl Iterator<Item = &RiskEvent> {
        let reset = self.last_reset_time;
        let counts =
            move |event: &&RiskEvent| reset.is_none_or(|reset| event.timestamp > Some(reset));
        self.events.iter().filter(counts)
    }

    /// Returns the highest level of the counted events. Unknown levels sort above `high`.
    fn score(&self) -> Option<&OpenEnum<RiskLevel>> {
        self.counted().map(|event| &event.risk_level).max()
    }
}

fn no_user() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, 40402, "User not found")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn initial_account_is_as_recorded() {
        let id = "f037e56e89293a057740de681ac9abbe";
        let account = Account::initial(&id.parse().unwrap());
        let behaviors: Vec<_> = account
            .behaviors
            .iter()
            .map(|(key, Behavior { fields, .. })| {
                let [enabled, level] = [Field::Enabled, Field::RiskLevel];
                format!("{key} {} {}", fields.shown(enabled), fields.shown(level))
            })
            .collect();
        assert_eq!(
            behaviors,
            [
                "high_dlp true medium",
                "imp_travel true high",
                "sentinel_one false medium"
            ]
        );
        assert!(
            account
                .integrations
                .values()
                .all(|one| one.account_tag == id)
        );
        assert_eq!((account.integrations.len(), account.users.len()), (1, 5));
    }

    #[test]
    fn uuids_are_distinct() {
        let serials = (0..10_000).flat_map(|n| [n, REFERENCE | n, LOG_ENTRY | n, RESPONSE | n]);
        let made: BTreeSet<Uuid> = serials.map(uuid).collect();
        assert_eq!(made.len(), 40_000);
    }
}
