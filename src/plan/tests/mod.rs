//! Small worlds, planned. A world is a few lines of text: `name: tenant reference [options]` for entries and live integrations.

mod behaviors;
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
    DesiredAccount, GuardMode, LiveAccount, ProtectedItem, UnlistedBehaviors, UnlistedIntegrations,
};
use crate::model::address::{Address, Name};
use crate::model::behavior::{BehaviorKey, RiskLevel};
use crate::model::context::Context;
use crate::model::integration::{
    Integration, IntegrationId, IntegrationSettings, ReferenceId, TenantUrl,
};
use crate::model::open_enum::OpenEnum;

use crate::plan::{
    AccountError, AccountPlan, Action, Change, FailureKind, Format, Glob, GlobMatch, Guard,
    IntegrationTarget, Kind, MatchedBy, NoteKind, Operation, OperationId, OperationKind, Options,
    PlanError, Purpose, Run, SavedPlan, SavedPlanError, Status, Wave, live_digest, matches, sha256,
};

/// A reference as [`reference`] reads it; `parked` is one that nobody can have.
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
    let settings = |settings: &IntegrationSettings| {
        let reference = shown(settings.reference_id.as_ref(), desired);
        let active = if settings.active { "" } else { " off" };
        format!("{} {reference}{active}", settings.tenant_url)
    };
    let call = match &operation.call {
        OperationKind::WriteBehaviors { complete, .. } => {
            let all: Vec<String> = complete
                .iter()
                .map(|(key, s)| format!("{key}={}/{}", s.enabled, s.risk_level))
                .collect();
            format!("PUT behaviors {}", all.join(" "))
        }
        OperationKind::Create { settings: s } => format!("POST {}", settings(s)),
        OperationKind::Update {
            subject: IntegrationTarget::Existing(id),
            settings: s,
        } => format!("PUT {} {}", number(id), settings(s)),
        OperationKind::Update {
            subject,
            settings: s,
        } => format!("PUT {subject} {}", settings(s)),
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
