//! Plan as a unified diff of the live and the planned account, in the layout of a desired-state file.
//!
//! Both sides are complete: unlisted resources that stay are context. An unlisted integration is named by its id, as are the candidates of
//! an ambiguous entry.

use std::collections::BTreeMap;

use serde_json::json;
use similar::TextDiff;

use crate::config::export::entry;
use crate::config::write::{AccountFile, WriteError};
use crate::model::address::Address;
use crate::model::field::Fields;
use crate::model::text::EscapeInvisible;
use crate::plan::{AccountPlan, Run, matches};

/// Returns a plan as a unified diff. Accounts with errors are comments, which diff tools ignore.
pub(super) fn diff(run: &Run) -> String {
    let mut text = String::new();
    for account in &run.accounts {
        let label = account.label();
        match &account.error {
            None => {
                let errors = account.errors.iter();
                text.extend(errors.map(|error| comment(label, &error.to_string())));
                let diff = account_diff(account);
                text.push_str(&diff.unwrap_or_else(|error| comment(label, &error.to_string())));
            }
            Some(error) => text.push_str(&comment(label, &error.message)),
        }
    }
    text
}

fn comment(label: &str, message: &str) -> String {
    let lines = message.lines().map(EscapeInvisible);
    lines.map(|line| format!("# {label}: {line}\n")).collect()
}

fn account_diff(plan: &AccountPlan) -> Result<String, WriteError> {
    let mut resources = plan.live().by_address();
    for entry in matches(plan.desired(), plan.live()).entries {
        let live = entry
            .live()
            .map(|live| Address::UnlistedIntegration(live.id));
        if let Some(fields) = live.and_then(|live| resources.remove(&live)) {
            resources.insert(entry.address(), fields);
        }
    }
    let before = written(plan, &resources)?;
    for change in &plan.changes {
        match &change.after {
            Some(after) => resources.insert(change.address.clone(), after),
            None => resources.remove(&change.address),
        };
    }
    let after = written(plan, &resources)?;
    let label = plan.label();
    let diff = TextDiff::from_lines(&before, &after);
    let mut diff = diff.unified_diff();
    let diff = diff.header(&format!("live/{label}"), &format!("planned/{label}"));
    Ok(diff.to_string())
}

/// Returns resources as a desired-state file.
fn written(
    plan: &AccountPlan,
    resources: &BTreeMap<Address, &Fields>,
) -> Result<String, WriteError> {
    let mut file = AccountFile::new(&plan.account_id, plan.name.as_ref());
    for (address, fields) in resources {
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
