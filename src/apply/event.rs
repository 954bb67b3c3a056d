//! What an application tells while it goes on: for progress, and for the audit trail that must be on disk before a call is sent.

use crate::api::{ApiError, RequestIds};
use crate::plan::Operation;

use super::result::{OperationError, Outcome};
use super::write_sender::{Write, WriteEvent, WriteObserver};

/// Is told of every event. Where it fails on [`ApplyEvent::Sending`], the call is not sent, and no other is.
pub type ApplyObserver<'o> = dyn FnMut(ApplyEvent<'_>) -> anyhow::Result<()> + Send + 'o;

/// One thing that happened.
#[derive(Debug)]
pub enum ApplyEvent<'a> {
    /// An operation begins. Several may be under way.
    Started { operation: &'a Operation },
    /// A writing call is about to be sent.
    Sending(&'a Write<'a>),
    /// A writing call ended.
    Answered(&'a Write<'a>, Result<&'a RequestIds, &'a ApiError>),
    /// A creation ended ambiguously, with this failure, and what it may have made is looked for.
    LookingForCreated {
        operation: &'a Operation,
        failure: &'a OperationError,
    },
    /// An operation is over.
    Finished {
        operation: &'a Operation,
        outcome: &'a Outcome,
    },
    /// The account is read, to see that what was applied is there.
    ReadingBack,
}

/// An observer as what every write is told to.
pub(super) struct ObserverAdapter<'a, 'o>(pub(super) &'a mut ApplyObserver<'o>);

impl WriteObserver for ObserverAdapter<'_, '_> {
    fn tell(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()> {
        (self.0)(match call {
            WriteEvent::Leaves => ApplyEvent::Sending(write),
            WriteEvent::Ended(outcome) => ApplyEvent::Answered(write, outcome),
        })
    }
}
