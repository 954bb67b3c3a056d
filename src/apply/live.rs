//! Reads of the account during an apply, and the checks of an operation against them right before its write.
//!
//! External changes are not overwritten: a write is based on a read that is at most [`MAX_READ_AGE`] old, and on a new one
//! before a retry.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, WriteRequest};
use crate::model::account::{Declared, LiveAccount};
use crate::model::address::Address;
use crate::model::behavior::{Behavior, BehaviorKey, apply_declared};
use crate::model::field::{Field, Fields};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::text::abbreviate_list;
use crate::plan::{Action, Change, Note, NoteKind, Operation, Origin, PlanError, Wave, matches};

use super::ApplyRun;
use super::result::{Outcome, SkipReason, not_as_applied};
use super::write_sender::{MAX_READ_AGE, Precheck, ReadAge};

/// Time in which a read may not show an earlier write yet.
const MAX_LAG: Duration = Duration::from_secs(5);
/// Delay between two reads of a list that lags.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// One read of the integrations.
pub(super) struct ListRead {
    /// Number of the read within the run.
    number: u64,
    /// Time at which it started.
    at: Instant,
    /// The integrations. The behaviors are those of the first read.
    live: Arc<LiveAccount>,
    matched: OnceCell<Result<BTreeMap<Address, IntegrationId>, SkipReason>>,
    deletes: OnceCell<Result<BTreeSet<IntegrationId>, SkipReason>>,
}

impl ListRead {
    fn new(number: u64, at: Instant, live: LiveAccount) -> Self {
        ListRead {
            number,
            at,
            live: Arc::new(live),
            matched: OnceCell::new(),
            deletes: OnceCell::new(),
        }
    }

    pub(super) fn integrations(&self) -> &[Integration] {
        &self.live.integrations
    }

    pub(super) fn fields(&self, id: IntegrationId) -> Option<&Fields> {
        find(&self.live, id).map(|live| &live.fields)
    }
}

/// The last reads of an account, shared by its concurrent operations.
pub(super) struct LastReads {
    /// Number of reads of the integrations that were started.
    started: Cell<u64>,
    /// The lock is held during a read, so that waiting operations share it.
    list: tokio::sync::Mutex<Rc<ListRead>>,
    /// The behaviors that the run starts with.
    behaviors: (Instant, BTreeMap<BehaviorKey, Behavior>),
}

impl LastReads {
    /// Takes the read that the run starts with.
    pub(super) fn new(at: Instant, live: LiveAccount) -> Self {
        LastReads {
            started: Cell::new(1),
            behaviors: (at, live.behaviors.clone()),
            list: tokio::sync::Mutex::new(Rc::new(ListRead::new(1, at, live))),
        }
    }
}

/// Fields that this run wrote.
pub(super) struct Written {
    fields: Fields,
    /// Number of reads that were started before the write ended.
    reads: u64,
    at: Instant,
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
        let read = self.context.reader.integrations(self.account()).await;
        let integrations = read.inspect_err(|error| self.sender.halt_after(error))?;
        let live = LiveAccount::new(last.live.behaviors.clone(), integrations);
        *last = Rc::new(ListRead::new(number, at, live));
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
        let written = written.get(&id).map(|written| &written.fields);
        let planned = || find(self.plan.live(), id).map(|live| &live.fields);
        written.or_else(planned).cloned()
    }

    /// Returns the current settings of an integration: as read, or as written after that read.
    fn current(&self, id: IntegrationId, list: &ListRead) -> Option<Fields> {
        let written = self.written.borrow();
        let written = written
            .get(&id)
            .filter(|written| list.number <= written.reads);
        let written = written.map(|written| &written.fields);
        written.or_else(|| list.fields(id)).cloned()
    }

    pub(super) fn entry(&self, address: &Address) -> Option<&Declared> {
        match address {
            Address::Integration(name) => self.plan.desired().integrations.get(name),
            Address::Behavior(_) | Address::UnlistedIntegration(_) => None,
        }
    }

    /// Checks the complete map of behaviors, and returns the one to write.
    pub(super) async fn check_behaviors(
        &self,
        declared: &BTreeMap<BehaviorKey, Fields>,
        age: ReadAge,
    ) -> Result<Precheck, Outcome> {
        let (mut at, mut live) = self.reads.behaviors.clone();
        let planned = &self.plan.live().behaviors;
        let started = Instant::now();
        let mut is_new = age == ReadAge::New || at.elapsed() > MAX_READ_AGE;
        loop {
            if is_new {
                at = Instant::now();
                live = self.context.reader.behaviors(self.account()).await?;
            }
            let missing = planned.keys().filter(|key| !live.contains_key(*key));
            let missing: Vec<&str> = missing.map(BehaviorKey::as_str).collect();
            if missing.is_empty() {
                break;
            }
            if is_new && started.elapsed() >= MAX_LAG {
                let missing = missing.join(", ");
                let message = format!("behavior no longer available: {missing}");
                return Err(SkipReason::Changed(message).into());
            }
            is_new = true;
            self.sender.pause(READ_INTERVAL).await?;
        }
        let live = live
            .into_iter()
            .map(|(key, behavior)| (key, behavior.fields));
        let live: BTreeMap<BehaviorKey, Fields> = live.collect();
        refuse(declared.iter().filter_map(|(key, declared)| {
            let (was, is) = (&planned.get(key)?.fields, live.get(key)?);
            external_change(
                &Address::Behavior(key.clone()),
                was,
                is,
                &declared.apply_to(is),
            )
        }))?;
        let wanted = apply_declared(declared, &live);
        Ok(match wanted == live {
            true => Precheck::AlreadyDone(None),
            false => Precheck::Write(WriteRequest::Behaviors(wanted), at),
        })
    }

    /// Checks the integration to overwrite, and returns the settings to write. Waits while a read may not show this run's last write.
    pub(super) async fn check_update(
        &self,
        operation: &Operation,
        id: IntegrationId,
        planned: &Fields,
        mut age: ReadAge,
    ) -> Result<Precheck, Outcome> {
        loop {
            let list = self.list(age).await?;
            let refusal = match self.compare(operation, id, planned, &list) {
                Ok(check) => return Ok(check),
                Err(refusal) => refusal,
            };
            let written = self.written.borrow().get(&id).map(|written| written.at);
            if written.is_none_or(|at| at.elapsed() > MAX_LAG) {
                return Err(refusal.into());
            }
            self.sender.pause(READ_INTERVAL).await?;
            age = ReadAge::New;
        }
    }

    /// Compares the integration to overwrite with its expected settings. Undeclared and ignored fields keep their live values.
    fn compare(
        &self,
        operation: &Operation,
        id: IntegrationId,
        planned: &Fields,
        list: &ListRead,
    ) -> Result<Precheck, SkipReason> {
        let address = &operation.address;
        let (Some(live), Some(was)) = (self.current(id, list), self.expected(id)) else {
            return Err(SkipReason::Changed(format!("{address} was removed")));
        };
        // For an integration that this run creates, `ignore_changes` has no effect.
        let is_new = self.plan.changes.iter().any(|change| {
            change.address == *address && matches!(change.action, Action::Create | Action::Replace)
        });
        let entry = self.entry(address).filter(|_| !is_new);
        let keeps = |field| {
            entry.is_some_and(|entry| {
                entry.lifecycle.ignores(field, self.context.today)
                    || field == Field::ReferenceId
                        && entry.fields.reference_id().is_none()
                        && live.reference_id().is_some()
            })
        };
        let mut wanted = planned.clone();
        for field in [Field::TenantUrl, Field::ReferenceId, Field::Active] {
            if keeps(field) {
                wanted.set(field, live.get(field).cloned());
            }
        }
        refuse(external_change(address, &was, &live, &wanted))?;
        if live != wanted {
            return Ok(Precheck::Write(WriteRequest::Update(id, wanted), list.at));
        }
        self.record_written(id, live);
        Ok(Precheck::AlreadyDone(None))
    }

    /// Checks the integration to delete: it must be as planned, and no entry's unless it was at plan time.
    pub(super) async fn check_delete(
        &self,
        operation: &Operation,
        id: IntegrationId,
        age: ReadAge,
    ) -> Result<Precheck, Outcome> {
        // The third wave starts with a new read.
        let is_cleanup = operation.wave == Wave::Cleanup;
        let list = self
            .list(if is_cleanup { age } else { ReadAge::New })
            .await?;
        let Some(live) = self.current(id, &list) else {
            return Ok(Precheck::AlreadyDone(None));
        };
        let address = &operation.address;
        let was = self.expected(id).unwrap_or_else(|| live.clone());
        refuse(external_change(address, &was, &live, &was))?;
        if let Address::UnlistedIntegration(_) = address {
            let is_unlisted = match is_cleanup {
                true => self.deletes(&list)?.contains(&id),
                false => !self.matched(&list)?.values().any(|matched| *matched == id),
            };
            if !is_unlisted {
                let now = format!("{address} now belongs to an entry");
                return Err(SkipReason::Changed(now).into());
            }
        }
        Ok(Precheck::Write(WriteRequest::Delete(id), list.at))
    }

    /// Checks that the entry to create still matches nothing. An integration that equals the new one is taken as the result.
    pub(super) fn check_create(
        &self,
        operation: &Operation,
        fields: &Fields,
        list: &ListRead,
    ) -> Result<Precheck, SkipReason> {
        let address = &operation.address;
        let mut changes = self.plan.changes.iter();
        let replaced = changes.find(|change| change.address == *address);
        let replaced = replaced.and_then(|change| change.origin.integration_id);
        let found = self.matched(list)?.get(address).copied();
        let found = found.filter(|id| replaced != Some(*id));
        let Some(live) = found.and_then(|id| find(&list.live, id)) else {
            let create = WriteRequest::Create(fields.clone());
            return Ok(Precheck::Write(create, list.at));
        };
        let entry = self.entry(address);
        let may_be_inactive = entry.is_some_and(|entry| !entry.is_active());
        let is_active = live.fields.is_on(Field::Active) || may_be_inactive;
        if !live.fields.is_duplicate_of(fields) || !is_active {
            let after = Some(&live.fields);
            refuse(Change::between(
                address.clone(),
                None,
                after,
                Origin::default(),
            ))?;
        }
        Ok(Precheck::AlreadyDone(Some(live.clone())))
    }

    /// Returns the integration of each entry.
    fn matched<'l>(
        &self,
        list: &'l ListRead,
    ) -> Result<&'l BTreeMap<Address, IntegrationId>, SkipReason> {
        let matched = list.matched.get_or_init(|| {
            let found = matches(self.plan.desired(), &list.live);
            self.refuse_errors(&found.errors, SkipReason::Changed)?;
            let entries = found.entries.iter();
            let entries = entries.filter_map(|entry| Some((entry.address(), entry.live()?.id)));
            Ok(entries.collect())
        });
        matched.as_ref().map_err(Clone::clone)
    }

    /// Fails if an entry is ambiguous or in conflict that was not at plan time. `destroy` skips entries that were.
    fn refuse_errors(
        &self,
        errors: &[PlanError],
        reason: fn(String) -> SkipReason,
    ) -> Result<(), SkipReason> {
        let planned = self.plan.errors.iter().map(|error| &error.address);
        let planned: Vec<&Address> = planned.collect();
        let new = errors
            .iter()
            .filter(|error| !planned.contains(&&error.address));
        let new: Vec<String> = new.map(ToString::to_string).collect();
        match new.is_empty() {
            true => Ok(()),
            false => Err(reason(new.join("; "))),
        }
    }

    /// Plans again and returns the unlisted integrations to delete, unless anything else of integrations is left to do.
    fn deletes<'l>(&self, list: &'l ListRead) -> Result<&'l BTreeSet<IntegrationId>, SkipReason> {
        let deletes = list.deletes.get_or_init(|| {
            let again = self.plan_again(self.plan.desired(), &list.live);
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

    /// Lists and matches again before unlisted integrations are deleted, until all other changes to integrations are done.
    pub(super) async fn check_cleanup(&self) {
        let started = Instant::now();
        // A failed read is reported by the operations, which read again.
        while let Ok(list) = self.list(ReadAge::New).await {
            if let Ok(deletes) = self.deletes(&list) {
                let planned = self.plan.changes.iter();
                let planned = planned.filter_map(|change| change.origin.integration_id);
                let planned: BTreeSet<IntegrationId> = planned.collect();
                let mut new = deletes.difference(&planned).copied().peekable();
                if new.peek().is_some() {
                    let new = abbreviate_list(new);
                    let message =
                        format!("not deleted, because unlisted only since the plan: {new}");
                    let note = Note::general(NoteKind::BecameUnlisted, message);
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

fn find(live: &LiveAccount, id: IntegrationId) -> Option<&Integration> {
    live.integrations.iter().find(|live| live.id == id)
}

/// Returns the change of the fields whose value is not the value at plan time and not the new value.
fn external_change(
    address: &Address,
    was: &Fields,
    is: &Fields,
    wanted: &Fields,
) -> Option<Change> {
    let mut change = Change::between(address.clone(), Some(was), Some(is), Origin::default())?;
    let fields = &mut change.fields;
    fields.retain(|change| is.get(change.field) != wanted.get(change.field));
    (!change.fields.is_empty()).then_some(change)
}

fn refuse(changes: impl IntoIterator<Item = Change>) -> Result<(), SkipReason> {
    let changes = changes.into_iter().map(|change| change.to_string());
    let changes: Vec<String> = changes.collect();
    match changes.is_empty() {
        true => Ok(()),
        false => Err(SkipReason::Changed(changes.join("; "))),
    }
}
