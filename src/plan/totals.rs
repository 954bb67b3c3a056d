//! Totals of a run, counted here only, so that every format has the same numbers and names.

use std::collections::BTreeSet;

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::address::Address;

use super::change::Action;
use super::operation::OperationOutcome;
use super::run::{AccountPlan, Format, Run};

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[cfg_attr(test, schemars(rename = "Summary"))]
pub struct Totals {
    /// Resources to create.
    pub create: usize,
    /// Resources to update.
    pub update: usize,
    /// Resources to replace.
    pub replace: usize,
    /// Resources to delete.
    pub delete: usize,
    /// Declared resources without changes.
    pub unchanged: usize,
    /// Unlisted resources that are not changed.
    pub unlisted: usize,
    /// Unlisted resources reported as drift.
    pub reported: usize,
    /// Changes that weaken protection.
    pub weakening: usize,
    /// Resources whose live state protects less than the desired state.
    pub live_weaker: usize,
    /// Entries that are ambiguous or cannot be planned for another reason.
    pub ambiguous: usize,
    /// Accounts in the run.
    pub accounts: usize,
    /// Accounts with changes; for drift, also those with reported unlisted resources.
    pub changed_accounts: usize,
    /// Accounts whose plan is blocked by a guard.
    pub blocked_accounts: usize,
    /// Accounts that failed.
    pub failed_accounts: usize,
    /// Results, after an apply.
    #[serde(flatten)]
    pub done: Option<ApplyTotals>,
}

/// A run with its totals, as written to JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct RunWithTotals<'a> {
    #[serde(flatten)]
    run: &'a Run,
    summary: Totals,
}

/// Totals of an apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct ApplyTotals {
    /// Resources created.
    pub created: usize,
    /// Resources updated.
    pub updated: usize,
    /// Resources replaced.
    pub replaced: usize,
    /// Resources deleted.
    pub deleted: usize,
    /// Failed operations.
    pub failed: usize,
    /// Operations whose result is unknown.
    pub unknown: usize,
    /// Operations not attempted.
    pub not_attempted: usize,
}

impl Run {
    /// Returns the JSON document of the run.
    pub fn to_json(&self) -> String {
        let document = RunWithTotals {
            run: self,
            summary: self.totals(),
        };
        let mut json = serde_json::to_string_pretty(&document).expect("a run has string keys only");
        json.push('\n');
        json
    }

    /// Returns the totals.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            accounts: self.accounts.len(),
            done: (self.format == Format::Apply).then(ApplyTotals::default),
            ..Totals::default()
        };
        for account in &self.accounts {
            totals.add(self.format, account);
        }
        totals
    }
}

impl Totals {
    /// Returns the number of changes.
    pub fn changes(&self) -> usize {
        self.create + self.update + self.replace + self.delete
    }

    fn add(&mut self, format: Format, account: &AccountPlan) {
        for change in &account.changes {
            match change.action {
                Action::Create => self.create += 1,
                Action::Update => self.update += 1,
                Action::Replace => self.replace += 1,
                Action::Delete => self.delete += 1,
            }
            self.weakening += usize::from(change.weakens.is_some());
            self.live_weaker += usize::from(change.live_weaker.is_some());
        }
        self.ambiguous += account.errors.len();
        self.unchanged += account.unchanged.total();
        self.unlisted += account.unlisted.len();
        self.reported += account.reported().count();
        self.changed_accounts += usize::from(match format {
            Format::Plan | Format::Apply => !account.is_empty(),
            Format::Drift => account.has_drift(),
        });
        self.blocked_accounts += usize::from(!account.violations.is_empty());
        self.failed_accounts += usize::from(account.error.is_some());
        if let Some(done) = &mut self.done {
            done.add(account);
        }
    }
}

impl ApplyTotals {
    fn add(&mut self, account: &AccountPlan) {
        let settled = settled(account);
        let settled = |address: &Address| settled.contains(address);
        for change in account.changes.iter().filter(|one| settled(&one.address)) {
            match change.action {
                Action::Create => self.created += 1,
                Action::Update => self.updated += 1,
                Action::Replace => self.replaced += 1,
                Action::Delete => self.deleted += 1,
            }
        }
        for operation in &account.operations {
            match operation.end.as_ref().map(|end| end.outcome) {
                None | Some(OperationOutcome::Done) => {}
                Some(OperationOutcome::Failed) => self.failed += 1,
                Some(OperationOutcome::Unknown) => self.unknown += 1,
                Some(OperationOutcome::NotAttempted) => self.not_attempted += 1,
            }
        }
    }
}

impl AccountPlan {
    /// Returns true if the apply left an operation undone or unknown.
    pub fn is_incomplete(&self) -> bool {
        let problems = self.problems.as_ref();
        let mut ends = self
            .operations
            .iter()
            .filter_map(|operation| operation.end.as_ref());
        problems.is_some_and(|problems| !problems.is_empty() || !self.errors.is_empty())
            || ends.any(|end| end.outcome != OperationOutcome::Done)
    }
}

/// Returns the addresses with all operations done.
fn settled(account: &AccountPlan) -> BTreeSet<&Address> {
    let mut settled = BTreeSet::new();
    let mut unsettled = BTreeSet::new();
    for operation in &account.operations {
        match &operation.end {
            Some(end) if end.outcome == OperationOutcome::Done => {
                settled.extend(&operation.addresses)
            }
            Some(_) | None => unsettled.extend(&operation.addresses),
        }
    }
    &settled - &unsettled
}
