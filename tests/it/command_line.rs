//! The command line: accepted options, their positions, and errors for options without effect.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;

use crate::support::{Run, SandboxServer, TestDir};
use riskform::sandbox::Settings;

const FILE: &str = "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors:\n  imp_travel: { enabled: true }\nunlisted: { integrations: keep }\n";

#[test]
fn a_flag_that_would_not_be_obeyed_is_refused() {
    let workplace = TestDir::new();
    let table = [
        ("apply --plan x --target a", "cannot be used with '--target"),
        ("apply --plan x --expect-accounts 1", "cannot be used with"),
        (
            "schema config --parallelism 3",
            "unexpected argument '--parallelism'",
        ),
        ("validate --sandbox", "unexpected argument '--sandbox'"),
        ("fmt --account-id x", "unexpected argument '--account-id'"),
        (
            "show x --base-url http://x",
            "unexpected argument '--base-url'",
        ),
        (
            "plan --sandbox --base-url https://x",
            "cannot be used with '--base-url",
        ),
        ("plan --parallelism 0", "expected a number of at least 1"),
        (
            "plan -o p.json",
            "`p.json` looks like a file name; use --format json=p.json (plan --out FILE saves a plan)",
        ),
        (
            "drift -o junit.xml",
            "`junit.xml` looks like a file name; use --format text=junit.xml",
        ),
        ("plan -o json=", "missing file name after `=`"),
        (
            "plan -o nonsense",
            "expected one of: text, json, markdown, diff, html",
        ),
        (
            "plan -o text -o json",
            "only one --format can go to standard output",
        ),
        ("plan --nonsense", "unexpected argument '--nonsense'"),
        (
            "plan -out=p.json",
            "error: unknown option -out   help: riskform plan --out p.json",
        ),
    ];
    for (line, words) in table {
        let run = workplace.run(&line.split(' ').collect::<Vec<_>>());
        let said = run.stderr.replace('\n', " ");
        assert_eq!(run.code, 64, "{line}: {}", run.shown());
        assert!(said.contains(words), "{line}: {}", run.shown());
    }
    let run = workplace.run(&["apply", "-x"]);
    assert!(!run.stderr.contains("as a value"), "{}", run.stderr);
}

#[test]
fn flags_stand_before_the_name_of_a_command_or_behind_it() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    let behind = workplace.run(&["plan", "--format", "json", "-q"]);
    assert_eq!(behind.code, 0, "{}", behind.shown());
    for line in [
        "-q --color never plan -o json",
        "--color=never plan -q -ojson riskform.yaml",
    ] {
        let before = workplace.run(&line.split(' ').collect::<Vec<_>>());
        let (before, behind) = (document(&before.stdout), document(&behind.stdout));
        assert_eq!(before["accounts"], behind["accounts"], "{line}");
    }
}

fn document(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn nothing_is_printed_if_every_format_goes_to_a_file() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    for command in ["plan", "drift"] {
        let run = workplace.run(&[command, "-o", "text=plan.txt", "-o", "json=plan.json"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{command}");
        let text = workplace.read("plan.txt");
        assert!(text.starts_with("No "), "{command}: {text}");
        assert_eq!(
            document(&workplace.read("plan.json"))["accounts"][0]["status"],
            "ok"
        );
    }
}

#[test]
fn another_number_of_accounts_than_expected_is_an_error() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    for line in ["validate", "plan", "drift", "destroy --auto-approve"] {
        let words = |expected| {
            let words = line.split(' ').chain(["--expect-accounts", expected]);
            words.collect::<Vec<_>>()
        };
        let run = workplace.run(&words("2"));
        assert_eq!(run.code, 1, "{line}: {}", run.shown());
        assert!(
            run.stderr
                .contains("error: the files declare 1 account, but --expect-accounts is 2"),
            "{line}: {}",
            run.shown()
        );
        assert_eq!(server.writes(), 0, "{line}");
    }
    assert_eq!(workplace.run(&["plan", "--expect-accounts", "1"]).code, 0);
}

#[test]
fn a_base_url_or_a_proxy_that_can_not_be_used_is_refused_and_not_shown() {
    let table = [
        (
            "CLOUDFLARE_BASE_URL",
            "https://me:canary@api.example.com",
            "invalid CLOUDFLARE_BASE_URL: the base URL must not contain a user name",
        ),
        (
            "CLOUDFLARE_BASE_URL",
            "https://[canary",
            "invalid CLOUDFLARE_BASE_URL: invalid base URL",
        ),
        (
            "HTTPS_PROXY",
            "http://me:canary@",
            "invalid proxy in HTTPS_PROXY: empty host",
        ),
        (
            "https_proxy",
            "me:canary@proxy:port",
            "invalid proxy in https_proxy: invalid port",
        ),
        (
            "ALL_PROXY",
            "socks5://canary",
            "invalid proxy in ALL_PROXY: socks5 is not supported",
        ),
    ];
    for (variable, value, words) in table {
        let mut workplace = TestDir::new();
        workplace.write("riskform.yaml", FILE);
        workplace.set("CLOUDFLARE_API_TOKEN", "token");
        workplace.set(variable, value);
        for command in [
            "plan",
            "drift",
            "doctor",
            "get users --account-id f037e56e89293a057740de681ac9abbe",
        ] {
            let run = workplace.run(&command.split(' ').collect::<Vec<_>>());
            assert_eq!(run.code, 1, "{variable} {command}: {}", run.shown());
            // The doctor prints a table with wrapped lines.
            let told = run.shown();
            let told: Vec<&str> = told.split_whitespace().collect();
            assert!(
                told.join(" ").contains(words),
                "{variable} {command}: {}",
                run.shown()
            );
            assert!(
                !run.shown().contains("canary"),
                "{variable} {command}: {}",
                run.shown()
            );
        }
    }
}

#[test]
fn a_proxy_that_is_down_is_named() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", FILE);
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    // The discard port is closed.
    workplace.set("HTTPS_PROXY", "http://me:canary@127.0.0.1:9");
    let run = workplace.run(&["plan"]);
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(
        run.stderr.contains("check the proxy set in HTTPS_PROXY"),
        "{}",
        run.shown()
    );
    assert!(!run.shown().contains("canary"), "{}", run.shown());

    let run = workplace.run(&["doctor"]);
    assert_eq!(run.code, 1);
    let told: Vec<&str> = run.stdout.split_whitespace().collect();
    let proxy = "fail proxy cannot reach the API through 127.0.0.1:9 (HTTPS_PROXY) \
                 help: check that the proxy is up and allows requests to the API, or unset HTTPS_PROXY";
    assert!(told.join(" ").contains(proxy), "{}", run.stdout);
    assert!(!run.shown().contains("canary"), "{}", run.shown());
}

#[test]
fn a_base_url_without_the_usual_path_is_told() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    let short = server.base_url().replace("/client/v4", "");
    let help = format!(
        "the base URL {short} does not end in /client/v4; did you mean {}?",
        server.base_url()
    );
    for command in ["plan", "drift", "get behaviors", "apply"] {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(["--base-url", &short]);
        if command.starts_with("get") {
            words.extend(["--account-id", "f037e56e89293a057740de681ac9abbe"]);
        }
        let run = workplace.run(&words);
        assert_eq!(run.code, 1, "{}", run.shown());
        assert!(run.stderr.contains(&help), "{}", run.stderr);
    }
    let doctor = workplace.run(&["doctor", "--base-url", &short]);
    assert!(doctor.stdout.contains(&help), "{}", doctor.stdout);
}

#[test]
fn errors_point_to_what_was_meant() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let account = "--account-id f037e56e89293a057740de681ac9abbe";
    let said = |line: &str, code: i32| {
        let run = workplace.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(run.code, code, "{line}: {}", run.shown());
        run.stderr
    };
    for command in ["plan", "drift", "validate", "apply", "destroy"] {
        let stderr = said(command, 1);
        assert!(
            stderr.contains(
                "error: riskform.yaml not found in this directory\n  help: run `riskform init`"
            ),
            "{stderr}"
        );
    }
    workplace.write("riskform.yaml", FILE);
    said("plan --out p.plan", 0);
    assert!(said("apply p.plan", 64).contains(
        "p.plan is a saved plan, not a desired-state file\n  help: run `riskform apply --plan p.plan`"
    ));
    assert!(said("apply --plan riskform.yaml", 64).contains(
        "riskform.yaml is a desired-state file, not a saved plan\n  help: run `riskform apply riskform.yaml`"
    ));
    let warned = said("drift --sandbox --ignore behavior.imp_trvel", 0);
    assert!(
        warned.contains(
            "warning: no resource matches --ignore behavior.imp_trvel; did you mean behavior.imp_travel?"
        ),
        "{warned}"
    );
    let refused = said("plan --sandbox --target behavior.imp_trvel", 64);
    assert!(
        refused.contains(
            "error: no resource matches --target behavior.imp_trvel\n  help: did you mean behavior.imp_travel?"
        ),
        "{refused}"
    );
    assert!(said("show riskform.yaml", 64).contains("riskform.yaml is a desired-state file"));
    let stderr = said(&format!("get integration corporate-okta {account}"), 64);
    assert!(
        stderr.contains("error: riskform.yaml declares no integration.corporate-okta"),
        "{stderr}"
    );
    for line in ["reset --level hi", "get users --min-level hi"] {
        let stderr = said(&format!("{line} {account}"), 64);
        assert!(
            stderr.contains("expected one of: low, medium, high"),
            "{stderr}"
        );
    }
    assert!(
        said("plan -o json=missing/plan.json", 1)
            .contains("cannot write missing/plan.json: directory missing does not exist")
    );
}

#[test]
fn init_writes_what_is_live_or_an_example_and_overwrites_nothing() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let run = workplace.run(&["init", "--account-id", "f037e56e89293a057740de681ac9abbe"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "riskform.yaml\n"),
        "{}",
        run.shown()
    );
    assert!(
        run.stderr
            .contains("Wrote riskform.yaml: 3 behaviors, 1 integration, with their live settings."),
        "{}",
        run.shown()
    );
    let file = workplace.read("riskform.yaml");
    assert!(
        file.contains("\n    id: 4cfe8442-664b-4915-acd4-b39cd65c4314\n"),
        "{file}"
    );
    assert_eq!(workplace.run(&["plan", "--detailed-exitcode"]).code, 0);
    assert_eq!(workplace.run(&["fmt", "--check"]).code, 0);
    let again = workplace.run(&["init"]);
    assert_eq!(again.code, 64);
    assert!(
        again.stderr.contains("riskform.yaml already exists"),
        "{}",
        again.shown()
    );

    assert!(
        file.ends_with(
            "\n# report: unlisted resources are reported as drift. keep: they are ignored.\nunlisted: { behaviors: report, integrations: report }\n"
        ),
        "{file}"
    );
    let nowhere = workplace.run(&["init", "new.yaml"]);
    assert_eq!(
        nowhere.shown(),
        "exit 64\n--- stderr\nerror: which account?\n  help: set CLOUDFLARE_ACCOUNT_ID, or pass --account-id\n"
    );
    let names: Vec<_> = std::fs::read_dir(workplace.path(".")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");

    let mut workplace = TestDir::new();
    let run = workplace.run(&["init", "new.yaml"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stderr.contains("Wrote new.yaml: an example."),
        "{}",
        run.shown()
    );
    workplace.set("CLOUDFLARE_ACCOUNT_ID", "f037e56e89293a057740de681ac9abbe");
    assert_eq!(
        workplace.run(&["validate", "new.yaml"]).shown(),
        "exit 0\n--- stdout\n1 account, no mistakes\n"
    );
    assert_eq!(workplace.run(&["fmt", "--check", "new.yaml"]).code, 0);
}

/// Runs a command with this standard input.
fn through(workplace: &TestDir, arguments: &[&str], input: &str) -> Run {
    let mut child = workplace
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn fmt_formats_what_is_passed_through_it() {
    let workplace = TestDir::new();
    let through = |arguments: &[&str]| through(&workplace, arguments, "version:   1\n");
    assert_eq!(through(&["fmt", "-"]).stdout, "version: 1\n");
    let check = through(&["fmt", "--check", "-"]);
    assert_eq!((check.code, check.stdout.as_str()), (1, ""));
    let diff = through(&["fmt", "--diff", "-"]).stdout;
    assert!(diff.contains("+version: 1\n"), "{diff}");
    let both = through(&["fmt", "-", "riskform.yaml"]);
    assert_eq!(both.code, 64, "{}", both.shown());
    assert!(
        both.stderr
            .contains("`-` (standard input) cannot be combined with files"),
        "{}",
        both.shown()
    );
}

#[test]
fn validate_checks_what_is_passed_through_it() {
    let workplace = TestDir::new();
    workplace.write(
        "_baseline.yaml",
        "version: 1\nbehaviors: { imp_travel: { enabled: true } }\n",
    );
    let extending = format!("extends: [_baseline.yaml]\n{FILE}");
    for input in [FILE, &extending] {
        let run = through(&workplace, &["validate", "-"], input);
        assert_eq!(run.shown(), "exit 0\n--- stdout\n1 account, no mistakes\n");
    }
    let wrong = FILE.replace("true", "yes");
    insta::assert_snapshot!(through(&workplace, &["validate", "-"], &wrong).shown(), @r"
    exit 1
    --- stdout
    error[yaml-1.1-boolean]: behavior.imp_travel.enabled: expected true or false, found `yes`
     --> -:4:26
      |
    4 |   imp_travel: { enabled: yes }
      |                          ^^^
      |
      = help: write `true`

    1 account, 1 error
    ");
    // Unrelated files are not shown, and files outside of the directory are not read.
    let foreign = through(&workplace, &["validate", "-"], "machine: canary\n");
    assert_eq!(foreign.code, 1);
    assert!(!foreign.shown().contains("canary"), "{}", foreign.shown());
    let outside = through(
        &workplace,
        &["validate", "-"],
        &format!("extends: [../x.yaml]\n{FILE}"),
    );
    assert!(
        outside.stdout.contains("error[outside-root]"),
        "{}",
        outside.shown()
    );
}

#[test]
fn what_to_do_next_is_said_to_a_person() {
    let mut workplace = TestDir::new();
    workplace.set("CI", "");
    workplace.write("riskform.yaml", FILE);
    std::fs::create_dir(workplace.path("a b")).unwrap();
    let off = FILE.replace("true", "false");
    workplace.write("a b/off.yaml", &off);
    let run = |line: &str| workplace.run(&shlex::split(line).unwrap());
    let table = [
        ("validate", "riskform plan  # "),
        ("validate 'a b'", "riskform plan 'a b'  # "),
        (
            "plan --sandbox --target 'behavior.*' --allow-weakening 'a b/off.yaml'",
            "riskform apply --target 'behavior.*' --allow-weakening --sandbox 'a b/off.yaml'",
        ),
        (
            "drift --sandbox 'a b/off.yaml'",
            "riskform apply --sandbox 'a b/off.yaml'  # ",
        ),
        (
            "export --sandbox -o yaml=x.yaml",
            "riskform plan --sandbox x.yaml  # ",
        ),
        (
            "export --sandbox",
            "riskform plan --sandbox  # after saving the output as riskform.yaml",
        ),
        (
            "export --sandbox --split fleet",
            "riskform plan --sandbox fleet  # ",
        ),
        (
            "init --sandbox new.yaml",
            "riskform plan --sandbox new.yaml  # ",
        ),
        (
            "plan --sandbox 'a b/off.yaml' --out p.json",
            "riskform apply --plan p.json --expect-digest sha256:",
        ),
    ];
    for (line, next) in table {
        let said = run(line);
        assert!(matches!(said.code, 0 | 2), "{line}: {}", said.shown());
        assert!(
            said.stderr.contains(&format!("\n  {next}")),
            "{line}: {}",
            said.shown()
        );
    }
    // No next steps without changes, with --quiet, or with data on stdout.
    for line in [
        "plan --sandbox",
        "drift --sandbox",
        "plan --sandbox -q 'a b/off.yaml'",
        "plan --sandbox -o json 'a b/off.yaml'",
        "plan --sandbox --ci 'a b/off.yaml'",
        "validate -o json",
        "validate -q",
    ] {
        let said = run(line);
        assert!(!said.stderr.contains("Next:"), "{line}: {}", said.shown());
    }
    workplace.set("CI", "true");
    let said = workplace.run(&["plan", "--sandbox", "a b/off.yaml"]);
    assert!(!said.stderr.contains("Next:"), "{}", said.shown());
}

#[test]
fn plan_destroy_plans_what_destroy_does() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    workplace.set("CI", "");
    workplace.write("riskform.yaml", FILE);
    let planned = workplace.run(&["plan", "--destroy", "--allow-weakening"]);
    assert_eq!(planned.code, 0, "{}", planned.shown());
    assert!(
        planned
            .stderr
            .contains("  riskform destroy --allow-weakening  # asks before it writes"),
        "{}",
        planned.stderr
    );
    let saved = workplace.run(&["plan", "--destroy", "--out", "p.json"]);
    assert_eq!(saved.code, 0, "{}", saved.shown());
    let applied = workplace.run(&["apply", "--plan", "p.json", "--auto-approve"]);
    assert_eq!(applied.code, 0, "{}", applied.shown());
    let of_plan = applied.stdout.lines().take(6).collect::<Vec<_>>();
    assert_eq!(planned.stdout.lines().take(6).collect::<Vec<_>>(), of_plan);
    assert!(
        of_plan.concat().contains("~ behavior.imp_travel"),
        "{of_plan:?}"
    );
    let again = workplace.run(&["destroy", "--auto-approve"]);
    assert!(
        again.stdout.contains("Nothing to destroy"),
        "{}",
        again.shown()
    );
}

/// Writes a file with many accounts named `customer-N`.
fn write_fleet(workplace: &TestDir, accounts: usize) {
    let accounts = (0..accounts).map(|n| {
        format!("version: 1\naccount_id: {n:032x}\nname: customer-{n}\nbehaviors: {{ imp_travel: {{ enabled: true }} }}\n")
    });
    let text: Vec<String> = accounts.collect();
    workplace.write("fleet.yaml", &text.join("---\n"));
}

#[test]
fn each_cause_of_a_wait_takes_one_line() {
    let limited = Arc::new(AtomicUsize::new(0));
    let server = SandboxServer::behind(Settings::default(), move |_, router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let is_limited = limited.fetch_add(1, Ordering::SeqCst) < 12;
            async move {
                match is_limited {
                    true => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")], "{}")
                        .into_response(),
                    false => next.run(request).await,
                }
            }
        }))
    });
    let mut workplace = TestDir::with(&server);
    write_fleet(&workplace, 12);
    let run = workplace.run(&["drift", "fleet.yaml"]);
    let expected = "rate limited, waiting 2 s (429, Retry-After)\n";
    assert_eq!(run.stderr, expected, "{}", run.shown());

    // The discard port is closed.
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9/client/v4");
    let run = workplace.run(&["drift", "fleet.yaml"]);
    assert_eq!(run.code, 1, "{}", run.shown());
    assert_eq!(
        run.stderr,
        "can't connect to 127.0.0.1:9, retrying\n",
        "{}",
        run.shown()
    );

    let mut workplace = TestDir::new();
    write_fleet(&workplace, 60);
    let run = workplace.run(&["drift", "fleet.yaml"]);
    assert_eq!(run.code, 6, "{}", run.shown());
    let error = "CLOUDFLARE_API_TOKEN is not set";
    assert_eq!(run.shown().matches(error).count(), 1, "{}", run.shown());
    let with_variables = workplace
        .read("fleet.yaml")
        .replace("\nname: customer-", "\nname: customer-N");
    let with_variables = with_variables.replace("N1\n", "N1\napi_token_env: CLOUDFLARE_A\n");
    let with_variables = with_variables.replace("N2\n", "N2\napi_token_env: CLOUDFLARE_B\n");
    workplace.write(
        "fleet.yaml",
        &with_variables.replace("name: customer-N", "name: customer-"),
    );
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9/client/v4");
    let run = workplace.run(&[
        "drift",
        "fleet.yaml",
        "--target",
        "customer-1/*",
        "--target",
        "customer-2/*",
        "-o",
        "json",
    ]);
    let accounts = document(&run.stdout)["accounts"].clone();
    for account in accounts.as_array().unwrap() {
        let message = &account["error"]["message"];
        assert_eq!(
            message,
            "not set: CLOUDFLARE_A, CLOUDFLARE_B",
            "{}",
            run.shown()
        );
    }
}

#[test]
fn warnings_with_one_cause_take_one_excerpt() {
    let workplace = TestDir::new();
    let entries = (0..1000).map(|n| {
        format!("  tenant-{n}: {{ tenant_url: https://tenant-{n}.okta.com, reference_id: corporate-{n} }}\n")
    });
    let entries: String = entries.collect();
    workplace.write("riskform.yaml", &format!("{FILE}integrations:\n{entries}"));
    let run = workplace.run(&["plan", "--sandbox"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stderr.matches("warning[").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("999 more of "), "{}", run.stderr);
}

#[test]
fn accounts_that_no_target_names_are_not_read() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    write_fleet(&workplace, 3);
    let run = workplace.run(&["plan", "fleet.yaml", "--target", "customer-1/behavior.*"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let requests = server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(
            request.path.contains("00000000000000000000000000000001"),
            "{}",
            request.path
        );
    }
    let run = workplace.run(&["plan", "fleet.yaml", "--target", "customer-9/behavior.*"]);
    assert_eq!(run.code, 64, "{}", run.shown());
}

#[test]
fn details_of_requests_are_plain_lines() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    let run = workplace.run(&["plan", "-vv"]);
    assert!(
        run.stderr.starts_with("loaded 1 account\nGET /accounts/"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("/zt_risk_scoring/behaviors: 200 OK in "),
        "{}",
        run.stderr
    );
    let run = workplace.run(&["plan", "-v"]);
    assert!(!run.stderr.contains("GET "), "{}", run.stderr);
}
