//! The grouped view of fleets in text, Markdown, HTML and Slack.

use insta::assert_snapshot;
use jiff::SignedDuration;
use riskform::model::account::{GuardMode, LiveAccount};
use riskform::model::audit_log::Author;
use riskform::model::behavior::RiskLevel;
use riskform::model::field::{Field, FieldValue};
use riskform::model::open_enum::OpenEnum;
use riskform::plan::{
    AccountError, AccountPlan, AttributedAction, Attribution, FailureKind, FieldAttribution,
    Format, Run,
};
use riskform::report::{self, DetailLevel, MAX_COMMENT_BYTES, OutputFormat, View, markdown};
use serde_json::{Value, json};

use super::{as_declared, desired, drift, now, planned, run, shown};

const ACCOUNTS: usize = 300;

fn text(run: &Run, detail: DetailLevel) -> String {
    let text = report::run(run, OutputFormat::Text, detail, None, &str::to_owned);
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
            let fields = &mut live.behaviors.values_mut().next().unwrap().fields;
            fields.set(Field::Enabled, Some(FieldValue::Bool(false)));
            live = LiveAccount::new(
                live.behaviors,
                vec![serde_json::from_value(shadow(number)).unwrap()],
            );
        }
        if number >= 280 && format == Format::Plan {
            let level = |level| Some(FieldValue::Level(OpenEnum::Known(level)));
            let fields = &mut live.behaviors.values_mut().next().unwrap().fields;
            fields.set(Field::RiskLevel, level(RiskLevel::High));
            let entry = account.behaviors.values_mut().next().unwrap();
            entry.fields.set(Field::RiskLevel, level(RiskLevel::Low));
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

/// 60 accounts as in a bad night: one weaker, one with an unlisted integration, three with the same change, two without entitlement.
fn sixty() -> Run {
    let who = |action, hours: i64, actor: &str, method: &str, token: Option<&str>, ray: &str| {
        vec![FieldAttribution {
            action,
            fields: Vec::new(),
            attribution: Attribution::Set {
                author: Author {
                    actor: Some(actor.to_owned()),
                    method: Some(method.to_owned()),
                    token_name: token.map(str::to_owned),
                    tool: None,
                    time: now() - SignedDuration::from_hours(hours),
                    entry_id: None,
                    cf_ray: Some(ray.to_owned()),
                },
            },
        }]
    };
    let admin = |hours, ray: &str| {
        who(
            AttributedAction::Set,
            hours,
            "admin@example.com",
            "dash",
            None,
            ray,
        )
    };
    let base = desired("customer.yaml");
    let accounts = (1..=60u32).map(|number| {
        let mut account = base.clone();
        account.account_id = format!("{number:032x}").parse().unwrap();
        account.name = Some(format!("customer-{number:02}").parse().unwrap());
        account.source = format!("accounts/customer-{number:02}.yaml").into();
        let is_on = |number: u32| json!({ "name": "", "description": "", "enabled": number == 1, "risk_level": "high" });
        let behaviors = json!({
            "imp_travel": is_on(u32::from(number != 37)),
            "sentinel_one": is_on(u32::from([11, 24, 45].contains(&number))),
        });
        let integrations = (number == 52).then(|| serde_json::from_value(shadow(52)).unwrap());
        if [8, 29].contains(&number) {
            let id = &account.account_id;
            let error = AccountError {
                kind: FailureKind::Entitlement,
                message: format!("GET /accounts/{id}/zt_risk_scoring/behaviors: the account does not have Risk Scoring [status 403, ray 8f0{number}abc-FRA]"),
                help: Some("Risk Scoring is an Enterprise feature; ask your Cloudflare account team to enable it".to_owned()),
                cf_ray: Some(format!("8f0{number}abc-FRA")),
            };
            return AccountPlan::failed(&account, error);
        }
        let behaviors = serde_json::from_value(behaviors).unwrap();
        planned(account, LiveAccount::new(behaviors, integrations.into_iter().collect()))
    });
    let mut run = drift(&run(Format::Plan, accounts.collect()));
    for account in &mut run.accounts {
        for change in &mut account.changes {
            change.attribution = match change.address.to_string().as_str() {
                "behavior.imp_travel" => admin(3, "8f00ba4c000000b4"),
                _ => admin(25, &account.account_id.to_string()),
            };
        }
        for unlisted in &mut account.unlisted {
            unlisted.attribution = who(
                AttributedAction::Created,
                3,
                "ci@example.com",
                "api_token",
                Some("old-ci"),
                "8f00ba4c000000c8",
            );
        }
    }
    run.commands.arguments = " accounts".to_owned();
    run
}

fn slack_lines(run: &Run) -> String {
    report::slack::lines(&View::new(run, DetailLevel::Grouped)).join("\n")
}

#[test]
fn sixty_accounts_as_text() {
    let text = text(&sixty(), DetailLevel::Grouped);
    assert!(text.lines().count() < 45);
    assert_snapshot!(text);
}

#[test]
fn sixty_accounts_as_markdown() {
    let text = markdown(&sixty(), MAX_COMMENT_BYTES);
    assert!(text.lines().count() < 30);
    assert_snapshot!(text);
}

#[test]
fn sixty_accounts_in_one_line_and_for_slack() {
    let summary = View::new(&sixty(), DetailLevel::Grouped).summary;
    assert_snapshot!(format!("{}\n{}\n{}", summary.title, summary.subject, slack_lines(&sixty())), @r#"
    riskform drift: 1 weaker, 1 unlisted integration, 3 others differ, 2 failed
    riskform: customer-37 weaker, unlisted integration in customer-52, 3 others differ, 2 failed
    2 accounts failed: `customer-08`, `customer-29`: the account does not have Risk Scoring (HTTP 403)
    *weaker* `customer-37` `behavior.imp_travel` is off, declared on; set by admin@example.com in the dashboard, 3 h ago
    *unlisted integration* `customer-52` `https://shadow.okta.com`, active: receives risk scores; created by ci@example.com with the API token old-ci, 3 h ago
    3 accounts: `customer-11`, `customer-24`, `customer-45`: `behavior.sentinel_one` is on, declared off; set by admin@example.com in the dashboard, 25 h ago
    "#);
}

#[test]
fn sixty_accounts_as_page() {
    let page = shown(&sixty(), OutputFormat::Html);
    let body = page.split("<body>").nth(1).unwrap();
    assert_snapshot!(body);
}

/// 50 accounts have the same drift, and the last 20 fail.
#[test]
fn three_hundred_accounts_fit_one_screen() {
    for format in [Format::Plan, Format::Drift] {
        let run = large(format);
        let told = text(&run, DetailLevel::Grouped);
        assert!(told.lines().count() < 60, "{told}");
        let comment = markdown(&run, MAX_COMMENT_BYTES);
        assert!(comment.lines().count() < 60, "{comment}");
        let longest = told.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() < 320, "{longest:?}");
    }
    assert_snapshot!(text(&large(Format::Drift), DetailLevel::Grouped));
    assert_snapshot!(text(&large(Format::Plan), DetailLevel::Grouped));
}

#[test]
fn one_weaker_account_of_300_is_named_first() {
    let mut run = large(Format::Plan);
    run.accounts.drain(1..100);
    run.accounts.truncate(180);
    let weaker = large(Format::Plan).accounts.swap_remove(120);
    run.accounts.retain(|account| account.changes.is_empty());
    run.accounts.push(weaker);
    let run = drift(&run);
    let summary = View::new(&run, DetailLevel::Grouped).summary;
    assert!(
        summary.subject.starts_with("riskform: account-120 weaker"),
        "{}",
        summary.subject
    );
    for shown in [
        text(&run, DetailLevel::Grouped),
        markdown(&run, MAX_COMMENT_BYTES),
        slack_lines(&run),
    ] {
        let first: Vec<&str> = shown.lines().take(10).collect();
        assert!(first.join("\n").contains("behavior.imp_travel"), "{shown}");
        assert!(shown.lines().count() < 60);
    }
}

#[test]
fn expanded_text_shows_each_account() {
    let told = text(&large(Format::Drift), DetailLevel::Expanded);
    for number in (100..150).chain(280..300) {
        assert!(told.contains(&format!("account-{number:03}")), "{number}");
    }
    for number in 100..150 {
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        assert!(told.contains(&format!("integration[{id}]")), "{number}");
    }
    assert!(
        !told.contains("account-000"),
        "unchanged accounts are only counted"
    );
}

/// Items of two accounts are shown for each.
#[test]
fn items_of_two_accounts_are_not_grouped() {
    let mut run = large(Format::Plan);
    run.accounts
        .retain(|account| ["account-280", "account-281"].contains(&account.label()));
    let grouped = text(&run, DetailLevel::Grouped);
    assert_eq!(grouped, text(&run, DetailLevel::Expanded));
    assert_eq!(grouped.matches("\naccount-281 (").count(), 1);
}

#[test]
fn every_format_has_the_same_order() {
    let run = sixty();
    let page = shown(&run, OutputFormat::Html);
    let page = page.split("<main>").nth(1).unwrap().to_owned();
    let formats = [
        text(&run, DetailLevel::Grouped),
        markdown(&run, MAX_COMMENT_BYTES),
        slack_lines(&run),
        page,
    ];
    for shown in formats {
        let places = ["customer-08", "customer-37", "customer-52", "customer-11"]
            .map(|name| shown.find(name).unwrap());
        assert!(places.is_sorted(), "{places:?} in {shown}");
    }
}

#[test]
fn several_unlisted_integrations_take_one_line_each() {
    let mut run = large(Format::Plan);
    let tenants = [
        "https://a.okta.com",
        "https://b.okta.com",
        "https://c.okta.com",
    ];
    run.accounts.drain(..100);
    run.accounts.truncate(3);
    for (account, tenant) in run.accounts.iter_mut().zip(tenants) {
        let mut integration = shadow(7);
        integration["tenant_url"] = json!(tenant);
        let behaviors = as_declared().behaviors;
        let live = LiveAccount::new(
            behaviors,
            vec![serde_json::from_value(integration).unwrap()],
        );
        *account = planned((**account.desired()).clone(), live);
    }
    assert_snapshot!(text(&drift(&run), DetailLevel::Grouped));
}
