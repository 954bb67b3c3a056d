//! What became of a plan: each operation's end, twins, and what reading back found.

use std::collections::BTreeSet;

use crate::api::{ApiError, RequestIds};
use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::integration::{IntegrationId, IntegrationSettings, ReferenceId};
use crate::plan::{AccountPlan, Action, Change, FieldChange, Note, OperationId, PlanErrors};

/// What became of one account's plan.
#[derive(Debug)]
pub struct ApplyResult {
    /// How each operation ended, in the plan's order.
    pub executed: Vec<OperationReport>,
    /// What the reader should know beside that.
    pub notes: Vec<Note>,
    /// What was deleted to be replaced, and stands nowhere now.
    pub lost: Vec<FailedReplacement>,
    /// Twins of what was created that this run may not take back.
    pub twins: Vec<Duplicate>,
    /// What reading back found.
    pub read_back: Verification,
}

impl ApplyResult {
    /// The addresses whose every operation was done: what must now plan empty.
    pub fn settled(&self, plan: &AccountPlan) -> BTreeSet<Address> {
        let mut settled = BTreeSet::new();
        let mut unsettled = BTreeSet::new();
        for (operation, executed) in plan.operations.iter().zip(&self.executed) {
            let addresses = operation.covers.iter().cloned();
            match executed.outcome {
                Outcome::Done(_) => settled.extend(addresses),
                Outcome::Failed(_) | Outcome::Unknown(_) | Outcome::NotAttempted(_) => {
                    unsettled.extend(addresses);
                }
            }
        }
        &settled - &unsettled
    }

    /// What went wrong beside the operations, each as a sentence.
    pub fn problems(&self) -> Vec<String> {
        let lost = self.lost.iter().map(ToString::to_string);
        let twins = self.twins.iter().map(ToString::to_string);
        lost.chain(twins).chain(self.read_back.problems()).collect()
    }

    /// The first operation's failure, if one failed.
    pub fn first_failure(&self) -> Option<&OperationError> {
        self.executed
            .iter()
            .find_map(|executed| match &executed.outcome {
                Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure),
                Outcome::Done(_) | Outcome::NotAttempted(_) => None,
            })
    }

    /// Says whether anything was written, or may have been.
    pub fn wrote_anything(&self) -> bool {
        self.executed.iter().any(|executed| executed.wrote)
    }

    /// Says whether any write was sent, whatever became of it.
    pub fn sent_anything(&self) -> bool {
        self.executed.iter().any(|executed| executed.attempts > 0)
    }

    /// Says whether every operation is done.
    pub fn all_operations_done(&self) -> bool {
        let mut executed = self.executed.iter();
        executed.all(|executed| matches!(executed.outcome, Outcome::Done(_)))
    }

    /// Says whether the account is as the plan wanted it.
    pub fn is_complete(&self) -> bool {
        let ApplyResult {
            executed: _,
            notes: _,
            lost,
            twins,
            read_back,
        } = self;
        self.all_operations_done()
            && lost.is_empty()
            && twins.is_empty()
            && matches!(read_back, Verification::Passed | Verification::Skipped)
    }
}

/// How one operation ended, and what was sent for it.
#[derive(Debug)]
pub struct OperationReport {
    pub operation: OperationId,
    pub outcome: Outcome,
    /// How many writes were sent.
    pub attempts: u32,
    /// Whether one of them was carried out, or may have been.
    pub wrote: bool,
    /// How to find the last one again that had an answer.
    pub trace: RequestIds,
}

/// How an operation can end.
#[derive(Debug)]
pub enum Outcome {
    /// It was carried out; a creation made this.
    Done(Option<Made>),
    /// It was refused, or did not arrive: nothing happened.
    Failed(OperationError),
    /// It may have been carried out.
    Unknown(OperationError),
    /// It was not tried.
    NotAttempted(SkipReason),
}

/// An integration that a creation brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub id: IntegrationId,
    /// What an operator pastes into Okta.
    pub well_known_url: String,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The API, or the way to it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A write may have been carried out, and nothing that followed made it known.
    #[error("{error}; whether it was carried out is unknown{}", and_then(.then.as_deref()))]
    Unknown {
        error: ApiError,
        /// What came of trying to find out.
        then: Option<Box<OperationError>>,
    },
    /// Beside what was sent stands a new one of the same tenant with another reference.
    #[error(
        "a new integration of this tenant, {found}, holds the reference_id {}, and {} was sent; nothing more was sent",
        reference(.theirs.as_ref()),
        reference(.sent.as_ref())
    )]
    AnotherReference {
        found: IntegrationId,
        theirs: Option<ReferenceId>,
        sent: Option<ReferenceId>,
    },
    /// Declared behaviors are no longer offered.
    #[error("the account no longer offers {}", list(.0))]
    NotOffered(Vec<BehaviorKey>),
    /// The operation that should have made its integration made none.
    #[error("operation {0} made no integration")]
    NothingMade(OperationId),
}

fn and_then(failure: Option<&OperationError>) -> String {
    failure.map_or_else(String::new, |failure| format!("; then {failure}"))
}

fn reference(reference: Option<&ReferenceId>) -> &str {
    reference.map_or("(unset)", ReferenceId::as_str)
}

fn list(keys: &[BehaviorKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(BehaviorKey::as_str).collect();
    keys.join(", ")
}

impl OperationError {
    pub(super) fn unknown(error: ApiError, then: Option<OperationError>) -> Self {
        // The same error twice says nothing new.
        let then = then.filter(|failure| failure.to_string() != error.to_string());
        OperationError::Unknown {
            error,
            then: then.map(Box::new),
        }
    }

    /// The way out, where there is more to say than to run it again.
    pub fn help(&self) -> Option<String> {
        match self {
            OperationError::Api(error) => error.help(),
            OperationError::Unknown { .. } => {
                Some("run it again in a minute: what is there by then is recognized".to_owned())
            }
            OperationError::AnotherReference { found, .. } => Some(format!(
                "look at {found}; the next plan recognizes it by its tenant_url, and id: pins it"
            )),
            OperationError::NotOffered(_) => Some("plan again".to_owned()),
            OperationError::NothingMade(_) => None,
        }
    }

    /// The API's error behind it, if that is what it is.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            OperationError::Api(error) | OperationError::Unknown { error, .. } => Some(error),
            OperationError::AnotherReference { .. }
            | OperationError::NotOffered(_)
            | OperationError::NothingMade(_) => None,
        }
    }
}

/// Why an operation was not tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// An operation that it needs was not carried out.
    #[error("it needs operation {0}")]
    Dependency(OperationId),
    /// The user stopped the run.
    #[error("stopped")]
    Stopped,
    /// What no file lists is deleted only once everything that the files list is done.
    #[error("operation {0} comes before it and was not done")]
    EarlierWave(OperationId),
    /// Another reset was refused for a reason that holds for this one.
    #[error("another was refused for a reason that holds for all")]
    RefusedForAll,
    /// It, or what came before it, could not be recorded.
    #[error("not sent, since it could not be recorded: {0}")]
    Unrecorded(String),
}

/// An integration that was deleted to be replaced, when its successor did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address}: {id} is deleted, or may be, and its successor is not there; it held integration_type {}, tenant_url {}, reference_id {}, active {}",
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

/// Two live integrations where one was wanted, and this run may not delete the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} exists twice: {ours} and {twin}, which this run did not make; delete one of them"
)]
pub struct Duplicate {
    pub address: Address,
    /// The one that the run made or adopted.
    pub ours: IntegrationId,
    pub twin: IntegrationId,
}

/// What reading the account back found.
#[derive(Debug)]
pub enum Verification {
    /// Nothing was carried out that could be read back.
    Skipped,
    /// Everything that was applied is there.
    Passed,
    /// This much still differs.
    Mismatch(Vec<Change>),
    /// A stop came before.
    Stopped,
    /// The account could not be read.
    ReadFailed(ApiError),
    /// What is live now can't be told apart any more.
    Ambiguous(PlanErrors),
}

impl Verification {
    /// What reading back found wrong, each as a sentence.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Verification::Skipped | Verification::Passed => Vec::new(),
            Verification::Mismatch(changes) => changes
                .iter()
                .map(|change| {
                    format!(
                        "{} did not read back as applied: {}",
                        change.address(),
                        what_differs(change)
                    )
                })
                .collect(),
            Verification::Stopped => {
                vec!["stopped before what was applied could be read back".to_owned()]
            }
            Verification::ReadFailed(error) => {
                vec![format!("what was applied could not be read back: {error}")]
            }
            Verification::Ambiguous(errors) => errors
                .problems()
                .iter()
                .map(|problem| format!("what was applied can't be told apart any more: {problem}"))
                .collect(),
        }
    }
}

/// `risk_level is "low", not "high"`; a thing that should not be there, or is not, says so.
fn what_differs(change: &Change) -> String {
    match change.action() {
        Action::Create => "it is not there".to_owned(),
        Action::Delete => "it is still there".to_owned(),
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
