//! Export: a file that declares the live account.

use std::collections::BTreeMap;

use proptest::prelude::*;
use riskform::config::export::{ExportOptions, export, previous};
use riskform::config::write::AccountFile;
use riskform::model::account::UnlistedPolicy;
use riskform::model::account::{AccountId, DesiredAccount, LiveAccount};
use riskform::model::behavior::{Behavior, BehaviorKey};
use riskform::model::context::IdentityProvider;
use riskform::model::field::Fields;
use riskform::model::integration::{Integration, ReferenceId, TenantUrl};
use riskform::model::open_enum::OpenEnum;
use riskform::plan::Options;
use uuid::Uuid;

use super::{Fleet, declared};
use crate::scenarios::planned;

fn account_id() -> AccountId {
    "0a000000000000000000000000000000".parse().unwrap()
}

fn behavior(enabled: bool, level: &str) -> Behavior {
    Behavior {
        name: String::new(),
        description: String::new(),
        fields: Fields::of_behavior(enabled, OpenEnum::parse(level)),
    }
}

fn integration(id: u128, kind: &str, url: &str, reference: &str, active: bool) -> Integration {
    Integration {
        id: Uuid::from_u128(id << 96 | id).into(),
        account_tag: account_id().to_string(),
        created_at: String::new(),
        well_known_url: String::new(),
        fields: Fields::of_integration(
            kind,
            TenantUrl::from_live(url),
            ReferenceId::new(reference),
            active,
        ),
    }
}

fn load(text: &str) -> DesiredAccount {
    let fleet = Fleet::new(&[("export.yaml", text)]);
    match fleet.load(&["export.yaml"]) {
        Ok(mut loaded) => loaded.accounts.remove(0),
        Err(diagnostics) => panic!("{diagnostics}\n{text}"),
    }
}

#[test]
fn export_is_readable() {
    let behaviors = [
        ("high_dlp", behavior(true, "medium")),
        ("imp_travel", behavior(true, "high")),
        ("new_one", behavior(false, "extreme")),
        ("no", behavior(false, "low")),
    ];
    let behaviors = behaviors.map(|(key, behavior)| (BehaviorKey::new(key), behavior));
    let live = LiveAccount::new(
        BTreeMap::from(behaviors),
        vec![
            integration(
                1,
                "Okta",
                "https://corp.okta.com",
                "3701e70b-5de4-4d9d-8972-f5aa994d9057",
                true,
            ),
            integration(2, "Okta", "https://twins.okta.com", "", true),
            integration(
                3,
                "Okta",
                "https://twins.okta.com/",
                "${NOT_A_VARIABLE}",
                false,
            ),
            integration(4, "Okta", "http://plain.okta.com", "", true),
            integration(5, "Entra", "https://entra.example", "", true),
        ],
    );
    let name = "production".parse().unwrap();
    insta::assert_snapshot!(
        export(&account_id(), Some(&name), &live, ExportOptions::default())
            .to_yaml()
            .unwrap()
    );
}

#[test]
fn unique_provider_names_replace_references() {
    let reference = |n: u128| Uuid::from_u128(n).to_string();
    let provider = |n: u128, name: &str, kind: &str| IdentityProvider {
        id: ReferenceId::new(reference(n)).unwrap(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        okta_account: None,
    };
    let providers = [
        provider(1, "Okta (corp) ${x}", "okta"),
        provider(2, "Okta", "okta"),
        provider(3, "Okta", "okta"),
        provider(4, "Okta (corp) ${x}", "saml"),
        provider(5, "unseen\u{202e}", "okta"),
    ];
    let integrations = (1..=6).map(|n| {
        let url = format!("https://t{n}.okta.com");
        integration(n, "Okta", &url, &reference(n), true)
    });
    let live = LiveAccount::new(BTreeMap::new(), integrations.collect());
    let detail = ExportOptions {
        pins_all: true,
        providers: &providers,
    };
    let document = export(&account_id(), None, &live, detail);
    let entries = document.content["integrations"].as_object().unwrap();
    let declared: Vec<(Option<&str>, bool)> = entries
        .values()
        .map(|one| {
            let provider = one
                .get("identity_provider")
                .map(|name| name.as_str().unwrap());
            (provider, one.get("reference_id").is_some())
        })
        .collect();
    let by_id = (None, true);
    assert_eq!(
        declared,
        [
            (Some("Okta (corp) $${x}"), false),
            by_id,
            by_id,
            by_id,
            by_id,
            by_id
        ]
    );
    let desired = load(&document.to_yaml().unwrap());
    let entry = desired.integrations.values().next().unwrap();
    assert_eq!(entry.identity_provider.as_deref(), Some("Okta (corp) ${x}"));
    assert!(
        desired
            .integrations
            .values()
            .all(|entry| entry.id.is_some())
    );
}

#[test]
fn rollback_file_deletes_created_integrations() {
    let live = LiveAccount::new(
        BTreeMap::from([(BehaviorKey::new("imp_travel"), behavior(true, "high"))]),
        vec![integration(1, "Okta", "https://corp.okta.com", "", true)],
    );
    let desired = load(
        "version: 1\naccount_id: 0a000000000000000000000000000000\nname: back\napi_token_env: CLOUDFLARE_BACK\n",
    );
    let text = previous(&desired, &live, 2).to_yaml().unwrap();
    insta::assert_snapshot!(text);
    let back = load(&text);
    assert_eq!(back.unlisted.integrations, UnlistedPolicy::Delete);
    assert_eq!(back.guards.max_deletes, 2);
    let untouched = load(&previous(&desired, &live, 0).to_yaml().unwrap());
    assert_eq!(untouched.unlisted.integrations, UnlistedPolicy::Report);
}

#[test]
fn rollback_file_never_deletes_omitted_integrations() {
    let live = LiveAccount::new(
        BTreeMap::new(),
        vec![integration(1, "Entra", "https://entra.example", "", true)],
    );
    let desired = load("version: 1\naccount_id: 0a000000000000000000000000000000\n");
    let back = load(&previous(&desired, &live, 1).to_yaml().unwrap());
    assert_eq!(back.unlisted.integrations, UnlistedPolicy::Report);
}

/// Generates live accounts with values that an export must distinguish, quote or omit.
fn live_accounts() -> impl Strategy<Value = LiveAccount> {
    let key = prop::sample::select(vec![
        "imp_travel",
        "zero_*",
        "?x",
        "*",
        "\"'",
        "no",
        "1_000",
        "a b",
        "null",
        "é",
        "x:y",
    ]);
    let level = prop::sample::select(vec!["low", "medium", "high", "extreme", "a\nb"]);
    let behaviors = prop::collection::btree_map(
        key.prop_map(BehaviorKey::new),
        (any::<bool>(), level).prop_map(|(enabled, level)| behavior(enabled, level)),
        0..5,
    );
    let url = prop::sample::select(vec![
        "https://corp.okta.com",
        "https://CORP.okta.com:443/",
        "https://corp.okta.com:8443",
        "https://corp-okta.com",
        "https://corp-okta-com",
        "https://[::1]",
        "http://corp.okta.com",
        "https://corp.okta.com/path",
        "no url",
        "",
        "https://a b",
        "https://1",
    ]);
    let reference = prop::sample::select(vec![
        "", "r1", "r2", "no", "123", "${X}", "$${X}", "a\u{1b}b", " a ", "# b", "é", "null", "'\"",
    ]);
    let kind = prop::sample::select(vec!["Okta", "Okta", "Okta", "Entra"]);
    let settings = (kind, url, reference, any::<bool>());
    (behaviors, prop::collection::vec(settings, 0..6)).prop_map(|(behaviors, integrations)| {
        let integrations = integrations
            .into_iter()
            .zip(1..)
            .map(|((kind, url, reference, active), id)| {
                integration(id, kind, url, reference, active)
            })
            .collect();
        LiveAccount::new(behaviors, integrations)
    })
}

proptest! {
    /// A plan of the export has no changes, and only unlisted resources that the comments name.
    #[test]
    fn export_plans_empty(live in live_accounts()) {
        let document: AccountFile = export(&account_id(), None, &live, ExportOptions::default());
        let yaml = document.to_yaml().unwrap();
        prop_assert_eq!(&super::fmt::formatted(&yaml), &yaml);
        let plan = planned(&load(&yaml), &live, &Options::default());
        let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}\n{yaml}"));
        prop_assert!(plan.changes.is_empty(), "{:?}\n{}", plan.changes, yaml);
        let comments = document.comments.values().flatten();
        let left_out = comments.filter(|text| !text.contains("unknown risk_level")).count();
        prop_assert_eq!(plan.unlisted.len(), left_out, "{:?}\n{}", plan.unlisted, yaml);
        prop_assert_eq!(declared(&load(&yaml)), declared(&load(&document.to_json())));
    }
}
