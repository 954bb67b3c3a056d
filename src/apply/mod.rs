//! Applies a plan in three waves and emits events.
//!
//! [`apply`] sends the plan's operations as soon as their dependencies are done, skips those with a failed dependency, and finally verifies
//! the account. All writes go through [`write_sender`], after the checks in [`live`]. The plan decides the changes. Only [`create`] makes
//! further decisions, to create an integration exactly once.

mod create;
mod duplicates;
mod live;
mod reset;
mod result;
mod verify;
mod write_sender;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::civil::Date;
use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, Reader, SendPermit, Writer};
use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::context::Context;
use crate::model::field::{Field, Fields};
use crate::model::integration::{IntegrationId, TenantUrl};
use crate::plan::{
    AccountPlan, IntegrationTarget, Note, Operation, OperationId, OperationKind, Options, Wave,
    plan,
};

use live::{LastReads, ReadAge, Written};
use result::describe_settings;
use write_sender::WriteSender;

pub use reset::{ResetResult, reset};
pub use result::{ApplyResult, OperationError, OperationReport, Outcome, SkipReason};
pub use write_sender::{ApplyEvent, ApplyObserver, Write, WriteKind};

/// Maximum number of concurrent operations per account.
const MAX_IN_FLIGHT: usize = 10;

/// Input of [`apply`] besides the plan. The writer's client can cancel the run.
pub struct ApplyContext<'a> {
    pub reader: &'a Reader,
    pub writer: &'a Writer,
    /// Options of the plan, used to plan again for verification.
    pub options: &'a Options,
    /// Date of the plan.
    pub today: Date,
}

/// Applies one account's plan. `observe` is called before each write; if it fails, nothing more is sent.
pub async fn apply(
    plan: &AccountPlan,
    context: &ApplyContext<'_>,
    observe: &mut ApplyObserver<'_>,
) -> ApplyResult {
    let at = Instant::now();
    let live = match context.reader.live_account(&plan.account_id).await {
        Ok(live) => live,
        Err(error) => return not_started(plan, &error, observe),
    };
    let run = ApplyRun {
        plan,
        context,
        reader: context.reader,
        reads: LastReads::new(at, live),
        written: RefCell::default(),
        sender: WriteSender::new(context.writer, observe),
        created: RefCell::default(),
        deleted: RefCell::default(),
        notes: RefCell::default(),
    };
    let mut outcomes = Outcomes::new();
    run.wave(Wave::Behaviors, &mut outcomes).await;
    run.wave(Wave::Integrations, &mut outcomes).await;
    let mut problems = duplicates::resolve_duplicates(&run, &mut outcomes).await;
    let mut operations = plan.operations.iter();
    if operations.any(|operation| operation.wave == Wave::Cleanup)
        && run.sender.blocked_by().is_none()
    {
        run.check_cleanup().await;
    }
    run.wave(Wave::Cleanup, &mut outcomes).await;
    let operations = plan.operations.iter().map(|operation| {
        let outcome = outcomes
            .remove(&operation.id)
            .expect("every operation belongs to one of the three waves");
        run.report(operation.id, outcome)
    });
    let mut applied = ApplyResult {
        operations: operations.collect(),
        notes: Vec::new(),
        problems: Vec::new(),
    };
    let mut found = deleted_in_vain(plan, &applied.operations);
    found.append(&mut problems);
    found.extend(verify::verify(&run, &applied.completed_addresses(plan)).await);
    applied.problems = found;
    applied.notes = run.notes.take();
    applied
}

/// Returns the result of a run whose first read failed, so that nothing was sent.
fn not_started(
    plan: &AccountPlan,
    error: &ApiError,
    observe: &mut ApplyObserver<'_>,
) -> ApplyResult {
    let report = |operation: &Operation| {
        let outcome = match error.kind() {
            ErrorKind::Cancelled => Outcome::NotAttempted(SkipReason::Stopped),
            _ => Outcome::Failed(error.clone().into()),
        };
        // Nothing follows that a failing observer could stop.
        let _ = observe(ApplyEvent::Finished {
            operation,
            outcome: &outcome,
        });
        OperationReport {
            operation: operation.id,
            outcome,
            attempts: 0,
            wrote: false,
            request_ids: error.request_ids.clone(),
        }
    };
    ApplyResult {
        operations: plan.operations.iter().map(report).collect(),
        notes: Vec::new(),
        problems: Vec::new(),
    }
}

/// Outcomes of the finished operations.
type Outcomes = BTreeMap<OperationId, Outcome>;

/// State of a running apply, shared by its concurrent operations. No borrow is held across an await.
struct ApplyRun<'a, 'o> {
    plan: &'a AccountPlan,
    context: &'a ApplyContext<'a>,
    reader: &'a Reader,
    reads: LastReads,
    /// Settings that this run wrote, by integration.
    written: RefCell<BTreeMap<IntegrationId, Written>>,
    sender: WriteSender<'a, 'o>,
    /// Created integrations, as last written.
    created: RefCell<BTreeMap<OperationId, create::Created>>,
    /// Integrations that this run deleted. A lagging list may still contain them.
    deleted: RefCell<BTreeSet<IntegrationId>>,
    notes: RefCell<Vec<Note>>,
}

impl<'a> ApplyRun<'a, '_> {
    fn account(&self) -> &'a AccountId {
        &self.plan.account_id
    }

    /// Runs the operations of one wave, each as soon as its dependencies are done.
    async fn wave(&self, wave: Wave, outcomes: &mut Outcomes) {
        let mut waiting: VecDeque<&Operation> = self
            .plan
            .operations
            .iter()
            .filter(|operation| operation.wave == wave)
            .collect();
        let mut under_way = FuturesUnordered::new();
        // Creates for one tenant run sequentially: after two lost responses, their integrations could not be told apart.
        let mut tenants: Vec<&TenantUrl> = Vec::new();
        loop {
            let mut held_back = VecDeque::new();
            while let Some(operation) = waiting.pop_front() {
                if under_way.len() == MAX_IN_FLIGHT {
                    held_back.push_back(operation);
                    break;
                }
                let is_ready = operation
                    .depends_on
                    .iter()
                    .all(|need| outcomes.contains_key(need));
                let tenant = created_tenant(operation);
                if !is_ready || tenant.is_some_and(|tenant| tenants.contains(&tenant)) {
                    held_back.push_back(operation);
                } else if let Some(obstacle) = self.obstacle(operation, outcomes) {
                    let outcome = Outcome::NotAttempted(obstacle);
                    self.finish(operation, &outcome);
                    outcomes.insert(operation.id, outcome);
                } else {
                    tenants.extend(tenant);
                    under_way.push(async move { (operation, self.execute(operation).await) });
                }
            }
            while let Some(operation) = held_back.pop_back() {
                waiting.push_front(operation);
            }
            match under_way.next().await {
                Some((operation, outcome)) => {
                    let tenant = created_tenant(operation);
                    tenants.retain(|other| Some(*other) != tenant);
                    self.finish(operation, &outcome);
                    outcomes.insert(operation.id, outcome);
                }
                // Dependents of skipped operations are skipped in the next round.
                None if waiting.is_empty() => return,
                None => {}
            }
        }
    }

    fn obstacle(&self, operation: &Operation, outcomes: &Outcomes) -> Option<SkipReason> {
        let is_done = |id: &OperationId| matches!(outcomes.get(id), Some(Outcome::Done(_)));
        if let Some(missing) = operation.depends_on.iter().find(|id| !is_done(id)) {
            return Some(SkipReason::Dependency(*missing));
        }
        if let Some(obstacle) = self.sender.blocked_by() {
            return Some(obstacle);
        }
        if operation.wave != Wave::Cleanup {
            return None;
        }
        let mut entries = self.plan.operations.iter();
        entries
            .find(|other| other.wave == Wave::Integrations && !is_done(&other.id))
            .map(|other| SkipReason::EarlierWave(other.id))
    }

    async fn execute(&self, operation: &Operation) -> Outcome {
        self.sender.notify(ApplyEvent::Started { operation });
        match &operation.call {
            OperationKind::WriteBehaviors { declared, .. } => {
                self.write_behaviors(operation, declared).await
            }
            OperationKind::Create { fields } => create::create(self, operation, fields).await,
            OperationKind::Update { subject, fields } => {
                self.update(operation, *subject, fields).await
            }
            OperationKind::Delete { id } => self.delete(operation, *id).await,
        }
    }

    /// Writes all behaviors in one request. The API has no conditional writes, so the complete map is read before each attempt. Only an
    /// external change between that read and the write can be overwritten unnoticed.
    async fn write_behaviors(
        &self,
        operation: &Operation,
        declared: &BTreeMap<BehaviorKey, Fields>,
    ) -> Outcome {
        let addresses = self.addresses(operation);
        let write = self.write(operation, &addresses, WriteKind::WriteBehaviors, None);
        let check = async |age: ReadAge| self.check_behaviors(declared, age).await;
        let call = async |writer: &Writer, permit: SendPermit<'_>, map: BTreeMap<_, _>| {
            let written = writer.write_behaviors(permit, self.account(), &map).await?;
            Ok(written.map(|()| None))
        };
        let sent = self.sender.send_idempotent(write, check, call).await;
        sent.map(|_| None)
    }

    async fn update(
        &self,
        operation: &Operation,
        subject: IntegrationTarget,
        fields: &Fields,
    ) -> Outcome {
        let mut fields = fields.clone();
        let id = match subject {
            IntegrationTarget::Existing(id) => id,
            IntegrationTarget::CreatedBy(creation) => {
                let made = self.created.borrow();
                let Some(created) = made.get(&creation) else {
                    return Outcome::Failed(OperationError::NothingCreated(creation));
                };
                if created.sent.reference_id().is_none() {
                    // Created without the planned reference: a PUT without the server's reference would remove it.
                    let live = created.integration.fields.get(Field::ReferenceId);
                    fields.set(Field::ReferenceId, live.cloned());
                }
                created.integration.id
            }
        };
        let mut sent = self.put(operation, id, &fields).await;
        // The server may reject a generated reference. Retry without it.
        if let Outcome::Failed(OperationError::Api(error)) = &sent
            && create::may_be_caused_by_body(error)
            && self.sends_generated_reference(operation, id, &fields).await
        {
            let note = Note::created_without_reference(operation.address.clone(), error);
            fields.set(Field::ReferenceId, None);
            sent = self.put(operation, id, &fields).await;
            let mut notes = self.notes.borrow_mut();
            if matches!(sent, Outcome::Done(_)) && !notes.contains(&note) {
                notes.push(note);
            }
        }
        if let (Outcome::Done(_), IntegrationTarget::CreatedBy(creation)) = (&sent, subject)
            && let Some(created) = self.created.borrow_mut().get_mut(&creation)
        {
            let active = fields.get(Field::Active);
            created.sent.set(Field::Active, active.cloned());
        }
        sent
    }

    async fn put(&self, operation: &Operation, id: IntegrationId, fields: &Fields) -> Outcome {
        let addresses = self.addresses(operation);
        let write = self.write(operation, &addresses, WriteKind::Update, Some(id));
        let check = async |age: ReadAge| self.check_update(operation, id, fields, age).await;
        let call = async |writer: &Writer, permit: SendPermit<'_>, wanted: Fields| {
            let mismatch = |live: &Fields| self.mismatch_text(live, &wanted);
            let written = writer
                .update_integration(permit, self.account(), id, &wanted, mismatch)
                .await?;
            self.record_written(id, written.value.fields.clone());
            Ok(written.map(Some))
        };
        let sent = self.sender.send_idempotent(write, check, call).await;
        sent.map(|_| None)
    }

    /// Returns true if an update sends a generated reference that no integration has.
    async fn sends_generated_reference(
        &self,
        operation: &Operation,
        id: IntegrationId,
        fields: &Fields,
    ) -> bool {
        let Ok(list) = self.list(ReadAge::New).await else {
            return false;
        };
        let unset = list
            .fields(id)
            .is_some_and(|live| live.reference_id().is_none());
        let mut others = list.integrations.iter();
        fields.reference_id().is_some()
            && self.uses_generated_reference(operation)
            && unset
            && !others.any(|live| live.fields.reference_id() == fields.reference_id())
    }

    async fn delete(&self, operation: &Operation, id: IntegrationId) -> Outcome {
        let addresses = self.addresses(operation);
        let write = self.write(operation, &addresses, WriteKind::Delete, Some(id));
        let check = async |age: ReadAge| {
            // The third wave starts with a new read.
            let age = match operation.wave {
                Wave::Cleanup => age,
                Wave::Behaviors | Wave::Integrations => ReadAge::New,
            };
            self.check_delete(operation, id, age).await
        };
        let call = async |writer: &Writer, permit: SendPermit<'_>, ()| {
            let deleted = writer
                .delete_integration(permit, self.account(), id)
                .await?;
            Ok(deleted.map(|()| None))
        };
        let sent = self.sender.send_idempotent(write, check, call).await;
        sent.map(|_| {
            self.deleted.borrow_mut().insert(id);
            None
        })
    }

    /// Returns true if the entry has no `reference_id` and gets a generated one.
    fn uses_generated_reference(&self, operation: &Operation) -> bool {
        match &operation.address {
            Address::Integration(name) => {
                let entry = self.plan.desired().integrations.get(name);
                entry.is_some_and(|entry| {
                    entry.fields.reference_id().is_none() && entry.identity_provider.is_none()
                })
            }
            Address::Behavior(_) | Address::UnlistedIntegration(_) => false,
        }
    }

    fn addresses(&self, operation: &Operation) -> String {
        let addresses = operation.addresses.iter().map(ToString::to_string);
        addresses.collect::<Vec<String>>().join(",")
    }

    fn write<'w>(
        &self,
        operation: &Operation,
        addresses: &'w str,
        kind: WriteKind,
        id: Option<IntegrationId>,
    ) -> Write<'w> {
        Write {
            operation: operation.id,
            addresses,
            kind,
            id,
            attempt: 0,
        }
    }

    /// Plans again, to compare a later read.
    fn plan_again(&self, desired: &Arc<DesiredAccount>, live: &Arc<LiveAccount>) -> AccountPlan {
        let ApplyContext { options, today, .. } = self.context;
        plan(desired, live, &Context::default(), *today, options)
    }

    fn finish(&self, operation: &Operation, outcome: &Outcome) {
        // A failing observer stops the operations that follow.
        self.sender
            .notify(ApplyEvent::Finished { operation, outcome });
    }

    fn report(&self, operation: OperationId, outcome: Outcome) -> OperationReport {
        let record = self.sender.record(operation);
        OperationReport {
            operation,
            attempts: record.sent - record.rate_limited,
            wrote: record.may_have_written || matches!(outcome, Outcome::Unknown(_)),
            outcome,
            request_ids: record.request_ids,
        }
    }
}

fn created_tenant(operation: &Operation) -> Option<&TenantUrl> {
    match &operation.call {
        OperationKind::Create { fields } => fields.tenant_url(),
        OperationKind::WriteBehaviors { .. }
        | OperationKind::Update { .. }
        | OperationKind::Delete { .. } => None,
    }
}

/// Describes the integrations that were deleted for an operation that then was not done: the create of a replacement, or a write that
/// takes a key of an unlisted integration.
fn deleted_in_vain(plan: &AccountPlan, reports: &[OperationReport]) -> Vec<String> {
    let reports = || plan.operations.iter().zip(reports);
    let lost = reports().filter_map(|(operation, report)| {
        let OperationKind::Delete { id } = operation.call else {
            return None;
        };
        let was_deleted = matches!(report.outcome, Outcome::Done(_) | Outcome::Unknown(_));
        let (taker, _) = reports().find(|(other, report)| {
            other.depends_on.contains(&operation.id) && !report.is_done()
        })?;
        let live = plan.live().integrations.iter().find(|live| live.id == id)?;
        let (address, taker) = (&operation.address, &taker.address);
        let but = match taker == address {
            true => "its replacement was not created".to_owned(),
            false => format!("{taker} was not written, which takes a value from it"),
        };
        let settings = describe_settings(&live.fields);
        was_deleted
            .then(|| format!("{address}: deleted {id}, but {but}. Its settings were: {settings}"))
    });
    lost.collect()
}
