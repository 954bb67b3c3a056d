//! 300 accounts: most severe first, and repeated findings are grouped.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use riskform::model::account::{GuardMode, LiveAccount};
use riskform::model::behavior::RiskLevel;
use riskform::model::open_enum::OpenEnum;
use riskform::plan::{
    AccountError, AccountPlan, AttributedAction, Attribution, Change, FailureKind,
    FieldAttribution, Format, OperationOutcome, OperationResult, OperationStatus, Run,
};
use riskform::report::{self, ApplyFormat, DetailLevel, DriftFormat, PlanFormat, markdown};
use serde_json::{Value, json};

use super::{as_declared, desired, drift, planned, run};

const ACCOUNTS: usize = 300;

fn text(run: &Run, detail: DetailLevel) -> String {
    let text = match run.format {
        Format::Drift => report::drift(run, DriftFormat::Text, detail, None, &str::to_owned),
        Format::Plan | Format::Apply => report::plan(run, PlanFormat::Text, detail),
    };
    anstream::adapter::strip_str(&text).to_string()
}

/// An unlisted integration of the same tenant, with a server-generated ID and reference.
fn shadow(number: usize) -> Value {
    json!({
        "id": format!("{number:08x}-0000-4000-8000-000000000000"),
        "account_tag": "", "created_at": "2026-01-01T00:00:00Z", "well_known_url": "https://ssf.example/1",
        "integration_type": "Okta", "tenant_url": "https://shadow.okta.com",
        "reference_id": format!("{number:08x}-0000-4000-9000-000000000000"), "active": true,
    })
}

/// 50 accounts have the same drift, and the last 20 fail: rejected by the API in drift, blocked by a guard in a plan.
fn large(format: Format) -> Run {
    let base = desired("staging.yaml");
    let accounts = (0..ACCOUNTS).map(|number| {
        let mut account = base.clone();
        account.account_id = format!("{number:032x}").parse().unwrap();
        account.name = Some(format!("account-{number:03}").parse().unwrap());
        let mut live = as_declared();
        if (100..150).contains(&number) {
            live.behaviors.values_mut().next().unwrap().settings.enabled = false;
            live = LiveAccount::new(
                live.behaviors,
                vec![serde_json::from_value(shadow(number)).unwrap()],
            );
        }
        if number >= 280 && format == Format::Plan {
            let level = &mut live.behaviors.values_mut().next().unwrap().settings;
            level.risk_level = OpenEnum::Known(RiskLevel::High);
            account.behaviors.values_mut().next().unwrap().risk_level = Some(RiskLevel::Low);
            account.guards.weakening = GuardMode::Deny;
        }
        if number >= 280 && format == Format::Drift {
            let id = &account.account_id;
            let error = AccountError {
                kind: FailureKind::Permission,
                message: format!("GET /accounts/{id}/zt_risk_scoring/behaviors: permission denied [status 403, ray 8f0{number}abc-FRA]"),
                help: Some("give the token the permission \"Zero Trust Read\" on this account".to_owned()),
                cf_ray: Some(format!("8f0{number}abc-FRA")),
            };
            return AccountPlan::failed(&account, error);
        }
        planned(account, live)
    });
    let run = run(Format::Plan, accounts.collect());
    match format {
        Format::Drift => drift(&run),
        Format::Plan | Format::Apply => run,
    }
}

#[test]
fn a_fleet_of_300_is_told_in_a_screen() {
    let told = text(&large(Format::Drift), DetailLevel::Grouped);
    assert!(told.lines().count() < 60);
    assert_snapshot!(told, @r#"
    in 20 accounts: account-280, account-281, account-282, account-283, account-284 and 15 more

      error: GET /accounts/…/zt_risk_scoring/behaviors: permission denied [status 403, ray …]
      help: give the token the permission "Zero Trust Read" on this account

    in 50 accounts: account-100, account-101, account-102, account-103, account-104 and 45 more

      ~ behavior.imp_travel                             weaker: off, declared on
          enabled       declared true, live false
      ? integration[…]  unlisted
          integration_type  Okta
          tenant_url        https://shadow.okta.com
          reference_id      …
          active            true

    Drift: 50 differ, 50 unlisted. 230 as declared. In 50 of 300 accounts; 230 accounts are as declared.
    50 protect less than declared: behavior.imp_travel (off, declared on) in 50 accounts.
    20 of 300 accounts failed.
    "#);
    let told = text(&large(Format::Plan), DetailLevel::Grouped);
    assert!(told.lines().count() < 60);
    assert_snapshot!(told, @"
    in 20 accounts: account-280, account-281, account-282, account-283, account-284 and 15 more

      blocked by weakening: behavior.imp_travel: weakens protection (lowered), and guards.weakening is deny; use --allow-weakening to allow it
      ~ behavior.imp_travel                             weakens
          risk_level    high → low

      note: behavior.imp_travel: Access policies match levels exactly; policies on high will not match low

    in 50 accounts: account-100, account-101, account-102, account-103, account-104 and 45 more

      ~ behavior.imp_travel
          enabled       false → true
      ? integration[…]  unlisted
          integration_type  Okta
          tenant_url        https://shadow.okta.com
          reference_id      …
          active            true

    Plan: 0 to create, 70 to update, 0 to replace, 0 to delete. 230 unchanged, 50 unlisted. In 70 of 300 accounts; 230 accounts have no changes.
    20 changes weaken protection: behavior.imp_travel (lowered) in 20 accounts.
    20 of 300 accounts are blocked.
    ");
}

#[test]
fn expanded_it_is_told_account_by_account() {
    let run = large(Format::Drift);
    let told = text(&run, DetailLevel::Expanded);
    for number in (100..150).chain(280..300) {
        let heading = format!("account-{number:03} (00000000…");
        assert!(told.contains(&heading), "{number}");
    }
    assert_eq!(told.matches("help: give").count(), 20);
    for number in 100..150 {
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        assert!(told.contains(&format!("integration[{id}]")), "{number}");
    }
    assert!(!told.contains("account-000"), "as declared is only counted");
    assert!(told.find("account-299") < told.find("account-100"));
}

/// Findings of two accounts are shown for each; different findings are shown separately.
#[test]
fn only_the_same_is_told_together() {
    let mut run = large(Format::Plan);
    run.accounts.retain(|account| {
        ["account-100", "account-101", "account-280", "account-281"].contains(&account.label())
    });
    assert_eq!(
        text(&run, DetailLevel::Grouped),
        text(&run, DetailLevel::Expanded)
    );
    let mut run = large(Format::Plan);
    run.accounts.drain(..100);
    run.accounts.truncate(4);
    let mut other = run.accounts[0].clone();
    let settings = json!({
        "integration_type": "Okta", "tenant_url": "https://other.okta.com", "active": true,
    });
    let settings = serde_json::from_value(settings).unwrap();
    other.unlisted[0].settings = riskform::plan::UnlistedSettings::Integration(settings);
    run.accounts[0] = other;
    assert_snapshot!(text(&run, DetailLevel::Grouped), @"
    account-100 (00000000…0064)  tests/fixtures/report/staging.yaml

      ? integration[00000064-0000-4000-8000-000000000000]  unlisted
          integration_type  Okta
          tenant_url        https://other.okta.com
          reference_id      (unset)
          active            true

    in 4 accounts: account-100, account-101, account-102, account-103

      ~ behavior.imp_travel
          enabled       false → true

    in 3 accounts: account-101, account-102, account-103

      ? integration[…]  unlisted
          integration_type  Okta
          tenant_url        https://shadow.okta.com
          reference_id      …
          active            true

    Plan: 0 to create, 4 to update, 0 to replace, 0 to delete. 0 unchanged, 4 unlisted. In 4 of 4 accounts.
    ");
}

/// Page and comment use the same order. A comment names all accounts that weaken, delete, fail or are blocked.
#[test]
fn every_format_keeps_the_order() {
    for format in [Format::Plan, Format::Drift] {
        let run = large(format);
        let page = match format {
            Format::Drift => report::drift(
                &run,
                DriftFormat::Html,
                DetailLevel::Grouped,
                None,
                &str::to_owned,
            ),
            Format::Plan | Format::Apply => {
                report::plan(&run, PlanFormat::Html, DetailLevel::Grouped)
            }
        };
        let place = |text: &str, name: &str| text.find(&format!(">{name}<"));
        assert!(place(&page, "account-299") < place(&page, "account-100"));
        assert!(place(&page, "account-149") < place(&page, "account-000"));
        let comment = markdown(&run, 1024 * 1024);
        let place = |number: &str| comment.find(&format!("account&#45;{number}<"));
        assert!(place("299") < place("100"));
        assert!(place("299").is_some() && place("000").is_none());
    }
}

/// A section shows five names and a count.
#[test]
fn no_line_is_endless() {
    for format in [Format::Plan, Format::Drift] {
        let run = large(format);
        for detail in DetailLevel::ALL {
            let told = text(&run, *detail);
            let longest = told.lines().map(|line| line.chars().count()).max();
            assert!(longest.unwrap() < 320, "{detail}: {longest:?}");
            let names: BTreeSet<usize> = told
                .lines()
                .map(|line| line.matches("account-").count())
                .collect();
            assert!(names.last() <= Some(&5), "{detail}: {names:?}");
        }
    }
}

/// The same error in each account's document, with different locations and the same help.
#[test]
fn the_same_error_is_told_once_with_its_help() {
    let mut run = large(Format::Plan);
    run.accounts.truncate(5);
    for (number, account) in run.accounts.iter_mut().enumerate() {
        let error = AccountError {
            kind: FailureKind::Plan,
            message: format!(
                "{}:{}:3: unknown behavior nonesuch",
                account.source,
                number + 4
            ),
            help: Some("available: imp_travel".to_owned()),
            cf_ray: None,
        };
        *account = AccountPlan::failed(account.desired(), error);
    }
    run.accounts[4].error.as_mut().unwrap().message = "something else".to_owned();
    assert_snapshot!(text(&run, DetailLevel::Grouped), @r###"
    in 4 accounts: account-000, account-001, account-002, account-003

      error: …: unknown behavior nonesuch
      help: available: imp_travel

    account-004 (00000000…0004)  tests/fixtures/report/staging.yaml

      error: something else

    5 of 5 accounts failed.
    "###);
}

/// Results of apply are grouped as well, with the URLs to paste.
#[test]
fn what_became_of_it_is_told_once() {
    let mut run = large(Format::Plan);
    run.format = Format::Apply;
    run.accounts.drain(..97);
    run.accounts.truncate(9);
    for (number, account) in run.accounts.iter_mut().enumerate() {
        account.problems = (number >= 3).then(Vec::new);
        for operation in &mut account.operations {
            let result = OperationResult {
                id: uuid::Uuid::from_u128(number as u128).into(),
                well_known_url: format!("https://ssf.example/{number}"),
            };
            operation.end = Some(OperationStatus {
                outcome: match number {
                    8 => OperationOutcome::Done,
                    _ => OperationOutcome::Failed,
                },
                result: (number == 8).then_some(result),
                audit_log_id: None,
                cf_ray: None,
                error: Some(format!(
                    "PUT /accounts/{}/zt_risk_scoring/behaviors: permission denied [status 403]",
                    account.account_id
                )),
                help: Some(
                    "give the token the permission \"Zero Trust Write\" on this account".to_owned(),
                ),
            });
        }
    }
    let told = report::apply(&run, ApplyFormat::Text);
    let told = anstream::adapter::strip_str(&told).to_string();
    assert_snapshot!(told, @r#"
    in 5 accounts: account-100, account-101, account-102, account-103, account-104

      error: behavior.imp_travel: operation 1 failed: PUT /accounts/…/zt_risk_scoring/behaviors: permission denied [status 403]
      help: give the token the permission "Zero Trust Write" on this account

    Paste the well_known_url into Okta: Security > Device Integrations > Receive shared signals > Create stream.

      account-105/behavior.imp_travel  https://ssf.example/8

    Apply incomplete: 0 created, 1 updated, 0 replaced, 0 deleted. 5 operations failed, 0 not attempted.
    "#);
}

/// Authors may differ between accounts: one is shown, with a hint to see the others.
#[test]
fn who_did_it_is_told_of_one() {
    let mut run = large(Format::Drift);
    run.accounts.drain(..100);
    run.accounts.truncate(3);
    let mut attribute = |day: [&str; 3]| {
        for (account, day) in run.accounts.iter_mut().zip(day) {
            let Change::Behavior(diff) = &mut account.changes[0] else {
                panic!("a behavior differs");
            };
            let since = format!("{day}T00:00:00Z").parse().unwrap();
            diff.attribution = vec![FieldAttribution {
                action: AttributedAction::Set,
                fields: Vec::new(),
                attribution: Attribution::Unknown { since },
            }];
        }
        let told = text(&run, DetailLevel::Grouped);
        let lines = told.lines().skip(3).take(3);
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(attribute(["2026-11-01"; 3]), @"
        enabled       declared true, live false
        no audit log entry since 2026-11-01
    ? integration[…]  unlisted
    ");
    assert_snapshot!(attribute(["2026-11-01", "2026-11-02", "2026-11-03"]), @"
    enabled       declared true, live false
    in account-100: no audit log entry since 2026-11-01
    --expand shows each account
    ");
}
