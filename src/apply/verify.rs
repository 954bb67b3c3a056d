//! Verifies the account after the writes: a new plan must be empty for the applied changes. Each entry is pinned to the integration
//! that was written for it, so that none is mistaken for another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Cancelled, ErrorKind};
use crate::model::account::DesiredAccount;
use crate::model::address::Address;
use crate::model::context::Context;
use crate::model::integration::IntegrationId;
use crate::plan::{Action, Change, OperationKind, plan};

use super::event::ApplyEvent;
use super::result::Verification;
use super::write_sender::sleep_or_cancel;
use super::{ApplyContext, ApplyRun};

/// Delays before each read: a read right after a write may not show it yet (`schema/api.md`, Integrations).
const RETRY_DELAYS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Reads the account, repeatedly while an address of `settled` differs.
pub(super) async fn verify(
    run: &ApplyRun<'_, '_>,
    context: &ApplyContext<'_>,
    settled: &BTreeSet<Address>,
) -> Verification {
    if settled.is_empty() {
        return Verification::Skipped;
    }
    // Reads change nothing, so they continue even if the observer fails.
    run.attempts
        .notify_observer(|observer| (observer.0)(ApplyEvent::Verifying));
    let desired = Arc::new(pin_written_entries(run, settled));
    let mut found = Verification::Skipped;
    for wait in RETRY_DELAYS {
        if let Err(Cancelled) = sleep_or_cancel(run.attempts.stop(), wait).await {
            return Verification::Stopped;
        }
        found = verify_once(run, context, &desired, settled).await;
        match found {
            Verification::Mismatch(_) | Verification::Ambiguous(_) => {}
            Verification::Skipped
            | Verification::Passed
            | Verification::Stopped
            | Verification::ReadFailed(_) => break,
        }
    }
    found
}

/// Returns the desired account with every completed entry pinned to its integration.
fn pin_written_entries(run: &ApplyRun<'_, '_>, settled: &BTreeSet<Address>) -> DesiredAccount {
    let mut desired = (**run.plan.desired()).clone();
    let made = run.created.borrow();
    for operation in &run.plan.operations {
        let id = match &operation.call {
            OperationKind::Create { .. } => made.get(&operation.id).map(|made| made.integration.id),
            OperationKind::Update { .. }
            | OperationKind::Delete { .. }
            | OperationKind::WriteBehaviors { .. } => None,
        };
        pin(&mut desired, &operation.address, id);
    }
    for change in &run.plan.changes {
        let id = match change.action() {
            Action::Update => change.found().map(|found| found.id),
            Action::Create | Action::Replace | Action::Delete => None,
        };
        pin(&mut desired, change.address(), id);
    }
    // Other entries must not match the written integrations.
    let rest = run.plan.changes.iter();
    let rest = rest.filter(|change| change.action() != Action::Delete);
    let rest: BTreeSet<&Address> = rest.map(|change| change.address()).collect();
    desired.integrations.retain(|name, _| {
        let address = Address::Integration(name.clone());
        settled.contains(&address) && rest.contains(&address)
    });
    desired
}

fn pin(desired: &mut DesiredAccount, address: &Address, id: Option<IntegrationId>) {
    if let (Address::Integration(name), Some(id)) = (address, id)
        && let Some(entry) = desired.integrations.get_mut(name)
    {
        entry.id = Some(id);
    }
}

async fn verify_once(
    run: &ApplyRun<'_, '_>,
    context: &ApplyContext<'_>,
    desired: &Arc<DesiredAccount>,
    settled: &BTreeSet<Address>,
) -> Verification {
    let live = match run.reader.live_account(run.account()).await {
        Ok(live) => Arc::new(live),
        Err(error) if *error.kind() == ErrorKind::Cancelled => return Verification::Stopped,
        Err(error) => return Verification::ReadFailed(error),
    };
    let (deleted, rest): (Vec<&Change>, Vec<&Change>) = run
        .plan
        .changes
        .iter()
        .filter(|change| settled.contains(change.address()))
        .partition(|change| change.action() == Action::Delete);
    let mut differs: Vec<Change> = deleted
        .into_iter()
        .filter(|change| {
            let id = change.found().map(|found| found.id);
            live.integrations.iter().any(|live| Some(live.id) == id)
        })
        .cloned()
        .collect();
    if !rest.is_empty() {
        let settled: BTreeSet<&Address> = rest.iter().map(|change| change.address()).collect();
        let mut again = plan(
            desired,
            &live,
            &Context::default(),
            context.today,
            context.options,
        );
        again
            .errors
            .retain(|error| settled.contains(&error.address));
        if !again.errors.is_empty() {
            return Verification::Ambiguous(again.errors);
        }
        again
            .changes
            .retain(|change| settled.contains(change.address()));
        differs.extend(again.changes);
    }
    if differs.is_empty() {
        Verification::Passed
    } else {
        Verification::Mismatch(differs)
    }
}
