//! Finds duplicates of integrations that this run created, which another run or a user created at the same time.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::api::{ErrorKind, WriteRequest};
use crate::model::field::{Field, Fields};
use crate::model::integration::{Integration, IntegrationId};
use crate::plan::Note;

use super::create::Created;
use super::result::{Outcome, SkipReason};
use super::write_sender::{LOOKUP_INTERVAL, MIN_LOOKUP_TIME, Precheck, ReadAge, WriteKind};
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
    let mut problems = Vec::new();
    let started = Instant::now();
    while !run.created.borrow().is_empty() {
        let list = run.list(ReadAge::New).await;
        let list = list.as_ref().map_or(&[][..], |list| list.integrations());
        problems.clear();
        // Integrations in the plan belong to other entries.
        let known = run.known();
        let all: Vec<Created<'_>> = run.created.borrow().values().cloned().collect();
        for created in all {
            let (address, own) = (&created.operation.address, created.integration.id);
            let mut duplicates = find_duplicates(list, &known, &created);
            if duplicates.is_empty() {
                if !list.iter().any(|live| live.id == own) {
                    problems.push(format!(
                        "{address}: created {own}, but the list of integrations does not show it"
                    ));
                }
                continue;
            }
            let oldest = duplicates.remove(0);
            let is_older = oldest.creation_order() < created.integration.creation_order();
            if !is_older || !delete_own_duplicate(run, &created, oldest).await {
                problems.push(format!(
                    "{address} exists twice: {own} and {} (not created by this run); delete one of them",
                    oldest.id
                ));
                continue;
            }
            if !duplicates.is_empty() {
                let others = duplicates.iter().map(|duplicate| duplicate.id);
                let note = Note::duplicates_found(address.clone(), oldest.id, others);
                run.notes.borrow_mut().push(note);
            }
            let adopted = Created {
                integration: oldest.clone(),
                is_own: false,
                ..created.clone()
            };
            outcomes.insert(created.operation.id, Outcome::Done(Some(adopted.result())));
            run.created.borrow_mut().insert(address.clone(), adopted);
            run.deleted.borrow_mut().insert(own);
        }
        let is_late = started.elapsed() >= MIN_LOOKUP_TIME;
        if problems.is_empty() || is_late || run.sender.pause(LOOKUP_INTERVAL).await.is_err() {
            break;
        }
    }
    problems
}

/// Returns the duplicates of an integration created by this run, oldest first.
fn find_duplicates<'l>(
    list: &'l [Integration],
    known: &BTreeSet<IntegrationId>,
    created: &Created<'_>,
) -> Vec<&'l Integration> {
    let others = list.iter().filter(|other| !known.contains(&other.id));
    let duplicates = others.filter(|other| is_duplicate(&other.fields, created));
    let mut duplicates: Vec<&Integration> = duplicates.collect();
    duplicates.sort_by_cached_key(|duplicate| duplicate.creation_order());
    duplicates
}

/// Returns true if an integration is a duplicate of a created one, active or not. If the server drops references, an unset one matches.
fn is_duplicate(other: &Fields, created: &Created<'_>) -> bool {
    let sent = &created.sent;
    let same = |field| other.get(field) == sent.get(field);
    let same_reference = match other.reference_id() {
        Some(_) => same(Field::ReferenceId),
        None => created.integration.fields.reference_id().is_none(),
    };
    same_reference && same(Field::IntegrationType) && same(Field::TenantUrl)
}

/// Deletes the integration created by this run in favor of the older duplicate. Returns true if it did.
async fn delete_own_duplicate(
    run: &ApplyRun<'_, '_>,
    created: &Created<'_>,
    oldest: &Integration,
) -> bool {
    if !created.is_own {
        return false;
    }
    let (reader, account) = (run.context.reader, run.account());
    let (operation, id) = (created.operation, created.integration.id);
    let entry = run.entry(&operation.address);
    let is_active = entry.is_none_or(|entry| entry.is_active());
    let sent_before = run.sender.record(operation.id).sent;
    let check = async |_: ReadAge| {
        let at = Instant::now();
        let own = match reader.integration(account, id).await {
            Ok(own) => own.fields,
            Err(error)
                if error.kind == ErrorKind::NotFound
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
            let changed = format!("{} or its duplicate", operation.address);
            return Err(SkipReason::Changed(changed).into());
        }
        Ok(Precheck::Write(WriteRequest::Delete(id), at))
    };
    let write = run.write(operation, WriteKind::RemoveDuplicate, Some(id));
    run.sender.send_idempotent(write, check).await.is_ok()
}
