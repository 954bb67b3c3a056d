//! Finds duplicates of integrations that this run created, which another run or a user created at the same time.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::api::{ErrorKind, SendPermit, Writer};
use crate::model::field::{Field, Fields};
use crate::model::integration::{Integration, IntegrationId};
use crate::plan::{Note, Operation, OperationId};

use super::create::Created;
use super::live::ReadAge;
use super::result::{Outcome, SkipReason};
use super::write_sender::{LOOKUP_INTERVAL, MIN_LOOKUP_TIME, Precheck, WriteKind};
use super::{ApplyRun, Outcomes};

/// Finds duplicates of integrations created by this run, and deletes this run's one if the other is older. Returns the problems.
///
/// It deletes only if the ID comes from a 2xx response to this run's POST, the integration still has exactly the settings that were sent,
/// and the older one, read again right before, is as active as declared. Other duplicates are reported, after waiting for the other client
/// to delete its own. A list without a created integration proves nothing and is read again.
pub(super) async fn resolve_duplicates(
    run: &ApplyRun<'_, '_>,
    outcomes: &mut Outcomes,
) -> Vec<String> {
    if run.created.borrow().is_empty() {
        return Vec::new();
    }
    let started = Instant::now();
    loop {
        let list = run.list(ReadAge::New).await;
        let list = list.as_ref().map_or(&[][..], |list| &list.integrations);
        let mut problems = Vec::new();
        for (operation, oldest, others) in find_duplicates(run, list) {
            let created = run.created.borrow()[&operation].clone();
            let operation = planned_operation(run, operation);
            let (address, own) = (&operation.address, created.integration.id);
            let is_older = oldest.creation_order() < created.integration.creation_order();
            if !is_older || !delete_own_duplicate(run, operation, &created, &oldest).await {
                problems.push(format!(
                    "{address} exists twice: {own} and {} (not created by this run); delete one of them",
                    oldest.id
                ));
                continue;
            }
            if !others.is_empty() {
                let note = Note::duplicates_found(address.clone(), oldest.id, others);
                run.notes.borrow_mut().push(note);
            }
            let adopted = Created::adopted(oldest, &created.sent);
            outcomes.insert(operation.id, Outcome::Done(Some(adopted.result())));
            run.created.borrow_mut().insert(operation.id, adopted);
            run.deleted.borrow_mut().insert(own);
        }
        problems.extend(find_unseen(run, list));
        let is_late = started.elapsed() >= MIN_LOOKUP_TIME;
        if problems.is_empty() || is_late || run.sender.pause(LOOKUP_INTERVAL).await.is_err() {
            return problems;
        }
    }
}

/// Returns a problem for each created integration that a list does not show.
fn find_unseen(run: &ApplyRun<'_, '_>, list: &[Integration]) -> Vec<String> {
    let listed: BTreeSet<IntegrationId> = list.iter().map(|live| live.id).collect();
    let created = run.created.borrow();
    let unseen = created
        .iter()
        .filter(|(_, created)| !listed.contains(&created.integration.id));
    unseen
        .map(|(operation, created)| {
            let address = &planned_operation(run, *operation).address;
            let id = created.integration.id;
            format!("{address}: created {id}, but the list of integrations does not show it")
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
    let created = run.created.borrow();
    let known: BTreeSet<IntegrationId> = planned
        .chain(created.values().map(|created| created.integration.id))
        .chain(run.deleted.borrow().iter().copied())
        .collect();
    let duplicates = created.iter().filter_map(|(operation, created)| {
        let mut duplicates: Vec<&Integration> = list
            .iter()
            .filter(|other| !known.contains(&other.id))
            .filter(|other| is_duplicate(&other.fields, created))
            .collect();
        duplicates.sort_by_cached_key(|duplicate| duplicate.creation_order());
        let (oldest, others) = duplicates.split_first()?;
        let others = others.iter().map(|duplicate| duplicate.id).collect();
        Some((*operation, (*oldest).clone(), others))
    });
    duplicates.collect()
}

/// Returns true if an integration is a duplicate of a created one, active or not. If the server drops references, an unset one matches.
fn is_duplicate(other: &Fields, created: &Created) -> bool {
    let sent = &created.sent;
    let same = |field| other.get(field) == sent.get(field);
    let same_reference = match other.reference_id() {
        Some(_) => same(Field::ReferenceId),
        None => created.integration.fields.reference_id().is_none(),
    };
    same_reference && same(Field::IntegrationType) && same(Field::TenantUrl)
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
    operation: &Operation,
    created: &Created,
    oldest: &Integration,
) -> bool {
    if !created.is_own {
        return false;
    }
    let (reader, account, id) = (run.reader, run.account(), created.integration.id);
    let is_active = run
        .entry(&operation.address)
        .is_none_or(|entry| entry.is_active());
    let sent_before = run.sender.record(operation.id).sent;
    let changed = || SkipReason::Changed(format!("{} or its duplicate", operation.address));
    let check = async |_: ReadAge| {
        let at = Instant::now();
        let own = match reader.integration(account, id).await {
            Ok(own) => own.fields,
            Err(error)
                if *error.kind() == ErrorKind::NotFound
                    && run.sender.record(operation.id).sent > sent_before =>
            {
                return Ok(Precheck::AlreadyDone(None));
            }
            Err(error) => return Err(error.into()),
        };
        let oldest = reader.integration(account, oldest.id).await?.fields;
        let same = is_duplicate(&own, created)
            && own.get(Field::Active) == created.sent.get(Field::Active);
        if !same || !is_duplicate(&oldest, created) || oldest.is_on(Field::Active) != is_active {
            return Err(changed().into());
        }
        Ok(Precheck::Write((), at))
    };
    let addresses = run.addresses(operation);
    let write = run.write(operation, &addresses, WriteKind::RemoveDuplicate, Some(id));
    let call = async |writer: &Writer, permit: SendPermit<'_>, ()| {
        Ok(writer
            .delete_integration(permit, account, id)
            .await?
            .map(|()| None))
    };
    let outcome = run.sender.send_idempotent(write, check, call).await;
    matches!(outcome, Outcome::Done(_))
}
