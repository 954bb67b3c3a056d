//! plan and apply with the real program: output and exit codes.

use axum::http::Method;
use insta::assert_snapshot;
use rexpect::session::spawn_command;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};

use crate::riskform::{SandboxServer, TestDir};
use crate::sandbox::faults::{Execution, Fault, FaultRule};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    assert_snapshot!(workplace.run(&["plan"]).shown(), @r#"
    exit 0
    --- stdout
    quickstart (f037e56e…abbe)  riskform.yaml

      ~ behavior.sentinel_one
          enabled       false → true
          risk_level    medium → high
      + integration.corporate-okta
          tenant_url    https://corp.okta.com
          reference_id  9a1c0f6e-2d4b-4f7a-8c35-6b0e1d2f3a4c
          active        true
      - integration[4cfe8442-664b-4915-acd4-b39cd65c4314]  weakens
          integration_type  Okta
          tenant_url        https://example.oktapreview.com
          reference_id      [id]
          active            true

      note: behavior.sentinel_one: 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk")

    Plan: 1 to create, 1 to update, 0 to replace, 1 to delete. 1 unchanged, 1 unlisted.
    1 change weakens protection: integration[4cfe8442…] (deleted).
    "#);
    assert_eq!(
        server.requests().len(),
        2 + 3,
        "two reads; a level changes, so policies, applications and groups as well"
    );
    assert_eq!(server.writes(), 0);

    assert_eq!(workplace.run(&["plan", "--detailed-exitcode"]).code, 2);
}

#[test]
fn apply_carries_it_out_and_a_second_one_finds_nothing_to_do() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    assert_snapshot!(workplace.run(&["apply", "--auto-approve"]).shown(), @r#"
    exit 0
    --- stdout
    quickstart (f037e56e…abbe)  riskform.yaml

      ~ behavior.sentinel_one
          enabled       false → true
          risk_level    medium → high
      + integration.corporate-okta
          tenant_url    https://corp.okta.com
          reference_id  9a1c0f6e-2d4b-4f7a-8c35-6b0e1d2f3a4c
          active        true
      - integration[4cfe8442-664b-4915-acd4-b39cd65c4314]  weakens
          integration_type  Okta
          tenant_url        https://example.oktapreview.com
          reference_id      [id]
          active            true

      note: behavior.sentinel_one: 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk")

    Plan: 1 to create, 1 to update, 0 to replace, 1 to delete. 1 unchanged, 1 unlisted.
    1 change weakens protection: integration[4cfe8442…] (deleted).

    Paste the well_known_url into Okta: Security > Device Integrations > Receive shared signals > Create stream.

      integration.corporate-okta  https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/[id]

    Apply complete: 1 created, 1 updated, 0 replaced, 1 deleted.
    --- stderr
    [1/3] PUT behavior.sentinel_one: done
    [2/3] POST integration.corporate-okta: done
    [3/3] DELETE integration[4cfe8442-664b-4915-acd4-b39cd65c4314]: done
    "#);
    let writes = server.writes();
    assert_snapshot!(workplace.run(&["apply", "--auto-approve"]).shown(), @r###"
    exit 0
    --- stdout
    No changes. 2 behaviors and 1 integration match.
    "###);
    assert_eq!(server.writes(), writes);
    assert_snapshot!(workplace.run(&["destroy", "--auto-approve"]).shown(), @r#"
    exit 0
    --- stdout
    quickstart (f037e56e…abbe)  riskform.yaml

      ~ behavior.imp_travel                             weakens
          enabled       true → false
      ~ behavior.sentinel_one                           weakens
          enabled       true → false
      - integration.corporate-okta  ([id]…, by reference_id)  weakens
          integration_type  Okta
          tenant_url        https://corp.okta.com
          reference_id      [id]
          active            true

      note: behavior.imp_travel, behavior.sentinel_one: 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk")

    Destroy: 2 to disable, 1 to delete. 0 unchanged, 1 unlisted.
    3 changes weaken protection: behavior.imp_travel (disabled), behavior.sentinel_one (disabled), integration.corporate-okta (deleted).

    Destroy complete: 2 disabled, 1 deleted.
    --- stderr
    [1/2] PUT behavior.imp_travel and 1 more: done
    [2/2] DELETE integration.corporate-okta: done
    "#);
}

#[test]
fn the_simulated_api_within_the_process_is_kept_from_run_to_run() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", QUICKSTART);
    // Needs no credentials and ignores other connection settings.
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/");
    let first = workplace.run(&["apply", "--sandbox", "--auto-approve"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let second = workplace.run(&["apply", "--sandbox", "--auto-approve"]);
    assert_eq!(
        second.stdout,
        "No changes. 2 behaviors and 1 integration match.\n"
    );
    assert_eq!(
        workplace
            .run(&["plan", "--sandbox", "--base-url", "http://localhost"])
            .code,
        64
    );
}

#[test]
fn twelve_mistakes_are_told_in_one_go_and_nothing_is_sent() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write(
        "riskform.yaml",
        include_str!("../fixtures/config/invalid/twelve-mistakes.yaml"),
    );
    let run = workplace.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr.matches("\nerror").count() + usize::from(run.stderr.starts_with("error")),
        12,
        "{}",
        run.stderr
    );
    assert_snapshot!(run.stderr);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn without_credentials_the_variables_are_named() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::new();
    workplace.set("CLOUDFLARE_BASE_URL", &server.base_url());
    workplace.write("riskform.yaml", QUICKSTART);
    assert_snapshot!(workplace.run(&["plan"]).shown(), @r###"
    exit 6
    --- stderr
    error: no credentials for quickstart
      help: set CLOUDFLARE_API_TOKEN, or try --sandbox, which needs no credentials
    "###);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_goes_on_is_told_once_it_is_asked_for() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let told = |flag: &[&str]| workplace.run(&[&["plan"], flag].concat()).stderr;
    assert_eq!(told(&[]), "");
    let stages = told(&["-v"]);
    for stage in ["loaded the files accounts=1", "calling", "planned"] {
        assert!(stages.contains(stage), "{stages}");
    }
    assert!(!stages.contains("GET"), "{stages}");
    let requests = told(&["-vv"]);
    for path in ["zt_risk_scoring/behaviors", "zt_risk_scoring/integrations"] {
        let lines = requests.lines().filter(|line| {
            line.contains("response received method=GET")
                && line.contains(path)
                && line.contains("status=200")
        });
        assert_eq!(lines.count(), 1, "{requests}");
    }
}

#[test]
fn refused_credentials_are_told_without_showing_them() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_API_TOKEN", "canary-5f1d");
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.run(&["plan", "-vv"]);
    assert_eq!(run.code, 6);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
}

#[test]
fn nobody_to_ask_is_an_error_and_nothing_is_written() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.run(&["apply"]);
    assert_eq!(run.code, 1);
    assert_snapshot!(run.stderr, @r###"
    error: cannot ask for approval: no terminal
      help: review the plan, then run again with --auto-approve
    "###);
    assert_eq!(server.writes(), 0);
}

#[test]
fn a_missing_entitlement_says_what_to_ask_for() {
    let server = SandboxServer::start(Settings {
        no_entitlement: true,
        ..Settings::default()
    });
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    assert_snapshot!(workplace.run(&["plan"]).shown(), @r###"
    exit 6
    --- stderr
    error: GET /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/behaviors: the account does not have Risk Scoring: Forbidden (code 3314) [status 403]
      help: Risk Scoring is an Enterprise feature; ask your Cloudflare account team to enable it
    "###);
}

/// "No answer" is shown only without a response.
#[test]
fn what_was_answered_to_a_lost_create_is_told() {
    let work = Execution::Done;
    let fault = |fault: Fault| {
        let rules = vec![FaultRule::once(Method::POST, fault)];
        let server = SandboxServer::with_faults(rules);
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", QUICKSTART);
        let run = workplace.run(&["apply", "--auto-approve"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let shown = run.shown();
        let mut lines = shown.lines();
        lines
            .find(|line| line.contains("checking whether"))
            .unwrap()
            .to_owned()
    };
    assert_snapshot!(fault(Fault::CloseAfter), @"POST integration.corporate-okta: POST http://127.0.0.1:[port]/client/v4/accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations: connection closed: connection closed before message completed; checking whether it was created");
    assert_snapshot!(fault(Fault::HalfAnswer), @"POST integration.corporate-okta: POST http://127.0.0.1:[port]/client/v4/accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations: connection closed: end of file before message length reached; checking whether it was created");
    assert_snapshot!(fault(Fault::BadGateway { work }), @r#"POST integration.corporate-okta: POST /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations: server error ("<html><head><title>502 Bad Gateway</title></head><body><h1>Bad gateway</h1></body></html>") [status 502]; checking whether it was created"#);
    assert_snapshot!(fault(Fault::ServerError { work }), @"POST integration.corporate-okta: POST /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations: server error: Internal server error (code 40050) [status 500]; checking whether it was created");
    assert_snapshot!(fault(Fault::WrongJson { work }), @r#"POST integration.corporate-okta: POST http://127.0.0.1:[port]/client/v4/accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations: unexpected response: expected the new integration, got a response of type application/json that is not from the Cloudflare API ("{\"data\":[],\"status\":\"ok\"}") [status 200]; checking whether it was created"#);
}

#[test]
fn a_dead_server_is_named() {
    let mut workplace = TestDir::new();
    // A port that was just free.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    workplace.set(
        "CLOUDFLARE_BASE_URL",
        &format!("http://{address}/client/v4"),
    );
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    workplace.write("riskform.yaml", QUICKSTART);
    let shown = workplace.run(&["plan", "-q", "--timeout", "20"]).shown();
    // Both reads are concurrent, so either may fail first.
    let shown = shown.replace("/integrations:", "/behaviors:");
    assert_snapshot!(shown, @"
    exit 1
    --- stderr
    error: GET http://127.0.0.1:[port]/client/v4/accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/behaviors: cannot connect: Connection refused (os error 111)
      help: check your network connection and the base URL
    ");
}

#[test]
fn a_guard_refuses_and_its_override_is_named() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let file = format!("{QUICKSTART}\nguards: {{ max_deletes: 0, weakening: deny }}\n");
    workplace.write("riskform.yaml", &file);
    let run = workplace.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, 5);
    let refused: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("Blocked"))
        .collect();
    assert_snapshot!(refused.join("\n"), @"
    Blocked by max_deletes: deletes or replaces 1 integration; the limit is 0; use --max-deletes 1 to allow it
    Blocked by weakening: integration[4cfe8442-664b-4915-acd4-b39cd65c4314]: weakens protection (deleted), and guards.weakening is deny; use --allow-weakening to allow it
    ");
    assert_eq!(server.writes(), 0);
    let overridden = workplace.run(&[
        "apply",
        "--auto-approve",
        "--max-deletes",
        "1",
        "--allow-weakening",
    ]);
    assert_eq!(overridden.code, 0, "{}", overridden.stderr);
}

#[test]
fn standard_output_is_one_json_document_whatever_happens() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    workplace.write("broken.yaml", "version: 2");
    let table: &[(&[&str], &str, i32)] = &[
        (&["plan", "--format", "json"], "riskform.plan/1", 0),
        (&["apply", "--format", "json"], "riskform.error/1", 1),
        (
            &["apply", "--format", "json", "--auto-approve"],
            "riskform.apply/1",
            0,
        ),
        (
            &["plan", "broken.yaml", "--format", "json"],
            "riskform.error/1",
            1,
        ),
        (
            &["plan", "absent.yaml", "--format", "json"],
            "riskform.error/1",
            1,
        ),
        (
            &["plan", "--format", "json", "--format", "json"],
            "riskform.error/1",
            64,
        ),
        (
            &["plan", "--format", "json", "--account-id", "nonsense"],
            "riskform.error/1",
            64,
        ),
        (
            &["plan", "--format", "json", "--target", "nothing"],
            "riskform.error/1",
            64,
        ),
    ];
    for (arguments, format, code) in table {
        let run = workplace.run(arguments);
        let document: serde_json::Value = serde_json::from_str(&run.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", run.stdout));
        assert_eq!(document["format"], *format, "{arguments:?}");
        assert_eq!(run.code, *code, "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn only_yes_approves() {
    for (answer, code) in [("yes", 0), ("y", 1), ("YES", 1), ("", 1)] {
        let server = SandboxServer::start(Settings::default());
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", QUICKSTART);
        let mut terminal =
            spawn_command(on_a_terminal(&workplace, &["apply"]), Some(20_000)).unwrap();
        terminal.exp_string("Only 'yes' is accepted: ").unwrap();
        terminal.send_line(answer).unwrap();
        if code == 0 {
            terminal.exp_string("Apply complete").unwrap();
        } else {
            terminal
                .exp_string("not approved; no changes were made")
                .unwrap();
        }
        let end = terminal.process().wait().unwrap();
        assert!(
            format!("{end:?}").contains(&format!(", {code})")),
            "{end:?}"
        );
        assert_eq!(server.writes() > 0, code == 0, "{answer}");
    }
}

#[test]
fn what_moved_while_the_question_stood_is_shown_and_asked_about_again() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let mut terminal = spawn_command(on_a_terminal(&workplace, &["apply"]), Some(20_000)).unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    let account = riskform::sandbox::RECORDED_ACCOUNT.parse().unwrap();
    server
        .sandbox
        .edit(&account, |account| {
            account
                .behaviors
                .values_mut()
                .next()
                .unwrap()
                .settings
                .enabled = false;
        })
        .unwrap();
    terminal.send_line("yes").unwrap();
    terminal
        .exp_string("behavior.high_dlp: enabled changed from true to false")
        .unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    assert_eq!(server.writes(), 0);
    terminal.send_line("yes").unwrap();
    terminal.exp_string("Apply complete").unwrap();
    let live = server.sandbox.live(&account);
    // Unlisted resources are unchanged.
    assert!(!live.behaviors.values().next().unwrap().settings.enabled);
}

/// Runs the program on a terminal.
fn on_a_terminal(workplace: &TestDir, arguments: &[&str]) -> std::process::Command {
    let mut command = workplace.command(arguments);
    // Set by the terminal.
    command.stdin(std::process::Stdio::inherit());
    command
}

#[test]
fn an_identity_provider_is_found_by_its_name_and_a_wrong_name_writes_nothing() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let file = |name: &str| {
        format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  corp: {{ tenant_url: https://corp.okta.com, identity_provider: {name} }}\n"
        )
    };
    workplace.write("riskform.yaml", &file("Nobody"));
    let run = workplace.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("Nobody"), "{}", run.stderr);
    assert_eq!(server.writes(), 0);

    workplace.write("riskform.yaml", &file("Corporate Okta"));
    let run = workplace.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let account = RECORDED_ACCOUNT.parse().unwrap();
    let live = server.sandbox.live(&account);
    let mut integrations = live.integrations.iter();
    let corp = integrations.find(|one| one.settings.tenant_url.as_str() == "https://corp.okta.com");
    let reference = corp.and_then(|one| one.settings.reference_id.as_ref());
    assert_eq!(
        reference.map(|reference| reference.as_str()),
        Some("3701e70b-5de4-4d9d-8972-f5aa994d9057")
    );
}

#[test]
fn a_plan_names_the_variables_and_the_provider_beside_the_values_they_gave() {
    let server = SandboxServer::start(Settings::default());
    let nothing_there = |account: &mut riskform::sandbox::Account| account.integrations.clear();
    server
        .sandbox
        .edit(&RECORDED_ACCOUNT.parse().unwrap(), nothing_there)
        .unwrap();
    let mut workplace = TestDir::with(&server);
    workplace.set("RISKFORM_VAR_TENANT", "corp");
    workplace.set("RISKFORM_VAR_LEVEL", "low");
    workplace.set("RISKFORM_VAR_ON", "true");
    workplace.write(
        "riskform.yaml",
        &format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors:\n  high_dlp: {{ risk_level: \"${{RISKFORM_VAR_LEVEL}}\" }}\n  \
             \"*\": {{ enabled: \"${{RISKFORM_VAR_ON}}\" }}\nintegrations:\n  \
             corp: {{ tenant_url: \"https://${{RISKFORM_VAR_TENANT}}.okta.com\", identity_provider: Corporate Okta }}\n"
        ),
    );
    for (format, parts) in [
        (
            "text",
            &[
                "medium → low  (${RISKFORM_VAR_LEVEL})",
                "false → true  (${RISKFORM_VAR_ON})",
                "https://corp.okta.com  (${RISKFORM_VAR_TENANT})",
                "3701e70b-5de4-4d9d-8972-f5aa994d9057  (Corporate Okta)",
            ][..],
        ),
        ("markdown", &["RISKFORM_VAR_TENANT", "Corporate Okta"]),
        ("html", &["${RISKFORM_VAR_TENANT}", "(Corporate Okta)"]),
    ] {
        let run = workplace.run(&["plan", "--format", format]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        for part in parts {
            assert!(
                run.stdout.contains(part),
                "{format}: {part}\n{}",
                run.stdout
            );
        }
    }
    let run = workplace.run(&["plan", "--out", "saved.plan", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let changes = json["accounts"][0]["changes"].as_array().unwrap();
    let fields = changes
        .iter()
        .flat_map(|change| change["fields"].as_array().unwrap());
    let sources = fields.filter_map(|field| {
        let source = field.get("variables").or(field.get("identity_provider"))?;
        Some(format!("{} {source}", field["field"].as_str().unwrap()))
    });
    assert_eq!(
        sources.collect::<Vec<_>>(),
        [
            r#"risk_level ["RISKFORM_VAR_LEVEL"]"#,
            r#"enabled ["RISKFORM_VAR_ON"]"#,
            r#"tenant_url ["RISKFORM_VAR_TENANT"]"#,
            r#"reference_id "Corporate Okta""#,
        ]
    );
    let applied = workplace.run(&["apply", "--plan", "saved.plan", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
}

#[test]
fn destroy_reads_back_what_it_deleted_and_nothing_that_its_entries_would_match_next() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let account = RECORDED_ACCOUNT.parse().unwrap();
    // Same tenant as the entry, whose reference matches another integration.
    let neighbor = serde_json::json!({
        "integration_type": "Okta", "tenant_url": "https://example.oktapreview.com", "reference_id": "r2", "active": true,
    });
    let neighbor = serde_json::from_value(neighbor).unwrap();
    let neighbor = server
        .sandbox
        .create_in_dashboard(&account, neighbor)
        .unwrap()
        .id;
    workplace.write(
        "riskform.yaml",
        &format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  corp:\n    tenant_url: https://example.oktapreview.com\n    \
             reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057\n"
        ),
    );
    let run = workplace.run(&["destroy", "--auto-approve"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("still there"), "{}", run.stdout);
    // Unchanged, with a warning.
    assert!(run.stdout.contains(&neighbor.to_string()), "{}", run.stdout);
    let live = server.sandbox.live(&account);
    let left: Vec<_> = live.integrations.iter().map(|live| live.id).collect();
    assert_eq!(left, [neighbor]);
}
