//! Operations: the ordered API writes of a plan.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::address::Address;
use crate::model::behavior::{self, BehaviorKey};
use crate::model::field::Fields;
use crate::model::integration::{self, IntegrationId};
use crate::model::open_enum::string_enum;

use super::change::Change;

/// A write request, the changes it makes, and the operations it depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Operation {
    /// Number of the operation, starting at 1.
    pub id: OperationId,
    #[serde(flatten)]
    pub request: RequestSummary,
    #[serde(skip)]
    pub call: OperationKind,
    /// Differences that it makes, for the audit log of an apply. A change may take several operations, e.g. with a placeholder value.
    #[serde(skip)]
    pub effects: Vec<Change>,
    /// Address of the change it makes (the first one if there are several).
    pub address: Address,
    /// Addresses of all changes it makes.
    pub addresses: Vec<Address>,
    /// Operations that must be done before.
    pub depends_on: Vec<OperationId>,
    /// Wave of the operation. A wave starts when the previous one has ended.
    pub wave: Wave,
    /// Result, after an apply.
    #[serde(flatten)]
    pub end: Option<OperationStatus>,
}

impl Operation {
    /// Returns the outcome after an apply.
    pub fn outcome(&self) -> Option<OperationOutcome> {
        self.end.as_ref().map(|end| end.outcome)
    }
}

/// The request of an operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct RequestSummary {
    /// HTTP method.
    pub method: &'static str,
    /// Path of the request. `{result:N}` is the ID of the integration that operation N creates.
    pub path: String,
    /// Body of the request.
    pub body: Option<Value>,
}

/// Result of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct OperationStatus {
    pub outcome: OperationOutcome,
    /// Integration created by the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<OperationResult>,
    /// `CF-Auditlog-Id` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_log_id: Option<String>,
    /// `CF-Ray` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cf_ray: Option<String>,
    /// Reason why the operation failed or was not attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Suggestion to fix the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

string_enum! {
    /// Outcome of an operation.
    OperationOutcome {
        /// Succeeded.
        Done = "done",
        /// Failed without a change.
        Failed = "failed",
        /// Sent, but the result is unknown.
        Unknown = "unknown",
        /// Not attempted.
        NotAttempted = "not_attempted",
    }
}

/// Integration created by an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct OperationResult {
    pub id: IntegrationId,
    /// URL to enter in Okta's shared-signals settings.
    pub well_known_url: String,
}

/// Number of an operation within the plan of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(transparent)]
pub struct OperationId(pub u32);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

string_enum! {
    /// Group of operations. Waves run one after the other.
    Wave {
        /// Writes all behaviors with one request.
        Behaviors = "behaviors",
        /// Creates, updates and replaces declared integrations, and deletes those that block them.
        Integrations = "integrations",
        /// Deletes unlisted integrations. Not attempted unless all operations on integrations before are done, so that a failed create
        /// never leaves an account without an integration.
        Cleanup = "cleanup",
    }
}

impl Wave {
    /// Sets the wave of each operation of a list.
    pub(super) fn assign(operations: &mut [Operation]) {
        let needed: HashSet<OperationId> = operations
            .iter()
            .flat_map(|operation| operation.depends_on.iter().copied())
            .collect();
        for operation in operations {
            operation.wave = match (&operation.call, &operation.address) {
                (OperationKind::WriteBehaviors { .. }, _) => Wave::Behaviors,
                (OperationKind::Delete { .. }, Address::UnlistedIntegration(_))
                    if !needed.contains(&operation.id) =>
                {
                    Wave::Cleanup
                }
                _ => Wave::Integrations,
            };
        }
    }
}

/// The write of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationKind {
    /// Writes all behaviors at once.
    WriteBehaviors {
        /// Fields to merge into the live map, which is read right before the write.
        declared: BTreeMap<BehaviorKey, Fields>,
        /// The complete map to write if nothing changes since the plan.
        complete: BTreeMap<BehaviorKey, Fields>,
    },
    /// Creates an integration, which is always active.
    Create { fields: Fields },
    /// Overwrites an integration.
    Update {
        subject: IntegrationTarget,
        fields: Fields,
    },
    /// Deletes an integration.
    Delete { id: IntegrationId },
}

/// Integration of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntegrationTarget {
    /// A live integration.
    Existing(IntegrationId),
    /// The integration that this operation creates.
    CreatedBy(OperationId),
}

impl fmt::Display for IntegrationTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntegrationTarget::Existing(id) => id.fmt(f),
            IntegrationTarget::CreatedBy(operation) => write!(f, "{{result:{operation}}}"),
        }
    }
}

impl OperationKind {
    /// Returns the request. The path of an integration that does not exist yet has `{result:N}` in place of the ID.
    pub(super) fn request(&self, account: &AccountId) -> RequestSummary {
        let (method, path, body) = match self {
            OperationKind::WriteBehaviors { complete, .. } => {
                let body = behavior::write_body(complete);
                ("PUT", behavior::path(account), Some(body))
            }
            OperationKind::Create { fields } => {
                let path = integration::collection_path(account);
                ("POST", path, Some(fields.create_body()))
            }
            OperationKind::Update { subject, fields } => {
                let path = integration::path(account, subject);
                ("PUT", path, Some(fields.update_body()))
            }
            OperationKind::Delete { id } => ("DELETE", integration::path(account, id), None),
        };
        RequestSummary { method, path, body }
    }
}
