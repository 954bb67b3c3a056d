//! Matching of entries and live integrations. No state is stored, so every run matches again.
//!
//! Four passes over all entries, each over the unmatched rest: the pinned `id`, an equal `reference_id`, an equal `tenant_url` and
//! type, and a generated reference of the same type. The tenant comes before the generated reference, because the URL in Okta should stay
//! with its tenant. An unset reference equals nothing. Two live integrations for one entry, or two entries for one live integration, within
//! a pass are an error: a wrong choice could delete or redirect an integration. Exact duplicates are no candidates: concurrent runs create
//! them, and all runs choose the oldest.

use std::hash::Hash;

use smallvec::SmallVec;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::{DesiredIntegration, Integration, IntegrationId};
use crate::model::open_enum::string_enum;

use super::error::PlanError;
use super::fast_map::{FastMap, FastSet};
use super::note::Note;

string_enum! {
    /// Key of a match.
    MatchedBy {
        /// The pinned id.
        Id = "id",
        /// The declared reference.
        ReferenceId = "reference_id",
        /// Tenant and type.
        TenantUrl = "tenant_url",
        /// Only the generated reference.
        GeneratedReference = "generated_reference",
    }
}

/// Entries with their live integrations.
#[derive(Debug)]
pub struct Matches<'a> {
    /// All entries, by name.
    entries: Vec<MatchedEntry<'a>>,
    /// Unmatched live integrations, by id.
    pub unlisted: Vec<&'a Integration>,
    notes: Vec<Note>,
}

/// An entry and its live integration.
#[derive(Clone, Copy, Debug)]
pub struct MatchedEntry<'a> {
    pub declared: &'a DesiredIntegration,
    /// The live integration and the key of the match; `None` if it must be created.
    pub found: Option<(&'a Integration, MatchedBy)>,
}

impl MatchedEntry<'_> {
    pub(super) fn address(&self) -> Address {
        Address::Integration(self.declared.name.clone())
    }
}

impl<'a> Matches<'a> {
    /// Returns all entries, by name.
    pub fn entries(&self) -> &[MatchedEntry<'a>] {
        &self.entries
    }

    /// Returns notes about the matches: duplicates and missing pinned ids.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        let gone_pins = self.entries.iter().filter_map(|entry| {
            let id = entry.declared.id?;
            (!matches!(entry.found, Some((_, MatchedBy::Id)))).then(|| Note::PinnedIdNotFound {
                address: entry.address(),
                id,
            })
        });
        self.notes.iter().cloned().chain(gone_pins)
    }
}

/// Matches entries with live integrations.
///
/// # Errors
///
/// Fails with every ambiguity and its candidates.
pub fn matches<'a>(
    desired: &'a DesiredAccount,
    live: &'a LiveAccount,
) -> Result<Matches<'a>, Vec<PlanError>> {
    match_integrations(desired, live.integrations.iter().collect())
}

/// Like [`matches`], for some of the live integrations.
pub(super) fn match_integrations<'a>(
    desired: &'a DesiredAccount,
    live: Vec<&'a Integration>,
) -> Result<Matches<'a>, Vec<PlanError>> {
    let (account, counts) = (&desired.account_id, own_counts(live.len()));
    let mut passes = Matcher {
        entries: desired
            .integrations
            .values()
            .map(|declared| MatchedEntry {
                declared,
                found: None,
            })
            .collect(),
        live,
        duplicates: Vec::new(),
        problems: Vec::new(),
    };
    passes.pass(MatchedBy::Id, |entry| entry.id, |live| Some(live.id), any);
    passes.set_duplicates_aside();
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
    passes.pass(
        MatchedBy::GeneratedReference,
        |entry| Some(GeneratedReferences::of(account, &entry.name).key()),
        |live| live.settings.reference_id.as_ref().and_then(owner_key),
        |entry, live| {
            let own = GeneratedReferences::of(account, &entry.name);
            let reference = live.settings.reference_id.as_ref();
            same_type(entry, live)
                && reference.is_some_and(|reference| own.contains(reference, counts))
        },
    );
    let Matcher {
        entries,
        live: mut unlisted,
        duplicates,
        problems,
    } = passes;
    let mut notes = Vec::new();
    for (oldest, younger) in duplicates {
        let is_oldest = |entry: &&MatchedEntry<'_>| matches!(entry.found, Some((live, _)) if live.id == oldest.id);
        notes.extend(
            entries
                .iter()
                .find(is_oldest)
                .map(|entry| Note::DuplicatesFound {
                    address: entry.address(),
                    id: oldest.id,
                    duplicates: younger.iter().map(|live| live.id).collect(),
                }),
        );
        unlisted.extend(younger);
    }
    unlisted.sort_unstable_by_key(|live| live.id);
    if problems.is_empty() {
        Ok(Matches {
            entries,
            unlisted,
            notes,
        })
    } else {
        Err(problems)
    }
}

/// Returns the maximum number of generated references per entry in an account of this size. A number is skipped only if another
/// integration has it.
pub(super) fn own_counts(live: usize) -> usize {
    live + 1
}

fn any(_: &DesiredIntegration, _: &Integration) -> bool {
    true
}

/// Returns true if the types match. An entry without a type matches any.
pub(super) fn same_type(entry: &DesiredIntegration, live: &Integration) -> bool {
    entry
        .integration_type
        .is_none_or(|declared| live.settings.integration_type == declared.into())
}

struct Matcher<'a> {
    entries: Vec<MatchedEntry<'a>>,
    /// Live integrations not matched by an earlier pass, by id.
    live: Vec<&'a Integration>,
    /// Exact duplicates: the oldest, and the younger ones, which match no entry.
    duplicates: Vec<(&'a Integration, Vec<&'a Integration>)>,
    problems: Vec<PlanError>,
}

/// Positions in a list. There is rarely more than one for a key.
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
        // The order of the live integrations, so that ambiguities are always reported in the same order.
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
                _ => None,
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

    /// Keeps only the oldest of several exact duplicates for the passes that follow.
    fn set_duplicates_aside(&mut self) {
        if self.entries.iter().all(|entry| entry.found.is_some()) {
            return;
        }
        let mut groups: FastMap<_, SmallVec<[&'a Integration; 1]>> = FastMap::default();
        for live in self.live.iter().copied() {
            let settings = &live.settings;
            if let Some(reference) = &settings.reference_id {
                let tenant = settings.tenant_url.normalized();
                let key = (reference, tenant, &settings.integration_type);
                groups.entry(key).or_default().push(live);
            }
        }
        let mut aside: FastSet<IntegrationId> = FastSet::default();
        for mut group in groups.into_values().filter(|group| group.len() > 1) {
            group.sort_by_cached_key(|live| live.creation_order());
            let oldest = group.remove(0);
            aside.extend(group.iter().map(|live| live.id));
            self.duplicates.push((oldest, group.into_vec()));
        }
        self.duplicates
            .sort_unstable_by_key(|(oldest, _)| oldest.id);
        self.live.retain(|live| !aside.contains(&live.id));
    }
}
