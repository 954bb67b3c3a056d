//! Operations: the ordered API writes of a plan.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::address::Address;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings, DeclaredBehavior};
use crate::model::integration::{self, IntegrationId, IntegrationSettings, IntegrationType};
use crate::model::open_enum::{OpenEnum, string_enum};

/// A write request, the changes it makes, and the operations it depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(into = "OperationJson")]
#[cfg_attr(test, schemars(from = "OperationJson"))]
pub struct Operation {
    /// Number of the operation, starting at 1.
    pub id: OperationId,
    pub account_id: AccountId,
    pub call: OperationKind,
    /// Address of the change it makes (the first one if there are several).
    pub address: Address,
    /// Addresses of all changes it makes.
    pub addresses: Vec<Address>,
    /// Operations that must be done before.
    pub depends_on: Vec<OperationId>,
    /// Wave of the operation. A wave starts when the previous one has ended.
    pub wave: Wave,
    /// Result, after an apply.
    pub end: Option<OperationStatus>,
}

/// Result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationStatus {
    pub outcome: OperationOutcome,
    /// Integration created by the operation.
    pub result: Option<OperationResult>,
    /// `CF-Auditlog-Id` header of the response.
    pub audit_log_id: Option<String>,
    /// `CF-Ray` header of the response.
    pub cf_ray: Option<String>,
    /// Reason why the operation failed or was not attempted.
    pub error: Option<String>,
    /// Suggestion to fix the error.
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
                (
                    OperationKind::Create { .. }
                    | OperationKind::Update { .. }
                    | OperationKind::Delete { .. },
                    _,
                ) => Wave::Integrations,
            };
        }
    }
}

/// What a call does.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationKind {
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
        subject: IntegrationTarget,
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
pub enum IntegrationTarget {
    /// One that is live.
    Existing(IntegrationId),
    /// The one that this operation makes.
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

string_enum! {
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

impl OperationKind {
    /// The method of its request.
    pub fn method(&self) -> Method {
        match self {
            OperationKind::WriteBehaviors { .. } | OperationKind::Update { .. } => Method::Put,
            OperationKind::Create { .. } => Method::Post,
            OperationKind::Delete { .. } => Method::Delete,
        }
    }

    /// The path of its request, below the base URL. Where the id is yet to be made, it holds `{result:N}`.
    pub fn path(&self, account: &AccountId) -> String {
        match self {
            OperationKind::WriteBehaviors { .. } => behavior::path(account),
            OperationKind::Create { .. } => integration::collection_path(account),
            OperationKind::Update { subject, .. } => integration::path(account, subject),
            OperationKind::Delete { id } => integration::path(account, id),
        }
    }

    /// The body of its request, if it has one.
    pub fn body(&self) -> Option<Value> {
        match self {
            OperationKind::WriteBehaviors { complete, .. } => Some(behavior::write_body(complete)),
            OperationKind::Create { settings } => Some(settings.create_body()),
            OperationKind::Update { settings, .. } => Some(settings.update_body()),
            OperationKind::Delete { .. } => None,
        }
    }
}

/// A write request, the changes it makes, and the operations it depends on.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[cfg_attr(test, schemars(rename = "Operation"))]
struct OperationJson {
    /// Number of the operation, starting at 1.
    id: OperationId,
    method: Method,
    /// Path of the request. `{result:N}` is the ID of the integration that operation N creates.
    path: String,
    /// Body of the request.
    body: Option<Value>,
    /// Address of the change it makes (the first one if there are several).
    address: Address,
    /// Addresses of all changes it makes.
    addresses: Vec<Address>,
    /// Operations that must be done before.
    depends_on: Vec<OperationId>,
    /// Wave of the operation. A wave starts when the previous one has ended.
    wave: Wave,
    /// Write of behaviors only: the fields to merge into the live behaviors, which are read right before the write.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<BTreeMap<BehaviorKey, DeclaredBehavior>>,
    /// Update of an integration only: its type, which cannot be changed and is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_type: Option<OpenEnum<IntegrationType>>,
    /// After an apply: outcome of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OperationOutcome>,
    /// After an apply: integration created by the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<OperationResult>,
    /// After an apply: `CF-Auditlog-Id` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_log_id: Option<String>,
    /// After an apply: `CF-Ray` header of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    cf_ray: Option<String>,
    /// After an apply: reason why the operation failed or was not attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// After an apply: suggestion to fix the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl From<Operation> for OperationJson {
    fn from(operation: Operation) -> Self {
        let Operation {
            id,
            account_id,
            call,
            address,
            addresses,
            depends_on,
            wave,
            end,
        } = operation;
        let (method, path, body) = (call.method(), call.path(&account_id), call.body());
        let (declared, integration_type) = match call {
            OperationKind::WriteBehaviors { declared, .. } => (Some(declared), None),
            OperationKind::Update { settings, .. } => (None, Some(settings.integration_type)),
            OperationKind::Create { .. } | OperationKind::Delete { .. } => (None, None),
        };
        let mut shape = OperationJson {
            id,
            method,
            path,
            body,
            address,
            addresses,
            depends_on,
            wave,
            declared,
            integration_type,
            outcome: None,
            result: None,
            audit_log_id: None,
            cf_ray: None,
            error: None,
            help: None,
        };
        if let Some(end) = end {
            let OperationStatus {
                outcome,
                result,
                audit_log_id,
                cf_ray,
                error,
                help,
            } = end;
            shape.outcome = Some(outcome);
            shape.result = result;
            shape.audit_log_id = audit_log_id;
            shape.cf_ray = cf_ray;
            shape.error = error;
            shape.help = help;
        }
        shape
    }
}
