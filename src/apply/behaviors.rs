//! The one write of all behaviors.
//!
//! There is no conditional write, so the complete map is read immediately before it is written, and again before a write is repeated,
//! whatever it failed of: only a foreign change inside that pair of calls can be overwritten unseen.

use std::collections::BTreeMap;

use crate::api::{Leave, Writer};
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings, DeclaredBehavior};
use crate::plan::Operation;

use super::attempt::{Deed, Look, Sent};
use super::outcome::Failure;
use super::{Run, write};

pub(super) async fn send(
    run: &Run<'_, '_>,
    operation: &Operation,
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
) -> Sent<()> {
    let account = run.account();
    let look = async || {
        let read = run.reader.behaviors(account).await?;
        let live: BTreeMap<BehaviorKey, BehaviorSettings> = read
            .value
            .into_iter()
            .map(|(key, behavior)| (key, behavior.settings))
            .collect();
        let wanted = overlay(declared, &live)?;
        // Either a write that ended ambiguously was carried out, or somebody else has done the work.
        Ok(if wanted == live {
            Look::Settled(())
        } else {
            Look::Write(wanted)
        })
    };
    let addresses = run.addresses(operation);
    run.attempts
        .look_and_send(
            write(operation, &addresses, Deed::WriteBehaviors, None),
            look,
            async |writer: &Writer, leave: Leave<'_>, wanted: BTreeMap<_, _>| {
                let answer = writer.write_behaviors(leave, account, &wanted).await?;
                Ok(answer.map(drop))
            },
        )
        .await
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
