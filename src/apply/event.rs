//! Events of a running apply, for progress and for the audit log, which must be on disk before a write is sent.

use crate::api::{ApiError, RequestIds};
use crate::plan::Operation;

use super::result::{OperationError, Outcome};
use super::write_sender::{Write, WriteEvent, WriteObserver};

/// Callback for events. If it fails, for example on [`ApplyEvent::Sending`], no further write is sent.
pub type ApplyObserver<'o> = dyn FnMut(ApplyEvent<'_>) -> anyhow::Result<()> + Send + 'o;

/// Event of a running apply.
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
    /// Verification starts.
    Verifying,
}

/// Passes write events to an [`ApplyObserver`].
pub(super) struct ObserverAdapter<'a, 'o>(pub(super) &'a mut ApplyObserver<'o>);

impl WriteObserver for ObserverAdapter<'_, '_> {
    fn on_event(&mut self, write: &Write<'_>, call: WriteEvent<'_>) -> anyhow::Result<()> {
        (self.0)(match call {
            WriteEvent::Sending => ApplyEvent::Sending(write),
            WriteEvent::Finished(outcome) => ApplyEvent::Responded(write, outcome),
        })
    }
}
