//! What an application tells while it goes on: for progress, and for the audit trail that must be on disk before a call is sent.

use crate::api::ApiError;
use crate::model::integration::IntegrationId;
use crate::model::open_word::words;
use crate::plan::Operation;

use super::outcome::Outcome;

/// Is told of every event. Where it fails on [`Event::Sending`], the call is not sent, and no other is.
pub type Observe<'o> = dyn FnMut(Event<'_>) -> anyhow::Result<()> + Send + 'o;

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// An operation begins.
    Started {
        /// Which one.
        operation: &'a Operation,
    },
    /// A writing call is about to be sent.
    Sending {
        /// The operation that it serves.
        operation: &'a Operation,
        /// What it does.
        deed: Deed,
        /// The integration that it is about, where that has an id already.
        id: Option<IntegrationId>,
    },
    /// A writing call ended.
    Answered {
        /// The operation that it served.
        operation: &'a Operation,
        /// What it did.
        deed: Deed,
        /// The integration that it was about.
        id: Option<IntegrationId>,
        /// The answer's `Cf-Auditlog-Id`, or how it failed.
        outcome: Result<Option<&'a str>, &'a ApiError>,
    },
    /// A creation ended ambiguously, and what it may have made is looked for.
    LookingForCreated {
        /// The creation.
        operation: &'a Operation,
    },
    /// An operation is over.
    Finished {
        /// Which one.
        operation: &'a Operation,
        /// How it ended.
        outcome: &'a Outcome,
    },
    /// The account is read, to see that what was applied is there.
    ReadingBack,
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
    }
}
