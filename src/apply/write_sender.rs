//! The only place that sends writes, waits before it sends them again, and knows what was sent.
//!
//! A write is told before it leaves, and is not sent where it can't be told. What it ended with is recorded as it ends, never guessed from
//! the last error afterwards: a read that fails later can't hide that something was written. A stop ends every wait; nothing leaves after it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::api::{
    ApiError, ApiResponse, CancellationToken, Cancelled, ErrorKind, RequestIds, RetryDecision,
    SendPermit, Writer,
};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_enum::words;
use crate::plan::OperationId;

use super::result::{OperationError, Outcome, SkipReason};

/// Is told of each write before it leaves and once it has ended. Where it fails on [`WriteEvent::Leaves`], the write is not sent, and no other.
pub(super) trait WriteObserver {
    fn tell(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()>;
}

/// What becomes of one write.
pub(super) enum WriteEvent<'a> {
    /// It is about to be sent.
    Leaves,
    /// It ended.
    Ended(Result<&'a RequestIds, &'a ApiError>),
}

/// One write, as it is told and written down.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The operation that it serves.
    pub operation: OperationId,
    /// What that changes: one or more addresses.
    pub addresses: &'a str,
    pub deed: WriteKind,
    /// The integration that it is about, where that has an id already.
    pub id: Option<IntegrationId>,
    /// Which of the operation's writes it is, from 1.
    pub attempt: u32,
}

words! {
    /// What a writing call does.
    WriteKind {
        /// Writes all behaviors.
        WriteBehaviors = "write_behaviors",
        /// Creates an integration.
        Create = "create",
        /// Overwrites an integration.
        Update = "update",
        /// Deletes an integration.
        Delete = "delete",
        /// Deletes an integration that this very run created, because an elder twin stands beside it.
        TakeBack = "take_back",
        /// Clears a user's score.
        Reset = "reset",
    }
}

/// What is known about an operation's writes.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteRecord {
    /// How many were sent.
    pub(super) sent: u32,
    /// Whether one of them was carried out, or may have been.
    pub(super) wrote: bool,
    /// How to find the last one again that had an answer.
    pub(super) trace: RequestIds,
}

/// How a write ended once repeating could not help any more.
pub(super) enum WriteOutcome<T> {
    Done(T),
    /// It was refused or never arrived: nothing happened.
    Failed(OperationError),
    /// It may have been carried out.
    Unknown(OperationError),
    /// It never left.
    NotSent(SkipReason),
}

impl From<WriteOutcome<()>> for Outcome {
    fn from(sent: WriteOutcome<()>) -> Self {
        match sent {
            WriteOutcome::Done(()) => Outcome::Done(None),
            WriteOutcome::Failed(failure) => Outcome::Failed(failure),
            WriteOutcome::Unknown(failure) => Outcome::Unknown(failure),
            WriteOutcome::NotSent(why) => Outcome::NotAttempted(why),
        }
    }
}

/// What an answer may name: the integration that a creation made.
pub(super) trait HasIntegrationId {
    fn id(&self) -> Option<IntegrationId>;
}

impl HasIntegrationId for () {
    fn id(&self) -> Option<IntegrationId> {
        None
    }
}

impl HasIntegrationId for Integration {
    fn id(&self) -> Option<IntegrationId> {
        Some(self.id)
    }
}

/// What a look right before a write found.
pub(super) enum Precheck<B, T> {
    /// This is to be written.
    Write(B),
    /// There is nothing left to write.
    AlreadyDone(T),
}

/// Everything that one account's writes go through.
pub(super) struct WriteSender<'a, W> {
    writer: &'a Writer,
    witness: RefCell<W>,
    records: RefCell<BTreeMap<OperationId, WriteRecord>>,
    /// Set once the witness has failed: what can't be recorded is not done.
    unrecorded: RefCell<Option<String>>,
}

impl<'a, W: WriteObserver> WriteSender<'a, W> {
    pub(super) fn new(writer: &'a Writer, witness: W) -> Self {
        WriteSender {
            writer,
            witness: RefCell::new(witness),
            records: RefCell::default(),
            unrecorded: RefCell::default(),
        }
    }

    pub(super) fn stop(&self) -> &'a CancellationToken {
        self.writer.stop()
    }

    /// Why nothing may be started any more, if so.
    pub(super) fn obstacle(&self) -> Option<SkipReason> {
        let unrecorded = self.unrecorded.borrow().clone();
        let stopped = || self.stop().is_cancelled().then_some(SkipReason::Stopped);
        unrecorded.map(SkipReason::Unrecorded).or_else(stopped)
    }

    /// Uses the witness for something else than a write; where that fails, no other write is sent.
    pub(super) fn witness(&self, tell: impl FnOnce(&mut W) -> anyhow::Result<()>) {
        if let Err(error) = tell(&mut self.witness.borrow_mut()) {
            *self.unrecorded.borrow_mut() = Some(format!("{error:#}"));
        }
    }

    pub(super) fn record(&self, operation: OperationId) -> WriteRecord {
        let records = self.records.borrow();
        records.get(&operation).cloned().unwrap_or_default()
    }

    /// Sends a write, again where that may help.
    pub(super) async fn send<T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        call: impl AsyncFn(&Writer, SendPermit<'_>) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        let look = async || Ok(Precheck::Write(()));
        self.send_with_precheck(
            write,
            look,
            async |writer: &Writer, leave: SendPermit<'_>, ()| call(writer, leave).await,
        )
        .await
    }

    /// The same, with a look before each time that it is sent.
    pub(super) async fn send_with_precheck<B, T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        look: impl AsyncFn() -> Result<Precheck<B, T>, OperationError>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        // The first write that may have been carried out; whatever follows, only a success makes it known.
        let mut unknown: Option<ApiError> = None;
        let mut attempt = 1;
        loop {
            let body = match look().await {
                Ok(Precheck::AlreadyDone(value)) => return WriteOutcome::Done(value),
                Ok(Precheck::Write(body)) => body,
                Err(failure) => return end(unknown, failure),
            };
            let error = match self
                .once(write, |writer, leave| call(writer, leave, body))
                .await
            {
                Ok(value) => return WriteOutcome::Done(value),
                Err(SendOnceError::NotSent(why)) => {
                    return match unknown {
                        Some(error) => WriteOutcome::Unknown(OperationError::unknown(error, None)),
                        None => WriteOutcome::NotSent(why),
                    };
                }
                Err(SendOnceError::Failed(error)) => error,
            };
            if error.may_have_succeeded() {
                unknown.get_or_insert_with(|| error.clone());
            }
            match self.writer.wait_to_repeat(attempt, &error).await {
                RetryDecision::Retry => attempt += 1,
                RetryDecision::GiveUp => return end(unknown, OperationError::Api(error)),
                RetryDecision::Cancelled => {
                    return match unknown {
                        Some(error) => WriteOutcome::Unknown(OperationError::unknown(error, None)),
                        None => WriteOutcome::NotSent(SkipReason::Stopped),
                    };
                }
            }
        }
    }

    async fn once<'w, T: HasIntegrationId, F: Future<Output = Result<ApiResponse<T>, ApiError>>>(
        &'w self,
        write: Write<'_>,
        call: impl FnOnce(&'w Writer, SendPermit<'w>) -> F,
    ) -> Result<T, SendOnceError> {
        let not_sent = |why| Err(SendOnceError::NotSent(why));
        if let Some(why) = self.obstacle() {
            return not_sent(why);
        }
        let Ok(leave) = self.writer.leave().await else {
            return not_sent(SkipReason::Stopped);
        };
        let write = Write {
            attempt: self.record(write.operation).sent + 1,
            ..write
        };
        self.witness(|witness| witness.tell(&write, WriteEvent::Leaves));
        // The witness may have failed, or wished a stop, and what others told meanwhile counts as well.
        if let Some(why) = self.obstacle() {
            return not_sent(why);
        }
        self.note(write.operation, |record| record.sent += 1);
        let answer = call(self.writer, leave).await;
        let ended = match &answer {
            Ok(answer) => Ok(&answer.trace),
            Err(error) => Err(error),
        };
        self.note(write.operation, |record| {
            record.wrote |= ended.map_or_else(ApiError::may_have_succeeded, |_| true);
            record.trace.keep(ended.unwrap_or_else(ApiError::trace));
        });
        let named = answer.as_ref().ok().and_then(|answer| answer.value.id());
        let write = Write {
            id: write.id.or(named),
            ..write
        };
        // A write that was made stays made even where its end can't be told; that stops what would come next.
        self.witness(|witness| witness.tell(&write, WriteEvent::Ended(ended)));
        match answer {
            Ok(answer) => Ok(answer.value),
            Err(error) => Err(SendOnceError::Failed(error)),
        }
    }

    fn note(&self, operation: OperationId, note: impl FnOnce(&mut WriteRecord)) {
        note(self.records.borrow_mut().entry(operation).or_default());
    }
}

/// Why a write that was tried once brought nothing.
enum SendOnceError {
    NotSent(SkipReason),
    Failed(ApiError),
}

/// How a write ends that failed for good.
fn end<T>(unknown: Option<ApiError>, failure: OperationError) -> WriteOutcome<T> {
    let stopped =
        matches!(failure.api_error(), Some(error) if *error.kind() == ErrorKind::Cancelled);
    match unknown {
        Some(error) => WriteOutcome::Unknown(OperationError::unknown(
            error,
            (!stopped).then_some(failure),
        )),
        None if stopped => WriteOutcome::NotSent(SkipReason::Stopped),
        None => WriteOutcome::Failed(failure),
    }
}

/// Waits, unless a stop comes first.
pub(super) async fn pause(
    stop: &CancellationToken,
    length: std::time::Duration,
) -> Result<(), Cancelled> {
    stop.or(tokio::time::sleep(length)).await
}
