//! What a run found out and did: the one result that every format shows, that `plan --out` saves and `report merge` joins. Its serde is
//! the published shape (`schema/`), and everything that follows from something else in it is computed, never stored.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::account_error::AccountError;
use crate::model::address::{Address, Name};
use crate::model::context::Context;
use crate::model::open_enum::words;
use crate::model::shard::Shard;

use super::Options;
use super::change::{Action, Change, UnlistedResource};
use super::guards::GuardViolation;
use super::matching::matches;
use super::note::Note;
use super::operation::Operation;
use super::target::Glob;

/// A whole run. [`Run::sealed`] is it with its totals and its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub format: Format,
    /// The version of riskform that wrote it.
    pub riskform_version: String,
    /// The API that was asked.
    pub base_url: String,
    /// When it was written; of several that were merged, when the newest was. Not part of the digest.
    pub created_at: Timestamp,
    /// Of several that were merged, when the oldest was written. Not part of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Which part of the fleet it is about; `null` for all of it.
    pub shard: Option<Shard>,
    /// Sorted by source, then by id.
    pub accounts: Vec<AccountPlan>,
}

words! {
    /// What a run was for, and the version of its shape.
    Format {
        /// What would be done.
        Plan = "riskform.plan/2",
        /// How the live accounts differ from their files. Nothing is done about it, so there are no operations and no refusals.
        Drift = "riskform.drift/2",
        /// What was done.
        Apply = "riskform.apply/2",
    }
}

/// One account of a run: how it differs, and what would be done about it in which order. Execution has no choices left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountPlan {
    pub account_id: AccountId,
    pub name: Option<Name>,
    /// The file that declares it.
    pub source: Arc<str>,
    pub status: Status,
    /// Why it could not be handled. Then nothing is known of it, and the lists are empty.
    pub error: Option<AccountError>,
    /// The day, in UTC, that the ends of `ignore_changes` are measured by.
    pub today: Option<Date>,
    /// What the user wanted, beside the files.
    pub options: Option<Options>,
    /// SHA-256 over everything live, unlisted things included.
    pub live_digest: Option<String>,
    /// What the API answered.
    pub live: Option<Arc<LiveAccount>>,
    /// What the files declare.
    pub desired: Option<Arc<DesiredAccount>>,
    /// What surrounds risk scoring in the account.
    pub context: Option<Context>,
    /// What differs: behaviors by key, then listed integrations by name, then unlisted ones by id. In drift, what is weaker stands first.
    pub changes: Vec<Change>,
    /// How many listed things are as declared.
    pub unchanged: Unchanged,
    /// What is live but in no file, and stays.
    pub unlisted: Vec<UnlistedResource>,
    /// What the reader should know that is no change.
    #[serde(serialize_with = "with_messages")]
    #[schemars(with = "Vec<NoteWithMessage<'static>>")]
    pub notes: Vec<Note>,
    /// Changes that `--target` or `--ignore` left out.
    pub left_out: Vec<Address>,
    /// What the guards refuse; a plan with a refusal is shown, never applied.
    pub refusals: Vec<GuardViolation>,
    /// The calls, in their order.
    pub operations: Vec<Operation>,
    /// After an application: what went wrong beside the operations, such as what did not read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
}

words! {
    /// Whether an account could be handled.
    Status {
        /// It could.
        Ok = "ok",
        /// It could not; `error` says why.
        Error = "error",
    }
}

/// How many listed things are as declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unchanged {
    pub behaviors: usize,
    pub integrations: usize,
}

impl Unchanged {
    pub fn total(self) -> usize {
        self.behaviors + self.integrations
    }
}

/// What a glob names in an account.
#[derive(Clone, Debug, PartialEq)]
pub enum GlobMatch {
    /// Something that is listed or live, different or not.
    Matched,
    /// Nothing but the id of an integration that is listed under this address.
    ListedById(Address),
    Nothing,
}

impl Run {
    pub fn new(
        format: Format,
        base_url: String,
        shard: Option<Shard>,
        accounts: Vec<AccountPlan>,
        created_at: Timestamp,
    ) -> Self {
        Run {
            format,
            riskform_version: env!("CARGO_PKG_VERSION").to_owned(),
            base_url,
            created_at,
            oldest: None,
            shard,
            accounts,
        }
    }

    /// The accounts that could be handled.
    pub fn handled(&self) -> impl Iterator<Item = &AccountPlan> {
        self.accounts
            .iter()
            .filter(|account| account.error.is_none())
    }
}

impl AccountPlan {
    /// An account that could not be handled.
    pub fn failed(desired: &DesiredAccount, error: AccountError) -> Self {
        AccountPlan {
            account_id: desired.account_id.clone(),
            name: desired.name.clone(),
            source: Arc::clone(&desired.source),
            status: Status::Error,
            error: Some(error),
            today: None,
            options: None,
            live_digest: None,
            live: None,
            desired: None,
            context: None,
            changes: Vec::new(),
            unchanged: Unchanged::default(),
            unlisted: Vec::new(),
            notes: Vec::new(),
            left_out: Vec::new(),
            refusals: Vec::new(),
            operations: Vec::new(),
            problems: None,
        }
    }

    /// How the account is called in output: its name, else its id.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
        }
    }

    /// What the files declare.
    pub fn desired(&self) -> &Arc<DesiredAccount> {
        self.desired
            .as_ref()
            .expect("a planned account keeps what it was planned from")
    }

    /// What the plan was made from.
    pub fn live(&self) -> &Arc<LiveAccount> {
        self.live
            .as_ref()
            .expect("a planned account keeps what it was planned from")
    }

    /// Says whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Says whether there is something to do that may be done.
    pub fn is_applicable(&self) -> bool {
        !self.changes.is_empty() && self.refusals.is_empty()
    }

    /// Says whether live differs from desired. What is unlisted counts where the file wants it reported.
    pub fn has_drift(&self) -> bool {
        !self.changes.is_empty() || self.reported().next().is_some()
    }

    /// The unlisted things that the file wants reported.
    pub fn reported(&self) -> impl Iterator<Item = &UnlistedResource> {
        self.unlisted.iter().filter(|thing| thing.is_reported())
    }

    /// How many changes have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action() == action)
            .count()
    }

    /// Says what a glob names in the account. A listed integration has one address, and its id is none.
    pub fn named_by(&self, glob: &Glob) -> GlobMatch {
        let names = |address: &Address| glob.matches(self.label(), address);
        if self.addresses().iter().any(names) {
            return GlobMatch::Matched;
        }
        let (Some(desired), Some(live)) = (&self.desired, &self.live) else {
            return GlobMatch::Nothing;
        };
        let Ok(found) = matches(desired, live) else {
            return GlobMatch::Nothing;
        };
        let by_id = found.entries().iter().find(|entry| {
            let id = entry.found.map(|(live, _)| live.id);
            id.is_some_and(|id| names(&Address::UnlistedIntegration(id)))
        });
        by_id.map_or(GlobMatch::Nothing, |entry| {
            GlobMatch::ListedById(entry.address())
        })
    }

    /// Everything in the account that has an address: behaviors that are offered, entries, and what is unlisted.
    pub fn addresses(&self) -> Vec<Address> {
        let desired = self.desired.iter();
        let live = self.live.iter();
        let offered = live.clone().flat_map(|live| live.behaviors.keys());
        let entries = desired.flat_map(|desired| desired.integrations.keys());
        let changed = self.changes.iter().map(Change::address);
        let unlisted = self.unlisted.iter().map(|thing| &thing.address);
        offered
            .map(|key| Address::Behavior(key.clone()))
            .chain(entries.map(|name| Address::Integration(name.clone())))
            .chain(changed.chain(unlisted).chain(&self.left_out).cloned())
            .collect()
    }
}

/// A note with its sentence.
#[derive(Serialize, JsonSchema)]
pub struct NoteWithMessage<'a> {
    #[serde(flatten)]
    note: &'a Note,
    /// The same as a sentence.
    message: String,
}

impl Note {
    pub fn with_message(&self) -> NoteWithMessage<'_> {
        NoteWithMessage {
            note: self,
            message: self.to_string(),
        }
    }
}

fn with_messages<S: Serializer>(notes: &[Note], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(notes.iter().map(Note::with_message))
}
