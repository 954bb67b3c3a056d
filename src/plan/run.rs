//! The result of a run: the input of every output format. Its serde representation is the published format (`schema/`). Derived values
//! are computed, not stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::address::{Address, Glob, Name};
use crate::model::audit_log::AuditLog;
use crate::model::context::{AuditLogWindow, Context, Fetched};
use crate::model::evidence::Evidence;
use crate::model::finding::{AccountError, CheckedAccount};
use crate::model::id::IntegrationId;
use crate::model::open_enum::string_enum;

use super::change::{Action, Change, UnlistedResource};
use super::guards::{GuardViolation, unmatched_protected_item};
use super::matching::matches;
use super::note::{Note, NoteKind, PlanError};
use super::operation::{Operation, OperationOutcome};
use super::options::{Options, Purpose};
use super::policies::{PolicyName, policies_for_level, unassigned_levels};

/// Result of a plan, drift or apply run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Run {
    pub format: Format,
    /// Version of riskform that wrote the document.
    pub riskform_version: String,
    /// Base URL of the API.
    pub base_url: String,
    /// Time of writing.
    pub created_at: Timestamp,
    /// Evidence of a drift check, if a format shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Accounts, sorted by source, then by ID.
    pub accounts: Vec<AccountPlan>,
    /// Parts of suggested commands.
    #[serde(skip)]
    pub commands: Commands,
}

/// Parts of suggested commands, quoted for a shell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commands {
    /// The command of this run. `None` if it cannot be repeated with other flags.
    pub repeat: Option<String>,
    /// Its paths and connection flags, with a leading space.
    pub arguments: String,
}

string_enum! {
    /// Name and version of a document format.
    Format {
        /// A plan.
        Plan = "riskform.plan/1",
        /// Differences between live accounts and their files, without operations and guard violations.
        Drift = "riskform.drift/1",
        /// Result of an apply.
        Apply = "riskform.apply/1",
    }
}

/// Changes of one account and the operations that make them. Execution has no choices left.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AccountPlan {
    pub account_id: AccountId,
    pub name: Option<Name>,
    /// File that declares the account.
    pub source: Arc<str>,
    pub status: Status,
    /// Error of the account. If set, the lists are empty.
    pub error: Option<AccountError>,
    /// Date (UTC) used to check the `until` dates of `ignore_changes`.
    #[serde(skip)]
    pub today: Option<Date>,
    /// Options from the command line.
    pub options: Option<Options>,
    /// Live state, as returned by the API.
    #[serde(skip)]
    pub live: Option<Arc<LiveAccount>>,
    /// Desired state, as declared in the files.
    #[serde(skip)]
    pub desired: Option<Arc<DesiredAccount>>,
    /// Access policies, groups and the period of the audit log that was read.
    pub context: Option<Context>,
    /// Entries that are ambiguous or cannot be planned for another reason. Nothing is written to the account; `destroy` skips the entries.
    #[serde(rename = "ambiguous")]
    pub errors: Vec<PlanError>,
    /// Changes: behaviors by key, declared integrations by name, then unlisted ones by ID. In drift, weaker resources come first.
    pub changes: Vec<Change>,
    /// Number of declared resources without changes.
    pub unchanged: Unchanged,
    /// Unlisted resources that are not changed.
    pub unlisted: Vec<UnlistedResource>,
    /// Notes about the plan.
    pub notes: Vec<Note>,
    /// Addresses of changes excluded by `--target` or `--ignore`.
    pub excluded: Vec<Address>,
    /// Guards that block the plan. A blocked plan cannot be applied.
    pub violations: Vec<GuardViolation>,
    /// Operations, in order of execution.
    pub operations: Vec<Operation>,
    /// After an apply: problems besides failed operations, such as failed verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
}

string_enum! {
    /// Status of an account.
    Status {
        /// Processed.
        Ok = "ok",
        /// Planned except for some entries; see `ambiguous`.
        Ambiguous = "ambiguous",
        /// Failed; see `error`.
        Error = "error",
    }
}

/// Number of declared resources without changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Unchanged {
    pub behaviors: usize,
    pub integrations: usize,
}

impl Unchanged {
    pub fn total(self) -> usize {
        self.behaviors + self.integrations
    }
}

/// Result of matching a glob in an account.
#[derive(Clone, Debug, PartialEq)]
pub enum GlobMatch {
    /// The glob matches a declared or live resource, changed or not.
    Matched,
    /// The glob matches only the ID of an integration that is declared under this address.
    ListedById(Address),
    /// Unlisted integrations that `destroy` does not delete, because the glob is not the address of one.
    OnlyUnlisted,
    Nothing,
}

impl Run {
    pub fn new(
        format: Format,
        base_url: String,
        mut accounts: Vec<AccountPlan>,
        created_at: Timestamp,
    ) -> Self {
        merge_unmatched_protected_items(&mut accounts);
        Run {
            format,
            riskform_version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url,
            created_at,
            evidence: None,
            accounts,
            commands: Commands::default(),
        }
    }
}

impl AccountPlan {
    /// An account that could not be handled.
    pub fn failed(desired: &DesiredAccount, error: AccountError) -> Self {
        CheckedAccount::from(desired).failed(error)
    }

    /// Returns the name of the account, else its ID.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
        }
    }

    /// Returns the account for findings.
    pub fn checked_account(&self) -> CheckedAccount {
        CheckedAccount {
            account_id: self.account_id.clone(),
            name: self.name.clone(),
            source: Arc::clone(&self.source),
        }
    }

    /// Returns the desired state, as declared in the files.
    pub fn desired(&self) -> &Arc<DesiredAccount> {
        self.desired
            .as_ref()
            .expect("a planned account keeps what it was planned from")
    }

    /// Returns the live state that the plan was made from.
    pub fn live(&self) -> &Arc<LiveAccount> {
        self.live
            .as_ref()
            .expect("a planned account keeps what it was planned from")
    }

    /// Returns the date and the options that the plan was made with.
    pub fn planned_with(&self) -> (Date, &Options) {
        let inputs = self.today.zip(self.options.as_ref());
        inputs.expect("a planned account keeps what it was planned from")
    }

    /// Returns true if the plan has operations and no guard blocks it.
    pub fn is_applicable(&self) -> bool {
        !self.operations.is_empty() && self.violations.is_empty()
    }

    /// Returns true if live differs from desired. Ambiguous entries count, and unlisted resources if the file wants them reported.
    pub fn has_drift(&self) -> bool {
        !self.changes.is_empty() || !self.errors.is_empty() || self.reported().next().is_some()
    }

    /// The unlisted things that the file wants reported.
    pub fn reported(&self) -> impl Iterator<Item = &UnlistedResource> {
        self.unlisted.iter().filter(|thing| thing.is_reported())
    }

    /// Adds the authors of the differences, from the audit log.
    pub fn attribute(&mut self, log: &AuditLog) {
        let desired = self.desired.clone();
        let entries = desired.iter().flat_map(|desired| &desired.integrations);
        let pinned: BTreeMap<Address, IntegrationId> = entries
            .filter_map(|(name, entry)| Some((Address::Integration(name.clone()), entry.id?)))
            .collect();
        for change in &mut self.changes {
            let pinned = pinned.get(&change.address).copied();
            change.attribute(log, pinned);
        }
        for thing in &mut self.unlisted {
            thing.attribute(log);
        }
        let context = self.context.get_or_insert_default();
        context.audit_log = Fetched::Loaded(AuditLogWindow {
            since: log.since,
            skipped: log.skipped,
        });
    }

    /// Matches a glob against the addresses of the account. A declared integration has no address with its ID.
    pub fn named_by(&self, glob: &Glob) -> GlobMatch {
        let names = |address: &Address| glob.matches(self.label(), address);
        let mut named = self.addresses();
        named.retain(names);
        let options = self.options.as_ref();
        let destroys = options.is_some_and(|options| options.purpose == Purpose::Destroy);
        let is_meant = |address: &Address| {
            let is_unlisted = matches!(address, Address::UnlistedIntegration(_));
            !(destroys && is_unlisted) || glob.is_address(self.label(), address)
        };
        if named.iter().any(is_meant) {
            return GlobMatch::Matched;
        }
        let (Some(desired), Some(live), []) = (&self.desired, &self.live, named.as_slice()) else {
            return match named.is_empty() {
                true => GlobMatch::Nothing,
                false => GlobMatch::OnlyUnlisted,
            };
        };
        let entries = matches(desired, live).entries;
        let by_id = entries.iter().find(|entry| {
            let live = entry.live();
            live.is_some_and(|live| names(&Address::UnlistedIntegration(live.id)))
        });
        by_id.map_or(GlobMatch::Nothing, |entry| {
            GlobMatch::ListedById(entry.address())
        })
    }

    /// Returns all addresses in the account: behaviors, entries, changes and unlisted resources.
    pub fn addresses(&self) -> Vec<Address> {
        let desired = self.desired.iter();
        let live = self.live.iter();
        let offered = live.clone().flat_map(|live| live.behaviors.keys());
        let entries = desired.flat_map(|desired| desired.integrations.keys());
        let changed = self.changes.iter().map(|change| &change.address);
        let unlisted = self.unlisted.iter().map(|thing| &thing.address);
        offered
            .map(|key| Address::Behavior(key.clone()))
            .chain(entries.map(|name| Address::Integration(name.clone())))
            .chain(changed.chain(unlisted).chain(&self.excluded).cloned())
            .collect()
    }
}

impl From<&DesiredAccount> for CheckedAccount {
    fn from(desired: &DesiredAccount) -> Self {
        CheckedAccount {
            account_id: desired.account_id.clone(),
            name: desired.name.clone(),
            source: Arc::clone(&desired.source),
        }
    }
}

impl CheckedAccount {
    /// Returns the result of an account that could not be handled.
    pub(super) fn failed(self, error: AccountError) -> AccountPlan {
        AccountPlan {
            account_id: self.account_id,
            name: self.name,
            source: self.source,
            status: Status::Error,
            error: Some(error),
            today: None,
            options: None,
            live: None,
            desired: None,
            context: None,
            errors: Vec::new(),
            changes: Vec::new(),
            unchanged: Unchanged::default(),
            unlisted: Vec::new(),
            notes: Vec::new(),
            excluded: Vec::new(),
            violations: Vec::new(),
            operations: Vec::new(),
            problems: None,
        }
    }
}

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
}

/// A run with its totals, as written to JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct RunWithTotals<'a> {
    #[serde(flatten)]
    run: &'a Run,
    summary: Totals,
}

impl Run {
    /// Returns the JSON document of the run.
    pub fn document(&self) -> RunWithTotals<'_> {
        RunWithTotals {
            run: self,
            summary: self.totals(),
        }
    }

    /// Returns the totals.
    pub fn totals(&self) -> Totals {
        let accounts = || self.accounts.iter();
        let changes: Vec<&Change> = accounts().flat_map(|account| &account.changes).collect();
        let count = |action| count(&changes, |change| change.action == action);
        Totals {
            create: count(Action::Create),
            update: count(Action::Update),
            replace: count(Action::Replace),
            delete: count(Action::Delete),
            unchanged: accounts().map(|account| account.unchanged.total()).sum(),
            unlisted: accounts().map(|account| account.unlisted.len()).sum(),
            reported: accounts().map(|account| account.reported().count()).sum(),
            weakening: self::count(&changes, |change| change.weakens.is_some()),
            live_weaker: self::count(&changes, |change| change.live_weaker.is_some()),
            ambiguous: accounts().map(|account| account.errors.len()).sum(),
            accounts: self.accounts.len(),
            changed_accounts: self::count(&self.accounts, |account| match self.format {
                Format::Plan | Format::Apply => !account.changes.is_empty(),
                Format::Drift => account.has_drift(),
            }),
            blocked_accounts: self::count(&self.accounts, |one| !one.violations.is_empty()),
            failed_accounts: self::count(&self.accounts, |account| account.error.is_some()),
        }
    }
}

fn count<T>(items: &[T], is_counted: impl Fn(&T) -> bool) -> usize {
    items.iter().filter(|item| is_counted(item)).count()
}

impl Totals {
    /// Returns the number of changes.
    pub fn changes(&self) -> usize {
        self.create + self.update + self.replace + self.delete
    }
}

impl AccountPlan {
    /// Returns the policies that use a level that the plan leaves unassigned.
    pub fn unassigned_policies(&self) -> BTreeSet<PolicyName> {
        let (Some(live), Some(context)) = (&self.live, &self.context) else {
            return BTreeSet::new();
        };
        let Fetched::Loaded(access) = &context.access else {
            return BTreeSet::new();
        };
        let levels = unassigned_levels(live, &self.changes);
        levels
            .iter()
            .flat_map(|level| policies_for_level(level, access).policies)
            .collect()
    }

    /// Returns true if the apply left an operation undone or unknown.
    pub fn is_incomplete(&self) -> bool {
        let problems = self.problems.as_ref();
        let mut outcomes = self.operations.iter().filter_map(Operation::outcome);
        problems.is_some_and(|problems| !problems.is_empty() || !self.errors.is_empty())
            || outcomes.any(|outcome| outcome != OperationOutcome::Done)
    }
}

/// Keeps one warning for each item of `guards.protected`, and only if the item matches nothing in any account that declares it.
fn merge_unmatched_protected_items(accounts: &mut [AccountPlan]) {
    let mut matched: BTreeSet<String> = BTreeSet::new();
    for account in accounts.iter() {
        let desired = account.desired.iter();
        let items = desired.flat_map(|desired| &desired.guards.protected);
        let notes = items.map(unmatched_protected_item);
        let matched_here = notes.filter(|note| !account.notes.contains(note));
        matched.extend(matched_here.map(|note| note.message));
    }
    for account in accounts {
        account.notes.retain(|note| {
            note.kind != NoteKind::UnmatchedProtectedItem || matched.insert(note.message.clone())
        });
    }
}
