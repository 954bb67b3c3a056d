//! Creates an integration exactly once, although the API has no idempotency key.
//!
//! If a POST may have been delivered, the integration is looked up for at least [`MIN_LOOKUP_TIME`]. A match that did not exist before the
//! wave is adopted. Otherwise the POST is sent again. After the last create, the account is listed once: if another run or a user
//! created the same integration first, this run deletes the one it created (see [`resolve_duplicates`]).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, SendPermit, Writer};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::plan::{Note, Operation, OperationId};

use super::event::ApplyEvent;
use super::result::{Duplicate, Made, OperationError, OperationReport, Outcome, SkipReason};
use super::write_sender::{WriteKind, WriteOutcome, sleep_or_cancel};
use super::{ApplyRun, write};

/// Minimum time to look up an integration after an unknown outcome, since reads may lag behind writes.
const MIN_LOOKUP_TIME: Duration = Duration::from_secs(5);
/// Maximum time to retry the lookup if reads fail.
const MAX_LOOKUP_TIME: Duration = Duration::from_secs(30);
/// Delay between two lookups.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The ID comes from a 2xx response to this run's POST.
    Confirmed,
    /// Found after a POST with an unknown outcome. Another client may have created it, so this run never deletes it.
    Adopted,
}

pub(super) async fn create(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Outcome {
    match run.ids_before.borrow().as_ref() {
        Ok(_) => {}
        Err(error) if *error.kind() == ErrorKind::Cancelled => {
            return Outcome::NotAttempted(SkipReason::Stopped);
        }
        // Without the list, a lost response could not be resolved.
        Err(error) => return Outcome::Failed(error.clone().into()),
    }
    let end = match create_or_find(run, operation, settings).await {
        // The server may reject a generated reference. Retry without it, and match the integration by its tenant.
        CreateOutcome::Refused(OperationError::Api(refusal))
            if run.uses_generated_reference(operation) =>
        {
            let without = IntegrationSettings {
                reference_id: None,
                ..settings.clone()
            };
            let end = create_or_find(run, operation, &without).await;
            if let CreateOutcome::Created(_) = end {
                run.notes.borrow_mut().push(Note::CreatedWithoutReference {
                    address: operation.address.clone(),
                    error: refusal.to_string(),
                });
            }
            end
        }
        end => end,
    };
    match end {
        CreateOutcome::Created(created) => {
            let made = created_integration(&created.integration);
            run.created.borrow_mut().insert(operation.id, *created);
            Outcome::Done(Some(made))
        }
        CreateOutcome::Refused(failure) | CreateOutcome::Failed(failure) => {
            Outcome::Failed(failure)
        }
        CreateOutcome::Unknown(failure) => Outcome::Unknown(failure),
        CreateOutcome::NotSent(why) => Outcome::NotAttempted(why),
    }
}

/// Outcome of a create.
enum CreateOutcome {
    Created(Box<Created>),
    /// Rejected because of the request body. A lookup showed that nothing was created.
    Refused(OperationError),
    /// Failed for a reason other than the request body.
    Failed(OperationError),
    Unknown(OperationError),
    NotSent(SkipReason),
}

/// Sends the create, looks up the integration after an unknown outcome, and sends it again if it does not exist.
async fn create_or_find(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> CreateOutcome {
    let unknown = match send(run, operation, settings).await {
        WriteOutcome::Done(integration) => return created_from_response(integration, settings),
        WriteOutcome::NotSent(why) => return CreateOutcome::NotSent(why),
        WriteOutcome::Failed(OperationError::Api(error)) if may_be_caused_by_body(&error) => {
            return match find_created(run, settings).await {
                Ok(LookupResult::Ours(found)) => adopt_existing(*found, settings),
                Ok(LookupResult::ReferenceMismatch(failure)) => CreateOutcome::Unknown(failure),
                Ok(LookupResult::Nothing) => CreateOutcome::Refused(error.into()),
                Err(_) => CreateOutcome::Failed(error.into()),
            };
        }
        WriteOutcome::Failed(failure) => return CreateOutcome::Failed(failure),
        WriteOutcome::Unknown(failure) => failure,
    };
    match poll_for_created(run, operation, &unknown, settings).await {
        Some(LookupResult::Ours(found)) => return adopt_existing(*found, settings),
        Some(LookupResult::ReferenceMismatch(failure)) => return CreateOutcome::Unknown(failure),
        // The lookup was long enough to show that the first request created nothing, so one retry is safe.
        Some(LookupResult::Nothing) => {}
        None => return CreateOutcome::Unknown(unknown),
    }
    let found = match send(run, operation, settings).await {
        WriteOutcome::Done(integration) => return created_from_response(integration, settings),
        WriteOutcome::NotSent(_) => None,
        // A rejection may mean that the first request did create the integration, but no read has shown it yet.
        WriteOutcome::Failed(_) => find_created(run, settings).await.ok(),
        WriteOutcome::Unknown(again) => poll_for_created(run, operation, &again, settings).await,
    };
    match found {
        Some(LookupResult::Ours(found)) => adopt_existing(*found, settings),
        Some(LookupResult::ReferenceMismatch(failure)) => CreateOutcome::Unknown(failure),
        Some(LookupResult::Nothing) | None => CreateOutcome::Unknown(unknown),
    }
}

async fn send(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> WriteOutcome<Integration> {
    let (account, addresses) = (run.account(), run.addresses(operation));
    run.attempts
        .send(
            write(operation, &addresses, WriteKind::Create, None),
            async |writer: &Writer, leave: SendPermit<'_>| {
                writer.create_integration(leave, account, settings).await
            },
        )
        .await
}

fn created_from_response(
    integration: Integration,
    settings: &IntegrationSettings,
) -> CreateOutcome {
    CreateOutcome::Created(Box::new(Created {
        integration,
        sent: settings.clone(),
        claim: Ownership::Confirmed,
    }))
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
fn may_be_caused_by_body(error: &ApiError) -> bool {
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

/// Polls the account until the integration is found or a late enough list does not contain it; `None` if the reads fail or the run is canceled.
async fn poll_for_created(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    failure: &OperationError,
    settings: &IntegrationSettings,
) -> Option<LookupResult> {
    // Reads change nothing, so they continue even if the observer fails.
    run.attempts.notify_observer(|observer| {
        (observer.0)(ApplyEvent::LookingForCreated { operation, failure })
    });
    let started = Instant::now();
    loop {
        let late_enough = started.elapsed() >= MIN_LOOKUP_TIME;
        match find_created(run, settings).await {
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

/// Lists the account and finds the created integration. Integrations that existed before the wave are excluded.
async fn find_created(
    run: &ApplyRun<'_, '_>,
    settings: &IntegrationSettings,
) -> Result<LookupResult, ApiError> {
    let list = run.list().await?;
    let mut candidates: Vec<Integration> = {
        let known_before = run.ids_before.borrow();
        let (made, taken_back) = (run.created.borrow(), run.removed_duplicates.borrow());
        let is_known = |id: &IntegrationId| {
            known_before.as_ref().is_ok_and(|known| known.contains(id))
                || made.values().any(|created| created.integration.id == *id)
                || taken_back.contains(id)
        };
        list.into_iter()
            .filter(|live| !is_known(&live.id))
            .filter(|live| {
                live.settings.integration_type == settings.integration_type
                    && live.settings.tenant_url == settings.tenant_url
            })
            .collect()
    };
    candidates.sort_by_key(Integration::creation_order);
    let fits = |live: &Integration| match (&settings.reference_id, &live.settings.reference_id) {
        (Some(sent), Some(live)) => sent == live,
        // The server drops references, or generates missing ones.
        (Some(_), None) | (None, _) => true,
    };
    if let Some(ours) = candidates.iter().find(|live| fits(live)) {
        return Ok(LookupResult::Ours(Box::new(ours.clone())));
    }
    Ok(match candidates.into_iter().next() {
        Some(another) => LookupResult::ReferenceMismatch(OperationError::ReferenceMismatch {
            found: another.id,
            theirs: another.settings.reference_id,
            sent: settings.reference_id.clone(),
        }),
        None => LookupResult::Nothing,
    })
}

/// Finds duplicates of integrations created by this run, and deletes this run's one if the other is older.
///
/// It deletes only if the ID comes from a 2xx response to this run's POST, the integration still has exactly the settings that were sent,
/// and the older one was just read again. Other duplicates are reported, after waiting for the other client to delete its own.
pub(super) async fn resolve_duplicates(
    run: &ApplyRun<'_, '_>,
    executed: &mut [OperationReport],
) -> Vec<Duplicate> {
    if run.created.borrow().is_empty() {
        return Vec::new();
    }
    let started = Instant::now();
    loop {
        // If the list cannot be read, verification fails as well and reports it.
        let Ok(list) = run.list().await else {
            return Vec::new();
        };
        let mut twins = Vec::new();
        for (operation, twin) in find_duplicates(run, &list) {
            let ours = run.created.borrow()[&operation].clone();
            let elder = twin.creation_order() < ours.integration.creation_order();
            if !elder || !delete_own_duplicate(run, operation, &ours, &twin, executed).await {
                twins.push(Duplicate {
                    address: planned_operation(run, operation).address.clone(),
                    ours: ours.integration.id,
                    twin: twin.id,
                });
            }
        }
        if twins.is_empty() || started.elapsed() >= MIN_LOOKUP_TIME {
            return twins;
        }
        if sleep_or_cancel(run.attempts.stop(), LOOKUP_INTERVAL)
            .await
            .is_err()
        {
            return twins;
        }
    }
}

/// Returns the oldest duplicate of each integration created by this run.
fn find_duplicates(
    run: &ApplyRun<'_, '_>,
    list: &[Integration],
) -> Vec<(OperationId, Integration)> {
    // Integrations in the plan belong to other entries.
    let planned = run.plan.live().integrations.iter().map(|live| live.id);
    let made = run.created.borrow();
    let known: BTreeSet<IntegrationId> = planned
        .chain(made.values().map(|created| created.integration.id))
        .chain(run.removed_duplicates.borrow().iter().copied())
        .collect();
    made.iter()
        .filter_map(|(operation, created)| {
            let twin = list
                .iter()
                .filter(|other| !known.contains(&other.id))
                .filter(|other| is_duplicate(&other.settings, created))
                .min_by_key(|other| other.creation_order())?;
            Some((*operation, twin.clone()))
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
    let Ok(ours) = reader.integration(account, id).await else {
        return false;
    };
    let ours = ours.value.settings;
    if !is_duplicate(&ours, created) || ours.active != created.sent.active {
        return false;
    }
    let elder = match reader.integration(account, elder.id).await {
        Ok(elder) if is_duplicate(&elder.value.settings, created) => elder.value,
        Ok(_) | Err(_) => return false,
    };
    let planned = planned_operation(run, operation);
    let addresses = run.addresses(planned);
    let sent = run
        .attempts
        .send(
            write(planned, &addresses, WriteKind::RemoveDuplicate, Some(id)),
            async |writer: &Writer, leave: SendPermit<'_>| {
                writer.delete_integration(leave, account, id).await
            },
        )
        .await;
    let WriteOutcome::Done(()) = sent else {
        return false;
    };
    let adopted = adopt(elder, &created.sent);
    if let Some(executed) = executed
        .iter_mut()
        .find(|executed| executed.operation == operation)
    {
        executed.outcome = Outcome::Done(Some(created_integration(&adopted.integration)));
    }
    run.created.borrow_mut().insert(operation, adopted);
    run.removed_duplicates.borrow_mut().insert(id);
    true
}
