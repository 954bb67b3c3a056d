//! A plan as JSON: one shape for `plan`, `drift` and `apply`, versioned in `format`.
//!
//! What is written here is what scripts read and what `apply --plan` carries out, so every field is stated; nothing is left out for being
//! empty but what belongs to another kind of run. [`Document::to_json`] seals it with a digest, [`Document::into_plan`] takes it back apart.

mod drift;
mod merge;
mod read;
mod seal;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::address::{Address, Name};
use crate::model::behavior::{BehaviorKey, DeclaredBehavior};
use crate::model::integration::IntegrationId;
use crate::model::location::Location;
use crate::model::open_word::words;

use super::fleet::{AccountError, Summary};
use super::guard::Refusal;
use super::note::Note;
use super::operation::{Method, OperationId};
use super::outcome::{Action, FieldChange, Policy, UnlistedSettings, Weakening};

pub use drift::{Keep, Scope};
pub use merge::{InvalidMerge, merge};
pub use read::InvalidDocument;
pub use seal::Sealed;

words! {
    /// What a document is about, and the version of its shape.
    Format {
        /// What would be done.
        Plan = "riskform.plan/1",
        /// How the live accounts differ from their files. Nothing is done about it, so there are no operations and no refusals.
        Drift = "riskform.drift/1",
        /// What was done.
        Apply = "riskform.apply/1",
    }
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// What kind of run it was.
    pub format: Format,
    /// The version of riskform that wrote it.
    pub riskform_version: String,
    /// The API that was asked.
    pub base_url: String,
    /// When it was written; not part of the digest.
    pub created_at: Timestamp,
    /// The accounts; sorted by source, then by id.
    pub accounts: Vec<AccountDocument>,
    /// The totals.
    pub summary: Summary,
}

/// One account of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountDocument {
    /// The account.
    pub account_id: AccountId,
    /// Its label.
    pub name: Option<Name>,
    /// The file that declares it.
    pub source: Arc<str>,
    /// Whether it could be handled.
    pub status: Status,
    /// Why not.
    pub error: Option<AccountError>,
    /// SHA-256 over everything live.
    pub live_digest: Option<String>,
    /// What the API answered.
    pub live: Option<Arc<LiveAccount>>,
    /// What the files declare.
    pub desired: Option<Arc<DesiredAccount>>,
    /// What differs.
    pub changes: Vec<ChangeDocument>,
    /// How many listed things are as declared.
    pub unchanged: Unchanged,
    /// What is live but in no file, and stays.
    pub unlisted: Vec<UnlistedDocument>,
    /// What the reader should know.
    pub notes: Vec<NoteDocument>,
    /// Changes that `--target` left out.
    pub left_out: Vec<Address>,
    /// The guards' noes.
    pub refusals: Vec<Refusal>,
    /// The calls, in their order.
    pub operations: Vec<OperationDocument>,
    /// After an application: what went wrong beside the operations, such as what did not read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
}

words! {
    /// Whether an account could be handled.
    Status {
        /// It could.
        Ok = "ok",
        /// It could not; `error` says why.
        Error = "error",
    }
}

/// How many listed things are as declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unchanged {
    /// Behaviors.
    pub behaviors: usize,
    /// Integrations.
    pub integrations: usize,
}

words! {
    /// The kinds of resource.
    Kind {
        /// A risk behavior.
        Behavior = "behavior",
        /// An integration that receives scores.
        Integration = "integration",
    }
}

impl From<&Address> for Kind {
    fn from(address: &Address) -> Self {
        match address {
            Address::Behavior(_) => Kind::Behavior,
            Address::Integration(_) | Address::UnlistedIntegration(_) => Kind::Integration,
        }
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeDocument {
    /// What differs.
    pub address: Address,
    /// What kind of resource it is.
    pub kind: Kind,
    /// What is done about it.
    pub action: Action,
    /// Whether doing it weakens protection.
    pub weakens: bool,
    /// Why it does.
    pub weakening: Option<Weakening>,
    /// Whether what is live protects less than what is declared.
    pub live_weaker: bool,
    /// Why it does.
    pub live_weakening: Option<Weakening>,
    /// Where it is declared.
    pub location: Option<Location>,
    /// The live integration that it is about.
    pub integration_id: Option<IntegrationId>,
    /// The fields.
    pub fields: Vec<FieldChange>,
}

/// Something live that no file lists, and that stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnlistedDocument {
    /// Its name.
    pub address: Address,
    /// What the file says about such things.
    pub policy: Policy,
    /// How it is configured.
    pub settings: UnlistedSettings,
}

/// Something that the reader should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoteDocument {
    /// What it is, and what it is about.
    #[serde(flatten)]
    pub note: Note,
    /// The same as a sentence.
    pub message: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationDocument {
    /// Its number, from 1.
    pub id: OperationId,
    /// The method of its request.
    pub method: Method,
    /// The path of its request; `{result:N}` stands for the id that operation N makes.
    pub path: String,
    /// The body of its request.
    pub body: Option<Value>,
    /// The change that it carries; of several the first.
    pub address: Address,
    /// Every change that it carries.
    pub covers: Vec<Address>,
    /// The operations without which it must not be tried.
    pub needs: Vec<OperationId>,
    /// On the write of behaviors: what is laid over the map that is read right before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<BTreeMap<BehaviorKey, DeclaredBehavior>>,
    /// After an application: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OperationOutcome>,
    /// After an application: what it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<OperationResult>,
    /// After an application: the `Cf-Auditlog-Id` of its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_log_id: Option<String>,
    /// After an application: why it failed, or was not attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// After an application: the way out of its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

words! {
    /// How an operation ended.
    OperationOutcome {
        /// It was carried out.
        Done = "done",
        /// It was tried, and failed.
        Failed = "failed",
        /// It was not tried.
        NotAttempted = "not_attempted",
    }
}

/// The integration that an operation made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationResult {
    /// Its id.
    pub id: IntegrationId,
    /// What an operator pastes into Okta.
    pub well_known_url: String,
}
