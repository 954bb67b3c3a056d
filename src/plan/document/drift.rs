//! A plan as drift: the same comparison, asked the other way round.
//!
//! Drift is looked at, never carried out: there are no operations, and guards have nothing to refuse. `before` stays what is live and
//! `after` what is declared.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::plan::fleet::PlannedAccount;
use crate::plan::outcome::Policy;
use crate::plan::target::{Glob, Targets};

use super::{AccountDocument, Document, Format, Unchanged, UnlistedDocument, write};

/// Which addresses count as drift.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Those to look at.
    pub targets: Targets,
    /// Those to leave out of them.
    pub ignored: Vec<Glob>,
}

impl Scope {
    fn includes(&self, label: &str, address: &Address) -> bool {
        let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(label, address));
        (self.targets.globs.is_empty() || named(&self.targets.globs)) && !named(&self.ignored)
    }
}

/// How much of an account outlasts its comparison. A fleet is large, and most of it is as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Both of its states, and how they differ.
    States,
    /// How they differ, alone.
    Differences,
}

impl Document {
    /// The drift of a fleet.
    pub fn of_drift(
        base_url: String,
        accounts: Vec<AccountDocument>,
        created_at: Timestamp,
    ) -> Self {
        Document::new(Format::Drift, base_url, accounts, created_at)
    }
}

impl AccountDocument {
    /// The drift of an account that was planned in full and without targets. What protects less than declared stands first.
    pub fn of_drift(planned: &PlannedAccount, scope: &Scope, keep: Keep) -> Self {
        let mut account = write::account(planned);
        account.narrow(scope);
        match keep {
            Keep::States => {}
            Keep::Differences => {
                account.live = None;
                account.desired = None;
            }
        }
        account
    }

    /// Says whether live differs from desired. What is unlisted counts where the file wants it reported.
    pub fn has_drift(&self) -> bool {
        !self.changes.is_empty() || self.reported().next().is_some()
    }

    /// The unlisted things that the file wants reported.
    pub fn reported(&self) -> impl Iterator<Item = &UnlistedDocument> {
        self.unlisted.iter().filter(|thing| thing.is_reported())
    }

    fn narrow(&mut self, scope: &Scope) {
        let label = self.label().to_owned();
        let includes = |address: &Address| scope.includes(&label, address);
        let mut left_out = Vec::new();
        self.changes.retain(|change| {
            let included = includes(&change.address);
            if !included {
                left_out.push(change.address.clone());
            }
            included
        });
        self.unlisted.retain(|thing| {
            let included = includes(&thing.address);
            if !included && thing.is_reported() {
                left_out.push(thing.address.clone());
            }
            included
        });
        self.left_out = left_out;
        self.notes.retain(|note| includes(note.note.address()));
        self.unchanged = self.as_declared(&includes);
        self.operations.clear();
        self.refusals.clear();
        // A stable sort: among equals, the plan's order stays.
        self.changes.sort_by_key(|change| !change.live_weaker);
    }

    /// Counts the listed things in scope that do not differ.
    fn as_declared(&self, includes: &impl Fn(&Address) -> bool) -> Unchanged {
        let Some(desired) = &self.desired else {
            return Unchanged::default();
        };
        let changed: HashSet<&Address> =
            self.changes.iter().map(|change| &change.address).collect();
        let counts = |address: &Address| includes(address) && !changed.contains(address);
        let behaviors = desired.behaviors.keys().cloned().map(Address::Behavior);
        let integrations = desired.integrations.keys().cloned();
        Unchanged {
            behaviors: behaviors.filter(counts).count(),
            integrations: integrations
                .map(Address::Integration)
                .filter(counts)
                .count(),
        }
    }

    /// How the account is called in output: its name, else its id.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
        }
    }
}

impl UnlistedDocument {
    /// Says whether the file wants it reported.
    pub fn is_reported(&self) -> bool {
        match self.policy {
            Policy::Report => true,
            Policy::Keep | Policy::Disable | Policy::Delete => false,
        }
    }
}
