//! `plan --out`, `show` and `apply --plan`; rollback files; audit logs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use riskform::model::field::{Field, FieldValue};
use riskform::sandbox::{DEFAULT_TOKEN, RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::support::{SandboxServer, TestDir};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");
const APPLY: &str = "apply --plan plan.json --auto-approve";
const DENY: &str = "version: 1\nguards: { weakening: deny }\n";

/// Returns a served sandbox and a directory with these files.
fn served(files: &[(&str, &str)]) -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    for (name, content) in files {
        workplace.write(name, content);
    }
    (server, workplace)
}

/// Returns a served sandbox and a directory with a saved plan of the quickstart.
fn with_saved_plan() -> (SandboxServer, TestDir) {
    let (server, workplace) = served(&[("riskform.yaml", QUICKSTART)]);
    workplace.line("plan --out plan.json").exits(0);
    (server, workplace)
}

/// A file of another account, whose behavior does not exist.
fn unplannable() -> String {
    let other = QUICKSTART.replace(RECORDED_ACCOUNT, "00000000000000000000000000000000");
    other
        .replace("quickstart", "other")
        .replace("imp_travel", "imp_travle")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn saved_plan_is_private_and_applied_as_approved() {
    let (server, workplace) = with_saved_plan();
    assert_eq!(mode(&workplace.path("plan.json")), 0o600);
    assert!(!workplace.read("plan.json").contains(DEFAULT_TOKEN));
    let shown = workplace.line("show plan.json");
    assert_eq!(shown.stdout, workplace.line("plan").stdout);
    // The approved plan decides, even if the file has changed since.
    workplace.write("riskform.yaml", "version: 1");
    workplace
        .line(APPLY)
        .exits(0)
        .says("Apply complete: 1 created, 1 updated, 1 deleted. Verified.");
    assert_eq!(server.writes(), 3);
}

#[test]
fn stale_plan_names_each_changed_field() {
    let (server, workplace) = with_saved_plan();
    server.set_enabled("high_dlp", false);
    server.edit(|account| {
        for one in account.integrations.values_mut() {
            one.fields.set(Field::Active, Some(FieldValue::Bool(false)));
        }
    });
    let run = workplace.line(APPLY).exits(4);
    assert_snapshot!(run.stderr, @"
    error: the plan is stale
      quickstart: behavior.high_dlp: enabled changed from true to false
      quickstart: integration[4cfe8442-664b-4915-acd4-b39cd65c4314]: active changed from true to false
      help: run `riskform plan --out` again and review the new plan
    ");
    assert_eq!(server.writes(), 0);
}

#[test]
fn unusable_saved_plan_is_rejected_with_the_reason() {
    let (server, workplace) = with_saved_plan();
    let text = workplace.read("plan.json");
    let json = workplace.line("plan --format json").stdout;
    let changed = text.replacen("\"enabled\":true", "\"enabled\":false", 1);
    let newer = text.replacen("riskform.saved-plan/1", "riskform.saved-plan/2", 1);
    for (content, flags, message, code) in [
        (
            &text[..text.len() / 2],
            "",
            "cannot use the saved plan other.json: not a valid saved plan: EOF",
            1,
        ),
        (&changed, "", "the file was changed after it was saved", 1),
        (&newer, "", "unknown format riskform.saved-plan/2", 1),
        ("hello", "", "not a valid saved plan", 1),
        (
            &json,
            "",
            "help: save the plan with `riskform plan --out FILE`",
            1,
        ),
        (
            &text,
            " --account-id 00000000000000000000000000000000",
            "the plan is for account f037e56e89293a057740de681ac9abbe",
            1,
        ),
        (
            &text,
            " --base-url http://localhost:1/",
            "the plan is for http",
            1,
        ),
        (&text, " --max-deletes 3", "cannot be used with", 64),
        (&text, " --target behavior.*", "cannot be used with", 64),
    ] {
        workplace.write("other.json", content);
        let line = format!("apply --plan other.json --auto-approve{flags}");
        workplace.line(&line).exits(code).says(message);
    }
    assert_eq!(server.writes(), 0);
    // Sparse.
    let file = fs::OpenOptions::new()
        .write(true)
        .open(workplace.path("other.json"));
    file.unwrap().set_len(2 << 30).unwrap();
    for command in ["show", "apply --auto-approve --plan"] {
        let run = workplace.line(&format!("{command} other.json")).exits(1);
        run.says("cannot read other.json: larger than 64 MiB");
    }
}

/// Writes the plan file with a change and a matching digest.
fn tamper_with_plan(workplace: &TestDir, change: impl Fn(&mut Value)) {
    let mut plan: Value = serde_json::from_str(&workplace.read("plan.json")).unwrap();
    change(&mut plan);
    let mut covered = plan.clone();
    for name in ["created_at", "digest"] {
        covered.as_object_mut().unwrap().remove(name);
    }
    plan["digest"] = riskform::plan::sha256(&covered).into();
    workplace.write("changed.json", &plan.to_string());
}

/// An attacker can recompute the digest, so the file holds inputs only, and nothing in it is trusted.
#[test]
fn tampered_saved_plan_sends_no_request() {
    let (server, mut workplace) = served(&[("one.yaml", QUICKSTART), ("two.yaml", &unplannable())]);
    workplace.set("GH_TOKEN", DEFAULT_TOKEN);
    workplace.line("plan . --out plan.json").exits(1);
    let table: [(&dyn Fn(&mut Value), &str, i32); 7] = [
        (
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
            &|plan| plan["summary"] = json!({ "failed_accounts": 2 }),
            "unknown field `summary`",
            1,
        ),
        (
            &|plan| plan["accounts"][0]["operations"] = json!([{ "method": "DELETE" }]),
            "unexpected member or value at accounts.0.operations",
            1,
        ),
        (
            &|plan| plan["options"] = Value::Null,
            "not a valid saved plan: options",
            1,
        ),
        (
            &|plan| plan["accounts"][0]["live"]["integrations"][0]["settings"] = Value::Null,
            "unexpected member or value at accounts.0.live.integrations.0.settings",
            1,
        ),
        (
            &|plan| plan["accounts"][0]["desired"]["api_token_env"] = "GH_TOKEN".into(),
            "api_token_env must name a variable that starts with CLOUDFLARE_",
            1,
        ),
        (
            &|plan| plan["riskform_version"] = "0.0.1".into(),
            "the plan was created by riskform 0.0.1",
            4,
        ),
    ];
    let before = server.requests().len();
    for (change, message, code) in table {
        tamper_with_plan(&workplace, change);
        for command in ["show", "apply --auto-approve --plan"] {
            workplace
                .line(&format!("{command} changed.json"))
                .exits(code)
                .says(message);
        }
    }
    assert_eq!(server.requests().len(), before);
    // Another intent is another plan: `show` shows what `apply` sends.
    tamper_with_plan(&workplace, |plan| {
        plan["options"]["intent"] = "destroy".into()
    });
    workplace.line("show changed.json").says("disable");
    assert_eq!(server.writes(), 0);
}

#[test]
fn blocked_saved_plan_is_shown_but_not_applied() {
    let file = "behaviors:\n  imp_travel: { enabled: false }\nguards: { weakening: deny }\n";
    let file = format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\n{file}");
    let (server, workplace) = served(&[("riskform.yaml", &file), ("limits.yaml", DENY)]);
    let planned = workplace
        .line("plan --limits limits.yaml --out plan.json")
        .exits(5);
    // No command applies this plan.
    planned.says("digest sha256:");
    assert!(
        !planned.stderr.contains("riskform apply"),
        "{}",
        planned.stderr
    );
    for format in ["text", "json", "markdown", "html"] {
        let shown = workplace
            .run(&["show", "plan.json", "--format", format])
            .exits(0);
        shown.says("weakens protection (disabled), and guards.weakening is deny");
    }
    workplace.line("show plan.json --format diff").exits(0);
    for flags in ["", " --limits limits.yaml"] {
        workplace
            .line(&format!("{APPLY}{flags}"))
            .exits(5)
            .says("weakens protection");
    }
    assert_eq!(server.writes(), 0);
    // An override belongs to the plan.
    workplace.write(
        "riskform.yaml",
        &format!("{QUICKSTART}\nguards: {{ max_deletes: 0 }}\n"),
    );
    workplace.line("plan --out plan.json").exits(5);
    workplace.line(APPLY).exits(5);
    workplace
        .line("plan --max-deletes 1 --out plan.json")
        .exits(0);
    workplace.line(APPLY).exits(0);
}

/// A saved plan is approved as a whole, so one blocked account blocks the others.
#[test]
fn one_violation_blocks_the_whole_saved_plan() {
    let two = "version: 1\naccount_id: 023e105f4ecef8ad9ca31a8372d0c353\nname: two\nbehaviors:\n  imp_travel: { enabled: false }\n";
    let files = [
        ("one.yaml", QUICKSTART),
        ("two.yaml", two),
        ("limits.yaml", DENY),
    ];
    let (server, workplace) = served(&files);
    workplace
        .line("plan one.yaml two.yaml --out plan.json")
        .exits(0);
    workplace
        .line(&format!("{APPLY} --limits limits.yaml"))
        .exits(5);
    assert_eq!(server.writes(), 0);
}

#[test]
fn expected_digest_is_that_of_the_approved_plan() {
    let (server, workplace) = with_saved_plan();
    let said = workplace.line("plan --out plan.json").stderr;
    let command = said.lines().last().unwrap().trim();
    let (rest, digest) = command.rsplit_once(' ').unwrap();
    assert_eq!(rest, "riskform apply --plan plan.json --expect-digest");
    let other = format!("{APPLY} --expect-digest sha256:{}", "0".repeat(64));
    workplace.line(&other).exits(4).says("expected sha256:000");
    assert_eq!(server.writes(), 0);
    workplace
        .line(&format!("{APPLY} --expect-digest {digest}"))
        .exits(0);
    workplace
        .line(&format!("apply --expect-digest {digest}"))
        .exits(64);
}

#[test]
fn failed_account_fails_the_apply_of_the_others() {
    let files = [
        ("good.yaml", QUICKSTART),
        ("unplannable.yaml", &unplannable()),
    ];
    let (server, workplace) = served(&files);
    workplace.line("plan . --out plan.json").exits(1);
    // With changes, and then without.
    for code in [3, 1] {
        workplace
            .line(APPLY)
            .exits(code)
            .says("failed when the plan was saved");
        workplace.line("plan . --out plan.json").exits(1);
    }
    assert_eq!(server.writes(), 3);
    let (_server, workplace) = served(&files);
    for code in [3, 1] {
        workplace.line("apply . --auto-approve").exits(code);
    }
}

#[test]
fn saved_plan_without_changes_can_be_stale() {
    let (server, workplace) = with_saved_plan();
    workplace.line(APPLY).exits(0);
    let saved = workplace.line("plan --out plan.json");
    assert!(saved.stdout.starts_with("No changes."), "{}", saved.stdout);
    workplace.line(APPLY).exits(0);
    server.set_enabled("high_dlp", false);
    let writes = server.writes();
    workplace.line(APPLY).exits(4);
    assert_eq!(server.writes(), writes);
}

#[test]
fn rollback_file_restores_the_settings_and_is_never_overwritten() {
    let (server, workplace) = served(&[("riskform.yaml", QUICKSTART), ("there.yaml", "earlier")]);
    let apply =
        |file: &str| workplace.line(&format!("apply --auto-approve --save-previous {file}"));
    apply("there.yaml").exits(1).says("there.yaml");
    assert_eq!(workplace.read("there.yaml"), "earlier");
    assert!(server.requests().is_empty());
    let settings = || {
        let live = server.live();
        let integrations = live.integrations.into_iter().map(|one| one.fields);
        (live.behaviors, integrations.collect::<Vec<_>>())
    };
    let before = settings();
    apply("before.yaml").exits(0);
    assert_ne!(settings(), before);
    assert_eq!(mode(&workplace.path("before.yaml")), 0o600);
    workplace.line("apply before.yaml --auto-approve").exits(0);
    assert_eq!(settings(), before);
}

#[test]
fn audit_log_has_each_write_before_and_after_it_is_sent() {
    let (server, mut workplace) = served(&[("riskform.yaml", QUICKSTART)]);
    workplace.set("GITHUB_ACTOR", "octocat");
    // A device that is always full.
    workplace
        .line("apply --auto-approve --audit-log /dev/full")
        .exits(1);
    assert_eq!(server.writes(), 0);
    workplace
        .line("apply --auto-approve --audit-log audit.jsonl")
        .exits(0);
    let text = workplace.read("audit.jsonl");
    assert!(!text.contains(DEFAULT_TOKEN));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let shown = lines.iter().map(|line| {
        let fields = line["changes"].as_array().into_iter().flatten();
        let fields = fields.flat_map(|change| change["fields"].as_array().unwrap());
        let fields = fields.map(|field| {
            format!(
                "\n  {} {} -> {}",
                field["field"], field["before"], field["after"]
            )
        });
        let fields: String = if line["phase"] == "intent" {
            fields.collect()
        } else {
            String::new()
        };
        format!(
            "{} {} {}{fields}",
            line["phase"], line["action"], line["address"]
        )
        .replace('"', "")
    });
    assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @"
    intent write_behaviors behavior.sentinel_one
      enabled false -> true
      risk_level medium -> high
    outcome write_behaviors behavior.sentinel_one
    intent create integration.corporate-okta
      integration_type null -> Okta
      tenant_url null -> https://corp.okta.com
      reference_id null -> 9a1c0f6e-2d4b-4f7a-8c35-6b0e1d2f3a4c
      active null -> true
    outcome create integration.corporate-okta
    intent delete integration[4cfe8442-664b-4915-acd4-b39cd65c4314]
      integration_type Okta -> null
      tenant_url https://example.oktapreview.com -> null
      reference_id 3701e70b-5de4-4d9d-8972-f5aa994d9057 -> null
      active true -> null
    outcome delete integration[4cfe8442-664b-4915-acd4-b39cd65c4314]
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
