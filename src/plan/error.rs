//! Planning errors: all of them at once, each with its location and a fix.

use std::fmt;

use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::integration::{IntegrationId, ReferenceId};
use crate::model::location::Location;

use super::matching::MatchedBy;

/// All errors in the files of one account.
#[derive(Debug)]
pub struct PlanErrors {
    problems: Vec<PlanError>,
}

impl PlanErrors {
    pub(super) fn new(problems: Vec<PlanError>) -> Self {
        PlanErrors { problems }
    }

    /// The errors, behaviors first.
    pub fn problems(&self) -> &[PlanError] {
        &self.problems
    }
}

impl std::error::Error for PlanErrors {}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(location) = problem.location() {
                write!(f, "{location}: ")?;
            }
            write!(f, "{problem}\n  help: {}", problem.help())?;
        }
        Ok(())
    }
}

/// An error that prevents a plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A file declares a behavior that the account does not have.
    #[error("unknown behavior {key}")]
    NotOffered {
        key: BehaviorKey,
        /// Behaviors of the account.
        offered: Vec<BehaviorKey>,
        /// The most similar name.
        nearest: Option<BehaviorKey>,
        /// Location of the declaration.
        location: Location,
    },
    /// Several live integrations match one entry.
    #[error(
        "{entry} matches several live integrations by {by}: {}",
        list(candidates)
    )]
    SeveralLive {
        entry: Address,
        /// The key that they match by.
        by: MatchedBy,
        candidates: Vec<IntegrationId>,
        /// Location of the entry.
        location: Location,
    },
    /// Several entries match one live integration.
    #[error("{} match the same live integration {id} by {by}", list(entries))]
    SeveralEntries {
        entries: Vec<Address>,
        /// The key that they match by.
        by: MatchedBy,
        id: IntegrationId,
        /// Location of the first entry.
        location: Location,
    },
    /// The identity provider of an entry is missing, ambiguous or not Okta.
    #[error("{entry}: {}", describe_provider_problem(name, *found, other_kind.as_deref()))]
    IdentityProvider {
        entry: Address,
        name: String,
        /// Number of Okta providers with this name.
        found: usize,
        /// Type of the provider with this name, if one exists.
        other_kind: Option<String>,
        /// Possible providers, with their ids.
        candidates: Vec<String>,
        /// Location of the entry.
        location: Location,
    },
    /// Two entries have one identity provider.
    #[error(
        "{} and {} have the same identity provider {name:?} ({id})",
        entries[0],
        entries[1]
    )]
    SharedProvider {
        entries: [Address; 2],
        /// Name of the provider.
        name: String,
        id: ReferenceId,
        /// Location of the second entry.
        location: Location,
    },
    /// Another resource keeps a value that an entry declares.
    #[error("{wants}: {key} is already used by {holder}")]
    Held {
        /// The entry that declares the value.
        wants: Address,
        /// The field and its value.
        key: String,
        /// The resource that has the value.
        holder: Address,
        /// How to resolve the conflict.
        way_out: Resolution,
        /// Location of the entry.
        location: Option<Location>,
    },
}

/// Resolutions of a conflict about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The holder is unlisted.
    ListOrDelete,
    /// The holder is another entry.
    ChangeEither,
    /// Both declare the key and are pinned, but to missing integrations.
    Distinguish,
    /// The holder would free the key, but is not targeted.
    Target,
}

impl PlanError {
    /// Returns the location of the cause.
    pub fn location(&self) -> Option<&Location> {
        match self {
            PlanError::NotOffered { location, .. }
            | PlanError::SeveralLive { location, .. }
            | PlanError::SeveralEntries { location, .. }
            | PlanError::IdentityProvider { location, .. }
            | PlanError::SharedProvider { location, .. } => Some(location),
            PlanError::Held { location, .. } => location.as_ref(),
        }
    }

    /// Returns the advice for `help:`.
    pub fn help(&self) -> String {
        match self {
            PlanError::NotOffered {
                offered, nearest, ..
            } => {
                let offered = list(offered);
                match nearest {
                    Some(nearest) => {
                        format!("did you mean {nearest}? available: {offered}")
                    }
                    None => format!("available: {offered}"),
                }
            }
            PlanError::SeveralLive {
                entry, candidates, ..
            } => format!(
                "add `id:` to {entry} to select one, e.g. `id: {}`",
                candidates
                    .first()
                    .map_or_else(String::new, ToString::to_string)
            ),
            PlanError::SeveralEntries { id, .. } => {
                format!(
                    "add `id: {id}` to one of them and other IDs to the rest"
                )
            }
            PlanError::IdentityProvider { candidates, .. } => match candidates.as_slice() {
                [] => "the account has no Okta identity provider; use reference_id or remove identity_provider".to_owned(),
                candidates => format!(
                    "available: {}; use one of these names, or set reference_id to its ID",
                    list(candidates)
                ),
            },
            PlanError::SharedProvider { .. } => {
                "use different identity providers, or pin both entries with `id`".to_owned()
            }
            PlanError::Held {
                wants,
                holder,
                way_out,
                ..
            } => match way_out {
                Resolution::ListOrDelete => format!(
                    "add {holder} to the file, delete it, or set `unlisted.integrations: delete`"
                ),
                Resolution::ChangeEither => {
                    format!(
                        "change the value in {wants} or {holder}, or set it in both and pin each with `id:`"
                    )
                }
                Resolution::Distinguish => format!(
                    "set different values of reference_id in {wants} and {holder}; the integrations with their ids no longer exist"
                ),
                Resolution::Target => format!("add --target '{holder}'"),
            },
        }
    }
}

fn describe_provider_problem(name: &str, found: usize, other_kind: Option<&str>) -> String {
    match (found, other_kind) {
        (0, None) => format!("identity provider {name:?} not found"),
        (0, Some(kind)) => format!("identity provider {name:?} has type {kind:?}, expected okta"),
        (found, _) => format!("{found} identity providers are named {name:?}"),
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
