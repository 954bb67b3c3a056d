//! Names, URLs, levels and reasons that want to be more than text, and results that want to be more than a comment can hold.

use riskform::model::account::{DesiredAccount, LiveAccount};
use riskform::plan::Run;
use riskform::report::{self, DriftFormat, PlanFormat, markdown};
use serde_json::{Value, json};

use super::{desired, drift, fleet, meddled_with, planned};

const EVIL: &str = "</code></pre></details><script>alert(1)</script><img src=x onerror=alert(2)>\n```\n~~~\n# h\n![i](https://evil.example/i) @team {0} ]]> \u{202e}\u{1b}[31m";

/// The production account, with evil wherever foreign text can stand.
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

/// What stands outside of fenced blocks and of `<code>`.
fn outside_of_code(markdown: &str) -> String {
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
    outside
}

#[test]
fn markdown_stays_markdown_of_ours() {
    let plan = evil_plan();
    for text in [
        report::plan(&plan, PlanFormat::Markdown),
        markdown(&drift(&plan)),
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
fn pages_escape_whatever_they_show() {
    let plan = evil_plan();
    for page in [
        report::plan(&plan, PlanFormat::Html),
        report::drift(&drift(&plan), DriftFormat::Html, None),
    ] {
        for absent in ["<script", "<img", "<pre", "\u{202e}", "\u{1b}"] {
            assert!(!page.contains(absent), "{absent:?}");
        }
        assert!(page.contains("&lt;script&gt;"));
    }
}

#[test]
fn every_other_format_keeps_its_own_form() {
    let plan = evil_plan();
    let drift = drift(&plan);
    let render = |format| report::drift(&drift, format, None);

    let junit = quick_junit::Report::deserialize_from_str(&render(DriftFormat::Junit)).unwrap();
    assert_eq!(junit.test_suites.len(), 3);
    let sarif: Value = serde_json::from_str(&render(DriftFormat::Sarif)).unwrap();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let text = result["message"]["text"].as_str().unwrap();
        assert!(!text.contains("](") && !text.contains(" {0}"), "{text}");
    }
    for format in [
        DriftFormat::Text,
        DriftFormat::Sarif,
        DriftFormat::Junit,
        DriftFormat::Prometheus,
    ] {
        let text = anstream::adapter::strip_str(&render(format)).to_string();
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{format}");
    }
    let diff = report::plan(&plan, PlanFormat::Diff);
    assert!(!diff.contains(['\u{202e}', '\u{1b}']), "{diff}");
    assert_eq!(diff.matches("\n```\n").count(), 0);
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
                live["behaviors"]["high_dlp"]["risk_level"] = json!("x".repeat(length));
                planned(account, serde_json::from_value(live).unwrap())
            })
            .collect();
        plan
    };
    // Nothing is cut, many accounts are, one account is within itself, and one change is larger than everything.
    for (count, length, cut) in [
        (10, 1, false),
        (500, 1, true),
        (3, 30_000, true),
        (1, 70_000, true),
    ] {
        let text = report::plan(&many(count, length), PlanFormat::Markdown);
        assert!(text.len() <= 65_536, "{} bytes", text.len());
        assert_eq!(
            text.contains("Cut to fit a comment"),
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
