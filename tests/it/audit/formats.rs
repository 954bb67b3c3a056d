//! Audit results in all formats: one account, many accounts, and malicious texts.

use insta::assert_snapshot;
use riskform::doctor::{AuditCheck, AuditReport};
use riskform::report::{self, AuditFormat, audit_markdown};
use serde_json::{Value, json};

use super::{audit, forbidden, levels, lost, policy, renamed, sound, unsound};
use crate::report::hostile::{EVIL, outside_of_code};

/// Five accounts: two without findings, one with failures of every kind, one with an error, and one with a missing permission and a warning.
pub(crate) fn fleet() -> AuditReport {
    let mut blind = sound();
    blind.access_unread = Some(forbidden("Access: Apps and Policies Read"));
    blind.providers[0]["config"] = json!({});
    audit(vec![
        renamed(sound().audited(), 1, "eu"),
        renamed(unsound().audited(), 2, "us"),
        lost(),
        renamed(blind.audited(), 3, "asia"),
        renamed(sound().audited(), 4, "africa"),
    ])
}

fn plain(audit: &AuditReport, format: AuditFormat) -> String {
    anstream::adapter::strip_str(&report::audit(audit, format)).to_string()
}

#[test]
fn one_account_is_a_list() {
    assert_snapshot!(plain(&audit(vec![unsound().audited()]), AuditFormat::Text), @"
    production (f037e56e…abbe)  riskform.yaml

      fail     behaviors: 1 of 2 behaviors declared on is off
               behavior.imp_travel: off, declared on (level high)  riskform.yaml:5:3
               help: run `riskform apply` to enable them
      fail     policies: no policy uses low, which enabled behaviors assign
               low: no policy uses it; assigned by high_dlp
               help: add the level to an Access policy, or change the behaviors' risk_level
      fail     levels: policies use medium, high, which no enabled behavior assigns
               medium: no enabled behavior assigns it; policies that use it: Risky users
               high: no enabled behavior assigns it; policies that use it: Finance, Risky users
               help: assign the level to a behavior, or change the level in the policies
      fail     providers: the active integration does not reference its Okta identity provider
               integration.corporate-okta: no reference_id, so the dashboard does not show it  riskform.yaml:8:3
               help: identity_provider: NAME in the file looks up its ID
      fail     unlisted: 1 resource is unlisted
               integration[22222222-2222-4222-8222-222222222222]: unlisted
               help: add it to the file, delete it, or set `unlisted` to keep
      pass     ambiguous: no entry is ambiguous
      fail     drift: 2 resources differ from the files
               behavior.high_dlp: risk_level low, declared medium  riskform.yaml:6:3
               integration.corporate-okta: reference_id (unset), declared 3701e70b-5de4-4d9d-8972-f5aa994d9057  riskform.yaml:8:3
               help: run `riskform drift` for details, `riskform apply` to fix

    Audit: 6 failed, 1 passed.
    ");
}

#[test]
fn a_fleet_is_a_table_and_what_does_not_pass() {
    assert_snapshot!(plain(&fleet(), AuditFormat::Text), @r#"
    ACCOUNT  BEHAVIORS  POLICIES  LEVELS   PROVIDERS  UNLISTED  AMBIGUOUS  DRIFT
    lost     could not be checked
    us       fail       fail      fail     fail       fail      pass       fail
    asia     pass       unknown   unknown  warn       pass      pass       pass
    2 accounts pass every check.

    lost (00000000…0009)  riskform.yaml

      error: GET /accounts/00000000000000000000000000000009/zt_risk_scoring/behaviors: 403 Forbidden
      help: give the token the permission Zero Trust Read

    behaviors: Behaviors declared as enabled are enabled.

      fail     us: 1 of 2 behaviors declared on is off
               behavior.imp_travel: off, declared on (level high)  riskform.yaml:5:3
               help: run `riskform apply` to enable them

    policies: Every level assigned by an enabled behavior is used by an Access policy.

      fail     us: no policy uses low, which enabled behaviors assign
               low: no policy uses it; assigned by high_dlp
               help: add the level to an Access policy, or change the behaviors' risk_level
      unknown  asia: cannot be determined: the token lacks the permission "Access: Apps and Policies Read"

    levels: Every level used by an Access policy is assigned by an enabled behavior.

      fail     us: policies use medium, high, which no enabled behavior assigns
               medium: no enabled behavior assigns it; policies that use it: Risky users
               high: no enabled behavior assigns it; policies that use it: Finance, Risky users
               help: assign the level to a behavior, or change the level in the policies
      unknown  asia: cannot be determined: the token lacks the permission "Access: Apps and Policies Read"

    providers: Every active integration references an Okta identity provider with the same tenant.

      fail     us: the active integration does not reference its Okta identity provider
               integration.corporate-okta: no reference_id, so the dashboard does not show it  riskform.yaml:8:3
               help: identity_provider: NAME in the file looks up its ID
      warn     asia: the active integration may not reference its Okta identity provider
               integration.corporate-okta: Corporate Okta does not name its Okta organization, so the tenant cannot be compared  riskform.yaml:8:3
               help: identity_provider: NAME in the file looks up its ID

    unlisted: No unlisted resources that the files report, disable or delete.

      fail     us: 1 resource is unlisted
               integration[22222222-2222-4222-8222-222222222222]: unlisted
               help: add it to the file, delete it, or set `unlisted` to keep

    drift: No other drift.

      fail     us: 2 resources differ from the files
               behavior.high_dlp: risk_level low, declared medium  riskform.yaml:6:3
               integration.corporate-okta: reference_id (unset), declared 3701e70b-5de4-4d9d-8972-f5aa994d9057  riskform.yaml:8:3
               help: run `riskform drift` for details, `riskform apply` to fix

    Audit: 6 failed, 2 unknown, 1 warning, 19 passed; 1 account could not be checked.
    "#);
}

/// The same finding in three accounts is shown once, with at most five names.
#[test]
fn what_is_alike_is_told_once() {
    let many = |count: usize| {
        let accounts = (0..count)
            .map(|number| renamed(unsound().audited(), number, &format!("account-{number}")));
        audit(accounts.collect())
    };
    for (count, told) in [(2, 2), (3, 1), (8, 1)] {
        for format in [AuditFormat::Text, AuditFormat::Markdown, AuditFormat::Html] {
            let text = plain(&many(count), format);
            assert_eq!(
                text.matches("no reference_id, so the dashboard").count(),
                told,
                "{count} {format}"
            );
        }
    }
    let text = plain(&many(8), AuditFormat::Text);
    assert!(text.contains("account-0, account-1, account-2, account-3, account-4 and 3 more: "));
    // Each account has a separate section in the other formats.
    let junit = report::audit(&many(8), AuditFormat::Junit);
    assert_eq!(
        junit.matches("no reference_id, so the dashboard").count(),
        8
    );
}

#[test]
fn many_details_are_cut_in_text_alone() {
    let mut world = sound();
    for number in 0..25 {
        world.behaviors[format!("b{number:02}")] = json!({ "enabled": false, "risk_level": "low" });
    }
    world.file = world
        .file
        .replace("behaviors:\n", "behaviors:\n  \"*\": { enabled: true }\n");
    let audit = audit(vec![world.audited()]);
    let text = plain(&audit, AuditFormat::Text);
    assert!(
        text.contains("behavior.b09: off") && !text.contains("behavior.b10"),
        "{text}"
    );
    assert!(text.contains("and 16 more (see --format json)"), "{text}");
    for format in [
        AuditFormat::Json,
        AuditFormat::Html,
        AuditFormat::Junit,
        AuditFormat::Sarif,
    ] {
        assert!(
            report::audit(&audit, format).contains("behavior.b24"),
            "{format}"
        );
    }
}

#[test]
fn junit_tells_failures_what_can_not_be_told_and_warnings_apart() {
    let text = report::audit(&fleet(), AuditFormat::Junit);
    assert_eq!(
        text,
        report::audit(&fleet(), AuditFormat::Junit),
        "same input, same bytes"
    );
    let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let counts: Vec<(&str, usize, usize, usize)> = report
        .test_suites
        .iter()
        .map(|suite| {
            (
                suite.name.as_str(),
                suite.tests,
                suite.failures,
                suite.errors,
            )
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("eu", 7, 0, 0),
            ("us", 7, 6, 0),
            ("lost", 1, 0, 1),
            ("asia", 7, 0, 2),
            ("africa", 7, 0, 0)
        ]
    );
    assert!(
        text.contains("warn: the active integration may not reference its Okta identity provider"),
        "{text}"
    );
}

#[test]
fn sarif_points_to_the_lines_that_declare_what_fails() {
    let log: Value = serde_json::from_str(&report::audit(&fleet(), AuditFormat::Sarif)).unwrap();
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap().iter().map(|result| {
        let rules = &run["tool"]["driver"]["rules"];
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        format!(
            "{} {} {}:{} {}",
            result["level"].as_str().unwrap(),
            result["ruleId"].as_str().unwrap(),
            place["artifactLocation"]["uri"].as_str().unwrap(),
            place["region"]["startLine"],
            result["message"]["text"].as_str().unwrap()
        )
    });
    let results: Vec<String> = results.collect();
    assert_snapshot!(results.join("\n"), @"
    error behaviors riskform.yaml:5 us/behavior.imp_travel: off, declared on (level high)
    error policies riskform.yaml:null us/low: no policy uses it; assigned by high_dlp
    error levels riskform.yaml:null us/medium: no enabled behavior assigns it; policies that use it: Risky users
    error levels riskform.yaml:null us/high: no enabled behavior assigns it; policies that use it: Finance, Risky users
    error providers riskform.yaml:8 us/integration.corporate-okta: no reference_id, so the dashboard does not show it
    error unlisted riskform.yaml:null us/integration[22222222-2222-4222-8222-222222222222]: unlisted
    error drift riskform.yaml:6 us/behavior.high_dlp: risk_level low, declared medium
    error drift riskform.yaml:8 us/integration.corporate-okta: reference_id (unset), declared 3701e70b-5de4-4d9d-8972-f5aa994d9057
    warning providers riskform.yaml:8 asia/integration.corporate-okta: Corporate Okta does not name its Okta organization, so the tenant cannot be compared
    ");
    let fingerprints = run["results"].as_array().unwrap().iter();
    let fingerprints: std::collections::BTreeSet<String> = fingerprints
        .map(|result| result["partialFingerprints"].to_string())
        .collect();
    assert_eq!(
        fingerprints.len(),
        results.len(),
        "each result is one of its own"
    );
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notes = invocation["toolExecutionNotifications"].as_array().unwrap();
    let notes: Vec<&str> = notes
        .iter()
        .map(|note| note["message"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(
        notes[0].starts_with("lost could not be checked: GET "),
        "{notes:#?}"
    );
    assert!(
        notes[1].contains("asia: policies: cannot be determined: the token lacks the permission"),
        "{notes:#?}"
    );
}

#[test]
fn markdown_is_cut_from_the_least_grave_end_and_says_so() {
    let accounts = (0..2_000).map(|number| {
        let mut account = renamed(unsound().audited(), number, &format!("account-{number}"));
        for finding in &mut account.findings {
            finding.message.push_str(&format!(" {number}"));
        }
        account
    });
    let audit = audit(accounts.collect());
    for limit in [5_000, 65_536] {
        let text = audit_markdown(&audit, limit);
        assert!(text.len() <= limit, "{}", text.len());
        assert!(text.contains("**Truncated:**"), "{text}");
        outside_of_code(&text);
    }
    let whole = audit_markdown(&fleet(), 65_536);
    assert!(!whole.contains("Truncated"), "{whole}");
    assert_snapshot!(whole.lines().take(9).collect::<Vec<_>>().join("\n"), @"
    ### riskform audit: 6 failed, 2 unknown, 1 warning, 19 passed; 1 account could not be checked

    2 accounts pass every check.

    | account | behaviors | policies | levels | providers | unlisted | ambiguous | drift |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | <code>lost</code> (<code>00000000000000000000000000000009</code>) | **could not be checked** | | | | | | |
    | <code>us</code> (<code>00000000000000000000000000000002</code>) | **fail** | **fail** | **fail** | **fail** | **fail** | pass | **fail** |
    | <code>asia</code> (<code>00000000000000000000000000000003</code>) | pass | unknown | unknown | warn | pass | pass | pass |
    ");
}

/// Malicious texts in all untrusted values.
fn evil() -> AuditReport {
    let mut world = sound();
    world.policies = json!([
        policy(EVIL, "deny", "include", levels(&[EVIL])),
        policy("P", "allow", "exclude", levels(&["high"])),
    ]);
    world.behaviors[EVIL] = json!({ "enabled": true, "risk_level": EVIL });
    world.behaviors["z"] = json!({ "enabled": true, "risk_level": format!("{EVIL}2") });
    world.providers[0]["name"] = json!(EVIL);
    world.providers[0]["type"] = json!(EVIL);
    world.file = world.file.replace(
        "behaviors:\n",
        "unlisted: { behaviors: report }\nbehaviors:\n",
    );
    let mut account = world.audited();
    account.source = EVIL.into();
    for detail in account
        .findings
        .iter_mut()
        .flat_map(|finding| &mut finding.details)
    {
        if let Some(location) = &mut detail.location {
            location.file = EVIL.into();
        }
    }
    let mut blind = sound();
    let mut unread = forbidden(EVIL);
    unread.reason = EVIL.to_owned();
    blind.access_unread = Some(unread);
    let mut lost = lost();
    if let Some(error) = &mut lost.error {
        error.message = EVIL.to_owned();
        error.help = Some(EVIL.to_owned());
    }
    audit(vec![account, renamed(blind.audited(), 3, "blind"), lost])
}

#[test]
fn foreign_text_stays_text_in_every_format() {
    let mut alone = evil();
    alone.accounts.truncate(1);
    for audit in [evil(), alone] {
        let markdown = report::audit(&audit, AuditFormat::Markdown);
        let outside = outside_of_code(&markdown);
        for absent in ["<script", "<img", "@", "![", "](", "{0}"] {
            assert!(!outside.contains(absent), "{absent:?} in {outside}");
        }
        let page = report::audit(&audit, AuditFormat::Html);
        for absent in ["<script", "<img", "<pre"] {
            assert!(!page.contains(absent), "{absent}");
        }
        assert!(page.contains("&lt;script&gt;"));
        let junit = report::audit(&audit, AuditFormat::Junit);
        quick_junit::Report::deserialize_from_str(&junit).unwrap();
        let sarif: Value =
            serde_json::from_str(&report::audit(&audit, AuditFormat::Sarif)).unwrap();
        for result in sarif["runs"][0]["results"].as_array().unwrap() {
            let text = result["message"]["text"].as_str().unwrap();
            assert!(!text.contains("](") && !text.contains(" {0}"), "{text}");
        }
        for format in [
            AuditFormat::Text,
            AuditFormat::Markdown,
            AuditFormat::Html,
            AuditFormat::Junit,
            AuditFormat::Sarif,
        ] {
            let text = plain(&audit, format);
            assert!(!text.contains(['\u{202e}', '\u{1b}']), "{format}");
        }
        let json: Value = serde_json::from_str(&report::audit(&audit, AuditFormat::Json)).unwrap();
        assert!(json.to_string().contains("onerror"));
    }
    assert_eq!(AuditCheck::ALL.len(), 7);
}
