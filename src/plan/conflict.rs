//! What can't come true: a `reference_id` or `tenant_url` that one integration takes and another holds and keeps.
//!
//! Nobody knows whether the API demands unique values (`contract.md`, Integrations), and two integrations with one key could not be told
//! apart by the next run unless the file pins both. So sharing needs pins; what is shared already, and not taken anew, is left in peace.

use std::collections::{HashMap, HashSet};

use crate::model::account::DesiredAccount;
use crate::model::address::Address;
use crate::model::integration::{IntegrationField, IntegrationSettings};
use crate::model::location::Location;

use super::error::{Problem, WayOut};
use super::integrations::Course;
use super::outcome::Action;
use super::target::Targeted;

/// A value that may have to be unique within an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub(super) field: IntegrationField,
    pub(super) value: &'a str,
}

/// The keys that an integration with these settings holds.
pub(super) fn keys(settings: &IntegrationSettings) -> impl Iterator<Item = Key<'_>> {
    let tenant_url = Key {
        field: IntegrationField::TenantUrl,
        value: settings.tenant_url.normalised(),
    };
    let reference_id = settings.reference_id.as_ref().map(|reference| Key {
        field: IntegrationField::ReferenceId,
        value: reference.as_str(),
    });
    reference_id.into_iter().chain([tenant_url])
}

/// The keys that this course takes: those that it will hold and does not hold today. What is made anew takes all of its keys.
pub(super) fn taken<'a>(course: &'a Course<'_>) -> Vec<Key<'a>> {
    let before = match &course.change {
        None => return Vec::new(),
        Some(change) => match change.action {
            Action::Create | Action::Replace => None,
            Action::Update | Action::Delete => course.before,
        },
    };
    difference(course.after.as_ref(), before.map(|live| &live.settings))
}

/// The keys that this course frees: those that it holds today and will not hold, or not without letting go in between.
pub(super) fn freed<'a>(course: &'a Course<'_>) -> Vec<Key<'a>> {
    let after = match &course.change {
        None => return Vec::new(),
        Some(change) => match change.action {
            Action::Replace | Action::Delete => None,
            Action::Create | Action::Update => course.after.as_ref(),
        },
    };
    difference(course.before.map(|live| &live.settings), after)
}

fn difference<'a>(
    of: Option<&'a IntegrationSettings>,
    without: Option<&'a IntegrationSettings>,
) -> Vec<Key<'a>> {
    let without: Vec<Key<'_>> = without.into_iter().flat_map(keys).collect();
    of.into_iter()
        .flat_map(keys)
        .filter(|key| !without.contains(key))
        .collect()
}

/// Finds every key that is taken by one integration and kept by another without both being pinned.
pub(super) fn find(desired: &DesiredAccount, targeted: &Targeted<'_>) -> Vec<Problem> {
    let courses = &targeted.integrations.courses;
    let mut holders: HashMap<Key<'_>, Vec<&Course<'_>>> = HashMap::new();
    for course in courses {
        for key in course.after.iter().flat_map(keys) {
            holders.entry(key).or_default().push(course);
        }
    }
    let left_out: HashSet<&Address> = targeted.left_out.iter().collect();
    let mut problems = Vec::new();
    for course in courses {
        for key in taken(course) {
            let others = holders.get(&key).into_iter().flatten();
            let holder = others
                .filter(|other| other.address != course.address)
                .find(|other| !(other.pinned && course.pinned));
            if let Some(holder) = holder {
                problems.push(Problem::Held {
                    wants: course.address.clone(),
                    key: format!("{} {}", key.field, key.value),
                    holder: holder.address.clone(),
                    way_out: way_out(holder, &left_out),
                    location: location(desired, &course.address),
                });
            }
        }
    }
    problems
}

fn way_out(holder: &Course<'_>, left_out: &HashSet<&Address>) -> WayOut {
    if left_out.contains(&holder.address) {
        return WayOut::Target;
    }
    match holder.address {
        Address::UnlistedIntegration(_) => WayOut::ListOrDelete,
        Address::Integration(_) | Address::Behavior(_) => WayOut::ChangeEither,
    }
}

fn location(desired: &DesiredAccount, address: &Address) -> Option<Location> {
    match address {
        Address::Integration(name) => desired
            .integrations
            .get(name)
            .map(|entry| entry.location.clone()),
        Address::Behavior(_) | Address::UnlistedIntegration(_) => None,
    }
}
