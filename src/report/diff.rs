//! A plan as a unified diff between the live account and what it becomes, both in the desired-state file's own layout.
//!
//! Both sides are written in full: what is unlisted and stays is context. An unlisted integration has no name, so its id stands there.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use similar::TextDiff;

use crate::config::write::{self, WrittenBehavior, WrittenIntegration};
use crate::model::address::Address;
use crate::model::behavior::{BehaviorKey, BehaviorSettings};
use crate::model::integration::{IntegrationSettings, Lifecycle};
use crate::plan::{AccountPlan, Action, Change, FieldChange, Plan, matches};

use super::visible::Visible;

/// A plan as a unified diff. Accounts that could not be planned are comments between the diffs, which readers of diffs pass over.
pub(super) fn diff(plan: &Plan) -> String {
    plan.accounts
        .iter()
        .map(|account| match &account.result {
            Ok(plan) => account_diff(plan),
            Err(error) => comment(account.label(), &error.message),
        })
        .collect()
}

fn account_diff(plan: &AccountPlan) -> String {
    let label = plan.desired.label();
    let Some(before) = State::live(plan) else {
        return comment(label, "what is live can't be told apart");
    };
    let mut after = before.clone();
    for change in &plan.changes {
        after.apply(change);
    }
    TextDiff::from_lines(before.written(plan), after.written(plan))
        .unified_diff()
        .header(&format!("live/{label}"), &format!("planned/{label}"))
        .to_string()
}

fn comment(label: &str, message: &str) -> String {
    message
        .lines()
        .map(|line| format!("# {label}: {}\n", Visible(line)))
        .collect()
}

/// Everything that one side of the diff holds.
#[derive(Clone)]
struct State {
    behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
    integrations: BTreeMap<Address, IntegrationSettings>,
}

impl State {
    /// What is live; `None` where entries and live things no longer fit together, which only a damaged plan can bring about.
    fn live(plan: &AccountPlan) -> Option<Self> {
        let AccountPlan { desired, live, .. } = plan;
        let matches = matches(desired, live).ok()?;
        let listed = matches.entries().iter().filter_map(|entry| {
            let (live, _) = entry.found?;
            let address = Address::Integration(entry.declared.name.clone());
            Some((address, live.settings.clone()))
        });
        let unlisted = matches.unlisted.iter().map(|live| {
            let address = Address::UnlistedIntegration(live.id);
            (address, live.settings.clone())
        });
        Some(State {
            behaviors: live
                .behaviors
                .iter()
                .map(|(key, behavior)| (key.clone(), behavior.settings.clone()))
                .collect(),
            integrations: listed.chain(unlisted).collect(),
        })
    }

    /// Lays one change over it.
    fn apply(&mut self, change: &Change) {
        match &change.address {
            Address::Behavior(key) => lay_over(&mut self.behaviors, key, change),
            address @ (Address::Integration(_) | Address::UnlistedIntegration(_)) => {
                lay_over(&mut self.integrations, address, change);
            }
        }
    }

    /// It as a desired-state file.
    fn written(&self, plan: &AccountPlan) -> String {
        let State {
            behaviors,
            integrations,
        } = self;
        write::Document {
            account_id: Some(plan.desired.account_id.clone()),
            name: plan.desired.name.as_ref().map(ToString::to_string),
            behaviors: behaviors.iter().map(written_behavior).collect(),
            integrations: integrations.iter().map(written_integration).collect(),
            ..write::Document::default()
        }
        .to_yaml()
    }
}

fn lay_over<K: Ord + Clone, S: Serialize + DeserializeOwned>(
    things: &mut BTreeMap<K, S>,
    key: &K,
    change: &Change,
) {
    let before = things.remove(key);
    let after = match change.action {
        Action::Delete => None,
        Action::Create | Action::Update | Action::Replace => {
            with_fields(before.as_ref(), &change.fields)
        }
    };
    things.extend(after.map(|after| (key.clone(), after)));
}

/// Settings with the fields of a change in place; those that the change does not name stay as they were.
fn with_fields<S: Serialize + DeserializeOwned>(
    before: Option<&S>,
    fields: &[FieldChange],
) -> Option<S> {
    let mut settings = match before {
        Some(before) => serde_json::to_value(before).ok()?,
        None => Value::Object(serde_json::Map::new()),
    };
    for field in fields {
        settings
            .as_object_mut()?
            .insert(field.field.to_string(), field.after.clone());
    }
    serde_json::from_value(settings).ok()
}

fn written_behavior((key, settings): (&BehaviorKey, &BehaviorSettings)) -> WrittenBehavior {
    let BehaviorSettings {
        enabled,
        risk_level,
    } = settings;
    WrittenBehavior {
        key: key.clone(),
        enabled: Some(*enabled),
        risk_level: Some(risk_level.to_string()),
        comment: None,
    }
}

fn written_integration(
    (address, settings): (&Address, &IntegrationSettings),
) -> WrittenIntegration {
    let IntegrationSettings {
        integration_type,
        tenant_url,
        reference_id,
        active,
    } = settings;
    let (name, id) = match address {
        Address::Integration(name) => (name.to_string(), None),
        Address::UnlistedIntegration(id) => (id.to_string(), Some(*id)),
        Address::Behavior(key) => (key.to_string(), None),
    };
    WrittenIntegration {
        name,
        integration_type: Some(integration_type.to_string()),
        tenant_url: tenant_url.as_str().to_owned(),
        reference_id: reference_id.clone(),
        active: *active,
        id,
        lifecycle: Lifecycle::default(),
    }
}
