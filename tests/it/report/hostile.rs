//! Malicious names, URLs, levels and reasons, and results larger than a comment.

use jiff::Timestamp;
use riskform::model::account::UnlistedPolicy;
use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::model::audit_log::Author;
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::integration::ReferenceId;
use riskform::plan::{
    AccountError, AccountPlan, AttributedAction, Attribution, FailureKind, FieldAttribution, Run,
};
use riskform::report::{
    DetailLevel, MAX_COMMENT_BYTES, MAX_JOB_SUMMARY_BYTES, OutputFormat, View, markdown, slack,
};
use serde_json::{Value, json};

use crate::support::json::elements;

use super::{as_declared, desired, drift, fleet, meddled_with, planned, shown};

pub(crate) const EVIL: &str = "</code></pre></details><script>alert(1)</script><img src=x onerror=alert(2)>\n```\n~~~\n# h\n![i](https://evil.example/i) @team {0} ]]> \u{202e}\u{1b}[31m";

/// Returns the production account with malicious texts in all untrusted values.
fn evil_plan() -> Run {
    let mut account: Value = serde_json::to_value(desired("production.yaml")).unwrap();
    account["source"] = json!(format!("{EVIL}.yaml"));
    account["integrations"]["partner-okta"]["lifecycle"]["ignore_changes"][0]["reason"] =
        json!(EVIL);
    account["integrations"]["partner-okta"]["location"]["file"] = json!(EVIL);
    account["behaviors"]["imp_travel"]["location"]["file"] = json!(EVIL);
    account["unlisted"]["behaviors"] = json!("report");
    let desired: DesiredAccount = serde_json::from_value(account).unwrap();
    let mut live: Value = serde_json::to_value(meddled_with()).unwrap();
    live["behaviors"][EVIL] =
        json!({ "name": EVIL, "description": EVIL, "enabled": true, "risk_level": EVIL });
    live["behaviors"]["high_dlp"]["risk_level"] = json!(EVIL);
    live["integrations"][1]["tenant_url"] = json!(EVIL);
    let live: LiveAccount = serde_json::from_value(live).unwrap();
    let mut plan = fleet();
    plan.accounts[0] = planned(desired, live);
    if let Some(error) = &mut plan.accounts[2].error {
        error.message = EVIL.to_owned();
        error.help = Some(EVIL.to_owned());
    }
    plan
}

/// Returns the drift of an account, changed by a user with a malicious name.
fn evil_drift() -> Run {
    let text = || Some(EVIL.to_owned());
    let author = Author {
        actor: text(),
        method: text(),
        token_name: text(),
        tool: text(),
        time: Timestamp::UNIX_EPOCH,
        entry_id: text(),
        cf_ray: text(),
    };
    let mut run = drift(&evil_plan());
    for change in &mut run.accounts[0].changes {
        change.attribution = vec![FieldAttribution {
            action: AttributedAction::Set,
            fields: vec![Field::Enabled],
            attribution: Attribution::Set {
                author: author.clone(),
            },
        }];
    }
    run
}

/// Returns the text outside of fenced blocks and `<code>`.
pub(crate) fn outside_of_code(markdown: &str) -> String {
    let mut outside = String::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let alone = line.trim();
            assert!(
                !alone.is_empty() && alone.chars().any(|c| !"`~".contains(c)),
                "{line:?} could close the fence"
            );
        } else {
            outside.push_str(line);
            outside.push('\n');
        }
    }
    assert!(!fenced, "a fence stays open");
    while let Some((before, rest)) = outside.split_once("<code>") {
        let (code, after) = rest.split_once("</code>").unwrap();
        assert!(!code.contains(['<', '>', '`', '@', '|', '*']), "{code}");
        outside = format!("{before}{after}");
    }
    // A backtick ends inline code, regardless of its content.
    let lines = outside.lines().map(|line| {
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
        line.split('`').step_by(2).collect::<String>() + "\n"
    });
    outside = lines.collect();
    outside
}

#[test]
fn markdown_stays_markdown_of_ours() {
    let plan = evil_plan();
    for text in [
        shown(&plan, OutputFormat::Markdown),
        markdown(&evil_drift(), MAX_COMMENT_BYTES),
    ] {
        let outside = outside_of_code(&text);
        let ours = [
            "details>",
            "details open>",
            "/details>",
            "summary>",
            "/summary>",
            "b>",
            "/b>",
            "sub>",
            "/sub>",
        ];
        for tag in outside.split('<').skip(1) {
            assert!(ours.iter().any(|known| tag.starts_with(known)), "<{tag}");
        }
        for absent in ["@", "![", "](", "\u{202e}", "\u{1b}"] {
            assert!(!outside.contains(absent), "{absent:?} in {outside}");
        }
        assert!(!text.contains(['\u{202e}', '\u{1b}']));
    }
}

#[test]
fn pages_escape_every_text() {
    let plan = evil_plan();
    for page in [
        shown(&plan, OutputFormat::Html),
        shown(&evil_drift(), OutputFormat::Html),
    ] {
        for absent in ["<script", "<img", "\u{202e}", "\u{1b}"] {
            assert!(!page.contains(absent), "{absent:?}");
        }
        assert!(page.contains("&lt;script&gt;"));
    }
}

#[test]
fn every_other_format_keeps_its_own_form() {
    let plan = evil_plan();
    let drift = evil_drift();
    let render = |format| shown(&drift, format);

    let junit = render(OutputFormat::Junit);
    assert_eq!(elements(&junit, "testsuite"), 3);
    let sarif: Value = serde_json::from_str(&render(OutputFormat::Sarif)).unwrap();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let text = result["message"]["text"].as_str().unwrap();
        assert!(!text.contains("](") && !text.contains(" {0}"), "{text}");
    }
    for format in [
        OutputFormat::Text,
        OutputFormat::Sarif,
        OutputFormat::Junit,
        OutputFormat::Prometheus,
    ] {
        let text = render(format);
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{format}");
    }
    for line in slack::lines(&View::new(&drift, DetailLevel::Grouped)) {
        let is_told = line.contains("&lt;script&gt;");
        assert!(!line.contains(['\u{202e}', '\u{1b}', '\n']), "{line}");
        assert!(!line.contains("<script"), "{line}");
        assert!(is_told || !line.contains("set by"), "{line}");
    }
    let diff = shown(&plan, OutputFormat::Diff);
    assert!(!diff.contains(['\u{202e}', '\u{1b}']), "{diff}");
    assert_eq!(diff.matches("\n```\n").count(), 0);
}

/// 150 creates of 400 bytes and one disabled behavior; and 300 accounts, the last with a deletion and the middle one with a weakening.
#[test]
fn no_padding_hides_what_weakens_deletes_or_was_refused() {
    let mut padded = desired("production.yaml");
    padded.guards.weakening = Default::default();
    let entry = padded.integrations.values().next().unwrap().clone();
    for number in 0..150 {
        let mut entry = entry.clone();
        let name = format!("a{number:03}-{}", "x".repeat(300)).parse().unwrap();
        let tenant_url = format!("https://{}{number}.okta.com", "a".repeat(50))
            .parse()
            .unwrap();
        let reference = ReferenceId::new(format!("r{number}-{}", "y".repeat(300)));
        entry.fields = Fields::of_integration("Okta", tenant_url, reference, true);
        entry.id = None;
        padded.integrations.insert(name, entry);
    }
    let dlp = padded
        .behaviors
        .iter_mut()
        .find(|(key, _)| key.as_str() == "high_dlp");
    let off = || Some(FieldValue::Bool(false));
    dlp.unwrap().1.fields.set(Field::Enabled, off());
    let mut run = fleet();
    run.accounts = vec![planned(padded.clone(), meddled_with())];
    let text = markdown(&run, MAX_COMMENT_BYTES);
    assert!(text.len() <= MAX_COMMENT_BYTES, "{} bytes", text.len());
    assert!(
        text.contains("**Weakens:** `production` `behavior.high_dlp` disabled"),
        "{text}"
    );
    assert!(text.contains("**Cut to fit:**"));

    run.accounts = (0..300)
        .map(|number| {
            let mut account = desired("staging.yaml");
            account.account_id = format!("{number:032x}").parse().unwrap();
            account.name = Some(format!("account-{number}").parse().unwrap());
            let mut live = as_declared();
            let imp_travel = live.behaviors.values_mut().next().unwrap();
            imp_travel
                .fields
                .set(Field::Enabled, Some(FieldValue::Bool(false)));
            if number == 150 {
                let entry = account.behaviors.values_mut().next().unwrap();
                entry.fields.set(Field::Enabled, off());
                imp_travel
                    .fields
                    .set(Field::Enabled, Some(FieldValue::Bool(true)));
            }
            if number == 299 {
                account.unlisted.integrations = UnlistedPolicy::Delete;
                live.integrations = meddled_with().integrations.split_off(1);
            }
            planned(account, live)
        })
        .collect();
    for limit in [20_000, MAX_COMMENT_BYTES] {
        let text = markdown(&run, limit);
        assert!(text.len() <= limit, "{} bytes", text.len());
        let deleted = "`integration[22222222-2222-4222-8222-222222222222]`";
        for severe in [
            "**Weakens:** `account-150`",
            "**Weakens:** `account-299`",
            deleted,
        ] {
            let place = text
                .find(severe)
                .unwrap_or_else(|| panic!("{severe}: {text}"));
            assert!(place < text.find("`account-0`").unwrap_or(usize::MAX));
        }
    }
    assert!(!markdown(&run, MAX_JOB_SUMMARY_BYTES).contains("Cut to fit"));

    // If all findings are severe, all are shown, one per line.
    for (number, account) in run.accounts.iter_mut().enumerate() {
        let error = AccountError {
            kind: FailureKind::Api,
            message: format!("no {number} {}", "z".repeat(100)),
            help: Some("h".repeat(400)),
            cf_ray: None,
        };
        *account = AccountPlan::failed(account.desired(), error);
    }
    let text = markdown(&run, MAX_COMMENT_BYTES);
    assert!(text.len() <= MAX_COMMENT_BYTES, "{} bytes", text.len());
    for number in 0..300 {
        assert!(text.contains(&format!("`account-{number}`: no {number}")));
    }
}

#[test]
fn a_comment_is_cut_between_things_and_says_so() {
    let production = desired("production.yaml");
    let many = |count: u32, length: usize| {
        let mut plan = fleet();
        plan.accounts = (0..count)
            .map(|number| {
                let mut account = production.clone();
                account.account_id = format!("{number:032x}").parse().unwrap();
                account.name = Some(format!("account-{number}").parse().unwrap());
                let mut live = serde_json::to_value(meddled_with()).unwrap();
                live["behaviors"]["high_dlp"]["risk_level"] =
                    json!(format!("{number}{}", "x".repeat(length)));
                planned(account, serde_json::from_value(live).unwrap())
            })
            .collect();
        plan
    };
    // Uncut, many accounts cut, one account cut, and one change larger than the limit.
    for (count, length, cut) in [
        (10, 1, false),
        (500, 1, true),
        (3, 30_000, true),
        (1, 70_000, true),
    ] {
        let text = shown(&many(count, length), OutputFormat::Markdown);
        assert!(text.len() <= 65_536, "{} bytes", text.len());
        assert_eq!(
            text.contains("**Cut to fit:**"),
            cut,
            "{count} accounts, {length} long"
        );
        assert_eq!(
            text.matches("<details").count(),
            text.matches("</details>").count()
        );
        outside_of_code(&text);
    }
}
