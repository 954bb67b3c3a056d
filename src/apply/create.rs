//! Creates an integration exactly once, although the API has no idempotency key.
//!
//! If a POST may have been delivered, the integration is looked up for at least [`MIN_LOOKUP_TIME`]. A match that did not exist before the
//! POST is adopted. Otherwise the POST is sent again. [`duplicates`](super::duplicates) handles integrations that
//! another client created since.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind};
use crate::model::field::{Field, Fields};
use crate::model::integration::{Integration, IntegrationId};
use crate::plan::{Note, Operation, OperationResult};

use super::ApplyRun;
use super::result::{OperationError, Outcome, SkipReason};
use super::write_sender::{ApplyEvent, LOOKUP_INTERVAL, MIN_LOOKUP_TIME, ReadAge, WriteKind};

/// Maximum time to retry the lookup if reads fail.
const MAX_LOOKUP_TIME: Duration = Duration::from_secs(30);

/// An integration created or adopted by this run.
#[derive(Clone)]
pub(super) struct Created<'a> {
    pub(super) operation: &'a Operation,
    pub(super) integration: Integration,
    /// Settings last written by this run.
    pub(super) sent: Fields,
    /// True if a 2xx response to this run's POST has the ID, and no earlier list had it. Another client may have created any other
    /// integration, so this run never deletes it.
    pub(super) is_own: bool,
}

impl Created<'_> {
    pub(super) fn result(&self) -> OperationResult {
        OperationResult {
            id: self.integration.id,
            well_known_url: self.integration.well_known_url.clone(),
        }
    }
}

pub(super) async fn create<'a>(
    run: &ApplyRun<'a, '_>,
    operation: &'a Operation,
    settings: &Fields,
) -> Result<OperationResult, Outcome> {
    let create = Create {
        run,
        operation,
        known: RefCell::default(),
        may_exist: Cell::new(false),
    };
    let mut created = create.create_or_find(settings).await;
    // The server may reject a generated reference. Retry without it, and match the integration by its tenant.
    if let Err(Outcome::Failed(OperationError::Api(error))) = &created
        && may_be_caused_by_body(error)
        && run.uses_generated_reference(operation)
        && !create.is_held(settings).await
    {
        created = create.without_reference(settings, &error.clone()).await;
    }
    if let Err(Outcome::Unknown(OperationError::ReferenceMismatch { found, .. })) = &created {
        run.sender.halt(SkipReason::UnknownOrigin(*found));
    }
    let created = created?;
    let result = created.result();
    run.record_written(result.id, created.integration.fields.clone());
    run.created
        .borrow_mut()
        .insert(operation.address.clone(), created);
    Ok(result)
}

/// The create of one integration.
struct Create<'r, 'a, 'o> {
    run: &'r ApplyRun<'a, 'o>,
    operation: &'a Operation,
    /// IDs in the last list before the first POST. The POST cannot have created these.
    known: RefCell<BTreeSet<IntegrationId>>,
    /// True if a POST with an unknown result was sent.
    may_exist: Cell<bool>,
}

impl<'a> Create<'_, 'a, '_> {
    /// Sends the create, looks up the integration after an unknown outcome, and sends it again if it does not exist.
    async fn create_or_find(&self, settings: &Fields) -> Result<Created<'a>, Outcome> {
        let unknown = match self.post(settings).await {
            Err(Outcome::Unknown(unknown)) if unknown.can_be_resolved() => unknown,
            // Another run may have created it.
            Err(Outcome::Failed(OperationError::Api(error))) if may_be_caused_by_body(&error) => {
                return match self.find(settings).await {
                    Ok(Some(Ok(found))) => Ok(found),
                    _ => Err(Outcome::Failed(error.into())),
                };
            }
            sent => return sent,
        };
        match self.poll(&unknown, settings).await {
            Some(Some(found)) => return found,
            // The lookup was long enough to show that the first request created nothing, so one retry is safe.
            Some(None) => {}
            None => return Err(Outcome::Unknown(unknown)),
        }
        self.may_exist.set(true);
        let found = match self.post(settings).await {
            Err(Outcome::NotAttempted(_)) => None,
            // A rejection may mean that the first request did create the integration, but no read has shown it yet.
            Err(Outcome::Failed(_)) => self.find(settings).await.ok().flatten(),
            Err(Outcome::Unknown(again)) if again.can_be_resolved() => {
                self.poll(&again, settings).await.flatten()
            }
            sent => Some(sent),
        };
        found.unwrap_or(Err(Outcome::Unknown(unknown)))
    }

    /// Sends a rejected create again, without its generated reference. Without one, a found integration could be anyone's, so a request
    /// with an unknown outcome is not resolved.
    async fn without_reference(
        &self,
        settings: &Fields,
        rejection: &ApiError,
    ) -> Result<Created<'a>, Outcome> {
        let settings = &settings.clone().with(Field::ReferenceId, None);
        match self.post(settings).await {
            Ok(created) => {
                let address = self.operation.address.clone();
                let note = Note::created_without_reference(address, rejection);
                self.run.notes.borrow_mut().push(note);
                Ok(created)
            }
            Err(Outcome::Unknown(unknown)) if unknown.can_be_resolved() => {
                match self.poll(&unknown, settings).await.flatten() {
                    Some(Ok(found)) => Err(other_reference(&found.integration, settings)),
                    Some(outcome) => outcome,
                    None => Err(Outcome::Unknown(unknown)),
                }
            }
            sent => sent,
        }
    }

    /// Sends the create, unless the integration already exists.
    async fn post(&self, settings: &Fields) -> Result<Created<'a>, Outcome> {
        let Create { run, operation, .. } = self;
        let check = async |age: ReadAge| {
            let list = run.list(age).await?;
            if !self.may_exist.get() {
                let planned = run.plan.live().integrations.iter();
                let listed = planned.chain(list.integrations());
                *self.known.borrow_mut() = listed.map(|live| live.id).collect();
            }
            Ok(run.check_create(operation, settings, &list)?)
        };
        let write = run.write(operation, WriteKind::Create, None);
        let integration = run.sender.send(write, &check).await?;
        let integration = integration.expect("a create has an integration");
        let Some(problem) = self.mismatch(&integration, settings) else {
            let is_new = !self.known.borrow().contains(&integration.id);
            let responded = run.sender.record(operation.id).responded;
            let is_own = is_new && responded == Some(integration.id);
            return Ok(self.created(integration, settings, is_own));
        };
        // After a response that differs from the request, the integration is looked up, and the create is not sent again.
        let failure = OperationError::DifferentResponse(problem);
        let found = self.poll(&failure, settings).await.flatten();
        found.unwrap_or(Err(Outcome::Unknown(failure)))
    }

    fn created(&self, integration: Integration, sent: &Fields, is_own: bool) -> Created<'a> {
        Created {
            operation: self.operation,
            integration,
            sent: sent.clone(),
            is_own,
        }
    }

    /// Describes how a new integration differs from the request, which has no `active`.
    fn mismatch(&self, live: &Integration, sent: &Fields) -> Option<String> {
        let active = live.fields.get(Field::Active).cloned();
        let sent = sent.clone().with(Field::Active, active);
        self.run.sender.mismatch(&live.fields, &sent)
    }

    /// Returns true if another client's new integration has the reference or the tenant, or if that is unknown.
    async fn is_held(&self, settings: &Fields) -> bool {
        let Ok(list) = self.run.list(ReadAge::Recent).await else {
            return true;
        };
        let known = self.run.known();
        let mut new = list
            .integrations()
            .iter()
            .filter(|live| !known.contains(&live.id));
        new.any(|live| {
            live.fields.reference_id() == settings.reference_id()
                || live.fields.tenant_url() == settings.tenant_url()
        })
    }

    /// Polls the account until the integration is found or a late enough list does not contain it; `None` if the reads fail or the run is
    /// canceled.
    async fn poll(
        &self,
        failure: &OperationError,
        settings: &Fields,
    ) -> Option<Option<Result<Created<'a>, Outcome>>> {
        let Create { run, operation, .. } = self;
        // Reads change nothing, so they continue even if the observer fails.
        run.sender
            .notify(ApplyEvent::LookingForCreated { operation, failure });
        let started = Instant::now();
        loop {
            let late_enough = started.elapsed() >= MIN_LOOKUP_TIME;
            match self.find(settings).await {
                Ok(None) if !late_enough => {}
                Ok(found) => return Some(found),
                Err(_) if started.elapsed() >= MAX_LOOKUP_TIME => return None,
                Err(_) => {}
            }
            run.sender.pause(LOOKUP_INTERVAL).await.ok()?;
        }
    }

    /// Lists the account and finds the created integration, which did not exist before the POST. The outcome is unknown if there is one of
    /// the same tenant with another reference.
    async fn find(
        &self,
        settings: &Fields,
    ) -> Result<Option<Result<Created<'a>, Outcome>>, ApiError> {
        let run = self.run;
        let list = run.list(ReadAge::New).await?;
        let (known, others) = (self.known.borrow(), run.known());
        let mut candidates: Vec<&Integration> = list
            .integrations()
            .iter()
            .filter(|live| !known.contains(&live.id) && !others.contains(&live.id))
            .filter(|live| {
                [Field::IntegrationType, Field::TenantUrl]
                    .iter()
                    .all(|field| live.fields.get(*field) == settings.get(*field))
            })
            .collect();
        candidates.sort_by_key(|live| live.creation_order());
        let mut equal = candidates.iter();
        if let Some(found) = equal.find(|live| self.mismatch(live, settings).is_none()) {
            return Ok(Some(Ok(self.created((*found).clone(), settings, false))));
        }
        let other = candidates.first();
        Ok(other.map(|other| Err(other_reference(other, settings))))
    }
}

fn other_reference(found: &Integration, sent: &Fields) -> Outcome {
    Outcome::Unknown(OperationError::ReferenceMismatch {
        found: found.id,
        theirs: found.fields.reference_id().cloned(),
        sent: sent.reference_id().cloned(),
    })
}

/// Returns true if the request body may have caused the rejection, not the credentials or the rate.
pub(super) fn may_be_caused_by_body(error: &ApiError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::UnknownRoute
    )
}
