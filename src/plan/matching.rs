//! Matching of entries and live integrations. No state is stored, so every run matches again.
//!
//! Entries are matched in four rounds, each with the unmatched rest: the pinned `id`, an equal `reference_id`, an equal `tenant_url` and
//! type, and a generated reference of the same type. The tenant comes before the generated reference, because the URL in Okta should stay
//! with its tenant. An unset reference equals nothing. Several live integrations for one entry are a tie: the entry's tenant and type decide
//! between equal references, and its generated reference between equal tenants. If nothing decides, or if several entries match one live
//! integration, the entries are ambiguous: a wrong choice could delete or redirect an integration. Exact duplicates are no candidates:
//! concurrent runs create them, and all runs choose the oldest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::model::account::{Declared, DesiredAccount, LiveAccount, UnlistedPolicy};
use crate::model::address::{Address, Name};
use crate::model::field::{Field, FieldValue, Fields};
use crate::model::generated_reference::{GeneratedReferences, owner_key};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::open_enum::string_enum;
use crate::model::text::abbreviate_list;

use super::note::{Candidate, Note, NoteKind, PlanError, PlanErrorKind, list};

string_enum! {
    /// Key of a match, in the order of the passes.
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
    pub entries: Vec<MatchedEntry<'a>>,
    /// Unmatched live integrations, by id.
    pub unlisted: Vec<&'a Integration>,
    /// Live integrations that match ambiguous entries, by id. They are not unlisted.
    pub candidates: Vec<&'a Integration>,
    /// Ambiguous entries, by name.
    pub errors: Vec<PlanError>,
    /// Duplicates and missing pinned ids.
    pub notes: Vec<Note>,
}

/// An entry and its live integration.
#[derive(Clone, Copy, Debug)]
pub struct MatchedEntry<'a> {
    pub name: &'a Name,
    pub declared: &'a Declared,
    /// The live integration and the key of the match; `None` if it must be created.
    pub found: Option<(&'a Integration, MatchedBy)>,
}

impl<'a> MatchedEntry<'a> {
    pub fn address(&self) -> Address {
        Address::Integration(self.name.clone())
    }

    pub fn live(&self) -> Option<&'a Integration> {
        self.found.map(|(live, _)| live)
    }

    /// Returns a note if the pinned integration does not exist.
    fn missing_pin(&self) -> Option<Note> {
        let id = self.declared.id?;
        let message = match self.found {
            Some((_, MatchedBy::Id)) => return None,
            Some((Integration { id: instead, .. }, _)) => format!(
                "pinned id {id} not found; using {instead}; update the entry: `id: {instead}`"
            ),
            None => format!(
                "pinned id {id} not found, and no other integration matches; remove `id:` or update it"
            ),
        };
        Some(Note::new(
            NoteKind::PinnedIdNotFound,
            self.address(),
            message,
        ))
    }
}

/// Matches entries with live integrations.
pub fn matches<'a>(desired: &'a DesiredAccount, live: &'a LiveAccount) -> Matches<'a> {
    match_integrations(desired, live.integrations.iter().collect())
}

/// Like [`matches`], for some of the live integrations.
fn match_integrations<'a>(desired: &'a DesiredAccount, live: Vec<&'a Integration>) -> Matches<'a> {
    let entries = desired.integrations.iter();
    let entries = entries.map(|(name, declared)| MatchedEntry {
        name,
        declared,
        found: None,
    });
    let mut matcher = Matcher {
        desired,
        max_references: max_references(live.len()),
        entries: entries.collect(),
        live,
        duplicates: Vec::new(),
        errors: BTreeMap::new(),
        candidates: HashSet::new(),
    };
    for by in MatchedBy::ALL.iter().copied() {
        matcher.pass(by);
        if by == MatchedBy::Id {
            matcher.set_duplicates_aside();
        }
    }
    matcher.finish()
}

/// Returns the maximum number of generated references per entry in an account of this size. A number is skipped only if another
/// integration has it.
pub(super) fn max_references(live: usize) -> usize {
    live + 1
}

/// Returns true if the types match. An entry without a type matches any.
fn same_type(entry: &Declared, live: &Integration) -> bool {
    let declared = entry.fields.get(Field::IntegrationType);
    declared.is_none() || declared == live.fields.get(Field::IntegrationType)
}

fn same_tenant(entry: &Declared, live: &Integration) -> bool {
    entry.fields.tenant_url() == live.fields.tenant_url() && same_type(entry, live)
}

/// Value that a pass compares.
#[derive(PartialEq, Eq, Hash)]
enum MatchKey<'a> {
    Id(IntegrationId),
    Field(&'a FieldValue),
    /// Entry that a generated reference belongs to.
    Owner(u64),
}

struct Matcher<'a> {
    desired: &'a DesiredAccount,
    max_references: usize,
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

impl<'a> MatchKey<'a> {
    /// Returns the value that a pass compares. `owner` is the entry that a generated reference belongs to.
    fn of(
        by: MatchedBy,
        id: Option<IntegrationId>,
        fields: &'a Fields,
        owner: impl FnOnce() -> Option<u64>,
    ) -> Option<Self> {
        match by {
            MatchedBy::Id => id.map(MatchKey::Id),
            MatchedBy::ReferenceId => fields.get(Field::ReferenceId).map(MatchKey::Field),
            MatchedBy::TenantUrl => fields.get(Field::TenantUrl).map(MatchKey::Field),
            MatchedBy::GeneratedReference => owner().map(MatchKey::Owner),
        }
    }
}

impl<'a> Matcher<'a> {
    fn entry_key(&self, by: MatchedBy, entry: &MatchedEntry<'a>) -> Option<MatchKey<'a>> {
        let owner = || Some(GeneratedReferences::of(&self.desired.account_id, entry.name).key());
        MatchKey::of(by, entry.declared.id, &entry.declared.fields, owner)
    }

    fn live_key(by: MatchedBy, live: &'a Integration) -> Option<MatchKey<'a>> {
        let owner = || owner_key(live.fields.reference_id()?);
        MatchKey::of(by, Some(live.id), &live.fields, owner)
    }

    /// Returns true if an integration with the key of an entry matches it.
    fn fits(&self, by: MatchedBy, entry: &MatchedEntry<'a>, live: &Integration) -> bool {
        match by {
            MatchedBy::Id | MatchedBy::ReferenceId => true,
            MatchedBy::TenantUrl => same_type(entry.declared, live),
            MatchedBy::GeneratedReference => {
                same_type(entry.declared, live) && self.has_generated_reference(entry, live)
            }
        }
    }

    /// Returns true if the integration is preferred over others that match the entry.
    fn decides(&self, by: MatchedBy, entry: &MatchedEntry<'a>, live: &Integration) -> bool {
        match by {
            MatchedBy::ReferenceId => same_tenant(entry.declared, live),
            MatchedBy::TenantUrl => self.has_generated_reference(entry, live),
            MatchedBy::Id | MatchedBy::GeneratedReference => false,
        }
    }

    fn has_generated_reference(&self, entry: &MatchedEntry<'a>, live: &Integration) -> bool {
        has_generated_reference(self.desired, entry.name, live, self.max_references)
    }

    fn pass(&mut self, by: MatchedBy) {
        let unmatched = self.entries.iter().enumerate();
        let keys: Vec<(usize, MatchKey<'a>)> = unmatched
            .filter(|(index, entry)| entry.found.is_none() && !self.errors.contains_key(index))
            .filter_map(|(index, entry)| Some((index, self.entry_key(by, entry)?)))
            .collect();
        if keys.is_empty() || self.live.is_empty() {
            return;
        }
        let mut holders: HashMap<MatchKey<'a>, Vec<&'a Integration>> =
            HashMap::with_capacity(self.live.len());
        for live in self.live.iter().copied() {
            if let Some(key) = Self::live_key(by, live) {
                holders.entry(key).or_default().push(live);
            }
        }
        // Entries that match each live integration, and live integrations that match each entry.
        let mut claims: HashMap<IntegrationId, Vec<usize>> = HashMap::new();
        let mut found: Vec<(usize, Vec<&'a Integration>)> = Vec::with_capacity(keys.len());
        for (index, key) in keys {
            let entry = &self.entries[index];
            let mut fitting = holders.get(&key).cloned().unwrap_or_default();
            fitting.retain(|live| self.fits(by, entry, live));
            if fitting.len() > 1 {
                let mut preferred = fitting.clone();
                preferred.retain(|live| self.decides(by, entry, live));
                if preferred.len() == 1 {
                    fitting = preferred;
                }
            }
            for live in &fitting {
                claims.entry(live.id).or_default().push(index);
            }
            found.extend((!fitting.is_empty()).then_some((index, fitting)));
        }
        let mut matched = HashSet::new();
        for (index, fitting) in found {
            match fitting.as_slice() {
                [live] if claims[&live.id].len() == 1 && !self.candidates.contains(&live.id) => {
                    matched.insert(live.id);
                    self.entries[index].found = Some((live, by));
                }
                fitting => {
                    let error = self.ambiguity(index, by, fitting, &claims);
                    self.errors.insert(index, error);
                    self.candidates.extend(fitting.iter().map(|live| live.id));
                }
            }
        }
        self.live.retain(|live| !matched.contains(&live.id));
    }

    /// Returns the error of an entry that matches these live integrations.
    fn ambiguity(
        &self,
        index: usize,
        by: MatchedBy,
        fitting: &[&Integration],
        claims: &HashMap<IntegrationId, Vec<usize>>,
    ) -> PlanError {
        let entry = self.entries[index];
        let live = fitting.iter().copied();
        let candidates: Vec<Candidate> = live.map(Candidate::from).collect();
        let fields = &entry.declared.fields;
        let key = match by {
            MatchedBy::Id => "pinned id".to_owned(),
            MatchedBy::ReferenceId => format!("reference_id {}", fields.shown(Field::ReferenceId)),
            MatchedBy::TenantUrl => format!("tenant_url {}", fields.shown(Field::TenantUrl)),
            MatchedBy::GeneratedReference => "generated reference_id of this entry".to_owned(),
        };
        let (message, help) = match candidates.as_slice() {
            [Candidate { id, .. }] => {
                let claiming = claims[id].iter().filter(|other| **other != index);
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
                    several[0].id
                ),
            ),
        };
        PlanError {
            address: entry.address(),
            kind: PlanErrorKind::Ambiguous,
            message,
            candidates,
            help,
            location: Some(entry.declared.location.clone()),
        }
    }

    /// Keeps only the oldest of several exact duplicates for the passes that follow.
    fn set_duplicates_aside(&mut self) {
        if self.entries.iter().all(|entry| entry.found.is_some()) {
            return;
        }
        let mut groups: HashMap<_, Vec<&'a Integration>> = HashMap::new();
        for live in self.live.iter().copied() {
            if let Some(reference) = live.fields.reference_id() {
                let tenant_and_type =
                    [Field::TenantUrl, Field::IntegrationType].map(|field| live.fields.get(field));
                groups
                    .entry((reference, tenant_and_type))
                    .or_default()
                    .push(live);
            }
        }
        let mut aside: HashSet<IntegrationId> = HashSet::new();
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

    fn finish(mut self) -> Matches<'a> {
        let mut notes = Vec::new();
        let (candidates, mut unlisted): (Vec<_>, Vec<_>) =
            (self.live.into_iter()).partition(|live| self.candidates.contains(&live.id));
        for (oldest, younger) in self.duplicates {
            let mut entries = self.entries.iter();
            let entry = entries.find(|entry| entry.live().is_some_and(|live| live.id == oldest.id));
            notes.extend(entry.map(|entry| {
                let younger = younger.iter().map(|live| live.id);
                Note::duplicates_found(entry.address(), oldest.id, younger)
            }));
            unlisted.extend(younger);
        }
        unlisted.sort_unstable_by_key(|live| live.id);
        let mut index = 0..;
        self.entries.retain(|_| {
            let index = index.next();
            index.is_some_and(|index| !self.errors.contains_key(&index))
        });
        notes.extend(self.entries.iter().filter_map(MatchedEntry::missing_pin));
        Matches {
            entries: self.entries,
            unlisted,
            candidates,
            errors: self.errors.into_values().collect(),
            notes,
        }
    }
}

/// Returns true if a live integration has one of the first generated references of an entry.
fn has_generated_reference(
    desired: &DesiredAccount,
    name: &Name,
    live: &Integration,
    at_most: usize,
) -> bool {
    let generated = GeneratedReferences::of(&desired.account_id, name);
    let reference = live.fields.reference_id();
    reference.is_some_and(|reference| generated.contains(reference, at_most))
}

/// Returns a note if another key of the entry matches a different integration. A pinned entry has none.
pub(super) fn conflicting_match(
    desired: &DesiredAccount,
    live: &LiveAccount,
    matches: &Matches<'_>,
    entry: &MatchedEntry<'_>,
) -> Option<Note> {
    let (before, by) = entry.found?;
    let has_tenant = |other: &&Integration| same_tenant(entry.declared, other);
    let (other, other_by) = match by {
        MatchedBy::Id => return None,
        MatchedBy::ReferenceId | MatchedBy::GeneratedReference if has_tenant(&before) => {
            return None;
        }
        MatchedBy::ReferenceId | MatchedBy::GeneratedReference => {
            let other = live.integrations.iter().find(has_tenant)?;
            (other, MatchedBy::TenantUrl)
        }
        MatchedBy::TenantUrl => {
            let at_most = max_references(live.integrations.len());
            let is_generated = |other: &&Integration| {
                !other.fields.is_duplicate_of(&before.fields)
                    && has_generated_reference(desired, entry.name, other, at_most)
            };
            let other = matches.unlisted.iter().copied().find(is_generated)?;
            (other, MatchedBy::GeneratedReference)
        }
    };
    let (id, other) = (before.id, other.id);
    let message = format!(
        "{by} matches {id}, but {other_by} matches {other}; using {id} (its well_known_url stays). Set `id:` to choose"
    );
    Some(Note::new(
        NoteKind::ConflictingMatches,
        entry.address(),
        message,
    ))
}

/// Returns a note on an entry that is created while unlisted integrations stay: it may be meant for one of them.
pub(super) fn unlisted_alternatives(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
    entry: &MatchedEntry<'_>,
) -> Option<Note> {
    let stay = desired.unlisted.integrations != UnlistedPolicy::Delete;
    (entry.found.is_none() && stay && !matches.unlisted.is_empty()).then(|| {
        let unlisted = abbreviate_list(matches.unlisted.iter().map(|live| live.id));
        let message = format!(
            "created, while unlisted integrations keep receiving scores; to use one of them, set `id:` to {unlisted}"
        );
        Note::new(NoteKind::UnlistedAlternatives, entry.address(), message)
    })
}

/// Returns notes on the entries in `gone` that would match other integrations in the next run, after `destroy`.
pub(super) fn would_match_unlisted(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
    gone: &HashSet<Address>,
) -> Vec<Note> {
    let next = match_integrations(desired, matches.unlisted.clone());
    let entries = next.entries.iter();
    let found = entries.filter_map(|entry| Some((entry.address(), vec![entry.live()?.id])));
    let ambiguous = next.errors.iter().map(|error| {
        let candidates = error.candidates.iter().map(|one| one.id);
        (error.address.clone(), candidates.collect::<Vec<_>>())
    });
    found
        .chain(ambiguous)
        .filter(|(address, _)| gone.contains(address))
        .map(|(address, candidates)| {
            let message = format!(
                "after this, the entry matches unlisted integrations that the next apply would change: {}",
                abbreviate_list(candidates)
            );
            Note::new(NoteKind::WouldMatchUnlisted, address, message)
        })
        .collect()
}
