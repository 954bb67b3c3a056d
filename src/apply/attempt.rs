//! The only place that sends writes, waits before it sends them again, and knows what was sent.
//!
//! A write is told before it leaves, and is not sent where it can't be told. What it ended with is recorded as it ends, never guessed from
//! the last error afterwards: a read that fails later can't hide that something was written. A stop ends every wait; nothing leaves after it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::api::{Answer, ApiError, ErrorKind, Leave, Repeat, Stop, Stopped, Trace, Writer};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_word::words;
use crate::plan::OperationId;

use super::outcome::{Failure, NotAttempted, Outcome};

/// Is told of each write before it leaves and once it has ended. Where it fails on [`Call::Leaves`], the write is not sent, and no other.
pub(super) trait Witness {
    fn tell(&mut self, write: &Write<'_>, call: Call<'_>) -> anyhow::Result<()>;
}

/// What becomes of one write.
pub(super) enum Call<'a> {
    /// It is about to be sent.
    Leaves,
    /// It ended.
    Ended(Result<&'a Trace, &'a ApiError>),
}

/// One write, as it is told and written down.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The operation that it serves.
    pub operation: OperationId,
    /// What that changes: one or more addresses.
    pub addresses: &'a str,
    pub deed: Deed,
    /// The integration that it is about, where that has an id already.
    pub id: Option<IntegrationId>,
    /// Which of the operation's writes it is, from 1.
    pub attempt: u32,
}

words! {
    /// What a writing call does.
    Deed {
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
pub(super) struct Record {
    /// How many were sent.
    pub(super) sent: u32,
    /// Whether one of them was carried out, or may have been.
    pub(super) wrote: bool,
    /// How to find the last one again that had an answer.
    pub(super) trace: Trace,
}

/// How a write ended once repeating could not help any more.
pub(super) enum Sent<T> {
    Done(T),
    /// It was refused or never arrived: nothing happened.
    Failed(Failure),
    /// It may have been carried out.
    Unknown(Failure),
    /// It never left.
    Withheld(NotAttempted),
}

impl From<Sent<()>> for Outcome {
    fn from(sent: Sent<()>) -> Self {
        match sent {
            Sent::Done(()) => Outcome::Done(None),
            Sent::Failed(failure) => Outcome::Failed(failure),
            Sent::Unknown(failure) => Outcome::Unknown(failure),
            Sent::Withheld(why) => Outcome::NotAttempted(why),
        }
    }
}

/// What an answer may name: the integration that a creation made.
pub(super) trait Names {
    fn id(&self) -> Option<IntegrationId>;
}

impl Names for () {
    fn id(&self) -> Option<IntegrationId> {
        None
    }
}

impl Names for Integration {
    fn id(&self) -> Option<IntegrationId> {
        Some(self.id)
    }
}

/// What a look right before a write found.
pub(super) enum Look<B, T> {
    /// This is to be written.
    Write(B),
    /// There is nothing left to write.
    Settled(T),
}

/// Everything that one account's writes go through.
pub(super) struct Attempts<'a, W> {
    writer: &'a Writer,
    witness: RefCell<W>,
    records: RefCell<BTreeMap<OperationId, Record>>,
    /// Set once the witness has failed: what can't be recorded is not done.
    unrecorded: RefCell<Option<String>>,
}

impl<'a, W: Witness> Attempts<'a, W> {
    pub(super) fn new(writer: &'a Writer, witness: W) -> Self {
        Attempts {
            writer,
            witness: RefCell::new(witness),
            records: RefCell::default(),
            unrecorded: RefCell::default(),
        }
    }

    pub(super) fn stop(&self) -> &'a Stop {
        self.writer.stop()
    }

    /// Why nothing may be started any more, if so.
    pub(super) fn obstacle(&self) -> Option<NotAttempted> {
        let unrecorded = self.unrecorded.borrow().clone();
        let stopped = || self.stop().is_requested().then_some(NotAttempted::Stopped);
        unrecorded.map(NotAttempted::Unrecorded).or_else(stopped)
    }

    /// Uses the witness for something else than a write; where that fails, no other write is sent.
    pub(super) fn witness(&self, tell: impl FnOnce(&mut W) -> anyhow::Result<()>) {
        if let Err(error) = tell(&mut self.witness.borrow_mut()) {
            *self.unrecorded.borrow_mut() = Some(format!("{error:#}"));
        }
    }

    pub(super) fn record(&self, operation: OperationId) -> Record {
        let records = self.records.borrow();
        records.get(&operation).cloned().unwrap_or_default()
    }

    /// Sends a write, again where that may help.
    pub(super) async fn send<T: Names>(
        &self,
        write: Write<'_>,
        call: impl AsyncFn(&Writer, Leave<'_>) -> Result<Answer<T>, ApiError>,
    ) -> Sent<T> {
        let look = async || Ok(Look::Write(()));
        self.look_and_send(
            write,
            look,
            async |writer: &Writer, leave: Leave<'_>, ()| call(writer, leave).await,
        )
        .await
    }

    /// The same, with a look before each time that it is sent.
    pub(super) async fn look_and_send<B, T: Names>(
        &self,
        write: Write<'_>,
        look: impl AsyncFn() -> Result<Look<B, T>, Failure>,
        call: impl AsyncFn(&Writer, Leave<'_>, B) -> Result<Answer<T>, ApiError>,
    ) -> Sent<T> {
        // The first write that may have been carried out; whatever follows, only a success makes it known.
        let mut unknown: Option<ApiError> = None;
        let mut attempt = 1;
        loop {
            let body = match look().await {
                Ok(Look::Settled(value)) => return Sent::Done(value),
                Ok(Look::Write(body)) => body,
                Err(failure) => return end(unknown, failure),
            };
            let error = match self
                .once(write, |writer, leave| call(writer, leave, body))
                .await
            {
                Ok(value) => return Sent::Done(value),
                Err(Once::NotSent(why)) => {
                    return match unknown {
                        Some(error) => Sent::Unknown(Failure::unknown(error, None)),
                        None => Sent::Withheld(why),
                    };
                }
                Err(Once::Failed(error)) => error,
            };
            if error.is_ambiguous() {
                unknown.get_or_insert_with(|| error.clone());
            }
            match self.writer.wait_to_repeat(attempt, &error).await {
                Repeat::Now => attempt += 1,
                Repeat::No => return end(unknown, Failure::Api(error)),
                Repeat::Stopped => {
                    return match unknown {
                        Some(error) => Sent::Unknown(Failure::unknown(error, None)),
                        None => Sent::Withheld(NotAttempted::Stopped),
                    };
                }
            }
        }
    }

    async fn once<'w, T: Names, F: Future<Output = Result<Answer<T>, ApiError>>>(
        &'w self,
        write: Write<'_>,
        call: impl FnOnce(&'w Writer, Leave<'w>) -> F,
    ) -> Result<T, Once> {
        let not_sent = |why| Err(Once::NotSent(why));
        if let Some(why) = self.obstacle() {
            return not_sent(why);
        }
        let Ok(leave) = self.writer.leave().await else {
            return not_sent(NotAttempted::Stopped);
        };
        let write = Write {
            attempt: self.record(write.operation).sent + 1,
            ..write
        };
        self.witness(|witness| witness.tell(&write, Call::Leaves));
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
            record.wrote |= ended.map_or_else(ApiError::is_ambiguous, |_| true);
            record.trace.keep(ended.unwrap_or_else(ApiError::trace));
        });
        let named = answer.as_ref().ok().and_then(|answer| answer.value.id());
        let write = Write {
            id: write.id.or(named),
            ..write
        };
        // A write that was made stays made even where its end can't be told; that stops what would come next.
        self.witness(|witness| witness.tell(&write, Call::Ended(ended)));
        match answer {
            Ok(answer) => Ok(answer.value),
            Err(error) => Err(Once::Failed(error)),
        }
    }

    fn note(&self, operation: OperationId, note: impl FnOnce(&mut Record)) {
        note(self.records.borrow_mut().entry(operation).or_default());
    }
}

/// Why a write that was tried once brought nothing.
enum Once {
    NotSent(NotAttempted),
    Failed(ApiError),
}

/// How a write ends that failed for good.
fn end<T>(unknown: Option<ApiError>, failure: Failure) -> Sent<T> {
    let stopped = matches!(failure.api_error(), Some(error) if *error.kind() == ErrorKind::Stopped);
    match unknown {
        Some(error) => Sent::Unknown(Failure::unknown(error, (!stopped).then_some(failure))),
        None if stopped => Sent::Withheld(NotAttempted::Stopped),
        None => Sent::Failed(failure),
    }
}

/// Waits, unless a stop comes first.
pub(super) async fn pause(stop: &Stop, length: std::time::Duration) -> Result<(), Stopped> {
    stop.or(tokio::time::sleep(length)).await
}
