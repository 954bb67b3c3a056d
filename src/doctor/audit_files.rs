//! Differences between an account and its files, as findings of a drift and as checks of the audit.

use super::{AuditInput, CheckResult, none};
use crate::model::finding::Finding;
use crate::plan::{
    AccountPlan, Action, Change, Field, FieldAttribution, FieldChange, FieldValue, Fields,
};

/// Finding with the rule of drift as its check, the check of the audit that has it, and its authors.
type Difference<'a> = (Finding, &'static str, &'a [FieldAttribution]);

/// Returns the ambiguous entries, changes and reported unlisted resources of an account.
pub fn differences(plan: &AccountPlan) -> impl Iterator<Item = Difference<'_>> {
    let errors = plan.errors.iter().map(|error| {
        let mut finding = Finding::fail(format!("{}: {}", error.address, error.message));
        finding.details = error.candidates.iter().map(ToString::to_string).collect();
        let finding = finding.of("ambiguous").about(&error.address);
        let finding = finding.at(error.location.as_ref()).help(&error.help);
        (finding, "ambiguous", &[][..])
    });
    let changes = plan.changes.iter().map(|change| {
        let location = change.origin.location.as_ref();
        let (rule, check) = match location {
            None => (unlisted_rule(change.before.as_ref()), "unlisted"),
            Some(_) if change.live_weaker.is_some() => ("weaker", audit_check(change)),
            Some(_) => ("differs", audit_check(change)),
        };
        let mut finding = Finding::fail(change.difference()).of(rule);
        if let Action::Create | Action::Delete = change.action {
            finding.details = field_lines(&change.fields);
        }
        let finding = finding.about(&change.address).at(location);
        (finding, check, change.attribution.as_slice())
    });
    let reported = plan.reported().map(|unlisted| {
        let address = &unlisted.address;
        let tenant = unlisted.fields.tenant_url();
        let tenant = tenant.map_or_else(String::new, |url| format!(" ({url})"));
        let mut finding = Finding::fail(format!("{address}{tenant} is unlisted"));
        finding.details = field_lines(&unlisted.field_changes());
        let finding = finding.of(unlisted_rule(Some(&unlisted.fields)));
        let authors = unlisted.attribution.as_slice();
        (finding.about(address), "unlisted", authors)
    });
    errors.chain(changes).chain(reported)
}

fn unlisted_rule(live: Option<&Fields>) -> &'static str {
    match live.is_some_and(|live| live.is_on(Field::Active)) {
        true => "unlisted_active",
        false => "unlisted",
    }
}

/// Returns the check of the audit that has the difference of an entry.
fn audit_check(change: &Change) -> &'static str {
    let on = Some(FieldValue::Bool(true));
    let mut fields = change.fields.iter();
    let is_off = fields
        .any(|field| field.field == Field::Enabled && field.after == on && field.before != on);
    match is_off {
        true => "behaviors",
        false => "drift",
    }
}

/// Returns the differences that a check of the audit has, without their details.
fn no_differences(plan: &AccountPlan, check: &str) -> Result<(), Vec<Finding>> {
    let found = differences(plan).filter(|(_, of, _)| *of == check);
    let found = found.map(|(mut finding, ..)| {
        finding.details.clear();
        finding
    });
    none(found.collect())
}

pub(super) fn behaviors(input: &AuditInput<'_>) -> CheckResult {
    let plan = input.plan;
    no_differences(plan, "behaviors")?;
    let keys = plan.live().behaviors.keys();
    let declared_on = keys.filter(|key| {
        let entry = plan.desired().behavior(key);
        entry.is_some_and(|entry| entry.fields.is_on(Field::Enabled))
    });
    Ok(match declared_on.count() {
        0 => "no behavior is declared on".to_owned(),
        1 => "the behavior declared on is on".to_owned(),
        all => format!("all {all} behaviors declared on are on"),
    })
}

pub(super) fn unlisted(input: &AuditInput<'_>) -> CheckResult {
    no_differences(input.plan, "unlisted")?;
    Ok(match input.plan.unlisted.len() {
        0 => "no unlisted resources".to_owned(),
        1 => "1 unlisted resource is not managed".to_owned(),
        kept => format!("{kept} unlisted resources are not managed"),
    })
}

pub(super) fn ambiguous(input: &AuditInput<'_>) -> CheckResult {
    no_differences(input.plan, "ambiguous")?;
    Ok("no entry is ambiguous".to_owned())
}

pub(super) fn drift(input: &AuditInput<'_>) -> CheckResult {
    no_differences(input.plan, "drift")?;
    Ok("no other drift".to_owned())
}

/// Returns the fields of a resource that exists only here or there.
fn field_lines(fields: &[FieldChange]) -> Vec<String> {
    let lines = fields.iter().map(|change| {
        let value = change.after.as_ref().or(change.before.as_ref());
        let value = value.map_or_else(|| "(unset)".to_owned(), ToString::to_string);
        format!("{}: {value}", change.field)
    });
    lines.collect()
}
