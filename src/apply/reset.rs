//! Clears users' scores, several at once. A failure that is about one user does not keep the next from being tried.

use std::cell::RefCell;

use futures_util::stream::{self, StreamExt};

use crate::api::{ApiError, ErrorKind, RequestIds, SendPermit, Writer};
use crate::model::account::AccountId;
use crate::model::user::UserId;
use crate::plan::OperationId;

use super::MAX_IN_FLIGHT;
use super::result::{Outcome, SkipReason};
use super::write_sender::{Write, WriteEvent, WriteKind, WriteObserver, WriteSender};

/// Is told of every write, and of every user's end. Where it fails on [`ResetEvent::Sending`], the call is not sent, and no other is.
pub type ResetObserver<'o> = dyn FnMut(ResetEvent<'_>) -> anyhow::Result<()> + 'o;

/// One thing that happened.
pub enum ResetEvent<'a> {
    Sending(&'a Write<'a>),
    Answered(&'a Write<'a>, Result<&'a RequestIds, &'a ApiError>),
    Finished(&'a ResetResult),
}

/// What became of one user's reset.
#[derive(Debug)]
pub struct ResetResult {
    pub user: UserId,
    pub outcome: Outcome,
    /// How many writes were sent.
    pub attempts: u32,
    /// Whether one of them was carried out, or may have been.
    pub wrote: bool,
}

struct Observer<'a, 'o>(&'a mut ResetObserver<'o>);

impl WriteObserver for Observer<'_, '_> {
    fn tell(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()> {
        (self.0)(match call {
            WriteEvent::Leaves => ResetEvent::Sending(write),
            WriteEvent::Ended(outcome) => ResetEvent::Answered(write, outcome),
        })
    }
}

/// Clears the scores of these users; the ends stand in their order.
pub async fn reset(
    writer: &Writer,
    account: &AccountId,
    users: &[UserId],
    observe: &mut ResetObserver<'_>,
) -> Vec<ResetResult> {
    let attempts = WriteSender::new(writer, Observer(observe));
    // Set once one was refused for a reason that is about the token or the account, and so holds for everybody.
    let refused: RefCell<bool> = RefCell::default();
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
        let outcome = match attempts.obstacle() {
            Some(obstacle) => Outcome::NotAttempted(obstacle),
            None if *refused.borrow() => Outcome::NotAttempted(SkipReason::RefusedForAll),
            None => {
                let sent = attempts.send(write, async |writer: &Writer, leave: SendPermit<'_>| {
                    writer.reset_user(leave, account, user).await
                });
                sent.await.into()
            }
        };
        if let Outcome::Failed(failure) = &outcome
            && failure.api_error().is_some_and(applies_to_all_users)
        {
            *refused.borrow_mut() = true;
        }
        let record = attempts.record(operation);
        let reset = ResetResult {
            user,
            outcome,
            attempts: record.sent,
            wrote: record.wrote,
        };
        attempts.witness(|observer| (observer.0)(ResetEvent::Finished(&reset)));
        reset
    };
    let mut users = (1..).zip(users.iter().copied());
    let mut ends = Vec::new();
    // The first goes alone: what is refused for everybody is refused once.
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

fn applies_to_all_users(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::Credentials
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::UnknownRoute => true,
        ErrorKind::NotFound
        | ErrorKind::RateLimited
        | ErrorKind::Rejected
        | ErrorKind::ServerError { .. }
        | ErrorKind::Cancelled
        | ErrorKind::Transport { .. }
        | ErrorKind::UnexpectedResponse { .. } => false,
    }
}
