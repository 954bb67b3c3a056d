//! Several runs' documents as one: what the shards of a fleet wrote, joined.

use std::collections::BTreeMap;

use crate::model::account::AccountId;

use super::run::{Format, Run};

/// Why documents can't be joined. Each is named by the file that it came from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMerge {
    /// There is nothing to join.
    #[error("there is nothing to merge")]
    Nothing,
    /// They come from different kinds of runs.
    #[error(
        "{first} is a {format} and {other} a {other_format}; only documents of one format can be merged"
    )]
    OtherFormat {
        /// The first file.
        first: String,
        /// Its format.
        format: Format,
        /// The file that does not fit.
        other: String,
        /// Its format.
        other_format: Format,
    },
    /// They were made against different APIs.
    #[error("{first} was made against {base_url} and {other} against {other_base_url}")]
    OtherBaseUrl {
        /// The first file.
        first: String,
        /// Its API.
        base_url: String,
        /// The file that does not fit.
        other: String,
        /// Its API.
        other_base_url: String,
    },
    /// Two of them hold the same account.
    #[error("the account {account_id} is in {first} and again in {other}")]
    AccountTwice {
        /// The account.
        account_id: AccountId,
        /// The file that held it first.
        first: String,
        /// The file that holds it again.
        other: String,
    },
}

/// Joins documents of one format, each with the name of its file: accounts sorted as ever, totals counted anew. It was written
/// when the youngest of them was.
pub fn merge(documents: Vec<(String, Run)>) -> Result<Run, InvalidMerge> {
    let mut documents = documents.into_iter();
    let (first, mut merged) = documents.next().ok_or(InvalidMerge::Nothing)?;
    let mut holders = BTreeMap::new();
    let accounts = std::mem::take(&mut merged.accounts);
    let mut batches = vec![(first.clone(), accounts)];
    for (other, document) in documents {
        if document.format != merged.format {
            return Err(InvalidMerge::OtherFormat {
                first,
                format: merged.format,
                other,
                other_format: document.format,
            });
        }
        if document.base_url != merged.base_url {
            return Err(InvalidMerge::OtherBaseUrl {
                first,
                base_url: merged.base_url,
                other,
                other_base_url: document.base_url,
            });
        }
        merged.created_at = merged.created_at.max(document.created_at);
        batches.push((other, document.accounts));
    }
    for (file, accounts) in batches {
        for account in accounts {
            if let Some(first) = holders.insert(account.account_id.clone(), file.clone()) {
                return Err(InvalidMerge::AccountTwice {
                    account_id: account.account_id,
                    first,
                    other: file,
                });
            }
            merged.accounts.push(account);
        }
    }
    merged
        .accounts
        .sort_by(|a, b| (&a.source, &a.account_id).cmp(&(&b.source, &b.account_id)));
    env!("CARGO_PKG_VERSION").clone_into(&mut merged.riskform_version);
    Ok(merged)
}
