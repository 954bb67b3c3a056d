//! Conflicts: a `reference_id` or `tenant_url` that two integrations would have.
//!
//! It is unknown whether the API requires unique values (`schema/api.md`, Integrations), and the next run can distinguish two
//! integrations with one key only if the file does. So two entries may share a key only if both declare it, both are pinned, and the pins
//! or the references differ. An entry cannot take a key from an unlisted integration that stays. A key that an entry already shares
//! with an unlisted integration is not checked.

use std::collections::{HashMap, HashSet};

use crate::model::address::Address;
use crate::model::field::{Field, FieldValue, Fields};

use super::change::Action;
use super::integrations::PlannedIntegration;
use super::note::{PlanError, PlanErrorKind};

/// A value that the API may require to be unique within an account.
pub(super) type UniqueKey<'a> = (Field, &'a FieldValue);

/// Returns the keys of an integration with these fields.
pub(super) fn keys(fields: &Fields) -> impl Iterator<Item = UniqueKey<'_>> {
    let keys = [Field::ReferenceId, Field::TenantUrl].into_iter();
    keys.filter_map(|field| Some((field, fields.get(field)?)))
}

/// Returns the keys that the integration gets: those it will have and does not have today. A created or replaced integration gets all
/// of its keys.
pub(super) fn taken<'a>(planned: &'a PlannedIntegration<'_>) -> Vec<UniqueKey<'a>> {
    let Some(change) = &planned.change else {
        return Vec::new();
    };
    let before = planned.before.filter(|_| !creates(change.action));
    difference(planned.after.as_ref(), before.map(|live| &live.fields))
}

/// Returns the keys that the integration frees: those it has today and will not have, or that a replacement frees for a moment.
pub(super) fn freed<'a>(planned: &'a PlannedIntegration<'_>) -> Vec<UniqueKey<'a>> {
    let Some(change) = &planned.change else {
        return Vec::new();
    };
    let after = planned.after.as_ref().filter(|_| !change.action.deletes());
    difference(planned.before.map(|live| &live.fields), after)
}

fn creates(action: Action) -> bool {
    matches!(action, Action::Create | Action::Replace)
}

fn difference<'a>(of: Option<&'a Fields>, without: Option<&Fields>) -> Vec<UniqueKey<'a>> {
    let is_new = |(field, value): &UniqueKey<'a>| {
        without.is_none_or(|fields| fields.get(*field) != Some(*value))
    };
    of.into_iter().flat_map(keys).filter(is_new).collect()
}

/// Finds every key that two integrations would have without being allowed to share it.
pub(super) fn find(all: &[PlannedIntegration<'_>], excluded: &[Address]) -> Vec<PlanError> {
    let mut holders: HashMap<UniqueKey<'_>, Vec<usize>> = HashMap::with_capacity(2 * all.len());
    for (index, planned) in all.iter().enumerate() {
        for key in planned.after.iter().flat_map(keys) {
            holders.entry(key).or_default().push(index);
        }
    }
    holders.retain(|_, holders| holders.len() > 1);
    if holders.is_empty() {
        return Vec::new();
    }
    let excluded: HashSet<&Address> = excluded.iter().collect();
    let mut errors = Vec::new();
    for (index, planned) in all.iter().enumerate() {
        for key in planned.after.iter().flat_map(keys) {
            let takes = taken(planned).contains(&key);
            let others = holders.get(&key).into_iter().flatten().copied();
            // If no integration newly gets the key, the conflict is reported once, for the first entry.
            let met = |other: &usize| takes || (*other > index && all[*other].entry.is_some());
            let holder = others
                .filter(|other| *other != index && met(other))
                .map(|other| &all[other])
                .find(|other| !may_share(planned, other, key));
            if let Some(holder) = holder.filter(|_| takes || planned.entry.is_some()) {
                let (field, value) = key;
                let value = match value {
                    FieldValue::Url(url) => url.normalized().to_owned(),
                    value => value.to_string(),
                };
                errors.push(PlanError {
                    address: planned.address.clone(),
                    kind: PlanErrorKind::Conflict,
                    message: format!("{field} {value} is already used by {}", holder.address),
                    candidates: Vec::new(),
                    help: help(planned, holder, key, &excluded),
                    location: planned.entry.map(|entry| entry.location.clone()),
                });
            }
        }
    }
    errors
}

/// Returns true if two integrations may share a key: the file declares it for both, and the next run can distinguish them by a valid
/// pin or by their references. The pin of a replaced integration is invalid.
fn may_share(a: &PlannedIntegration<'_>, b: &PlannedIntegration<'_>, key: UniqueKey<'_>) -> bool {
    let both_ask = declares_key(a, key) && declares_key(b, key);
    both_ask && (keeps_pin(a) || keeps_pin(b) || declare_different_references(a, b))
}

fn declare_different_references(a: &PlannedIntegration<'_>, b: &PlannedIntegration<'_>) -> bool {
    let [a, b] = [a, b].map(|planned| planned.entry?.fields.reference_id());
    a.is_some() && b.is_some() && a != b
}

/// Returns true if the file pins the entry to a live integration and declares this key. A live value that merely stays does not count.
fn declares_key(planned: &PlannedIntegration<'_>, (field, value): UniqueKey<'_>) -> bool {
    planned
        .entry
        .is_some_and(|entry| entry.id.is_some() && entry.fields.get(field) == Some(value))
}

fn keeps_pin(planned: &PlannedIntegration<'_>) -> bool {
    let pinned = planned.entry.and_then(|entry| entry.id);
    let change = planned.change.as_ref();
    let replaced = change.is_some_and(|change| change.action == Action::Replace);
    pinned.is_some() && pinned == planned.before.map(|live| live.id) && !replaced
}

fn help(
    planned: &PlannedIntegration<'_>,
    holder: &PlannedIntegration<'_>,
    key: UniqueKey<'_>,
    excluded: &HashSet<&Address>,
) -> String {
    let (entry, other) = (&planned.address, &holder.address);
    if excluded.contains(other) {
        format!("add --target '{other}'")
    } else if holder.entry.is_none() {
        format!("add {other} to the file, delete it, or set `unlisted.integrations: delete`")
    } else if declares_key(planned, key) && declares_key(holder, key) {
        format!(
            "set different values of reference_id in {entry} and {other}; the integrations with their ids no longer exist"
        )
    } else {
        format!("change the value in {entry} or {other}, or set it in both and pin each with `id:`")
    }
}
