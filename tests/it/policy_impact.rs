//! Affected Access policies and identity providers, with the real program: requests, guards, and saved plans. `context` covers reading the
//! lists, and the planner's tests cover their use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use insta::assert_snapshot;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::support::layers::{Reaction, answer, recorded_error};
use crate::support::{Run, SandboxServer, TestDir};

/// Lowers the recorded account's high behaviors, used by three policies, and leaves no medium one, used by two.
const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
name: production
behaviors:
  high_dlp: { enabled: false }
  imp_travel: { risk_level: low }
unlisted: { integrations: keep }
";

const LIMITS: &str = "version: 1\nguards: { policies: deny }\n";

fn served() -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    let workplace = guarded(&server);
    (server, workplace)
}

/// Returns a directory with the file, the same with a guard, and limits with the guard.
fn guarded(server: &SandboxServer) -> TestDir {
    let workplace = TestDir::with_file(server, FILE);
    workplace.write(
        "deny.yaml",
        &format!("{FILE}guards: {{ policies: deny }}\n"),
    );
    workplace.write("limits.yml", LIMITS);
    workplace
}

/// Returns the requests since `before` other than those for behaviors and integrations, and the number of all.
fn asked(server: &SandboxServer, before: usize) -> (Vec<String>, usize) {
    let requests = &server.requests()[before..];
    let context = requests.iter().filter_map(|request| {
        let path = request.path.split('?').next()?;
        let (_, list) = path.split_once(RECORDED_ACCOUNT)?;
        let list = list
            .strip_prefix("/access/")
            .or(list.strip_prefix("/logs/"))?;
        Some(list.to_owned())
    });
    (context.collect(), requests.len())
}

#[test]
fn plan_and_drift_note_the_policies_before_and_after() {
    let (_server, workplace) = served();
    let plan = workplace.line("plan");
    plan.says("Warning: no enabled behavior will assign high. 3 Access policies use it: Block risky users, Contractors,");
    plan.says("Warning: no enabled behavior will assign medium. 2 Access policies use it: Block risky users, Contractors.");
    let drift = workplace.line("drift");
    drift.says("no policy uses level low (declared); 3 policies use level high (live) (Block risky users, Contractors, \"Employees, not at high risk\")");
    let run = workplace.line("plan --format json").json();
    let account = &run["accounts"][0];
    assert_eq!(account["notes"][1]["kind"], "level_unassigned");
    assert_eq!(account["notes"][1]["address"], "behavior.imp_travel");
    let access = &account["context"]["access"]["loaded"];
    assert_eq!(access["policies"].as_object().unwrap().len(), 4);
    // Other parts of a rule are not stored.
    let whole = run.to_string();
    assert!(!whole.contains("contractor@example.com") && !whole.contains("email_domain"));
}

#[test]
fn context_is_read_only_if_it_matters() {
    let file = |behavior: &str| {
        format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors: {{ {behavior} }}\nunlisted: {{ integrations: keep }}\n"
        )
    };
    let as_live = file("imp_travel: { risk_level: high }");
    // Disabled behaviors assign no level.
    let disabled = file("sentinel_one: { risk_level: low }");
    let (lists, all) = (
        ["policies", "apps", "groups"],
        ["policies", "apps", "groups", "audit"],
    );
    let table: [(&str, &str, &[&str]); 12] = [
        (&as_live, "plan", &[]),
        (&as_live, "drift", &[]),
        (&disabled, "plan", &[]),
        (&disabled, "drift", &["audit"]),
        (FILE, "plan", &lists),
        (FILE, "drift", &all),
        (FILE, "plan --no-context", &[]),
        (FILE, "drift --no-context", &[]),
        (FILE, "plan --target behavior.nothing*", &[]),
        (FILE, "plan --target behavior.high_dlp", &lists),
        (FILE, "drift --ignore behavior.*", &[]),
        (FILE, "drift --ignore behavior.imp_travel", &all),
    ];
    let (server, workplace) = served();
    for (file, line, expected) in table {
        workplace.write("riskform.yaml", file);
        let before = server.requests().len();
        let run = workplace.line(line);
        assert!(matches!(run.code, 0 | 2 | 64), "{line}: {}", run.stderr);
        let (asked, requests) = asked(&server, before);
        assert_eq!(asked, expected, "{line} with\n{file}");
        assert_eq!(requests, 2 + expected.len(), "{line} with\n{file}");
    }
    let server = SandboxServer::start(Settings {
        permissions: vec!["read,groups".parse().unwrap()],
        ..Settings::default()
    });
    let run = guarded(&server).line("drift").exits(2);
    run.says(r#"cannot determine who changed it: the token lacks the permission "Account Settings Read""#);
    assert_eq!(asked(&server, 0).0, ["policies", "audit"]);
}

/// Adds a note and changes nothing else, except that the guard blocks without this data.
#[test]
fn unreadable_list_is_a_note_and_blocks_under_the_guard() {
    const NOTE: &str = "cannot determine which Access policies use these levels: ";
    let changes = |run: &Run| run.json()["accounts"][0]["changes"].clone();
    let expected = changes(&served().1.line("plan --format json"));
    for (list, readable, note) in [
        (
            "/apps",
            true,
            r#"the token lacks the permission "Access: Apps and Policies Read""#,
        ),
        (
            "/groups",
            true,
            r#"the token lacks the permission "Access: Organizations, Identity Providers, and Groups Read""#,
        ),
        ("/policies", false, "GET "),
    ] {
        let server =
            SandboxServer::reacting(move |_, path| match (path.ends_with(list), readable) {
                (false, _) => Reaction::Pass,
                (true, true) => Reaction::TestResponse(recorded_error("403-10000")),
                (true, false) => Reaction::TestResponse(answer(
                    200,
                    r#"{"success":true,"result":{"hush":"secret"}}"#,
                )),
            });
        let workplace = guarded(&server);
        let run = workplace.line("plan --format json").exits(0);
        assert_eq!(changes(&run), expected, "{list}");
        assert!(!run.stdout.contains("hush"), "{list}");
        workplace
            .line("plan")
            .says(&format!("warning: {NOTE}{note}"));
        workplace
            .line("plan deny.yaml")
            .exits(5)
            .says("Blocked: no enabled behavior would assign level medium, and the Access policies cannot be read");
        workplace.line("plan deny.yaml --allow-policies").exits(0);
    }
}

#[test]
fn guard_needs_the_context() {
    let (server, workplace) = served();
    for (line, code) in [
        ("plan --no-context", 0),
        ("plan deny.yaml --no-context", 64),
        ("apply deny.yaml --no-context --auto-approve", 64),
        ("destroy deny.yaml --no-context --auto-approve", 64),
        ("plan --no-context --limits limits.yml", 64),
        ("plan --no-context --limits limits.yml --allow-policies", 64),
        ("plan deny.yaml --no-context --allow-policies", 0),
        // Guards do not apply to drift.
        ("drift deny.yaml --no-context", 2),
        ("drift --no-context --history 5", 64),
        ("drift --history 0", 64),
        ("plan --history 5", 64),
        ("validate --no-context", 64),
        ("plan deny.yaml", 5),
        ("plan deny.yaml --allow-policies", 0),
        ("plan --limits limits.yml --allow-policies", 5),
    ] {
        assert_eq!(workplace.line(line).code, code, "{line}");
    }
    let rejected = workplace.line("plan deny.yaml --no-context");
    assert_snapshot!(rejected.stderr.lines().next().unwrap(), @"error: --no-context cannot be used: deny.yaml has `guards.policies: deny`, and this guard needs the Access policies");
    assert_eq!(server.writes(), 0);
}

/// The saved plan contains the reviewed context, even if Access is not readable during apply. Under `policies: deny`, apply reads the policies
/// again, because they may be outdated.
#[test]
fn saved_plan_holds_its_context_and_deny_reads_it_again() {
    const REASON: &str = "2 policies use it (Block risky users, Contractors)";
    let unreadable = Arc::new(AtomicBool::new(false));
    let denied = Arc::clone(&unreadable);
    let server = SandboxServer::reacting(move |_, path| {
        match denied.load(Ordering::SeqCst) && path.contains("/access/policies") {
            true => Reaction::TestResponse(recorded_error("403-10000")),
            false => Reaction::Pass,
        }
    });
    let workplace = guarded(&server);
    workplace.line("plan --out plan.json").exits(0);
    workplace
        .line("plan --no-context --out blind.json")
        .exits(0);
    let policies = server.edit(|account| std::mem::take(&mut account.context));
    workplace.line("plan deny.yaml --out deny.json").exits(0);
    server.edit(|account| account.context = policies);
    workplace
        .line("apply --plan plan.json --no-context")
        .exits(64);
    for (unread, reason) in [
        (false, REASON),
        (true, "and the Access policies cannot be read"),
    ] {
        unreadable.store(unread, Ordering::SeqCst);
        for plan in [
            "plan.json --limits limits.yml",
            "blind.json --limits limits.yml",
            "deny.json",
        ] {
            let line = format!("apply --auto-approve --plan {plan}");
            workplace.line(&line).exits(5).says(reason);
        }
    }
    assert_eq!(server.writes(), 0);
    // Without the guard, the saved context is shown, without new requests.
    let before = server.requests().len();
    let note = "Warning: no enabled behavior will assign medium. 2 Access policies use it: Block risky users, Contractors.";
    workplace
        .line("apply --plan plan.json --auto-approve")
        .exits(0)
        .says(note);
    assert_eq!(asked(&server, before).0, [""; 0]);
    workplace.line("show plan.json").says(note);
}

const NAMED: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
integrations:
  corp: { tenant_url: https://corp.okta.com, identity_provider: Corp, active: false }
";

fn set_providers(server: &SandboxServer, providers: &[(&str, &str)]) {
    let providers = providers.iter().map(|(name, id)| {
        json!({ "id": id, "name": name, "type": "okta", "config": { "okta_account": "https://other.okta.com", "client_secret": "hush" } })
    });
    let providers: Vec<Value> = providers.collect();
    server.edit(|account| account.context.identity_providers = providers);
}

#[test]
fn saved_plan_is_stale_if_its_identity_provider_changes() {
    const ID: &str = "11111111-1111-4111-8111-111111111111";
    const NEXT: &str = "22222222-2222-4222-8222-222222222222";
    let server = SandboxServer::start(Settings::default());
    set_providers(&server, &[("Corp", ID)]);
    let workplace = TestDir::with_file(&server, NAMED);
    workplace.line("plan --out plan.json").exits(0);
    for (now, changed) in [
        (&[("Corp", NEXT)][..], format!("{NEXT:?}")),
        (
            &[("Corp", ID), ("Corp", NEXT)],
            format!("{ID:?} or {NEXT:?}"),
        ),
        (&[("Renamed", ID)], "no Okta identity provider".to_owned()),
    ] {
        set_providers(&server, now);
        let run = workplace
            .line("apply --plan plan.json --auto-approve")
            .exits(4);
        run.says(&format!(
            r#"integration.corp: identity_provider "Corp" changed from {ID:?} to {changed}"#
        ));
    }
    assert_eq!(server.writes(), 0);
    set_providers(&server, &[("Corp", ID), ("Another", NEXT)]);
    // Read despite --no-context.
    for line in [
        "plan",
        "drift",
        "plan --no-context",
        "show plan.json",
        "plan --format markdown",
    ] {
        let run = workplace.line(line);
        run.says(r#"identity provider "Corp" is for https://other.okta.com, but tenant_url is https://corp.okta.com"#);
        assert!(!run.stdout.contains("hush"), "{line}");
    }
    workplace
        .line("apply --plan plan.json --auto-approve")
        .exits(0);
}
