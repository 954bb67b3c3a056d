//! Which live integration is which entry. There is no state file, so identity is found anew each time.
//!
//! Three passes over all entries, each over what the earlier ones left: the pinned `id`; a set and equal `reference_id`; an equal
//! `tenant_url` and type. An unset reference equals nothing. Two live ones for one entry, or two entries for one live one, within a pass
//! are an error: a guess could delete or redirect the wrong integration.

use std::fmt;
use std::hash::Hash;

use smallvec::SmallVec;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::integration::{DesiredIntegration, Integration};

use super::error::Problem;
use super::fast_map::FastMap;
use super::note::Note;

/// What an entry was recognized by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedBy {
    /// Its pinned id.
    Id,
    /// Its reference.
    ReferenceId,
    /// Its tenant and type.
    TenantUrl,
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MatchedBy::Id => "id",
            MatchedBy::ReferenceId => "reference_id",
            MatchedBy::TenantUrl => "tenant_url",
        })
    }
}

/// The live integrations by the entries that they are.
#[derive(Debug)]
pub struct Matches<'a> {
    /// Every entry, by name.
    entries: Vec<Entry<'a>>,
    /// Live integrations that no entry is, by id.
    pub unlisted: Vec<&'a Integration>,
}

/// An entry, and the live integration that it is.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What the file declares.
    pub declared: &'a DesiredIntegration,
    /// The live one, and what it was recognized by; `None` for an entry that is yet to be made.
    pub found: Option<(&'a Integration, MatchedBy)>,
}

impl<'a> Matches<'a> {
    /// Every entry, by name.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// A note for each entry whose pinned integration is gone.
    pub(super) fn gone_pins(&self) -> impl Iterator<Item = Note> {
        self.entries.iter().filter_map(|entry| {
            let id = entry.declared.id?;
            (!matches!(entry.found, Some((_, MatchedBy::Id)))).then(|| Note::PinGone {
                address: Address::Integration(entry.declared.name.clone()),
                id,
            })
        })
    }
}

/// Finds which live integration is which entry.
///
/// # Errors
///
/// Every ambiguity, with its candidates.
pub fn matches<'a>(
    desired: &'a DesiredAccount,
    live: &'a LiveAccount,
) -> Result<Matches<'a>, Vec<Problem>> {
    let mut passes = Passes {
        entries: desired
            .integrations
            .values()
            .map(|declared| Entry {
                declared,
                found: None,
            })
            .collect(),
        live: live.integrations.iter().collect(),
        problems: Vec::new(),
    };
    passes.pass(MatchedBy::Id, |entry| entry.id, |live| Some(live.id), any);
    passes.pass(
        MatchedBy::ReferenceId,
        |entry| entry.reference_id.as_ref(),
        |live| live.settings.reference_id.as_ref(),
        any,
    );
    passes.pass(
        MatchedBy::TenantUrl,
        |entry| Some(entry.tenant_url.normalized()),
        |live| Some(live.settings.tenant_url.normalized()),
        same_type,
    );
    let Passes {
        entries,
        live,
        problems,
    } = passes;
    if problems.is_empty() {
        Ok(Matches {
            entries,
            unlisted: live,
        })
    } else {
        Err(problems)
    }
}

fn any(_: &DesiredIntegration, _: &Integration) -> bool {
    true
}

/// An entry that leaves its type out takes the type that is live, so it fits any.
fn same_type(entry: &DesiredIntegration, live: &Integration) -> bool {
    entry
        .integration_type
        .is_none_or(|declared| live.settings.integration_type == declared.into())
}

struct Passes<'a> {
    entries: Vec<Entry<'a>>,
    /// Live integrations that no earlier pass matched, by id.
    live: Vec<&'a Integration>,
    problems: Vec<Problem>,
}

/// Positions in a list. Of what fits a key there is hardly ever more than one.
type Positions = SmallVec<[usize; 1]>;

impl<'a> Passes<'a> {
    fn pass<K: Eq + Hash>(
        &mut self,
        by: MatchedBy,
        wanted: impl Fn(&'a DesiredIntegration) -> Option<K>,
        held: impl Fn(&'a Integration) -> Option<K>,
        fits: impl Fn(&DesiredIntegration, &Integration) -> bool,
    ) {
        let unmatched = self.entries.iter().enumerate();
        let wishes: Vec<(usize, K)> = unmatched
            .filter(|(_, entry)| entry.found.is_none())
            .filter_map(|(index, entry)| Some((index, wanted(entry.declared)?)))
            .collect();
        if wishes.is_empty() || self.live.is_empty() {
            return;
        }
        let mut holders: FastMap<K, Positions> =
            FastMap::with_capacity_and_hasher(self.live.len(), Default::default());
        for (position, live) in self.live.iter().enumerate() {
            if let Some(key) = held(live) {
                holders.entry(key).or_default().push(position);
            }
        }
        // In the order of the live ones, so that several ambiguities are always told in the same order.
        let mut claims: Vec<Positions> = vec![Positions::new(); self.live.len()];
        for (index, key) in wishes {
            let entry = &mut self.entries[index];
            let candidates: Positions = holders
                .get(&key)
                .into_iter()
                .flatten()
                .copied()
                .filter(|position| fits(entry.declared, self.live[*position]))
                .collect();
            match candidates.as_slice() {
                [] => {}
                [position] => {
                    claims[*position].push(index);
                    entry.found = Some((self.live[*position], by));
                }
                several => self.problems.push(Problem::SeveralLive {
                    entry: Address::Integration(entry.declared.name.clone()),
                    by,
                    candidates: several.iter().map(|one| self.live[*one].id).collect(),
                    location: entry.declared.location.clone(),
                }),
            }
        }
        for (live, entries) in self.live.iter().zip(&claims) {
            if let [first, _, ..] = entries.as_slice() {
                let declared = |index: &usize| self.entries[*index].declared;
                self.problems.push(Problem::SeveralEntries {
                    entries: entries
                        .iter()
                        .map(|index| Address::Integration(declared(index).name.clone()))
                        .collect(),
                    by,
                    id: live.id,
                    location: declared(first).location.clone(),
                });
            }
        }
        let mut claims = claims.iter();
        self.live
            .retain(|_| claims.next().is_some_and(|claim| claim.is_empty()));
    }
}
