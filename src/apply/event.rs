//! What an application tells while it goes on: for progress, and for the audit trail that must be on disk before a call is sent.

use crate::api::{ApiError, Trace};
use crate::plan::Operation;

use super::attempt::{Call, Witness, Write};
use super::outcome::{Failure, Outcome};

/// Is told of every event. Where it fails on [`Event::Sending`], the call is not sent, and no other is.
pub type Observe<'o> = dyn FnMut(Event<'_>) -> anyhow::Result<()> + Send + 'o;

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// An operation begins. Several may be under way.
    Started { operation: &'a Operation },
    /// A writing call is about to be sent.
    Sending(&'a Write<'a>),
    /// A writing call ended.
    Answered(&'a Write<'a>, Result<&'a Trace, &'a ApiError>),
    /// A creation ended ambiguously, with this failure, and what it may have made is looked for.
    LookingForCreated {
        operation: &'a Operation,
        failure: &'a Failure,
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
pub(super) struct Observer<'a, 'o>(pub(super) &'a mut Observe<'o>);

impl Witness for Observer<'_, '_> {
    fn tell(&mut self, write: &Write<'_>, call: Call<'_>) -> anyhow::Result<()> {
        (self.0)(match call {
            Call::Leaves => Event::Sending(write),
            Call::Ended(outcome) => Event::Answered(write, outcome),
        })
    }
}
