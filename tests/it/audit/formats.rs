//! Audit results in all formats: one account, many accounts, and malicious texts.

use insta::assert_snapshot;
use riskform::doctor::{AUDIT_CHECKS, AuditReport};
use riskform::model::evidence::{Evidence, FileEvidence, TokenEvidence};
use riskform::model::finding::CheckedAccount;
use riskform::report::{self, OutputFormat, audit_markdown};
use serde_json::{Value, json};

use super::{audit, forbidden, levels, lost, policy, renamed, replaced, sound, unsound};
use crate::report::hostile::{EVIL, outside_of_code};
use crate::support::json::elements;

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

fn shown(audit: &AuditReport, format: OutputFormat) -> String {
    report::audit(audit, format, &str::to_owned)
}

fn plain(audit: &AuditReport, format: OutputFormat) -> String {
    anstream::adapter::strip_str(&shown(audit, format)).to_string()
}

#[test]
fn one_account_is_shown_as_a_list() {
    assert_snapshot!(plain(&audit(vec![unsound().audited()]), OutputFormat::Text));
}

#[test]
fn fleet_is_shown_as_a_table_and_findings() {
    assert_snapshot!(plain(&fleet(), OutputFormat::Text));
}

/// 60 accounts: one with a disabled behavior, three with the same drift, one with an unlisted integration, 58 with the same wrong reference,
/// and two that cannot be read.
fn sixty() -> AuditReport {
    let accounts = (1..=60).map(|number| {
        let mut world = sound();
        world.file = world.file.replace(
            "integrations:",
            "  sentinel_one: { enabled: false }\nintegrations:",
        );
        world.providers = json!([]);
        world.policies = json!([
            policy("Finance", "allow", "exclude", levels(&["high"])),
            policy("Payroll", "allow", "exclude", levels(&["high"])),
            policy("Wiki", "allow", "exclude", levels(&["high"])),
            policy("Mail", "deny", "include", levels(&["medium"])),
        ]);
        match number {
            37 => world.behaviors["imp_travel"]["enabled"] = json!(false),
            11 | 24 | 45 => world.behaviors["sentinel_one"]["enabled"] = json!(true),
            52 => world.integrations.as_array_mut().unwrap().push(json!({
                "id": "5f37f5cb-0000-4000-8000-000000000052", "integration_type": "Okta",
                "tenant_url": "https://collector.okta.com", "reference_id": "r", "active": false,
            })),
            _ => {}
        }
        if matches!(number, 11 | 24 | 45) {
            world.policies[3]["include"] = json!([levels(&["low", "medium"])]);
        }
        let account = match number {
            8 | 29 => {
                let mut account = lost();
                account.error.as_mut().unwrap().message =
                    "the account does not have Risk Scoring (HTTP 403, code 3314)".to_owned();
                account
            }
            _ => world.audited(),
        };
        let name = format!("customer-{number:02}");
        let mut account = renamed(account, number, &name);
        for finding in &mut account.findings {
            if let Some(location) = &mut finding.location {
                location.file = format!("accounts/{name}.yaml").into();
            }
        }
        account
    });
    let text = |text: &str| Some(text.to_owned());
    AuditReport {
        created_at: "2026-12-01T00:38:12Z".parse().unwrap(),
        evidence: Evidence {
            riskform_commit: text("a32c006d1"),
            tokens: vec![TokenEvidence {
                variable: text("CLOUDFLARE_API_TOKEN"),
                id: text("ed17574386854bf78a67040be0a770b0"),
                accounts: 60,
            }],
            commit: text("9f2c1a7e0"),
            repository: text("example/security"),
            run_url: text("https://github.com/example/security/actions/runs/42"),
            actor: None,
            files: (1..=60)
                .map(|number| FileEvidence {
                    path: format!("accounts/customer-{number:02}.yaml"),
                    sha256: None,
                })
                .collect(),
        },
        ..audit(accounts.collect())
    }
}

#[test]
fn sixty_accounts_are_evidence_on_one_screen() {
    assert_snapshot!(plain(&sixty(), OutputFormat::Text));
    let markdown = shown(&sixty(), OutputFormat::Markdown);
    assert!(markdown.lines().count() < 30, "{markdown}");
    assert!(
        markdown.ends_with(" and 59 more</code></sub>\n"),
        "{markdown}"
    );
    let page = shown(&sixty(), OutputFormat::Html);
    assert_eq!(page.matches("<article").count(), 6, "{page}");
    assert!(page.contains("run 42. Files: accounts"), "{page}");
}

/// The same finding in three accounts is shown once, with at most five names.
#[test]
fn equal_findings_are_shown_once() {
    let many = |count: usize| {
        let accounts = (0..count)
            .map(|number| renamed(unsound().audited(), number, &format!("account-{number}")));
        audit(accounts.collect())
    };
    for (count, told) in [(2, 2), (3, 1), (8, 1)] {
        for format in [
            OutputFormat::Text,
            OutputFormat::Markdown,
            OutputFormat::Html,
        ] {
            let text = plain(&many(count), format);
            assert_eq!(
                text.matches("no reference_id, so the dashboard").count(),
                told,
                "{count} {format}"
            );
        }
    }
    let text = plain(&many(8), OutputFormat::Text);
    let names = "account-0, account-1, account-2, account-3, account-4 and 3 more\n";
    assert!(text.contains(names), "{text}");
    assert!(
        text.contains("fail  levels     8 accounts: no enabled behavior assigns high"),
        "{text}"
    );
    // IDs of unlisted integrations are masked, because they differ.
    assert!(
        text.contains("8 accounts: integration[ID] (https://old.okta.com) is unlisted"),
        "{text}"
    );
    // Each account has a separate section in the other formats.
    let junit = shown(&many(8), OutputFormat::Junit);
    assert_eq!(
        junit.matches("no reference_id, so the dashboard").count(),
        8
    );
}

#[test]
fn junit_separates_failures_unknown_results_and_warnings() {
    let text = shown(&fleet(), OutputFormat::Junit);
    assert_eq!(
        text,
        shown(&fleet(), OutputFormat::Junit),
        "same input, same bytes"
    );
    assert_eq!(elements(&text, "testcase"), 29);
    let suites = text.lines().filter(|line| line.contains("<testsuite"));
    assert_snapshot!(suites.collect::<Vec<_>>().join("\n"), @r#"
    <testsuites name="riskform audit" tests="29" failures="6" errors="3" skipped="0">
      <testsuite name="eu" tests="7" failures="0" errors="0" skipped="0">
      <testsuite name="us" tests="7" failures="6" errors="0" skipped="0">
      <testsuite name="lost" tests="1" failures="0" errors="1" skipped="0">
      <testsuite name="asia" tests="7" failures="0" errors="2" skipped="0">
      <testsuite name="africa" tests="7" failures="0" errors="0" skipped="0">
    "#);
    let failed = text
        .lines()
        .filter(|line| line.contains("behavior.imp_travel"));
    assert_snapshot!(failed.collect::<Vec<_>>().join("\n"), @r#"      <failure message="behavior.imp_travel is off, declared on" type="behaviors">declared at riskform.yaml:5:3</failure>"#);
    assert!(
        text.contains("warn: integration.corporate-okta references Corporate Okta"),
        "{text}"
    );
}

#[test]
fn sarif_points_to_declarations() {
    let log: Value = serde_json::from_str(&shown(&fleet(), OutputFormat::Sarif)).unwrap();
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
    assert_snapshot!(results.join("\n"));
    let fingerprints = run["results"].as_array().unwrap().iter();
    let fingerprints: std::collections::BTreeSet<String> = fingerprints
        .map(|result| result["partialFingerprints"].to_string())
        .collect();
    assert_eq!(
        fingerprints.len(),
        results.len(),
        "each result has a unique fingerprint"
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
        notes[0].starts_with("lost could not be read: GET "),
        "{notes:#?}"
    );
    assert!(
        notes[1].contains("asia: policies: cannot be determined: the token lacks the permission"),
        "{notes:#?}"
    );
}

#[test]
fn markdown_is_cut_from_the_least_severe_end() {
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
    let help = "403 Forbidden\n      help: give the token the permission Zero Trust Read\n";
    assert!(whole.contains(help), "{whole}");
    assert_snapshot!(whole.lines().take(9).collect::<Vec<_>>().join("\n"));
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
    let account = world.audited();
    let CheckedAccount {
        account_id, name, ..
    } = &*account.account;
    let by = CheckedAccount {
        account_id: account_id.clone(),
        name: name.clone(),
        source: EVIL.into(),
    };
    let mut account = replaced(account, by);
    for finding in &mut account.findings {
        if let Some(location) = &mut finding.location {
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
fn untrusted_text_is_escaped_in_every_format() {
    let mut alone = evil();
    alone.accounts.truncate(1);
    for audit in [evil(), alone] {
        let markdown = shown(&audit, OutputFormat::Markdown);
        let outside = outside_of_code(&markdown);
        for absent in ["<script", "<img", "@", "![", "](", "{0}"] {
            assert!(!outside.contains(absent), "{absent:?} in {outside}");
        }
        let page = shown(&audit, OutputFormat::Html);
        for absent in ["<script", "<img", "<pre"] {
            assert!(!page.contains(absent), "{absent}");
        }
        assert!(page.contains("&lt;script&gt;"));
        let junit = shown(&audit, OutputFormat::Junit);
        elements(&junit, "testcase");
        let sarif: Value = serde_json::from_str(&shown(&audit, OutputFormat::Sarif)).unwrap();
        for result in sarif["runs"][0]["results"].as_array().unwrap() {
            let text = result["message"]["text"].as_str().unwrap();
            assert!(!text.contains("](") && !text.contains(" {0}"), "{text}");
        }
        for format in [
            OutputFormat::Text,
            OutputFormat::Markdown,
            OutputFormat::Html,
            OutputFormat::Junit,
            OutputFormat::Sarif,
        ] {
            let text = plain(&audit, format);
            assert!(!text.contains(['\u{202e}', '\u{1b}']), "{format}");
        }
        let json: Value = serde_json::from_str(&shown(&audit, OutputFormat::Json)).unwrap();
        assert!(json.to_string().contains("onerror"));
    }
    assert_eq!(AUDIT_CHECKS.len(), 7);
}
