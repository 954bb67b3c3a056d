//! Affected Access policies, with the real program: output, requests, and servers that reject, stall or send invalid data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use insta::assert_snapshot;
use riskform::model::account::AccountId;
use riskform::model::behavior::BehaviorKey;
use riskform::sandbox::{DEFAULT_TOKEN, RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::riskform::{Run, SandboxServer, TestDir};

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

/// Like the recorded account, except for an integration.
const OTHER: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
integrations:
  okta: { tenant_url: https://example.oktapreview.com, active: false }
";

const DENY: &str = "guards: { policies: deny }\n";

fn account() -> AccountId {
    RECORDED_ACCOUNT.parse().unwrap()
}

fn workplace(server: &SandboxServer, file: &str) -> TestDir {
    let workplace = TestDir::with(server);
    workplace.write("riskform.yaml", file);
    workplace
}

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

/// Returns a run's requests other than behaviors and integrations, and the number of all requests.
fn asked(server: &SandboxServer, before: usize) -> (Vec<String>, usize) {
    let requests = &server.requests()[before..];
    let surroundings = requests.iter().filter_map(|request| {
        let path = request.path.split('?').next()?;
        let (_, list) = path.split_once(RECORDED_ACCOUNT)?;
        let list = list
            .strip_prefix("/access/")
            .or(list.strip_prefix("/logs/"))?;
        Some(list.to_owned())
    });
    (surroundings.collect(), requests.len())
}

#[test]
fn a_plan_says_which_policies_act_before_and_after() {
    let server = SandboxServer::start(Settings::default());
    let workplace = workplace(&server, FILE);
    assert_snapshot!(workplace.run(&["plan"]).shown(), @r#"
    exit 0
    --- stdout
    production (f037e56e…abbe)  riskform.yaml

      ~ behavior.high_dlp                               weakens
          enabled       true → false
      ~ behavior.imp_travel                             weakens
          risk_level    high → low

      note: behavior.high_dlp: 2 policies use level medium (Block risky users, Contractors)
      note: behavior.imp_travel: 3 policies use level high (Block risky users, Contractors, "Employees, not at high risk"); none uses level low

    Plan: 0 to create, 2 to update, 0 to replace, 0 to delete. 0 unchanged, 2 unlisted.
    2 changes weaken protection: behavior.high_dlp (disabled), behavior.imp_travel (lowered).
    "#);
    let drift = workplace.run(&["drift"]);
    assert_snapshot!(
        drift.stdout.lines().find(|line| line.contains("note: behavior.imp_travel")).unwrap(),
        @r#"  note: behavior.imp_travel: no policy uses level low (declared); 3 policies use level high (live) (Block risky users, Contractors, "Employees, not at high risk")"#
    );
    let run = document(&workplace.run(&["plan", "--format", "json"]));
    let account = &run["accounts"][0];
    let notes = account["notes"].as_array().unwrap();
    assert_eq!(notes[1]["kind"], "policies_affected");
    assert_eq!(notes[1]["address"], "behavior.imp_travel");
    let message = notes[1]["message"].as_str().unwrap();
    assert!(message.starts_with("3 policies use level high (Block risky users,"));
    let access = &account["context"]["access"]["loaded"];
    assert_eq!(access["policies"].as_object().unwrap().len(), 4);
    // Other parts of a rule are not stored.
    let whole = run.to_string();
    assert!(!whole.contains("contractor@example.com") && !whole.contains("email_domain"));
}

#[test]
fn what_surrounds_an_account_is_asked_for_only_where_it_matters() {
    let server = SandboxServer::start(Settings::default());
    let as_live = "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors:\n  imp_travel: { risk_level: high }\nunlisted: { integrations: keep }\n";
    let off = "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors:\n  sentinel_one: { risk_level: low }\nunlisted: { integrations: keep }\n";
    let lists: &[&str] = &["policies", "apps", "groups"];
    let all: &[&str] = &["policies", "apps", "groups", "audit"];
    let table: [(&str, &str, &[&str]); 14] = [
        (as_live, "plan", &[]),
        (as_live, "drift", &[]),
        (OTHER, "plan", &[]),
        (OTHER, "drift", &["audit"]),
        // Disabled behaviors assign no level.
        (off, "plan", &[]),
        (off, "drift", &["audit"]),
        (FILE, "plan", lists),
        (FILE, "drift", all),
        (FILE, "plan --no-context", &[]),
        (FILE, "drift --no-context", &[]),
        (FILE, "plan --target behavior.nothing*", &[]),
        (FILE, "plan --target behavior.high_dlp", lists),
        (FILE, "drift --ignore behavior.*", &[]),
        (FILE, "drift --ignore behavior.imp_travel", all),
    ];
    for (file, command, expected) in table {
        let workplace = workplace(&server, file);
        let before = server.requests().len();
        let run = workplace.run(&command.split(' ').collect::<Vec<_>>());
        assert!(matches!(run.code, 0 | 2 | 64), "{command}: {}", run.stderr);
        let (asked, requests) = asked(&server, before);
        assert_eq!(asked, expected, "{command} with\n{file}");
        assert_eq!(requests, 2 + expected.len(), "{command} with\n{file}");
    }
}

#[test]
fn what_is_true_of_several_behaviors_is_said_once() {
    let server = SandboxServer::start(Settings::default());
    let edited = server.sandbox.edit(&account(), |account| {
        let one = account.behaviors.values().next().cloned().unwrap();
        account.behaviors.clear();
        for n in 0..8 {
            let mut one = one.clone();
            one.settings.enabled = false;
            account
                .behaviors
                .insert(BehaviorKey::new(format!("b{n}").as_str()), one);
        }
    });
    edited.unwrap();
    let file = FILE.split("  high_dlp").next().unwrap();
    let file = format!("{file}  \"*\": {{ enabled: true }}\nunlisted: {{ integrations: keep }}\n");
    let workplace = workplace(&server, &file);
    let notes = |arguments: &[&str]| {
        let run = workplace.run(arguments);
        let notes = run
            .stdout
            .lines()
            .filter(|line| line.contains("note: behavior"));
        notes.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(notes(&["plan"]), @"  note: behavior.b0, behavior.b1, behavior.b2, behavior.b3, behavior.b4 and 3 more: 2 policies use level medium (Block risky users, Contractors)");
    assert_snapshot!(notes(&["drift", "--ignore", "behavior.b0"]), @"  note: behavior.b1, behavior.b2, behavior.b3, behavior.b4, behavior.b5 and 2 more: 2 policies use level medium (Block risky users, Contractors)");
    assert_snapshot!(notes(&["plan", "--target", "behavior.b7"]), @"  note: behavior.b7: 2 policies use level medium (Block risky users, Contractors)");
}

#[test]
fn each_account_of_a_fleet_is_asked_once() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    for n in 0..3 {
        let file = FILE.replace(RECORDED_ACCOUNT, &format!("{n:032}"));
        let file = file.replace("production", &format!("account-{n}"));
        workplace.write(&format!("{n}.yaml"), &file);
    }
    let run = workplace.run(&["drift", "."]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert_eq!(server.requests().len(), 3 * (2 + 3 + 1));
}

/// A server with a special response for paths that contain a text.
fn odd(path: &'static str, answer: fn() -> Response<Body>) -> SandboxServer {
    SandboxServer::behind(Settings::default(), move |_, router: Router| {
        router.layer(from_fn(move |request: Request, next: Next| async move {
            match request.uri().path().ends_with(path) {
                true => answer(),
                false => next.run(request).await,
            }
        }))
    })
}

fn answer(status: StatusCode, body: &'static str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap()
}

fn forbidden() -> Response<Body> {
    answer(
        StatusCode::FORBIDDEN,
        r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}"#,
    )
}

fn nonsense() -> Response<Body> {
    answer(StatusCode::OK, "\"lorem ipsum\"")
}

fn no_list() -> Response<Body> {
    answer(
        StatusCode::OK,
        r#"{"success":true,"errors":[],"messages":[],"result":{"hush":"secret"}}"#,
    )
}

/// Adds a note and changes nothing else, except that the guard blocks without this data.
#[test]
fn what_can_not_be_read_costs_one_note_and_the_guard_refuses() {
    let sound = workplace(&SandboxServer::start(Settings::default()), FILE);
    let changes = |run: &Run| document(run)["accounts"][0]["changes"].clone();
    let expected = {
        let server = SandboxServer::start(Settings::default());
        changes(&workplace(&server, FILE).run(&["plan", "--format", "json"]))
    };
    drop(sound);
    let lacks_apps = r#"cannot determine which Access policies use these levels: the token lacks the permission "Access: Apps and Policies Read""#;
    let lacks_groups = r#"cannot determine which Access policies use these levels: the token lacks the permission "Access: Organizations, Identity Providers, and Groups Read""#;
    let unknown = "cannot determine which Access policies use these levels: GET ";
    let table: [(&str, fn() -> Response<Body>, &str); 9] = [
        ("/policies", forbidden, lacks_apps),
        ("/apps", forbidden, lacks_apps),
        ("/groups", forbidden, lacks_groups),
        ("/policies", nonsense, unknown),
        ("/apps", nonsense, unknown),
        ("/groups", nonsense, unknown),
        ("/policies", no_list, unknown),
        ("/apps", no_list, unknown),
        ("/groups", no_list, unknown),
    ];
    for (path, answer, note) in table {
        let server = odd(path, answer);
        let workplace = workplace(&server, FILE);
        let run = workplace.run(&["plan", "--format", "json"]);
        assert_eq!(run.code, 0, "{path}: {}", run.stderr);
        assert_eq!(changes(&run), expected, "{path}");
        let document = document(&run);
        let notes = document["accounts"][0]["notes"].as_array().unwrap().iter();
        let told: Vec<&str> = notes
            .filter_map(|note| note["message"].as_str())
            .filter(|message| message.contains("these levels"))
            .collect();
        assert!(
            told.len() == 1 && told[0].starts_with(note),
            "{path}: {told:?}"
        );
        assert!(!run.stdout.contains("hush"), "{path}");
        let text = workplace.run(&["plan"]);
        assert!(
            text.stdout.contains(&format!("warning: {note}")),
            "{}",
            text.stdout
        );

        workplace.write("riskform.yaml", &format!("{FILE}{DENY}"));
        let refused = workplace.run(&["plan"]);
        assert_eq!(refused.code, 5, "{path}: {}", refused.stdout);
        assert!(refused.stdout.contains("Blocked by policies"), "{path}");
        let permitted = workplace.run(&["plan", "--allow-policies"]);
        assert_eq!(permitted.code, 0, "{path}: {}", permitted.stdout);
    }
}

#[test]
fn slow_lists_cost_a_note() {
    let server = SandboxServer::behind(Settings::default(), |_, router: Router| {
        router.layer(from_fn(|request: Request, next: Next| async move {
            if request.uri().path().ends_with("/access/apps") {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
            }
            next.run(request).await
        }))
    });
    let workplace = workplace(&server, FILE);
    let run = workplace.run(&["plan", "--timeout", "0.1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let note = "warning: cannot determine which Access policies use these levels: ";
    assert!(run.stdout.contains(note), "{}", run.stdout);
}

/// 20,000 policies on 20 pages, a few of which use levels. Only those are stored and shown.
#[test]
fn huge_lists_are_read_to_their_end_and_a_few_names_are_shown() {
    let server = SandboxServer::start(Settings::default());
    let policy = |n: usize| {
        let level = json!({ "user_risk_score": { "user_risk_score": ["high"] } });
        let rule = match n % 2_500 {
            7 => level,
            8 => json!({ "group": { "id": "g0" } }),
            9 => json!({ "service_token": { "token_id": "hush" } }),
            _ => json!({ "unheard_of": { "hush": [null] } }),
        };
        json!({ "id": format!("p{n}"), "name": format!("Policy {n:05}"), "decision": if n % 2_500 == 11 { "isolate" } else { "deny" }, "include": [rule] })
    };
    // A cyclic chain that leads to the level.
    let group = |n: usize| {
        let next = json!({ "group": { "id": format!("g{}", (n + 1) % 500) } });
        let level = json!({ "user_risk_score": { "user_risk_score": ["medium"] } });
        let include = if n == 499 {
            vec![next, level]
        } else {
            vec![next]
        };
        json!({ "id": format!("g{n}"), "name": "G", "include": include })
    };
    server
        .sandbox
        .edit(&account(), |account| {
            account.context.policies = (0..20_000).map(policy).collect();
            account.context.groups = (0..500).map(group).collect();
            account.context.apps = Vec::new();
        })
        .unwrap();
    let workplace = workplace(&server, FILE);
    let run = workplace.run(&["plan"]);
    let notes: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains("note:"))
        .collect();
    assert_snapshot!(notes.join("\n"), @"
    note: behavior.high_dlp: 8 policies use level medium (Policy 00008, Policy 02508, Policy 05008, Policy 07508, Policy 10008 and 3 more)
    note: behavior.imp_travel: 8 policies use level high (Policy 00007, Policy 02507, Policy 05007, Policy 07507, Policy 10007 and 3 more); none uses level low
    ");
    assert_eq!(server.requests().len(), 2 + 20 + 1 + 1);
    let json = workplace.run(&["plan", "--format", "json"]).stdout;
    assert!(!json.contains("hush"), "a rule is shown");
    assert!(json.len() < 500_000, "{}", json.len());
}

#[test]
fn names_from_access_are_somebody_elses_text() {
    let name = "<script>alert(1)</script>\u{202e}`\n```\n::error::x | @everyone <!channel>";
    let server = SandboxServer::start(Settings::default());
    let level = json!({ "user_risk_score": { "user_risk_score": ["high"] } });
    server
        .sandbox
        .edit(&account(), |account| {
            account.context.policies =
                vec![json!({ "id": "p", "name": name, "decision": "deny", "include": [level] })];
            account.context.apps = Vec::new();
        })
        .unwrap();
    let workplace = workplace(&server, FILE);
    for (command, format) in [
        ("plan", "text"),
        ("plan", "markdown"),
        ("plan", "html"),
        ("plan", "json"),
        ("drift", "text"),
        ("drift", "markdown"),
        ("drift", "html"),
        ("drift", "json"),
    ] {
        let run = workplace.run(&[command, "--format", format]);
        let shown = &run.stdout;
        assert!(shown.contains("alert(1)"), "{command} {format}: {shown}");
        // JSON round trip.
        assert_eq!(
            shown.contains('\u{202e}'),
            format == "json",
            "{command} {format}"
        );
        for line in shown.lines() {
            let line = line.trim_start();
            assert!(
                !line.starts_with("::error")
                    && (!line.starts_with("```") || line == "```" || line == "```diff"),
                "{command} {format}: {line}"
            );
        }
        match format {
            "html" => assert!(!shown.contains("<script>alert"), "{command}"),
            "json" => {
                let document: Value = serde_json::from_str(shown).unwrap();
                let access = &document["accounts"][0]["context"]["access"]["loaded"];
                assert_eq!(access["policies"]["p"]["name"], name);
            }
            "markdown" => assert_eq!(shown.matches("\n```").count() % 2, 0, "{shown}"),
            _ => {}
        }
    }
}

#[test]
fn a_guard_that_has_to_look_does_not_look_away() {
    let server = SandboxServer::start(Settings::default());
    let workplace = workplace(&server, FILE);
    workplace.write("deny.yaml", &format!("{FILE}{DENY}"));
    let limits = "version: 1\nguards: { policies: deny }\n";
    workplace.write("limits.yml", limits);
    let table = [
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
    ];
    for (command, code) in table {
        let run = workplace.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(run.code, code, "{command}: {}{}", run.stdout, run.stderr);
    }
    let told = workplace.run(&["plan", "deny.yaml", "--no-context"]);
    assert_snapshot!(told.stderr.lines().next().unwrap(), @"error: --no-context cannot be used: deny.yaml has `guards.policies: deny`, and this guard needs the Access policies");
    let refused = workplace.run(&["plan", "deny.yaml"]);
    let violations = refused
        .stdout
        .lines()
        .filter(|line| line.starts_with("Blocked"));
    assert_snapshot!(violations.collect::<Vec<_>>().join("\n"), @r#"
    Blocked by policies: no enabled behavior would assign level medium; 2 policies use it (Block risky users, Contractors), and guards.policies is deny; use --allow-policies to allow it
    Blocked by policies: no enabled behavior would assign level high; 3 policies use it (Block risky users, Contractors, "Employees, not at high risk"), and guards.policies is deny; use --allow-policies to allow it
    "#);
    assert_eq!(server.writes(), 0);
}

/// The saved plan contains the reviewed context, even if Access is not readable during apply.
#[test]
fn a_saved_plan_holds_what_acts_on_its_levels() {
    let server = SandboxServer::start(Settings::default());
    let workplace = workplace(&server, FILE);
    assert_eq!(workplace.run(&["plan", "--out", "plan.json"]).code, 0);
    assert_eq!(
        workplace
            .run(&["plan", "--no-context", "--out", "blind.json"])
            .code,
        0
    );
    workplace.write("limits.yml", "version: 1\nguards: { policies: deny }\n");
    // Under these limits, apply reads the policies again, whatever the plan holds.
    for file in ["plan.json", "blind.json"] {
        let reason = "2 policies use it (Block risky users, Contractors)";
        let refused = workplace.run(&[
            "apply",
            "--plan",
            file,
            "--auto-approve",
            "--limits",
            "limits.yml",
        ]);
        assert_eq!(refused.code, 5, "{file}: {}", refused.stderr);
        assert!(refused.stdout.contains(reason), "{}", refused.shown());
    }
    let flagged = workplace.run(&["apply", "--plan", "plan.json", "--no-context"]);
    assert_eq!(flagged.code, 64, "{}", flagged.stderr);

    assert_eq!(server.writes(), 0);

    // Access has changed. The saved context is shown, without new requests.
    let edited = server
        .sandbox
        .edit(&account(), |account| account.context = Default::default());
    edited.unwrap();
    let before = server.requests().len();
    let applied = workplace.run(&["apply", "--plan", "plan.json", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let note =
        "note: behavior.high_dlp: 2 policies use level medium (Block risky users, Contractors)";
    assert!(applied.stdout.contains(note), "{}", applied.stdout);
    assert_eq!(asked(&server, before).0, [""; 0]);
    let shown = workplace.run(&["show", "plan.json"]);
    assert!(shown.stdout.contains(note), "{}", shown.stdout);
}

/// A short list could hide the policy that the guard protects.
#[test]
fn short_policy_list_blocks_under_deny() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let server = SandboxServer::behind(Settings::default(), move |_, router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let is_short = request.uri().path().ends_with("/access/policies");
            counter.fetch_add(usize::from(is_short), Ordering::SeqCst);
            async move {
                match is_short {
                    true => {
                        let info = json!({ "page": 1, "per_page": 1000, "count": 1, "total_count": 2, "total_pages": 1 });
                        let policy = json!({ "id": "p1", "name": "Other", "include": [] });
                        let body = json!({ "success": true, "errors": [], "messages": [], "result": [policy], "result_info": info });
                        body.to_string().into_response()
                    }
                    false => next.run(request).await,
                }
            }
        }))
    });
    let workplace = workplace(&server, &format!("{FILE}{DENY}"));
    let run = workplace.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, 5, "{}", run.shown());
    let reason = "an incomplete list: page 2 is missing";
    assert!(run.stdout.contains(reason), "{}", run.shown());
    // Both pages, and once more.
    assert_eq!(reads.load(Ordering::SeqCst), 4);
    assert_eq!(server.writes(), 0);
}

/// The policies in a saved plan may be outdated, so `policies: deny` needs the current ones.
#[test]
fn saved_plan_reads_policies_again_under_deny() {
    let unreadable = Arc::new(AtomicBool::new(false));
    let server = SandboxServer::behind(Settings::default(), {
        let unreadable = Arc::clone(&unreadable);
        move |_, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let denied = unreadable.load(Ordering::SeqCst);
                let denied = denied && request.uri().path().contains("/access/policies");
                async move {
                    match denied {
                        true => StatusCode::FORBIDDEN.into_response(),
                        false => next.run(request).await,
                    }
                }
            }))
        }
    });
    let workplace = workplace(&server, FILE);
    workplace.write("limits.yml", "version: 1\nguards: { policies: deny }\n");
    workplace.write(
        "deny.yaml",
        &format!("{FILE}guards: {{ policies: deny }}\n"),
    );
    let edit = |context| {
        let edited = server.sandbox.edit(&account(), |account| {
            std::mem::replace(&mut account.context, context)
        });
        edited.unwrap()
    };
    let policies = edit(Default::default());
    for file in ["riskform", "deny"] {
        let (yaml, saved) = (format!("{file}.yaml"), format!("{file}.json"));
        let planned = workplace.run(&["plan", &yaml, "--out", &saved]);
        assert_eq!(planned.code, 0, "{}", planned.shown());
    }
    edit(policies);
    let apply = |unread: bool, reason: &str| {
        unreadable.store(unread, Ordering::SeqCst);
        let by_limits = ["--plan", "riskform.json", "--limits", "limits.yml"];
        for plan in [&by_limits[..], &["--plan", "deny.json"]] {
            let run = workplace.run(&[&["apply", "--auto-approve"], plan].concat());
            assert_eq!(run.code, 5, "{plan:?}: {}", run.shown());
            assert!(run.stdout.contains(reason), "{plan:?}: {}", run.shown());
        }
    };
    apply(false, "2 policies use it (Block risky users, Contractors)");
    apply(true, "and the Access policies cannot be read");
    assert_eq!(server.writes(), 0);
}

#[test]
fn a_missing_permission_costs_one_request() {
    for (permissions, expected) in [
        ("read,groups", &["policies", "audit"][..]),
        ("read,apps", &["policies", "apps", "groups", "audit"]),
        ("read,apps,groups", &["policies", "apps", "groups", "audit"]),
    ] {
        let tokens = [(DEFAULT_TOKEN.to_owned(), permissions.parse().unwrap())];
        let server = SandboxServer::start(Settings {
            tokens: tokens.into(),
            ..Settings::default()
        });
        let workplace = workplace(&server, FILE);
        let run = workplace.run(&["drift"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        let (asked, _) = asked(&server, 0);
        assert_eq!(asked, expected, "{permissions}");
        let who = r#"note: cannot determine who changed it: the token lacks the permission "Account Settings Read""#;
        assert!(run.stdout.contains(who), "{}", run.stdout);
    }
}

const NAMED: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
integrations:
  corp: { tenant_url: https://corp.okta.com, identity_provider: Corp, active: false }
";

fn providers(server: &SandboxServer, providers: &[(&str, &str)]) {
    let providers = providers.iter().map(|(name, id)| {
        json!({ "id": id, "name": name, "type": "okta", "config": { "okta_account": "https://other.okta.com", "client_secret": "hush" } })
    });
    let providers = providers.collect();
    let edited = server.sandbox.edit(&account(), |account| {
        account.context.identity_providers = providers
    });
    edited.unwrap();
}

const ID: &str = "11111111-1111-4111-8111-111111111111";
const NEXT: &str = "22222222-2222-4222-8222-222222222222";

#[test]
fn a_saved_plan_is_stale_once_its_identity_provider_is_another() {
    let server = SandboxServer::start(Settings::default());
    providers(&server, &[("Corp", ID)]);
    let workplace = workplace(&server, NAMED);
    let planned = workplace.run(&["plan", "--out", "plan.json"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let apply = ["apply", "--plan", "plan.json", "--auto-approve"];
    for (now, moved) in [
        (&[("Corp", NEXT)][..], format!("{NEXT:?}")),
        (
            &[("Corp", ID), ("Corp", NEXT)],
            format!("{ID:?} or {NEXT:?}"),
        ),
        (&[("Renamed", ID)], "no Okta identity provider".to_owned()),
    ] {
        providers(&server, now);
        let run = workplace.run(&apply);
        assert_eq!(run.code, 4, "{}", run.stderr);
        let told =
            format!(r#"integration.corp: identity_provider "Corp" changed from {ID:?} to {moved}"#);
        assert!(run.stderr.contains(&told), "{}", run.stderr);
    }
    assert_eq!(server.writes(), 0);
    providers(&server, &[("Corp", ID), ("Another", NEXT)]);
    let run = workplace.run(&apply);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn a_provider_of_another_org_is_a_warning_in_every_format() {
    let server = SandboxServer::start(Settings::default());
    providers(&server, &[("Corp", ID)]);
    let workplace = workplace(&server, NAMED);
    let warning = r#"integration.corp: identity provider "Corp" is for https://other.okta.com, but tenant_url is https://corp.okta.com"#;
    for command in ["plan", "drift"] {
        for format in ["text", "markdown", "html", "json"] {
            let run = workplace.run(&[command, "--format", format]);
            let escaped = match format {
                "html" => warning.replace('"', "&quot;").replace('/', "&#x2f;"),
                "json" => warning
                    .replace("integration.corp: ", "")
                    .replace('"', "\\\""),
                _ => warning.to_owned(),
            };
            assert!(
                run.stdout.contains(&escaped),
                "{command} {format}: {}",
                run.stdout
            );
            assert!(!run.stdout.contains("hush"), "{command} {format}");
            assert!(
                !run.stderr.contains("belongs to"),
                "{command} {format}: said twice"
            );
        }
    }
    let saved = workplace.run(&["plan", "--out", "plan.json"]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    let shown = workplace.run(&["show", "plan.json"]);
    assert!(
        shown.stdout.contains(warning),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    // Read despite --no-context.
    let run = workplace.run(&["plan", "--no-context"]);
    assert!(run.stdout.contains(warning), "{}", run.stdout);
}
