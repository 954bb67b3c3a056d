//! Conflicts: a `reference_id` or `tenant_url` that two integrations would have.
//!
//! It is unknown whether the API requires unique values (`schema/api.md`, Integrations), and the next run cannot distinguish two
//! integrations with one key unless the file says how. So two entries may share a key only if both declare it, both are pinned, and the
//! pins or the references differ. An entry cannot take a key from an unlisted integration that stays. A key that an entry already shares
//! with an unlisted integration is not checked.

use std::collections::{HashMap, HashSet};

use crate::model::address::Address;
use crate::model::integration::{IntegrationField, IntegrationSettings, ReferenceId, TenantUrl};

use super::change::Action;
use super::error::{PlanError, PlanErrorKind};
use super::integrations::{IntegrationSource, PlannedIntegration};

/// A value that the API may require to be unique within an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum UniqueKey<'a> {
    ReferenceId(&'a ReferenceId),
    TenantUrl(&'a TenantUrl),
}

impl UniqueKey<'_> {
    pub(super) fn field(self) -> KeyField {
        match self {
            UniqueKey::ReferenceId(_) => KeyField::ReferenceId,
            UniqueKey::TenantUrl(_) => KeyField::TenantUrl,
        }
    }

    pub(super) fn value(&self) -> &str {
        match self {
            UniqueKey::ReferenceId(reference) => reference.as_str(),
            UniqueKey::TenantUrl(tenant_url) => tenant_url.normalized(),
        }
    }
}

/// Fields with such values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyField {
    ReferenceId,
    TenantUrl,
}

impl KeyField {
    /// Number of key fields. An integration has at most one key in each.
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

/// Returns the keys of an integration with these settings.
pub(super) fn keys(settings: &IntegrationSettings) -> impl Iterator<Item = UniqueKey<'_>> {
    let reference_id = settings.reference_id.iter().map(UniqueKey::ReferenceId);
    reference_id.chain([UniqueKey::TenantUrl(&settings.tenant_url)])
}

/// Returns the keys that the integration gets: those it will have and does not have today. A created or replaced integration gets all
/// of its keys.
pub(super) fn taken<'a>(course: &'a PlannedIntegration<'_>) -> impl Iterator<Item = UniqueKey<'a>> {
    course.change.iter().flat_map(|change| {
        let before = match change.action() {
            Action::Create | Action::Replace => None,
            Action::Update | Action::Delete => course.before,
        };
        difference(course.after.as_deref(), before.map(|live| &live.settings))
    })
}

/// Returns the keys that the integration frees: those it has today and will not have, or that a replacement frees for a moment.
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

/// Finds every key that two integrations would have without being allowed to share it.
pub(super) fn find(courses: &[PlannedIntegration<'_>], excluded: &[Address]) -> Vec<PlanError> {
    let holders = shared(courses);
    if holders.is_empty() {
        return Vec::new();
    }
    let excluded: HashSet<&Address> = excluded.iter().collect();
    let mut errors = Vec::new();
    for (index, course) in courses.iter().enumerate() {
        for key in final_keys(course) {
            let takes = taken(course).any(|taken| taken == key);
            let others = holders.get(&key).into_iter().flatten().copied();
            // If no integration newly gets the key, the conflict is reported once, for the first entry.
            let met = |other: &usize| takes || (*other > index && courses[*other].is_listed());
            let holder = others
                .filter(|other| *other != index && met(other))
                .map(|other| &courses[other])
                .find(|other| !may_share(course, other, key));
            if let Some(holder) = holder.filter(|_| takes || course.is_listed()) {
                let message = format!(
                    "{} {} is already used by {}",
                    IntegrationField::from(key.field()),
                    key.value(),
                    holder.thing.address()
                );
                errors.push(PlanError {
                    address: course.thing.address(),
                    kind: PlanErrorKind::Conflict,
                    message,
                    candidates: Vec::new(),
                    help: help(course, holder, key, &excluded),
                    location: course.thing.entry().map(|entry| entry.location.clone()),
                });
            }
        }
    }
    errors
}

/// Returns the keys that more than one integration will have, with these integrations.
fn shared<'a>(courses: &'a [PlannedIntegration<'a>]) -> HashMap<UniqueKey<'a>, Vec<usize>> {
    let mut holders: HashMap<UniqueKey<'_>, u32> = HashMap::new();
    holders.reserve(KeyField::COUNT * courses.len());
    for key in courses.iter().flat_map(final_keys) {
        *holders.entry(key).or_default() += 1;
    }
    let mut shared: HashMap<UniqueKey<'_>, Vec<usize>> = holders
        .into_iter()
        .filter(|(_, holders)| *holders > 1)
        .map(|(key, _)| (key, Vec::new()))
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

/// Returns the keys that the integration will have.
fn final_keys<'a>(course: &'a PlannedIntegration<'_>) -> impl Iterator<Item = UniqueKey<'a>> {
    course.after.iter().flat_map(|after| keys(after))
}

/// Returns true if two integrations may share a key: the file declares it for both, and the next run can distinguish them by a valid
/// pin or by their references. The pin of a replaced integration is invalid.
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

/// Returns true if the file pins the entry to a live integration and declares this key. A live value that merely stays does not count.
fn declares_key(course: &PlannedIntegration<'_>, key: UniqueKey<'_>) -> bool {
    let Some(entry) = course.thing.entry() else {
        return false;
    };
    let is_declared = match key {
        UniqueKey::TenantUrl(tenant_url) => entry.tenant_url == *tenant_url,
        UniqueKey::ReferenceId(reference) => entry.reference_id.as_ref() == Some(reference),
    };
    entry.id.is_some() && is_declared
}

fn keeps_pin(course: &PlannedIntegration<'_>) -> bool {
    let pinned = course.thing.entry().and_then(|entry| entry.id);
    let replaced = course
        .change
        .as_ref()
        .is_some_and(|change| change.action() == Action::Replace);
    pinned.is_some() && pinned == course.before.map(|live| live.id) && !replaced
}

fn help(
    course: &PlannedIntegration<'_>,
    holder: &PlannedIntegration<'_>,
    key: UniqueKey<'_>,
    excluded: &HashSet<&Address>,
) -> String {
    let (entry, other) = (course.thing.address(), holder.thing.address());
    if excluded.contains(&other) {
        return format!("add --target '{other}'");
    }
    match holder.thing {
        IntegrationSource::Unlisted(_) => {
            format!("add {other} to the file, delete it, or set `unlisted.integrations: delete`")
        }
        IntegrationSource::Listed(_) if declares_key(course, key) && declares_key(holder, key) => {
            format!(
                "set different values of reference_id in {entry} and {other}; the integrations with their ids no longer exist"
            )
        }
        IntegrationSource::Listed(_) => format!(
            "change the value in {entry} or {other}, or set it in both and pin each with `id:`"
        ),
    }
}
