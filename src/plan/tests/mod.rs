//! Small worlds, planned. A world is a few lines of text: `name: tenant reference [options]` for entries and live integrations.

mod behaviors;
mod fields;
mod guards;
mod matching;
mod notation;
mod order;
mod policies;
mod run;
mod scenarios;
mod targets;
mod weakening;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, date};
use notation::{account, behavior, desired, id, live, location, reference};

use crate::model::account::{
    DesiredAccount, GuardMode, LiveAccount, ProtectedItem, UnlistedPolicy,
};
use crate::model::address::{Address, Name};
use crate::model::behavior::{BehaviorKey, RiskLevel};
use crate::model::context::Context;
use crate::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use crate::model::open_enum::OpenEnum;

use crate::plan::{
    AccountError, AccountPlan, Action, Change, FailureKind, Field, FieldValue, Fields, Format,
    Glob, GlobMatch, Guard, IntegrationTarget, Kind, MatchedBy, NoteKind, Operation, OperationId,
    OperationKind, Options, PlanError, Purpose, Run, SavedPlan, SavedPlanError, Status, Wave,
    changes_since, matches, sha256,
};

/// Returns a reference in the notation of [`reference`]; `parked` means a placeholder.
fn shown(reference: Option<&ReferenceId>, desired: &DesiredAccount) -> String {
    let Some(reference) = reference else {
        return "-".to_owned();
    };
    let names = desired.integrations.keys().map(Name::as_str);
    let mut words = names
        .chain(["x"])
        .flat_map(|name| (1..=3).map(move |count| format!("~{name}{count}")));
    match words.find(|word| self::reference(word) == *reference) {
        Some(own) => own,
        None if (1..9).any(|n| ReferenceId::placeholder(id(n)) == *reference) => {
            "parked".to_owned()
        }
        None => reference.to_string(),
    }
}

fn plan(
    desired: &DesiredAccount,
    live: &LiveAccount,
    today: Date,
    options: &Options,
) -> Result<AccountPlan, Vec<PlanError>> {
    let (desired, live) = (Arc::new(desired.clone()), Arc::new(live.clone()));
    let plan = crate::plan::plan(&desired, &live, &Context::default(), today, options);
    match plan.errors.as_slice() {
        [] => Ok(plan),
        errors => Err(errors.to_vec()),
    }
}

fn planned(desired: &DesiredAccount, live: &LiveAccount) -> AccountPlan {
    plan(desired, live, date(2026, 11, 22), &Options::default()).unwrap()
}

/// One line an operation: `1 PUT 2 https://b.test r1 [needs 3]`, with the live integration's number.
fn lines(plan: &AccountPlan) -> Vec<String> {
    let operations = plan.operations.iter();
    operations.map(|one| line(one, plan.desired())).collect()
}

fn line(operation: &Operation, desired: &DesiredAccount) -> String {
    let number = |id: &IntegrationId| id.to_string().trim_start_matches(['0', '-']).to_owned();
    let shown = |fields: &Fields| {
        let reference = shown(fields.reference_id(), desired);
        let active = if fields.is_on(Field::Active) {
            ""
        } else {
            " off"
        };
        format!("{} {reference}{active}", fields.shown(Field::TenantUrl))
    };
    let call = match &operation.call {
        OperationKind::WriteBehaviors { complete, .. } => {
            let all: Vec<String> = complete
                .iter()
                .map(|(key, fields)| {
                    let [enabled, level] = [Field::Enabled, Field::RiskLevel];
                    format!("{key}={}/{}", fields.shown(enabled), fields.shown(level))
                })
                .collect();
            format!("PUT behaviors {}", all.join(" "))
        }
        OperationKind::Create { fields } => format!("POST {}", shown(fields)),
        OperationKind::Update {
            subject: IntegrationTarget::Existing(id),
            fields,
        } => format!("PUT {} {}", number(id), shown(fields)),
        OperationKind::Update { subject, fields } => format!("PUT {subject} {}", shown(fields)),
        OperationKind::Delete { id } => format!("DELETE {}", number(id)),
    };
    let needs: Vec<String> = operation
        .depends_on
        .iter()
        .map(ToString::to_string)
        .collect();
    if needs.is_empty() {
        format!("{} {call}", operation.id)
    } else {
        format!("{} {call} [needs {}]", operation.id, needs.join(","))
    }
}
