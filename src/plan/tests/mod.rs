//! Small worlds, planned. A world is a few lines of text: `name: tenant reference [options]` for entries and live integrations.

mod behaviors;
mod guards;
mod matching;
mod order;
mod policies;
mod run;
mod scenarios;
mod targets;
mod weakening;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{Date, date};

use crate::model::account::{
    DesiredAccount, GuardMode, LiveAccount, ProtectedItem, Unlisted, UnlistedBehaviors,
    UnlistedIntegrations,
};
use crate::model::address::{Address, Name};
use crate::model::behavior::{Behavior, BehaviorKey, BehaviorSettings, DesiredBehavior, RiskLevel};
use crate::model::context::Context;
use crate::model::generated_reference::GeneratedReferences;
use crate::model::integration::{
    DesiredIntegration, IgnoreChange, Integration, IntegrationId, IntegrationSettings,
    IntegrationType, ReferenceId, TenantUrl,
};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;

use crate::plan::{
    AccountError, AccountPlan, Action, Change, FailureKind, Format, Glob, GlobMatch, Guard,
    IntegrationTarget, Kind, MatchedBy, NoteKind, Operation, OperationId, OperationKind, Options,
    PlanError, Purpose, Run, SavedPlan, SavedPlanError, Status, Wave, live_digest, matches, sha256,
};

fn location() -> Location {
    Location {
        file: "test.yaml".into(),
        line: 1,
        column: 1,
    }
}

/// The id of the live integration number `n`.
fn id(n: u128) -> IntegrationId {
    uuid::Uuid::from_u128(n).into()
}

const ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";

/// A reference: `~x2` is the second that riskform makes for the entry `x`, any other word is itself.
fn reference(word: &str) -> ReferenceId {
    match word.strip_prefix('~') {
        Some(own) => {
            let (name, count) = own.split_at(own.len() - 1);
            let own = GeneratedReferences::of(&ACCOUNT.parse().unwrap(), &name.parse().unwrap());
            own.nth(count.parse().unwrap())
        }
        None => ReferenceId::new(word).unwrap(),
    }
}

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

/// `tenant [reference] [off] [type=X]`, e.g. `a r1 off`.
fn live(n: u128, text: &str) -> Integration {
    let mut words = text.split_whitespace();
    let mut integration = Integration {
        id: id(n),
        account_tag: "tag".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        well_known_url: String::new(),
        settings: IntegrationSettings {
            integration_type: IntegrationType::Okta.into(),
            tenant_url: TenantUrl::from_live(format!("https://{}.test", words.next().unwrap())),
            reference_id: None,
            active: true,
        },
    };
    for word in words {
        match word.strip_prefix("type=") {
            Some(kind) => integration.settings.integration_type = OpenEnum::parse(kind),
            None if word == "off" => integration.settings.active = false,
            None => integration.settings.reference_id = Some(reference(word)),
        }
    }
    integration
}

/// `name: tenant [reference] [off] [id=N] [prevent] [ignore=field[@date]] [type=Okta]`.
fn entry(text: &str) -> DesiredIntegration {
    let (name, rest) = text.split_once(": ").unwrap();
    let mut words = rest.split_whitespace();
    let tenant = words.next().unwrap();
    let mut entry = DesiredIntegration {
        name: name.parse().unwrap(),
        integration_type: None,
        tenant_url: format!("https://{tenant}.test").parse().unwrap(),
        reference_id: None,
        identity_provider: None,
        identity_provider_org: None,
        active: true,
        id: None,
        lifecycle: Default::default(),
        location: location(),
        variables: Default::default(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("id", n)) => entry.id = Some(id(n.parse().unwrap())),
            Some(("type", kind)) => entry.integration_type = Some(kind.parse().unwrap()),
            Some(("ignore", field)) => {
                let (field, until) = field
                    .split_once('@')
                    .map_or((field, None), |(f, u)| (f, Some(u)));
                entry.lifecycle.ignore_changes.push(IgnoreChange {
                    field: field.parse().unwrap(),
                    until: until.map(|until| until.parse().unwrap()),
                    reason: None,
                    location: location(),
                });
            }
            Some(_) => panic!("unknown option {word}"),
            None if word == "off" => entry.active = false,
            None if word == "prevent" => entry.lifecycle.prevent_destroy = true,
            None => entry.reference_id = Some(reference(word)),
        }
    }
    entry
}

fn desired(entries: &[&str]) -> DesiredAccount {
    DesiredAccount {
        account_id: ACCOUNT.parse().unwrap(),
        name: None,
        source: "test.yaml".into(),
        api_token_env: None,
        behaviors: BTreeMap::new(),
        wildcard: None,
        unmanaged: BTreeMap::new(),
        integrations: entries
            .iter()
            .map(|text| entry(text))
            .map(|entry| (entry.name.clone(), entry))
            .collect(),
        unlisted: Unlisted::default(),
        guards: Default::default(),
    }
}

fn account(integrations: &[&str]) -> LiveAccount {
    let integrations = integrations
        .iter()
        .enumerate()
        .map(|(index, text)| live(index as u128 + 1, text))
        .collect();
    let behaviors = [
        ("dlp", true, "medium"),
        ("edr", false, "medium"),
        ("imp", true, "extreme"),
    ]
    .map(|(key, enabled, level)| {
        let behavior = Behavior {
            name: key.to_uppercase(),
            description: String::new(),
            settings: BehaviorSettings {
                enabled,
                risk_level: OpenEnum::parse(level),
            },
        };
        (BehaviorKey::new(key), behavior)
    });
    LiveAccount::new(behaviors.into(), integrations)
}

fn behavior(enabled: Option<bool>, risk_level: Option<RiskLevel>) -> DesiredBehavior {
    DesiredBehavior {
        enabled,
        risk_level,
        location: location(),
        variables: Default::default(),
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
