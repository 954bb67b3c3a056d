//! What became of a plan: each operation's end, twins, and what reading back found.

use std::collections::BTreeSet;

use crate::api::ApiError;
use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::integration::IntegrationId;
use crate::plan::{AccountPlan, Action, Change, FieldChange, OperationId, PlanErrors};

/// What became of one account's plan.
#[derive(Debug)]
pub struct Applied {
    /// How each operation ended, in the plan's order.
    pub executed: Vec<Executed>,
    /// Twins of what was created that this run may not take back.
    pub twins: Vec<Twin>,
    /// What reading back found.
    pub read_back: ReadBack,
}

impl Applied {
    /// The addresses whose every operation was done: what must now plan empty.
    pub fn settled(&self, plan: &AccountPlan) -> BTreeSet<Address> {
        let mut settled = BTreeSet::new();
        let mut unsettled = BTreeSet::new();
        for (operation, executed) in plan.operations.iter().zip(&self.executed) {
            let addresses = operation.covers.iter().cloned();
            match executed.outcome {
                Outcome::Done(_) => settled.extend(addresses),
                Outcome::Failed(_) | Outcome::NotAttempted(_) => unsettled.extend(addresses),
            }
        }
        &settled - &unsettled
    }

    /// What went wrong beside the operations, each as a sentence.
    pub fn problems(&self) -> Vec<String> {
        let twins = self.twins.iter().map(ToString::to_string);
        twins.chain(self.read_back.problems()).collect()
    }

    /// The first operation's failure, if one failed.
    pub fn first_failure(&self) -> Option<&Failure> {
        self.executed
            .iter()
            .find_map(|executed| match &executed.outcome {
                Outcome::Failed(failure) => Some(failure),
                Outcome::Done(_) | Outcome::NotAttempted(_) => None,
            })
    }

    /// Says whether anything was written, or may have been.
    pub fn wrote_anything(&self) -> bool {
        self.executed
            .iter()
            .any(|executed| match &executed.outcome {
                Outcome::Done(_) => true,
                Outcome::NotAttempted(_) => false,
                Outcome::Failed(failure) => failure.api_error().is_some_and(|error| {
                    error.method() != http::Method::GET && error.is_ambiguous()
                }),
            })
    }

    /// Says whether the account is as the plan wanted it.
    pub fn is_complete(&self) -> bool {
        let Applied {
            executed,
            twins,
            read_back,
        } = self;
        executed
            .iter()
            .all(|executed| matches!(executed.outcome, Outcome::Done(_)))
            && twins.is_empty()
            && matches!(read_back, ReadBack::Settled | ReadBack::NothingToRead)
    }
}

/// How one operation ended.
#[derive(Debug)]
pub struct Executed {
    /// Which one.
    pub operation: OperationId,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation can end.
#[derive(Debug)]
pub enum Outcome {
    /// It was carried out.
    Done(Done),
    /// It was tried, and failed.
    Failed(Failure),
    /// It was not tried.
    NotAttempted(NotAttempted),
}

impl From<Result<Done, Failure>> for Outcome {
    fn from(result: Result<Done, Failure>) -> Self {
        result.map_or_else(Outcome::Failed, Outcome::Done)
    }
}

/// What an operation brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The integration that it made.
    pub made: Option<Made>,
    /// The `Cf-Auditlog-Id` of the call that did it.
    pub audit_log_id: Option<String>,
}

/// An integration that a creation brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: IntegrationId,
    /// What an operator pastes into Okta.
    pub well_known_url: String,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API, or the way to it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A creation ended ambiguously, and nothing it may have made was found.
    #[error("{error}; whether it was carried out could not be found out")]
    Lost {
        /// How the call ended.
        error: ApiError,
    },
    /// Declared behaviors are no longer offered.
    #[error("the account no longer offers {}", list(.0))]
    NotOffered(Vec<BehaviorKey>),
    /// The operation that should have made its integration made none.
    #[error("operation {0} made no integration")]
    NothingMade(OperationId),
    /// The call could not be recorded, so it was not sent.
    #[error("not sent, since it could not be recorded: {0}")]
    Unrecorded(String),
}

fn list(keys: &[BehaviorKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(BehaviorKey::as_str).collect();
    keys.join(", ")
}

impl Failure {
    /// The way out, where there is more to say than to run it again.
    pub fn help(&self) -> Option<String> {
        match self {
            Failure::Api(error) => error.help(),
            Failure::Lost { .. } => {
                Some("run it again in a minute: what is there by then is recognised".to_owned())
            }
            Failure::NotOffered(_) => Some("plan again".to_owned()),
            Failure::NothingMade(_) | Failure::Unrecorded(_) => None,
        }
    }

    /// The API's error behind it, if that is what it is.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Failure::Api(error) | Failure::Lost { error } => Some(error),
            Failure::NotOffered(_) | Failure::NothingMade(_) | Failure::Unrecorded(_) => None,
        }
    }
}

/// Why an operation was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAttempted {
    /// An operation that it needs was not carried out.
    #[error("it needs operation {0}")]
    Needs(OperationId),
    /// The user stopped the run.
    #[error("stopped")]
    Stopped,
    /// What came before could not be recorded.
    #[error("the audit log can't be written")]
    Unrecorded,
}

/// Two live integrations where one was wanted, and this run may not delete the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} exists twice: {ours} and {twin}, which this run did not make; delete one of them"
)]
pub struct Twin {
    /// The entry.
    pub address: Address,
    /// The one that the run made or adopted.
    pub ours: IntegrationId,
    /// The other.
    pub twin: IntegrationId,
}

/// What reading the account back found.
#[derive(Debug)]
pub enum ReadBack {
    /// Nothing was carried out that could be read back.
    NothingToRead,
    /// Everything that was applied is there.
    Settled,
    /// This much still differs.
    Differs(Vec<Change>),
    /// The account could not be read.
    Unreadable(ApiError),
    /// What is live now can't be told apart any more.
    Unplannable(PlanErrors),
}

impl ReadBack {
    /// What reading back found wrong, each as a sentence.
    pub fn problems(&self) -> Vec<String> {
        match self {
            ReadBack::NothingToRead | ReadBack::Settled => Vec::new(),
            ReadBack::Differs(changes) => changes
                .iter()
                .map(|change| {
                    format!(
                        "{} did not read back as applied: {}",
                        change.address(),
                        what_differs(change)
                    )
                })
                .collect(),
            ReadBack::Unreadable(error) => {
                vec![format!("what was applied could not be read back: {error}")]
            }
            ReadBack::Unplannable(errors) => errors
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
