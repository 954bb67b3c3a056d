//! Sends all writes, with retries, and records them.
//!
//! The observer is called before each write; if it fails, the write is not sent. The outcome is recorded when the write ends, so a later
//! failed read cannot hide a change. After cancellation, every wait ends and no more writes are sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::{ApiError, Attempts, ErrorKind, RequestIds, SendPermit, WriteRequest, Writer};
use crate::model::account::AccountId;
use crate::model::field::{Field, Fields, Kind};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_enum::string_enum;
use crate::plan::{Operation, OperationId, field_changes};

use super::result::{
    OperationError, OperationReport, Outcome, ResetResult, SkipReason, is_of_other_account,
    not_as_sent,
};

/// Maximum age of the read that a write is based on.
pub(super) const MAX_READ_AGE: Duration = Duration::from_secs(10);
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
    /// A write will be sent next.
    Sending(&'a Write),
    /// A write ended.
    Responded(&'a Write, Result<&'a RequestIds, &'a ApiError>),
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
#[derive(Clone, Debug)]
pub struct Write {
    /// Operation of the plan.
    pub operation: OperationId,
    /// Changed addresses, separated by commas.
    pub addresses: String,
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
    /// True if a write was or may have been applied.
    pub(super) may_have_written: bool,
    /// Request IDs of the last response.
    pub(super) request_ids: RequestIds,
    /// ID of the integration in the last 2xx response.
    pub(super) responded: Option<IntegrationId>,
}

/// Required age of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadAge {
    /// At most [`MAX_READ_AGE`].
    Recent,
    /// Started after the call.
    New,
}

/// Result of a check immediately before a write.
pub(super) enum Precheck {
    /// Write this. The read that it is based on started at this time.
    Write(WriteRequest, Instant),
    /// The result already exists. Contains the integration of a create.
    AlreadyDone(Option<Integration>),
}

/// Sends the writes of one account.
pub(super) struct WriteSender<'a, 'o> {
    writer: &'a Writer,
    account: &'a AccountId,
    /// True if the server is known to keep references.
    keeps_references: bool,
    observer: RefCell<&'a mut ApplyObserver<'o>>,
    records: RefCell<BTreeMap<OperationId, WriteRecord>>,
    /// Reason why no further write is sent; set once.
    halted: RefCell<Option<SkipReason>>,
}

impl<'a, 'o> WriteSender<'a, 'o> {
    pub(super) fn new(
        writer: &'a Writer,
        account: &'a AccountId,
        keeps_references: bool,
        observer: &'a mut ApplyObserver<'o>,
    ) -> Self {
        WriteSender {
            writer,
            account,
            keeps_references,
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

    /// Returns the report of an operation with this outcome.
    pub(super) fn report(&self, operation: OperationId, outcome: Outcome) -> OperationReport {
        let record = self.record(operation);
        OperationReport {
            operation,
            attempts: record.sent - record.rate_limited,
            wrote: record.may_have_written || matches!(outcome, Outcome::Unknown(_)),
            outcome,
            request_ids: record.request_ids,
        }
    }

    /// Describes how live settings differ from those sent. A reference is not compared if none was sent, or if the server keeps none.
    pub(super) fn mismatch(&self, live: &Fields, sent: &Fields) -> Option<String> {
        let is_kept = live.reference_id().is_some() || self.keeps_references;
        let mut fields = field_changes(Kind::Integration, Some(live), Some(sent));
        fields.retain(|change| {
            change.field != Field::ReferenceId || sent.reference_id().is_some() && is_kept
        });
        (!fields.is_empty()).then(|| not_as_sent(&fields))
    }

    /// Sends an idempotent write, with retries, and runs a check before each attempt. If the outcome is unknown, the check decides whether
    /// the write was applied.
    pub(super) async fn send_idempotent(
        &self,
        write: Write,
        check: impl AsyncFn(ReadAge) -> Result<Precheck, Outcome>,
    ) -> Result<Option<Integration>, Outcome> {
        let unknown = match self.send(write, &check).await {
            Err(Outcome::Unknown(unknown)) if unknown.can_be_resolved() => unknown,
            sent => return sent,
        };
        let started = Instant::now();
        loop {
            let is_late = started.elapsed() >= MIN_LOOKUP_TIME;
            match check(ReadAge::New).await {
                Ok(Precheck::AlreadyDone(done)) => return Ok(done),
                Ok(Precheck::Write(..)) if !is_late => {}
                Ok(Precheck::Write(..)) | Err(_) => return Err(Outcome::Unknown(unknown)),
            }
            if self.pause(LOOKUP_INTERVAL).await.is_err() {
                return Err(Outcome::Unknown(unknown));
            }
        }
    }

    /// Sends a write, with retries, and runs a check before each attempt.
    pub(super) async fn send(
        &self,
        mut write: Write,
        check: &impl AsyncFn(ReadAge) -> Result<Precheck, Outcome>,
    ) -> Result<Option<Integration>, Outcome> {
        let client = self.writer.client();
        // Error of the first attempt that may have been applied. Only a later success resolves it.
        let mut unknown: Option<ApiError> = None;
        let mut attempts = Attempts::default();
        let (mut age, mut reads) = (ReadAge::Recent, 0);
        loop {
            let (request, read_at) = match check(age).await {
                Ok(Precheck::AlreadyDone(done)) => return Ok(done),
                Ok(Precheck::Write(request, read_at)) => (request, read_at),
                Err(outcome) => return Err(self.ended(unknown, outcome)),
            };
            if let Some(why) = self.blocked_by() {
                return Err(self.ended(unknown, why.into()));
            }
            let permit = match client.acquire_permit(&mut attempts).await {
                Ok(permit) => permit,
                Err(why) => return Err(self.ended(unknown, SkipReason::from(why).into())),
            };
            reads += 1;
            if read_at.elapsed() > MAX_READ_AGE && reads < MAX_READS {
                age = ReadAge::Recent;
                continue;
            }
            let error = match self.send_once(&mut write, permit, &request).await {
                Ok(integration) => return Ok(integration),
                Err(Outcome::Failed(OperationError::Api(error))) => error,
                Err(outcome) => return Err(self.ended(unknown, outcome)),
            };
            if error.may_have_succeeded() {
                unknown.get_or_insert_with(|| error.clone());
            }
            match client.wait_before_retry(&mut attempts, &error).await {
                Ok(true) => {}
                Ok(false) => return Err(self.ended(unknown, Outcome::Failed(error.into()))),
                Err(why) => return Err(self.ended(unknown, SkipReason::from(why).into())),
            }
            (age, reads) = (ReadAge::New, 0);
        }
    }

    /// Returns the outcome of a write that ends like this. `unknown` is an earlier attempt that may have been applied.
    fn ended(&self, unknown: Option<ApiError>, outcome: Outcome) -> Outcome {
        if let Outcome::Failed(OperationError::Api(error)) = &outcome {
            self.halt_after(error);
        }
        let Some(unknown) = unknown else {
            return outcome;
        };
        let then = match outcome {
            Outcome::Failed(OperationError::Api(error)) if is_of_other_account(&error) => {
                return Outcome::Unknown(OperationError::unknown(error, None));
            }
            Outcome::Failed(error) | Outcome::Unknown(error) => Some(error.to_string()),
            Outcome::NotAttempted(SkipReason::Stopped) | Outcome::Done(_) => None,
            Outcome::NotAttempted(reason) => Some(reason.to_string()),
        };
        Outcome::Unknown(OperationError::unknown(unknown, then))
    }

    async fn send_once(
        &self,
        write: &mut Write,
        permit: SendPermit,
        request: &WriteRequest,
    ) -> Result<Option<Integration>, Outcome> {
        write.attempt = self.record(write.operation).sent + 1;
        if self.blocked_by().is_none() {
            self.notify(ApplyEvent::Sending(write));
        }
        // The observer may have failed or canceled the run, also for a concurrent write.
        if let Some(reason) = self.blocked_by() {
            return Err(reason.into());
        }
        self.update_record(write.operation, |record| record.sent += 1);
        let mismatch = |live: &Fields, sent: &Fields| self.mismatch(live, sent);
        let response = self.writer.send(permit, self.account, request, mismatch);
        let response = response.await;
        let created = response
            .as_ref()
            .ok()
            .and_then(|response| response.value.as_ref());
        let created = created.map(|integration| integration.id);
        let ended = response.as_ref().map(|response| &response.request_ids);
        self.update_record(write.operation, |record| {
            let is_rate_limited = |error: &ApiError| error.kind == ErrorKind::RateLimited;
            record.rate_limited += u32::from(ended.is_err_and(is_rate_limited));
            record.may_have_written |= ended.map_or_else(ApiError::may_have_succeeded, |_| true);
            record
                .request_ids
                .update_from(ended.unwrap_or_else(|error| &error.request_ids));
            record.responded = created.or(record.responded);
        });
        let sent = Write {
            id: write.id.or(created),
            ..write.clone()
        };
        // If the observer fails, the write is still applied, but no further one is sent.
        self.notify(ApplyEvent::Responded(&sent, ended));
        match response {
            Ok(response) => Ok(response.value),
            Err(error) => Err(Outcome::Failed(error.into())),
        }
    }

    fn update_record(&self, operation: OperationId, note: impl FnOnce(&mut WriteRecord)) {
        note(self.records.borrow_mut().entry(operation).or_default());
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
