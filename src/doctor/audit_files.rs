//! Audit checks against the files: behaviors, unlisted resources, ambiguous entries, and other drift.

use crate::model::account::BehaviorDeclaration;
use crate::model::finding::Finding;
use crate::plan::{AccountPlan, Action, Change, Field, FieldChange, FieldValue};

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
        let tenant = tenant(&unlisted.field_changes());
        Finding::fail(format!("{address}{tenant} is unlisted")).about(address)
    });
    let changes = plan.changes.iter();
    let changes = changes.filter(|change| change.origin.location.as_ref().is_none());
    let changes = changes.map(|change| Finding::fail(difference(change)).about(&change.address));
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
            Finding::fail(difference(change))
                .about(&change.address)
                .at(change.origin.location.as_ref())
        })
        .collect();
    match findings.is_empty() {
        true => vec![Finding::pass("no other drift")],
        false => findings,
    }
}

/// Describes the difference between the live and the declared state, such as `behavior.imp_travel is off, declared on`.
pub fn difference(change: &Change) -> String {
    let address = &change.address;
    match change.action {
        Action::Create => format!("{address} does not exist"),
        Action::Delete => {
            let tenant = tenant(&change.fields);
            format!("{address}{tenant} is unlisted; apply will delete it")
        }
        Action::Update if change.origin.location.as_ref().is_none() => {
            format!("{address} is unlisted and on; apply will disable it")
        }
        Action::Update | Action::Replace => {
            let fields: Vec<String> = change.fields.iter().map(field_difference).collect();
            format!("{address} {}", fields.join("; "))
        }
    }
}

/// Returns the live tenant URL in parentheses; empty for a behavior.
fn tenant(fields: &[FieldChange]) -> String {
    let tenant = fields.iter().find(|field| field.field == Field::TenantUrl);
    let tenant = tenant.and_then(|field| field.before.as_ref());
    tenant.map_or_else(String::new, |url| format!(" ({url})"))
}

fn field_difference(change: &FieldChange) -> String {
    let shown = |value: &Option<FieldValue>| match (change.field, value) {
        (_, None) => "(unset)".to_owned(),
        (Field::Enabled, Some(FieldValue::Bool(true))) => "on".to_owned(),
        (Field::Enabled, Some(FieldValue::Bool(false))) => "off".to_owned(),
        (Field::Active, Some(FieldValue::Bool(true))) => "active".to_owned(),
        (Field::Active, Some(FieldValue::Bool(false))) => "inactive".to_owned(),
        (_, Some(value)) => value.to_string(),
    };
    let (live, declared) = (shown(&change.before), shown(&change.after));
    match change.field {
        Field::Enabled | Field::RiskLevel | Field::Active => {
            format!("is {live}, declared {declared}")
        }
        field => format!("has {field} {live}, declared {declared}"),
    }
}
