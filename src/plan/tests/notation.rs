//! Accounts in a line notation, for the tests of the planner and of `tests/it`: `name: tenant reference [options]` for an entry and a live
//! integration. Tenant `a` is `https://a.test`.

use std::collections::BTreeMap;

use crate::model::account::{Declared, DesiredAccount, IgnoreChange, LiveAccount, Unlisted};
use crate::model::address::Name;
use crate::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use crate::model::field::{Field, FieldValue, Fields};
use crate::model::generated_reference::GeneratedReferences;
use crate::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;

pub(crate) fn location() -> Location {
    Location {
        file: "test.yaml".into(),
        line: 1,
        column: 1,
    }
}

/// The id of the live integration number `n`.
pub(crate) fn id(n: u128) -> IntegrationId {
    uuid::Uuid::from_u128(n).into()
}

pub(crate) const ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";

/// A reference: `~x2` is the second that riskform makes for the entry `x`, any other word is itself.
pub(crate) fn reference(word: &str) -> ReferenceId {
    match word.strip_prefix('~') {
        Some(own) => {
            let (name, count) = own.split_at(own.len() - 1);
            let own = GeneratedReferences::of(&ACCOUNT.parse().unwrap(), &name.parse().unwrap());
            own.nth(count.parse().unwrap())
        }
        None => ReferenceId::new(word).unwrap(),
    }
}

/// `tenant [reference] [off] [type=X]`, e.g. `a r1 off`.
pub(crate) fn live(n: u128, text: &str) -> Integration {
    let mut words = text.split_whitespace();
    let tenant_url = TenantUrl::from_live(format!("https://{}.test", words.next().unwrap()));
    let mut fields = Fields::from_iter([
        (Field::IntegrationType, FieldValue::Text("Okta".into())),
        (Field::TenantUrl, FieldValue::Url(tenant_url)),
        (Field::Active, FieldValue::Bool(true)),
    ]);
    for word in words {
        let (field, value) = match word.strip_prefix("type=") {
            Some(kind) => (Field::IntegrationType, FieldValue::Text(kind.into())),
            None if word == "off" => (Field::Active, FieldValue::Bool(false)),
            None => (Field::ReferenceId, FieldValue::Reference(reference(word))),
        };
        fields.set(field, Some(value));
    }
    Integration {
        id: id(n),
        account_tag: ACCOUNT.into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        well_known_url: String::new(),
        fields,
    }
}

/// `name: tenant [reference] [on|off] [id=N] [prevent] [ignore=field[@date]] [type=Okta]`.
pub(crate) fn entry(text: &str) -> (Name, Declared) {
    let (name, rest) = text.split_once(": ").unwrap();
    let mut words = rest.split_whitespace();
    let tenant: TenantUrl = format!("https://{}.test", words.next().unwrap())
        .parse()
        .unwrap();
    let fields = Fields::from_iter([(Field::TenantUrl, FieldValue::Url(tenant))]);
    let mut entry = Declared {
        fields,
        location: location(),
        ..Declared::default()
    };
    for word in words {
        match word.split_once('=') {
            Some(("id", n)) => entry.id = Some(id(n.parse().unwrap())),
            Some(("type", kind)) => {
                let kind = FieldValue::Text(kind.into());
                entry.fields.set(Field::IntegrationType, Some(kind));
            }
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
            None if word == "on" || word == "off" => {
                let active = FieldValue::Bool(word == "on");
                entry.fields.set(Field::Active, Some(active));
            }
            None if word == "prevent" => entry.lifecycle.prevent_destroy = true,
            None => {
                let reference = FieldValue::Reference(reference(word));
                entry.fields.set(Field::ReferenceId, Some(reference));
            }
        }
    }
    (name.parse().unwrap(), entry)
}

pub(crate) fn desired(entries: &[&str]) -> DesiredAccount {
    DesiredAccount {
        account_id: ACCOUNT.parse().unwrap(),
        name: None,
        source: "test.yaml".into(),
        api_token_env: None,
        behaviors: BTreeMap::new(),
        wildcard: None,
        unmanaged: BTreeMap::new(),
        integrations: entries.iter().map(|text| entry(text)).collect(),
        unlisted: Unlisted::default(),
        guards: Default::default(),
    }
}

pub(crate) fn account(integrations: &[&str]) -> LiveAccount {
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
            fields: behavior_fields(Some(enabled), Some(OpenEnum::parse(level))),
        };
        (BehaviorKey::new(key), behavior)
    });
    LiveAccount::new(behaviors.into(), integrations)
}

fn behavior_fields(enabled: Option<bool>, level: Option<OpenEnum<RiskLevel>>) -> Fields {
    Fields::default()
        .with(Field::Enabled, enabled.map(FieldValue::Bool))
        .with(Field::RiskLevel, level.map(FieldValue::Level))
}

pub(crate) fn behavior(enabled: Option<bool>, level: Option<RiskLevel>) -> Declared {
    let fields = behavior_fields(enabled, level.map(OpenEnum::Known));
    Declared {
        fields,
        location: location(),
        ..Declared::default()
    }
}
