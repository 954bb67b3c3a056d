//! Which live integration is which entry. There is no state file, so identity is found anew each time.
//!
//! Four passes over all entries, each over what the earlier ones left: the pinned `id`; a set and equal `reference_id`; an equal
//! `tenant_url` and type; a reference that riskform made for the entry, of its type. The tenant comes before our own reference, since the
//! URL that was pasted into Okta should stay with its tenant. An unset reference equals nothing. Two live ones for one entry, or two
//! entries for one live one, within a pass are an error: a guess could delete or redirect the wrong integration. The exception are exact
//! twins that bear the entry's own reference: two runs at once made them, and all runs agree on the elder.

use std::hash::Hash;

use smallvec::SmallVec;

use crate::model::account::{AccountId, DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::generated_reference::{GeneratedReferences, whose};
use crate::model::integration::{DesiredIntegration, Integration, ReferenceId};
use crate::model::open_enum::words;

use super::error::PlanError;
use super::fast_map::FastMap;
use super::note::Note;

words! {
    /// What an entry was recognized by.
    MatchedBy {
        /// Its pinned id.
        Id = "id",
        /// The reference that it declares.
        ReferenceId = "reference_id",
        /// Its tenant and type.
        TenantUrl = "tenant_url",
        /// The reference that riskform made for it, and nothing else.
        GeneratedReference = "our own reference",
    }
}

/// The live integrations by the entries that they are.
#[derive(Debug)]
pub struct Matches<'a> {
    /// Every entry, by name.
    entries: Vec<MatchedEntry<'a>>,
    /// Live integrations that no entry is, by id.
    pub unlisted: Vec<&'a Integration>,
    notes: Vec<Note>,
}

/// An entry, and the live integration that it is.
#[derive(Clone, Copy, Debug)]
pub struct MatchedEntry<'a> {
    /// What the file declares.
    pub declared: &'a DesiredIntegration,
    /// The live one, and what it was recognized by; `None` for an entry that is yet to be made.
    pub found: Option<(&'a Integration, MatchedBy)>,
}

impl MatchedEntry<'_> {
    pub(super) fn address(&self) -> Address {
        Address::Integration(self.declared.name.clone())
    }
}

impl<'a> Matches<'a> {
    /// Every entry, by name.
    pub fn entries(&self) -> &[MatchedEntry<'a>] {
        &self.entries
    }

    /// What is to be said of how the entries were recognized: twins, and pins that are gone.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        let gone_pins = self.entries.iter().filter_map(|entry| {
            let id = entry.declared.id?;
            (!matches!(entry.found, Some((_, MatchedBy::Id)))).then(|| Note::PinGone {
                address: entry.address(),
                id,
            })
        });
        self.notes.iter().cloned().chain(gone_pins)
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
) -> Result<Matches<'a>, Vec<PlanError>> {
    match_integrations(desired, live.integrations.iter().collect())
}

/// As [`matches`], for some of the live integrations.
pub(super) fn match_integrations<'a>(
    desired: &'a DesiredAccount,
    live: Vec<&'a Integration>,
) -> Result<Matches<'a>, Vec<PlanError>> {
    let mut passes = Matcher {
        account: &desired.account_id,
        entries: desired
            .integrations
            .values()
            .map(|declared| MatchedEntry {
                declared,
                found: None,
            })
            .collect(),
        own_counts: own_counts(live.len()),
        live,
        notes: Vec::new(),
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
    let (account, counts) = (passes.account, passes.own_counts);
    passes.pass(
        MatchedBy::GeneratedReference,
        |entry| Some(GeneratedReferences::of(account, &entry.name).key()),
        |live| live.settings.reference_id.as_ref().and_then(whose),
        |entry, live| {
            let own = GeneratedReferences::of(account, &entry.name);
            let reference = live.settings.reference_id.as_ref();
            same_type(entry, live)
                && reference.is_some_and(|reference| own.include(reference, counts))
        },
    );
    let Matcher {
        entries,
        live,
        notes,
        problems,
        account: _,
        own_counts: _,
    } = passes;
    if problems.is_empty() {
        Ok(Matches {
            entries,
            unlisted: live,
            notes,
        })
    } else {
        Err(problems)
    }
}

/// How many references of its own an entry may have been given in an account with so many integrations: each number is passed over only
/// where another integration holds it.
pub(super) fn own_counts(live: usize) -> usize {
    live + 1
}

fn any(_: &DesiredIntegration, _: &Integration) -> bool {
    true
}

/// An entry that leaves its type out takes the type that is live, so it fits any.
pub(super) fn same_type(entry: &DesiredIntegration, live: &Integration) -> bool {
    entry
        .integration_type
        .is_none_or(|declared| live.settings.integration_type == declared.into())
}

struct Matcher<'a> {
    account: &'a AccountId,
    entries: Vec<MatchedEntry<'a>>,
    own_counts: usize,
    /// Live integrations that no earlier pass matched, by id.
    live: Vec<&'a Integration>,
    notes: Vec<Note>,
    problems: Vec<PlanError>,
}

/// Positions in a list. Of what fits a key there is hardly ever more than one.
type Positions = SmallVec<[usize; 1]>;

impl<'a> Matcher<'a> {
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
            let entry = self.entries[index];
            let candidates: Positions = holders
                .get(&key)
                .into_iter()
                .flatten()
                .copied()
                .filter(|position| fits(entry.declared, self.live[*position]))
                .collect();
            let chosen = match candidates.as_slice() {
                [] => continue,
                [position] => Some(*position),
                several => self.oldest_duplicate(&entry, several),
            };
            match chosen {
                Some(position) => {
                    claims[position].push(index);
                    self.entries[index].found = Some((self.live[position], by));
                }
                None => self.problems.push(PlanError::SeveralLive {
                    entry: entry.address(),
                    by,
                    candidates: candidates.iter().map(|one| self.live[*one].id).collect(),
                    location: entry.declared.location.clone(),
                }),
            }
        }
        for (live, entries) in self.live.iter().zip(&claims) {
            if let [first, _, ..] = entries.as_slice() {
                self.problems.push(PlanError::SeveralEntries {
                    entries: entries
                        .iter()
                        .map(|index| self.entries[*index].address())
                        .collect(),
                    by,
                    id: live.id,
                    location: self.entries[*first].declared.location.clone(),
                });
            }
        }
        let mut claims = claims.iter();
        self.live
            .retain(|_| claims.next().is_some_and(|claim| claim.is_empty()));
    }

    /// The eldest of several exact twins that bear the entry's own reference; `None` where the candidates are anything else.
    fn oldest_duplicate(
        &mut self,
        entry: &MatchedEntry<'a>,
        candidates: &[usize],
    ) -> Option<usize> {
        let own = GeneratedReferences::of(self.account, &entry.declared.name);
        let first = self.live[*candidates.first()?];
        let reference: &ReferenceId = first.settings.reference_id.as_ref()?;
        let twins = candidates
            .iter()
            .all(|other| self.live[*other].settings.is_duplicate_of(&first.settings));
        if !twins || !own.include(reference, self.own_counts) {
            return None;
        }
        let elder = *candidates
            .iter()
            .min_by_key(|position| self.live[**position].seniority())?;
        self.notes.push(Note::Twins {
            address: entry.address(),
            id: self.live[elder].id,
            twins: candidates
                .iter()
                .filter(|position| **position != elder)
                .map(|position| self.live[*position].id)
                .collect(),
        });
        Some(elder)
    }
}
