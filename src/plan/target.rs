//! `--target`: limits a plan to the addresses that match a glob.

use std::borrow::Cow;
use std::collections::BTreeSet;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::DesiredAccount;
use crate::model::address::{Address, Glob};

use super::behaviors::BehaviorDiff;
use super::integrations::IntegrationDiff;

/// Addresses to include. Without a pattern, all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct Targets {
    /// Patterns, of which at least one must match.
    pub globs: Vec<Glob>,
}

impl Targets {
    /// Returns true if the address is targeted.
    pub fn includes(&self, desired: &DesiredAccount, address: &Address) -> bool {
        self.globs.is_empty()
            || self
                .globs
                .iter()
                .any(|glob| glob.matches(desired.label(), address))
    }

    /// Returns true if a target is exactly this address.
    pub fn name(&self, desired: &DesiredAccount, address: &Address) -> bool {
        self.globs
            .iter()
            .any(|glob| glob.is_address(desired.label(), address))
    }
}

/// Both diffs, limited to the targets.
pub(super) struct TargetedDiffs<'a> {
    pub(super) behaviors: BehaviorDiff,
    pub(super) integrations: IntegrationDiff<'a>,
    /// Excluded changes.
    pub(super) excluded: Vec<Address>,
}

/// Removes changes that match no glob.
pub(super) fn narrow<'a>(
    desired: &DesiredAccount,
    mut behaviors: BehaviorDiff,
    mut integrations: IntegrationDiff<'a>,
    targets: &Targets,
) -> TargetedDiffs<'a> {
    let mut excluded = Vec::new();
    if !targets.globs.is_empty() {
        let includes = |address: &Address| targets.includes(desired, address);
        behaviors.changes.retain(|change| {
            let included = includes(change.address());
            if !included {
                excluded.push(change.address().clone());
            }
            included
        });
        behaviors.unchanged.retain(includes);
        behaviors.unlisted.retain(|thing| includes(&thing.address));
        behaviors
            .declared
            .retain(|key, _| includes(&Address::Behavior(key.clone())));

        let mut untargeted = BTreeSet::new();
        for course in &mut integrations.courses {
            let address = course.thing.address();
            if includes(&address) {
                continue;
            }
            if course.change.take().is_some() {
                excluded.push(address.clone());
            } else if course.thing.entry().is_some() {
                integrations.unchanged -= 1;
            }
            course.after = course.before.map(|live| Cow::Borrowed(&live.settings));
            untargeted.insert(address);
        }
        integrations
            .unlisted
            .retain(|thing| !untargeted.contains(&thing.address));
    }
    TargetedDiffs {
        behaviors,
        integrations,
        excluded,
    }
}
