//! All formats of one result: accounts with drift, without changes, and with an error.

use std::time::Duration;

use insta::assert_snapshot;
use riskform::plan::Format;
use riskform::report::{self, DetailLevel, OutputFormat, RunMetrics};
use serde_json::Value;

use super::{desired, drift, fleet, meddled_with, planned, run, shown};

const FIGURES: RunMetrics = RunMetrics {
    elapsed: Duration::from_millis(1500),
    requests: 6,
    retries: 1,
};

fn drift_as(format: OutputFormat) -> String {
    let text = report::run(
        &drift(&fleet()),
        format,
        DetailLevel::Grouped,
        Some(&FIGURES),
        &str::to_owned,
    );
    anstream::adapter::strip_str(&text).to_string()
}

fn plan_as(format: OutputFormat) -> String {
    shown(&fleet(), format)
}

#[test]
fn equal_results_give_equal_bytes() {
    for format in OutputFormat::ALL {
        assert_eq!(drift_as(*format), drift_as(*format), "{format}");
        assert_eq!(plan_as(*format), plan_as(*format), "{format}");
    }
}

#[test]
fn drift_as_text_says_what_is() {
    assert_snapshot!(drift_as(OutputFormat::Text));
}

#[test]
fn drift_as_markdown() {
    assert_snapshot!(drift_as(OutputFormat::Markdown));
}

#[test]
fn a_plan_as_markdown() {
    assert_snapshot!(plan_as(OutputFormat::Markdown));
}

/// Unlisted resources, and the matched integration of each entry.
#[test]
fn titles_say_what_declares_it_and_which_integration_it_is() {
    let plan = planned(desired("star.yaml"), meddled_with());
    let plan = run(Format::Plan, vec![plan]);
    let titles = |text: &str, symbols: &[char]| {
        let is_title = |line: &&str| line.trim_start().starts_with(symbols) && line.contains("  (");
        let text = anstream::adapter::strip_str(text).to_string();
        let lines: Vec<String> = text.lines().filter(is_title).map(str::to_owned).collect();
        lines.join("\n")
    };
    assert_snapshot!(titles(&shown(&plan, OutputFormat::Text), &['~']), @r#"
    ~ integration.old-okta  (22222222…, by tenant_url)           weakens
    ~ behavior.imp_travel  (by "*")
    ~ integration.partner-okta  (11111111…, by id)
    "#);
    assert_snapshot!(titles(&shown(&drift(&plan), OutputFormat::Text), &['~']), @r#"
    ~ behavior.imp_travel  (by "*")                              weaker: off, declared on
    ~ integration.partner-okta  (11111111…, by id)               weaker: inactive, declared active
    ~ integration.old-okta  (22222222…, by tenant_url)           active, declared inactive
    "#);
    let markdown = shown(&plan, OutputFormat::Markdown).replace(" (", "  (");
    assert_snapshot!(titles(&markdown, &['!', '+']), @r#""#);
    let page = shown(&plan, OutputFormat::Html);
    for origin in [
        "(by &quot;*&quot;)",
        "(11111111…, by id)",
        "(22222222…, by tenant_url)",
    ] {
        assert!(page.contains(origin), "{origin}");
    }
}

#[test]
fn a_plan_as_diff() {
    assert_snapshot!(plan_as(OutputFormat::Diff));
}

#[test]
fn drift_as_junit() {
    assert_snapshot!(drift_as(OutputFormat::Junit));
}

#[test]
fn drift_as_metrics() {
    assert_snapshot!(drift_as(OutputFormat::Prometheus));
}

#[test]
fn drift_as_sarif_points_to_the_lines_that_declare_it() {
    let log: Value = serde_json::from_str(&drift_as(OutputFormat::Sarif)).unwrap();
    let run = &log["runs"][0];
    let lines: Vec<String> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            let rule =
                &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            format!(
                "{} {}:{} {}",
                result["level"].as_str().unwrap(),
                place["artifactLocation"]["uri"].as_str().unwrap(),
                place["region"]["startLine"],
                result["message"]["text"].as_str().unwrap()
            )
        })
        .collect();
    assert_snapshot!(lines.join("\n"));
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notification = &invocation["toolExecutionNotifications"][0];
    assert_snapshot!(notification["message"]["text"].as_str().unwrap(), @"lost could not be read: GET /accounts/00000000000000000000000000000002/zt_risk_scoring/behaviors: 403 Forbidden");
}

#[test]
fn page_is_self_contained_and_has_no_script() {
    for page in [drift_as(OutputFormat::Html), plan_as(OutputFormat::Html)] {
        for absent in [
            "<script",
            "<link",
            "<img",
            "src=",
            "@import",
            "url(",
            "http-equiv=\"refresh\"",
        ] {
            assert!(!page.contains(absent), "{absent}");
        }
        for present in [
            "default-src 'none'",
            "prefers-color-scheme: dark",
            "<main>",
            "<article ",
        ] {
            assert!(page.contains(present), "{present}");
        }
        for label in [
            "production",
            "staging",
            "lost",
            "behavior.imp_travel",
            "Zero Trust Read",
        ] {
            assert!(page.contains(label), "{label}");
        }
    }
}
