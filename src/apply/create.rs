//! Creates an integration exactly once, although the API has no idempotency key.
//!
//! If a POST may have been delivered, the integration is looked up for at least [`MIN_LOOKUP_TIME`]. A match that did not exist before the
//! POST is adopted. Otherwise the POST is sent again. After the last create, the account is listed until it shows every created
//! integration: if another run or a user created the same integration first, this run deletes the one it created (see
//! [`resolve_duplicates`]).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, SendPermit, Writer};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::plan::{Note, Operation, OperationId};

use super::event::ApplyEvent;
use super::live::ReadAge;
use super::result::{
    Duplicate, Made, OperationError, OperationReport, Outcome, SkipReason, UnseenCreate,
};
use super::write_sender::{
    HasIntegrationId, LOOKUP_INTERVAL, MIN_LOOKUP_TIME, Precheck, WriteKind, WriteOutcome,
    sleep_or_cancel,
};
use super::{ApplyRun, write};

/// Maximum time to retry the lookup if reads fail.
const MAX_LOOKUP_TIME: Duration = Duration::from_secs(30);

/// An integration created or adopted by this run.
#[derive(Clone, Debug)]
pub(super) struct Created {
    pub(super) integration: Integration,
    /// Settings last written by this run.
    pub(super) sent: IntegrationSettings,
    claim: Ownership,
}

/// Evidence that an integration was created by this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// The ID comes from a 2xx response to this run's POST, and no earlier list had it.
    Confirmed,
    /// Found in a list. Another client may have created it, so this run never deletes it.
    Adopted,
}

impl HasIntegrationId for (Integration, Ownership) {
    fn id(&self) -> Option<IntegrationId> {
        Some(self.0.id)
    }
}

pub(super) async fn create(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Outcome {
    let create = Create {
        run,
        operation,
        known: RefCell::default(),
    };
    let end = match create.create_or_find(settings).await {
        // The server may reject a generated reference. Retry without it, and match the integration by its tenant.
        CreateOutcome::Refused(refusal) if run.uses_generated_reference(operation) => {
            create.without_reference(settings, &refusal).await
        }
        end => end,
    };
    match end {
        CreateOutcome::Created(created) => {
            let made = created_integration(&created.integration);
            run.record_written(made.id, created.integration.settings.clone());
            run.created.borrow_mut().insert(operation.id, *created);
            Outcome::Done(Some(made))
        }
        CreateOutcome::Refused(error) => Outcome::Failed(error.into()),
        CreateOutcome::Failed(failure) => Outcome::Failed(failure),
        CreateOutcome::Unknown(failure) => {
            if let OperationError::ReferenceMismatch { found, .. } = &failure {
                run.attempts.halt(SkipReason::UnknownOrigin(*found));
            }
            Outcome::Unknown(failure)
        }
        CreateOutcome::NotSent(why) => Outcome::NotAttempted(why),
    }
}

/// Outcome of a create.
enum CreateOutcome {
    Created(Box<Created>),
    /// Rejected because of the request body. A lookup showed that nothing was created, and that nothing new has its reference or tenant.
    Refused(ApiError),
    Failed(OperationError),
    Unknown(OperationError),
    NotSent(SkipReason),
}

/// The create of one integration.
struct Create<'r, 'a, 'o> {
    run: &'r ApplyRun<'a, 'o>,
    operation: &'r Operation,
    /// IDs in the last list before the first POST. The POST cannot have created these.
    known: RefCell<BTreeSet<IntegrationId>>,
}

/// Whether a POST is the first one of its create.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Post {
    First,
    Second,
}

impl Create<'_, '_, '_> {
    /// Sends the create, looks up the integration after an unknown outcome, and sends it again if it does not exist.
    async fn create_or_find(&self, settings: &IntegrationSettings) -> CreateOutcome {
        let unknown = match self.send(settings, Post::First).await {
            WriteOutcome::Done(answer) => return self.confirmed(answer, settings).await,
            WriteOutcome::NotSent(why) => return CreateOutcome::NotSent(why),
            WriteOutcome::Failed(OperationError::Api(error)) if may_be_caused_by_body(&error) => {
                return match self.find(settings).await {
                    Ok(LookupResult::Ours(found)) => adopt_existing(*found, settings),
                    Ok(LookupResult::Nothing) if !self.is_held(settings).await => {
                        CreateOutcome::Refused(error)
                    }
                    Ok(_) | Err(_) => CreateOutcome::Failed(error.into()),
                };
            }
            WriteOutcome::Failed(failure) => return CreateOutcome::Failed(failure),
            WriteOutcome::Unknown(failure) => failure,
        };
        match self.poll(&unknown, settings).await {
            Some(LookupResult::Ours(found)) => return adopt_existing(*found, settings),
            Some(LookupResult::ReferenceMismatch(failure)) => {
                return CreateOutcome::Unknown(failure);
            }
            // The lookup was long enough to show that the first request created nothing, so one retry is safe.
            Some(LookupResult::Nothing) => {}
            None => return CreateOutcome::Unknown(unknown),
        }
        let found = match self.send(settings, Post::Second).await {
            WriteOutcome::Done(answer) => return self.confirmed(answer, settings).await,
            WriteOutcome::NotSent(_) => None,
            // A rejection may mean that the first request did create the integration, but no read has shown it yet.
            WriteOutcome::Failed(_) => self.find(settings).await.ok(),
            WriteOutcome::Unknown(again) => self.poll(&again, settings).await,
        };
        match found {
            Some(LookupResult::Ours(found)) => adopt_existing(*found, settings),
            Some(LookupResult::ReferenceMismatch(failure)) => CreateOutcome::Unknown(failure),
            Some(LookupResult::Nothing) | None => CreateOutcome::Unknown(unknown),
        }
    }

    /// Sends a rejected create once more, without its generated reference. Without one, a found integration could be anyone's, so a request
    /// with an unknown outcome is not resolved.
    async fn without_reference(
        &self,
        settings: &IntegrationSettings,
        refusal: &ApiError,
    ) -> CreateOutcome {
        let settings = &IntegrationSettings {
            reference_id: None,
            ..settings.clone()
        };
        let unknown = match self.send(settings, Post::First).await {
            WriteOutcome::Done(answer) => {
                let address = self.operation.address.clone();
                let note = Note::created_without_reference(address, refusal);
                self.run.notes.borrow_mut().push(note);
                return self.confirmed(answer, settings).await;
            }
            WriteOutcome::NotSent(why) => return CreateOutcome::NotSent(why),
            WriteOutcome::Failed(failure) => return CreateOutcome::Failed(failure),
            WriteOutcome::Unknown(failure) => failure,
        };
        CreateOutcome::Unknown(match self.poll(&unknown, settings).await {
            Some(LookupResult::Ours(found)) => reference_mismatch(*found, settings),
            Some(LookupResult::ReferenceMismatch(failure)) => failure,
            Some(LookupResult::Nothing) | None => unknown,
        })
    }

    async fn send(
        &self,
        settings: &IntegrationSettings,
        post: Post,
    ) -> WriteOutcome<(Integration, Ownership)> {
        let Create { run, operation, .. } = self;
        let (account, addresses) = (run.account(), run.addresses(operation));
        run.attempts
            .send_checked(
                write(operation, &addresses, WriteKind::Create, None),
                async |age: ReadAge| {
                    let (list, check) = run.check_create(operation, settings, age).await?;
                    if post == Post::First {
                        let planned = run.plan.live().integrations.iter();
                        let listed = list.integrations.iter();
                        *self.known.borrow_mut() =
                            planned.chain(listed).map(|live| live.id).collect();
                    }
                    Ok(match check {
                        Precheck::Write((), at) => Precheck::Write((), at),
                        Precheck::AlreadyDone(live) => {
                            Precheck::AlreadyDone((live, Ownership::Adopted))
                        }
                    })
                },
                async |writer: &Writer, leave: SendPermit<'_>, ()| {
                    let answer = writer.create_integration(leave, account, settings).await?;
                    Ok(answer.map(|integration| (integration, Ownership::Confirmed)))
                },
            )
            .await
    }

    /// Returns the created integration if the response equals the request. Otherwise the result is looked up, and nothing is sent again.
    async fn confirmed(
        &self,
        (integration, claim): (Integration, Ownership),
        settings: &IntegrationSettings,
    ) -> CreateOutcome {
        let Some(problem) = self.mismatch(&integration, settings) else {
            let is_new = !self.known.borrow().contains(&integration.id);
            return CreateOutcome::Created(Box::new(Created {
                integration,
                sent: settings.clone(),
                claim: if is_new { claim } else { Ownership::Adopted },
            }));
        };
        let failure = OperationError::DifferentResponse(problem);
        match self.poll(&failure, settings).await {
            Some(LookupResult::Ours(found)) => adopt_existing(*found, settings),
            Some(LookupResult::ReferenceMismatch(failure)) => CreateOutcome::Unknown(failure),
            Some(LookupResult::Nothing) | None => CreateOutcome::Unknown(failure),
        }
    }

    /// Describes how a new integration differs from the request, which has no `active`.
    fn mismatch(&self, live: &Integration, sent: &IntegrationSettings) -> Option<String> {
        let sent = IntegrationSettings {
            active: live.settings.active,
            ..sent.clone()
        };
        self.run.mismatch_text(&live.settings, &sent)
    }

    /// Returns true if another client's new integration has the reference or the tenant, or if that is unknown.
    async fn is_held(&self, settings: &IntegrationSettings) -> bool {
        let Ok(list) = self.run.list(ReadAge::Recent).await else {
            return true;
        };
        let planned = self.run.plan.live().integrations.iter();
        let created = self.run.created.borrow();
        let created = created.values().map(|created| created.integration.id);
        let known: BTreeSet<IntegrationId> = planned.map(|live| live.id).chain(created).collect();
        let mut new = list
            .integrations
            .iter()
            .filter(|live| !known.contains(&live.id));
        new.any(|live| {
            live.settings.reference_id == settings.reference_id
                || live.settings.tenant_url == settings.tenant_url
        })
    }

    /// Polls the account until the integration is found or a late enough list does not contain it; `None` if reading cannot show it, the
    /// reads fail or the run is canceled.
    async fn poll(
        &self,
        failure: &OperationError,
        settings: &IntegrationSettings,
    ) -> Option<LookupResult> {
        let Create { run, operation, .. } = self;
        if !failure.can_be_resolved() {
            return None;
        }
        // Reads change nothing, so they continue even if the observer fails.
        run.attempts.notify_observer(|observer| {
            (observer.0)(ApplyEvent::LookingForCreated { operation, failure })
        });
        let started = Instant::now();
        loop {
            let late_enough = started.elapsed() >= MIN_LOOKUP_TIME;
            match self.find(settings).await {
                Ok(LookupResult::Nothing) if !late_enough => {}
                Ok(found) => return Some(found),
                Err(_) if started.elapsed() >= MAX_LOOKUP_TIME => return None,
                Err(_) => {}
            }
            sleep_or_cancel(run.attempts.stop(), LOOKUP_INTERVAL)
                .await
                .ok()?;
        }
    }

    /// Lists the account and finds the created integration, which did not exist before the POST.
    async fn find(&self, settings: &IntegrationSettings) -> Result<LookupResult, ApiError> {
        let run = self.run;
        let list = run.list(ReadAge::New).await?;
        let mut candidates: Vec<&Integration> = {
            let (known, deleted) = (self.known.borrow(), run.deleted.borrow());
            let made = run.created.borrow();
            let is_known = |id: &IntegrationId| {
                known.contains(id)
                    || made.values().any(|created| created.integration.id == *id)
                    || deleted.contains(id)
            };
            list.integrations
                .iter()
                .filter(|live| !is_known(&live.id))
                .filter(|live| {
                    live.settings.integration_type == settings.integration_type
                        && live.settings.tenant_url == settings.tenant_url
                })
                .collect()
        };
        candidates.sort_by_key(|live| live.creation_order());
        let mut equal = candidates.iter();
        if let Some(ours) = equal.find(|live| self.mismatch(live, settings).is_none()) {
            return Ok(LookupResult::Ours(Box::new((*ours).clone())));
        }
        Ok(match candidates.first() {
            Some(another) => {
                let another = (*another).clone();
                LookupResult::ReferenceMismatch(reference_mismatch(another, settings))
            }
            None => LookupResult::Nothing,
        })
    }
}

fn reference_mismatch(another: Integration, sent: &IntegrationSettings) -> OperationError {
    OperationError::ReferenceMismatch {
        found: another.id,
        theirs: another.settings.reference_id,
        sent: sent.reference_id.clone(),
    }
}

fn adopt_existing(integration: Integration, settings: &IntegrationSettings) -> CreateOutcome {
    CreateOutcome::Created(Box::new(adopt(integration, settings)))
}

fn adopt(integration: Integration, settings: &IntegrationSettings) -> Created {
    Created {
        integration,
        sent: settings.clone(),
        claim: Ownership::Adopted,
    }
}

fn created_integration(integration: &Integration) -> Made {
    Made {
        id: integration.id,
        well_known_url: integration.well_known_url.clone(),
    }
}

/// Returns true if the request body may have caused the rejection, not the credentials or the rate.
pub(super) fn may_be_caused_by_body(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::UnknownRoute => true,
        ErrorKind::Credentials
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::RateLimited
        | ErrorKind::ServerError { .. }
        | ErrorKind::Cancelled
        | ErrorKind::Transport { .. }
        | ErrorKind::OtherAccount { .. }
        | ErrorKind::UnexpectedResponse { .. } => false,
    }
}

/// Result of looking up a created integration.
enum LookupResult {
    Ours(Box<Integration>),
    /// An integration of the same tenant with a different `reference_id`, of unknown origin.
    ReferenceMismatch(OperationError),
    Nothing,
}

/// Finds duplicates of integrations created by this run, and deletes this run's one if the other is older.
///
/// It deletes only if the ID comes from a 2xx response to this run's POST, the integration still has exactly the settings that were sent,
/// and the older one, read again right before, is as active as declared. Other duplicates are reported, after waiting for the other client
/// to delete its own. A list without a created integration proves nothing and is read again.
pub(super) async fn resolve_duplicates(
    run: &ApplyRun<'_, '_>,
    executed: &mut [OperationReport],
) -> (Vec<Duplicate>, Vec<UnseenCreate>) {
    if run.created.borrow().is_empty() {
        return (Vec::new(), Vec::new());
    }
    let started = Instant::now();
    loop {
        let list = run.list(ReadAge::New).await;
        let list = list.as_ref().map_or(&[][..], |list| &list.integrations);
        let mut twins = Vec::new();
        for (operation, twin, others) in find_duplicates(run, list) {
            let ours = run.created.borrow()[&operation].clone();
            let address = &planned_operation(run, operation).address;
            let elder = twin.creation_order() < ours.integration.creation_order();
            if !elder || !delete_own_duplicate(run, operation, &ours, &twin, executed).await {
                twins.push(Duplicate {
                    address: address.clone(),
                    ours: ours.integration.id,
                    twin: twin.id,
                });
            } else if !others.is_empty() {
                let note = Note::duplicates_found(address.clone(), twin.id, others);
                run.notes.borrow_mut().push(note);
            }
        }
        let unseen = find_unseen(run, list);
        if twins.is_empty() && unseen.is_empty() || started.elapsed() >= MIN_LOOKUP_TIME {
            return (twins, unseen);
        }
        if sleep_or_cancel(run.attempts.stop(), LOOKUP_INTERVAL)
            .await
            .is_err()
        {
            return (twins, unseen);
        }
    }
}

/// Returns the created integrations that a list does not show.
fn find_unseen(run: &ApplyRun<'_, '_>, list: &[Integration]) -> Vec<UnseenCreate> {
    let listed: BTreeSet<IntegrationId> = list.iter().map(|live| live.id).collect();
    let created = run.created.borrow();
    created
        .iter()
        .filter(|(_, created)| !listed.contains(&created.integration.id))
        .map(|(operation, created)| UnseenCreate {
            address: planned_operation(run, *operation).address.clone(),
            id: created.integration.id,
        })
        .collect()
}

/// Returns the oldest duplicate of each integration created by this run, and the IDs of its other duplicates.
fn find_duplicates(
    run: &ApplyRun<'_, '_>,
    list: &[Integration],
) -> Vec<(OperationId, Integration, Vec<IntegrationId>)> {
    // Integrations in the plan belong to other entries.
    let planned = run.plan.live().integrations.iter().map(|live| live.id);
    let made = run.created.borrow();
    let known: BTreeSet<IntegrationId> = planned
        .chain(made.values().map(|created| created.integration.id))
        .chain(run.deleted.borrow().iter().copied())
        .collect();
    made.iter()
        .filter_map(|(operation, created)| {
            let mut twins: Vec<&Integration> = list
                .iter()
                .filter(|other| !known.contains(&other.id))
                .filter(|other| is_duplicate(&other.settings, created))
                .collect();
            twins.sort_by_cached_key(|twin| twin.creation_order());
            let (oldest, others) = twins.split_first()?;
            let others = others.iter().map(|twin| twin.id).collect();
            Some((*operation, (*oldest).clone(), others))
        })
        .collect()
}

/// Returns true if an integration is a duplicate of a created one, active or not. If the server drops references, an unset one matches.
fn is_duplicate(other: &IntegrationSettings, created: &Created) -> bool {
    let IntegrationSettings {
        integration_type,
        tenant_url,
        reference_id,
        active: _,
    } = &created.sent;
    let same_reference = match (&other.reference_id, reference_id) {
        (Some(other), Some(sent)) => other == sent,
        (Some(_), None) => false,
        (None, _) => created.integration.settings.reference_id.is_none(),
    };
    same_reference && other.integration_type == *integration_type && other.tenant_url == *tenant_url
}

fn planned_operation<'a>(run: &ApplyRun<'a, '_>, operation: OperationId) -> &'a Operation {
    run.plan
        .operations
        .iter()
        .find(|planned| planned.id == operation)
        .expect("every created integration belongs to an operation of the plan")
}

/// Deletes the integration created by this run in favor of the older duplicate. Returns true if it did.
async fn delete_own_duplicate(
    run: &ApplyRun<'_, '_>,
    operation: OperationId,
    created: &Created,
    elder: &Integration,
    executed: &mut [OperationReport],
) -> bool {
    let (reader, account, id) = (run.reader, run.account(), created.integration.id);
    if created.claim != Ownership::Confirmed {
        return false;
    }
    let planned = planned_operation(run, operation);
    let is_active = run.entry(&planned.address).is_none_or(|entry| entry.active);
    let sent_before = run.attempts.record(operation).sent;
    let changed = || SkipReason::Changed(format!("{} or its duplicate", planned.address));
    let check = async |_: ReadAge| {
        let at = Instant::now();
        let ours = match reader.integration(account, id).await {
            Ok(ours) => ours.value.settings,
            Err(error)
                if *error.kind() == ErrorKind::NotFound
                    && run.attempts.record(operation).sent > sent_before =>
            {
                return Ok(Precheck::AlreadyDone(()));
            }
            Err(error) => return Err(error.into()),
        };
        let elder = reader.integration(account, elder.id).await?.value.settings;
        let same = is_duplicate(&ours, created) && ours.active == created.sent.active;
        if !same || !is_duplicate(&elder, created) || elder.active != is_active {
            return Err(changed().into());
        }
        Ok(Precheck::Write((), at))
    };
    let addresses = run.addresses(planned);
    let sent = run
        .attempts
        .send_with_precheck(
            write(planned, &addresses, WriteKind::RemoveDuplicate, Some(id)),
            check,
            async |writer: &Writer, leave: SendPermit<'_>, ()| {
                writer.delete_integration(leave, account, id).await
            },
        )
        .await;
    let WriteOutcome::Done(()) = sent else {
        return false;
    };
    let adopted = adopt(elder.clone(), &created.sent);
    if let Some(executed) = executed
        .iter_mut()
        .find(|executed| executed.operation == operation)
    {
        executed.outcome = Outcome::Done(Some(created_integration(&adopted.integration)));
    }
    run.created.borrow_mut().insert(operation, adopted);
    run.deleted.borrow_mut().insert(id);
    true
}
