//! The saved plan: the inputs of a plan. `show` and `apply --plan` plan again from them.
//!
//! The file holds no change, no operation, no error and no violation, so an edited file cannot show one plan and apply another. The
//! digest detects damage. It is not a signature.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::context::Context;
use crate::model::finding::{AccountError, CheckedAccount, FailureKind};
use crate::model::limits::Limits;
use crate::model::text::{escape_invisible_json, is_invisible};

use super::digest::sha256;
use super::note::describe;
use super::options::{Options, Purpose};
use super::planner::plan;
use super::run::{Format, Run, Status};

/// Maximum size of the file. An account takes about 3 KiB, so 10,000 accounts fit, and a file that is no plan cannot fill the memory.
pub const MAX_SAVED_PLAN_BYTES: u64 = 64 * 1024 * 1024;

const FORMAT: &str = "riskform.saved-plan/1";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const STRING_KEYS: &str = "a saved plan has string keys only";

/// Inputs of the plan of one or more accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPlan {
    /// Base URL of the API.
    pub base_url: String,
    pub created_at: Timestamp,
    /// Date (UTC) used to check the `until` dates of `ignore_changes`.
    pub today: Date,
    pub options: Options,
    pub accounts: Vec<PlanInput>,
    /// Accounts that could not be planned. They are reported again and not changed.
    pub failed: Vec<CheckedAccount>,
}

/// Inputs of the plan of one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanInput {
    pub desired: Arc<DesiredAccount>,
    pub live: Arc<LiveAccount>,
    pub context: Context,
}

/// Reason why a text is not a saved plan that this version of riskform can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedPlanError {
    #[error("unknown format {0}, expected {FORMAT}")]
    UnknownFormat(String),
    #[error("the plan was created by riskform {0}; this is {VERSION}")]
    OtherVersion(String),
    /// A damaged or edited file, or content that no desired-state file can declare.
    #[error("{0}")]
    Invalid(String),
}

/// The file. The members of all objects are sorted, so that the digest does not depend on their order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Sorted one at a time, so that a fleet is never in memory twice.
    accounts: Vec<Box<RawValue>>,
    base_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    failed: Vec<Value>,
    format: String,
    options: Value,
    riskform_version: String,
    today: Date,
}

/// Members that are checked before all others.
#[derive(Deserialize)]
struct Header {
    format: String,
    riskform_version: String,
}

impl SavedPlan {
    /// Returns the inputs of a plan that was made on this day with these options.
    pub fn new(run: &Run, today: Date, options: &Options) -> Self {
        let mut plan = SavedPlan {
            base_url: run.base_url.clone(),
            created_at: run.created_at,
            today,
            options: Options {
                limits: Arc::default(),
                ..options.clone()
            },
            accounts: Vec::new(),
            failed: Vec::new(),
        };
        for account in &run.accounts {
            match (account.status, &account.desired, &account.live) {
                (Status::Ok, Some(desired), Some(live)) => plan.accounts.push(PlanInput {
                    desired: Arc::clone(desired),
                    live: Arc::clone(live),
                    context: account.context.clone().unwrap_or_default(),
                }),
                _ => plan.failed.push(account.checked_account()),
            }
        }
        plan
    }

    /// Returns the text of the file.
    pub fn to_json(&self) -> String {
        let file = Document {
            created_at: Some(self.created_at),
            digest: Some(self.digest()),
            ..self.document()
        };
        let mut json = serde_json::to_string(&file).expect(STRING_KEYS);
        json.push('\n');
        escape_invisible_json(json)
    }

    /// Returns the SHA-256 of everything but the time of writing.
    pub fn digest(&self) -> String {
        sha256(&self.document())
    }

    fn document(&self) -> Document {
        let sorted = |account| serde_json::value::to_raw_value(&to_value(account));
        let accounts = self.accounts.iter().map(sorted);
        Document {
            accounts: accounts.collect::<Result<_, _>>().expect(STRING_KEYS),
            base_url: self.base_url.clone(),
            created_at: None,
            digest: None,
            failed: self.failed.iter().map(to_value).collect(),
            format: FORMAT.to_owned(),
            options: to_value(&self.options),
            riskform_version: VERSION.to_owned(),
            today: self.today,
        }
    }

    /// Parses and validates the text of a file.
    ///
    /// # Errors
    ///
    /// The text is not a saved plan of this version of riskform, or holds anything that this version would not have written.
    pub fn from_json(text: &str) -> Result<Self, SavedPlanError> {
        let header: Header = serde_json::from_str(text).map_err(damaged)?;
        if header.format != FORMAT {
            return Err(SavedPlanError::UnknownFormat(header.format));
        }
        if header.riskform_version != VERSION {
            return Err(SavedPlanError::OtherVersion(header.riskform_version));
        }
        let file: Document = serde_json::from_str(text).map_err(damaged)?;
        let accounts = file.accounts.into_iter().enumerate();
        let accounts = accounts.map(|(index, account)| {
            let account = serde_json::from_str(account.get()).map_err(damaged)?;
            exactly(account, &format!("accounts.{index}"))
        });
        let failed = file.failed.into_iter().enumerate();
        let failed = failed.map(|(index, account)| exactly(account, &format!("failed.{index}")));
        let plan = SavedPlan {
            base_url: file.base_url,
            created_at: file.created_at.ok_or_else(|| damaged("no created_at"))?,
            today: file.today,
            options: exactly(file.options, "options")?,
            accounts: accounts.collect::<Result<_, _>>()?,
            failed: failed.collect::<Result<_, _>>()?,
        };
        if file.digest != Some(plan.digest()) {
            let error = "the file was changed after it was saved (digest mismatch)";
            return Err(SavedPlanError::Invalid(error.to_owned()));
        }
        match plan.check() {
            mistakes if mistakes.is_empty() => Ok(plan),
            mistakes => Err(invalid_values(&mistakes.join("; "))),
        }
    }

    /// Returns all violations of the rules for desired-state files.
    fn check(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.options.purpose == Purpose::Drift {
            mistakes.push("drift cannot be applied".to_owned());
        }
        let planned = (self.accounts.iter()).map(|account| CheckedAccount::from(&*account.desired));
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for account in planned.chain(self.failed.iter().cloned()) {
            let (id, source) = (account.account_id, account.source);
            if source.is_empty() || source.contains(is_invisible) {
                mistakes.push(format!("account {id} has an invalid source"));
            }
            if let Some(name) = account.name
                && !names.insert(name.clone())
            {
                mistakes.push(format!("two accounts have the name {name}"));
            }
            if !ids.insert(id.clone()) {
                mistakes.push(format!("account {id} is declared twice"));
            }
        }
        for PlanInput { desired, .. } in &self.accounts {
            let label = desired.label();
            let wrong = desired.check().into_iter();
            mistakes.extend(wrong.map(|mistake| format!("{label}: {mistake}")));
        }
        mistakes
    }

    /// Plans every account again, within the limits of this run.
    ///
    /// # Errors
    ///
    /// An account that cannot be planned. riskform saves no such account.
    pub fn plan(self, limits: &Arc<Limits>) -> Result<Run, SavedPlanError> {
        let options = Options {
            limits: Arc::clone(limits),
            ..self.options
        };
        let mut accounts = Vec::new();
        for account in self.accounts {
            let PlanInput {
                desired,
                live,
                context,
            } = account;
            let planned = plan(&desired, &live, &context, self.today, &options);
            if !planned.errors.is_empty() {
                let errors = describe(&planned.errors);
                return Err(invalid_values(&format!("{}: {errors}", desired.label())));
            }
            accounts.push(planned);
        }
        let error = AccountError {
            kind: FailureKind::Plan,
            message: "failed when the plan was saved".to_owned(),
            cf_ray: None,
            help: None,
        };
        let failed = self.failed.into_iter();
        accounts.extend(failed.map(|account| account.failed(error.clone())));
        accounts.sort_by(|a, b| (&a.source, &a.account_id).cmp(&(&b.source, &b.account_id)));
        let (base_url, created_at) = (self.base_url, self.created_at);
        Ok(Run::new(Format::Plan, base_url, accounts, created_at))
    }
}

fn damaged(error: impl fmt::Display) -> SavedPlanError {
    SavedPlanError::Invalid(format!("not a valid saved plan: {error}"))
}

fn invalid_values(mistakes: &str) -> SavedPlanError {
    SavedPlanError::Invalid(format!("invalid values: {mistakes}"))
}

fn to_value(item: impl Serialize) -> Value {
    serde_json::to_value(item).expect(STRING_KEYS)
}

/// Reads a value that must be exactly what riskform writes for it. `deny_unknown_fields` is not enough: the types of live resources
/// ignore unknown members, because the API may add some.
fn exactly<T: DeserializeOwned + Serialize>(
    value: Value,
    place: &str,
) -> Result<T, SavedPlanError> {
    let read = T::deserialize(&value).map_err(|error| damaged(format_args!("{place}: {error}")))?;
    match difference(&value, &to_value(&read)) {
        None => Ok(read),
        Some(path) => Err(SavedPlanError::Invalid(format!(
            "the file was edited by hand: unexpected member or value at {place}{path}"
        ))),
    }
}

/// Returns the path of the first difference between two values.
fn difference(a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (a, b) if a == b => None,
        (Value::Object(a), Value::Object(b)) => {
            let added = b.keys().filter(|name| !a.contains_key(*name));
            a.keys().chain(added).find_map(|name| {
                let path = match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => difference(a, b)?,
                    _ => String::new(),
                };
                Some(format!(".{name}{path}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| Some(format!(".{index}{}", difference(a, b)?)))
        }
        _ => Some(String::new()),
    }
}
