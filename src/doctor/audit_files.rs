//! Audit checks against the files: behaviors, unlisted resources, ambiguous entries, and other drift.

use crate::model::account::BehaviorDeclaration;
use crate::model::finding::Finding;
use crate::plan::{AccountPlan, Change, Field, FieldValue};

pub(super) fn behaviors(plan: &AccountPlan) -> Vec<Finding> {
    let off = plan.changes.iter().filter(|change| is_off(change));
    let findings: Vec<Finding> = off
        .map(|change| {
            let address = &change.address;
            Finding::fail(format!("{address} is off, declared on"))
                .about(address)
                .at(change.origin.location.as_ref())
        })
        .collect();
    if !findings.is_empty() {
        return findings;
    }
    let keys = plan.live().behaviors.keys();
    let declared_on = keys.filter(|key| match plan.desired().behavior(key) {
        BehaviorDeclaration::Named { fields, .. } => fields.is_on(Field::Enabled),
        BehaviorDeclaration::Wildcard { entry } => entry.fields.is_on(Field::Enabled),
        BehaviorDeclaration::Unmanaged | BehaviorDeclaration::Unlisted => false,
    });
    vec![Finding::pass(match declared_on.count() {
        0 => "no behavior is declared on".to_owned(),
        1 => "the behavior declared on is on".to_owned(),
        all => format!("all {all} behaviors declared on are on"),
    })]
}

/// Returns true if a behavior is off although it is declared on.
fn is_off(change: &Change) -> bool {
    let on = Some(FieldValue::Bool(true));
    let mut enabled = change
        .fields
        .iter()
        .filter(|field| field.field == Field::Enabled);
    change.origin.location.as_ref().is_some()
        && enabled.any(|field| field.after == on && field.before != on)
}

pub(super) fn unlisted(plan: &AccountPlan) -> Vec<Finding> {
    let reported = plan.reported().map(|unlisted| {
        let address = &unlisted.address;
        let tenant = unlisted.fields.tenant_url();
        let tenant = tenant.map_or_else(String::new, |url| format!(" ({url})"));
        Finding::fail(format!("{address}{tenant} is unlisted")).about(address)
    });
    let changes = plan.changes.iter();
    let changes = changes.filter(|change| change.origin.location.as_ref().is_none());
    let changes = changes.map(|change| Finding::fail(change.difference()).about(&change.address));
    let findings: Vec<Finding> = reported.chain(changes).collect();
    if !findings.is_empty() {
        return findings;
    }
    vec![Finding::pass(match plan.unlisted.len() {
        0 => "no unlisted resources".to_owned(),
        1 => "1 unlisted resource is not managed".to_owned(),
        kept => format!("{kept} unlisted resources are not managed"),
    })]
}

pub(super) fn ambiguous(plan: &AccountPlan) -> Vec<Finding> {
    let errors = plan.errors.iter();
    let findings: Vec<Finding> = errors
        .map(|error| {
            Finding::fail(format!("{}: {}", error.address, error.message))
                .about(&error.address)
                .at(error.location.as_ref())
                .help(&error.help)
        })
        .collect();
    match findings.is_empty() {
        true => vec![Finding::pass("no entry is ambiguous")],
        false => findings,
    }
}

pub(super) fn drift(plan: &AccountPlan) -> Vec<Finding> {
    let others = plan.changes.iter();
    let others =
        others.filter(|change| change.origin.location.as_ref().is_some() && !is_off(change));
    let findings: Vec<Finding> = others
        .map(|change| {
            Finding::fail(change.difference())
                .about(&change.address)
                .at(change.origin.location.as_ref())
        })
        .collect();
    match findings.is_empty() {
        true => vec![Finding::pass("no other drift")],
        false => findings,
    }
}
