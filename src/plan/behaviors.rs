//! Diff of the declared and the live behaviors.
//!
//! Any difference is sent as one write of the complete live map merged with the declared values, because the API's handling of omitted
//! keys is unknown (`schema/api.md`, Behaviors). So the declared values are kept in addition to the changes.

use std::collections::BTreeMap;

use crate::model::account::{BehaviorDeclaration, DesiredAccount, LiveAccount, UnlistedBehaviors};
use crate::model::address::Address;
use crate::model::behavior::{
    Behavior, BehaviorKey, BehaviorSettings, DeclaredBehavior, changes_level, weakening,
};
use crate::model::location::Location;

use super::Intent;
use super::change::{
    Change, DeclaredBy, Policy, ResourceDiff, UnlistedResource, UnlistedSettings, ValueSources,
    Weakening,
};
use super::error::{PlanError, PlanErrorKind, list};
use super::note::Note;

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
    intent: Intent,
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
        match (desired.behavior(key), intent) {
            (BehaviorDeclaration::Named { declared, location }, Intent::Apply) => {
                found.compare(key, settings, declared, Some(location), None, notes);
            }
            (BehaviorDeclaration::Wildcard { declared, location }, Intent::Apply) => {
                let star = Some(DeclaredBy::Wildcard);
                found.compare(key, settings, declared, Some(location), star, notes);
            }
            (BehaviorDeclaration::Named { location, .. }, Intent::Destroy) => {
                let declared = DeclaredBehavior::DISABLED;
                found.compare(key, settings, declared, Some(location), None, notes);
            }
            // Only an entry by name disables a behavior.
            (BehaviorDeclaration::Wildcard { .. }, Intent::Destroy) => {
                notes.extend(settings.enabled.then(|| Note::WildcardBehaviorKept {
                    address: Address::Behavior(key.clone()),
                }));
            }
            (BehaviorDeclaration::Unmanaged, _) => {}
            (BehaviorDeclaration::Unlisted, intent) => {
                found.unlisted(key, behavior, desired.unlisted.behaviors, intent, notes);
            }
        }
    }
    if intent == Intent::Apply {
        found.name_variables(desired);
    }
    found
}

impl BehaviorDiff {
    fn compare(
        &mut self,
        key: &BehaviorKey,
        before: &BehaviorSettings,
        declared: DeclaredBehavior,
        location: Option<&Location>,
        declared_by: Option<DeclaredBy>,
        notes: &mut Vec<Note>,
    ) {
        let address = Address::Behavior(key.clone());
        let after = declared.apply_to(before);
        self.declared.insert(key.clone(), declared);
        if after == *before {
            self.unchanged.push(address);
            return;
        }
        if changes_level(before, &after) {
            notes.push(Note::LevelChanged {
                address: address.clone(),
                from: before.risk_level.clone(),
                to: after.risk_level.clone(),
            });
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
        intent: Intent,
        notes: &mut Vec<Note>,
    ) {
        // `destroy` ignores unlisted resources, whatever the file says.
        if policy == UnlistedBehaviors::Disable
            && intent == Intent::Apply
            && behavior.settings.enabled
        {
            let declared = DeclaredBehavior::DISABLED;
            self.compare(key, &behavior.settings, declared, None, None, notes);
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
