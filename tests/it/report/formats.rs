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
    assert_snapshot!(drift_as(OutputFormat::Text), @r#"
    1 account failed: lost
      error: 403 Forbidden
      help: give the token the permission Zero Trust Read

    production (023e105f…c353)  tests/fixtures/report/production.yaml

      ~ behavior.imp_travel                                        weaker: off, declared on
      - integration.corporate-okta                                 weaker: missing
          tenant_url    https://corp.okta.com
          reference_id  3701e70b-5de4-4d9d-8972-f5aa994d9057
          active        true
      ? integration[22222222-2222-4222-8222-222222222222]          unlisted, active: receives risk scores
          https://old.okta.com
          to delete it:  riskform destroy --target 'production/integration[22222222-2222-4222-8222-222222222222]'
          to keep it, add to tests/fixtures/report/production.yaml:
            integrations:
              old-okta-com:
                tenant_url: https://old.okta.com
                id: 22222222-2222-4222-8222-222222222222
      ~ behavior.high_dlp                                          medium, declared low

      note: behavior.high_dlp: Access policies match levels exactly; policies on low do not match the live level medium
      note: integration.partner-okta: ignoring active (live false, declared true) until 2026-12-31: "Okta migration"

    Drift in 1 of 3 accounts: 2 weaker, 1 unlisted integration, 1 other difference. 1 as declared.
    1 of 3 accounts failed.
    "#);
}

#[test]
fn drift_as_markdown() {
    assert_snapshot!(drift_as(OutputFormat::Markdown), @r#"
    ### riskform drift: 2 weaker, 1 unlisted integration, 1 other differs, 1 failed (3 accounts)

    **1 account failed:** `lost`: 403 Forbidden

    **Weaker:** `production` `behavior.imp_travel` is off, declared on.

    **Weaker:** `production` `integration.corporate-okta` `is missing: tenant_url https://corp.okta.com, reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057, active true`.

    **Unlisted integration:** `production` `https://old.okta.com`, active: receives risk scores.
    Delete it with `riskform destroy --target 'production/integration[22222222-2222-4222-8222-222222222222]'`, or add it to `tests/fixtures/report/production.yaml`.

    `production`: `behavior.high_dlp` is medium, declared low.

    <details><summary>Less severe: 2 items</summary>

    **Note:** `production` behavior.high_dlp: Access policies match levels exactly; policies on low do not match the live level medium.

    **Note:** `production` integration.partner-okta: ignoring active (live false, declared true) until 2026-12-31: "Okta migration".

    </details>

    <details><summary>1 account as declared</summary>

    `staging`

    </details>

    <sub>2026-11-22 10:00 UTC · riskform 0.1.0 · `https://api.cloudflare.com/client/v4`</sub>
    "#);
}

#[test]
fn a_plan_as_markdown() {
    assert_snapshot!(plan_as(OutputFormat::Markdown), @r#"
    ### riskform plan: 1 to create, 2 to update, 1 weakens protection, 1 blocked, 1 failed (3 accounts)

    **1 account failed:** `lost`: 403 Forbidden

    **Blocked:** `production` `behavior.high_dlp` weakens protection (lowered), and guards.weakening is deny.
    Plan again with --allow-weakening.

    **Weakens:** `production` `behavior.high_dlp` lowered: risk_level medium → low.

    **Create:** `production` `integration.corporate-okta` `tenant_url https://corp.okta.com, reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057, active true`.

    **Unlisted integration:** `production` `https://old.okta.com`, active: receives risk scores.
    Delete it with `riskform destroy --target 'production/integration[22222222-2222-4222-8222-222222222222]'`, or add it to `tests/fixtures/report/production.yaml`.

    **Update:** `production` `behavior.imp_travel` enabled false → true.

    <details><summary>Less severe: 3 items</summary>

    **Note:** `production` behavior.high_dlp: Access policies match levels exactly; policies on medium will not match low.

    **Note:** `production` `integration.corporate-okta: created, while unlisted integrations keep receiving scores; to use one of them, set 'id:' to 22222222-2222-4222-8222-222222222222`.

    **Note:** `production` integration.partner-okta: ignoring active (live false, declared true) until 2026-12-31: "Okta migration".

    </details>

    <details><summary>1 account without changes</summary>

    `staging`

    </details>

    <sub>2026-11-22 10:00 UTC · riskform 0.1.0 · `https://api.cloudflare.com/client/v4`</sub>
    "#);
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
    assert_snapshot!(plan_as(OutputFormat::Diff), @r#"
    --- live/production
    +++ planned/production
    @@ -3,8 +3,8 @@
     name: production
     
     behaviors:
    -  high_dlp: { enabled: true, risk_level: medium }
    -  imp_travel: { enabled: false, risk_level: high }
    +  high_dlp: { enabled: true, risk_level: low }
    +  imp_travel: { enabled: true, risk_level: high }
       sentinel_one: { enabled: true, risk_level: high }
     
     integrations:
    @@ -13,6 +13,11 @@
         tenant_url: https://old.okta.com
         active: true
         id: "22222222-2222-4222-8222-222222222222"
    +  corporate-okta:
    +    integration_type: Okta
    +    tenant_url: https://corp.okta.com
    +    reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057
    +    active: true
       partner-okta:
         integration_type: Okta
         tenant_url: https://partner.okta.com
    # lost: GET /accounts/00000000000000000000000000000002/zt_risk_scoring/behaviors: 403 Forbidden
    "#);
}

#[test]
fn drift_as_junit() {
    assert_snapshot!(drift_as(OutputFormat::Junit), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="riskform drift" tests="8" failures="4" errors="1" skipped="0">
      <testsuite name="production" tests="6" failures="4" errors="0" skipped="0">
        <properties>
          <property name="source" value="tests/fixtures/report/production.yaml"/>
        </properties>
        <testcase name="behavior.imp_travel" classname="production">
          <failure message="behavior.imp_travel is off, declared on" type="weaker">declared at tests/fixtures/report/production.yaml:5:3</failure>
        </testcase>
        <testcase name="integration.corporate-okta" classname="production">
          <failure message="integration.corporate-okta is missing" type="weaker">integration_type: Okta
    tenant_url: https://corp.okta.com
    reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057
    active: true
    declared at tests/fixtures/report/production.yaml:9:3</failure>
        </testcase>
        <testcase name="behavior.high_dlp" classname="production">
          <failure message="behavior.high_dlp is medium, declared low" type="differs">declared at tests/fixtures/report/production.yaml:6:3</failure>
        </testcase>
        <testcase name="integration[22222222-2222-4222-8222-222222222222]" classname="production">
          <failure message="integration[22222222-2222-4222-8222-222222222222] (https://old.okta.com) is unlisted" type="unlisted_active">integration_type: Okta
    tenant_url: https://old.okta.com
    reference_id: (unset)
    active: true</failure>
        </testcase>
        <testcase name="behavior.sentinel_one" classname="production"/>
        <testcase name="integration.partner-okta" classname="production"/>
      </testsuite>
      <testsuite name="staging" tests="1" failures="0" errors="0" skipped="0">
        <properties>
          <property name="source" value="tests/fixtures/report/staging.yaml"/>
        </properties>
        <testcase name="behavior.imp_travel" classname="staging"/>
      </testsuite>
      <testsuite name="lost" tests="1" failures="0" errors="1" skipped="0">
        <properties>
          <property name="source" value="tests/fixtures/report/staging.yaml"/>
        </properties>
        <testcase name="read" classname="lost">
          <error message="GET /accounts/00000000000000000000000000000002/zt_risk_scoring/behaviors: 403 Forbidden" type="read">help: give the token the permission Zero Trust Read</error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn drift_as_metrics() {
    assert_snapshot!(drift_as(OutputFormat::Prometheus), @r#"
    # HELP riskform_run_seconds Duration of the run.
    # TYPE riskform_run_seconds gauge
    riskform_run_seconds 1.5
    # HELP riskform_api_requests Requests sent to the API during the run.
    # TYPE riskform_api_requests gauge
    riskform_api_requests 6
    # HELP riskform_api_retries Retried requests during the run.
    # TYPE riskform_api_retries gauge
    riskform_api_retries 1
    # HELP riskform_drift Resources that differ from the desired state.
    # TYPE riskform_drift gauge
    riskform_drift{account="production",kind="behavior",action="update"} 2
    riskform_drift{account="production",kind="integration",action="create"} 1
    riskform_drift{account="production",kind="integration",action="update"} 0
    riskform_drift{account="production",kind="integration",action="replace"} 0
    riskform_drift{account="production",kind="integration",action="delete"} 0
    riskform_drift{account="staging",kind="behavior",action="update"} 0
    riskform_drift{account="staging",kind="integration",action="create"} 0
    riskform_drift{account="staging",kind="integration",action="update"} 0
    riskform_drift{account="staging",kind="integration",action="replace"} 0
    riskform_drift{account="staging",kind="integration",action="delete"} 0
    # HELP riskform_drift_weaker Differences that weaken protection.
    # TYPE riskform_drift_weaker gauge
    riskform_drift_weaker{account="production",kind="behavior"} 1
    riskform_drift_weaker{account="production",kind="integration"} 1
    riskform_drift_weaker{account="staging",kind="behavior"} 0
    riskform_drift_weaker{account="staging",kind="integration"} 0
    # HELP riskform_unlisted Unlisted live resources.
    # TYPE riskform_unlisted gauge
    riskform_unlisted{account="production",kind="behavior",policy="keep"} 0
    riskform_unlisted{account="production",kind="behavior",policy="report"} 0
    riskform_unlisted{account="production",kind="integration",policy="keep"} 0
    riskform_unlisted{account="production",kind="integration",policy="report"} 1
    riskform_unlisted{account="staging",kind="behavior",policy="keep"} 0
    riskform_unlisted{account="staging",kind="behavior",policy="report"} 0
    riskform_unlisted{account="staging",kind="integration",policy="keep"} 0
    riskform_unlisted{account="staging",kind="integration",policy="report"} 0
    # HELP riskform_ambiguous Entries that cannot be matched or planned.
    # TYPE riskform_ambiguous gauge
    riskform_ambiguous{account="production"} 0
    riskform_ambiguous{account="staging"} 0
    # HELP riskform_account_failed 1 if the account could not be checked, else 0.
    # TYPE riskform_account_failed gauge
    riskform_account_failed{account="production"} 0
    riskform_account_failed{account="staging"} 0
    riskform_account_failed{account="lost"} 1
    # HELP riskform_last_success_timestamp_seconds Time of the last check of an account.
    # TYPE riskform_last_success_timestamp_seconds gauge
    riskform_last_success_timestamp_seconds{account="production"} 1795341600
    riskform_last_success_timestamp_seconds{account="staging"} 1795341600
    # EOF
    "#);
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
    assert_snapshot!(lines.join("\n"), @r#"
    error tests/fixtures/report/production.yaml:5 production: behavior.imp_travel is off, declared on
    error tests/fixtures/report/production.yaml:9 production: integration.corporate-okta is missing
    integration_type: Okta
    tenant_url: https://corp.okta.com
    reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057
    active: true
    warning tests/fixtures/report/production.yaml:6 production: behavior.high_dlp is medium, declared low
    error tests/fixtures/report/production.yaml:null production: integration[22222222-2222-4222-8222-222222222222] (https://old.okta.com) is unlisted
    integration_type: Okta
    tenant_url: https://old.okta.com
    reference_id: (unset)
    active: true
    "#);
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notification = &invocation["toolExecutionNotifications"][0];
    assert_snapshot!(notification["message"]["text"].as_str().unwrap(), @"lost could not be read: GET /accounts/00000000000000000000000000000002/zt_risk_scoring/behaviors: 403 Forbidden");
}

#[test]
fn a_page_holds_all_it_needs_and_runs_nothing() {
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
