//! Plan as a unified diff of the live and the planned account, in the layout of a desired-state file.
//!
//! Both sides are complete: unlisted resources that stay are context. An unlisted integration is named by its id.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::config::export::{behavior_entry, integration_entry};
use crate::config::write::{AccountFile, WriteError};
use crate::model::address::Address;
use crate::model::behavior::{BehaviorKey, BehaviorSettings};
use crate::model::integration::IntegrationSettings;
use crate::plan::{AccountPlan, Change, Run, matches};

use crate::model::text::EscapeInvisible;

/// Returns a plan as a unified diff. Accounts with errors are comments, which diff tools ignore.
pub(super) fn diff(run: &Run) -> String {
    run.accounts
        .iter()
        .map(|account| match &account.error {
            None => {
                let errors = account.errors.iter();
                let errors = errors.map(|error| comment(account.label(), &error.to_string()));
                errors.chain([account_diff(account)]).collect()
            }
            Some(error) => comment(account.label(), &error.message),
        })
        .collect()
}

fn account_diff(plan: &AccountPlan) -> String {
    let label = plan.label();
    let before = Snapshot::live(plan);
    let mut after = before.clone();
    for change in &plan.changes {
        after.apply(change);
    }
    let (before, after) = match (before.written(plan), after.written(plan)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(error), _) | (_, Err(error)) => return comment(label, &error.to_string()),
    };
    TextDiff::from_lines(&before, &after)
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
    /// Returns the live side. Candidates of ambiguous entries are named like unlisted integrations.
    fn live(plan: &AccountPlan) -> Self {
        let (desired, live) = (plan.desired(), plan.live());
        let matches = matches(desired, live);
        let listed = matches.entries().iter().filter_map(|entry| {
            let (live, _) = entry.found?;
            let address = Address::Integration(entry.declared.name.clone());
            Some((address, live.settings.clone()))
        });
        let unlisted = matches
            .unlisted
            .iter()
            .chain(&matches.candidates)
            .map(|live| {
                let address = Address::UnlistedIntegration(live.id);
                (address, live.settings.clone())
            });
        Snapshot {
            behaviors: live
                .behaviors
                .iter()
                .map(|(key, behavior)| (key.clone(), behavior.settings.clone()))
                .collect(),
            integrations: listed.chain(unlisted).collect(),
        }
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
    fn written(&self, plan: &AccountPlan) -> Result<String, WriteError> {
        let name = plan.name.as_ref().map(ToString::to_string);
        let mut file = AccountFile::new(&plan.account_id, name.as_deref());
        for (key, settings) in &self.behaviors {
            let level = settings.risk_level.to_string();
            file.add(
                "behaviors",
                key,
                behavior_entry(settings.enabled, Some(level)),
            );
        }
        for (address, settings) in &self.integrations {
            let (name, id) = match address {
                Address::Integration(name) => (name.to_string(), None),
                Address::UnlistedIntegration(id) => (id.to_string(), Some(*id)),
                Address::Behavior(key) => (key.to_string(), None),
            };
            file.add("integrations", name, integration_entry(settings, None, id));
        }
        file.to_yaml()
    }
}
