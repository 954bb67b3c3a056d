//! Plan as a unified diff of the live and the planned account, in the layout of a desired-state file.
//!
//! Both sides are complete: unlisted resources that stay are context. An unlisted integration is named by its id.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::config::write::{self, BehaviorEntry, IntegrationEntry};
use crate::model::address::Address;
use crate::model::behavior::{BehaviorKey, BehaviorSettings};
use crate::model::integration::{IntegrationSettings, Lifecycle};
use crate::plan::{AccountPlan, Change, Run, matches};

use crate::model::text::EscapeInvisible;

/// Returns a plan as a unified diff. Accounts with errors are comments, which diff tools ignore.
pub(super) fn diff(run: &Run) -> String {
    run.accounts
        .iter()
        .map(|account| match &account.error {
            None => account_diff(account),
            Some(error) => comment(account.label(), &error.message),
        })
        .collect()
}

fn account_diff(plan: &AccountPlan) -> String {
    let label = plan.label();
    let Some(before) = Snapshot::live(plan) else {
        return comment(label, "cannot distinguish the live integrations");
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
        .map(|line| format!("# {label}: {}\n", EscapeInvisible(line)))
        .collect()
}

/// One side of the diff.
#[derive(Clone)]
struct Snapshot {
    behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
    integrations: BTreeMap<Address, IntegrationSettings>,
}

impl Snapshot {
    /// Returns the live side; `None` if entries and live integrations do not match, which only a damaged plan can cause.
    fn live(plan: &AccountPlan) -> Option<Self> {
        let (desired, live) = (plan.desired(), plan.live());
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
        Some(Snapshot {
            behaviors: live
                .behaviors
                .iter()
                .map(|(key, behavior)| (key.clone(), behavior.settings.clone()))
                .collect(),
            integrations: listed.chain(unlisted).collect(),
        })
    }

    /// Applies a change.
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Behavior(diff) => {
                if let (Address::Behavior(key), Some(after)) = (&diff.address, &diff.after) {
                    self.behaviors.insert(key.clone(), after.clone());
                }
            }
            Change::Integration(diff) => match &diff.after {
                Some(after) => {
                    let address = diff.address.clone();
                    self.integrations.insert(address, after.clone());
                }
                None => drop(self.integrations.remove(&diff.address)),
            },
        }
    }

    /// Returns it as a desired-state file.
    fn written(&self, plan: &AccountPlan) -> String {
        let Snapshot {
            behaviors,
            integrations,
        } = self;
        write::AccountFile {
            account_id: Some(plan.account_id.clone()),
            name: plan.name.as_ref().map(ToString::to_string),
            behaviors: behaviors.iter().map(written_behavior).collect(),
            integrations: integrations.iter().map(written_integration).collect(),
            ..write::AccountFile::default()
        }
        .to_yaml()
    }
}

fn written_behavior((key, settings): (&BehaviorKey, &BehaviorSettings)) -> BehaviorEntry {
    let BehaviorSettings {
        enabled,
        risk_level,
    } = settings;
    BehaviorEntry {
        key: key.clone(),
        enabled: Some(*enabled),
        risk_level: Some(risk_level.to_string()),
        comment: None,
    }
}

fn written_integration((address, settings): (&Address, &IntegrationSettings)) -> IntegrationEntry {
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
    IntegrationEntry {
        identity_provider: None,
        name,
        integration_type: Some(integration_type.to_string()),
        tenant_url: tenant_url.as_str().to_owned(),
        reference_id: reference_id.clone(),
        active: *active,
        id,
        lifecycle: Lifecycle::default(),
    }
}
