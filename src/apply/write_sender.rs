//! Sends all writes, with retries, and records them.
//!
//! The observer is called before each write; if it fails, the write is not sent. The outcome is recorded when the write ends, so a later
//! failed read cannot hide a change. After cancellation, every wait ends and nothing is sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::{
    ApiError, ApiResponse, Attempts, ErrorKind, NoPermit, RequestIds, SendPermit, Writer,
};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_enum::string_enum;
use crate::plan::{Operation, OperationId};

use super::live::{MAX_READ_AGE, ReadAge};
use super::reset::ResetResult;
use super::result::{OperationError, Outcome, SkipReason};

/// Maximum number of reads for one write, if the wait for the rate limit after each is longer than [`MAX_READ_AGE`].
const MAX_READS: u32 = 3;
/// Minimum time to look for the result of a write with an unknown outcome, since reads may lag behind writes.
pub(super) const MIN_LOOKUP_TIME: Duration = Duration::from_secs(5);
/// Delay between two lookups.
pub(super) const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

/// Callback for events. If it fails, for example on [`ApplyEvent::Sending`], no further write is sent.
pub type ApplyObserver<'o> = dyn FnMut(ApplyEvent<'_>) -> anyhow::Result<()> + Send + 'o;

/// Event of an apply or a reset, for progress and for the audit log, which must be on disk before a write is sent.
#[derive(Debug)]
pub enum ApplyEvent<'a> {
    /// An operation starts. Several may run concurrently.
    Started { operation: &'a Operation },
    /// A write is about to be sent.
    Sending(&'a Write<'a>),
    /// A write ended.
    Responded(&'a Write<'a>, Result<&'a RequestIds, &'a ApiError>),
    /// A create has an unknown outcome, and its integration is looked up.
    LookingForCreated {
        operation: &'a Operation,
        failure: &'a OperationError,
    },
    /// An operation ended.
    Finished {
        operation: &'a Operation,
        outcome: &'a Outcome,
    },
    /// The reset of a user ended.
    Reset(&'a ResetResult),
    /// Verification starts.
    Verifying,
}

/// A write, as reported to observers and the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Operation of the plan.
    pub operation: OperationId,
    /// Changed addresses, separated by commas.
    pub addresses: &'a str,
    pub kind: WriteKind,
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

/// Result of a check immediately before a write.
pub(super) enum Precheck<B> {
    /// Write this. The read that it is based on started at this time.
    Write(B, Instant),
    /// No write needed. Contains the integration of a create.
    AlreadyDone(Option<Integration>),
}

/// Reason why a write was not applied.
pub(super) enum Refusal {
    /// The check or the write failed.
    Failed(ApiError),
    /// Not sent.
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

impl From<NoPermit> for SkipReason {
    fn from(reason: NoPermit) -> Self {
        match reason {
            NoPermit::Cancelled => SkipReason::Stopped,
            NoPermit::WaitTooLong(wait) => SkipReason::RateLimited(wait.as_secs()),
        }
    }
}

/// Sends the writes of one account.
pub(super) struct WriteSender<'a, 'o> {
    writer: &'a Writer,
    observer: RefCell<&'a mut ApplyObserver<'o>>,
    records: RefCell<BTreeMap<OperationId, WriteRecord>>,
    /// Reason why no further write is sent; set once.
    halted: RefCell<Option<SkipReason>>,
}

impl<'a, 'o> WriteSender<'a, 'o> {
    pub(super) fn new(writer: &'a Writer, observer: &'a mut ApplyObserver<'o>) -> Self {
        WriteSender {
            writer,
            observer: RefCell::new(observer),
            records: RefCell::default(),
            halted: RefCell::default(),
        }
    }

    /// Returns the reason why no further write may be sent, if there is one.
    pub(super) fn blocked_by(&self) -> Option<SkipReason> {
        let is_cancelled = self.writer.client().cancellation().is_cancelled();
        let halted = self.halted.borrow().clone();
        halted.or_else(|| is_cancelled.then_some(SkipReason::Stopped))
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
    pub(super) fn notify(&self, event: ApplyEvent<'_>) {
        let mut observer = self.observer.borrow_mut();
        if let Err(error) = (observer)(event) {
            self.halt(SkipReason::Unrecorded(format!("{error:#}")));
        }
    }

    /// Waits, unless the run is canceled first.
    pub(super) async fn pause(&self, length: Duration) -> Result<(), SkipReason> {
        let cancellation = self.writer.client().cancellation();
        let slept = cancellation.run_until_cancelled(sleep(length)).await;
        slept.ok_or(SkipReason::Stopped)
    }

    pub(super) fn record(&self, operation: OperationId) -> WriteRecord {
        let records = self.records.borrow();
        records.get(&operation).cloned().unwrap_or_default()
    }

    /// Sends an idempotent write, with retries, and runs a check before each attempt. If the outcome is unknown, the check decides whether
    /// the write was applied.
    pub(super) async fn send_idempotent<B>(
        &self,
        write: Write<'_>,
        check: impl AsyncFn(ReadAge) -> Result<Precheck<B>, Refusal>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> WriteResult,
    ) -> Outcome<Option<Integration>> {
        let unknown = match self.send(write, &check, call).await {
            Outcome::Unknown(unknown) if unknown.can_be_resolved() => unknown,
            outcome => return outcome,
        };
        let started = Instant::now();
        loop {
            match check(ReadAge::New).await {
                Ok(Precheck::AlreadyDone(done)) => return Outcome::Done(done),
                Ok(Precheck::Write(..)) if started.elapsed() < MIN_LOOKUP_TIME => {}
                Ok(Precheck::Write(..)) | Err(_) => return Outcome::Unknown(unknown),
            }
            if self.pause(LOOKUP_INTERVAL).await.is_err() {
                return Outcome::Unknown(unknown);
            }
        }
    }

    /// Sends a write, with retries, and runs a check before each attempt.
    pub(super) async fn send<B>(
        &self,
        write: Write<'_>,
        check: impl AsyncFn(ReadAge) -> Result<Precheck<B>, Refusal>,
        call: impl AsyncFn(&Writer, SendPermit<'_>, B) -> WriteResult,
    ) -> Outcome<Option<Integration>> {
        // Error of the first attempt that may have been applied. Only a later success resolves it.
        let mut unknown: Option<ApiError> = None;
        let client = self.writer.client();
        let mut attempts = Attempts::default();
        let mut age = ReadAge::Recent;
        let mut reads = 0;
        loop {
            let (body, read_at) = match check(age).await {
                Ok(Precheck::AlreadyDone(done)) => return Outcome::Done(done),
                Ok(Precheck::Write(body, read_at)) => (body, read_at),
                Err(Refusal::Skip(why)) => return not_sent(unknown, why),
                Err(Refusal::Failed(error)) => return self.failed(unknown, error),
            };
            if let Some(why) = self.blocked_by() {
                return not_sent(unknown, why);
            }
            let permit = match client.acquire_permit(&mut attempts).await {
                Ok(permit) => permit,
                Err(why) => return not_sent(unknown, why.into()),
            };
            reads += 1;
            if read_at.elapsed() > MAX_READ_AGE && reads < MAX_READS {
                age = ReadAge::Recent;
                continue;
            }
            let error = match self
                .send_once(write, permit, |writer, permit| call(writer, permit, body))
                .await
            {
                Ok(integration) => return Outcome::Done(integration),
                Err(Refusal::Skip(why)) => return not_sent(unknown, why),
                Err(Refusal::Failed(error)) => error,
            };
            if error.may_have_succeeded() {
                unknown.get_or_insert_with(|| error.clone());
            }
            match client.wait_before_retry(&mut attempts, &error).await {
                Ok(true) => {}
                Ok(false) => return self.failed(unknown, error),
                Err(why) => return not_sent(unknown, why.into()),
            }
            age = ReadAge::New;
            reads = 0;
        }
    }

    /// Returns the outcome of a write that is not retried after this error.
    fn failed<T>(&self, unknown: Option<ApiError>, error: ApiError) -> Outcome<T> {
        self.halt_after(&error);
        Outcome::Unknown(match unknown {
            None => return Outcome::Failed(error.into()),
            Some(_) if is_of_other_account(&error) => OperationError::unknown(error, None),
            Some(unknown) => OperationError::unknown(unknown, Some(error.to_string())),
        })
    }

    async fn send_once<'w, F: Future<Output = WriteResult>>(
        &'w self,
        write: Write<'_>,
        permit: SendPermit<'w>,
        call: impl FnOnce(&'w Writer, SendPermit<'w>) -> F,
    ) -> Result<Option<Integration>, Refusal> {
        let mut write = write;
        write.attempt = self.record(write.operation).sent + 1;
        if self.blocked_by().is_none() {
            self.notify(ApplyEvent::Sending(&write));
        }
        // The observer may have failed or canceled the run, also for a concurrent write.
        if let Some(reason) = self.blocked_by() {
            return Err(Refusal::Skip(reason));
        }
        self.update_record(write.operation, |record| record.sent += 1);
        let response = call(self.writer, permit).await;
        let ended = match &response {
            Ok(response) => Ok(&response.request_ids),
            Err(error) => Err(error),
        };
        self.update_record(write.operation, |record| {
            let is_rate_limited = |error: &ApiError| *error.kind() == ErrorKind::RateLimited;
            record.rate_limited += u32::from(ended.is_err_and(is_rate_limited));
            record.may_have_written |= ended.map_or_else(ApiError::may_have_succeeded, |_| true);
            record
                .request_ids
                .update_from(ended.unwrap_or_else(|error| &error.request_ids));
        });
        let integration = response.as_ref().ok().and_then(|one| one.value.as_ref());
        write.id = write.id.or(integration.map(|integration| integration.id));
        // If the observer fails, the write is still applied, but no further one is sent.
        self.notify(ApplyEvent::Responded(&write, ended));
        match response {
            Ok(response) => Ok(response.value),
            Err(error) => Err(Refusal::Failed(error)),
        }
    }

    fn update_record(&self, operation: OperationId, note: impl FnOnce(&mut WriteRecord)) {
        note(self.records.borrow_mut().entry(operation).or_default());
    }
}

/// Response to a write, with the integration that it created or updated.
pub(super) type WriteResult = Result<ApiResponse<Option<Integration>>, ApiError>;

/// Returns the outcome of a write that is not sent (again).
fn not_sent<T>(unknown: Option<ApiError>, reason: SkipReason) -> Outcome<T> {
    match unknown {
        Some(error) => {
            let then = (reason != SkipReason::Stopped).then(|| reason.to_string());
            Outcome::Unknown(OperationError::unknown(error, then))
        }
        None => Outcome::NotAttempted(reason),
    }
}

/// Returns true if no other write may be sent for the same reason: the token, a permission or the account.
fn affects_every_request(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Credentials
            | ErrorKind::CredentialsOrPermission
            | ErrorKind::Permission
            | ErrorKind::Entitlement
            | ErrorKind::UnknownRoute
            | ErrorKind::OtherAccount { .. }
    )
}

pub(super) fn is_of_other_account(error: &ApiError) -> bool {
    matches!(error.kind(), ErrorKind::OtherAccount { .. })
}
