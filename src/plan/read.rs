//! JSON of a run: written with a digest, and read back.

use schemars::JsonSchema;
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::shard::Shard;

use super::digest::sha256;
use super::plan_within;
use super::run::{AccountPlan, Format, Run};
use super::totals::Totals;

/// A run with its totals and digest, as written to JSON.
#[derive(Serialize, JsonSchema)]
pub struct RunWithDigest<'a> {
    #[serde(flatten)]
    pub run: &'a Run,
    pub summary: Totals,
    /// SHA-256 of all other members except timestamps. Detects accidental changes; it is not a signature.
    pub digest: String,
}

/// What the digest covers, with members in their canonical order.
#[derive(Serialize)]
struct DigestInput<'a> {
    #[serde(serialize_with = "serialize_sorted")]
    accounts: &'a [AccountPlan],
    base_url: &'a str,
    format: Format,
    riskform_version: &'a str,
    shard: Option<Shard>,
    #[serde(serialize_with = "sorted")]
    summary: Totals,
}

impl Run {
    /// It with its totals and its digest.
    pub fn sealed(&self) -> RunWithDigest<'_> {
        RunWithDigest {
            run: self,
            summary: self.totals(),
            digest: self.digest(),
        }
    }

    /// It as text, sealed, one line an element, with a line break at its end.
    pub fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(&self.sealed()).expect("a run has string keys only");
        json.push('\n');
        json
    }

    /// SHA-256 over everything but the moments of writing.
    pub fn digest(&self) -> String {
        let Run {
            format,
            riskform_version,
            base_url,
            created_at: _,
            oldest: _,
            shard,
            accounts,
        } = self;
        sha256(&DigestInput {
            accounts,
            base_url,
            format: *format,
            riskform_version,
            shard: *shard,
            summary: self.totals(),
        })
    }
}

/// Sorts one account at a time, so that a fleet is never in memory twice.
fn serialize_sorted<S: Serializer>(
    accounts: &[AccountPlan],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(accounts.len()))?;
    for account in accounts {
        list.serialize_element(&value(account)?)?;
    }
    list.end()
}

fn sorted<S: Serializer>(member: &impl Serialize, serializer: S) -> Result<S::Ok, S::Error> {
    value::<S::Error>(member)?.serialize(serializer)
}

/// A JSON value keeps its members sorted.
fn value<E: serde::ser::Error>(member: &impl Serialize) -> Result<Value, E> {
    serde_json::to_value(member).map_err(E::custom)
}

/// Why a text is not a run that this version of riskform can use.
#[derive(Debug, thiserror::Error)]
pub enum ParseRunError {
    /// No JSON, or JSON of another shape: most likely cut off.
    #[error("not a valid saved plan: {0}")]
    Damaged(String),
    #[error("unknown format {found}, expected {known}")]
    OtherFormat { found: String, known: String },
    #[error("the file was changed after it was saved (digest mismatch)")]
    DigestMismatch,
    /// What it says would be done is not what follows from the states that it holds.
    #[error("the file was edited by hand: {0} does not match the plan for its inputs")]
    PlanMismatch(String),
}

/// A run that was read, and what its file says word for word.
#[derive(Debug)]
pub struct ParsedRun {
    pub run: Run,
    /// The file's own digest.
    pub digest: String,
    pub(super) written: Value,
}

impl Run {
    /// Reads a run in one of these formats. Checks the format first, then the digest.
    pub fn read(text: &str, formats: &[Format]) -> Result<ParsedRun, ParseRunError> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        let damaged = |error: serde_json::Error| ParseRunError::Damaged(error.to_string());
        let Header { format } = serde_json::from_str(text).map_err(damaged)?;
        if !formats.iter().any(|known| known.as_str() == format) {
            let known: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
            return Err(ParseRunError::OtherFormat {
                found: format,
                known: known.join(", "),
            });
        }
        let mut written: Value = serde_json::from_str(text).map_err(damaged)?;
        let digest = take_digest(&mut written)?;
        let run = Run::deserialize(&written).map_err(damaged)?;
        Ok(ParsedRun {
            run,
            digest,
            written,
        })
    }
}

impl ParsedRun {
    /// Plans every account anew from what the file holds of it: desired, live, day, options and context. Whatever else the file says must
    /// be what comes of that, places in files left aside, so that nobody approves one thing and carries out another.
    ///
    /// Refusals that are not ours may be there: the limits of another run are not in the file, and a refused plan is never applied.
    pub fn planned_anew(self) -> Result<Run, ParseRunError> {
        let ParsedRun {
            mut run, written, ..
        } = self;
        for account in &mut run.accounts {
            if account.error.is_none() {
                *account = replan_account(account)?;
            }
        }
        let mut made = serde_json::to_value(&run).expect("a run has string keys only");
        made["summary"] = json!(run.totals());
        match difference(&written, &made) {
            None => Ok(run),
            Some(place) => Err(ParseRunError::PlanMismatch(place)),
        }
    }
}

fn replan_account(account: &AccountPlan) -> Result<AccountPlan, ParseRunError> {
    let AccountPlan {
        today: Some(today),
        options: Some(options),
        live: Some(live),
        desired: Some(desired),
        context,
        violations,
        ..
    } = account
    else {
        let lacks = "an account without error lacks what it was planned from";
        return Err(ParseRunError::Damaged(lacks.to_owned()));
    };
    let context = context.clone().unwrap_or_default();
    let mut planned = plan_within(desired, live, &context, *today, options)
        .map_err(|errors| ParseRunError::PlanMismatch(errors.to_string()))?;
    if planned
        .violations
        .iter()
        .all(|one| violations.contains(one))
    {
        planned.violations.clone_from(violations);
    }
    Ok(planned)
}

/// The place of the first difference between what a file says and what it should say.
fn difference(written: &Value, made: &Value) -> Option<String> {
    match (written, made) {
        (Value::Object(written), Value::Object(made)) => {
            let names = written.keys().chain(made.keys());
            names.filter(|name| *name != "location").find_map(|name| {
                let (written, made) = (written.get(name), made.get(name));
                let below = match (written, made) {
                    (Some(written), Some(made)) => difference(written, made)?,
                    (_, _) => String::new(),
                };
                Some(format!(
                    "{name}{}{below}",
                    if below.is_empty() { "" } else { "." }
                ))
            })
        }
        (Value::Array(written), Value::Array(made)) if written.len() == made.len() => {
            let pairs = written.iter().zip(made).enumerate();
            pairs
                .filter_map(|(index, (written, made))| {
                    let below = difference(written, made)?;
                    let dot = if below.is_empty() { "" } else { "." };
                    Some(format!("{index}{dot}{below}"))
                })
                .next()
        }
        (written, made) => (written != made).then(String::new),
    }
}

/// Takes the digest out, and sees to it that it fits the rest.
fn take_digest(written: &mut Value) -> Result<String, ParseRunError> {
    let lacks = || ParseRunError::Damaged("it has no digest".to_owned());
    let members = written.as_object_mut().ok_or_else(lacks)?;
    let Some(Value::String(digest)) = members.remove("digest") else {
        return Err(lacks());
    };
    let moments = ["created_at", "oldest"].map(|name| (name, members.remove(name)));
    let fits = sha256(&*members) == digest;
    for (name, moment) in moments {
        members.extend(moment.map(|moment| (name.to_owned(), moment)));
    }
    if fits {
        Ok(digest)
    } else {
        Err(ParseRunError::DigestMismatch)
    }
}
