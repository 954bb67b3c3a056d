//! What a plan says: changes, unlisted things, and the plan that holds them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::behavior::{BehaviorSettings, BehaviorWeakening};
use crate::model::integration::{IntegrationId, IntegrationSettings, IntegrationWeakening};
use crate::model::location::Location;
use crate::model::open_word::words;

use super::guard::Refusal;
use super::note::Note;
use super::operation::Operation;
use super::target::Glob;

/// What would be done to one account, and in which order. Immutable: execution has no choices left.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountPlan {
    /// SHA-256 over everything live, unlisted things included.
    pub live_digest: String,
    /// What the plan was made from.
    pub live: Arc<LiveAccount>,
    /// What the files declare.
    pub desired: Arc<DesiredAccount>,
    /// What differs: behaviors by key, then listed integrations by name, then unlisted ones by id.
    pub changes: Vec<Change>,
    /// How many listed behaviors are as declared already.
    pub unchanged_behaviors: usize,
    /// How many listed integrations are as declared already.
    pub unchanged_integrations: usize,
    /// What is live but in no file, and stays.
    pub unlisted: Vec<UnlistedThing>,
    /// What the reader should know that is no change.
    pub notes: Vec<Note>,
    /// Changes that `--target` left out.
    pub left_out: Vec<Address>,
    /// The guards' noes; a plan with one is shown, never applied.
    pub refusals: Vec<Refusal>,
    /// The calls, in their order.
    pub operations: Vec<Operation>,
}

impl AccountPlan {
    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many listed things are as declared already.
    pub fn unchanged(&self) -> usize {
        self.unchanged_behaviors + self.unchanged_integrations
    }

    /// Says whether a glob names anything in the account, listed or live, different or not.
    pub fn has(&self, glob: &Glob) -> bool {
        let desired = &self.desired;
        let listed_behaviors = desired.behaviors.keys();
        let behaviors = listed_behaviors.chain(self.live.behaviors.keys());
        let integrations = desired.integrations.keys().cloned();
        let live = self.live.integrations.iter().map(|live| live.id);
        behaviors
            .map(|key| Address::Behavior(key.clone()))
            .chain(integrations.map(Address::Integration))
            .chain(live.map(Address::UnlistedIntegration))
            .any(|address| glob.matches(desired.label(), &address))
    }

    /// How many changes have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    }
}

words! {
    /// What happens to one thing.
    Action {
        /// It is made.
        Create = "create",
        /// Some of its fields change.
        Update = "update",
        /// It is deleted and made anew, since the field that differs can't be changed.
        Replace = "replace",
        /// It is deleted.
        Delete = "delete",
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What differs.
    pub address: Address,
    /// What will be done about it.
    pub action: Action,
    /// Why doing it weakens protection, if it does.
    pub weakens: Option<Weakening>,
    /// Why what is live protects less than what is declared, if it does: somebody weakened it by hand.
    pub live_weaker: Option<Weakening>,
    /// Where it is declared; an unlisted thing is nowhere.
    pub location: Option<Location>,
    /// The live integration that it is about, if there is one.
    pub integration_id: Option<IntegrationId>,
    /// The fields, in the order that they are shown.
    pub fields: Vec<FieldChange>,
}

/// Why a change weakens protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakening {
    /// A behavior's reason.
    Behavior(BehaviorWeakening),
    /// An integration's reason.
    Integration(IntegrationWeakening),
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weakening::Behavior(weakening) => weakening.fmt(f),
            Weakening::Integration(weakening) => weakening.fmt(f),
        }
    }
}

impl Serialize for Weakening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weakening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| {
            serde::de::Error::custom("a reason to call a change weakening that there is not")
        })
    }
}

impl JsonSchema for Weakening {
    fn schema_name() -> Cow<'static, str> {
        "Weakening".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let behaviors = BehaviorWeakening::ALL.iter().map(|word| word.as_str());
        let integrations = IntegrationWeakening::ALL.iter().map(|word| word.as_str());
        let words: Vec<&str> = behaviors.chain(integrations).collect();
        json_schema!({ "description": "Why protection weakens.", "type": "string", "enum": words })
    }
}

impl std::str::FromStr for Weakening {
    type Err = crate::model::open_word::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        word.parse()
            .map(Weakening::Behavior)
            .or_else(|_| word.parse().map(Weakening::Integration))
    }
}

words! {
    /// Every field that a change can name, in the order that they are shown.
    Field {
        /// A behavior's switch.
        Enabled = "enabled",
        /// A behavior's level.
        RiskLevel = "risk_level",
        /// An integration's kind.
        IntegrationType = "integration_type",
        /// An integration's tenant.
        TenantUrl = "tenant_url",
        /// An integration's reference.
        ReferenceId = "reference_id",
        /// An integration's switch.
        Active = "active",
    }
}

/// One field that differs. Where the thing is not there, or the field unset, the value is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The field.
    pub field: Field,
    /// What it is.
    pub before: Value,
    /// What it will be.
    pub after: Value,
}

/// Something live that no file lists, and that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlistedThing {
    /// Its name.
    pub address: Address,
    /// What the file says about such things.
    pub policy: Policy,
    /// How it is configured.
    pub settings: UnlistedSettings,
}

words! {
    /// What a file says about things that it does not list. Those that are disabled or deleted are changes, not unlisted things.
    Policy {
        /// Leave them alone.
        Keep = "keep",
        /// Leave them alone, and say so.
        Report = "report",
        /// Disable behaviors; one that is unlisted is disabled already.
        Disable = "disable",
        /// Delete integrations; on `destroy` they stay all the same.
        Delete = "delete",
    }
}

/// How an unlisted thing is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UnlistedSettings {
    /// A behavior.
    Behavior(BehaviorSettings),
    /// An integration.
    Integration(IntegrationSettings),
}
