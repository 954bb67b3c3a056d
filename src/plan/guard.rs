//! Guards: a plan that one of them refuses is still shown in full, and never applied.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{DesiredAccount, LiveAccount, WeakeningPolicy};
use crate::model::address::Address;
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_word::words;

use super::change::{Action, Change, Diff};
use super::{Intent, Options};

words! {
    /// The guards.
    Guard {
        /// More deletes than the file permits.
        MaxDeletes = "max_deletes",
        /// None of several live integrations would be left.
        DeleteAll = "delete_all",
        /// An entry that must not be deleted or replaced would be.
        PreventDestroy = "prevent_destroy",
        /// An integration that must stay as it is would not.
        Protected = "protected",
        /// Protection would be weakened, and the file denies that.
        Weakening = "weakening",
    }
}

/// Which guards the user overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// `--max-deletes N`, in place of what the file says.
    pub max_deletes: Option<u32>,
    /// `--allow-delete-all`
    pub allow_delete_all: bool,
    /// `--allow-weakening`
    pub allow_weakening: bool,
}

/// A guard's no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Which guard.
    pub guard: Guard,
    /// What it is about; `None` for the plan as a whole.
    pub address: Option<Address>,
    /// Why.
    pub reason: String,
    /// The flag that would permit it; `None` where nothing does.
    #[serde(rename = "override")]
    pub way_past: Option<String>,
}

/// Asks every guard.
pub(super) fn refusals(
    desired: &DesiredAccount,
    live: &LiveAccount,
    changes: &[Change],
    options: &Options,
) -> Vec<Refusal> {
    let overrides = &options.overrides;
    let gone: Vec<&Change> = changes
        .iter()
        .filter(|change| matches!(change.action(), Action::Delete | Action::Replace))
        .collect();
    let mut refusals = Vec::new();
    refusals.extend(max_deletes(desired, gone.len(), overrides));
    refusals.extend(delete_all(live, gone.len(), options));
    refusals.extend(
        gone.iter()
            .filter_map(|change| prevent_destroy(desired, change)),
    );
    refusals.extend(protected(desired, live, changes));
    if desired.guards.weakening == WeakeningPolicy::Deny && !overrides.allow_weakening {
        refusals.extend(changes.iter().filter_map(weakening));
    }
    refusals
}

fn max_deletes(desired: &DesiredAccount, deletes: usize, overrides: &Overrides) -> Option<Refusal> {
    let permitted = overrides.max_deletes.unwrap_or(desired.guards.max_deletes);
    (deletes > permitted as usize).then(|| Refusal {
        guard: Guard::MaxDeletes,
        address: None,
        reason: format!(
            "it deletes or replaces {deletes} integrations, and no more than {permitted} are permitted"
        ),
        way_past: Some(format!("--max-deletes {deletes}")),
    })
}

fn delete_all(live: &LiveAccount, deletes: usize, options: &Options) -> Option<Refusal> {
    let several = live.integrations.len() > 1;
    let all = several && deletes == live.integrations.len();
    (all && options.intent == Intent::Apply && !options.overrides.allow_delete_all).then(|| {
        Refusal {
            guard: Guard::DeleteAll,
            address: None,
            reason: format!("it leaves none of the {deletes} live integrations"),
            way_past: Some("--allow-delete-all".to_owned()),
        }
    })
}

fn prevent_destroy(desired: &DesiredAccount, change: &Change) -> Option<Refusal> {
    let Address::Integration(name) = change.address() else {
        return None;
    };
    let entry = desired.integrations.get(name)?;
    entry.lifecycle.prevent_destroy.then(|| Refusal {
        guard: Guard::PreventDestroy,
        address: Some(change.address().clone()),
        reason: format!(
            "it would be {}d, and lifecycle.prevent_destroy forbids that",
            change.action()
        ),
        way_past: None,
    })
}

fn protected(desired: &DesiredAccount, live: &LiveAccount, changes: &[Change]) -> Vec<Refusal> {
    if desired.guards.protected.is_empty() {
        return Vec::new();
    }
    let by_id: BTreeMap<IntegrationId, &Integration> = live
        .integrations
        .iter()
        .map(|integration| (integration.id, integration))
        .collect();
    changes
        .iter()
        .filter_map(|change| {
            let settings = &by_id.get(&change.found()?.id)?.settings;
            let item =
                desired.guards.protected.iter().find(|item| {
                    item.covers(&settings.tenant_url, settings.reference_id.as_ref())
                })?;
            let harm = harm(change)?;
            Some(Refusal {
                guard: Guard::Protected,
                address: Some(change.address().clone()),
                reason: format!("it {harm}, and guards.protected lists {}", item.text),
                way_past: None,
            })
        })
        .collect()
}

/// What a change does that a protected integration must not suffer. Renaming it first, so that the list no longer fits, is harm itself.
fn harm(change: &Change) -> Option<&'static str> {
    let Change::Integration(Diff { before, after, .. }) = change else {
        return None;
    };
    match (change.action(), before, after) {
        (Action::Delete, _, _) => Some("would be deleted"),
        (Action::Replace, _, _) => Some("would be replaced"),
        (Action::Update, Some(before), Some(after)) => {
            if before.tenant_url != after.tenant_url {
                Some("would get another tenant_url")
            } else if before.reference_id != after.reference_id {
                Some("would get another reference_id")
            } else if before.active && !after.active {
                Some("would be deactivated")
            } else {
                None
            }
        }
        (Action::Create | Action::Update, _, _) => None,
    }
}

fn weakening(change: &Change) -> Option<Refusal> {
    let weakening = change.weakens()?;
    Some(Refusal {
        guard: Guard::Weakening,
        address: Some(change.address().clone()),
        reason: format!("it weakens protection ({weakening}), and guards.weakening is deny"),
        way_past: Some("--allow-weakening".to_owned()),
    })
}
