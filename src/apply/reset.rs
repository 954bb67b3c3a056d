//! Resets users' scores concurrently. A failure for one user does not stop the others.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::api::{SendPermit, Writer};
use crate::model::account::AccountId;
use crate::model::user::UserId;
use crate::plan::OperationId;

use super::MAX_IN_FLIGHT;
use super::live::ReadAge;
use super::result::Outcome;
use super::write_sender::{ApplyEvent, ApplyObserver, Precheck, Write, WriteKind, WriteSender};

/// Result of resetting one user.
#[derive(Debug)]
pub struct ResetResult {
    pub user: UserId,
    pub outcome: Outcome<()>,
    /// Number of writes sent.
    pub attempts: u32,
    /// Whether a write was or may have been applied.
    pub wrote: bool,
}

/// Resets the scores of the users. Results are in the same order. `observe` is called before each write; if it fails, nothing more is sent.
pub async fn reset(
    writer: &Writer,
    account: &AccountId,
    users: &[UserId],
    observe: &mut ApplyObserver<'_>,
) -> Vec<ResetResult> {
    let sender = WriteSender::new(writer, observe);
    let one = async |(number, user): (u32, UserId)| {
        let operation = OperationId(number);
        let addresses = format!("user[{user}]");
        let write = Write {
            operation,
            addresses: &addresses,
            kind: WriteKind::Reset,
            id: None,
            attempt: 0,
        };
        let outcome = match sender.blocked_by() {
            Some(obstacle) => Outcome::NotAttempted(obstacle),
            None => {
                let check = async |_: ReadAge| Ok(Precheck::Write((), Instant::now()));
                let call = async |writer: &Writer, permit: SendPermit<'_>, ()| {
                    Ok(writer
                        .reset_user(permit, account, user)
                        .await?
                        .map(|()| None))
                };
                sender.send(write, check, call).await.map(drop)
            }
        };
        let record = sender.record(operation);
        let reset = ResetResult {
            user,
            outcome,
            attempts: record.sent - record.rate_limited,
            wrote: record.may_have_written,
        };
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
