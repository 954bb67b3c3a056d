//! Resets users' scores concurrently. A failure for one user does not stop the others.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::api::{WriteRequest, Writer};
use crate::model::account::AccountId;
use crate::model::user::UserId;
use crate::plan::OperationId;

use super::MAX_IN_FLIGHT;
use super::result::{Outcome, ResetResult};
use super::write_sender::{
    ApplyEvent, ApplyObserver, Precheck, ReadAge, Write, WriteKind, WriteSender,
};

/// Resets the scores of the users. Results are in the same order. `observe` is called before each write; if it fails, no more
/// writes are sent.
pub async fn reset(
    writer: &Writer,
    account: &AccountId,
    users: &[UserId],
    observe: &mut ApplyObserver<'_>,
) -> Vec<ResetResult> {
    let sender = WriteSender::new(writer, account, false, observe);
    let one = async |(number, user): (u32, UserId)| {
        let write = Write {
            operation: OperationId(number),
            addresses: format!("user[{user}]"),
            kind: WriteKind::Reset,
            id: None,
            attempt: 0,
        };
        let check =
            async |_: ReadAge| Ok(Precheck::Write(WriteRequest::Reset(user), Instant::now()));
        let outcome = match sender.send(write, &check).await {
            Ok(_) => Outcome::Done(None),
            Err(outcome) => outcome,
        };
        let report = sender.report(OperationId(number), outcome);
        let reset = ResetResult { user, report };
        sender.notify(ApplyEvent::Reset(&reset));
        reset
    };
    let mut users = (1..).zip(users.iter().copied());
    let mut resets = Vec::new();
    // The first user goes alone, so that a rejection that applies to all is sent once.
    if let Some(first) = users.next() {
        resets.push(one(first).await);
    }
    let rest = stream::iter(users).map(one).buffered(MAX_IN_FLIGHT);
    resets.extend(rest.collect::<Vec<ResetResult>>().await);
    resets
}
