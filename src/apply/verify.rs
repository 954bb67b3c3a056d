//! Verifies the account after the writes: a new plan must be empty for the applied changes. Each entry is pinned to the integration
//! that was written for it, so that none is mistaken for another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::ErrorKind;
use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::integration::IntegrationId;
use crate::model::text::abbreviate_list;
use crate::plan::{Action, Change, Note, NoteKind};

use super::ApplyRun;
use super::result::{describe_mismatch, not_as_applied};
use super::write_sender::ApplyEvent;

const STOPPED: &str = "stopped before the changes could be verified";

/// Delays before each read: a read right after a write may not show it yet (`schema/api.md`, Integrations).
const RETRY_DELAYS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Reads the account, repeatedly while an address of `completed` differs. Returns the problems, one sentence each.
pub(super) async fn verify(run: &ApplyRun<'_, '_>, completed: &BTreeSet<Address>) -> Vec<String> {
    if completed.is_empty() {
        return Vec::new();
    }
    run.sender.notify(ApplyEvent::Verifying);
    let desired = Arc::new(pin_written_entries(run, completed));
    let (mut problems, mut last) = (Vec::new(), None);
    for wait in RETRY_DELAYS {
        let live = match run.sender.pause(wait).await {
            Ok(()) => run.context.reader.live_account(run.account()).await,
            Err(_) => return vec![STOPPED.to_owned()],
        };
        let live = match live {
            Ok(live) => Arc::new(live),
            Err(error) if error.kind == ErrorKind::Cancelled => return vec![STOPPED.to_owned()],
            Err(error) => return vec![format!("cannot verify the changes: {error}")],
        };
        problems = differences(run, &desired, completed, &live);
        last = Some(live);
        if problems.is_empty() {
            break;
        }
    }
    if let Some(live) = last {
        note_other_differences(run, &live);
    }
    problems
}

/// Notes the declared values that now differ, although the plan did not change them.
fn note_other_differences(run: &ApplyRun<'_, '_>, live: &Arc<LiveAccount>) {
    let again = run.plan_again(run.plan.desired(), live);
    let planned = run.plan.changes.iter().map(|change| &change.address);
    let planned: BTreeSet<&Address> = planned.collect();
    let is_other = |change: &&Change| {
        !matches!(&change.address, Address::UnlistedIntegration(_))
            && change.action != Action::Delete
            && !planned.contains(&change.address)
    };
    let others = again.changes.iter().filter(is_other);
    let others: Vec<String> = others
        .map(|change| format!("{}: {}", &change.address, describe_mismatch(change)))
        .collect();
    if !others.is_empty() {
        let message = format!("changed since the plan: {}", abbreviate_list(others));
        let note = Note::general(NoteKind::ChangedSincePlan, message);
        run.notes.borrow_mut().push(note);
    }
}

/// Returns the desired account with every completed entry pinned to its integration, and without the other entries, which must not match it.
fn pin_written_entries(run: &ApplyRun<'_, '_>, completed: &BTreeSet<Address>) -> DesiredAccount {
    let mut desired = (**run.plan.desired()).clone();
    let created = run.created.borrow();
    let changes = run.plan.changes.iter();
    let pins = changes.filter(|change| completed.contains(&change.address));
    let pins = pins.filter_map(|change| match change.action {
        Action::Create | Action::Replace => {
            let created = created.get(&change.address);
            Some((
                &change.address,
                created.map(|created| created.integration.id),
            ))
        }
        Action::Update => Some((&change.address, change.origin.integration_id)),
        Action::Delete => None,
    });
    let pins: BTreeMap<&Address, Option<IntegrationId>> = pins.collect();
    desired.integrations.retain(|name, entry| {
        let pin = pins.get(&Address::Integration(name.clone()));
        entry.id = pin.copied().flatten().or(entry.id);
        pin.is_some()
    });
    desired
}

/// Compares the completed changes with the live account.
fn differences(
    run: &ApplyRun<'_, '_>,
    desired: &Arc<DesiredAccount>,
    completed: &BTreeSet<Address>,
    live: &Arc<LiveAccount>,
) -> Vec<String> {
    let changes = run.plan.changes.iter();
    let changes = changes.filter(|change| completed.contains(&change.address));
    let (deleted, rest): (Vec<&Change>, Vec<&Change>) =
        changes.partition(|change| change.action == Action::Delete);
    let still_exists = |change: &&Change| {
        let id = change.origin.integration_id;
        live.integrations.iter().any(|live| Some(live.id) == id)
    };
    let deleted = deleted.into_iter().filter(still_exists).map(not_as_applied);
    let mut problems: Vec<String> = deleted.collect();
    if rest.is_empty() {
        return problems;
    }
    let rest: BTreeSet<&Address> = rest.iter().map(|change| &change.address).collect();
    let is_left = |address: &Address| rest.contains(address);
    let again = run.plan_again(desired, live);
    let errors = again.errors.iter().filter(|error| is_left(&error.address));
    problems.extend(errors.map(|error| format!("cannot verify the changes: {error}")));
    let changes = again
        .changes
        .iter()
        .filter(|change| is_left(&change.address));
    problems.extend(changes.map(not_as_applied));
    problems
}
