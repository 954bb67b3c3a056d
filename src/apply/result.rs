//! The result of applying a plan: operation outcomes, duplicates and verification.

use std::collections::BTreeSet;

use crate::api::{ApiError, ErrorKind, NoPermit, RequestIds};
use crate::model::address::Address;
use crate::model::field::{FIELDS, Fields, Kind};
use crate::model::integration::{IntegrationId, ReferenceId};
use crate::model::user::UserId;
use crate::plan::{AccountPlan, Action, Change, FieldChange, Note, OperationId, OperationResult};

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
    /// Number of writes sent, except for responses with status 429.
    pub attempts: u32,
    /// True if a write was or may have been applied.
    pub wrote: bool,
    /// Request IDs of the last response.
    pub request_ids: RequestIds,
}

/// Returns the addresses with all operations done, for which a new plan must be empty.
pub(super) fn completed_addresses(
    plan: &AccountPlan,
    reports: &[OperationReport],
) -> BTreeSet<Address> {
    let addresses = |is_done: bool| -> BTreeSet<Address> {
        let reports = plan.operations.iter().zip(reports);
        let chosen = reports.filter(|(_, report)| report.is_done() == is_done);
        let chosen = chosen.flat_map(|(operation, _)| operation.addresses.iter().cloned());
        chosen.collect()
    };
    &addresses(true) - &addresses(false)
}

impl OperationReport {
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }
}

/// Result of resetting one user.
#[derive(Debug)]
pub struct ResetResult {
    pub user: UserId,
    pub report: OperationReport,
}

/// Outcome of an operation, or of one of its writes after retries.
#[derive(Debug)]
pub enum Outcome {
    /// Applied. An operation that creates has the new integration.
    Done(Option<OperationResult>),
    /// Rejected or not delivered: no change.
    Failed(OperationError),
    /// May have been applied.
    Unknown(OperationError),
    /// Not sent.
    NotAttempted(SkipReason),
}

impl From<ApiError> for Outcome {
    /// Returns the outcome of an operation whose read failed before its write.
    fn from(error: ApiError) -> Self {
        match error.kind {
            ErrorKind::Cancelled => Outcome::NotAttempted(SkipReason::Stopped),
            _ => Outcome::Failed(error.into()),
        }
    }
}

impl From<SkipReason> for Outcome {
    fn from(reason: SkipReason) -> Self {
        Outcome::NotAttempted(reason)
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

    /// Returns true if reading the account can show the result of the write. A response of another account is not trusted.
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
        }
    }

    /// Returns the underlying API error.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            OperationError::Api(error) | OperationError::Unknown { error, .. } => Some(error),
            OperationError::ReferenceMismatch { .. } | OperationError::DifferentResponse(_) => None,
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
    /// Unlisted integrations are deleted only if all other changes to integrations are done.
    #[error("not deleted, because integrations are not as planned: {0}")]
    Unsettled(String),
    /// An integration of unknown origin was found, which this run may have created.
    #[error("stopped because of {0}, which this run may have created")]
    UnknownOrigin(IntegrationId),
    /// An earlier write was rejected for a reason that applies to all.
    #[error("would fail for the same reason")]
    RefusedForAll,
    /// The server asks for a longer wait than the maximum.
    #[error("rate limit exceeded, retry after {0} s")]
    RateLimited(u64),
    /// This or an earlier write could not be recorded.
    #[error("not sent: cannot write the audit log: {0}")]
    Unrecorded(String),
}

impl From<NoPermit> for SkipReason {
    fn from(reason: NoPermit) -> Self {
        match reason {
            NoPermit::Cancelled => SkipReason::Stopped,
            NoPermit::WaitTooLong(wait) => SkipReason::RateLimited(wait.as_secs()),
        }
    }
}

pub(super) fn is_of_other_account(error: &ApiError) -> bool {
    matches!(error.kind, ErrorKind::OtherAccount { .. })
}

/// Describes settings that are lost: `integration_type Okta, tenant_url …, reference_id …, active true`.
pub(super) fn describe_settings(fields: &Fields) -> String {
    let specs = FIELDS.iter().filter(|spec| spec.kind == Kind::Integration);
    let fields = specs.map(|spec| format!("{} {}", spec.field, fields.shown(spec.field)));
    fields.collect::<Vec<String>>().join(", ")
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
        Action::Update | Action::Replace => not_as_sent(&change.fields),
    }
}

/// Describes the fields that differ.
pub(super) fn not_as_sent(fields: &[FieldChange]) -> String {
    let fields: Vec<String> = fields.iter().map(FieldChange::not_read_back).collect();
    fields.join(", ")
}
