//! plan, apply and destroy with the real program: requests, streams, exit codes and the prompt.

use axum::http::Method;
use insta::assert_snapshot;
use riskform::model::field::Field;
use riskform::model::integration::ReferenceId;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::json;

use crate::support::faults::{Execution, Fault, FaultRule};
use crate::support::world::create_in_dashboard;
use crate::support::{SandboxServer, TestDir, serve};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");
const APPLY: [&str; 2] = ["apply", "--auto-approve"];

fn quickstart() -> (SandboxServer, TestDir) {
    let (server, workplace) = serve(QUICKSTART);
    (server, workplace)
}

#[test]
fn plan_only_reads_and_apply_converges() {
    let (server, workplace) = quickstart();
    let plan = workplace.line("plan --detailed-exitcode").exits(2).stdout;
    // Two reads. A level changes, so policies, applications and groups are read as well.
    assert_eq!((server.requests().len(), server.writes()), (2 + 3, 0));
    let applied = workplace.run(&APPLY).exits(0);
    // The table of the plan comes first, and the steps are on stderr.
    let table = plan.split("\nPlan:").next().unwrap();
    assert!(applied.stdout.starts_with(table), "{}", applied.shown());
    assert_eq!(applied.stderr.lines().count(), 3, "{}", applied.shown());
    assert_snapshot!(applied.lines_with("Apply complete"), @"Apply complete: 1 created, 1 updated, 1 deleted. Verified.");
    assert_eq!(server.writes(), 3);
    let again = workplace.run(&APPLY).exits(0);
    assert_eq!(
        again.stdout,
        "No changes. 2 behaviors and 1 integration match.\n1 behavior is unlisted and not managed: high_dlp (on, medium).\n"
    );
    assert_eq!(server.writes(), 3);
    let destroyed = workplace.line("destroy --auto-approve").exits(0);
    assert_snapshot!(destroyed.lines_with("Destroy complete"), @"Destroy complete: 2 disabled, 1 deleted.");
    assert_eq!(server.live().integrations.len(), 0);
}

#[test]
fn sandbox_in_the_process_is_kept_between_runs() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", QUICKSTART);
    // Needs no credentials and ignores other connection settings.
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/");
    workplace.line("apply --sandbox --auto-approve").exits(0);
    let second = workplace.line("apply --sandbox --auto-approve").exits(0);
    assert!(
        second.stdout.starts_with("No changes."),
        "{}",
        second.shown()
    );
    workplace
        .line("plan --sandbox --base-url http://localhost")
        .exits(64);
}

#[test]
fn all_errors_of_a_file_are_reported_before_any_request() {
    let mistakes = include_str!("../fixtures/config/invalid/twelve-mistakes.yaml");
    let server = SandboxServer::start(Settings::default());
    let run = TestDir::with_file(&server, mistakes).run(&APPLY).exits(1);
    assert_eq!(run.stdout, "");
    assert_eq!(format!("\n{}", run.stderr).matches("\nerror").count(), 12);
    assert_snapshot!(run.stderr);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn credentials_are_named_but_not_shown() {
    let (server, workplace) = quickstart();
    let mut missing = TestDir::new();
    missing.set("CLOUDFLARE_BASE_URL", &server.base_url());
    missing.write("riskform.yaml", QUICKSTART);
    missing
        .line("plan")
        .exits(6)
        .says("error: CLOUDFLARE_API_TOKEN is not set");
    assert_eq!(server.requests().len(), 0);
    let mut rejected = workplace;
    rejected.set("CLOUDFLARE_API_TOKEN", "canary-5f1d");
    let run = rejected.line("plan -vv").exits(6);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
}

#[test]
fn verbose_output_has_stages_and_then_requests() {
    let (_server, workplace) = quickstart();
    assert_eq!(workplace.line("plan").stderr, "");
    let stages = workplace.line("plan -v").stderr;
    for stage in ["loaded 1 account", "quickstart: 3 changes"] {
        assert!(stages.contains(stage), "{stages}");
    }
    assert!(!stages.contains("GET"), "{stages}");
    assert!(stages.starts_with("loaded 1 account\n"), "{stages}");
    let requests = workplace.line("plan -vv").stderr;
    for path in ["zt_risk_scoring/behaviors", "zt_risk_scoring/integrations"] {
        let parts = ["GET", path, "200 OK"];
        let lines = requests
            .lines()
            .filter(|line| parts.iter().all(|part| line.contains(part)));
        assert_eq!(lines.count(), 1, "{requests}");
    }
}

#[test]
fn apply_without_terminal_or_auto_approve_fails() {
    let (server, workplace) = quickstart();
    assert_snapshot!(workplace.line("apply").exits(1).stderr, @r###"
    error: cannot ask for approval: no terminal
      help: review the plan, then run again with --auto-approve
    "###);
    assert_eq!(server.writes(), 0);
}

/// "No answer" is shown only without a response. `creates` covers the behavior after each response.
#[test]
fn lost_create_is_reported_with_its_response() {
    let work = Execution::Done;
    for (fault, message) in [
        (
            Fault::CloseAfter,
            "connection closed before message completed",
        ),
        (
            Fault::HalfAnswer,
            "end of file before message length reached",
        ),
        (Fault::BadGateway { work }, "502 Bad Gateway"),
        (
            Fault::ServerError { work },
            "Internal server error (code 40050) [status 500",
        ),
        (
            Fault::WrongJson { work },
            r#"("{\"data\":[],\"status\":\"ok\"}") [status 200"#,
        ),
    ] {
        let server = SandboxServer::with_faults(vec![FaultRule::once(Method::POST, fault)]);
        let run = TestDir::with_file(&server, QUICKSTART).run(&APPLY).exits(0);
        let line = run
            .stderr
            .lines()
            .find(|line| line.contains("checking whether"));
        assert!(
            line.is_some_and(|line| line.contains(message)),
            "{message}: {}",
            run.stderr
        );
    }
}

#[test]
fn unreachable_server_is_named() {
    let mut workplace = TestDir::new();
    // A port that was just free.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/client/v4", listener.local_addr().unwrap());
    drop(listener);
    workplace.set("CLOUDFLARE_BASE_URL", &base_url);
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.line("plan -q --timeout 20").exits(1);
    run.says(&format!(
        "error: GET {base_url}/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/"
    ));
    run.says("cannot connect: Connection refused");
}

#[test]
fn blocked_apply_names_the_overrides() {
    let file = format!("{QUICKSTART}\nguards: {{ max_deletes: 0, weakening: deny }}\n");
    let (server, workplace) = serve(&file);
    let blocked = workplace.run(&APPLY).exits(5);
    blocked.says("Blocked: deletes or replaces 1 integration; the limit is 0");
    blocked.says("weakens protection (deleted), and guards.weakening is deny");
    blocked.says("--max-deletes 1");
    blocked.says("--allow-weakening");
    assert_eq!(server.writes(), 0);
    workplace
        .line("apply --auto-approve --max-deletes 1 --allow-weakening")
        .exits(0);
}

#[test]
fn stdout_is_one_json_document_in_every_outcome() {
    let (_server, workplace) = quickstart();
    workplace.write("broken.yaml", "version: 2");
    for (line, format, code) in [
        ("plan --format json", "riskform.plan/1", 0),
        ("apply --format json", "riskform.error/1", 1),
        ("apply --format json --auto-approve", "riskform.apply/1", 0),
        ("plan broken.yaml --format json", "riskform.error/1", 1),
        ("drift broken.yaml --format json", "riskform.error/1", 1),
        ("drift --nonsense --format json", "riskform.error/1", 64),
        ("plan absent.yaml --format json", "riskform.error/1", 1),
        ("plan --format json --format json", "riskform.error/1", 64),
        (
            "plan --format json --account-id nonsense",
            "riskform.error/1",
            64,
        ),
        (
            "plan --format json --target nothing",
            "riskform.error/1",
            64,
        ),
    ] {
        let run = workplace.line(line).exits(code);
        assert_eq!(run.json()["format"], format, "{line}");
    }
}

#[test]
fn only_yes_approves() {
    for (answer, code, said) in [
        ("yes", 0, "Apply complete"),
        ("y", 1, "not approved; no changes were made"),
        ("YES", 1, "not approved; no changes were made"),
        ("", 1, "not approved; no changes were made"),
    ] {
        let (server, workplace) = quickstart();
        let mut terminal = workplace.terminal(&["apply"]);
        terminal.exp_string("Only 'yes' is accepted: ").unwrap();
        terminal.send_line(answer).unwrap();
        terminal.exp_string(said).unwrap();
        let end = format!("{:?}", terminal.process().wait().unwrap());
        assert!(end.contains(&format!(", {code})")), "{end}");
        assert_eq!(server.writes() > 0, code == 0, "{answer}");
    }
}

#[test]
fn change_during_the_prompt_is_shown_and_asked_about() {
    let (server, workplace) = quickstart();
    let mut terminal = workplace.terminal(&["apply"]);
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    server.set_enabled("high_dlp", false);
    terminal.send_line("yes").unwrap();
    terminal
        .exp_string("behavior.high_dlp: enabled changed from true to false")
        .unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    assert_eq!(server.writes(), 0);
    terminal.send_line("yes").unwrap();
    terminal.exp_string("Apply complete").unwrap();
    // Unlisted resources are unchanged.
    assert!(
        !server
            .live()
            .behaviors
            .values()
            .next()
            .unwrap()
            .fields
            .is_on(Field::Enabled)
    );
}

#[test]
fn identity_provider_is_found_by_its_name() {
    let file = |name: &str| {
        format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  corp: {{ tenant_url: https://corp.okta.com, identity_provider: {name} }}\n"
        )
    };
    let server = SandboxServer::start(Settings::default());
    TestDir::with_file(&server, &file("Nobody"))
        .run(&APPLY)
        .exits(1)
        .says("Nobody");
    assert_eq!(server.writes(), 0);
    TestDir::with_file(&server, &file("Corporate Okta"))
        .run(&APPLY)
        .exits(0);
    let live = server.live().integrations;
    let corp = live
        .iter()
        .find(|one| one.fields.shown(Field::TenantUrl) == "https://corp.okta.com");
    let expected = ReferenceId::new("3701e70b-5de4-4d9d-8972-f5aa994d9057");
    assert_eq!(corp.unwrap().fields.reference_id(), expected.as_ref());
}

#[test]
fn variables_and_provider_are_shown_next_to_their_values() {
    let server = SandboxServer::start(Settings::default());
    server.edit(|account| account.integrations.clear());
    let mut workplace = TestDir::with_file(
        &server,
        &format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors:\n  high_dlp: {{ risk_level: \"${{RISKFORM_VAR_LEVEL}}\" }}\n  \
             \"*\": {{ enabled: \"${{RISKFORM_VAR_ON}}\" }}\nintegrations:\n  \
             corp: {{ tenant_url: \"https://${{RISKFORM_VAR_TENANT}}.okta.com\", identity_provider: Corporate Okta }}\n"
        ),
    );
    for (name, value) in [("TENANT", "corp"), ("LEVEL", "low"), ("ON", "true")] {
        workplace.set(&format!("RISKFORM_VAR_{name}"), value);
    }
    let text = workplace.line("plan").exits(0);
    for part in [
        "medium → low  (${RISKFORM_VAR_LEVEL})",
        "false → true  (${RISKFORM_VAR_ON})",
        "https://corp.okta.com  (${RISKFORM_VAR_TENANT})",
        "3701e70b-5de4-4d9d-8972-f5aa994d9057  (Corporate Okta)",
    ] {
        text.says(part);
    }
    for format in ["markdown", "html"] {
        let run = workplace.run(&["plan", "--format", format]).exits(0);
        run.says("RISKFORM_VAR_TENANT").says("Corporate Okta");
    }
    let json = workplace.line("plan --out saved.plan --format json").json();
    let changes = json["accounts"][0]["changes"].as_array().unwrap().iter();
    let fields = changes.flat_map(|change| change["fields"].as_array().unwrap());
    let sources = fields.filter_map(|field| {
        let source = field.get("variables").or(field.get("identity_provider"))?;
        Some(json!([field["field"], source]))
    });
    let expected = json!([
        ["risk_level", ["RISKFORM_VAR_LEVEL"]],
        ["enabled", ["RISKFORM_VAR_ON"]],
        ["tenant_url", ["RISKFORM_VAR_TENANT"]],
        ["reference_id", "Corporate Okta"],
    ]);
    assert_eq!(json!(sources.collect::<Vec<_>>()), expected);
    workplace
        .line("apply --plan saved.plan --auto-approve")
        .exits(0);
}

#[test]
fn destroy_keeps_the_next_match_of_its_entry() {
    let server = SandboxServer::start(Settings::default());
    // Same tenant as the entry, whose reference matches another integration.
    let neighbor = json!({
        "integration_type": "Okta", "tenant_url": "https://example.oktapreview.com", "reference_id": "r2", "active": true,
    });
    let neighbor = serde_json::from_value(neighbor).unwrap();
    let account = crate::support::account();
    let neighbor = create_in_dashboard(&server.sandbox, &account, neighbor);
    let workplace = TestDir::with_file(
        &server,
        &format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  corp:\n    tenant_url: https://example.oktapreview.com\n    \
             reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057\n"
        ),
    );
    let run = workplace.line("destroy --auto-approve").exits(0);
    assert!(!run.stdout.contains("still there"), "{}", run.stdout);
    // Unchanged, with a warning.
    run.says(&neighbor.to_string());
    let left: Vec<_> = server
        .live()
        .integrations
        .iter()
        .map(|live| live.id)
        .collect();
    assert_eq!(left, [neighbor]);
}
