//! The result of applying a plan: operation outcomes, duplicates and verification.

use std::collections::BTreeSet;

use crate::api::{ApiError, RequestIds};
use crate::model::address::Address;
use crate::model::field::{Field, Fields};
use crate::model::integration::{IntegrationId, ReferenceId};
use crate::plan::{AccountPlan, Action, Change, FieldChange, Note, OperationId, OperationResult};

use super::write_sender::is_of_other_account;

/// Result of applying one account's plan.
#[derive(Debug)]
pub struct ApplyResult {
    /// Operation reports, in the plan's order.
    pub operations: Vec<OperationReport>,
    /// Additional facts.
    pub notes: Vec<Note>,
    /// Problems other than failed operations, one sentence each: duplicates of created integrations, integrations that were deleted in
    /// vain, and differences that verification found.
    pub problems: Vec<String>,
}

impl ApplyResult {
    /// Returns the addresses with all operations done, for which a new plan must be empty.
    pub(super) fn completed_addresses(&self, plan: &AccountPlan) -> BTreeSet<Address> {
        let addresses = |is_done: bool| {
            let operations = plan.operations.iter().zip(&self.operations);
            let chosen = operations.filter(move |(_, report)| report.is_done() == is_done);
            chosen.flat_map(|(operation, _)| operation.addresses.iter().cloned())
        };
        let incomplete: BTreeSet<Address> = addresses(false).collect();
        addresses(true)
            .filter(|address| !incomplete.contains(address))
            .collect()
    }

    /// Returns the error of the first failed operation.
    pub fn first_failure(&self) -> Option<&OperationError> {
        self.operations
            .iter()
            .find_map(|executed| match &executed.outcome {
                Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure),
                Outcome::Done(_) | Outcome::NotAttempted(_) => None,
            })
    }

    /// Returns true if an operation was not attempted because the live account changed since the plan.
    pub fn is_stale(&self) -> bool {
        let mut executed = self.operations.iter();
        executed.any(|executed| {
            matches!(
                executed.outcome,
                Outcome::NotAttempted(SkipReason::Changed(_) | SkipReason::Unsettled(_))
            )
        })
    }

    /// Returns true if a write was or may have been applied.
    pub fn wrote_anything(&self) -> bool {
        self.operations.iter().any(|executed| executed.wrote)
    }

    /// Returns true if a write was sent.
    pub fn sent_anything(&self) -> bool {
        self.operations.iter().any(|executed| executed.attempts > 0)
    }

    /// Returns true if all operations are done.
    pub fn all_operations_done(&self) -> bool {
        self.operations.iter().all(OperationReport::is_done)
    }

    /// Returns true if all operations are done and the account is as planned.
    pub fn is_complete(&self) -> bool {
        self.all_operations_done() && self.problems.is_empty()
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
    pub request_ids: RequestIds,
}

impl OperationReport {
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }
}

/// Outcome of an operation, or of one of its writes after retries.
#[derive(Debug)]
pub enum Outcome<T = Option<OperationResult>> {
    /// Applied. An operation that creates has the new integration.
    Done(T),
    /// Rejected or not delivered: no change.
    Failed(OperationError),
    /// May have been applied.
    Unknown(OperationError),
    /// Not sent.
    NotAttempted(SkipReason),
}

impl<T> Outcome<T> {
    /// Returns the value, or the same outcome without one.
    pub(super) fn done<U>(self) -> Result<T, Outcome<U>> {
        Err(match self {
            Outcome::Done(value) => return Ok(value),
            Outcome::Failed(error) => Outcome::Failed(error),
            Outcome::Unknown(error) => Outcome::Unknown(error),
            Outcome::NotAttempted(reason) => Outcome::NotAttempted(reason),
        })
    }

    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Outcome<U> {
        match self.done() {
            Ok(value) => Outcome::Done(convert(value)),
            Err(outcome) => outcome,
        }
    }
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
        matches!(self, OperationError::Unknown { error, .. } if !is_of_other_account(error))
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

/// Describes settings that are lost: `integration_type Okta, tenant_url …, reference_id …, active true`.
pub(super) fn describe_settings(fields: &Fields) -> String {
    format!(
        "integration_type {}, tenant_url {}, reference_id {}, active {}",
        fields.shown(Field::IntegrationType),
        fields.shown(Field::TenantUrl),
        fields.shown(Field::ReferenceId),
        fields.shown(Field::Active)
    )
}

/// Describes a change that remains: `behavior.x is not as applied: risk_level is "low", not "high"`.
pub(super) fn not_as_applied(change: &Change) -> String {
    let (address, mismatch) = (&change.address, describe_mismatch(change));
    format!("{address} is not as applied: {mismatch}")
}

/// Describes a difference: `risk_level is "low", not "high"`.
pub(super) fn describe_mismatch(change: &Change) -> String {
    match change.action {
        Action::Create => "it does not exist".to_owned(),
        Action::Delete => "it still exists".to_owned(),
        Action::Update | Action::Replace => {
            let fields: Vec<String> = change
                .fields
                .iter()
                .map(FieldChange::not_read_back)
                .collect();
            fields.join(", ")
        }
    }
}
