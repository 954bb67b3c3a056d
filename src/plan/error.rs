//! Why no plan can be made: every reason at once, each with its place and the way out.

use std::fmt;

use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::integration::IntegrationId;
use crate::model::location::Location;

use super::matching::MatchedBy;

/// Everything that keeps one account's files from coming true.
#[derive(Debug)]
pub struct PlanErrors {
    problems: Vec<PlanError>,
}

impl PlanErrors {
    pub(super) fn new(problems: Vec<PlanError>) -> Self {
        PlanErrors { problems }
    }

    /// The reasons, behaviors first.
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

/// One reason why no plan can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A file lists a behavior that the account does not have.
    #[error("the account does not offer a behavior named {key}")]
    NotOffered {
        key: BehaviorKey,
        /// What the account offers.
        offered: Vec<BehaviorKey>,
        /// The one that was probably meant.
        nearest: Option<BehaviorKey>,
        /// Where it is declared.
        location: Location,
    },
    /// Several live integrations fit one entry.
    #[error("{entry} fits several live integrations by {by}: {}", list(candidates))]
    SeveralLive {
        entry: Address,
        /// What they have in common.
        by: MatchedBy,
        /// The live ones.
        candidates: Vec<IntegrationId>,
        /// Where the entry is declared.
        location: Location,
    },
    /// Several entries fit one live integration.
    #[error("{} all fit the live integration {id} by {by}", list(entries))]
    SeveralEntries {
        entries: Vec<Address>,
        /// What they have in common.
        by: MatchedBy,
        /// The live one.
        id: IntegrationId,
        /// Where the first of them is declared.
        location: Location,
    },
    /// The identity provider that an entry names can't be told.
    #[error("{entry}: {}", describe_provider_problem(name, *found, other_kind.as_deref()))]
    IdentityProvider {
        entry: Address,
        name: String,
        /// How many Okta providers have it.
        found: usize,
        /// What kind the provider of that name is, if there is one.
        other_kind: Option<String>,
        /// Those that could be meant, with their ids.
        candidates: Vec<String>,
        /// Where the entry is declared.
        location: Location,
    },
    /// What an entry wants is held by something that keeps it.
    #[error("{wants} wants {key}, which {holder} holds and keeps")]
    Held {
        /// The entry that wants it.
        wants: Address,
        /// The field and its value.
        key: String,
        /// Who holds it.
        holder: Address,
        /// What would make room.
        way_out: Resolution,
        /// Where the entry is declared.
        location: Option<Location>,
    },
}

/// What would free a key that something holds and keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The holder is in no file.
    ListOrDelete,
    /// The holder is another entry.
    ChangeEither,
    /// Both ask for it and are pinned, but to integrations that are gone.
    Distinguish,
    /// The holder would let go, but was not targeted.
    Target,
}

impl PlanError {
    /// Where in the files the cause stands.
    pub fn location(&self) -> Option<&Location> {
        match self {
            PlanError::NotOffered { location, .. }
            | PlanError::SeveralLive { location, .. }
            | PlanError::SeveralEntries { location, .. }
            | PlanError::IdentityProvider { location, .. } => Some(location),
            PlanError::Held { location, .. } => location.as_ref(),
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            PlanError::NotOffered {
                offered, nearest, ..
            } => {
                let offered = list(offered);
                match nearest {
                    Some(nearest) => {
                        format!("did you mean {nearest}? the account offers {offered}")
                    }
                    None => format!("the account offers {offered}"),
                }
            }
            PlanError::SeveralLive {
                entry, candidates, ..
            } => format!(
                "pin {entry} to the one it means, e.g. id: {}",
                candidates
                    .first()
                    .map_or_else(String::new, ToString::to_string)
            ),
            PlanError::SeveralEntries { id, .. } => {
                format!(
                    "pin the one that means it with id: {id}, and the others to integrations of their own"
                )
            }
            PlanError::IdentityProvider { candidates, .. } => match candidates.as_slice() {
                [] => "the account has no Okta identity provider; declare reference_id instead, or leave it out".to_owned(),
                candidates => format!(
                    "the account has {}; name one of them, or declare its id as reference_id",
                    list(candidates)
                ),
            },
            PlanError::Held {
                wants,
                holder,
                way_out,
                ..
            } => match way_out {
                Resolution::ListOrDelete => format!(
                    "list {holder} in the file, delete it, or set unlisted.integrations: delete"
                ),
                Resolution::ChangeEither => {
                    format!(
                        "give {wants} or {holder} another value, or declare it in both and pin each with id:"
                    )
                }
                Resolution::Distinguish => format!(
                    "give {wants} and {holder} different values of reference_id: the integrations that they are pinned to are gone, so nothing else would tell them apart"
                ),
                Resolution::Target => format!("target {holder} as well"),
            },
        }
    }
}

fn describe_provider_problem(name: &str, found: usize, other_kind: Option<&str>) -> String {
    match (found, other_kind) {
        (0, None) => format!("no identity provider is named {name:?}"),
        (0, Some(kind)) => format!("the identity provider {name:?} is {kind:?}, not Okta"),
        (found, _) => format!("{found} identity providers are named {name:?}"),
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
