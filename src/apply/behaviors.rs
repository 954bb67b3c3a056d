//! The one write of all behaviors.
//!
//! There is no conditional write, so the complete map is read immediately before it is written, and again before a write is repeated,
//! whatever it failed of: only a foreign change inside that pair of calls can be overwritten unseen.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::behavior::{self, BehaviorKey, BehaviorSettings, DeclaredBehavior};
use crate::plan::Operation;

use super::Run;
use super::event::Deed;
use super::outcome::{Done, Failure};

/// How often a write is repeated, and how long is waited before at least.
const REPEATS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// The longest that a server's `Retry-After` is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

pub(super) async fn write(
    run: &mut Run<'_, '_>,
    operation: &Operation,
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
) -> Result<Done, Failure> {
    let mut repeats = REPEATS.iter();
    let mut audit_log_id = None;
    loop {
        let read = run.context.reader.behaviors(run.account()).await?;
        let live: BTreeMap<BehaviorKey, BehaviorSettings> = read
            .value
            .into_iter()
            .map(|(key, behavior)| (key, behavior.settings))
            .collect();
        let wanted = overlay(declared, &live)?;
        if wanted == live {
            // Either the write that ended ambiguously was carried out, or somebody else has done the work.
            return Ok(Done {
                made: None,
                audit_log_id,
            });
        }
        run.before(operation, Deed::WriteBehaviors, None)?;
        let answer = run
            .context
            .writer
            .write_behaviors(run.account(), &wanted)
            .await;
        match run.after(operation, Deed::WriteBehaviors, None, answer) {
            Ok((_, audit_log_id)) => {
                return Ok(Done {
                    made: None,
                    audit_log_id,
                });
            }
            Err(error) => match repeats.next() {
                Some(wait) if error.may_pass() => {
                    let asked = error.retry_after().unwrap_or_default();
                    if asked > LONGEST_RETRY_AFTER {
                        return Err(error.into());
                    }
                    audit_log_id = error.audit_log_id().map(str::to_owned);
                    tokio::time::sleep(asked.max(*wait)).await;
                }
                Some(_) | None => return Err(error.into()),
            },
        }
    }
}

fn overlay(
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
    live: &BTreeMap<BehaviorKey, BehaviorSettings>,
) -> Result<BTreeMap<BehaviorKey, BehaviorSettings>, Failure> {
    let gone: Vec<BehaviorKey> = declared
        .keys()
        .filter(|key| !live.contains_key(*key))
        .cloned()
        .collect();
    if !gone.is_empty() {
        return Err(Failure::NotOffered(gone));
    }
    Ok(behavior::overlay(declared, live))
}
