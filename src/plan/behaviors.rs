//! Diff of the declared and the live behaviors.
//!
//! Any difference is sent as one write of the complete live map merged with the declared values, because the API's handling of omitted
//! keys is unknown (`schema/api.md`, Behaviors). So the declared values are kept in addition to the changes.

use std::collections::BTreeMap;

use crate::model::account::{BehaviorDeclaration, DesiredAccount, LiveAccount, UnlistedBehaviors};
use crate::model::address::Address;
use crate::model::behavior::{
    Behavior, BehaviorKey, BehaviorSettings, DeclaredBehavior, weakening,
};
use crate::model::location::Location;

use super::Purpose;
use super::change::{
    Change, DeclaredBy, Policy, ResourceDiff, UnlistedResource, UnlistedSettings, ValueSources,
    Weakening,
};
use super::error::{PlanError, PlanErrorKind, list};
use super::note::{Note, NoteKind};

/// Result of the diff of behaviors.
pub(super) struct BehaviorDiff {
    pub(super) changes: Vec<Change>,
    /// Number of listed behaviors without a difference.
    pub(super) unchanged: Vec<Address>,
    pub(super) unlisted: Vec<UnlistedResource>,
    /// Values to merge into the live map, even if they do not differ now.
    pub(super) declared: BTreeMap<BehaviorKey, DeclaredBehavior>,
}

/// Compares all behaviors, listed and unlisted.
pub(super) fn diff(
    desired: &DesiredAccount,
    live: &LiveAccount,
    purpose: Purpose,
    notes: &mut Vec<Note>,
    errors: &mut Vec<PlanError>,
) -> BehaviorDiff {
    let mut found = BehaviorDiff {
        changes: Vec::new(),
        unchanged: Vec::new(),
        unlisted: Vec::new(),
        declared: BTreeMap::new(),
    };
    let listed = desired.behaviors.iter();
    let named = listed.map(|(key, entry)| (key, &entry.location));
    for (key, location) in named.chain(&desired.unmanaged) {
        if !live.behaviors.contains_key(key) {
            errors.push(unknown_behavior(key, location, live));
        }
    }
    for (key, behavior) in &live.behaviors {
        let settings = &behavior.settings;
        match (desired.behavior(key), purpose) {
            (BehaviorDeclaration::Named { location, .. }, Purpose::Destroy) => {
                let declared = DeclaredBehavior::DISABLED;
                found.compare(key, settings, declared, Some(location), None);
            }
            (BehaviorDeclaration::Named { declared, location }, _) => {
                found.compare(key, settings, declared, Some(location), None);
            }
            // Only an entry by name disables a behavior.
            (BehaviorDeclaration::Wildcard { .. }, Purpose::Destroy) => {
                notes.extend(settings.enabled.then(|| {
                    let message = "stays enabled because only \"*\" declares it; list it by name to disable it";
                    Note::new(NoteKind::WildcardBehaviorKept, Address::Behavior(key.clone()), message)
                }));
            }
            (BehaviorDeclaration::Wildcard { declared, location }, _) => {
                let star = Some(DeclaredBy::Wildcard);
                found.compare(key, settings, declared, Some(location), star);
            }
            (BehaviorDeclaration::Unmanaged, _) => {}
            (BehaviorDeclaration::Unlisted, purpose) => {
                found.unlisted(key, behavior, desired.unlisted.behaviors, purpose);
            }
        }
    }
    if purpose != Purpose::Destroy {
        found.name_variables(desired);
    }
    found
}

impl BehaviorDiff {
    /// Removes everything that is not included. Adds the addresses of the removed changes to `excluded`.
    pub(super) fn narrow(
        &mut self,
        includes: impl Fn(&Address) -> bool,
        excluded: &mut Vec<Address>,
    ) {
        let removed = self
            .changes
            .extract_if(.., |change| !includes(change.address()));
        excluded.extend(removed.map(|change| change.address().clone()));
        self.unchanged.retain(&includes);
        self.unlisted.retain(|thing| includes(&thing.address));
        self.declared
            .retain(|key, _| includes(&Address::Behavior(key.clone())));
    }

    fn compare(
        &mut self,
        key: &BehaviorKey,
        before: &BehaviorSettings,
        declared: DeclaredBehavior,
        location: Option<&Location>,
        declared_by: Option<DeclaredBy>,
    ) {
        let address = Address::Behavior(key.clone());
        let after = declared.apply_to(before);
        self.declared.insert(key.clone(), declared);
        if after == *before {
            self.unchanged.push(address);
            return;
        }
        self.changes.push(Change::Behavior(ResourceDiff {
            address,
            weakens: weakening(before, &after).map(Weakening::Behavior),
            live_weaker: weakening(&after, before).map(Weakening::Behavior),
            before: Some(before.clone()),
            after: Some(after),
            location: location.cloned(),
            found: None,
            declared_by,
            sources: ValueSources::default(),
            attribution: Vec::new(),
        }));
    }

    /// Records the variables that the values of the changes come from.
    fn name_variables(&mut self, desired: &DesiredAccount) {
        for change in &mut self.changes {
            if let Change::Behavior(diff) = change
                && let Address::Behavior(key) = &diff.address
            {
                diff.sources.variables = desired.behavior_variables(key);
            }
        }
    }

    fn unlisted(
        &mut self,
        key: &BehaviorKey,
        behavior: &Behavior,
        policy: UnlistedBehaviors,
        purpose: Purpose,
    ) {
        // `destroy` ignores unlisted resources, whatever the file says.
        if policy == UnlistedBehaviors::Disable
            && purpose != Purpose::Destroy
            && behavior.settings.enabled
        {
            let declared = DeclaredBehavior::DISABLED;
            self.compare(key, &behavior.settings, declared, None, None);
            return;
        }
        self.unlisted.push(UnlistedResource {
            address: Address::Behavior(key.clone()),
            policy: match policy {
                UnlistedBehaviors::Keep => Policy::Keep,
                UnlistedBehaviors::Report => Policy::Report,
                UnlistedBehaviors::Disable => Policy::Disable,
            },
            settings: UnlistedSettings::Behavior(behavior.settings.clone()),
            attribution: Vec::new(),
        });
    }
}

fn unknown_behavior(key: &BehaviorKey, location: &Location, live: &LiveAccount) -> PlanError {
    let offered: Vec<BehaviorKey> = live.behaviors.keys().cloned().collect();
    let words: Vec<&str> = offered.iter().map(BehaviorKey::as_str).collect();
    let nearest = similar::get_close_matches(key.as_str(), &words, 1, 0.6)
        .first()
        .map(|word| BehaviorKey::new(*word));
    let available = format!("available: {}", list(&offered));
    PlanError {
        address: Address::Behavior(key.clone()),
        kind: PlanErrorKind::UnknownBehavior,
        message: format!("unknown behavior {key}"),
        candidates: Vec::new(),
        help: match nearest {
            Some(nearest) => format!("did you mean {nearest}? {available}"),
            None => available,
        },
        location: Some(location.clone()),
    }
}
