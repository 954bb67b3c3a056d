//! What can't come true: a `reference_id` or `tenant_url` that two integrations would hold.
//!
//! Nobody knows whether the API demands unique values (`schema/api.md`, Integrations), and two integrations with one key could not be told
//! apart by the next run unless the file says how. So no two entries end with one key unless both declare it, both are pinned, and the pins
//! or the references tell them apart; and no entry takes a key that an unlisted integration holds and keeps. What an entry shares with an
//! unlisted one already is left in peace.

use std::collections::HashSet;

use smallvec::SmallVec;

use crate::model::address::Address;
use crate::model::integration::{IntegrationField, IntegrationSettings, ReferenceId};

use super::change::Action;
use super::error::{PlanError, Resolution};
use super::fast_map::FastMap;
use super::integrations::{IntegrationSource, PlannedIntegration};
use super::target::TargetedDiffs;

/// A value that may have to be unique within an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UniqueKey<'a> {
    pub(super) field: KeyField,
    pub(super) value: &'a str,
}

/// The fields that hold such values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyField {
    ReferenceId,
    TenantUrl,
}

impl KeyField {
    /// How many there are: an integration holds no more than one key in each.
    pub(super) const COUNT: usize = 2;
}

impl From<KeyField> for IntegrationField {
    fn from(field: KeyField) -> Self {
        match field {
            KeyField::ReferenceId => IntegrationField::ReferenceId,
            KeyField::TenantUrl => IntegrationField::TenantUrl,
        }
    }
}

/// The keys that an integration with these settings holds.
pub(super) fn keys(settings: &IntegrationSettings) -> impl Iterator<Item = UniqueKey<'_>> {
    let tenant_url = UniqueKey {
        field: KeyField::TenantUrl,
        value: settings.tenant_url.normalized(),
    };
    let reference_id = settings.reference_id.as_ref().map(|reference| UniqueKey {
        field: KeyField::ReferenceId,
        value: reference.as_str(),
    });
    reference_id.into_iter().chain([tenant_url])
}

/// The keys that this course takes: those that it will hold and does not hold today. What is made anew takes all of its keys.
pub(super) fn taken<'a>(course: &'a PlannedIntegration<'_>) -> impl Iterator<Item = UniqueKey<'a>> {
    course.change.iter().flat_map(|change| {
        let before = match change.action() {
            Action::Create | Action::Replace => None,
            Action::Update | Action::Delete => course.before,
        };
        difference(course.after.as_deref(), before.map(|live| &live.settings))
    })
}

/// The keys that this course frees: those that it holds today and will not hold, or not without letting go in between.
pub(super) fn freed<'a>(course: &'a PlannedIntegration<'_>) -> impl Iterator<Item = UniqueKey<'a>> {
    course.change.iter().flat_map(|change| {
        let after = match change.action() {
            Action::Replace | Action::Delete => None,
            Action::Create | Action::Update => course.after.as_deref(),
        };
        difference(course.before.map(|live| &live.settings), after)
    })
}

fn difference<'a>(
    of: Option<&'a IntegrationSettings>,
    without: Option<&'a IntegrationSettings>,
) -> impl Iterator<Item = UniqueKey<'a>> {
    let is_in = |settings, key| keys(settings).any(|other| other == key);
    of.into_iter()
        .flat_map(keys)
        .filter(move |key| !without.is_some_and(|settings| is_in(settings, *key)))
}

/// Finds every key that two integrations would hold without being permitted to share it.
pub(super) fn find(targeted: &TargetedDiffs<'_>) -> Vec<PlanError> {
    let courses = &targeted.integrations.courses;
    let holders = shared(courses);
    if holders.is_empty() {
        return Vec::new();
    }
    let left_out: HashSet<&Address> = targeted.left_out.iter().collect();
    let mut problems = Vec::new();
    for (index, course) in courses.iter().enumerate() {
        for key in final_keys(course) {
            let takes = taken(course).any(|taken| taken == key);
            let others = holders.get(&key).into_iter().flatten().copied();
            // What nobody takes is told once: of the entry that stands first.
            let met = |other: &usize| takes || (*other > index && courses[*other].is_listed());
            let holder = others
                .filter(|other| *other != index && met(other))
                .map(|other| &courses[other])
                .find(|other| !may_share(course, other, key));
            if let Some(holder) = holder.filter(|_| takes || course.is_listed()) {
                problems.push(PlanError::Held {
                    wants: course.thing.address(),
                    key: format!("{} {}", IntegrationField::from(key.field), key.value),
                    holder: holder.thing.address(),
                    way_out: way_out(course, holder, key, &left_out),
                    location: course.thing.entry().map(|entry| entry.location.clone()),
                });
            }
        }
    }
    problems
}

/// The keys that more than one integration will hold, and who those are.
fn shared<'a>(
    courses: &'a [PlannedIntegration<'a>],
) -> FastMap<UniqueKey<'a>, SmallVec<[usize; 2]>> {
    let mut holders: FastMap<UniqueKey<'_>, u32> = FastMap::default();
    holders.reserve(KeyField::COUNT * courses.len());
    for key in courses.iter().flat_map(final_keys) {
        *holders.entry(key).or_default() += 1;
    }
    let mut shared: FastMap<UniqueKey<'_>, SmallVec<[usize; 2]>> = holders
        .into_iter()
        .filter(|(_, holders)| *holders > 1)
        .map(|(key, _)| (key, SmallVec::new()))
        .collect();
    if shared.is_empty() {
        return shared;
    }
    for (index, course) in courses.iter().enumerate() {
        for key in final_keys(course) {
            if let Some(holders) = shared.get_mut(&key) {
                holders.push(index);
            }
        }
    }
    shared
}

/// The keys that this course's integration will hold.
fn final_keys<'a>(course: &'a PlannedIntegration<'_>) -> impl Iterator<Item = UniqueKey<'a>> {
    course.after.iter().flat_map(|after| keys(after))
}

/// Two may share a key if the file asks for it on both, and the next run can still tell them apart: by a pin that holds, or by their
/// references. The pin of one that is made anew points nowhere.
fn may_share(a: &PlannedIntegration<'_>, b: &PlannedIntegration<'_>, key: UniqueKey<'_>) -> bool {
    let both_ask = declares_key(a, key) && declares_key(b, key);
    both_ask && (keeps_pin(a) || keeps_pin(b) || declare_different_references(a, b))
}

fn declare_different_references(a: &PlannedIntegration<'_>, b: &PlannedIntegration<'_>) -> bool {
    let declared = |course: &PlannedIntegration<'_>| course.thing.entry()?.reference_id.clone();
    match (declared(a), declared(b)) {
        (Some(a), Some(b)) => a != b,
        (None, _) | (_, None) => false,
    }
}

/// Whether the file says which live one the entry is, and that it holds this very key. A key that merely stays as it is live was not
/// asked for.
fn declares_key(course: &PlannedIntegration<'_>, key: UniqueKey<'_>) -> bool {
    let Some(entry) = course.thing.entry() else {
        return false;
    };
    let declared = match key.field {
        KeyField::TenantUrl => Some(entry.tenant_url.normalized()),
        KeyField::ReferenceId => entry.reference_id.as_ref().map(ReferenceId::as_str),
    };
    entry.id.is_some() && declared == Some(key.value)
}

fn keeps_pin(course: &PlannedIntegration<'_>) -> bool {
    let pinned = course.thing.entry().and_then(|entry| entry.id);
    let replaced = course
        .change
        .as_ref()
        .is_some_and(|change| change.action() == Action::Replace);
    pinned.is_some() && pinned == course.before.map(|live| live.id) && !replaced
}

fn way_out(
    course: &PlannedIntegration<'_>,
    holder: &PlannedIntegration<'_>,
    key: UniqueKey<'_>,
    left_out: &HashSet<&Address>,
) -> Resolution {
    if left_out.contains(&holder.thing.address()) {
        return Resolution::Target;
    }
    match holder.thing {
        IntegrationSource::Unlisted(_) => Resolution::ListOrDelete,
        IntegrationSource::Listed(_) if declares_key(course, key) && declares_key(holder, key) => {
            Resolution::Distinguish
        }
        IntegrationSource::Listed(_) => Resolution::ChangeEither,
    }
}
