//! Carries a plan out, in its order, and emits events.
//!
//! Whatever is done here was printable beforehand: [`apply`] walks the plan's operations, skips what needs something that failed, and
//! finally reads the account back. The only choices are in [`create`], which sees to it that an integration is created exactly once.
//! What should change is never decided here.

mod behaviors;
mod create;
mod event;
mod outcome;
mod read_back;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::civil::Date;

use crate::api::{Answer, ApiError, Reader, Writer};
use crate::model::account::AccountId;
use crate::model::integration::{Integration, IntegrationId};
use crate::plan::{AccountPlan, Call, Operation, OperationId, Options, Subject};

pub use event::{Deed, Event, Observe};
pub use outcome::{Applied, Done, Executed, Failure, Made, NotAttempted, Outcome, ReadBack, Twin};

/// What an application needs beside the plan.
pub struct Context<'a> {
    /// Reads the account.
    pub reader: &'a Reader,
    /// Writes to it.
    pub writer: &'a Writer,
    /// The options that the plan was made with, so that it can be made again.
    pub options: &'a Options,
    /// The day that the plan was made with.
    pub today: Date,
    /// Set when the user wants no further call to be started.
    pub stop: &'a Stop,
}

/// A wish to stop: the call in flight is finished, no other is started. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Wishes it.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Says whether it is wished.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Carries out one account's plan. `observe` is told of each call before it is sent; where it fails, nothing more is sent.
pub async fn apply(
    plan: &AccountPlan,
    context: &Context<'_>,
    observe: &mut Observe<'_>,
) -> Applied {
    let mut run = Run::new(plan, context, observe);
    let mut executed = Vec::with_capacity(plan.operations.len());
    for operation in &plan.operations {
        let outcome = match run.obstacle(operation) {
            Some(obstacle) => Outcome::NotAttempted(obstacle),
            None => run.execute(operation).await.into(),
        };
        run.settle(operation, &outcome);
        executed.push(Executed {
            operation: operation.id,
            outcome,
        });
    }
    let twins = create::settle_twins(&mut run, &mut executed).await;
    let mut applied = Applied {
        executed,
        twins,
        read_back: ReadBack::NothingToRead,
    };
    applied.read_back = read_back::read_back(&mut run, &applied.settled(plan)).await;
    applied
}

/// One application under way.
struct Run<'a, 'o> {
    plan: &'a AccountPlan,
    context: &'a Context<'a>,
    observe: &'a mut Observe<'o>,
    done: BTreeSet<OperationId>,
    /// What each creation made, as it was last written.
    made: BTreeMap<OperationId, create::Created>,
    /// What it deleted of its own; a lagging list may still show it.
    taken_back: BTreeSet<IntegrationId>,
    /// Set once the observer has failed: what can't be recorded is not done.
    unrecorded: Option<String>,
}

impl<'a, 'o> Run<'a, 'o> {
    fn new(plan: &'a AccountPlan, context: &'a Context<'a>, observe: &'a mut Observe<'o>) -> Self {
        Run {
            plan,
            context,
            observe,
            done: BTreeSet::new(),
            made: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            unrecorded: None,
        }
    }

    fn account(&self) -> &'a AccountId {
        &self.plan.desired().account_id
    }

    fn obstacle(&self, operation: &Operation) -> Option<NotAttempted> {
        if let Some(missing) = operation.needs.iter().find(|id| !self.done.contains(id)) {
            return Some(NotAttempted::Needs(*missing));
        }
        if self.unrecorded.is_some() {
            return Some(NotAttempted::Unrecorded);
        }
        self.context
            .stop
            .is_requested()
            .then_some(NotAttempted::Stopped)
    }

    async fn execute(&mut self, operation: &Operation) -> Result<Done, Failure> {
        (self.observe)(Event::Started { operation }).map_err(|error| self.cannot_record(&error))?;
        match &operation.call {
            Call::WriteBehaviors { declared, .. } => {
                behaviors::write(self, operation, declared).await
            }
            Call::Create { settings } => create::create(self, operation, settings).await,
            Call::Update { subject, settings } => {
                let id = self.id_of(*subject)?;
                self.before(operation, Deed::Update, Some(id))?;
                let answer = self
                    .context
                    .writer
                    .update_integration(self.account(), id, settings)
                    .await;
                let audit_log_id = self.after(operation, Deed::Update, Some(id), answer)?.1;
                if let Subject::MadeBy(creation) = subject
                    && let Some(created) = self.made.get_mut(creation)
                {
                    created.sent = settings.clone();
                }
                Ok(Done {
                    made: None,
                    audit_log_id,
                })
            }
            Call::Delete { id } => {
                self.before(operation, Deed::Delete, Some(*id))?;
                let answer = self
                    .context
                    .writer
                    .delete_integration(self.account(), *id)
                    .await;
                let audit_log_id = self.after(operation, Deed::Delete, Some(*id), answer)?.1;
                Ok(Done {
                    made: None,
                    audit_log_id,
                })
            }
        }
    }

    fn id_of(&self, subject: Subject) -> Result<IntegrationId, Failure> {
        match subject {
            Subject::Live(id) => Ok(id),
            Subject::MadeBy(operation) => self
                .made
                .get(&operation)
                .map(|created| created.integration.id)
                .ok_or(Failure::NothingMade(operation)),
        }
    }

    /// Announces a call; without that, it is not sent.
    fn before(
        &mut self,
        operation: &Operation,
        deed: Deed,
        id: Option<IntegrationId>,
    ) -> Result<(), Failure> {
        let event = Event::Sending {
            operation,
            deed,
            id,
        };
        (self.observe)(event).map_err(|error| self.cannot_record(&error))
    }

    /// Tells how a call ended, and takes its answer apart. A call that was made stays made even where its end can't be recorded; that
    /// stops what would come next.
    fn after<T>(
        &mut self,
        operation: &Operation,
        deed: Deed,
        id: Option<IntegrationId>,
        answer: Result<Answer<T>, ApiError>,
    ) -> Result<(T, Option<String>), ApiError> {
        let outcome = match &answer {
            Ok(answer) => Ok(answer.audit_log_id.as_deref()),
            Err(error) => Err(error),
        };
        let event = Event::Answered {
            operation,
            deed,
            id,
            outcome,
        };
        if let Err(error) = (self.observe)(event) {
            self.cannot_record(&error);
        }
        answer.map(|answer| (answer.value, answer.audit_log_id))
    }

    fn cannot_record(&mut self, error: &anyhow::Error) -> Failure {
        let message = format!("{error:#}");
        self.unrecorded = Some(message.clone());
        Failure::Unrecorded(message)
    }

    fn settle(&mut self, operation: &Operation, outcome: &Outcome) {
        if matches!(outcome, Outcome::Done(_)) {
            self.done.insert(operation.id);
        }
        // The operation is over, so a failing observer has nothing left to prevent but what comes next.
        if let Err(error) = (self.observe)(Event::Finished { operation, outcome }) {
            self.cannot_record(&error);
        }
    }

    /// The integrations that were there before this run, or that it made: nothing that an ambiguous creation could have made.
    fn known(&self) -> BTreeSet<IntegrationId> {
        let before = self.plan.live().integrations.iter().map(|live| live.id);
        let made = self.made.values().map(|created| created.integration.id);
        before
            .chain(made)
            .chain(self.taken_back.iter().copied())
            .collect()
    }

    async fn list(&self) -> Result<Vec<Integration>, ApiError> {
        let answer = self.context.reader.integrations(self.account()).await?;
        Ok(answer.value)
    }
}
