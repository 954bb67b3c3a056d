//! Applies a plan in three waves and emits events.
//!
//! [`apply`] sends the plan's operations as soon as their dependencies are done, skips those with a failed dependency, and finally verifies
//! the account. All writes go through [`write_sender`]. The plan decides the changes. Only [`create`] makes further decisions, to create an
//! integration exactly once.

mod behaviors;
mod create;
mod event;
mod reset;
mod result;
mod verify;
mod write_sender;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::civil::Date;

use crate::api::{ApiError, Reader, SendPermit, Writer};
use crate::model::account::AccountId;
use crate::model::address::Address;
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings, TenantUrl};
use crate::plan::{
    AccountPlan, Action, IntegrationTarget, Note, Operation, OperationId, OperationKind, Options,
    Wave,
};

use event::ObserverAdapter;
use write_sender::{WriteOutcome, WriteSender};

pub use event::{ApplyEvent, ApplyObserver};
pub use reset::{ResetEvent, ResetObserver, ResetResult, reset};
pub use result::{
    ApplyResult, Duplicate, FailedReplacement, Made, OperationError, OperationReport, Outcome,
    SkipReason, Verification,
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
    let run = ApplyRun {
        plan,
        reader: context.reader,
        attempts: WriteSender::new(context.writer, ObserverAdapter(observe)),
        ids_before: RefCell::new(Ok(BTreeSet::new())),
        created: RefCell::default(),
        removed_duplicates: RefCell::default(),
        notes: RefCell::default(),
    };
    let mut ends = Outcomes::new();
    tokio::join!(
        run.wave(Wave::Behaviors, &mut ends),
        run.record_existing_ids()
    );
    run.wave(Wave::Integrations, &mut ends).await;
    let mut executed: Vec<OperationReport> = plan
        .operations
        .iter()
        .filter_map(|operation| Some(run.executed(operation.id, ends.remove(&operation.id)?)))
        .collect();
    let twins = create::resolve_duplicates(&run, &mut executed).await;
    let mut ends: Outcomes = executed
        .into_iter()
        .map(|executed| (executed.operation, executed.outcome))
        .collect();
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
        lost: Vec::new(),
        read_back: Verification::Skipped,
    };
    applied.lost = failed_replacements(plan, &applied);
    applied.read_back = verify::verify(&run, context, &applied.completed_addresses(plan)).await;
    applied
}

/// Outcomes of the finished operations.
type Outcomes = BTreeMap<OperationId, Outcome>;

/// State of a running apply, shared by its concurrent operations. No borrow is held across an await.
struct ApplyRun<'a, 'o> {
    plan: &'a AccountPlan,
    reader: &'a Reader,
    attempts: WriteSender<'a, ObserverAdapter<'a, 'o>>,
    /// IDs of the integrations that existed before the second wave, if it creates any. A lost create cannot have created these.
    ids_before: RefCell<Result<BTreeSet<IntegrationId>, ApiError>>,
    /// Created integrations, as last written.
    created: RefCell<BTreeMap<OperationId, create::Created>>,
    /// Own integrations deleted as duplicates. A lagging list may still contain them.
    removed_duplicates: RefCell<BTreeSet<IntegrationId>>,
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
        let (account, addresses) = (self.account(), self.addresses(operation));
        let sent = self
            .attempts
            .send(
                write(operation, &addresses, WriteKind::Update, Some(id)),
                async |writer: &Writer, leave: SendPermit<'_>| {
                    let answer = writer
                        .update_integration(leave, account, id, &settings)
                        .await?;
                    Ok(answer.map(drop))
                },
            )
            .await;
        if let (WriteOutcome::Done(()), IntegrationTarget::CreatedBy(creation)) = (&sent, subject)
            && let Some(created) = self.created.borrow_mut().get_mut(&creation)
        {
            created.sent.active = settings.active;
        }
        sent
    }

    async fn delete(&self, operation: &Operation, id: IntegrationId) -> WriteOutcome<()> {
        let (account, addresses) = (self.account(), self.addresses(operation));
        self.attempts
            .send(
                write(operation, &addresses, WriteKind::Delete, Some(id)),
                async |writer: &Writer, leave: SendPermit<'_>| {
                    writer.delete_integration(leave, account, id).await
                },
            )
            .await
    }

    /// Lists the existing integrations before the first create.
    async fn record_existing_ids(&self) {
        let is_create =
            |operation: &Operation| matches!(operation.call, OperationKind::Create { .. });
        if !self.plan.operations.iter().any(is_create) {
            return;
        }
        let known = self.list().await.map(|list| {
            let planned = self.plan.live().integrations.iter().map(|live| live.id);
            list.iter().map(|live| live.id).chain(planned).collect()
        });
        *self.ids_before.borrow_mut() = known;
    }

    async fn list(&self) -> Result<Vec<Integration>, ApiError> {
        let answer = self.reader.integrations(self.account()).await?;
        Ok(answer.value)
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
            attempts: record.sent,
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
