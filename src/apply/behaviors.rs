//! Writes all behaviors in one request.
//!
//! The API has no conditional writes, so the complete map is read immediately before each attempt. Only an external change between that
//! read and the write can be overwritten unnoticed.

use std::collections::BTreeMap;

use crate::api::{SendPermit, Writer};
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings, DeclaredBehavior};
use crate::plan::Operation;

use super::result::OperationError;
use super::write_sender::{Precheck, WriteKind, WriteOutcome};
use super::{ApplyRun, write};

pub(super) async fn send(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
) -> WriteOutcome<()> {
    let account = run.account();
    let look = async || {
        let read = run.reader.behaviors(account).await?;
        let live: BTreeMap<BehaviorKey, BehaviorSettings> = read
            .value
            .into_iter()
            .map(|(key, behavior)| (key, behavior.settings))
            .collect();
        let wanted = overlay(declared, &live)?;
        // An earlier attempt was applied, or another client made the same change.
        Ok(if wanted == live {
            Precheck::AlreadyDone(())
        } else {
            Precheck::Write(wanted)
        })
    };
    let addresses = run.addresses(operation);
    run.attempts
        .send_with_precheck(
            write(operation, &addresses, WriteKind::WriteBehaviors, None),
            look,
            async |writer: &Writer, leave: SendPermit<'_>, wanted: BTreeMap<_, _>| {
                let answer = writer.write_behaviors(leave, account, &wanted).await?;
                Ok(answer.map(drop))
            },
        )
        .await
}

fn overlay(
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
    live: &BTreeMap<BehaviorKey, BehaviorSettings>,
) -> Result<BTreeMap<BehaviorKey, BehaviorSettings>, OperationError> {
    let gone: Vec<BehaviorKey> = declared
        .keys()
        .filter(|key| !live.contains_key(*key))
        .cloned()
        .collect();
    if !gone.is_empty() {
        return Err(OperationError::NotOffered(gone));
    }
    Ok(behavior::apply_declared(declared, live))
}
