//! Creates an integration exactly once, although the API knows no idempotency key.
//!
//! A POST that ended ambiguously is never repeated blindly. What it may have made is looked for, for at least [`LOOK_FOR`]; what was not
//! there before and is exactly what was sent is adopted; only else is it sent once more. After the last creation the account is listed once:
//! where another run, or a person, made the same thing first, this run takes its own back, and only its own (see [`settle_twins`]).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::{ApiError, ErrorKind};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::plan::{Operation, OperationId};

use super::Run;
use super::event::{Deed, Event};
use super::outcome::{Done, Executed, Failure, Made, Outcome, Twin};

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
    run: &mut Run<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Result<Done, Failure> {
    let (created, audit_log_id) = match post(run, operation, settings).await? {
        Post::Made(created, audit_log_id) => (*created, audit_log_id),
        Post::Ambiguous(error) => match look_for(run, operation, settings).await {
            Look::Found(found) => (adopt(*found, settings), None),
            Look::Unknown => return Err(Failure::Lost { error }),
            // It was looked for long enough to know that the first call made nothing: the one repetition is safe.
            Look::Nothing => match post(run, operation, settings).await {
                Ok(Post::Made(created, audit_log_id)) => (*created, audit_log_id),
                Ok(Post::Ambiguous(error)) => match look_for(run, operation, settings).await {
                    Look::Found(found) => (adopt(*found, settings), None),
                    Look::Nothing | Look::Unknown => return Err(Failure::Lost { error }),
                },
                // Refused may mean that the key is taken: by what the first call made, and no read had shown.
                Err(Failure::Api(error)) if *error.kind() == ErrorKind::Refused => {
                    match find(run, settings).await {
                        Ok(Some(found)) => (adopt(found, settings), None),
                        Ok(None) | Err(_) => return Err(error.into()),
                    }
                }
                Err(failure) => return Err(failure),
            },
        },
    };
    let made = made(&created.integration);
    run.made.insert(operation.id, created);
    Ok(Done {
        made: Some(made),
        audit_log_id,
    })
}

fn made(integration: &Integration) -> Made {
    Made {
        id: integration.id,
        well_known_url: integration.well_known_url.clone(),
    }
}

fn adopt(integration: Integration, settings: &IntegrationSettings) -> Created {
    Created {
        integration,
        sent: settings.clone(),
        claim: Claim::Adopted,
    }
}

enum Post {
    Made(Box<Created>, Option<String>),
    Ambiguous(ApiError),
}

async fn post(
    run: &mut Run<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Result<Post, Failure> {
    run.before(operation, Deed::Create, None)?;
    let answer = run
        .context
        .writer
        .create_integration(run.account(), settings)
        .await;
    let id = answer.as_ref().ok().map(|answer| answer.value.id);
    match run.after(operation, Deed::Create, id, answer) {
        Ok((integration, audit_log_id)) => {
            let created = Created {
                integration,
                sent: settings.clone(),
                claim: Claim::Named,
            };
            Ok(Post::Made(Box::new(created), audit_log_id))
        }
        Err(error) if error.is_ambiguous() => Ok(Post::Ambiguous(error)),
        Err(error) => Err(error.into()),
    }
}

enum Look {
    Found(Box<Integration>),
    /// A list that was read late enough does not hold it.
    Nothing,
    /// No list could be read late enough.
    Unknown,
}

async fn look_for(
    run: &mut Run<'_, '_>,
    operation: &Operation,
    settings: &IntegrationSettings,
) -> Look {
    // Looking changes nothing, so it goes on even where it can't be told.
    let _ = (run.observe)(Event::LookingForCreated { operation });
    let started = Instant::now();
    loop {
        let late_enough = started.elapsed() >= LOOK_FOR;
        match find(run, settings).await {
            Ok(Some(found)) => return Look::Found(Box::new(found)),
            Ok(None) if late_enough => return Look::Nothing,
            Ok(None) => {}
            Err(_) if started.elapsed() >= LOOK_AT_MOST => return Look::Unknown,
            Err(_) => {}
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Finds what a creation may have made: by its reference, then in the list. Only what was not there before can be it.
async fn find(
    run: &Run<'_, '_>,
    settings: &IntegrationSettings,
) -> Result<Option<Integration>, ApiError> {
    let known = run.known();
    let fits = |integration: &Integration| {
        !known.contains(&integration.id) && is_twin(&integration.settings, settings)
    };
    if let Some(reference) = &settings.reference_id {
        let answer = run
            .context
            .reader
            .integration_by_reference(run.account(), reference)
            .await;
        if let Ok(answer) = answer
            && fits(&answer.value)
        {
            return Ok(Some(answer.value));
        }
    }
    let mut found: Vec<Integration> = run.list().await?.into_iter().filter(fits).collect();
    found.sort_by_key(seniority);
    Ok(found.into_iter().next())
}

/// Says whether two integrations are the same but for their ids and whether they are active.
fn is_twin(a: &IntegrationSettings, b: &IntegrationSettings) -> bool {
    let IntegrationSettings {
        integration_type,
        tenant_url,
        reference_id,
        active: _,
    } = a;
    *integration_type == b.integration_type
        && *tenant_url == b.tenant_url
        && *reference_id == b.reference_id
}

/// Orders integrations by age, then by id, so that every run agrees on the elder of two.
fn seniority(integration: &Integration) -> (Option<jiff::Timestamp>, String, IntegrationId) {
    (
        integration.created(),
        integration.created_at.clone(),
        integration.id,
    )
}

/// Looks for twins of what this run created, and takes its own back where an elder one stands beside it.
///
/// It deletes only under all of these: a 2xx answer to its own POST named the id; the integration still holds exactly what was sent; the
/// elder twin was just read again. A twin that can't be taken back is given time to be taken back by whoever made it, and then reported.
pub(super) async fn settle_twins(run: &mut Run<'_, '_>, executed: &mut [Executed]) -> Vec<Twin> {
    if run.made.is_empty() {
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
            let elder = seniority(&twin) < seniority(&run.made[&operation].integration);
            if !elder || !take_back(run, operation, &twin, executed).await {
                twins.push(twin_of(run, operation, &twin));
            }
        }
        if twins.is_empty() || started.elapsed() >= LOOK_FOR {
            return twins;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The twins of what this run made; the eldest of each.
fn twins_in(run: &Run<'_, '_>, list: &[Integration]) -> Vec<(OperationId, Integration)> {
    // What was there before the run belongs to other entries, which the file pins beside this one.
    let known: BTreeSet<IntegrationId> = run.known();
    run.made
        .iter()
        .filter_map(|(operation, created)| {
            let twin = list
                .iter()
                .filter(|other| !known.contains(&other.id))
                .filter(|other| is_twin(&other.settings, &created.sent))
                .min_by_key(|other| seniority(other))?;
            Some((*operation, twin.clone()))
        })
        .collect()
}

fn twin_of(run: &Run<'_, '_>, operation: OperationId, twin: &Integration) -> Twin {
    Twin {
        address: planned(run, operation).address.clone(),
        ours: run.made[&operation].integration.id,
        twin: twin.id,
    }
}

fn planned<'a>(run: &Run<'a, '_>, operation: OperationId) -> &'a Operation {
    run.plan
        .operations
        .iter()
        .find(|planned| planned.id == operation)
        .expect("whatever was made was made by an operation of the plan")
}

/// Deletes what this run made in favour of its elder twin; says whether it did.
async fn take_back(
    run: &mut Run<'_, '_>,
    operation: OperationId,
    elder: &Integration,
    executed: &mut [Executed],
) -> bool {
    let created = run.made[&operation].clone();
    let id = created.integration.id;
    if created.claim != Claim::Named || run.context.stop.is_requested() {
        return false;
    }
    let (reader, account) = (run.context.reader, run.account());
    let Ok(ours) = reader.integration(account, id).await else {
        return false;
    };
    if ours.value.settings != created.sent {
        return false;
    }
    let elder = match reader.integration(account, elder.id).await {
        Ok(elder) if is_twin(&elder.value.settings, &created.sent) => elder.value,
        Ok(_) | Err(_) => return false,
    };
    let planned = planned(run, operation);
    if run.before(planned, Deed::TakeBack, Some(id)).is_err() {
        return false;
    }
    let answer = run.context.writer.delete_integration(account, id).await;
    if run
        .after(planned, Deed::TakeBack, Some(id), answer)
        .is_err()
    {
        return false;
    }
    let adopted = adopt(elder, &created.sent);
    if let Some(executed) = executed
        .iter_mut()
        .find(|executed| executed.operation == operation)
        && let Outcome::Done(done) = &mut executed.outcome
    {
        done.made = Some(made(&adopted.integration));
    }
    run.made.insert(operation, adopted);
    run.taken_back.insert(id);
    true
}
