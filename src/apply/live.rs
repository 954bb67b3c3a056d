//! Reads of the account during an apply, and the checks of an operation against them right before its write.
//!
//! Nothing is overwritten unseen: a write is based on a read that is at most [`MAX_READ_AGE`] old, and on a new one before a repetition.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::ApiError;
use crate::model::account::{Declared, LiveAccount};
use crate::model::address::{Address, Name};
use crate::model::behavior::{BehaviorKey, apply_declared};
use crate::model::field::{Field, Fields, Kind};
use crate::model::integration::{Integration, IntegrationId};
use crate::plan::{
    Action, Change, FieldChange, Note, Operation, Origin, PlanError, field_changes, matches,
};

use super::ApplyRun;
use super::result::{SkipReason, not_as_applied};
use super::write_sender::{Precheck, Refusal};

/// Maximum age of the read that a write is based on.
pub(super) const MAX_READ_AGE: Duration = Duration::from_secs(10);
/// Time in which a read may not show an earlier write yet.
const MAX_LAG: Duration = Duration::from_secs(5);
/// Delay between two reads of a list that lags.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// Required age of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadAge {
    /// At most [`MAX_READ_AGE`].
    Recent,
    /// Started after the call.
    New,
}

/// One read of the integrations.
pub(super) struct ListRead {
    /// Number of the read within the run.
    number: u64,
    /// Time at which it started.
    at: Instant,
    pub(super) integrations: Vec<Integration>,
    matched: OnceCell<Result<Matched, SkipReason>>,
    deletes: OnceCell<Result<BTreeSet<IntegrationId>, SkipReason>>,
}

/// Matches of a read.
struct Matched {
    entries: BTreeMap<Name, IntegrationId>,
    unlisted: BTreeSet<IntegrationId>,
}

impl ListRead {
    fn new(number: u64, at: Instant, integrations: Vec<Integration>) -> Self {
        ListRead {
            number,
            at,
            integrations,
            matched: OnceCell::new(),
            deletes: OnceCell::new(),
        }
    }

    pub(super) fn fields(&self, id: IntegrationId) -> Option<&Fields> {
        let mut integrations = self.integrations.iter();
        let live = integrations.find(|live| live.id == id)?;
        Some(&live.fields)
    }
}

/// The last reads of an account, shared by its concurrent operations.
pub(super) struct LastReads {
    /// Number of reads of the integrations that were started.
    started: std::cell::Cell<u64>,
    /// The lock is held during a read, so that waiting operations share it.
    list: tokio::sync::Mutex<Rc<ListRead>>,
    behaviors: (Instant, BTreeMap<BehaviorKey, Fields>),
}

/// Fields that this run wrote.
pub(super) struct Written {
    fields: Fields,
    /// Number of reads that were started before the write ended.
    reads: u64,
    at: Instant,
}

impl LastReads {
    /// Takes the read that the run starts with.
    pub(super) fn new(at: Instant, live: LiveAccount) -> Self {
        let behaviors = fields_of(live.behaviors);
        LastReads {
            started: std::cell::Cell::new(1),
            list: tokio::sync::Mutex::new(Rc::new(ListRead::new(1, at, live.integrations))),
            behaviors: (at, behaviors),
        }
    }
}

fn fields_of(
    behaviors: BTreeMap<BehaviorKey, crate::model::behavior::Behavior>,
) -> BTreeMap<BehaviorKey, Fields> {
    let behaviors = behaviors.into_iter();
    behaviors
        .map(|(key, behavior)| (key, behavior.fields))
        .collect()
}

impl ApplyRun<'_, '_> {
    /// Returns the integrations. Operations that need a new read at the same time share one.
    pub(super) async fn list(&self, age: ReadAge) -> Result<Rc<ListRead>, ApiError> {
        let before = self.reads.started.get();
        let mut last = self.reads.list.lock().await;
        let is_new = last.number > before;
        if is_new || age == ReadAge::Recent && last.at.elapsed() <= MAX_READ_AGE {
            return Ok(Rc::clone(&last));
        }
        let (number, at) = (self.reads.started.get() + 1, Instant::now());
        self.reads.started.set(number);
        let read = self.reader.integrations(self.account()).await;
        let integrations = read.inspect_err(|error| self.sender.halt_after(error))?;
        *last = Rc::new(ListRead::new(number, at, integrations));
        Ok(Rc::clone(&last))
    }

    /// Records fields that this run wrote or found as it would have written them.
    pub(super) fn record_written(&self, id: IntegrationId, fields: Fields) {
        let written = Written {
            fields,
            reads: self.reads.started.get(),
            at: Instant::now(),
        };
        self.written.borrow_mut().insert(id, written);
    }

    /// Returns the settings that an integration had at plan time, or that this run gave it since.
    fn expected(&self, id: IntegrationId) -> Option<Fields> {
        let written = self.written.borrow();
        let planned = self.plan.live().integrations.iter();
        written
            .get(&id)
            .map(|written| written.fields.clone())
            .or_else(|| Some(planned.clone().find(|live| live.id == id)?.fields.clone()))
    }

    /// Returns true if a read may not show this run's last write of an integration yet.
    fn may_lag(&self, id: IntegrationId) -> bool {
        let written = self.written.borrow();
        written
            .get(&id)
            .is_some_and(|written| written.at.elapsed() <= MAX_LAG)
    }

    /// Returns the current settings of an integration: as read, or as written after that read.
    fn current(&self, id: IntegrationId, list: &ListRead) -> Option<Fields> {
        let written = self.written.borrow();
        match written.get(&id) {
            Some(written) if list.number <= written.reads => Some(written.fields.clone()),
            _ => list.fields(id).cloned(),
        }
    }

    /// Returns the fields in which live settings differ from those sent. A reference is not compared if none was sent, or if the server
    /// keeps none.
    pub(super) fn mismatch(&self, live: &Fields, sent: &Fields) -> Vec<FieldChange> {
        let keeps_references = || {
            let mut planned = self.plan.live().integrations.iter();
            planned.any(|live| live.fields.reference_id().is_some())
        };
        let mut fields = field_changes(Kind::Integration, Some(live), Some(sent));
        fields.retain(|change| {
            change.field != Field::ReferenceId
                || sent.reference_id().is_some()
                    && (live.reference_id().is_some() || keeps_references())
        });
        fields
    }

    /// Describes how live settings differ from those sent.
    pub(super) fn mismatch_text(&self, live: &Fields, sent: &Fields) -> Option<String> {
        let fields = self.mismatch(live, sent);
        let fields: Vec<String> = fields.iter().map(FieldChange::not_read_back).collect();
        (!fields.is_empty()).then(|| fields.join(", "))
    }

    pub(super) fn entry(&self, address: &Address) -> Option<&Declared> {
        match address {
            Address::Integration(name) => self.plan.desired().integrations.get(name),
            Address::Behavior(_) | Address::UnlistedIntegration(_) => None,
        }
    }

    fn ignores(&self, entry: &Declared, field: Field) -> bool {
        entry.lifecycle.ignores(field, self.context.today)
    }

    /// Checks the complete map of behaviors, and returns the one to write.
    pub(super) async fn check_behaviors(
        &self,
        declared: &BTreeMap<BehaviorKey, Fields>,
        age: ReadAge,
    ) -> Result<Precheck<BTreeMap<BehaviorKey, Fields>>, Refusal> {
        let (mut at, mut live) = self.reads.behaviors.clone();
        let planned = &self.plan.live().behaviors;
        let started = Instant::now();
        let mut is_recent = age == ReadAge::Recent && at.elapsed() <= MAX_READ_AGE;
        loop {
            if !is_recent {
                at = Instant::now();
                live = fields_of(self.reader.behaviors(self.account()).await?);
            }
            let missing: Vec<&BehaviorKey> = planned
                .keys()
                .filter(|key| !live.contains_key(*key))
                .collect();
            if missing.is_empty() {
                break;
            }
            if !is_recent && started.elapsed() >= MAX_LAG {
                let missing: Vec<&str> = missing.into_iter().map(BehaviorKey::as_str).collect();
                return Err(SkipReason::Changed(format!(
                    "behavior no longer available: {}",
                    missing.join(", ")
                ))
                .into());
            }
            is_recent = false;
            self.sender.pause(READ_INTERVAL).await?;
        }
        let mut changes = Vec::new();
        for (key, declared) in declared {
            let (Some(was), Some(is)) = (planned.get(key), live.get(key)) else {
                continue;
            };
            let address = Address::Behavior(key.clone());
            let wanted = declared.apply_to(is);
            changes.extend(external_change(&address, &was.fields, is, &wanted));
        }
        refuse(changes)?;
        let wanted = apply_declared(declared, &live);
        Ok(if wanted == live {
            Precheck::AlreadyDone(None)
        } else {
            Precheck::Write(wanted, at)
        })
    }

    /// Checks the integration to overwrite, and returns the settings to write: undeclared and ignored fields have their live values.
    pub(super) async fn check_update(
        &self,
        operation: &Operation,
        id: IntegrationId,
        planned: &Fields,
        age: ReadAge,
    ) -> Result<Precheck<Fields>, Refusal> {
        let mut age = age;
        loop {
            let list = self.list(age).await?;
            let (live, was) = (self.current(id, &list), self.expected(id));
            let may_lag = self.may_lag(id);
            let (Some(live), Some(was)) = (live, was) else {
                if may_lag {
                    self.sender.pause(READ_INTERVAL).await?;
                    age = ReadAge::New;
                    continue;
                }
                let removed = format!("{} was removed", operation.address);
                return Err(SkipReason::Changed(removed).into());
            };
            let is_create = self.is_replaced_or_created(operation);
            let entry = self.entry(&operation.address).filter(|_| !is_create);
            let ignores = |field| entry.is_some_and(|entry| self.ignores(entry, field));
            let keeps_reference = entry.is_some_and(|entry| entry.fields.reference_id().is_none());
            let mut wanted = planned.clone();
            for field in [Field::TenantUrl, Field::ReferenceId, Field::Active] {
                let keeps = field == Field::ReferenceId && keeps_reference;
                if ignores(field) || keeps && live.reference_id().is_some() {
                    wanted.set(field, live.get(field).cloned());
                }
            }
            let change = external_change(&operation.address, &was, &live, &wanted);
            if change.is_some() && may_lag {
                self.sender.pause(READ_INTERVAL).await?;
                age = ReadAge::New;
                continue;
            }
            refuse(change)?;
            if live != wanted {
                return Ok(Precheck::Write(wanted, list.at));
            }
            self.record_written(id, live);
            return Ok(Precheck::AlreadyDone(None));
        }
    }

    /// Returns true if this run creates the operation's integration, so that `ignore_changes` has no effect.
    fn is_replaced_or_created(&self, operation: &Operation) -> bool {
        let mut changes = self.plan.changes.iter();
        let change = changes.find(|change| change.address == operation.address);
        change.is_some_and(|change| matches!(change.action, Action::Create | Action::Replace))
    }

    /// Checks the integration to delete: it must be as planned, and no entry's unless it was at plan time.
    pub(super) async fn check_delete(
        &self,
        operation: &Operation,
        id: IntegrationId,
        age: ReadAge,
    ) -> Result<Precheck<()>, Refusal> {
        let list = self.list(age).await?;
        let Some(live) = self.current(id, &list) else {
            return Ok(Precheck::AlreadyDone(None));
        };
        let address = &operation.address;
        let was = self.expected(id).unwrap_or_else(|| live.clone());
        refuse(external_change(address, &was, &live, &was))?;
        if let Address::UnlistedIntegration(_) = address {
            let is_unlisted = match operation.wave {
                crate::plan::Wave::Cleanup => self.deletes(&list)?.contains(&id),
                _ => self.matched(&list)?.unlisted.contains(&id),
            };
            if !is_unlisted {
                let now = format!("{address} now belongs to an entry");
                return Err(SkipReason::Changed(now).into());
            }
        }
        Ok(Precheck::Write((), list.at))
    }

    /// Checks that the entry to create still matches nothing. An integration that equals the new one is taken as the result.
    pub(super) async fn check_create(
        &self,
        operation: &Operation,
        fields: &Fields,
        age: ReadAge,
    ) -> Result<(Rc<ListRead>, Precheck<()>), Refusal> {
        let list = self.list(age).await?;
        let Address::Integration(name) = &operation.address else {
            let at = list.at;
            return Ok((list, Precheck::Write((), at)));
        };
        let found = self.matched(&list)?.entries.get(name).copied();
        let planned = self.plan.changes.iter();
        let planned = planned
            .filter(|change| change.address == operation.address)
            .find_map(|change| change.origin.integration_id);
        let found = found.filter(|id| planned.is_none_or(|planned| planned != *id));
        let found = found.and_then(|id| list.integrations.iter().find(|live| live.id == id));
        let check = match found {
            None => Precheck::Write((), list.at),
            Some(live) => {
                let inactive = self
                    .entry(&operation.address)
                    .is_some_and(|entry| !entry.is_active());
                let is_active = live.fields.is_on(Field::Active);
                if !live.fields.is_duplicate_of(fields) || !is_active && !inactive {
                    let (address, after) = (operation.address.clone(), Some(&live.fields));
                    refuse(Change::between(address, None, after, Origin::default()))?;
                }
                Precheck::AlreadyDone(Some(live.clone()))
            }
        };
        Ok((list, check))
    }

    fn matched<'l>(&self, list: &'l ListRead) -> Result<&'l Matched, SkipReason> {
        let matched = list.matched.get_or_init(|| {
            let live = self.live(list);
            let found = matches(self.plan.desired(), &live);
            self.refuse_errors(&found.errors, SkipReason::Changed)?;
            let entries = found.entries.iter();
            Ok(Matched {
                entries: entries
                    .filter_map(|entry| Some((entry.name.clone(), entry.live()?.id)))
                    .collect(),
                unlisted: found.unlisted.iter().map(|live| live.id).collect(),
            })
        });
        matched.as_ref().map_err(Clone::clone)
    }

    /// Fails if an entry is ambiguous or in conflict that was not at plan time. `destroy` skips those that were.
    fn refuse_errors(
        &self,
        errors: &[PlanError],
        reason: fn(String) -> SkipReason,
    ) -> Result<(), SkipReason> {
        let known = |error: &PlanError| {
            let mut planned = self.plan.errors.iter();
            planned.any(|planned| planned.address == error.address)
        };
        let new: Vec<String> = errors
            .iter()
            .filter(|error| !known(error))
            .map(ToString::to_string)
            .collect();
        match new.as_slice() {
            [] => Ok(()),
            new => Err(reason(new.join("; "))),
        }
    }

    fn live(&self, list: &ListRead) -> Arc<LiveAccount> {
        let behaviors = self.plan.live().behaviors.clone();
        Arc::new(LiveAccount::new(behaviors, list.integrations.clone()))
    }

    /// Plans again and returns the unlisted integrations to delete, unless anything else of integrations is left to do.
    fn deletes<'l>(&self, list: &'l ListRead) -> Result<&'l BTreeSet<IntegrationId>, SkipReason> {
        let deletes = list.deletes.get_or_init(|| {
            let (desired, live) = (self.plan.desired(), self.live(list));
            let again = self.plan_again(desired, &live);
            self.refuse_errors(&again.errors, SkipReason::Unsettled)?;
            let mut deletes = BTreeSet::new();
            for change in &again.changes {
                match (&change.address, change.action) {
                    (Address::Behavior(_), _) => {}
                    (Address::UnlistedIntegration(id), Action::Delete) => {
                        deletes.insert(*id);
                    }
                    _ => return Err(SkipReason::Unsettled(not_as_applied(change))),
                }
            }
            Ok(deletes)
        });
        deletes.as_ref().map_err(Clone::clone)
    }

    /// Lists and matches again before unlisted integrations are deleted, until nothing else of integrations is left to do.
    pub(super) async fn check_cleanup(&self) {
        let started = Instant::now();
        loop {
            // A failed read is reported by the operations, which read again.
            let Ok(list) = self.list(ReadAge::New).await else {
                return;
            };
            if let Ok(deletes) = self.deletes(&list) {
                let planned = self
                    .plan
                    .changes
                    .iter()
                    .filter_map(|change| change.origin.integration_id);
                let planned: BTreeSet<IntegrationId> = planned.collect();
                let new: Vec<IntegrationId> = deletes.difference(&planned).copied().collect();
                if !new.is_empty() {
                    let note = Note::became_unlisted(new);
                    self.notes.borrow_mut().push(note);
                }
                return;
            }
            if started.elapsed() >= MAX_LAG || self.sender.pause(READ_INTERVAL).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the change of the fields that have neither their value at plan time nor the wanted one.
fn external_change(
    address: &Address,
    was: &Fields,
    is: &Fields,
    wanted: &Fields,
) -> Option<Change> {
    let mut change = Change::between(address.clone(), Some(was), Some(is), Origin::default())?;
    change
        .fields
        .retain(|change| is.get(change.field) != wanted.get(change.field));
    (!change.fields.is_empty()).then_some(change)
}

fn refuse(changes: impl IntoIterator<Item = Change>) -> Result<(), SkipReason> {
    let changes = changes.into_iter().map(|change| change.to_string());
    match changes.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        changes => Err(SkipReason::Changed(changes.join("; "))),
    }
}
