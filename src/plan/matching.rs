//! Matching of entries and live integrations. No state is stored, so every run matches again.
//!
//! Four passes over all entries, each over the unmatched rest: the pinned `id`, an equal `reference_id`, an equal `tenant_url` and
//! type, and a generated reference of the same type. The tenant comes before the generated reference, because the URL in Okta should stay
//! with its tenant. An unset reference equals nothing. Several live integrations for one entry are a tie: the entry's tenant and type decide
//! between equal references, and its generated reference between equal tenants. If nothing decides, or if several entries match one live
//! integration, the entries are ambiguous: a wrong choice could delete or redirect an integration. Exact duplicates are no candidates:
//! concurrent runs create them, and all runs choose the oldest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::{DesiredIntegration, Integration, IntegrationId};
use crate::model::open_enum::string_enum;

use super::error::{Candidate, PlanError, PlanErrorKind, list};
use super::note::{Note, NoteKind};

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
    /// All entries that are not ambiguous, by name.
    entries: Vec<MatchedEntry<'a>>,
    /// Unmatched live integrations, by id.
    pub unlisted: Vec<&'a Integration>,
    /// Live integrations that match ambiguous entries, by id. They are not unlisted.
    pub candidates: Vec<&'a Integration>,
    /// Ambiguous entries, by name.
    pub errors: Vec<PlanError>,
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
    /// Returns all entries that are not ambiguous, by name.
    pub fn entries(&self) -> &[MatchedEntry<'a>] {
        &self.entries
    }

    /// Returns notes about the matches: duplicates and missing pinned ids.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        let gone_pins = self.entries.iter().filter_map(|entry| {
            let id = entry.declared.id?;
            let message = match entry.found {
                Some((_, MatchedBy::Id)) => return None,
                Some((Integration { id: instead, .. }, _)) => format!(
                    "pinned id {id} not found; using {instead}; update the entry: `id: {instead}`"
                ),
                None => format!(
                    "pinned id {id} not found, and no other integration matches; remove `id:` or update it"
                ),
            };
            Some(Note::new(NoteKind::PinnedIdNotFound, entry.address(), message))
        });
        self.notes.iter().cloned().chain(gone_pins)
    }
}

/// Matches entries with live integrations.
pub fn matches<'a>(desired: &'a DesiredAccount, live: &'a LiveAccount) -> Matches<'a> {
    match_integrations(desired, live.integrations.iter().collect())
}

/// Like [`matches`], for some of the live integrations.
pub(super) fn match_integrations<'a>(
    desired: &'a DesiredAccount,
    live: Vec<&'a Integration>,
) -> Matches<'a> {
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
        errors: BTreeMap::new(),
        candidates: HashSet::default(),
    };
    let has_own_reference = |entry: &DesiredIntegration, live: &Integration| {
        let own = GeneratedReferences::of(account, &entry.name);
        let reference = live.settings.reference_id.as_ref();
        reference.is_some_and(|reference| own.contains(reference, counts))
    };
    passes.pass(
        MatchedBy::Id,
        |entry| entry.id,
        |live| Some(live.id),
        |_, _| true,
        |_, _| false,
    );
    passes.set_duplicates_aside();
    passes.pass(
        MatchedBy::ReferenceId,
        |entry| entry.reference_id.as_ref(),
        |live| live.settings.reference_id.as_ref(),
        |_, _| true,
        |entry, live| live.settings.tenant_url == entry.tenant_url && same_type(entry, live),
    );
    passes.pass(
        MatchedBy::TenantUrl,
        |entry| Some(entry.tenant_url.normalized()),
        |live| Some(live.settings.tenant_url.normalized()),
        same_type,
        has_own_reference,
    );
    passes.pass(
        MatchedBy::GeneratedReference,
        |entry| Some(GeneratedReferences::of(account, &entry.name).key()),
        |live| live.settings.reference_id.as_ref().and_then(owner_key),
        |entry, live| same_type(entry, live) && has_own_reference(entry, live),
        |_, _| false,
    );
    let Matcher {
        mut entries,
        live,
        duplicates,
        errors,
        candidates,
    } = passes;
    let mut notes = Vec::new();
    let (candidates, mut unlisted): (Vec<_>, Vec<_>) =
        (live.into_iter()).partition(|live| candidates.contains(&live.id));
    for (oldest, younger) in duplicates {
        let is_oldest = |entry: &&MatchedEntry<'_>| matches!(entry.found, Some((live, _)) if live.id == oldest.id);
        notes.extend(entries.iter().find(is_oldest).map(|entry| {
            let younger = younger.iter().map(|live| live.id);
            Note::duplicates_found(entry.address(), oldest.id, younger)
        }));
        unlisted.extend(younger);
    }
    unlisted.sort_unstable_by_key(|live| live.id);
    let mut index = 0..;
    entries.retain(|_| {
        index
            .next()
            .is_some_and(|index| !errors.contains_key(&index))
    });
    Matches {
        entries,
        unlisted,
        candidates,
        errors: errors.into_values().collect(),
        notes,
    }
}

/// Returns the maximum number of generated references per entry in an account of this size. A number is skipped only if another
/// integration has it.
pub(super) fn own_counts(live: usize) -> usize {
    live + 1
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
    /// Errors of ambiguous entries, by position in `entries`.
    errors: BTreeMap<usize, PlanError>,
    /// Live integrations that match ambiguous entries. They stay in `live`.
    candidates: HashSet<IntegrationId>,
}

/// Positions in a list.
type Positions = Vec<usize>;

impl<'a> Matcher<'a> {
    /// Matches entries with `wanted` to live integrations with an equal `held`. If several fit, the only one with `decides` is taken.
    fn pass<K: Eq + Hash>(
        &mut self,
        by: MatchedBy,
        wanted: impl Fn(&'a DesiredIntegration) -> Option<K>,
        held: impl Fn(&'a Integration) -> Option<K>,
        fits: impl Fn(&DesiredIntegration, &Integration) -> bool,
        decides: impl Fn(&DesiredIntegration, &Integration) -> bool,
    ) {
        let unmatched = self.entries.iter().enumerate();
        let keys: Vec<(usize, K)> = unmatched
            .filter(|(index, entry)| entry.found.is_none() && !self.errors.contains_key(index))
            .filter_map(|(index, entry)| Some((index, wanted(entry.declared)?)))
            .collect();
        if keys.is_empty() || self.live.is_empty() {
            return;
        }
        let mut holders: HashMap<K, Positions> = HashMap::with_capacity(self.live.len());
        for (position, live) in self.live.iter().enumerate() {
            if let Some(key) = held(live) {
                holders.entry(key).or_default().push(position);
            }
        }
        let mut claims: Vec<Positions> = vec![Positions::new(); self.live.len()];
        let mut found: Vec<(usize, Positions)> = Vec::with_capacity(keys.len());
        for (index, key) in keys {
            let entry = self.entries[index].declared;
            let holders = holders.get(&key).into_iter().flatten().copied();
            let mut fitting: Positions = holders
                .filter(|position| fits(entry, self.live[*position]))
                .collect();
            if fitting.len() > 1 {
                let mut deciding = fitting.iter().copied();
                let mut deciding = deciding
                    .by_ref()
                    .filter(|position| decides(entry, self.live[*position]));
                if let (Some(position), None) = (deciding.next(), deciding.next()) {
                    fitting = vec![position];
                }
            }
            for position in &fitting {
                claims[*position].push(index);
            }
            if !fitting.is_empty() {
                found.push((index, fitting));
            }
        }
        let mut matched = vec![false; self.live.len()];
        for (index, fitting) in found {
            match fitting.as_slice() {
                [position]
                    if claims[*position].len() == 1
                        && !self.candidates.contains(&self.live[*position].id) =>
                {
                    matched[*position] = true;
                    self.entries[index].found = Some((self.live[*position], by));
                }
                fitting => {
                    let error = self.ambiguity(index, by, fitting, &claims);
                    self.errors.insert(index, error);
                    let ids = fitting.iter().map(|position| self.live[*position].id);
                    self.candidates.extend(ids);
                }
            }
        }
        let mut matched = matched.into_iter();
        self.live.retain(|_| matched.next() == Some(false));
    }

    /// Returns the error of an entry that matches these live integrations.
    fn ambiguity(
        &self,
        index: usize,
        by: MatchedBy,
        fitting: &[usize],
        claims: &[Positions],
    ) -> PlanError {
        let entry = self.entries[index];
        let live = fitting.iter().map(|position| self.live[*position]);
        let candidates: Vec<Candidate> = live.map(Candidate::from).collect();
        let DesiredIntegration {
            tenant_url,
            reference_id,
            location,
            ..
        } = entry.declared;
        let key = match (by, reference_id) {
            (MatchedBy::ReferenceId, Some(reference)) => format!("reference_id {reference}"),
            (MatchedBy::TenantUrl, _) => format!("tenant_url {tenant_url}"),
            (MatchedBy::Id, _) => "pinned id".to_owned(),
            (MatchedBy::ReferenceId | MatchedBy::GeneratedReference, _) => {
                "generated reference_id of this entry".to_owned()
            }
        };
        let (message, help) = match candidates.as_slice() {
            [Candidate { id, .. }] => {
                let claiming = fitting.iter().flat_map(|position| &claims[*position]);
                let claiming = claiming.filter(|other| **other != index);
                let earlier = self.errors.values();
                let earlier = earlier.filter(|one| one.candidates.iter().any(|one| one.id == *id));
                let others: BTreeSet<Address> = claiming
                    .map(|other| self.entries[*other].address())
                    .chain(earlier.map(|error| error.address.clone()))
                    .collect();
                (
                    format!(
                        "the live integration with the {key} also matches {}",
                        list(others)
                    ),
                    format!("add `id: {id}` to one of the entries and other IDs to the rest"),
                )
            }
            several => (
                format!("{} live integrations have the {key}", several.len()),
                format!(
                    "add the id of the right one to the entry, e.g. id: {}",
                    list(several.iter().take(1).map(|one| one.id))
                ),
            ),
        };
        PlanError {
            address: entry.address(),
            kind: PlanErrorKind::Ambiguous,
            message,
            candidates,
            help,
            location: Some(location.clone()),
        }
    }

    /// Keeps only the oldest of several exact duplicates for the passes that follow.
    fn set_duplicates_aside(&mut self) {
        if self.entries.iter().all(|entry| entry.found.is_some()) {
            return;
        }
        let mut groups: HashMap<_, Vec<&'a Integration>> = HashMap::new();
        for live in self.live.iter().copied() {
            let settings = &live.settings;
            if let Some(reference) = &settings.reference_id {
                let tenant = settings.tenant_url.normalized();
                let key = (reference, tenant, &settings.integration_type);
                groups.entry(key).or_default().push(live);
            }
        }
        let mut aside: HashSet<IntegrationId> = HashSet::default();
        for mut group in groups.into_values().filter(|group| group.len() > 1) {
            group.sort_by_cached_key(|live| live.creation_order());
            let oldest = group.remove(0);
            aside.extend(group.iter().map(|live| live.id));
            self.duplicates.push((oldest, group));
        }
        self.duplicates
            .sort_unstable_by_key(|(oldest, _)| oldest.id);
        self.live.retain(|live| !aside.contains(&live.id));
    }
}
