//! Creates an integration exactly once, although the API knows no idempotency key.
//!
//! A POST that ended ambiguously is never repeated blindly. What it may have made is looked for, for at least [`LOOK_FOR`]; what was not
//! there before the wave and is exactly what was sent is adopted; only else is it sent once more. After the last creation the account is
//! listed once: where another run, or a person, made the same thing first, this run takes its own back, and only its own (see
//! [`settle_twins`]).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ApiError, ErrorKind, Leave, Writer};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::plan::{Note, Operation, OperationId};

use super::attempt::{Deed, Sent, pause};
use super::event::Event;
use super::outcome::{Executed, Failure, Made, NotAttempted, Outcome, Twin};
use super::{Run, write};

/// How long what an ambiguous creation may have made is looked for, since a read may lag behind a write.
const LOOK_FOR: Duration = Duration::from_secs(5);
/// How long to go on trying when the reads themselves fail.
const LOOK_AT_MOST: Duration = Duration::from_secs(30);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a creation brought about.
#[derive(Clone, Debug)]
pub(super) struct Created {
    pub(super) integration: Integration,
    /// What this run last wrote to it.
    pub(super) sent: IntegrationSettings,
    claim: Claim,
}

/// How a run knows that an integration is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// A 2xx answer to its own POST named the id.
    Named,
    /// It was found after an ambiguous POST: most likely its own, but perhaps somebody else's, so it is never taken back.
    Adopted,
}

pub(super) async fn create(
    run: &Run<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Outcome {
    match run.known_before.borrow().as_ref() {
        Ok(_) => {}
        Err(error) if *error.kind() == ErrorKind::Stopped => {
            return Outcome::NotAttempted(NotAttempted::Stopped);
        }
        // Without it, nobody could tell what a lost answer had made.
        Err(error) => return Outcome::Failed(error.clone().into()),
    }
    let end = match post(run, operation, settings).await {
        // The server takes no reference that it doesn't know, and made nothing: once more without it, to be known by its tenant.
        End::Refused(Failure::Api(refusal)) if run.reference_is_our_own(operation) => {
            let without = IntegrationSettings {
                reference_id: None,
                ..settings.clone()
            };
            let end = post(run, operation, &without).await;
            if let End::Made(_) = end {
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
        End::Made(created) => {
            let made = made(&created.integration);
            run.made.borrow_mut().insert(operation.id, *created);
            Outcome::Done(Some(made))
        }
        End::Refused(failure) | End::Failed(failure) => Outcome::Failed(failure),
        End::Unknown(failure) => Outcome::Unknown(failure),
        End::NotSent(why) => Outcome::NotAttempted(why),
    }
}

/// How a creation ended.
enum End {
    Made(Box<Created>),
    /// The server refused it for what it is, and a look showed that it made nothing.
    Refused(Failure),
    /// It was not carried out, for a reason that has nothing to do with what it is.
    Failed(Failure),
    Unknown(Failure),
    NotSent(NotAttempted),
}

/// Creates it, looks for it where the answer was lost, and sends it once more where there is nothing.
async fn post(run: &Run<'_, '_>, operation: &Operation, settings: &IntegrationSettings) -> End {
    let unknown = match send(run, operation, settings).await {
        Sent::Done(integration) => return made_by_answer(integration, settings),
        Sent::Withheld(why) => return End::NotSent(why),
        Sent::Failed(Failure::Api(error)) if is_about_the_body(&error) => {
            return match look(run, settings).await {
                Ok(Found::Ours(found)) => adopted(*found, settings),
                Ok(Found::Another(failure)) => End::Unknown(failure),
                Ok(Found::Nothing) => End::Refused(error.into()),
                Err(_) => End::Failed(error.into()),
            };
        }
        Sent::Failed(failure) => return End::Failed(failure),
        Sent::Unknown(failure) => failure,
    };
    match look_for(run, operation, &unknown, settings).await {
        Some(Found::Ours(found)) => return adopted(*found, settings),
        Some(Found::Another(failure)) => return End::Unknown(failure),
        // It was looked for long enough to know that the first call made nothing: the one repetition is safe.
        Some(Found::Nothing) => {}
        None => return End::Unknown(unknown),
    }
    let found = match send(run, operation, settings).await {
        Sent::Done(integration) => return made_by_answer(integration, settings),
        Sent::Withheld(_) => None,
        // Refused may mean that the key is taken: by what the first call made, and no read had shown.
        Sent::Failed(_) => look(run, settings).await.ok(),
        Sent::Unknown(again) => look_for(run, operation, &again, settings).await,
    };
    match found {
        Some(Found::Ours(found)) => adopted(*found, settings),
        Some(Found::Another(failure)) => End::Unknown(failure),
        Some(Found::Nothing) | None => End::Unknown(unknown),
    }
}

async fn send(
    run: &Run<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Sent<Integration> {
    let (account, addresses) = (run.account(), run.addresses(operation));
    run.attempts
        .send(
            write(operation, &addresses, Deed::Create, None),
            async |writer: &Writer, leave: Leave<'_>| {
                writer.create_integration(leave, account, settings).await
            },
        )
        .await
}

fn made_by_answer(integration: Integration, settings: &IntegrationSettings) -> End {
    End::Made(Box::new(Created {
        integration,
        sent: settings.clone(),
        claim: Claim::Named,
    }))
}

fn adopted(integration: Integration, settings: &IntegrationSettings) -> End {
    End::Made(Box::new(adopt(integration, settings)))
}

fn adopt(integration: Integration, settings: &IntegrationSettings) -> Created {
    Created {
        integration,
        sent: settings.clone(),
        claim: Claim::Adopted,
    }
}

fn made(integration: &Integration) -> Made {
    Made {
        id: integration.id,
        well_known_url: integration.well_known_url.clone(),
    }
}

/// Whether a refusal may have to do with what was sent, rather than with who sent it or how fast.
fn is_about_the_body(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::NoRoute => true,
        ErrorKind::Credentials
        | ErrorKind::Access
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::RateLimited
        | ErrorKind::ServerFault { .. }
        | ErrorKind::Stopped
        | ErrorKind::Transport { .. }
        | ErrorKind::Unexpected { .. } => false,
    }
}

/// What a list shows of a creation.
enum Found {
    Ours(Box<Integration>),
    /// One of the same tenant, with another reference: nobody can say whose it is.
    Another(Failure),
    Nothing,
}

/// Looks until it is found, or until a list that was read late enough does not hold it; `None` if neither can be said.
async fn look_for(
    run: &Run<'_, '_>,
    operation: &Operation,
    failure: &Failure,
    settings: &IntegrationSettings,
) -> Option<Found> {
    // Looking changes nothing, so it goes on even where it can't be told.
    run.attempts
        .witness(|observer| (observer.0)(Event::LookingForCreated { operation, failure }));
    let started = Instant::now();
    loop {
        let late_enough = started.elapsed() >= LOOK_FOR;
        match look(run, settings).await {
            Ok(Found::Nothing) if !late_enough => {}
            Ok(found) => return Some(found),
            Err(_) if started.elapsed() >= LOOK_AT_MOST => return None,
            Err(_) => {}
        }
        pause(run.attempts.stop(), LOOK_EVERY).await.ok()?;
    }
}

/// Finds in one list what a creation may have made. Only what was not there before the wave can be it.
async fn look(run: &Run<'_, '_>, settings: &IntegrationSettings) -> Result<Found, ApiError> {
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
        return Ok(Found::Ours(Box::new(ours.clone())));
    }
    Ok(match candidates.into_iter().next() {
        Some(another) => Found::Another(Failure::AnotherReference {
            found: another.id,
            theirs: another.settings.reference_id,
            sent: settings.reference_id.clone(),
        }),
        None => Found::Nothing,
    })
}

/// Looks for twins of what this run created, and takes its own back where an elder one stands beside it.
///
/// It deletes only under all of these: a 2xx answer to its own POST named the id; the integration still holds exactly what was sent; the
/// elder twin was just read again. A twin that can't be taken back is given time to be taken back by whoever made it, and then reported.
pub(super) async fn settle_twins(run: &Run<'_, '_>, executed: &mut [Executed]) -> Vec<Twin> {
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
        for (operation, twin) in twins_in(run, &list) {
            let ours = run.made.borrow()[&operation].clone();
            let elder = twin.seniority() < ours.integration.seniority();
            if !elder || !take_back(run, operation, &ours, &twin, executed).await {
                twins.push(Twin {
                    address: planned(run, operation).address.clone(),
                    ours: ours.integration.id,
                    twin: twin.id,
                });
            }
        }
        if twins.is_empty() || started.elapsed() >= LOOK_FOR {
            return twins;
        }
        if pause(run.attempts.stop(), LOOK_EVERY).await.is_err() {
            return twins;
        }
    }
}

/// The twins of what this run made; the eldest of each.
fn twins_in(run: &Run<'_, '_>, list: &[Integration]) -> Vec<(OperationId, Integration)> {
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
                .filter(|other| is_twin(&other.settings, created))
                .min_by_key(|other| other.seniority())?;
            Some((*operation, twin.clone()))
        })
        .collect()
}

/// Says whether an integration is a twin of what was created, whether active or not. Where the server keeps no references, an unset one
/// is as good as the one that was sent.
fn is_twin(other: &IntegrationSettings, created: &Created) -> bool {
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

fn planned<'a>(run: &Run<'a, '_>, operation: OperationId) -> &'a Operation {
    run.plan
        .operations
        .iter()
        .find(|planned| planned.id == operation)
        .expect("whatever was made was made by an operation of the plan")
}

/// Deletes what this run made in favor of its elder twin; says whether it did.
async fn take_back(
    run: &Run<'_, '_>,
    operation: OperationId,
    created: &Created,
    elder: &Integration,
    executed: &mut [Executed],
) -> bool {
    let (reader, account, id) = (run.reader, run.account(), created.integration.id);
    if created.claim != Claim::Named {
        return false;
    }
    let Ok(ours) = reader.integration(account, id).await else {
        return false;
    };
    let ours = ours.value.settings;
    if !is_twin(&ours, created) || ours.active != created.sent.active {
        return false;
    }
    let elder = match reader.integration(account, elder.id).await {
        Ok(elder) if is_twin(&elder.value.settings, created) => elder.value,
        Ok(_) | Err(_) => return false,
    };
    let planned = planned(run, operation);
    let addresses = run.addresses(planned);
    let sent = run
        .attempts
        .send(
            write(planned, &addresses, Deed::TakeBack, Some(id)),
            async |writer: &Writer, leave: Leave<'_>| {
                writer.delete_integration(leave, account, id).await
            },
        )
        .await;
    let Sent::Done(()) = sent else {
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
