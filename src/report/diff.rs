//! Plan as a unified diff of the live and the planned account, in the layout of a desired-state file.
//!
//! Both sides are complete: unlisted resources that stay are context. An unlisted integration is named by its id.

use std::collections::BTreeMap;

use serde_json::json;
use similar::TextDiff;

use crate::config::export::entry;
use crate::config::write::{AccountFile, WriteError};
use crate::model::address::Address;
use crate::model::field::Fields;
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
    resources: BTreeMap<Address, Fields>,
}

impl Snapshot {
    /// Returns the live side. Candidates of ambiguous entries are named like unlisted integrations.
    fn live(plan: &AccountPlan) -> Self {
        let (desired, live) = (plan.desired(), plan.live());
        let matches = matches(desired, live);
        let listed = matches
            .entries
            .iter()
            .filter_map(|entry| Some((entry.address(), entry.live()?.fields.clone())));
        let unlisted = matches
            .unlisted
            .iter()
            .chain(&matches.candidates)
            .map(|live| {
                let address = Address::UnlistedIntegration(live.id);
                (address, live.fields.clone())
            });
        let behaviors = live.behaviors.iter();
        let behaviors = behaviors
            .map(|(key, behavior)| (Address::Behavior(key.clone()), behavior.fields.clone()));
        Snapshot {
            resources: behaviors.chain(listed).chain(unlisted).collect(),
        }
    }

    /// Applies a change.
    fn apply(&mut self, change: &Change) {
        match &change.after {
            Some(after) => drop(self.resources.insert(change.address.clone(), after.clone())),
            None => drop(self.resources.remove(&change.address)),
        }
    }

    /// Returns it as a desired-state file.
    fn written(&self, plan: &AccountPlan) -> Result<String, WriteError> {
        let mut file = AccountFile::new(&plan.account_id, plan.name.as_ref());
        for (address, fields) in &self.resources {
            let mut entry = entry(fields);
            let (section, name) = match address {
                Address::Behavior(key) => ("behaviors", key.to_string()),
                Address::Integration(name) => ("integrations", name.to_string()),
                Address::UnlistedIntegration(id) => {
                    entry["id"] = json!(id);
                    ("integrations", id.to_string())
                }
            };
            file.content[section][name] = entry;
        }
        file.to_yaml()
    }
}
