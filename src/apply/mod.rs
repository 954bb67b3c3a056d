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
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::civil::Date;
use tokio::time::Instant;

use crate::api::{Reader, Writer};
use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::context::Context;
use crate::model::field::{Field, Fields};
use crate::model::integration::{IntegrationId, TenantUrl};
use crate::plan::{
    AccountPlan, IntegrationTarget, Note, Operation, OperationId, OperationKind, Options, Wave,
    plan,
};

use create::Created;
use live::{LastReads, Written};
use result::describe_settings;
use write_sender::{ReadAge, WriteSender};

pub use reset::reset;
pub use result::{ApplyResult, OperationError, OperationReport, Outcome, ResetResult, SkipReason};
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

/// Applies one account's plan. `observe` is called before each write; if it fails, no more writes are sent.
pub async fn apply(
    plan: &AccountPlan,
    context: &ApplyContext<'_>,
    observe: &mut ApplyObserver<'_>,
) -> ApplyResult {
    let at = Instant::now();
    let live = context.reader.live_account(&plan.account_id).await;
    let error = live.as_ref().err().cloned();
    let live = live.unwrap_or_else(|_| LiveAccount::new(BTreeMap::new(), Vec::new()));
    let mut planned = plan.live().integrations.iter();
    let keeps_references = planned.any(|live| live.fields.reference_id().is_some());
    let run = ApplyRun {
        plan,
        context,
        reads: LastReads::new(at, live),
        written: RefCell::default(),
        sender: WriteSender::new(context.writer, &plan.account_id, keeps_references, observe),
        created: RefCell::default(),
        deleted: RefCell::default(),
        notes: RefCell::default(),
    };
    let mut outcomes = Outcomes::new();
    let mut problems = Vec::new();
    match error {
        Some(error) => {
            for operation in &plan.operations {
                run.finish(operation, error.clone().into(), &mut outcomes);
            }
        }
        None => {
            run.wave(Wave::Behaviors, &mut outcomes).await;
            run.wave(Wave::Integrations, &mut outcomes).await;
            problems = duplicates::resolve_duplicates(&run, &mut outcomes).await;
            let mut operations = plan.operations.iter();
            if operations.any(|operation| operation.wave == Wave::Cleanup)
                && run.sender.blocked_by().is_none()
            {
                run.check_cleanup().await;
            }
            run.wave(Wave::Cleanup, &mut outcomes).await;
        }
    }
    let operations = plan.operations.iter().map(|operation| {
        let outcome = outcomes
            .remove(&operation.id)
            .expect("every operation belongs to one of the three waves");
        run.sender.report(operation.id, outcome)
    });
    let operations: Vec<OperationReport> = operations.collect();
    let completed = result::completed_addresses(plan, &operations);
    problems.splice(..0, deleted_in_vain(plan, &operations));
    problems.extend(verify::verify(&run, &completed).await);
    ApplyResult {
        operations,
        notes: run.notes.take(),
        problems,
    }
}

/// Outcomes of the finished operations.
type Outcomes = BTreeMap<OperationId, Outcome>;

/// State of a running apply, shared by its concurrent operations. No borrow is held across an await.
struct ApplyRun<'a, 'o> {
    plan: &'a AccountPlan,
    context: &'a ApplyContext<'a>,
    reads: LastReads,
    /// Settings that this run wrote, by integration.
    written: RefCell<BTreeMap<IntegrationId, Written>>,
    sender: WriteSender<'a, 'o>,
    /// Created integrations, as last written.
    created: RefCell<BTreeMap<Address, Created<'a>>>,
    /// Integrations that this run deleted. A lagging list may still contain them.
    deleted: RefCell<BTreeSet<IntegrationId>>,
    notes: RefCell<Vec<Note>>,
}

impl<'a> ApplyRun<'a, '_> {
    fn account(&self) -> &'a AccountId {
        &self.plan.account_id
    }

    /// Returns the IDs of the integrations that existed at plan time, or that this run created or deleted.
    fn known(&self) -> BTreeSet<IntegrationId> {
        let planned = self.plan.live().integrations.iter().map(|live| live.id);
        let (created, deleted) = (self.created.borrow(), self.deleted.borrow());
        let created = created.values().map(|created| created.integration.id);
        planned
            .chain(created)
            .chain(deleted.iter().copied())
            .collect()
    }

    /// Runs the operations of one wave, each as soon as its dependencies are done.
    async fn wave(&self, wave: Wave, outcomes: &mut Outcomes) {
        let operations = self.plan.operations.iter();
        let mut waiting: Vec<&'a Operation> = operations.filter(|one| one.wave == wave).collect();
        let mut under_way = FuturesUnordered::new();
        // Creates for one tenant run sequentially: after two lost responses, their integrations would be indistinguishable.
        let mut tenants: Vec<&TenantUrl> = Vec::new();
        loop {
            waiting.retain(|operation| {
                let tenant = created_tenant(operation);
                let mut needs = operation.depends_on.iter();
                if under_way.len() == MAX_IN_FLIGHT
                    || !needs.all(|need| outcomes.contains_key(need))
                    || tenant.is_some_and(|tenant| tenants.contains(&tenant))
                {
                    return true;
                }
                match self.obstacle(operation, outcomes) {
                    Some(obstacle) => self.finish(operation, obstacle.into(), outcomes),
                    None => {
                        tenants.extend(tenant);
                        let operation = *operation;
                        under_way.push(async move { (operation, self.execute(operation).await) });
                    }
                }
                false
            });
            match under_way.next().await {
                Some((operation, outcome)) => {
                    let tenant = created_tenant(operation);
                    tenants.retain(|other| Some(*other) != tenant);
                    self.finish(operation, outcome, outcomes);
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
        let mut entries = self.plan.operations.iter();
        self.sender.blocked_by().or_else(|| {
            let undone = entries.find(|other| {
                operation.wave == Wave::Cleanup
                    && other.wave == Wave::Integrations
                    && !is_done(&other.id)
            });
            undone.map(|other| SkipReason::EarlierWave(other.id))
        })
    }

    async fn execute(&self, operation: &'a Operation) -> Outcome {
        self.sender.notify(ApplyEvent::Started { operation });
        let done = match &operation.call {
            // The API has no conditional writes, so the complete map is read before each attempt. Only an external change between that read
            // and the write can be overwritten unnoticed.
            OperationKind::WriteBehaviors { declared, .. } => {
                let write = self.write(operation, WriteKind::WriteBehaviors, None);
                let check = async |age: ReadAge| self.check_behaviors(declared, age).await;
                let sent = self.sender.send_idempotent(write, check).await;
                sent.map(|_| None)
            }
            OperationKind::Create { fields } => {
                create::create(self, operation, fields).await.map(Some)
            }
            OperationKind::Update { subject, fields } => {
                let sent = self.update(operation, *subject, fields.clone()).await;
                sent.map(|()| None)
            }
            OperationKind::Delete { id } => {
                let write = self.write(operation, WriteKind::Delete, Some(*id));
                let check = async |age: ReadAge| self.check_delete(operation, *id, age).await;
                let sent = self.sender.send_idempotent(write, check).await;
                sent.map(|_| {
                    self.deleted.borrow_mut().insert(*id);
                    None
                })
            }
        };
        done.map_or_else(|outcome| outcome, Outcome::Done)
    }

    async fn update(
        &self,
        operation: &Operation,
        subject: IntegrationTarget,
        mut fields: Fields,
    ) -> Result<(), Outcome> {
        let id = match subject {
            IntegrationTarget::Existing(id) => id,
            IntegrationTarget::CreatedBy(_) => {
                let created = self.created.borrow();
                let created = &created[&operation.address];
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
        if let Err(Outcome::Failed(OperationError::Api(error))) = &sent
            && create::may_be_caused_by_body(error)
            && self.sends_generated_reference(operation, id, &fields).await
        {
            let note = Note::created_without_reference(operation.address.clone(), error);
            fields.set(Field::ReferenceId, None);
            sent = self.put(operation, id, &fields).await;
            let mut notes = self.notes.borrow_mut();
            if sent.is_ok() && !notes.contains(&note) {
                notes.push(note);
            }
        }
        sent?;
        if let IntegrationTarget::CreatedBy(_) = subject
            && let Some(created) = self.created.borrow_mut().get_mut(&operation.address)
        {
            let active = fields.get(Field::Active);
            created.sent.set(Field::Active, active.cloned());
        }
        Ok(())
    }

    async fn put(
        &self,
        operation: &Operation,
        id: IntegrationId,
        fields: &Fields,
    ) -> Result<(), Outcome> {
        let write = self.write(operation, WriteKind::Update, Some(id));
        let check = async |age: ReadAge| self.check_update(operation, id, fields, age).await;
        if let Some(written) = self.sender.send_idempotent(write, check).await? {
            self.record_written(id, written.fields);
        }
        Ok(())
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
        let live = list.fields(id);
        let is_unset = live.is_some_and(|live| live.reference_id().is_none());
        let mut others = list.integrations().iter();
        fields.reference_id().is_some()
            && self.uses_generated_reference(operation)
            && is_unset
            && !others.any(|live| live.fields.reference_id() == fields.reference_id())
    }

    /// Returns true if the entry has no `reference_id` and gets a generated one.
    fn uses_generated_reference(&self, operation: &Operation) -> bool {
        self.entry(&operation.address).is_some_and(|entry| {
            entry.fields.reference_id().is_none() && entry.identity_provider.is_none()
        })
    }

    fn write(&self, operation: &Operation, kind: WriteKind, id: Option<IntegrationId>) -> Write {
        let addresses = operation.addresses.iter().map(ToString::to_string);
        Write {
            operation: operation.id,
            addresses: addresses.collect::<Vec<String>>().join(","),
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

    fn finish(&self, operation: &Operation, outcome: Outcome, outcomes: &mut Outcomes) {
        // A failing observer stops the operations that follow.
        self.sender.notify(ApplyEvent::Finished {
            operation,
            outcome: &outcome,
        });
        outcomes.insert(operation.id, outcome);
    }
}

fn created_tenant(operation: &Operation) -> Option<&TenantUrl> {
    match &operation.call {
        OperationKind::Create { fields } => fields.tenant_url(),
        _ => None,
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
