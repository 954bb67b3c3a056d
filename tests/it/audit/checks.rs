//! All audit checks: passed, warnings, failed and unknown.

use riskform::doctor::AUDIT_CHECKS;
use riskform::model::finding::Finding;
use serde_json::json;

use super::{OKTA, PROVIDER, World, forbidden, levels, policy, sound};

/// Returns the findings of a check as lines: status, message, permission and location.
fn lines(findings: &[Finding], check: &str) -> String {
    let findings = findings.iter().filter(|finding| finding.check == check);
    let lines = findings.map(|finding| {
        let permission = finding.permission.iter();
        let permission = permission.map(|permission| format!(" [{permission}]"));
        let location = finding.location.iter();
        let location = location.map(|location| format!(" ({location})"));
        let more: String = permission.chain(location).collect();
        format!("{}: {}{more}", finding.status, finding.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the IDs of all checks.
fn checks() -> impl Iterator<Item = &'static str> {
    AUDIT_CHECKS.iter().map(|(id, ..)| *id)
}

#[test]
fn sound_account_passes_every_check() {
    let world = sound();
    let findings = world.findings(&world.planned());
    let said: Vec<String> = checks().map(|check| lines(&findings, check)).collect();
    assert_eq!(
        said,
        [
            "pass: all 2 behaviors declared on are on",
            "pass: policies use medium (1), high (2)",
            "pass: every level used by a policy is assigned",
            "pass: the active integration references its Okta identity provider",
            "pass: 1 unlisted resource is not managed",
            "pass: no other drift",
            "pass: no entry is ambiguous",
        ]
    );
    assert!(findings.iter().all(|finding| finding.help.is_none()));
}

/// Changes to an account without findings, and the expected finding. Other checks are unchanged unless listed.
type Case = (&'static str, fn(&mut World), &'static str);

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
        "behaviors",
        |world| world.behaviors["imp_travel"]["enabled"] = json!(false),
        "fail: behavior.imp_travel is off, declared on (riskform.yaml:5:3)",
    ),
    (
        "behaviors",
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "behaviors:\n  \"*\": { enabled: true }\n",
            );
            world.behaviors["imp_travel"]["enabled"] = json!(false);
        },
        "fail: behavior.imp_travel is off, declared on (riskform.yaml:6:3)\n\
         fail: behavior.sentinel_one is off, declared on (riskform.yaml:5:3)",
    ),
    (
        "behaviors",
        |world| {
            with_file(world, "imp_travel: { enabled: true,", "imp_travel: {");
            with_file(world, "high_dlp: { enabled: true,", "high_dlp: {");
        },
        "pass: no behavior is declared on",
    ),
    (
        "behaviors",
        |world| with_file(world, "imp_travel: { enabled: true,", "imp_travel: {"),
        "pass: the behavior declared on is on",
    ),
    (
        "behaviors",
        |world| {
            with_file(world, "imp_travel: { enabled: true,", "imp_travel: {");
            world.behaviors["high_dlp"]["enabled"] = json!(false);
        },
        "fail: behavior.high_dlp is off, declared on (riskform.yaml:6:3)",
    ),
    // policies
    (
        "policies",
        |world| only(world, policy("P", "allow", "exclude", levels(&["high"]))),
        "fail: no Access policy uses medium, which high_dlp assigns",
    ),
    (
        "policies",
        |world| {
            only(world, policy("P", "allow", "exclude", levels(&["high"])));
            world.skipped.0 = 2;
        },
        "unknown: no known Access policy uses medium, which high_dlp assigns; 2 items of Access cannot be parsed",
    ),
    (
        "policies",
        // An allow policy with required levels uses all other levels.
        |world| only(world, policy("P", "allow", "require", levels(&["low"]))),
        "pass: policies use medium (1), high (1)",
    ),
    (
        "policies",
        // Not used by an application, so without effect.
        |world| {
            world
                .policies
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|policy| policy["app_count"] = json!(0))
        },
        "fail: no Access policy uses medium, which high_dlp assigns\n\
         fail: no Access policy uses high, which imp_travel assigns",
    ),
    (
        "policies",
        |world| {
            for key in ["imp_travel", "high_dlp"] {
                world.behaviors[key]["enabled"] = json!(false);
            }
        },
        "warn: no behavior is enabled, so no user gets a score",
    ),
    (
        "policies",
        |world| world.behaviors["high_dlp"]["risk_level"] = json!("severe"),
        "fail: no Access policy uses severe, which high_dlp assigns",
    ),
    (
        "policies",
        |world| world.access_unread = Some(forbidden("Access: Apps and Policies Read")),
        "unknown: cannot be determined: the token lacks the permission \"Access: Apps and Policies Read\" [Access: Apps and Policies Read]",
    ),
    // levels
    (
        "levels",
        |world| world.behaviors["imp_travel"]["enabled"] = json!(false),
        "fail: no enabled behavior assigns high; 1 Access policy uses it: Finance",
    ),
    (
        "levels",
        // Uses high, and also names medium.
        |world| world.behaviors["high_dlp"]["enabled"] = json!(false),
        "warn: no enabled behavior assigns medium; 1 Access policy uses it, and also assigned levels: Risky users",
    ),
    (
        "levels",
        |world| {
            let unknown = policy("Severe", "deny", "include", levels(&["severe", "unscored"]));
            world.policies.as_array_mut().unwrap().push(unknown);
        },
        "fail: no enabled behavior assigns severe; 1 Access policy uses it: Severe",
    ),
    (
        "levels",
        // Users without a score have that level, too.
        |world| {
            let unscored = policy("Unscored", "deny", "include", levels(&["unscored"]));
            world.policies.as_array_mut().unwrap().push(unscored);
        },
        "pass: every level used by a policy is assigned",
    ),
    (
        "levels",
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
        "fail: no enabled behavior assigns low; 7 Access policies use it: P0, P1, P2, P3, P4 and 2 more\n\
         fail: no enabled behavior assigns medium; 1 Access policy uses it: Risky users\n\
         fail: no enabled behavior assigns high; 2 Access policies use it: Finance, Risky users",
    ),
    (
        "levels",
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
        "providers",
        |world| {
            with_file(
                world,
                ", reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057",
                "",
            );
            world.integrations[0]["reference_id"] = json!(null);
        },
        "fail: integration.corporate-okta has no reference_id, so the dashboard does not show it (riskform.yaml:8:3)",
    ),
    (
        "providers",
        |world| world.providers = json!([]),
        "fail: integration.corporate-okta has a reference_id that is not the ID of an Okta identity provider (riskform.yaml:8:3)",
    ),
    (
        "providers",
        |world| {
            world.providers = json!([]);
            world.skipped.1 = 1;
        },
        "unknown: integration.corporate-okta has a reference_id that is not the ID of a known identity provider; 1 provider cannot be parsed (riskform.yaml:8:3)",
    ),
    (
        "providers",
        |world| world.providers[0]["type"] = json!("saml"),
        "fail: integration.corporate-okta has the reference_id of Corporate Okta, which has type saml, not okta (riskform.yaml:8:3)",
    ),
    (
        "providers",
        |world| world.providers[0]["config"] = json!({ "okta_account": "https://other.okta.com" }),
        "fail: integration.corporate-okta has the tenant_url https://corp.okta.com, but Corporate Okta is for https://other.okta.com (riskform.yaml:8:3)",
    ),
    (
        "providers",
        // Compared as URLs, not as text.
        |world| {
            world.providers[0]["config"] = json!({ "okta_account": "https://CORP.okta.com:443/" })
        },
        "pass: the active integration references its Okta identity provider",
    ),
    (
        "providers",
        |world| world.providers[0]["config"] = json!({}),
        "warn: integration.corporate-okta references Corporate Okta, which does not name its Okta organization, so the tenant cannot be compared (riskform.yaml:8:3)",
    ),
    (
        "providers",
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
        "fail: integration[33333333-3333-4333-8333-333333333333] has a reference_id that is not the ID of an Okta identity provider",
    ),
    (
        "providers",
        |world| {
            world.integrations[0]["active"] = json!(false);
            world.providers = json!([]);
        },
        "pass: no integration is active",
    ),
    (
        "providers",
        |world| world.providers_unread = Some(forbidden("Groups Read")),
        "unknown: cannot be determined: the token lacks the permission \"Groups Read\" [Groups Read]",
    ),
    // unlisted
    (
        "unlisted",
        |world| {
            with_file(
                world,
                "behaviors:\n",
                "unlisted: { behaviors: report }\nbehaviors:\n",
            )
        },
        "fail: behavior.sentinel_one is unlisted",
    ),
    (
        "unlisted",
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
        "fail: behavior.sentinel_one is unlisted and on; apply will disable it\n\
         fail: integration[22222222-2222-4222-8222-222222222222] is unlisted (https://old.okta.com); apply will delete it",
    ),
    (
        "unlisted",
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
        "ambiguous",
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
        "fail: behavior.hihg_dlp: unknown behavior hihg_dlp (riskform.yaml:6:3)\n\
         fail: integration.corporate-okta: 2 live integrations have the tenant_url https://corp.okta.com (riskform.yaml:8:3)",
    ),
    // drift
    (
        "drift",
        |world| {
            world.behaviors["high_dlp"]["risk_level"] = json!("low");
            // Disabled but declared as enabled: reported by the behaviors check.
            world.behaviors["imp_travel"] = json!({ "enabled": false, "risk_level": "low" });
            world.integrations[0]["active"] = json!(false);
            world.integrations[0]["tenant_url"] = json!("https://x.okta.com");
        },
        "fail: behavior.high_dlp is low, declared medium (riskform.yaml:6:3)\n\
         fail: integration.corporate-okta has tenant_url https://x.okta.com, declared https://corp.okta.com; is inactive, declared active (riskform.yaml:8:3)",
    ),
    (
        "drift",
        |world| world.integrations = json!([]),
        "fail: integration.corporate-okta is missing (riskform.yaml:8:3)",
    ),
];

#[test]
fn each_check_has_its_findings() {
    for (check, change, expected) in CASES {
        let mut world = sound();
        change(&mut world);
        let findings = world.findings(&world.planned());
        assert_eq!(lines(&findings, check), *expected, "{check}");
    }
    for check in checks() {
        assert!(CASES.iter().any(|case| case.0 == check), "{check}");
    }
}

/// Many unknown levels, many policies and cyclic groups: bounded output.
#[test]
fn huge_lists_are_checked_in_time() {
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
    let levels = findings.iter().filter(|finding| finding.check == "levels");
    assert_eq!(levels.count(), 10);
    assert!(findings.iter().all(|finding| finding.message.len() < 500));
    assert_eq!(OKTA.len(), 36);
}
