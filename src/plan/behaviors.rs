//! Changes of behaviors.
//!
//! Any difference is sent as one write of the complete live map merged with the declared fields, because the API's handling of omitted
//! keys is unknown (`schema/api.md`, Behaviors). So the declared fields are kept in addition to the changes.

use std::collections::BTreeMap;

use crate::model::account::{DesiredAccount, LiveAccount, UnlistedPolicy};
use crate::model::address::Address;
use crate::model::behavior::BehaviorKey;
use crate::model::field::{Field, FieldValue, Fields};
use crate::model::location::Location;

use super::change::{Change, Origin, UnlistedResource};
use super::note::{Note, NoteKind, PlanError, PlanErrorKind, list};
use super::options::Purpose;

/// Result of comparing behaviors.
#[derive(Default)]
pub(super) struct BehaviorDiff {
    pub(super) changes: Vec<Change>,
    /// Declared behaviors without a difference.
    pub(super) unchanged: Vec<Address>,
    pub(super) unlisted: Vec<UnlistedResource>,
    /// Fields to merge into the live map, even if they do not differ now.
    pub(super) declared: BTreeMap<BehaviorKey, Fields>,
}

impl BehaviorDiff {
    /// Removes everything that is not included. Adds the addresses of the removed changes to `excluded`.
    pub(super) fn narrow(
        &mut self,
        includes: impl Fn(&Address) -> bool,
        excluded: &mut Vec<Address>,
    ) {
        let removed = (self.changes).extract_if(.., |change| !includes(&change.address));
        excluded.extend(removed.map(|change| change.address));
        self.unchanged.retain(&includes);
        self.unlisted.retain(|thing| includes(&thing.address));
        self.declared
            .retain(|key, _| includes(&Address::Behavior(key.clone())));
    }
}

/// Compares all behaviors, declared and unlisted.
pub(super) fn diff(
    desired: &DesiredAccount,
    live: &LiveAccount,
    purpose: Purpose,
    notes: &mut Vec<Note>,
    errors: &mut Vec<PlanError>,
) -> BehaviorDiff {
    let entries = desired.behaviors.iter();
    let named = entries.map(|(key, entry)| (key, &entry.location));
    for (key, location) in named.chain(&desired.unmanaged) {
        if !live.behaviors.contains_key(key) {
            errors.push(unknown_behavior(key, location, live));
        }
    }
    let mut found = BehaviorDiff::default();
    for (key, behavior) in &live.behaviors {
        let address = Address::Behavior(key.clone());
        let before = &behavior.fields;
        let disabled = || Fields::from_iter([(Field::Enabled, FieldValue::Bool(false))]);
        let is_named = desired.behaviors.contains_key(key);
        let (declared, origin) = match (desired.behavior(key), purpose) {
            // Only an entry by name disables a behavior.
            (Some(_), Purpose::Destroy) if !is_named => {
                let message =
                    "stays enabled because only \"*\" declares it; list it by name to disable it";
                let note = || Note::new(NoteKind::WildcardBehaviorKept, address, message);
                notes.extend(before.is_on(Field::Enabled).then(note));
                continue;
            }
            (Some(entry), purpose) => {
                let origin = Origin {
                    location: Some(entry.location),
                    by_wildcard: !is_named,
                    ..Origin::default()
                };
                match purpose {
                    Purpose::Destroy => (disabled(), origin),
                    Purpose::Apply | Purpose::Drift => {
                        let variables = entry.variables;
                        (
                            entry.fields,
                            Origin {
                                variables,
                                ..origin
                            },
                        )
                    }
                }
            }
            (None, _) if desired.unmanaged.contains_key(key) => continue,
            (None, purpose) => {
                let policy = desired.unlisted.behaviors;
                // `destroy` ignores unlisted behaviors, whatever the file says.
                let disables = policy == UnlistedPolicy::Disable && purpose != Purpose::Destroy;
                if !(disables && before.is_on(Field::Enabled)) {
                    let unlisted = UnlistedResource::new(address, policy, before);
                    found.unlisted.push(unlisted);
                    continue;
                }
                (disabled(), Origin::default())
            }
        };
        let after = declared.apply_to(before);
        found.declared.insert(key.clone(), declared);
        match Change::between(address.clone(), Some(before), Some(&after), origin) {
            Some(change) => found.changes.push(change),
            None => found.unchanged.push(address),
        }
    }
    found
}

fn unknown_behavior(key: &BehaviorKey, location: &Location, live: &LiveAccount) -> PlanError {
    let offered: Vec<&str> = live.behaviors.keys().map(BehaviorKey::as_str).collect();
    let nearest = similar::get_close_matches(key.as_str(), &offered, 1, 0.6);
    let available = format!("available: {}", list(&offered));
    PlanError {
        address: Address::Behavior(key.clone()),
        kind: PlanErrorKind::UnknownBehavior,
        message: format!("unknown behavior {key}"),
        candidates: Vec::new(),
        help: match nearest.first() {
            Some(nearest) => format!("did you mean {nearest}? {available}"),
            None => available,
        },
        location: Some(location.clone()),
    }
}
