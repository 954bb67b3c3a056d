//! Sends all writes, with retries, and records them.
//!
//! The observer is called before each write; if it fails, the write is not sent. The outcome is recorded when the write ends, so a later
//! failed read cannot hide a change. After cancellation, every wait ends and nothing is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{
    ApiError, ApiResponse, Attempts, CancellationToken, Cancelled, ErrorKind, NoPermit, RequestIds,
    RetryDecision, SendPermit, Writer,
};
use crate::model::integration::{Integration, IntegrationId, IntegrationSettings};
use crate::model::open_enum::string_enum;
use crate::plan::OperationId;

use super::live::{MAX_READ_AGE, ReadAge};
use super::result::{OperationError, Outcome, SkipReason};

/// Maximum number of reads for one write, if the wait for the rate limit after each is longer than [`MAX_READ_AGE`].
const MAX_READS: u32 = 3;
/// Minimum time to look for the result of a write with an unknown outcome, since reads may lag behind writes.
pub(super) const MIN_LOOKUP_TIME: Duration = Duration::from_secs(5);
/// Delay between two lookups.
pub(super) const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

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
    /// Number of writes with a 429 response, which had no effect.
    pub(super) rate_limited: u32,
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

impl<T> WriteOutcome<T> {
    pub(super) fn map<U>(self, into: impl FnOnce(T) -> U) -> WriteOutcome<U> {
        match self {
            WriteOutcome::Done(value) => WriteOutcome::Done(into(value)),
            WriteOutcome::Failed(failure) => WriteOutcome::Failed(failure),
            WriteOutcome::Unknown(failure) => WriteOutcome::Unknown(failure),
            WriteOutcome::NotSent(why) => WriteOutcome::NotSent(why),
        }
    }
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

impl HasIntegrationId for IntegrationSettings {
    fn id(&self) -> Option<IntegrationId> {
        None
    }
}

/// Result of a check immediately before a write.
pub(super) enum Precheck<B, T> {
    /// Write this. The read that it is based on started at this time.
    Write(B, Instant),
    /// No write needed.
    AlreadyDone(T),
}

/// Reason why a check did not permit a write.
pub(super) enum Refusal {
    /// The check itself failed.
    Failed(ApiError),
    Skip(SkipReason),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error.kind() {
            ErrorKind::Cancelled => Refusal::Skip(SkipReason::Stopped),
            _ => Refusal::Failed(error),
        }
    }
}

impl From<SkipReason> for Refusal {
    fn from(reason: SkipReason) -> Self {
        Refusal::Skip(reason)
    }
}

/// Sends the writes of one account.
pub(super) struct WriteSender<'a, W> {
    writer: &'a Writer,
    witness: RefCell<W>,
    records: RefCell<BTreeMap<OperationId, WriteRecord>>,
    /// Error of the observer; set once it failed. Later writes are not sent.
    record_error: RefCell<Option<String>>,
    /// Reason why the account gets no further write; set once.
    halted: RefCell<Option<SkipReason>>,
}

impl<'a, W: WriteObserver> WriteSender<'a, W> {
    pub(super) fn new(writer: &'a Writer, witness: W) -> Self {
        WriteSender {
            writer,
            witness: RefCell::new(witness),
            records: RefCell::default(),
            record_error: RefCell::default(),
            halted: RefCell::default(),
        }
    }

    pub(super) fn stop(&self) -> &'a CancellationToken {
        self.writer.cancellation()
    }

    /// Returns the reason why no further write may be sent, if there is one.
    pub(super) fn blocked_by(&self) -> Option<SkipReason> {
        let unrecorded = self.record_error.borrow().clone();
        let stopped = || self.stop().is_cancelled().then_some(SkipReason::Stopped);
        let halted = || self.halted.borrow().clone();
        unrecorded
            .map(SkipReason::Unrecorded)
            .or_else(stopped)
            .or_else(halted)
    }

    /// Sends no further write.
    pub(super) fn halt(&self, reason: SkipReason) {
        self.halted.borrow_mut().get_or_insert(reason);
    }

    /// Sends no further write if an error would affect all of them.
    pub(super) fn halt_after(&self, error: &ApiError) {
        if affects_every_request(error) {
            self.halt(SkipReason::RefusedForAll);
        }
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

    /// Sends a write that needs no check, with retries.
    pub(super) async fn send<T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        call: impl AsyncFn(&Writer, SendPermit<'_>) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        self.send_checked(
            write,
            async |_| Ok(Precheck::Write((), Instant::now())),
            async |writer: &Writer, leave: SendPermit<'_>, ()| call(writer, leave).await,
        )
        .await
    }

    /// Sends an idempotent write, with retries, and runs a check before each attempt. If the outcome is unknown, the check decides whether
    /// the write was applied.
    pub(super) async fn send_with_precheck<B, T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        check: impl AsyncFn(ReadAge) -> Result<Precheck<B, T>, Refusal>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        let outcome = self.send_checked(write, &check, call).await;
        let unknown = match outcome {
            WriteOutcome::Unknown(unknown) if unknown.can_be_resolved() => unknown,
            _ => return outcome,
        };
        let started = Instant::now();
        loop {
            match check(ReadAge::New).await {
                Ok(Precheck::AlreadyDone(value)) => return WriteOutcome::Done(value),
                Ok(Precheck::Write(..)) if started.elapsed() < MIN_LOOKUP_TIME => {}
                Ok(Precheck::Write(..)) | Err(_) => return WriteOutcome::Unknown(unknown),
            }
            if sleep_or_cancel(self.stop(), LOOKUP_INTERVAL).await.is_err() {
                return WriteOutcome::Unknown(unknown);
            }
        }
    }

    /// Sends a write, with retries, and runs a check before each attempt.
    pub(super) async fn send_checked<B, T: HasIntegrationId>(
        &self,
        write: Write<'_>,
        check: impl AsyncFn(ReadAge) -> Result<Precheck<B, T>, Refusal>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> Result<ApiResponse<T>, ApiError>,
    ) -> WriteOutcome<T> {
        // Error of the first attempt that may have been applied. Only a later success resolves it.
        let mut unknown: Option<ApiError> = None;
        let mut attempts = Attempts::default();
        let mut age = ReadAge::Recent;
        let mut reads = 0;
        loop {
            let (body, read_at) = match check(age).await {
                Ok(Precheck::AlreadyDone(value)) => return WriteOutcome::Done(value),
                Ok(Precheck::Write(body, read_at)) => (body, read_at),
                Err(Refusal::Skip(why)) => return not_sent(unknown, why),
                Err(Refusal::Failed(error)) => return self.failed(unknown, error),
            };
            if let Some(why) = self.blocked_by() {
                return not_sent(unknown, why);
            }
            let leave = match self.writer.acquire_permit(&mut attempts).await {
                Ok(leave) => leave,
                Err(NoPermit::Cancelled) => return not_sent(unknown, SkipReason::Stopped),
                Err(NoPermit::WaitTooLong(wait)) => {
                    return not_sent(unknown, SkipReason::RateLimited(wait.as_secs()));
                }
            };
            reads += 1;
            if read_at.elapsed() > MAX_READ_AGE && reads < MAX_READS {
                age = ReadAge::Recent;
                continue;
            }
            let error = match self
                .send_once(write, leave, |writer, leave| call(writer, leave, body))
                .await
            {
                Ok(value) => return WriteOutcome::Done(value),
                Err(SendOnceError::NotSent(why)) => return not_sent(unknown, why),
                Err(SendOnceError::Failed(error)) => error,
            };
            if error.may_have_succeeded() {
                unknown.get_or_insert_with(|| error.clone());
            }
            match self.writer.wait_before_retry(&mut attempts, &error).await {
                RetryDecision::Retry => {}
                RetryDecision::GiveUp => return self.failed(unknown, error),
                RetryDecision::Cancelled => return not_sent(unknown, SkipReason::Stopped),
            }
            age = ReadAge::New;
            reads = 0;
        }
    }

    /// Returns the outcome of a write that is not retried after this error.
    fn failed<T>(&self, unknown: Option<ApiError>, error: ApiError) -> WriteOutcome<T> {
        self.halt_after(&error);
        match unknown {
            Some(unknown) if !is_of_other_account(&error) => {
                WriteOutcome::Unknown(OperationError::unknown(unknown, Some(error.to_string())))
            }
            Some(_) => WriteOutcome::Unknown(OperationError::unknown(error, None)),
            None => WriteOutcome::Failed(OperationError::Api(error)),
        }
    }

    async fn send_once<
        'w,
        T: HasIntegrationId,
        F: Future<Output = Result<ApiResponse<T>, ApiError>>,
    >(
        &'w self,
        write: Write<'_>,
        leave: SendPermit<'w>,
        call: impl FnOnce(&'w Writer, SendPermit<'w>) -> F,
    ) -> Result<T, SendOnceError> {
        let not_sent = |why| Err(SendOnceError::NotSent(why));
        if let Some(why) = self.blocked_by() {
            return not_sent(why);
        }
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
            let is_rate_limited = |error: &ApiError| *error.kind() == ErrorKind::RateLimited;
            record.rate_limited += u32::from(ended.is_err_and(is_rate_limited));
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

/// Returns the outcome of a write that is not sent (again).
fn not_sent<T>(unknown: Option<ApiError>, why: SkipReason) -> WriteOutcome<T> {
    match unknown {
        Some(error) => {
            let then = (why != SkipReason::Stopped).then(|| why.to_string());
            WriteOutcome::Unknown(OperationError::unknown(error, then))
        }
        None => WriteOutcome::NotSent(why),
    }
}

/// Returns true if no other write may be sent for the same reason: the token, a permission or the account.
fn affects_every_request(error: &ApiError) -> bool {
    match error.kind() {
        ErrorKind::Credentials
        | ErrorKind::CredentialsOrPermission
        | ErrorKind::Permission
        | ErrorKind::Entitlement
        | ErrorKind::UnknownRoute
        | ErrorKind::OtherAccount { .. } => true,
        ErrorKind::NotFound
        | ErrorKind::RateLimited
        | ErrorKind::Rejected
        | ErrorKind::ServerError { .. }
        | ErrorKind::Cancelled
        | ErrorKind::Transport { .. }
        | ErrorKind::UnexpectedResponse { .. } => false,
    }
}

pub(super) fn is_of_other_account(error: &ApiError) -> bool {
    matches!(error.kind(), ErrorKind::OtherAccount { .. })
}

/// Waits, unless the run is canceled first.
pub(super) async fn sleep_or_cancel(
    stop: &CancellationToken,
    length: std::time::Duration,
) -> Result<(), Cancelled> {
    stop.run_until_cancelled(tokio::time::sleep(length)).await
}
