//! Sends all writes, with retries, and records them.
//!
//! The observer is called before each write; if it fails, the write is not sent. The outcome is recorded when the write ends, so a later
//! failed read cannot hide a change. After cancellation, every wait ends and nothing is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::api::{
    ApiError, ApiResponse, Attempts, CancellationToken, Cancelled, ErrorKind, NoPermit, RequestIds,
    RetryDecision, SendPermit, Writer,
};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_enum::string_enum;
use crate::plan::OperationId;

use super::result::{OperationError, Outcome, SkipReason};

/// Receives each write before it is sent and after it ended. If it fails, the write and all later ones are not sent.
pub(super) trait WriteObserver {
    fn on_event(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()>;
}

/// Event of a write.
pub(super) enum WriteEvent<'a> {
    /// About to be sent.
    Sending,
    /// Ended.
    Finished(Result<&'a RequestIds, &'a ApiError>),
}

/// A write, as reported to observers and the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Operation of the plan.
    pub operation: OperationId,
    /// Changed addresses, separated by commas.
    pub addresses: &'a str,
    pub deed: WriteKind,
    /// ID of the integration, if known.
    pub id: Option<IntegrationId>,
    /// Number of the write within the operation, from 1.
    pub attempt: u32,
}

string_enum! {
    /// Kind of a write.
    WriteKind {
        /// Writes all behaviors.
        WriteBehaviors = "write_behaviors",
        /// Creates an integration.
        Create = "create",
        /// Overwrites an integration.
        Update = "update",
        /// Deletes an integration.
        Delete = "delete",
        /// Deletes an integration created by this run, because an older duplicate exists.
        RemoveDuplicate = "remove_duplicate",
        /// Resets a user's score.
        Reset = "reset",
    }
}

/// Record of an operation's writes.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteRecord {
    /// Number of writes sent.
    pub(super) sent: u32,
    /// Whether a write was or may have been applied.
    pub(super) may_have_written: bool,
    /// Request IDs of the last response.
    pub(super) request_ids: RequestIds,
}

/// Final outcome of a write, after retries.
pub(super) enum WriteOutcome<T> {
    Done(T),
    /// Rejected or not delivered: no change.
    Failed(OperationError),
    /// May have been applied.
    Unknown(OperationError),
    /// Not sent.
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

/// A response that may contain the ID of the created integration.
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

/// Result of a check immediately before a write.
pub(super) enum Precheck<B, T> {
    /// Write this.
    Write(B),
    /// No write needed.
    AlreadyDone(T),
}

/// Sends the writes of one account.
pub(super) struct WriteSender<'a, W> {
    writer: &'a Writer,
    witness: RefCell<W>,
    records: RefCell<BTreeMap<OperationId, WriteRecord>>,
    /// Error of the observer; set once it failed. Later writes are not sent.
    record_error: RefCell<Option<String>>,
}

impl<'a, W: WriteObserver> WriteSender<'a, W> {
    pub(super) fn new(writer: &'a Writer, witness: W) -> Self {
        WriteSender {
            writer,
            witness: RefCell::new(witness),
            records: RefCell::default(),
            record_error: RefCell::default(),
        }
    }

    pub(super) fn stop(&self) -> &'a CancellationToken {
        self.writer.cancellation()
    }

    /// Returns the reason why no further write may be sent, if there is one.
    pub(super) fn blocked_by(&self) -> Option<SkipReason> {
        let unrecorded = self.record_error.borrow().clone();
        let stopped = || self.stop().is_cancelled().then_some(SkipReason::Stopped);
        unrecorded.map(SkipReason::Unrecorded).or_else(stopped)
    }

    /// Calls the observer. If it fails, no further write is sent.
    pub(super) fn notify_observer(&self, tell: impl FnOnce(&mut W) -> anyhow::Result<()>) {
        if let Err(error) = tell(&mut self.witness.borrow_mut()) {
            *self.record_error.borrow_mut() = Some(format!("{error:#}"));
        }
    }

    pub(super) fn record(&self, operation: OperationId) -> WriteRecord {
        let records = self.records.borrow();
        records.get(&operation).cloned().unwrap_or_default()
    }

    /// Sends a write, with retries.
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

    /// Sends a write, with retries, and runs a check before each attempt.
    pub(super) async fn send_with_precheck<B, T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        look: impl AsyncFn() -> Result<Precheck<B, T>, OperationError>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        // Error of the first attempt that may have been applied. Only a later success resolves it.
        let mut unknown: Option<ApiError> = None;
        let mut attempts = Attempts::default();
        loop {
            let body = match look().await {
                Ok(Precheck::AlreadyDone(value)) => return WriteOutcome::Done(value),
                Ok(Precheck::Write(body)) => body,
                Err(failure) => return final_outcome(unknown, failure),
            };
            let error = match self
                .send_once(write, &mut attempts, |writer, leave| {
                    call(writer, leave, body)
                })
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
            match self.writer.wait_before_retry(&mut attempts, &error).await {
                RetryDecision::Retry => {}
                RetryDecision::GiveUp => return final_outcome(unknown, OperationError::Api(error)),
                RetryDecision::Cancelled => {
                    return match unknown {
                        Some(error) => WriteOutcome::Unknown(OperationError::unknown(error, None)),
                        None => WriteOutcome::NotSent(SkipReason::Stopped),
                    };
                }
            }
        }
    }

    async fn send_once<
        'w,
        T: HasIntegrationId,
        F: Future<Output = Result<ApiResponse<T>, ApiError>>,
    >(
        &'w self,
        write: Write<'_>,
        attempts: &mut Attempts,
        call: impl FnOnce(&'w Writer, SendPermit<'w>) -> F,
    ) -> Result<T, SendOnceError> {
        let not_sent = |why| Err(SendOnceError::NotSent(why));
        if let Some(why) = self.blocked_by() {
            return not_sent(why);
        }
        let leave = match self.writer.acquire_permit(attempts).await {
            Ok(leave) => leave,
            Err(NoPermit::Cancelled) => return not_sent(SkipReason::Stopped),
            Err(NoPermit::WaitTooLong(wait)) => {
                return not_sent(SkipReason::RateLimited(wait.as_secs()));
            }
        };
        let write = Write {
            attempt: self.record(write.operation).sent + 1,
            ..write
        };
        self.notify_observer(|witness| witness.on_event(&write, WriteEvent::Sending));
        // The observer may have failed or canceled the run, also for a concurrent write.
        if let Some(why) = self.blocked_by() {
            return not_sent(why);
        }
        self.update_record(write.operation, |record| record.sent += 1);
        let answer = call(self.writer, leave).await;
        let ended = match &answer {
            Ok(answer) => Ok(&answer.trace),
            Err(error) => Err(error),
        };
        self.update_record(write.operation, |record| {
            record.may_have_written |= ended.map_or_else(ApiError::may_have_succeeded, |_| true);
            record
                .request_ids
                .update_from(ended.unwrap_or_else(ApiError::request_ids));
        });
        let named = answer.as_ref().ok().and_then(|answer| answer.value.id());
        let write = Write {
            id: write.id.or(named),
            ..write
        };
        // If the observer fails, the write is still applied, but no further one is sent.
        self.notify_observer(|witness| witness.on_event(&write, WriteEvent::Finished(ended)));
        match answer {
            Ok(answer) => Ok(answer.value),
            Err(error) => Err(SendOnceError::Failed(error)),
        }
    }

    fn update_record(&self, operation: OperationId, note: impl FnOnce(&mut WriteRecord)) {
        note(self.records.borrow_mut().entry(operation).or_default());
    }
}

/// Error of a single attempt.
enum SendOnceError {
    NotSent(SkipReason),
    Failed(ApiError),
}

/// Returns the outcome of a write that will not be retried.
fn final_outcome<T>(unknown: Option<ApiError>, failure: OperationError) -> WriteOutcome<T> {
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

/// Waits, unless the run is canceled first.
pub(super) async fn sleep_or_cancel(
    stop: &CancellationToken,
    length: std::time::Duration,
) -> Result<(), Cancelled> {
    stop.run_until_cancelled(tokio::time::sleep(length)).await
}
