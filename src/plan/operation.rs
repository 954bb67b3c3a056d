//! One call of the ordered list that a plan carries out.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::address::Address;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings, DeclaredBehavior};
use crate::model::integration::{self, IntegrationId, IntegrationSettings};
use crate::model::open_word::words;

/// One call, the changes that it carries, and the calls that must have succeeded before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its number in the list, from 1.
    pub id: OperationId,
    /// The call.
    pub call: Call,
    /// The change that it carries; the first of them, for the one write of all behaviors.
    pub address: Address,
    /// Every change that it carries.
    pub covers: Vec<Address>,
    /// The operations without which it must not be tried.
    pub needs: Vec<OperationId>,
    /// When it goes out: a wave starts when the one before has ended.
    pub wave: Wave,
}

/// The number of an operation within its account's plan.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct OperationId(pub u32);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// The three stretches of an account's work.
    Wave {
        /// The one write of all behaviors.
        Behaviors = "behaviors",
        /// What the entries of the file need, and the deletion of what stands in their way.
        Entries = "entries",
        /// The deletion of what no file lists. Not attempted unless everything of integrations before it is done, so that exporting never
        /// ends because its successor failed.
        Unlisted = "unlisted",
    }
}

impl Wave {
    /// Sets the wave of each operation of a list.
    pub(super) fn assign(operations: &mut [Operation]) {
        let needed: HashSet<OperationId> = operations
            .iter()
            .flat_map(|operation| operation.needs.iter().copied())
            .collect();
        for operation in operations {
            operation.wave = match (&operation.call, &operation.address) {
                (Call::WriteBehaviors { .. }, _) => Wave::Behaviors,
                (Call::Delete { .. }, Address::UnlistedIntegration(_))
                    if !needed.contains(&operation.id) =>
                {
                    Wave::Unlisted
                }
                (Call::Create { .. } | Call::Update { .. } | Call::Delete { .. }, _) => {
                    Wave::Entries
                }
            };
        }
    }
}

/// What a call does.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Writes all behaviors at once.
    WriteBehaviors {
        /// What is laid over the live map, which is read anew right before the write.
        declared: BTreeMap<BehaviorKey, DeclaredBehavior>,
        /// The complete map as it would be written if nothing moved meanwhile.
        complete: BTreeMap<BehaviorKey, BehaviorSettings>,
    },
    /// Creates an integration; it is active, whatever the settings say.
    Create {
        /// How it should be.
        settings: IntegrationSettings,
    },
    /// Overwrites an integration.
    Update {
        /// Which one.
        subject: Subject,
        /// How it should be.
        settings: IntegrationSettings,
    },
    /// Deletes an integration.
    Delete {
        /// Which one.
        id: IntegrationId,
    },
}

/// Which integration a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One that is live.
    Live(IntegrationId),
    /// The one that this operation makes.
    MadeBy(OperationId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Live(id) => id.fmt(f),
            Subject::MadeBy(operation) => write!(f, "{{result:{operation}}}"),
        }
    }
}

words! {
    /// The HTTP methods that write.
    Method {
        /// `POST`
        Post = "POST",
        /// `PUT`
        Put = "PUT",
        /// `DELETE`
        Delete = "DELETE",
    }
}

impl Call {
    /// The method of its request.
    pub fn method(&self) -> Method {
        match self {
            Call::WriteBehaviors { .. } | Call::Update { .. } => Method::Put,
            Call::Create { .. } => Method::Post,
            Call::Delete { .. } => Method::Delete,
        }
    }

    /// The path of its request, below the base URL. Where the id is yet to be made, it holds `{result:N}`.
    pub fn path(&self, account: &AccountId) -> String {
        match self {
            Call::WriteBehaviors { .. } => behavior::path(account),
            Call::Create { .. } => integration::collection_path(account),
            Call::Update { subject, .. } => integration::path(account, subject),
            Call::Delete { id } => integration::path(account, id),
        }
    }

    /// The body of its request, if it has one.
    pub fn body(&self) -> Option<Value> {
        match self {
            Call::WriteBehaviors { complete, .. } => Some(behavior::write_body(complete)),
            Call::Create { settings } => Some(settings.create_body()),
            Call::Update { settings, .. } => Some(settings.update_body()),
            Call::Delete { .. } => None,
        }
    }
}
