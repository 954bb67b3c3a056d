//! What an account has to show, block by block, before it is known in which format: changes first, then what is unlisted and to be
//! reported.

use crate::model::address::Address;
use crate::model::behavior::BehaviorWeakening;
use crate::model::integration::IntegrationWeakening;
use crate::model::location::Location;
use crate::plan::document::{AccountDocument, ChangeDocument, Document, Format};
use crate::plan::{Action, Weakening};

use super::fields::{self, FieldLine};

/// One thing that is worth showing.
pub(super) struct Block<'a> {
    pub(super) address: &'a Address,
    pub(super) mark: Mark,
    /// What is the matter with it, such as `update`, `switched off by hand` or `unlisted`.
    pub(super) words: &'static str,
    /// Why it asks for attention: a plan's change that weakens, or something live that protects less than declared.
    pub(super) weakening: Option<Weakening>,
    /// Its fields, each with what is said about it.
    pub(super) fields: Vec<FieldLine>,
    /// Where it is declared.
    pub(super) location: Option<&'a Location>,
}

/// What a block is about, so that each format can give it a symbol or a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It comes into being, or was found without being declared.
    Added,
    /// It differs.
    Changed,
    /// Another one stands, or will stand, in its place.
    Replaced,
    /// It goes, or is missing.
    Removed,
    /// No file lists it.
    Unlisted,
}

impl Mark {
    /// As it stands before an address.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Mark::Added => "+",
            Mark::Changed => "~",
            Mark::Replaced => "±",
            Mark::Removed => "-",
            Mark::Unlisted => "?",
        }
    }
}

/// The blocks of an account, in the document's order.
pub(super) fn blocks(format: Format, account: &AccountDocument) -> impl Iterator<Item = Block<'_>> {
    let changes = account.changes.iter().map(move |change| match format {
        Format::Plan | Format::Apply => planned(change),
        Format::Drift => found(change),
    });
    let unlisted = account.reported().map(|thing| Block {
        address: &thing.address,
        mark: Mark::Unlisted,
        words: "unlisted",
        weakening: None,
        fields: fields::unlisted(&thing.settings),
        location: None,
    });
    changes.chain(unlisted)
}

fn planned(change: &ChangeDocument) -> Block<'_> {
    Block {
        address: &change.address,
        mark: match change.action {
            Action::Create => Mark::Added,
            Action::Update => Mark::Changed,
            Action::Replace => Mark::Replaced,
            Action::Delete => Mark::Removed,
        },
        words: change.action.as_str(),
        weakening: change.weakening,
        fields: fields::lines(change.action, &change.fields),
        location: change.location.as_ref(),
    }
}

/// From declared to live: what would be created is missing, and what would be deleted was added.
fn found(change: &ChangeDocument) -> Block<'_> {
    Block {
        address: &change.address,
        mark: match change.action {
            Action::Create => Mark::Removed,
            Action::Update => Mark::Changed,
            Action::Replace => Mark::Replaced,
            Action::Delete => Mark::Added,
        },
        words: happened(change),
        weakening: change.live_weakening,
        fields: fields::lines(change.action, &change.fields),
        location: change.location.as_ref(),
    }
}

/// What happened to something between its declaration and now.
pub(super) fn happened(change: &ChangeDocument) -> &'static str {
    match change.live_weakening {
        Some(Weakening::Behavior(reason)) => match reason {
            BehaviorWeakening::Disabled => "switched off by hand",
            BehaviorWeakening::Lowered => "lowered by hand",
            BehaviorWeakening::UnknownLevel => "moved to or from an unknown level",
        },
        Some(Weakening::Integration(reason)) => match reason {
            IntegrationWeakening::Deleted => "missing",
            IntegrationWeakening::Replaced => "of another type",
            IntegrationWeakening::Deactivated => "deactivated by hand",
            IntegrationWeakening::TenantUrl => "sends to another tenant",
            IntegrationWeakening::ReferenceId => "has another reference",
        },
        None => match (change.action, &change.location) {
            (Action::Create, _) => "missing",
            (Action::Update, Some(_)) => "differs",
            (Action::Update, None) => "unlisted and switched on",
            (Action::Replace, _) => "of another type",
            (Action::Delete, _) => "unlisted",
        },
    }
}

/// What stands before the addresses of an account where several are shown: nothing for one, `label/` in a fleet.
pub(super) fn prefix(document: &Document, account: &AccountDocument) -> String {
    match document.accounts.len() {
        1 => String::new(),
        _ => format!("{}/", account.label()),
    }
}

/// The live things that differ, by what it would take: all that a sentence of totals needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DriftTotals {
    pub(super) differ: usize,
    pub(super) unlisted: usize,
    pub(super) weaker: usize,
    pub(super) failed: usize,
    pub(super) as_declared: usize,
}

impl DriftTotals {
    /// Adds up a whole run.
    pub(super) fn of(document: &Document) -> Self {
        DriftTotals {
            differ: document
                .accounts
                .iter()
                .map(|account| account.changes.len())
                .sum(),
            unlisted: document
                .accounts
                .iter()
                .map(|account| account.reported().count())
                .sum(),
            weaker: document
                .accounts
                .iter()
                .flat_map(|account| &account.changes)
                .filter(|change| change.live_weaker)
                .count(),
            failed: document.summary.failed_accounts,
            as_declared: document.summary.unchanged,
        }
    }

    /// Says whether everything that could be read is as declared.
    pub(super) fn is_clean(&self) -> bool {
        self.differ == 0 && self.unlisted == 0
    }
}
