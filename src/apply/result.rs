//! The result of applying a plan: operation outcomes, duplicates and verification.

use std::collections::BTreeSet;

use crate::api::{ApiError, RequestIds};
use crate::model::address::Address;
use crate::model::integration::{IntegrationId, IntegrationSettings, ReferenceId};
use crate::plan::{AccountPlan, Action, Change, FieldChange, Note, OperationId, PlanError};

use super::write_sender::is_of_other_account;

/// Result of applying one account's plan.
#[derive(Debug)]
pub struct ApplyResult {
    /// Operation reports, in the plan's order.
    pub executed: Vec<OperationReport>,
    /// Additional facts.
    pub notes: Vec<Note>,
    /// Integrations that were deleted for a replacement that was not created.
    pub lost: Vec<FailedReplacement>,
    /// Duplicates of created integrations that this run may not delete.
    pub twins: Vec<Duplicate>,
    /// Created integrations that no list shows.
    pub unseen: Vec<UnseenCreate>,
    pub read_back: Verification,
}

impl ApplyResult {
    /// Returns the addresses with all operations done, for which a new plan must be empty.
    pub fn completed_addresses(&self, plan: &AccountPlan) -> BTreeSet<Address> {
        let mut settled = BTreeSet::new();
        let mut unsettled = BTreeSet::new();
        for (operation, executed) in plan.operations.iter().zip(&self.executed) {
            let addresses = operation.addresses.iter().cloned();
            match executed.outcome {
                Outcome::Done(_) => settled.extend(addresses),
                Outcome::Failed(_) | Outcome::Unknown(_) | Outcome::NotAttempted(_) => {
                    unsettled.extend(addresses);
                }
            }
        }
        &settled - &unsettled
    }

    /// Returns problems other than failed operations, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let lost = self.lost.iter().map(ToString::to_string);
        let twins = self.twins.iter().map(ToString::to_string);
        let unseen = self.unseen.iter().map(ToString::to_string);
        let found = lost.chain(twins).chain(unseen);
        found.chain(self.read_back.problems()).collect()
    }

    /// Returns the error of the first failed operation.
    pub fn first_failure(&self) -> Option<&OperationError> {
        self.executed
            .iter()
            .find_map(|executed| match &executed.outcome {
                Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure),
                Outcome::Done(_) | Outcome::NotAttempted(_) => None,
            })
    }

    /// Returns true if an operation was not attempted because the live account changed since the plan.
    pub fn is_stale(&self) -> bool {
        let mut executed = self.executed.iter();
        executed.any(|executed| {
            matches!(
                executed.outcome,
                Outcome::NotAttempted(SkipReason::Changed(_) | SkipReason::Unsettled(_))
            )
        })
    }

    /// Returns true if a write was or may have been applied.
    pub fn wrote_anything(&self) -> bool {
        self.executed.iter().any(|executed| executed.wrote)
    }

    /// Returns true if a write was sent.
    pub fn sent_anything(&self) -> bool {
        self.executed.iter().any(|executed| executed.attempts > 0)
    }

    /// Returns true if all operations are done.
    pub fn all_operations_done(&self) -> bool {
        let mut executed = self.executed.iter();
        executed.all(|executed| matches!(executed.outcome, Outcome::Done(_)))
    }

    /// Returns true if all operations are done and the account is as planned.
    pub fn is_complete(&self) -> bool {
        let ApplyResult {
            executed: _,
            notes: _,
            lost,
            twins,
            unseen,
            read_back,
        } = self;
        self.all_operations_done()
            && lost.is_empty()
            && twins.is_empty()
            && unseen.is_empty()
            && matches!(read_back, Verification::Passed | Verification::Skipped)
    }
}

/// Outcome of an operation and its writes.
#[derive(Debug)]
pub struct OperationReport {
    pub operation: OperationId,
    pub outcome: Outcome,
    /// Number of writes sent, without those that were answered with 429.
    pub attempts: u32,
    /// Whether a write was or may have been applied.
    pub wrote: bool,
    /// Request IDs of the last response.
    pub trace: RequestIds,
}

/// Outcome of an operation.
#[derive(Debug)]
pub enum Outcome {
    /// Applied. For a create, with the new integration.
    Done(Option<Made>),
    /// Rejected or not delivered: no change.
    Failed(OperationError),
    /// May have been applied.
    Unknown(OperationError),
    /// Not sent.
    NotAttempted(SkipReason),
}

/// A created integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub id: IntegrationId,
    /// URL to enter in Okta's shared-signals settings.
    pub well_known_url: String,
}

/// Error of an operation.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Failed request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A write may have been applied, and later requests did not show whether it was.
    #[error("{error}; it may have been applied{}", followed_by(.then.as_deref()))]
    Unknown {
        error: ApiError,
        /// Error that followed.
        then: Option<String>,
    },
    /// A new integration of the same tenant has a different `reference_id`.
    #[error(
        "found a new integration {found} for this tenant with reference_id {} instead of {}; stopped",
        reference(.theirs.as_ref()),
        reference(.sent.as_ref())
    )]
    ReferenceMismatch {
        found: IntegrationId,
        theirs: Option<ReferenceId>,
        sent: Option<ReferenceId>,
    },
    /// The response to a create differs from the request.
    #[error("the response differs from the request: {0}")]
    DifferentResponse(String),
    /// The create operation that this operation depends on created no integration.
    #[error("operation {0} created no integration")]
    NothingCreated(OperationId),
}

fn followed_by(failure: Option<&str>) -> String {
    failure.map_or_else(String::new, |failure| format!("; then: {failure}"))
}

fn reference(reference: Option<&ReferenceId>) -> &str {
    reference.map_or("(unset)", ReferenceId::as_str)
}

impl OperationError {
    pub(super) fn unknown(error: ApiError, then: Option<String>) -> Self {
        // Do not repeat the same error.
        let then = then.filter(|failure| *failure != error.to_string());
        OperationError::Unknown { error, then }
    }

    /// Returns true if reading the account can show what became of the write. After a response of another account, nothing is trusted.
    pub(super) fn can_be_resolved(&self) -> bool {
        !self.api_error().is_some_and(is_of_other_account)
    }

    /// Returns a suggested fix, if there is one.
    pub fn help(&self) -> Option<String> {
        match self {
            OperationError::Api(error) => error.help(),
            OperationError::Unknown { .. } => Some(
                "run the command again in a minute; it continues from the live state".to_owned(),
            ),
            OperationError::ReferenceMismatch { found, .. } => Some(format!(
                "check {found}; the next plan matches it by tenant_url, or set `id:`"
            )),
            OperationError::DifferentResponse(_) => Some("run riskform plan again".to_owned()),
            OperationError::NothingCreated(_) => None,
        }
    }

    /// Returns the underlying API error.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            OperationError::Api(error) | OperationError::Unknown { error, .. } => Some(error),
            OperationError::ReferenceMismatch { .. }
            | OperationError::DifferentResponse(_)
            | OperationError::NothingCreated(_) => None,
        }
    }
}

/// Reason for not attempting an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A dependency is not done.
    #[error("operation {0} did not succeed")]
    Dependency(OperationId),
    /// The run was canceled.
    #[error("stopped")]
    Stopped,
    /// An operation of an earlier wave is not done: unlisted integrations are deleted last.
    #[error("earlier operation {0} did not succeed")]
    EarlierWave(OperationId),
    /// A live value changed since the plan.
    #[error("changed since the plan: {0}")]
    Changed(String),
    /// Unlisted integrations are deleted only if nothing else of integrations is left to do.
    #[error("not deleted, because integrations are not as planned: {0}")]
    Unsettled(String),
    /// An integration of unknown origin was found, which this run may have created.
    #[error("stopped because of {0}, which this run may have created")]
    UnknownOrigin(IntegrationId),
    /// Another write was rejected for a reason that applies to all.
    #[error("would fail for the same reason")]
    RefusedForAll,
    /// The server asks for a longer wait than the maximum.
    #[error("rate limit exceeded, retry after {0} s")]
    RateLimited(u64),
    /// This or an earlier write could not be recorded.
    #[error("not sent: cannot write the audit log: {0}")]
    Unrecorded(String),
}

/// An integration that was deleted, but whose replacement was not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address}: deleted {id}, but its replacement was not created. Its settings were: integration_type {}, tenant_url {}, reference_id {}, active {}",
    .settings.integration_type,
    .settings.tenant_url,
    reference(.settings.reference_id.as_ref()),
    .settings.active
)]
pub struct FailedReplacement {
    pub address: Address,
    pub id: IntegrationId,
    pub settings: IntegrationSettings,
}

/// A duplicate integration that this run may not delete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} exists twice: {ours} and {twin} (not created by this run); delete one of them")]
pub struct Duplicate {
    pub address: Address,
    /// Integration created or adopted by this run.
    pub ours: IntegrationId,
    pub twin: IntegrationId,
}

/// A created integration that the list of integrations does not show, so that duplicates are unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: created {id}, but the list of integrations does not show it")]
pub struct UnseenCreate {
    pub address: Address,
    pub id: IntegrationId,
}

/// Result of verifying the account after the writes.
#[derive(Debug)]
pub enum Verification {
    /// No change to verify.
    Skipped,
    /// The live state is as applied.
    Passed,
    /// Remaining differences.
    Mismatch(Vec<Change>),
    /// Canceled.
    Stopped,
    /// The account cannot be read.
    ReadFailed(ApiError),
    /// Live integrations match ambiguously.
    Ambiguous(Vec<PlanError>),
}

impl Verification {
    /// Returns the problems found, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Verification::Skipped | Verification::Passed => Vec::new(),
            Verification::Mismatch(changes) => changes.iter().map(not_as_applied).collect(),
            Verification::Stopped => {
                vec!["stopped before the changes could be verified".to_owned()]
            }
            Verification::ReadFailed(error) => {
                vec![format!("cannot verify the changes: {error}")]
            }
            Verification::Ambiguous(errors) => errors
                .iter()
                .map(|problem| format!("cannot verify the changes: {problem}"))
                .collect(),
        }
    }
}

/// Describes a change that remains: `behavior.x is not as applied: risk_level is "low", not "high"`.
pub(super) fn not_as_applied(change: &Change) -> String {
    let (address, mismatch) = (change.address(), describe_mismatch(change));
    format!("{address} is not as applied: {mismatch}")
}

/// Describes a difference: `risk_level is "low", not "high"`.
fn describe_mismatch(change: &Change) -> String {
    match change.action() {
        Action::Create => "it does not exist".to_owned(),
        Action::Delete => "it still exists".to_owned(),
        Action::Update | Action::Replace => {
            let fields: Vec<String> = change
                .fields()
                .iter()
                .map(FieldChange::not_read_back)
                .collect();
            fields.join(", ")
        }
    }
}
