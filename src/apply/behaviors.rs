//! Writes all behaviors in one request.
//!
//! The API has no conditional writes, so the complete map is read before each attempt. Only an external change between that read and the
//! write can be overwritten unnoticed.

use std::collections::BTreeMap;

use crate::api::{SendPermit, Writer};
use crate::model::behavior::{BehaviorKey, DeclaredBehavior};
use crate::plan::Operation;

use super::live::ReadAge;
use super::write_sender::{WriteKind, WriteOutcome};
use super::{ApplyRun, write};

pub(super) async fn send(
    run: &ApplyRun<'_, '_>,
    operation: &Operation,
    declared: &BTreeMap<BehaviorKey, DeclaredBehavior>,
) -> WriteOutcome<()> {
    let (account, addresses) = (run.account(), run.addresses(operation));
    run.attempts
        .send_with_precheck(
            write(operation, &addresses, WriteKind::WriteBehaviors, None),
            async |age: ReadAge| run.check_behaviors(declared, age).await,
            async |writer: &Writer, leave: SendPermit<'_>, wanted: BTreeMap<_, _>| {
                writer.write_behaviors(leave, account, &wanted).await
            },
        )
        .await
}
