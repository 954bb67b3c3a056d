//! All audit checks: passed, warnings, failed and unknown.

use riskform::doctor::{AuditCheck, AuditFinding, CheckStatus};
use serde_json::json;

use super::{OKTA, PROVIDER, World, forbidden, levels, policy, sound};

/// Returns a finding as lines: status and message, then the details that do not pass.
fn lines(finding: &AuditFinding) -> String {
    let mut text = format!("{}: {}", finding.status, finding.message);
    if let Some(permission) = &finding.permission {
        text.push_str(&format!(" [{permission}]"));
    }
    for detail in finding
        .details
        .iter()
        .filter(|one| one.status != CheckStatus::Pass)
    {
        text.push_str(&format!(
            "\n{} {}: {}",
            detail.status, detail.subject, detail.message
        ));
        if let Some(location) = &detail.location {
            text.push_str(&format!(" ({location})"));
        }
    }
    text
}

#[test]
fn a_sound_account_passes_every_check_and_each_passing_message_is_true() {
    let world = sound();
    let findings = world.findings(&world.planned());
    let checks: Vec<AuditCheck> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, AuditCheck::ALL);
    let said: Vec<String> = findings.iter().map(lines).collect();
    assert_eq!(
        said,
        [
            "pass: all 2 behaviors declared on are on",
            "pass: policies use medium (1), high (2)",
            "pass: every level used by a policy is assigned",
            "pass: the active integration references its Okta identity provider",
            "pass: 1 unlisted resource is not managed",
            "pass: no entry is ambiguous",
            "pass: no other drift",
        ]
    );
    assert!(findings.iter().all(|finding| finding.help.is_none()));
}

/// Changes to an account without findings, and the expected finding. Other checks are unchanged unless listed.
type Case = (AuditCheck, fn(&mut World), &'static str);

fn with_file(world: &mut World, from: &str, to: &str) {
    assert!(world.file.contains(from), "{from}");
    world.file = world.file.replace(from, to);
}

fn only(world: &mut World, policy: serde_json::Value) {
    world.policies = json!([policy]);
}

const CASES: &[Case] = &[
    // behaviors
    (
        AuditCheck::Behaviors,
        |world| world.behaviors["imp_travel"]["enabled"] = json!(false),
        "fail: 1 of 2 behaviors declared on is off\n\
         fail behavior.imp_travel: off, declared on (level high) (riskform.yaml:5:3)",
    ),
    (
        AuditCheck::Behaviors,
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "behaviors:\n  \"*\": { enabled: true }\n",
            );
            world.behaviors["imp_travel"]["enabled"] = json!(false);
        },
        "fail: 2 of 3 behaviors declared on are off\n\
         fail behavior.imp_travel: off, declared on (level high) (riskform.yaml:6:3)\n\
         fail behavior.sentinel_one: off, declared on (level low) (riskform.yaml:5:3)",
    ),
    (
        AuditCheck::Behaviors,
        |world| {
            with_file(world, "imp_travel: { enabled: true,", "imp_travel: {");
            with_file(world, "high_dlp: { enabled: true,", "high_dlp: {");
        },
        "pass: no behavior is declared on",
    ),
    (
        AuditCheck::Behaviors,
        |world| with_file(world, "imp_travel: { enabled: true,", "imp_travel: {"),
        "pass: the behavior declared on is on",
    ),
    (
        AuditCheck::Behaviors,
        |world| {
            with_file(world, "imp_travel: { enabled: true,", "imp_travel: {");
            world.behaviors["high_dlp"]["enabled"] = json!(false);
        },
        "fail: the behavior declared on is off\n\
         fail behavior.high_dlp: off, declared on (level medium) (riskform.yaml:6:3)",
    ),
    // policies
    (
        AuditCheck::Policies,
        |world| only(world, policy("P", "allow", "exclude", levels(&["high"]))),
        "fail: no policy uses medium, which enabled behaviors assign\n\
         fail medium: no policy uses it; assigned by high_dlp",
    ),
    (
        AuditCheck::Policies,
        |world| {
            only(world, policy("P", "allow", "exclude", levels(&["high"])));
            world.skipped.0 = 2;
        },
        "unknown: no known policy uses medium; 2 items of Access cannot be parsed\n\
         unknown medium: no policy uses it; assigned by high_dlp",
    ),
    (
        AuditCheck::Policies,
        // An allow policy with required levels uses all other levels.
        |world| only(world, policy("P", "allow", "require", levels(&["low"]))),
        "pass: policies use medium (1), high (1)",
    ),
    (
        AuditCheck::Policies,
        // Not used by an application, so without effect.
        |world| {
            world
                .policies
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|policy| policy["app_count"] = json!(0))
        },
        "fail: no policy uses medium, high, which enabled behaviors assign\n\
         fail medium: no policy uses it; assigned by high_dlp\n\
         fail high: no policy uses it; assigned by imp_travel",
    ),
    (
        AuditCheck::Policies,
        |world| {
            for key in ["imp_travel", "high_dlp"] {
                world.behaviors[key]["enabled"] = json!(false);
            }
        },
        "warn: no behavior is enabled, so no user gets a score",
    ),
    (
        AuditCheck::Policies,
        |world| world.behaviors["high_dlp"]["risk_level"] = json!("severe"),
        "fail: no policy uses severe, which enabled behaviors assign\n\
         fail severe: no policy uses it; assigned by high_dlp",
    ),
    (
        AuditCheck::Policies,
        |world| world.access_unread = Some(forbidden("Access: Apps and Policies Read")),
        "unknown: cannot be determined: the token lacks the permission \"Access: Apps and Policies Read\" [Access: Apps and Policies Read]",
    ),
    // levels
    (
        AuditCheck::Levels,
        |world| world.behaviors["imp_travel"]["enabled"] = json!(false),
        "fail: policies use high, which no enabled behavior assigns\n\
         fail high: no enabled behavior assigns it; policies that use it: Finance",
    ),
    (
        AuditCheck::Levels,
        // Uses high, and also names medium.
        |world| world.behaviors["high_dlp"]["enabled"] = json!(false),
        "warn: no enabled behavior assigns medium; its policies also use assigned levels\n\
         warn medium: no enabled behavior assigns it; policies that use it and assigned levels: Risky users",
    ),
    (
        AuditCheck::Levels,
        |world| {
            let unknown = policy("Severe", "deny", "include", levels(&["severe", "unscored"]));
            world.policies.as_array_mut().unwrap().push(unknown);
        },
        "fail: policies use severe, which no enabled behavior assigns\n\
         fail severe: no enabled behavior assigns it; policies that use it: Severe",
    ),
    (
        AuditCheck::Levels,
        // Users without a score have that level, too.
        |world| {
            let unscored = policy("Unscored", "deny", "include", levels(&["unscored"]));
            world.policies.as_array_mut().unwrap().push(unscored);
        },
        "pass: every level used by a policy is assigned",
    ),
    (
        AuditCheck::Levels,
        |world| {
            for key in ["imp_travel", "high_dlp"] {
                world.behaviors[key]["enabled"] = json!(false);
            }
            for number in 0..7 {
                let name = format!("P{number}");
                let waiting = policy(&name, "deny", "include", levels(&["low"]));
                world.policies.as_array_mut().unwrap().push(waiting);
            }
        },
        "fail: policies use low, medium, high, which no enabled behavior assigns\n\
         fail low: no enabled behavior assigns it; policies that use it: P0, P1, P2, P3, P4 and 2 more\n\
         fail medium: no enabled behavior assigns it; policies that use it: Risky users\n\
         fail high: no enabled behavior assigns it; policies that use it: Finance, Risky users",
    ),
    (
        AuditCheck::Levels,
        |world| {
            let mut unread = forbidden("");
            unread.permission = None;
            unread.reason = "GET …: 500".to_owned();
            world.access_unread = Some(unread);
        },
        "unknown: cannot be determined: GET …: 500",
    ),
    // providers
    (
        AuditCheck::Providers,
        |world| {
            with_file(
                world,
                ", reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057",
                "",
            );
            world.integrations[0]["reference_id"] = json!(null);
        },
        "fail: the active integration does not reference its Okta identity provider\n\
         fail integration.corporate-okta: no reference_id, so the dashboard does not show it (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        |world| world.providers = json!([]),
        "fail: the active integration does not reference its Okta identity provider\n\
         fail integration.corporate-okta: reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057 is not the ID of an identity provider (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        |world| {
            world.providers = json!([]);
            world.skipped.1 = 1;
        },
        "unknown: the active integration may not reference its Okta identity provider\n\
         unknown integration.corporate-okta: reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057 is not the ID of an identity provider in the list; 1 provider cannot be parsed (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        |world| world.providers[0]["type"] = json!("saml"),
        "fail: the active integration does not reference its Okta identity provider\n\
         fail integration.corporate-okta: reference_id is the ID of Corporate Okta, which has type saml, expected okta (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        |world| world.providers[0]["config"] = json!({ "okta_account": "https://other.okta.com" }),
        "fail: the active integration does not reference its Okta identity provider\n\
         fail integration.corporate-okta: tenant_url is https://corp.okta.com, but Corporate Okta is for https://other.okta.com (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        // Compared as URLs, not as text.
        |world| {
            world.providers[0]["config"] = json!({ "okta_account": "https://CORP.okta.com:443/" })
        },
        "pass: the active integration references its Okta identity provider",
    ),
    (
        AuditCheck::Providers,
        |world| world.providers[0]["config"] = json!({}),
        "warn: the active integration may not reference its Okta identity provider\n\
         warn integration.corporate-okta: Corporate Okta does not name its Okta organization, so the tenant cannot be compared (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Providers,
        |world| {
            let active = |id: &str| {
                json!({
                    "id": id, "integration_type": "Okta", "tenant_url": "https://corp.okta.com",
                    "reference_id": PROVIDER, "active": true,
                })
            };
            let integrations = world.integrations.as_array_mut().unwrap();
            integrations.push(active("33333333-3333-4333-8333-333333333333"));
            integrations[1]["tenant_url"] = json!("https://b.okta.com");
            integrations[1]["reference_id"] = json!("made-up");
        },
        "fail: 1 of 2 active integrations does not reference its Okta identity provider\n\
         fail integration[33333333-3333-4333-8333-333333333333]: reference_id made-up is not the ID of an identity provider",
    ),
    (
        AuditCheck::Providers,
        |world| {
            world.integrations[0]["active"] = json!(false);
            world.providers = json!([]);
        },
        "pass: no integration is active",
    ),
    (
        AuditCheck::Providers,
        |world| world.providers_unread = Some(forbidden("Groups Read")),
        "unknown: cannot be determined: the token lacks the permission \"Groups Read\" [Groups Read]",
    ),
    // unlisted
    (
        AuditCheck::Unlisted,
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "unlisted: { behaviors: report }\nbehaviors:\n",
            )
        },
        "fail: 1 resource is unlisted\n\
         fail behavior.sentinel_one: unlisted",
    ),
    (
        AuditCheck::Unlisted,
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "unlisted: { behaviors: disable, integrations: delete }\nbehaviors:\n",
            );
            world.behaviors["sentinel_one"]["enabled"] = json!(true);
            world.integrations.as_array_mut().unwrap().push(json!({
                "id": "22222222-2222-4222-8222-222222222222", "integration_type": "Okta",
                "tenant_url": "https://old.okta.com", "reference_id": "r", "active": false,
            }));
        },
        "fail: 2 resources are unlisted\n\
         fail behavior.sentinel_one: unlisted and on; apply will disable it\n\
         fail integration[22222222-2222-4222-8222-222222222222]: unlisted; apply will delete it",
    ),
    (
        AuditCheck::Unlisted,
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "unlisted: { integrations: keep }\nbehaviors:\n",
            );
            world.integrations.as_array_mut().unwrap().push(json!({
                "id": "22222222-2222-4222-8222-222222222222", "integration_type": "Okta",
                "tenant_url": "https://old.okta.com", "reference_id": "r", "active": false,
            }));
        },
        "pass: 2 unlisted resources are not managed",
    ),
    // ambiguous
    (
        AuditCheck::Ambiguous,
        |world| {
            with_file(
                world,
                ", reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057",
                "",
            );
            with_file(world, "high_dlp", "hihg_dlp");
            world.integrations.as_array_mut().unwrap().push(json!({
                "id": "22222222-2222-4222-8222-222222222222", "integration_type": "Okta",
                "tenant_url": "https://corp.okta.com", "reference_id": "r", "active": false,
            }));
        },
        "fail: 2 entries are ambiguous\n\
         fail behavior.hihg_dlp: unknown behavior hihg_dlp; did you mean high_dlp? available: high_dlp, imp_travel, sentinel_one (riskform.yaml:6:3)\n\
         fail integration.corporate-okta: 2 live integrations have the tenant_url https://corp.okta.com; add the id of the right one to the entry, e.g. id: 11111111-1111-4111-8111-111111111111 (riskform.yaml:8:3)",
    ),
    // drift
    (
        AuditCheck::Drift,
        |world| {
            world.behaviors["high_dlp"]["risk_level"] = json!("low");
            // Disabled but declared as enabled: reported by the behaviors check.
            world.behaviors["imp_travel"] = json!({ "enabled": false, "risk_level": "low" });
            world.integrations[0]["active"] = json!(false);
            world.integrations[0]["tenant_url"] = json!("https://x.okta.com");
        },
        "fail: 2 resources differ from the files\n\
         fail behavior.high_dlp: risk_level low, declared medium (riskform.yaml:6:3)\n\
         fail integration.corporate-okta: tenant_url https://x.okta.com, declared https://corp.okta.com; active false, declared true (riskform.yaml:8:3)",
    ),
    (
        AuditCheck::Drift,
        |world| world.integrations = json!([]),
        "fail: 1 resource differs from the files\n\
         fail integration.corporate-okta: declared, but does not exist (riskform.yaml:8:3)",
    ),
];

#[test]
fn each_check_says_what_it_finds() {
    for (check, change, expected) in CASES {
        let mut world = sound();
        change(&mut world);
        let findings = world.findings(&world.planned());
        let finding = findings.iter().find(|one| one.check == *check).unwrap();
        assert_eq!(lines(finding), *expected, "{check}");
        let is_to_be_helped = matches!(finding.status, CheckStatus::Fail);
        assert!(
            !is_to_be_helped || finding.help.is_some(),
            "{check}: {expected}"
        );
    }
    for check in AuditCheck::ALL {
        assert!(CASES.iter().any(|case| case.0 == *check), "{check}");
    }
}

/// Many unknown levels, many policies and cyclic groups: bounded output.
#[test]
fn huge_lists_are_judged_in_time() {
    let mut world = sound();
    let policies = (0..5_000).map(|number| {
        let mut policy = policy(
            &format!("P{number}"),
            "deny",
            "include",
            levels(&[&format!("w{number}")]),
        );
        policy["include"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "group": { "id": format!("g{}", number % 1_000) } }));
        policy
    });
    world.policies = policies.collect();
    let groups = (0..1_000).map(|number| {
        json!({
            "id": format!("g{number}"), "name": "G",
            "include": [{ "group": { "id": format!("g{}", (number + 1) % 1_000) } }, { "mystery": {} }, 7],
        })
    });
    world.groups = groups.collect();
    let plan = world.planned();
    let started = std::time::Instant::now();
    let findings = world.findings(&plan);
    let elapsed = started.elapsed();
    assert!(elapsed.as_secs() < 20, "{elapsed:?}");
    let levels = findings
        .iter()
        .find(|one| one.check == AuditCheck::Levels)
        .unwrap();
    assert_eq!(levels.details.len(), 10, "{:#?}", levels.details);
    assert!(findings.iter().all(|finding| finding.message.len() < 500));
    assert_eq!(OKTA.len(), 36);
}
