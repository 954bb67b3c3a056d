//! The digest that a document is written with: whoever reads it can tell that it was cut off or edited.

use schemars::JsonSchema;
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::digest::sha256;
use crate::plan::fleet::Summary;

use super::{AccountDocument, Document, Format};

/// A document as it is written.
#[derive(Serialize, JsonSchema)]
pub struct Sealed<'a> {
    /// What it holds.
    #[serde(flatten)]
    pub document: &'a Document,
    /// SHA-256 over everything else but `created_at`. Tells accidents; authenticates nobody.
    pub digest: String,
}

/// The digest that a written document carries.
#[derive(Deserialize)]
pub(super) struct Seal {
    pub(super) digest: String,
}

/// What the digest covers, with members in their canonical order.
#[derive(Serialize)]
struct Covered<'a> {
    #[serde(serialize_with = "each_sorted")]
    accounts: &'a [AccountDocument],
    base_url: &'a str,
    format: Format,
    riskform_version: &'a str,
    #[serde(serialize_with = "sorted")]
    summary: &'a Summary,
}

impl Document {
    /// The document with its digest.
    pub fn sealed(&self) -> Sealed<'_> {
        Sealed {
            document: self,
            digest: self.digest(),
        }
    }

    /// SHA-256 over everything but the moment of writing.
    pub(super) fn digest(&self) -> String {
        let Document {
            format,
            riskform_version,
            base_url,
            created_at: _,
            accounts,
            summary,
        } = self;
        sha256(&Covered {
            accounts,
            base_url,
            format: *format,
            riskform_version,
            summary,
        })
    }
}

/// Sorts one account at a time, so that a fleet is never in memory twice.
fn each_sorted<S: Serializer>(
    accounts: &[AccountDocument],
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
