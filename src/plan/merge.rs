//! Several runs as one: what the shards of a fleet wrote, joined.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::account::AccountId;
use crate::model::shard::Shard;
use crate::model::text::{abbreviate_list, pluralize};

use super::run::{Format, Run};

/// What is asked of the runs that are joined.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeRules {
    /// Whether shards may be missing.
    pub allow_missing: bool,
    /// The moment before which none of them may have been written.
    pub not_before: Option<Timestamp>,
}

/// Why runs can't be joined. Each is named by the file that it came from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMerge {
    #[error("there is nothing to merge")]
    Nothing,
    /// They are of different kinds.
    #[error(
        "{first} is a {format} and {other} a {other_format}; only results of one format can be merged"
    )]
    OtherFormat {
        first: String,
        format: Format,
        other: String,
        other_format: Format,
    },
    /// They were made against different APIs.
    #[error("{first} was made against {base_url} and {other} against {other_base_url}")]
    OtherBaseUrl {
        first: String,
        base_url: String,
        other: String,
        other_base_url: String,
    },
    /// Some of them are shards, or shards of another number of shards.
    #[error(
        "{first} is {} and {other} {}; only the shards of one run, or runs without shards, can be merged",
        part(shard),
        part(other_shard)
    )]
    OtherShards {
        first: String,
        shard: Option<Shard>,
        other: String,
        other_shard: Option<Shard>,
    },
    #[error("the shard {shard} is in {first} and again in {other}")]
    ShardTwice {
        shard: Shard,
        first: String,
        other: String,
    },
    #[error("{} missing: {}", are(missing.len()), abbreviate_list(missing))]
    Missing { missing: Vec<Shard> },
    #[error("the account {account_id} is in {first} and again in {other}")]
    AccountTwice {
        account_id: AccountId,
        first: String,
        other: String,
    },
    #[error("{file} was written at {written}, which is too long ago")]
    TooOld { file: String, written: Timestamp },
}

impl InvalidMerge {
    /// The way out.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            InvalidMerge::Missing { .. } => {
                Some("give all shards' files, or merge what there is with --allow-missing")
            }
            InvalidMerge::TooOld { .. } => Some("run that shard again, or raise --max-age"),
            InvalidMerge::Nothing
            | InvalidMerge::OtherFormat { .. }
            | InvalidMerge::OtherBaseUrl { .. }
            | InvalidMerge::OtherShards { .. }
            | InvalidMerge::ShardTwice { .. }
            | InvalidMerge::AccountTwice { .. } => None,
        }
    }
}

fn part(shard: &Option<Shard>) -> String {
    match shard {
        Some(shard) => format!("the shard {shard}"),
        None => "no shard".to_owned(),
    }
}

fn are(shards: usize) -> String {
    let verb = if shards == 1 { "is" } else { "are" };
    format!("{} {verb}", pluralize(shards, "shard"))
}

/// Joins runs of one format, each with the name of its file: accounts sorted as ever. It was written when the newest of them was.
pub fn merge(runs: Vec<(String, Run)>, rules: &MergeRules) -> Result<Run, InvalidMerge> {
    let (first, head) = runs.first().ok_or(InvalidMerge::Nothing)?;
    for (other, run) in &runs {
        belongs_together((first, head), (other, run))?;
        let oldest = run.oldest.unwrap_or(run.created_at);
        if rules.not_before.is_some_and(|moment| oldest < moment) {
            return Err(InvalidMerge::TooOld {
                file: other.clone(),
                written: oldest,
            });
        }
    }
    let missing = missing(&runs)?;
    if !missing.is_empty() && !rules.allow_missing {
        return Err(InvalidMerge::Missing { missing });
    }

    let oldest = runs
        .iter()
        .map(|(_, run)| run.oldest.unwrap_or(run.created_at));
    let oldest = oldest.min();
    let newest = runs.iter().map(|(_, run)| run.created_at).max();
    let created_at = newest.unwrap_or(head.created_at);
    let mut merged = Run::new(
        head.format,
        head.base_url.clone(),
        None,
        Vec::new(),
        created_at,
    );
    merged.oldest = oldest.filter(|oldest| *oldest != created_at);
    let mut holders: BTreeMap<AccountId, String> = BTreeMap::new();
    for (file, run) in runs {
        for account in run.accounts {
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
    Ok(merged)
}

fn belongs_together(
    (first, head): (&str, &Run),
    (other, run): (&str, &Run),
) -> Result<(), InvalidMerge> {
    if run.format != head.format {
        return Err(InvalidMerge::OtherFormat {
            first: first.to_owned(),
            format: head.format,
            other: other.to_owned(),
            other_format: run.format,
        });
    }
    if run.base_url != head.base_url {
        return Err(InvalidMerge::OtherBaseUrl {
            first: first.to_owned(),
            base_url: head.base_url.clone(),
            other: other.to_owned(),
            other_base_url: run.base_url.clone(),
        });
    }
    if run.shard.map(|shard| shard.of) != head.shard.map(|shard| shard.of) {
        return Err(InvalidMerge::OtherShards {
            first: first.to_owned(),
            shard: head.shard,
            other: other.to_owned(),
            other_shard: run.shard,
        });
    }
    Ok(())
}

/// The shards that no file is, once it is clear that none is there twice.
fn missing(runs: &[(String, Run)]) -> Result<Vec<Shard>, InvalidMerge> {
    let mut holders: BTreeMap<Shard, &str> = BTreeMap::new();
    for (other, run) in runs {
        let Some(shard) = run.shard else {
            return Ok(Vec::new());
        };
        if let Some(first) = holders.insert(shard, other) {
            return Err(InvalidMerge::ShardTwice {
                shard,
                first: first.to_owned(),
                other: other.clone(),
            });
        }
    }
    let there: BTreeSet<u64> = holders.keys().map(|shard| shard.index).collect();
    let of = holders.keys().next().map(|shard| shard.of);
    Ok(of
        .into_iter()
        .flat_map(|of| (0..of.get()).map(move |index| Shard { index, of }))
        .filter(|shard| !there.contains(&shard.index))
        // Nobody has millions of machines; a file that says so must not fill the memory.
        .take(100_000)
        .collect())
}
