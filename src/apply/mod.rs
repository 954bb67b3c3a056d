//! Applies a plan in three waves and emits events.
//!
//! [`apply`] sends the plan's operations as soon as their dependencies are done, skips those with a failed dependency, and finally verifies
//! the account. All writes go through [`write_sender`], after the checks in [`live`]. The plan decides the changes. Only [`create`] makes
//! further decisions, to create an integration exactly once.

mod behaviors;
mod create;
mod event;
mod live;
mod reset;
mod result;
mod verify;
mod write_sender;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::civil::Date;
use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, Reader, SendPermit, Writer};
use crate::model::account::AccountId;
use crate::model::address::Address;
use crate::model::integration::{IntegrationId, IntegrationSettings, TenantUrl};
use crate::plan::{
    AccountPlan, Action, IntegrationTarget, Note, Operation, OperationId, OperationKind, Options,
    Wave,
};

use event::ObserverAdapter;
use live::{LastReads, ReadAge, Written};
use write_sender::{WriteOutcome, WriteSender};

pub use event::{ApplyEvent, ApplyObserver};
pub use reset::{ResetEvent, ResetObserver, ResetResult, reset};
pub use result::{
    ApplyResult, Duplicate, FailedReplacement, Made, OperationError, OperationReport, Outcome,
    SkipReason, UnseenCreate, Verification,
};
pub use write_sender::{Write, WriteKind};

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
        attempts: WriteSender::new(context.writer, ObserverAdapter(observe)),
        created: RefCell::default(),
        deleted: RefCell::default(),
        notes: RefCell::default(),
    };
    let mut ends = Outcomes::new();
    run.wave(Wave::Behaviors, &mut ends).await;
    run.wave(Wave::Integrations, &mut ends).await;
    let mut executed: Vec<OperationReport> = plan
        .operations
        .iter()
        .filter_map(|operation| Some(run.executed(operation.id, ends.remove(&operation.id)?)))
        .collect();
    let (twins, unseen) = create::resolve_duplicates(&run, &mut executed).await;
    let mut ends: Outcomes = executed
        .into_iter()
        .map(|executed| (executed.operation, executed.outcome))
        .collect();
    let deletes_unlisted = |operation: &Operation| operation.wave == Wave::Cleanup;
    if plan.operations.iter().any(deletes_unlisted) && run.attempts.blocked_by().is_none() {
        run.check_cleanup().await;
    }
    run.wave(Wave::Cleanup, &mut ends).await;
    let executed = plan.operations.iter().map(|operation| {
        let outcome = ends
            .remove(&operation.id)
            .expect("every operation belongs to one of the three waves");
        run.executed(operation.id, outcome)
    });
    let mut applied = ApplyResult {
        executed: executed.collect(),
        notes: run.notes.take(),
        twins,
        unseen,
        lost: Vec::new(),
        read_back: Verification::Skipped,
    };
    applied.lost = failed_replacements(plan, &applied);
    applied.read_back = verify::verify(&run, context, &applied.completed_addresses(plan)).await;
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
            trace: error.request_ids().clone(),
        }
    };
    ApplyResult {
        executed: plan.operations.iter().map(report).collect(),
        notes: Vec::new(),
        lost: Vec::new(),
        twins: Vec::new(),
        unseen: Vec::new(),
        read_back: Verification::Skipped,
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
    attempts: WriteSender<'a, ObserverAdapter<'a, 'o>>,
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
    async fn wave(&self, wave: Wave, ends: &mut Outcomes) {
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
                    .all(|need| ends.contains_key(need));
                let tenant = created_tenant(operation);
                if !is_ready || tenant.is_some_and(|tenant| tenants.contains(&tenant)) {
                    held_back.push_back(operation);
                } else if let Some(obstacle) = self.obstacle(operation, ends) {
                    let outcome = Outcome::NotAttempted(obstacle);
                    self.finish(operation, &outcome);
                    ends.insert(operation.id, outcome);
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
                    ends.insert(operation.id, outcome);
                }
                // Dependents of skipped operations are skipped in the next round.
                None if waiting.is_empty() => return,
                None => {}
            }
        }
    }

    fn obstacle(&self, operation: &Operation, ends: &Outcomes) -> Option<SkipReason> {
        let is_done = |id: &OperationId| matches!(ends.get(id), Some(Outcome::Done(_)));
        if let Some(missing) = operation.depends_on.iter().find(|id| !is_done(id)) {
            return Some(SkipReason::Dependency(*missing));
        }
        if let Some(obstacle) = self.attempts.blocked_by() {
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
        self.attempts
            .notify_observer(|observer| (observer.0)(ApplyEvent::Started { operation }));
        let sent = match &operation.call {
            OperationKind::WriteBehaviors { declared, .. } => {
                behaviors::send(self, operation, declared).await
            }
            OperationKind::Create { settings } => {
                return create::create(self, operation, settings).await;
            }
            OperationKind::Update { subject, settings } => {
                self.update(operation, *subject, settings).await
            }
            OperationKind::Delete { id } => self.delete(operation, *id).await,
        };
        sent.into()
    }

    async fn update(
        &self,
        operation: &Operation,
        subject: IntegrationTarget,
        settings: &IntegrationSettings,
    ) -> WriteOutcome<()> {
        let mut settings = settings.clone();
        let id = match subject {
            IntegrationTarget::Existing(id) => id,
            IntegrationTarget::CreatedBy(creation) => {
                let made = self.created.borrow();
                let Some(created) = made.get(&creation) else {
                    return WriteOutcome::Failed(OperationError::NothingCreated(creation));
                };
                if created.sent.reference_id.is_none() {
                    // Created without the planned reference: a PUT without the server's reference would remove it.
                    settings
                        .reference_id
                        .clone_from(&created.integration.settings.reference_id);
                }
                created.integration.id
            }
        };
        let mut sent = self.put(operation, id, &settings).await;
        // The server may reject a generated reference. Retry without it.
        if let WriteOutcome::Failed(OperationError::Api(error)) = &sent
            && create::may_be_caused_by_body(error)
            && self
                .sends_generated_reference(operation, id, &settings)
                .await
        {
            let note = Note::created_without_reference(operation.address.clone(), error);
            settings.reference_id = None;
            sent = self.put(operation, id, &settings).await;
            let mut notes = self.notes.borrow_mut();
            if matches!(sent, WriteOutcome::Done(())) && !notes.contains(&note) {
                notes.push(note);
            }
        }
        if let (WriteOutcome::Done(()), IntegrationTarget::CreatedBy(creation)) = (&sent, subject)
            && let Some(created) = self.created.borrow_mut().get_mut(&creation)
        {
            created.sent.active = settings.active;
        }
        sent
    }

    async fn put(
        &self,
        operation: &Operation,
        id: IntegrationId,
        settings: &IntegrationSettings,
    ) -> WriteOutcome<()> {
        let (account, addresses) = (self.account(), self.addresses(operation));
        let sent = self
            .attempts
            .send_with_precheck(
                write(operation, &addresses, WriteKind::Update, Some(id)),
                async |age: ReadAge| self.check_update(operation, id, settings, age).await,
                async |writer: &Writer, leave: SendPermit<'_>, wanted: IntegrationSettings| {
                    let mismatch = |live: &IntegrationSettings| self.mismatch_text(live, &wanted);
                    let answer = writer
                        .update_integration(leave, account, id, &wanted, mismatch)
                        .await?;
                    Ok(answer.map(|live| live.settings))
                },
            )
            .await;
        sent.map(|settings| self.record_written(id, settings))
    }

    /// Returns true if an update sends a generated reference that no integration has.
    async fn sends_generated_reference(
        &self,
        operation: &Operation,
        id: IntegrationId,
        settings: &IntegrationSettings,
    ) -> bool {
        let Ok(list) = self.list(ReadAge::New).await else {
            return false;
        };
        let unset = list
            .settings(id)
            .is_some_and(|live| live.reference_id.is_none());
        let mut others = list.integrations.iter();
        settings.reference_id.is_some()
            && self.uses_generated_reference(operation)
            && unset
            && !others.any(|live| live.settings.reference_id == settings.reference_id)
    }

    async fn delete(&self, operation: &Operation, id: IntegrationId) -> WriteOutcome<()> {
        let (account, addresses) = (self.account(), self.addresses(operation));
        let sent = self
            .attempts
            .send_with_precheck(
                write(operation, &addresses, WriteKind::Delete, Some(id)),
                async |age: ReadAge| {
                    // The third wave starts with a new read.
                    let age = match operation.wave {
                        Wave::Cleanup => age,
                        Wave::Behaviors | Wave::Integrations => ReadAge::New,
                    };
                    self.check_delete(operation, id, age).await
                },
                async |writer: &Writer, leave: SendPermit<'_>, ()| {
                    writer.delete_integration(leave, account, id).await
                },
            )
            .await;
        if let WriteOutcome::Done(()) = sent {
            self.deleted.borrow_mut().insert(id);
        }
        sent
    }

    /// Returns true if the entry has no `reference_id` and gets a generated one.
    fn uses_generated_reference(&self, operation: &Operation) -> bool {
        match &operation.address {
            Address::Integration(name) => {
                let entry = self.plan.desired().integrations.get(name);
                entry.is_some_and(|entry| {
                    entry.reference_id.is_none() && entry.identity_provider.is_none()
                })
            }
            Address::Behavior(_) | Address::UnlistedIntegration(_) => false,
        }
    }

    fn addresses(&self, operation: &Operation) -> String {
        let addresses: Vec<String> = operation
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        addresses.join(",")
    }

    fn finish(&self, operation: &Operation, outcome: &Outcome) {
        // A failing observer stops the operations that follow.
        self.attempts
            .notify_observer(|observer| (observer.0)(ApplyEvent::Finished { operation, outcome }));
    }

    fn executed(&self, operation: OperationId, outcome: Outcome) -> OperationReport {
        let record = self.attempts.record(operation);
        OperationReport {
            operation,
            attempts: record.sent - record.rate_limited,
            wrote: record.may_have_written || matches!(outcome, Outcome::Unknown(_)),
            outcome,
            trace: record.request_ids,
        }
    }
}

fn write<'w>(
    operation: &Operation,
    addresses: &'w str,
    deed: WriteKind,
    id: Option<IntegrationId>,
) -> Write<'w> {
    Write {
        operation: operation.id,
        addresses,
        deed,
        id,
        attempt: 0,
    }
}

fn created_tenant(operation: &Operation) -> Option<&TenantUrl> {
    match &operation.call {
        OperationKind::Create { settings } => Some(&settings.tenant_url),
        OperationKind::WriteBehaviors { .. }
        | OperationKind::Update { .. }
        | OperationKind::Delete { .. } => None,
    }
}

/// Returns the integrations that were deleted for a replacement that was not created.
fn failed_replacements(plan: &AccountPlan, applied: &ApplyResult) -> Vec<FailedReplacement> {
    let replaced = plan
        .changes
        .iter()
        .filter(|change| change.action() == Action::Replace);
    replaced
        .filter_map(|change| {
            let of_change = |call: fn(&OperationKind) -> bool| {
                plan.operations
                    .iter()
                    .zip(&applied.executed)
                    .find(|(operation, _)| {
                        operation.address == *change.address() && call(&operation.call)
                    })
                    .map(|(_, executed)| &executed.outcome)
            };
            let deleted = of_change(|call| matches!(call, OperationKind::Delete { .. }))?;
            let created = of_change(|call| matches!(call, OperationKind::Create { .. }))?;
            let was_deleted = matches!(deleted, Outcome::Done(_) | Outcome::Unknown(_));
            if !was_deleted || matches!(created, Outcome::Done(_)) {
                return None;
            }
            let id = change.found()?.id;
            let live = plan.live().integrations.iter().find(|live| live.id == id)?;
            Some(FailedReplacement {
                address: change.address().clone(),
                id,
                settings: live.settings.clone(),
            })
        })
        .collect()
}
