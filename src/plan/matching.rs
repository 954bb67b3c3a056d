//! Which live integration is which entry. There is no state file, so identity is found anew each time.
//!
//! Three passes over all entries, each over what the earlier ones left: the pinned `id`; a set and equal `reference_id`; an equal
//! `tenant_url` and type. An unset reference equals nothing. Two live ones for one entry, or two entries for one live one, within a pass
//! are an error: a guess could delete or redirect the wrong integration.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::{Address, Name};
use crate::model::integration::{DesiredIntegration, Integration, IntegrationId};

use super::error::Problem;
use super::note::Note;

/// What an entry was recognised by.
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
    by_entry: HashMap<&'a Name, (&'a Integration, MatchedBy)>,
    /// Live integrations that no entry is, by id.
    pub unlisted: Vec<&'a Integration>,
}

impl<'a> Matches<'a> {
    /// The live integration that an entry is.
    pub fn of(&self, name: &Name) -> Option<&'a Integration> {
        self.found(name).map(|(integration, _)| integration)
    }

    /// The live integration that an entry is, and what it was recognised by.
    pub fn found(&self, name: &Name) -> Option<(&'a Integration, MatchedBy)> {
        self.by_entry.get(name).copied()
    }

    /// A note for each entry whose pinned integration is gone.
    pub(super) fn gone_pins(&self, desired: &DesiredAccount) -> Vec<Note> {
        desired
            .integrations
            .values()
            .filter_map(|entry| {
                let id = entry.id?;
                let found = self.found(&entry.name);
                (!matches!(found, Some((_, MatchedBy::Id)))).then(|| Note::PinGone {
                    address: Address::Integration(entry.name.clone()),
                    id,
                })
            })
            .collect()
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
        entries: desired.integrations.values().collect(),
        live: live.integrations.iter().collect(),
        by_entry: HashMap::new(),
        problems: Vec::new(),
    };
    passes.pass(MatchedBy::Id, |entry| entry.id, |live| Some(live.id), any);
    passes.pass(
        MatchedBy::ReferenceId,
        |entry| entry.reference_id.named(),
        |live| live.settings.reference_id.as_ref(),
        any,
    );
    passes.pass(
        MatchedBy::TenantUrl,
        |entry| Some(entry.tenant_url.normalised()),
        |live| Some(live.settings.tenant_url.normalised()),
        same_type,
    );
    if passes.problems.is_empty() {
        Ok(Matches {
            by_entry: passes.by_entry,
            unlisted: passes.live,
        })
    } else {
        Err(passes.problems)
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
    /// Entries that no earlier pass matched.
    entries: Vec<&'a DesiredIntegration>,
    /// Live integrations that no earlier pass matched.
    live: Vec<&'a Integration>,
    by_entry: HashMap<&'a Name, (&'a Integration, MatchedBy)>,
    problems: Vec<Problem>,
}

impl<'a> Passes<'a> {
    fn pass<K: Eq + Hash>(
        &mut self,
        by: MatchedBy,
        wanted: impl Fn(&'a DesiredIntegration) -> Option<K>,
        held: impl Fn(&'a Integration) -> Option<K>,
        fits: impl Fn(&DesiredIntegration, &Integration) -> bool,
    ) {
        let mut holders: HashMap<K, Vec<&'a Integration>> = HashMap::new();
        for live in &self.live {
            if let Some(key) = held(live) {
                holders.entry(key).or_default().push(live);
            }
        }
        // Ordered by id, so that several ambiguities are always told in the same order.
        let mut claims: BTreeMap<IntegrationId, Vec<&'a DesiredIntegration>> = BTreeMap::new();
        for entry in &self.entries {
            let candidates: Vec<&Integration> = wanted(entry)
                .and_then(|key| holders.get(&key))
                .into_iter()
                .flatten()
                .copied()
                .filter(|live| fits(entry, live))
                .collect();
            match candidates.as_slice() {
                [] => {}
                [live] => {
                    claims.entry(live.id).or_default().push(entry);
                    self.by_entry.insert(&entry.name, (live, by));
                }
                several => self.problems.push(Problem::SeveralLive {
                    entry: Address::Integration(entry.name.clone()),
                    by,
                    candidates: several.iter().map(|live| live.id).collect(),
                    location: entry.location.clone(),
                }),
            }
        }
        for (id, entries) in &claims {
            if let [first, _, ..] = entries.as_slice() {
                self.problems.push(Problem::SeveralEntries {
                    entries: entries
                        .iter()
                        .map(|entry| Address::Integration(entry.name.clone()))
                        .collect(),
                    by,
                    id: *id,
                    location: first.location.clone(),
                });
            }
        }
        self.entries
            .retain(|entry| !self.by_entry.contains_key(&entry.name));
        self.live.retain(|live| !claims.contains_key(&live.id));
    }
}
