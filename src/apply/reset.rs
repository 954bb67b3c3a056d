//! Resets users' scores concurrently. A failure for one user does not stop the others.

use futures_util::stream::{self, StreamExt};

use crate::api::{ApiError, RequestIds, SendPermit, Writer};
use crate::model::account::AccountId;
use crate::model::user::UserId;
use crate::plan::OperationId;

use super::MAX_IN_FLIGHT;
use super::result::Outcome;
use super::write_sender::{Write, WriteEvent, WriteKind, WriteObserver, WriteSender};

/// Callback for events. If it fails, for example on [`ResetEvent::Sending`], no further write is sent.
pub type ResetObserver<'o> = dyn FnMut(ResetEvent<'_>) -> anyhow::Result<()> + 'o;

/// Event of a reset.
pub enum ResetEvent<'a> {
    Sending(&'a Write<'a>),
    Answered(&'a Write<'a>, Result<&'a RequestIds, &'a ApiError>),
    Finished(&'a ResetResult),
}

/// Result of resetting one user.
#[derive(Debug)]
pub struct ResetResult {
    pub user: UserId,
    pub outcome: Outcome,
    /// Number of writes sent.
    pub attempts: u32,
    /// Whether a write was or may have been applied.
    pub wrote: bool,
}

struct Observer<'a, 'o>(&'a mut ResetObserver<'o>);

impl WriteObserver for Observer<'_, '_> {
    fn on_event(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()> {
        (self.0)(match call {
            WriteEvent::Sending => ResetEvent::Sending(write),
            WriteEvent::Finished(outcome) => ResetEvent::Answered(write, outcome),
        })
    }
}

/// Resets the scores of the users. Results are in the same order.
pub async fn reset(
    writer: &Writer,
    account: &AccountId,
    users: &[UserId],
    observe: &mut ResetObserver<'_>,
) -> Vec<ResetResult> {
    let attempts = WriteSender::new(writer, Observer(observe));
    let one = async |(number, user): (u32, UserId)| {
        let operation = OperationId(number);
        let addresses = format!("user[{user}]");
        let write = Write {
            operation,
            addresses: &addresses,
            deed: WriteKind::Reset,
            id: None,
            attempt: 0,
        };
        let outcome = match attempts.blocked_by() {
            Some(obstacle) => Outcome::NotAttempted(obstacle),
            None => {
                let sent = attempts.send(write, async |writer: &Writer, leave: SendPermit<'_>| {
                    writer.reset_user(leave, account, user).await
                });
                sent.await.into()
            }
        };
        let record = attempts.record(operation);
        let reset = ResetResult {
            user,
            outcome,
            attempts: record.sent - record.rate_limited,
            wrote: record.may_have_written,
        };
        attempts.notify_observer(|observer| (observer.0)(ResetEvent::Finished(&reset)));
        reset
    };
    let mut users = (1..).zip(users.iter().copied());
    let mut ends = Vec::new();
    // The first user goes alone, so that a rejection that applies to all is sent once.
    if let Some(first) = users.next() {
        ends.push(one(first).await);
    }
    ends.extend(
        stream::iter(users)
            .map(one)
            .buffered(MAX_IN_FLIGHT)
            .collect::<Vec<ResetResult>>()
            .await,
    );
    ends
}
