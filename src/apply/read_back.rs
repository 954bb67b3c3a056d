//! Reads the account once more: what was applied must now plan empty.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::model::address::Address;
use crate::plan::plan;

use super::Run;
use super::event::Event;
use super::outcome::ReadBack;

/// How long is waited before each look: a read right after a write may not show it yet (`contract.md`, Integrations).
const WAITS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Reads back, repeatedly while something of `settled` still differs.
pub(super) async fn read_back(run: &mut Run<'_, '_>, settled: &BTreeSet<Address>) -> ReadBack {
    if settled.is_empty() {
        return ReadBack::NothingToRead;
    }
    // Reading changes nothing, so it goes on even where it can't be told.
    let _ = (run.observe)(Event::ReadingBack);
    let mut found = ReadBack::NothingToRead;
    for wait in WAITS {
        sleep(wait).await;
        found = look(run, settled).await;
        match found {
            ReadBack::Differs(_) | ReadBack::Unplannable(_) => {}
            ReadBack::NothingToRead | ReadBack::Settled | ReadBack::Unreadable(_) => break,
        }
    }
    found
}

async fn look(run: &Run<'_, '_>, settled: &BTreeSet<Address>) -> ReadBack {
    let live = match run.context.reader.live(run.account()).await {
        Ok(live) => Arc::new(live),
        Err(error) => return ReadBack::Unreadable(error),
    };
    let desired = run.plan.desired();
    let mut changes = match plan(desired, &live, run.context.today, run.context.options) {
        Ok(again) => again.changes,
        Err(errors) => return ReadBack::Unplannable(errors),
    };
    changes.retain(|change| settled.contains(change.address()));
    if changes.is_empty() {
        ReadBack::Settled
    } else {
        ReadBack::Differs(changes)
    }
}
