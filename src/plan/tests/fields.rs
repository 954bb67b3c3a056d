//! Every field of the table is known to all parts that handle fields.

use serde_json::json;

use super::*;
use crate::config::shape::{BEHAVIORS, Entries, INTEGRATIONS};
use crate::model::field::{FIELDS, FieldSpec};

/// Returns a value that weakens protection.
fn weaker_value(field: Field) -> FieldValue {
    match field {
        Field::Enabled | Field::Active => FieldValue::Bool(false),
        Field::RiskLevel => FieldValue::Level(OpenEnum::Known(RiskLevel::Low)),
        Field::IntegrationType => FieldValue::Text("Entra".into()),
        Field::TenantUrl => FieldValue::Url(TenantUrl::from_live("https://other.test")),
        Field::ReferenceId => FieldValue::Reference(ReferenceId::new("other").unwrap()),
    }
}

fn strong(kind: Kind) -> Fields {
    match kind {
        Kind::Behavior => Fields::of_behavior(true, OpenEnum::Known(RiskLevel::High)),
        Kind::Integration => {
            let tenant_url = TenantUrl::from_live("https://a.test");
            Fields::of_integration("Okta", tenant_url, ReferenceId::new("r1"), true)
        }
    }
}

#[test]
fn every_field_is_handled_everywhere() {
    for FieldSpec {
        field,
        kind,
        in_create,
        in_update,
        ..
    } in FIELDS
    {
        let fields = strong(kind);
        assert_eq!(field.spec().field, field, "position in the table");
        // Files.
        let entries: &Entries = match kind {
            Kind::Behavior => &BEHAVIORS,
            Kind::Integration => &INTEGRATIONS,
        };
        let mut keys = entries.entry.keys.iter();
        assert!(keys.any(|key| key.name == field.as_str()), "{field}");
        // JSON.
        let json = json!(fields);
        assert!(!json[field.as_str()].is_null(), "{field}");
        assert_eq!(serde_json::from_value::<Fields>(json).unwrap(), fields);
        // Requests: each field is sent, and only fields that cannot be updated are missing in an update.
        let has = |body: serde_json::Value| body.get(field.as_str()).is_some();
        assert_eq!(has(fields.create_body()), in_create, "{field}");
        assert_eq!(has(fields.update_body()), in_update, "{field}");
        assert!(
            in_update || (in_create && field == Field::IntegrationType),
            "{field}"
        );
        // Weakening.
        let weaker = fields.clone().with(field, Some(weaker_value(field)));
        let address = match kind {
            Kind::Behavior => Address::Behavior(BehaviorKey::new("x")),
            Kind::Integration => Address::Integration("x".parse().unwrap()),
        };
        let between = |before, after| {
            Change::between(
                address.clone(),
                Some(before),
                Some(after),
                Default::default(),
            )
            .unwrap()
        };
        assert!(between(&fields, &weaker).weakens.is_some(), "{field}");
        assert!(between(&weaker, &fields).live_weaker.is_some(), "{field}");
        assert_eq!(between(&fields, &weaker).fields.len(), 1, "{field}");
    }
}

/// The simulated API stores every field.
#[test]
fn sandbox_keeps_every_field() {
    use crate::sandbox::{RECORDED_ACCOUNT, Sandbox, Settings};
    let account = RECORDED_ACCOUNT.parse().unwrap();
    let live = Sandbox::in_memory(Settings::default()).live(&account);
    let behaviors = live.behaviors.values();
    let behaviors = behaviors.map(|one| (Kind::Behavior, &one.fields));
    let integrations = live.integrations.iter();
    let integrations = integrations.map(|one| (Kind::Integration, &one.fields));
    for (kind, fields) in behaviors.chain(integrations) {
        let specs = FIELDS.iter().filter(|spec| spec.kind == kind);
        assert_eq!(fields.iter().count(), specs.count(), "{kind}");
    }
}

/// Drift compares like a plan.
#[test]
fn drift_has_the_changes_of_the_plan() {
    let mut desired = desired(&["new: c", "old: a off", "x: z r2"]);
    desired.unlisted.integrations = UnlistedPolicy::Delete;
    desired
        .behaviors
        .insert(BehaviorKey::new("dlp"), behavior(Some(false), None));
    let live = account(&["a", "b", "d r2"]);
    let plan = planned(&desired, &live);
    let options = Options {
        purpose: Purpose::Drift,
        ..Options::default()
    };
    let drift = super::plan(&desired, &live, date(2026, 11, 22), &options).unwrap();
    let mut changes = plan.changes.clone();
    changes.sort_by_key(|change| change.live_weaker.is_none());
    assert!(plan.changes.len() > 3);
    assert_eq!(drift.changes, changes);
    assert!(drift.operations.is_empty() && drift.violations.is_empty());
}
