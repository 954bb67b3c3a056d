//! Creates an integration exactly once, although the API knows no idempotency key.
//!
//! A POST that ended ambiguously is never repeated blindly. What it may have made is looked for, for at least [`MIN_LOOKUP_TIME`]; what was not
//! there before the wave and is exactly what was sent is adopted; only else is it sent once more. After the last creation the account is
//! listed once: where another run, or a person, made the same thing first, this run takes its own back, and only its own (see
//! [`settle_twins`]).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, SendPermit, Writer};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::plan::{Note, Operation, OperationId};

use super::event::ApplyEvent;
use super::result::{Duplicate, Made, OperationError, OperationReport, Outcome, SkipReason};
use super::write_sender::{WriteKind, WriteOutcome, pause};
use super::{ApplyRun, write};

/// How long what an ambiguous creation may have made is looked for, since a read may lag behind a write.
const MIN_LOOKUP_TIME: Duration = Duration::from_secs(5);
/// How long to go on trying when the reads themselves fail.
const MAX_LOOKUP_TIME: Duration = Duration::from_secs(30);
/// The pause between two looks.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

/// What a creation brought about.
#[derive(Clone, Debug)]
pub(super) struct Created {
    pub(super) integration: Integration,
    /// What this run last wrote to it.
    pub(super) sent: IntegrationSettings,
    claim: Ownership,
}

/// How a run knows that an integration is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ownership {
    /// A 2xx answer to its own POST named the id.
    Confirmed,
    /// It was found after an ambiguous POST: most likely its own, but perhaps somebody else's, so it is never taken back.
    Adopted,
}

pub(super) async fn create(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Outcome {
    match run.known_before.borrow().as_ref() {
        Ok(_) => {}
        Err(error) if *error.kind() == ErrorKind::Cancelled => {
            return Outcome::NotAttempted(SkipReason::Stopped);
        }
        // Without it, nobody could tell what a lost answer had made.
        Err(error) => return Outcome::Failed(error.clone().into()),
    }
    let end = match post(run, operation, settings).await {
        // The server takes no reference that it doesn't know, and made nothing: once more without it, to be known by its tenant.
        CreateOutcome::Refused(OperationError::Api(refusal))
            if run.uses_generated_reference(operation) =>
        {
            let without = IntegrationSettings {
                reference_id: None,
                ..settings.clone()
            };
            let end = post(run, operation, &without).await;
            if let CreateOutcome::Made(_) = end {
                run.notes.borrow_mut().push(Note::CreatedWithoutReference {
                    address: operation.address.clone(),
                    refusal: refusal.to_string(),
                });
            }
            end
        }
        end => end,
    };
    match end {
        CreateOutcome::Made(created) => {
            let made = made(&created.integration);
            run.made.borrow_mut().insert(operation.id, *created);
            Outcome::Done(Some(made))
        }
        CreateOutcome::Refused(failure) | CreateOutcome::Failed(failure) => {
            Outcome::Failed(failure)
        }
        CreateOutcome::Unknown(failure) => Outcome::Unknown(failure),
        CreateOutcome::NotSent(why) => Outcome::NotAttempted(why),
    }
}

/// How a creation ended.
enum CreateOutcome {
    Made(Box<Created>),
    /// The server refused it for what it is, and a look showed that it made nothing.
    Refused(OperationError),
    /// It was not carried out, for a reason that has nothing to do with what it is.
    Failed(OperationError),
    Unknown(OperationError),
    NotSent(SkipReason),
}

/// Creates it, looks for it where the answer was lost, and sends it once more where there is nothing.
async fn post(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> CreateOutcome {
    let unknown = match send(run, operation, settings).await {
        WriteOutcome::Done(integration) => return created_from_response(integration, settings),
        WriteOutcome::NotSent(why) => return CreateOutcome::NotSent(why),
        WriteOutcome::Failed(OperationError::Api(error)) if may_be_caused_by_body(&error) => {
            return match look(run, settings).await {
                Ok(LookupResult::Ours(found)) => adopted(*found, settings),
                Ok(LookupResult::ReferenceMismatch(failure)) => CreateOutcome::Unknown(failure),
                Ok(LookupResult::Nothing) => CreateOutcome::Refused(error.into()),
                Err(_) => CreateOutcome::Failed(error.into()),
            };
        }
        WriteOutcome::Failed(failure) => return CreateOutcome::Failed(failure),
        WriteOutcome::Unknown(failure) => failure,
    };
    match poll_for_created(run, operation, &unknown, settings).await {
        Some(LookupResult::Ours(found)) => return adopted(*found, settings),
        Some(LookupResult::ReferenceMismatch(failure)) => return CreateOutcome::Unknown(failure),
        // It was looked for long enough to know that the first call made nothing: the one repetition is safe.
        Some(LookupResult::Nothing) => {}
        None => return CreateOutcome::Unknown(unknown),
    }
    let found = match send(run, operation, settings).await {
        WriteOutcome::Done(integration) => return created_from_response(integration, settings),
        WriteOutcome::NotSent(_) => None,
        // Refused may mean that the key is taken: by what the first call made, and no read had shown.
        WriteOutcome::Failed(_) => look(run, settings).await.ok(),
        WriteOutcome::Unknown(again) => poll_for_created(run, operation, &again, settings).await,
    };
    match found {
        Some(LookupResult::Ours(found)) => adopted(*found, settings),
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
    CreateOutcome::Made(Box::new(Created {
        integration,
        sent: settings.clone(),
        claim: Ownership::Confirmed,
    }))
}

fn adopted(integration: Integration, settings: &IntegrationSettings) -> CreateOutcome {
    CreateOutcome::Made(Box::new(adopt(integration, settings)))
}

fn adopt(integration: Integration, settings: &IntegrationSettings) -> Created {
    Created {
        integration,
        sent: settings.clone(),
        claim: Ownership::Adopted,
    }
}

fn made(integration: &Integration) -> Made {
    Made {
        id: integration.id,
        well_known_url: integration.well_known_url.clone(),
    }
}

/// Whether a refusal may have to do with what was sent, rather than with who sent it or how fast.
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

/// What a list shows of a creation.
enum LookupResult {
    Ours(Box<Integration>),
    /// One of the same tenant, with another reference: nobody can say whose it is.
    ReferenceMismatch(OperationError),
    Nothing,
}

/// Looks until it is found, or until a list that was read late enough does not hold it; `None` if neither can be said.
async fn poll_for_created(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    failure: &OperationError,
    settings: &IntegrationSettings,
) -> Option<LookupResult> {
    // Looking changes nothing, so it goes on even where it can't be told.
    run.attempts
        .witness(|observer| (observer.0)(ApplyEvent::LookingForCreated { operation, failure }));
    let started = Instant::now();
    loop {
        let late_enough = started.elapsed() >= MIN_LOOKUP_TIME;
        match look(run, settings).await {
            Ok(LookupResult::Nothing) if !late_enough => {}
            Ok(found) => return Some(found),
            Err(_) if started.elapsed() >= MAX_LOOKUP_TIME => return None,
            Err(_) => {}
        }
        pause(run.attempts.stop(), LOOKUP_INTERVAL).await.ok()?;
    }
}

/// Finds in one list what a creation may have made. Only what was not there before the wave can be it.
async fn look(
    run: &ApplyRun<'_, '_>,
    settings: &IntegrationSettings,
) -> Result<LookupResult, ApiError> {
    let list = run.list().await?;
    let mut candidates: Vec<Integration> = {
        let known_before = run.known_before.borrow();
        let (made, taken_back) = (run.made.borrow(), run.taken_back.borrow());
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
    candidates.sort_by_key(Integration::seniority);
    let fits = |live: &Integration| match (&settings.reference_id, &live.settings.reference_id) {
        (Some(sent), Some(live)) => sent == live,
        // The server keeps none, or invents what was not sent.
        (Some(_), None) | (None, _) => true,
    };
    if let Some(ours) = candidates.iter().find(|live| fits(live)) {
        return Ok(LookupResult::Ours(Box::new(ours.clone())));
    }
    Ok(match candidates.into_iter().next() {
        Some(another) => LookupResult::ReferenceMismatch(OperationError::AnotherReference {
            found: another.id,
            theirs: another.settings.reference_id,
            sent: settings.reference_id.clone(),
        }),
        None => LookupResult::Nothing,
    })
}

/// Looks for twins of what this run created, and takes its own back where an elder one stands beside it.
///
/// It deletes only under all of these: a 2xx answer to its own POST named the id; the integration still holds exactly what was sent; the
/// elder twin was just read again. A twin that can't be taken back is given time to be taken back by whoever made it, and then reported.
pub(super) async fn resolve_duplicates(
    run: &ApplyRun<'_, '_>,
    executed: &mut [OperationReport],
) -> Vec<Duplicate> {
    if run.made.borrow().is_empty() {
        return Vec::new();
    }
    let started = Instant::now();
    loop {
        // Where the list can't be read, reading back can't either, and says so.
        let Ok(list) = run.list().await else {
            return Vec::new();
        };
        let mut twins = Vec::new();
        for (operation, twin) in find_duplicates(run, &list) {
            let ours = run.made.borrow()[&operation].clone();
            let elder = twin.seniority() < ours.integration.seniority();
            if !elder || !delete_own_duplicate(run, operation, &ours, &twin, executed).await {
                twins.push(Duplicate {
                    address: planned(run, operation).address.clone(),
                    ours: ours.integration.id,
                    twin: twin.id,
                });
            }
        }
        if twins.is_empty() || started.elapsed() >= MIN_LOOKUP_TIME {
            return twins;
        }
        if pause(run.attempts.stop(), LOOKUP_INTERVAL).await.is_err() {
            return twins;
        }
    }
}

/// The twins of what this run made; the eldest of each.
fn find_duplicates(
    run: &ApplyRun<'_, '_>,
    list: &[Integration],
) -> Vec<(OperationId, Integration)> {
    // What the plan knew belongs to other entries, which the file pins beside this one.
    let planned = run.plan.live().integrations.iter().map(|live| live.id);
    let made = run.made.borrow();
    let known: BTreeSet<IntegrationId> = planned
        .chain(made.values().map(|created| created.integration.id))
        .chain(run.taken_back.borrow().iter().copied())
        .collect();
    made.iter()
        .filter_map(|(operation, created)| {
            let twin = list
                .iter()
                .filter(|other| !known.contains(&other.id))
                .filter(|other| is_duplicate(&other.settings, created))
                .min_by_key(|other| other.seniority())?;
            Some((*operation, twin.clone()))
        })
        .collect()
}

/// Says whether an integration is a twin of what was created, whether active or not. Where the server keeps no references, an unset one
/// is as good as the one that was sent.
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

fn planned<'a>(run: &ApplyRun<'a, '_>, operation: OperationId) -> &'a Operation {
    run.plan
        .operations
        .iter()
        .find(|planned| planned.id == operation)
        .expect("whatever was made was made by an operation of the plan")
}

/// Deletes what this run made in favor of its elder twin; says whether it did.
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
    let planned = planned(run, operation);
    let addresses = run.addresses(planned);
    let sent = run
        .attempts
        .send(
            write(planned, &addresses, WriteKind::TakeBack, Some(id)),
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
        executed.outcome = Outcome::Done(Some(made(&adopted.integration)));
    }
    run.made.borrow_mut().insert(operation, adopted);
    run.taken_back.borrow_mut().insert(id);
    true
}
