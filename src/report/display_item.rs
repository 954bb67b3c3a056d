//! What an account has to show, block by block, before it is known in which format: changes first, then what is unlisted and to be
//! reported.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::behavior::BehaviorWeakening;
use crate::model::integration::IntegrationWeakening;
use crate::model::location::Location;
use crate::plan::{
    AccountPlan, Action, Change, DeclaredBy, Format, GuardViolation, PlanError, Run, Weakening,
};

use super::attribution;
use super::field_lines::{self, FieldLine};
use super::style;

/// One thing that is worth showing.
pub(super) struct DisplayItem<'a> {
    /// The change that it shows; `None` for what is unlisted and stays.
    pub(super) change: Option<&'a Change>,
    pub(super) address: &'a Address,
    /// What declares it, or which live integration it is and by what that was recognized, such as `4cfe8442…, by reference_id`.
    pub(super) origin: Option<String>,
    pub(super) mark: ChangeMarker,
    /// What is the matter with it, such as `update`, `off, declared on` or `unlisted`.
    pub(super) words: &'static str,
    /// Why it asks for attention: a plan's change that weakens, or something live that protects less than declared.
    pub(super) weakening: Option<Weakening>,
    /// Message, candidates and help of an entry that cannot be planned.
    pub(super) lines: Vec<String>,
    /// Its fields, each with what is said about it.
    pub(super) fields: Vec<FieldLine>,
    /// Who made it so, a sentence each, as far as somebody asked.
    pub(super) who: Vec<String>,
    /// Where it is declared.
    pub(super) location: Option<&'a Location>,
}

/// What a block is about, so that each format can give it a symbol or a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeMarker {
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
    /// The entry is ambiguous or cannot be planned for another reason.
    Ambiguous,
}

impl ChangeMarker {
    /// As it stands before an address.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            ChangeMarker::Added => "+",
            ChangeMarker::Changed => "~",
            ChangeMarker::Replaced => "±",
            ChangeMarker::Removed => "-",
            ChangeMarker::Unlisted => "?",
            ChangeMarker::Ambiguous => "!",
        }
    }
}

impl DisplayItem<'_> {
    pub(super) fn gravity(&self) -> Severity {
        match self.change.map(Change::action) {
            _ if self.mark == ChangeMarker::Ambiguous => Severity::Ambiguous,
            _ if self.weakening.is_some() => Severity::Weaker,
            Some(Action::Delete | Action::Replace) => Severity::Removes,
            Some(Action::Create | Action::Update) | None => Severity::Differs,
        }
    }

    /// The color of its mark; it only repeats what the symbol says.
    pub(super) fn style(&self) -> anstyle::Style {
        match self.mark {
            ChangeMarker::Added => style::SUCCESS,
            ChangeMarker::Changed => style::WARNING,
            ChangeMarker::Replaced | ChangeMarker::Removed | ChangeMarker::Ambiguous => {
                style::ERROR
            }
            ChangeMarker::Unlisted => style::DIM,
        }
    }
}

/// How soon something must be seen: the smaller, the sooner. An account is as grave as the gravest thing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// It failed, or was left half done.
    Failed,
    /// A guard refused it.
    Refused,
    /// An entry is ambiguous.
    Ambiguous,
    /// It protects less than declared, or would protect less than it does.
    Weaker,
    /// It deletes or replaces.
    Removes,
    /// It differs.
    Differs,
    /// There is something to know about it.
    Said,
    /// All is as declared.
    Nothing,
}

impl Severity {
    pub(super) fn of(run: &Run, account: &AccountPlan) -> Self {
        let gravest = blocks(run, account).map(|block| block.gravity()).min();
        let is_silent = account.notes.is_empty() && account.excluded.is_empty();
        if account.error.is_some() || account.is_incomplete() {
            Severity::Failed
        } else if !account.violations.is_empty() {
            Severity::Refused
        } else {
            match gravest {
                Some(gravest) => gravest,
                None if is_silent => Severity::Nothing,
                None => Severity::Said,
            }
        }
    }

    /// Whether nobody may approve, or go to sleep, without having seen it.
    pub(super) fn must_show(self) -> bool {
        self <= Severity::Removes
    }
}

/// Returns the accounts, most severe first: those that failed, were blocked or are ambiguous, those that are or would be weaker, those that
/// lose an integration, and the rest.
pub(super) fn gravest_first(run: &Run) -> Vec<(Severity, &AccountPlan)> {
    let accounts = run.accounts.iter();
    let mut accounts: Vec<(Severity, &AccountPlan)> = accounts
        .map(|account| (Severity::of(run, account), account))
        .collect();
    // A stable sort: among equals, the order of the run stays. A refusal is a kind of failure, and no graver.
    accounts.sort_by_key(|(gravity, _)| (*gravity).max(Severity::Ambiguous));
    accounts
}

/// The blocks of an account, in the document's order.
pub(super) fn blocks<'a>(
    run: &Run,
    account: &'a AccountPlan,
) -> impl Iterator<Item = DisplayItem<'a>> + use<'a> {
    let (format, now) = (run.format, run.created_at);
    let changes = account.changes.iter().map(move |change| match format {
        Format::Plan | Format::Apply => planned(change),
        Format::Drift => found(change, now),
    });
    let unlisted = account.reported().map(move |thing| DisplayItem {
        change: None,
        address: &thing.address,
        origin: None,
        mark: ChangeMarker::Unlisted,
        words: "unlisted",
        weakening: None,
        lines: Vec::new(),
        fields: field_lines::unlisted(&thing.settings),
        who: attribution::who(&thing.attribution, now),
        location: None,
    });
    account
        .errors
        .iter()
        .map(unplanned)
        .chain(changes)
        .chain(unlisted)
}

fn unplanned(error: &PlanError) -> DisplayItem<'_> {
    DisplayItem {
        change: None,
        address: &error.address,
        origin: None,
        mark: ChangeMarker::Ambiguous,
        words: error.kind.words(),
        weakening: None,
        lines: error.lines(),
        fields: Vec::new(),
        who: Vec::new(),
        location: error.location.as_ref(),
    }
}

fn planned(change: &Change) -> DisplayItem<'_> {
    DisplayItem {
        change: Some(change),
        address: change.address(),
        origin: origin(change),
        mark: match change.action() {
            Action::Create => ChangeMarker::Added,
            Action::Update => ChangeMarker::Changed,
            Action::Replace => ChangeMarker::Replaced,
            Action::Delete => ChangeMarker::Removed,
        },
        words: change.action().as_str(),
        weakening: change.weakens(),
        lines: Vec::new(),
        fields: field_lines::lines(change),
        who: Vec::new(),
        location: change.location(),
    }
}

/// From declared to live: what would be created is missing, and what would be deleted was added.
fn found(change: &Change, now: Timestamp) -> DisplayItem<'_> {
    DisplayItem {
        change: Some(change),
        address: change.address(),
        origin: origin(change),
        mark: match change.action() {
            Action::Create => ChangeMarker::Removed,
            Action::Update => ChangeMarker::Changed,
            Action::Replace => ChangeMarker::Replaced,
            Action::Delete => ChangeMarker::Added,
        },
        words: happened(change),
        weakening: change.live_weaker(),
        lines: Vec::new(),
        fields: field_lines::lines(change),
        who: attribution::who(change.attribution(), now),
        location: change.location(),
    }
}

/// What the address does not tell. That of what no file lists holds the whole id.
fn origin(change: &Change) -> Option<String> {
    match change.declared_by() {
        Some(DeclaredBy::Wildcard) => return Some(r#"by "*""#.to_owned()),
        None => {}
    }
    let found = change.found()?;
    let id = found.id.abbreviated();
    found.by.map(|by| format!("{id}, by {by}"))
}

/// How something stands to its declaration: what is, never how it came about.
fn happened(change: &Change) -> &'static str {
    match change.live_weaker() {
        Some(Weakening::Behavior(reason)) => match reason {
            BehaviorWeakening::Disabled => "off, declared on",
            BehaviorWeakening::Lowered => "lower than declared",
            BehaviorWeakening::UnknownLevel => "an unknown level",
        },
        Some(Weakening::Integration(reason)) => match reason {
            IntegrationWeakening::Deleted => "missing",
            IntegrationWeakening::Replaced => "of another type",
            IntegrationWeakening::Deactivated => "inactive, declared active",
            IntegrationWeakening::TenantUrlChanged => "sends to another tenant",
            IntegrationWeakening::ReferenceIdChanged => "has another reference",
        },
        None => match (change.action(), change.location()) {
            (Action::Create, _) => "missing",
            (Action::Update, Some(_)) => "differs",
            (Action::Update, None) => "unlisted and switched on",
            (Action::Replace, _) => "of another type",
            (Action::Delete, _) => "unlisted",
        },
    }
}

/// What stands before the addresses of an account where several are shown: nothing for one, `label/` in a fleet.
pub(super) fn prefix(document: &Run, account: &AccountPlan) -> String {
    match document.accounts.len() {
        1 => String::new(),
        _ => format!("{}/", account.label()),
    }
}

/// An address for a sentence: an id is cut to its first eight digits.
pub(super) fn short(address: &Address) -> String {
    match address {
        Address::UnlistedIntegration(id) => format!("integration[{}]", id.abbreviated()),
        Address::Behavior(_) | Address::Integration(_) => address.to_string(),
    }
}

/// A refusal as a sentence: what it is about, why, and what would permit it. `prefix` stands before the address.
pub(super) fn refusal(prefix: &str, refusal: &GuardViolation) -> String {
    let GuardViolation {
        guard: _,
        address,
        reason,
        way_past,
    } = refusal;
    let about = match address {
        Some(address) => format!("{prefix}{address}: "),
        None => prefix.to_owned(),
    };
    match way_past {
        Some(flag) => format!("{about}{reason}; use {flag} to allow it"),
        None => format!("{about}{reason}; this cannot be overridden"),
    }
}
