//! Drift: a plan read as a comparison of live and declared state.
//!
//! Drift has no operations and no guard violations. `before` is the live and `after` the declared state.

use std::collections::HashSet;

use crate::model::account::BehaviorDeclaration;
use crate::model::address::{Address, Glob};
use crate::model::behavior::BehaviorKey;
use crate::model::context::Fetched;

use super::run::{AccountPlan, Status, Unchanged};
use super::target::Targets;

/// Addresses to compare.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Included addresses.
    pub targets: Targets,
    /// Addresses excluded from them.
    pub ignored: Vec<Glob>,
}

impl Scope {
    fn includes(&self, label: &str, address: &Address) -> bool {
        let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(label, address));
        (self.targets.globs.is_empty() || named(&self.targets.globs)) && !named(&self.ignored)
    }
}

/// Amount of data to keep after a comparison. In a large fleet most of it is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Both states and their differences.
    States,
    /// The differences only.
    DiffOnly,
}

impl AccountPlan {
    /// Returns the drift of an account that was planned in full and without targets. Weaker resources come first.
    #[must_use]
    pub fn into_drift(mut self, scope: &Scope) -> Self {
        self.narrow(scope);
        self
    }

    /// Drops the data that is not needed after the comparison.
    #[must_use]
    pub fn keeping(mut self, keep: Retention) -> Self {
        match keep {
            Retention::States => {}
            Retention::DiffOnly => {
                self.live = None;
                self.desired = None;
                if let Some(context) = &mut self.context {
                    context.access = Fetched::Skipped;
                }
            }
        }
        self
    }

    fn narrow(&mut self, scope: &Scope) {
        let label = self.label().to_owned();
        let includes = |address: &Address| scope.includes(&label, address);
        let mut excluded = Vec::new();
        self.changes.retain(|change| {
            let included = includes(change.address());
            if !included {
                excluded.push(change.address().clone());
            }
            included
        });
        self.unlisted.retain(|thing| {
            let included = includes(&thing.address);
            if !included && thing.is_reported() {
                excluded.push(thing.address.clone());
            }
            included
        });
        self.excluded = excluded;
        self.errors.retain(|error| includes(&error.address));
        if self.status == Status::Ambiguous && self.errors.is_empty() {
            self.status = Status::Ok;
        }
        self.notes
            .retain_mut(|note| note.narrow(includes) && note.applies_to_drift());
        for note in &mut self.notes {
            note.turn_to_drift();
        }
        self.unchanged = self.count_unchanged(&includes);
        self.operations.clear();
        self.violations.clear();
        // A stable sort keeps the order of the plan.
        self.changes
            .sort_by_key(|change| change.live_weaker().is_none());
    }

    /// Counts the listed resources in scope that do not differ.
    fn count_unchanged(&self, includes: &impl Fn(&Address) -> bool) -> Unchanged {
        let Some(desired) = &self.desired else {
            return Unchanged::default();
        };
        let changed = self.changes.iter().map(super::change::Change::address);
        let failed = self.errors.iter().map(|error| &error.address);
        let changed: HashSet<&Address> = changed.chain(failed).collect();
        let counts = |address: &Address| includes(address) && !changed.contains(address);
        let offered = self.live.iter().flat_map(|live| live.behaviors.keys());
        let listed = |key: &&BehaviorKey| match desired.behavior(key) {
            BehaviorDeclaration::Named { .. } | BehaviorDeclaration::Wildcard { .. } => true,
            BehaviorDeclaration::Unmanaged | BehaviorDeclaration::Unlisted => false,
        };
        let behaviors = offered.filter(listed).cloned().map(Address::Behavior);
        let integrations = desired.integrations.keys().cloned();
        Unchanged {
            behaviors: behaviors.filter(counts).count(),
            integrations: integrations
                .map(Address::Integration)
                .filter(counts)
                .count(),
        }
    }
}
