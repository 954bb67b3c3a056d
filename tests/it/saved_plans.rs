//! `plan --out`, `show` and `apply --plan`; rollback files; audit logs; cancellation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use riskform::model::account::AccountId;
use riskform::sandbox::{DEFAULT_TOKEN, RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::riskform::{SandboxServer, TestDir};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");

fn account() -> AccountId {
    RECORDED_ACCOUNT.parse().unwrap()
}

/// Returns a served sandbox and a directory with a saved plan of the quickstart.
fn with_saved_plan() -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.run(&["plan", "--out", "plan.json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    (server, workplace)
}

#[test]
fn a_saved_plan_is_private_holds_no_secret_and_is_carried_out_as_it_is() {
    let (server, workplace) = with_saved_plan();
    let file = workplace.path("plan.json");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!fs::read_to_string(&file).unwrap().contains(DEFAULT_TOKEN));

    let shown = workplace.run(&["show", "plan.json"]);
    assert_eq!(shown.stdout, workplace.run(&["plan"]).stdout);

    // The approved plan decides, even if the file has changed since.
    workplace.write("riskform.yaml", "version: 1");
    let run = workplace.run(&["apply", "--plan", "plan.json", "--auto-approve"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout
            .contains("Apply complete: 1 created, 1 updated, 0 replaced, 1 deleted.")
    );
    assert_eq!(server.writes(), 3);
}

#[test]
fn a_stale_plan_is_refused_with_each_field_that_moved() {
    let (server, workplace) = with_saved_plan();
    server
        .sandbox
        .edit(&account(), |account| {
            account
                .behaviors
                .values_mut()
                .next()
                .unwrap()
                .settings
                .enabled = false;
            account
                .integrations
                .values_mut()
                .next()
                .unwrap()
                .settings
                .active = false;
        })
        .unwrap();
    let run = workplace.run(&["apply", "--plan", "plan.json", "--auto-approve"]);
    assert_eq!(run.code, 4);
    insta::assert_snapshot!(run.stderr, @"
    error: the plan is stale
      quickstart: behavior.high_dlp: enabled changed from true to false
      quickstart: integration[4cfe8442-664b-4915-acd4-b39cd65c4314]: active changed from true to false
      help: run `riskform plan --out` again and review the new plan
    ");
    assert_eq!(server.writes(), 0);
}

#[test]
fn a_plan_that_is_not_what_it_was_is_refused_each_in_its_own_words() {
    let (server, workplace) = with_saved_plan();
    let text = fs::read_to_string(workplace.path("plan.json")).unwrap();
    let table: &[(&str, String, &[&str], &str, i32)] = &[
        (
            "truncated",
            text[..text.len() / 2].to_owned(),
            &[],
            "cannot use the saved plan other.json: not a valid saved plan: EOF",
            1,
        ),
        (
            "a changed byte",
            text.replacen("\"enabled\":true", "\"enabled\":false", 1),
            &[],
            "the file was changed after it was saved",
            1,
        ),
        (
            "a newer format",
            text.replacen("riskform.saved-plan/1", "riskform.saved-plan/2", 1),
            &[],
            "unknown format riskform.saved-plan/2",
            1,
        ),
        (
            "no plan at all",
            "hello".to_owned(),
            &[],
            "not a valid saved plan",
            1,
        ),
        (
            "the JSON of a plan",
            workplace.run(&["plan", "--format", "json"]).stdout,
            &[],
            "unknown format riskform.plan/1, expected riskform.saved-plan/1\n  help: save the plan with `riskform plan --out FILE`",
            1,
        ),
        (
            "another account",
            text.clone(),
            &["--account-id", "00000000000000000000000000000000"],
            "the plan is for account f037e56e89293a057740de681ac9abbe",
            1,
        ),
        (
            "another API",
            text.clone(),
            &["--base-url", "http://localhost:1/"],
            "the plan is for http",
            1,
        ),
        (
            "an override",
            text.clone(),
            &["--max-deletes", "3"],
            "cannot be used with",
            64,
        ),
        (
            "a target",
            text.clone(),
            &["--target", "behavior.*"],
            "cannot be used with",
            64,
        ),
    ];
    for (name, content, flags, message, code) in table {
        workplace.write("other.json", content);
        let mut arguments = vec!["apply", "--plan", "other.json", "--auto-approve"];
        arguments.extend(*flags);
        let run = workplace.run(&arguments);
        assert!(run.stderr.contains(message), "{name}: {}", run.stderr);
        assert_eq!(run.code, *code, "{name}");
    }
    assert_eq!(server.writes(), 0);
}

/// Returns the plan file with a change and a matching digest.
fn doctored(workplace: &TestDir, change: impl Fn(&mut Value)) {
    let mut plan: Value = serde_json::from_str(&workplace.read("plan.json")).unwrap();
    change(&mut plan);
    let mut covered = plan.clone();
    for name in ["created_at", "digest"] {
        covered.as_object_mut().unwrap().remove(name);
    }
    plan["digest"] = riskform::plan::sha256(&covered).into();
    workplace.write("doctored.json", &plan.to_string());
}

/// An attacker can recompute the digest, so the file holds inputs only, and nothing in it is trusted.
#[test]
fn edited_saved_plan_sends_nothing() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    workplace.set("GH_TOKEN", DEFAULT_TOKEN);
    workplace.write("one.yaml", QUICKSTART);
    let other = QUICKSTART
        .replace(RECORDED_ACCOUNT, "00000000000000000000000000000000")
        .replace("quickstart", "other")
        .replace("imp_travel", "imp_travle");
    workplace.write("two.yaml", &other);
    let planned = workplace.run(&["plan", ".", "--out", "plan.json"]);
    assert_ne!(planned.code, 0, "{}", planned.shown());
    let table: &[(&str, &dyn Fn(&mut Value), &str, i32)] = &[
        (
            "an account with an error",
            &|plan| {
                let account = &mut plan["accounts"][0];
                account["error"] = json!({ "kind": "entitlement", "message": "no" });
                account["desired"]["unlisted"]["integrations"] = "delete".into();
                account["desired"]["api_token_env"] = "GH_TOKEN".into();
            },
            "unexpected member or value at accounts.0.error",
            1,
        ),
        (
            "a result",
            &|plan| plan["summary"] = json!({ "failed_accounts": 2 }),
            "unknown field `summary`",
            1,
        ),
        (
            "an operation",
            &|plan| plan["accounts"][0]["operations"] = json!([{ "method": "DELETE" }]),
            "unexpected member or value at accounts.0.operations",
            1,
        ),
        (
            "no options",
            &|plan| plan["options"] = Value::Null,
            "not a valid saved plan: options",
            1,
        ),
        (
            "a member of a live integration",
            &|plan| plan["accounts"][0]["live"]["integrations"][0]["settings"] = Value::Null,
            "unexpected member or value at accounts.0.live.integrations.0.settings",
            1,
        ),
        (
            "another token",
            &|plan| plan["accounts"][0]["desired"]["api_token_env"] = "GH_TOKEN".into(),
            "api_token_env must name a variable that starts with CLOUDFLARE_",
            1,
        ),
        (
            "another version",
            &|plan| plan["riskform_version"] = "0.0.1".into(),
            "the plan was created by riskform 0.0.1",
            4,
        ),
    ];
    let before = server.requests().len();
    for (name, change, message, code) in table {
        doctored(&workplace, change);
        for command in [&["show"][..], &["apply", "--auto-approve", "--plan"]] {
            let run = workplace.run(&[command, &["doctored.json"]].concat());
            assert!(run.stderr.contains(message), "{name}: {}", run.stderr);
            assert_eq!(run.code, *code, "{name}");
        }
    }
    assert_eq!(server.requests().len(), before);

    // Another intent is another plan: `show` shows what `apply` sends.
    doctored(&workplace, |plan| {
        plan["options"]["intent"] = "destroy".into()
    });
    let shown = workplace.run(&["show", "doctored.json"]);
    assert!(shown.stdout.contains("disable"), "{}", shown.stdout);
    assert_eq!(server.writes(), 0);
}

#[test]
fn blocked_saved_plan_is_shown_with_its_violations() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let file = "behaviors:\n  imp_travel: { enabled: false }\nguards: { weakening: deny }\n";
    let file = format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{file}");
    workplace.write("riskform.yaml", &file);
    workplace.write("limits.yaml", "version: 1\nguards: { weakening: deny }\n");
    let plan = ["plan", "--limits", "limits.yaml", "--out", "plan.json"];
    let planned = workplace.run(&plan);
    assert_eq!(planned.code, 5, "{}", planned.shown());
    // No command applies this plan.
    assert!(
        planned.stderr.contains("digest sha256:"),
        "{}",
        planned.stderr
    );
    assert!(
        !planned.stderr.contains("riskform apply"),
        "{}",
        planned.stderr
    );
    for format in ["text", "json", "markdown", "html"] {
        let shown = workplace.run(&["show", "plan.json", "--format", format]);
        assert_eq!(shown.code, 0, "{format}: {}", shown.stderr);
        assert!(
            shown
                .stdout
                .contains("weakens protection (disabled), and guards.weakening is deny"),
            "{format}: {}",
            shown.stdout
        );
    }
    let diff = workplace.run(&["show", "plan.json", "--format", "diff"]);
    assert_eq!(diff.code, 0, "{}", diff.stderr);
    for flags in [&[][..], &["--limits", "limits.yaml"]] {
        let apply = ["apply", "--plan", "plan.json", "--auto-approve"];
        let run = workplace.run(&[&apply, flags].concat());
        assert_eq!(run.code, 5, "{}", run.shown());
        assert!(run.stdout.contains("weakens protection"), "{}", run.shown());
    }
    assert_eq!(server.writes(), 0);
}

/// A saved plan is approved as a whole, so one blocked account blocks the others.
#[test]
fn one_violation_blocks_the_whole_saved_plan() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("one.yaml", QUICKSTART);
    let two = "account_id: 023e105f4ecef8ad9ca31a8372d0c353\nname: two\nbehaviors:\n  imp_travel: { enabled: false }\n";
    workplace.write("two.yaml", &format!("version: 1\n{two}"));
    workplace.write("limits.yaml", "version: 1\nguards: { weakening: deny }\n");
    let planned = workplace.run(&["plan", "one.yaml", "two.yaml", "--out", "plan.json"]);
    assert_eq!(planned.code, 0, "{}", planned.shown());
    let apply = ["apply", "--plan", "plan.json", "--auto-approve"];
    let limits = ["--limits", "limits.yaml"];
    let run = workplace.run(&[&apply[..], &limits].concat());
    assert_eq!(run.code, 5, "{}", run.shown());
    assert_eq!(server.writes(), 0, "{}", run.shown());
}

#[test]
fn saved_plan_has_a_maximum_size() {
    let workplace = TestDir::new();
    workplace.write("plan.json", "{");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(workplace.path("plan.json"));
    // Sparse.
    file.unwrap().set_len(2 << 30).unwrap();
    for command in [&["show"][..], &["apply", "--auto-approve", "--plan"]] {
        let run = workplace.run(&[command, &["plan.json"]].concat());
        assert_eq!(run.code, 1, "{}", run.shown());
        let message = "cannot read plan.json: larger than 64 MiB";
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
}

#[test]
fn the_plan_that_was_approved_is_the_one_that_is_applied() {
    let (server, workplace) = with_saved_plan();
    let said = workplace.run(&["plan", "--out", "plan.json"]).stderr;
    let command = said.lines().last().unwrap().trim();
    let digest = command.rsplit(' ').next().unwrap();
    assert_eq!(
        command,
        format!("riskform apply --plan plan.json --expect-digest {digest}")
    );
    let other = format!("sha256:{}", "0".repeat(64));
    let run = workplace.run(&[
        "apply",
        "--plan",
        "plan.json",
        "--auto-approve",
        "--expect-digest",
        &other,
    ]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("expected sha256:000"), "{}", run.stderr);
    assert_eq!(server.writes(), 0);
    let run = workplace.run(&[
        "apply",
        "--plan",
        "plan.json",
        "--auto-approve",
        "--expect-digest",
        digest,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(
        workplace.run(&["apply", "--expect-digest", digest]).code,
        64
    );
}

#[test]
fn accounts_that_failed_at_planning_are_left_out_of_a_saved_plan() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("good.yaml", QUICKSTART);
    let other = QUICKSTART
        .replace(RECORDED_ACCOUNT, "00000000000000000000000000000000")
        .replace("quickstart", "other")
        .replace("imp_travel", "imp_travle");
    workplace.write("unplannable.yaml", &other);
    assert_eq!(workplace.run(&["plan", ".", "--out", "plan.json"]).code, 1);
    for (when, code) in [("something to do", 3), ("nothing to do", 1)] {
        let run = workplace.run(&["apply", "--plan", "plan.json", "--auto-approve"]);
        assert_eq!(run.code, code, "{when}: {}{}", run.stdout, run.stderr);
        let failed = "failed when the plan was saved";
        assert!(run.shown().contains(failed), "{when}: {}", run.shown());
        workplace.run(&["plan", ".", "--out", "plan.json"]);
    }
    assert_eq!(server.writes(), 3);
}

#[test]
fn a_refused_plan_stays_refused_when_it_is_saved() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write(
        "riskform.yaml",
        &format!("{QUICKSTART}\nguards: {{ max_deletes: 0 }}\n"),
    );
    assert_eq!(workplace.run(&["plan", "--out", "plan.json"]).code, 5);
    assert_eq!(
        workplace
            .run(&["apply", "--plan", "plan.json", "--auto-approve"])
            .code,
        5
    );
    assert_eq!(server.writes(), 0);
    // The override belongs to the plan.
    assert_eq!(
        workplace
            .run(&["plan", "--max-deletes", "1", "--out", "plan.json"])
            .code,
        0
    );
    assert_eq!(
        workplace
            .run(&["apply", "--plan", "plan.json", "--auto-approve"])
            .code,
        0
    );
}

#[test]
fn a_fleet_that_is_half_written_says_so_whatever_the_other_half_is() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("good.yaml", QUICKSTART);
    let other = QUICKSTART.replace(RECORDED_ACCOUNT, "00000000000000000000000000000000");
    let other = other
        .replace("quickstart", "other")
        .replace("imp_travel", "imp_travle");
    workplace.write("unplannable.yaml", &other);
    assert_eq!(workplace.run(&["plan", "."]).code, 1);
    let run = workplace.run(&["apply", ".", "--auto-approve"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    // No change remained, so only the error counts.
    assert_eq!(workplace.run(&["apply", ".", "--auto-approve"]).code, 1);
}

#[test]
fn a_saved_plan_without_changes_reads_the_account_all_the_same() {
    let (server, workplace) = with_saved_plan();
    assert_eq!(workplace.run(&["apply", "--auto-approve"]).code, 0);
    let saved = workplace.run(&["plan", "--out", "nothing.json"]);
    assert!(saved.stdout.starts_with("No changes."), "{}", saved.stdout);
    let apply = ["apply", "--plan", "nothing.json", "--auto-approve"];
    assert_eq!(workplace.run(&apply).code, 0);
    let writes = server.writes();
    server
        .sandbox
        .edit(&account(), |account| {
            let behavior = account.behaviors.values_mut().next().unwrap();
            behavior.settings.enabled = !behavior.settings.enabled;
        })
        .unwrap();
    let stale = workplace.run(&apply);
    assert_eq!(stale.code, 4, "{}{}", stale.stdout, stale.stderr);
    assert_eq!(server.writes(), writes);
}

#[test]
fn an_earlier_way_back_is_never_written_over() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    workplace.write("before.yaml", "the way back of an earlier run");
    let run = workplace.run(&["apply", "--auto-approve", "--save-previous", "before.yaml"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("before.yaml"), "{}", run.stderr);
    assert_eq!(
        workplace.read("before.yaml"),
        "the way back of an earlier run"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn a_write_that_was_carried_out_behind_a_502_is_unknown_and_keeps_its_audit_id() {
    let server = SandboxServer::behind(Settings::default(), |_, router| {
        let written = Arc::new(AtomicBool::new(false));
        router.layer(from_fn(move |request: Request, next: Next| {
            let written = Arc::clone(&written);
            async move {
                let put = request.method() == Method::PUT;
                if !put && written.load(Ordering::SeqCst) {
                    return StatusCode::BAD_GATEWAY.into_response();
                }
                let mut answer = next.run(request).await;
                if put {
                    written.store(true, Ordering::SeqCst);
                    *answer.status_mut() = StatusCode::BAD_GATEWAY;
                }
                answer
            }
        }))
    });
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.run(&["apply", "--auto-approve", "--format", "json"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let put = &document["accounts"][0]["operations"][0];
    assert_eq!(put["method"], "PUT");
    assert_eq!(put["outcome"], "unknown", "{put}");
    assert!(put["audit_log_id"].is_string(), "{put}");
}

#[test]
fn what_was_there_before_is_the_way_back() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    let settings = || {
        let live = server.sandbox.live(&account());
        let behaviors: Vec<_> = live
            .behaviors
            .values()
            .map(|b| b.settings.clone())
            .collect();
        let integrations: Vec<_> = live
            .integrations
            .iter()
            .map(|i| i.settings.clone())
            .collect();
        (behaviors, integrations)
    };
    let before = settings();
    let run = workplace.run(&["apply", "--auto-approve", "--save-previous", "before.yaml"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_ne!(settings(), before);
    let file = workplace.path("before.yaml");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let back = workplace.run(&["apply", "before.yaml", "--auto-approve"]);
    assert_eq!(back.code, 0, "{}{}", back.stdout, back.stderr);
    assert_eq!(settings(), before);
}

#[test]
fn every_writing_call_is_announced_and_its_end_told() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    workplace.set("GITHUB_ACTOR", "octocat");
    workplace.write("riskform.yaml", QUICKSTART);
    let run = workplace.run(&["apply", "--auto-approve", "--audit-log", "audit.jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = fs::read_to_string(workplace.path("audit.jsonl")).unwrap();
    assert!(!text.contains(DEFAULT_TOKEN));
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            format!("{} {} {}", line["phase"], line["action"], line["address"]).replace('"', "")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    intent write_behaviors behavior.sentinel_one
    outcome write_behaviors behavior.sentinel_one
    intent create integration.corporate-okta
    outcome create integration.corporate-okta
    intent delete integration[4cfe8442-664b-4915-acd4-b39cd65c4314]
    outcome delete integration[4cfe8442-664b-4915-acd4-b39cd65c4314]
    ");
    let changed: Vec<String> = lines
        .iter()
        .filter(|line| line["phase"] == "intent")
        .flat_map(|line| line["changes"].as_array().unwrap())
        .flat_map(|change| {
            let fields = change["fields"].as_array().unwrap();
            let address = &change["address"];
            fields.iter().map(move |field| {
                format!(
                    "{address} {} {} -> {}",
                    field["field"], field["before"], field["after"]
                )
                .replace('"', "")
            })
        })
        .collect();
    insta::assert_snapshot!(changed.join("\n"), @r"
    behavior.sentinel_one enabled false -> true
    behavior.sentinel_one risk_level medium -> high
    integration.corporate-okta integration_type null -> Okta
    integration.corporate-okta tenant_url null -> https://corp.okta.com
    integration.corporate-okta reference_id null -> 9a1c0f6e-2d4b-4f7a-8c35-6b0e1d2f3a4c
    integration.corporate-okta active null -> true
    integration[4cfe8442-664b-4915-acd4-b39cd65c4314] integration_type Okta -> null
    integration[4cfe8442-664b-4915-acd4-b39cd65c4314] tenant_url https://example.oktapreview.com -> null
    integration[4cfe8442-664b-4915-acd4-b39cd65c4314] reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057 -> null
    integration[4cfe8442-664b-4915-acd4-b39cd65c4314] active true -> null
    ");
    for line in &lines {
        assert_eq!(line["actor"], "github:octocat");
        assert_eq!(line["account_id"], RECORDED_ACCOUNT);
        assert_eq!(line["run_id"], lines[0]["run_id"]);
        if line["phase"] == "outcome" {
            assert_eq!(line["outcome"], "done");
            assert!(line["request_id"].is_string());
        }
    }
}

#[test]
fn what_cannot_be_recorded_is_not_sent() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", QUICKSTART);
    // A device that is always full.
    let run = workplace.run(&["apply", "--auto-approve", "--audit-log", "/dev/full"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(server.writes(), 0);
}

#[test]
fn a_signal_finishes_the_call_in_flight_and_starts_no_other() {
    for signal in ["-INT", "-TERM"] {
        let server = SandboxServer::start(Settings {
            latency: Duration::from_millis(700),
            ..Settings::default()
        });
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", QUICKSTART);
        let child = workplace
            .command(&["apply", "--auto-approve"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        while server.writes() == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = child.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(3), "{stdout}");
        assert_eq!(stdout.matches("not attempted: ").count(), 2, "{stdout}");
        assert_eq!(server.writes(), 1);
        // A second run completes the changes.
        assert_eq!(workplace.run(&["apply", "--auto-approve"]).code, 0);
    }
}
