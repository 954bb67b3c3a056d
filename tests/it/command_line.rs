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
fn output_is_empty_if_every_format_goes_to_a_file() {
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
fn unexpected_number_of_accounts_is_an_error() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with_file(&server, FILE);
    for line in ["validate", "plan", "drift", "destroy --auto-approve"] {
        let run = workplace.line(&format!("{line} --expect-accounts 2"));
        run.exits(1)
            .says("error: the files declare 1 account, but --expect-accounts is 2");
    }
    assert_eq!(server.writes(), 0);
    workplace.line("plan --expect-accounts 1").exits(0);
}

#[test]
fn invalid_base_url_or_proxy_is_an_error_that_does_not_show_it() {
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
        for command in ["plan", "doctor", "get users"] {
            let shown = workplace.line(command).exits(1).shown();
            // The doctor prints a table with wrapped lines.
            let text: Vec<&str> = shown.split_whitespace().collect();
            assert!(
                text.join(" ").contains(words),
                "{variable} {command}: {shown}"
            );
            assert!(!shown.contains("canary"), "{variable} {command}: {shown}");
        }
    }
}

#[test]
fn proxy_that_is_down_is_named() {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", FILE);
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    // The discard port is closed.
    workplace.set("HTTPS_PROXY", "http://me:canary@127.0.0.1:9");
    let plan = workplace.line("plan").exits(1);
    plan.says("check the proxy set in HTTPS_PROXY");
    let doctor = workplace.line("doctor").exits(1);
    let text: Vec<&str> = doctor.stdout.split_whitespace().collect();
    let proxy = "fail proxy cannot reach the API through 127.0.0.1:9 (HTTPS_PROXY) \
                 help: check that the proxy is up and allows requests to the API, or unset HTTPS_PROXY";
    assert!(text.join(" ").contains(proxy), "{}", doctor.stdout);
    for run in [plan, doctor] {
        assert!(!run.shown().contains("canary"), "{}", run.shown());
    }
}

#[test]
fn base_url_without_the_usual_path_gets_a_hint() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with_file(&server, FILE);
    let url = server.base_url();
    let short = url.replace("/client/v4", "");
    let help = format!("the base URL {short} does not end in /client/v4; did you mean {url}?");
    for command in ["plan", "get behaviors", "doctor"] {
        let run = workplace.line(&format!("{command} --base-url {short}"));
        run.exits(1).says(&help);
    }
}

#[test]
fn errors_point_to_what_was_meant() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    for command in ["plan", "drift", "validate", "apply", "destroy"] {
        let error = "error: riskform.yaml not found in this directory\n  help: run `riskform init`";
        workplace.line(command).exits(1).says(error);
    }
    workplace.write("riskform.yaml", FILE);
    workplace.line("plan --out p.plan").exits(0);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", "f037e56e89293a057740de681ac9abbe");
    let table = [
        (
            "apply p.plan",
            64,
            "p.plan is a saved plan, not a desired-state file\n  help: run `riskform apply --plan p.plan`",
        ),
        (
            "apply --plan riskform.yaml",
            64,
            "riskform.yaml is a desired-state file, not a saved plan\n  help: run `riskform apply riskform.yaml`",
        ),
        (
            "show riskform.yaml",
            64,
            "riskform.yaml is a desired-state file",
        ),
        (
            "drift --sandbox --ignore behavior.imp_trvel",
            0,
            "warning: no resource matches --ignore behavior.imp_trvel; did you mean behavior.imp_travel?",
        ),
        (
            "plan --sandbox --target behavior.imp_trvel",
            64,
            "error: no resource matches --target behavior.imp_trvel\n  help: did you mean behavior.imp_travel?",
        ),
        (
            "get integration corporate-okta",
            64,
            "error: riskform.yaml declares no integration.corporate-okta",
        ),
        ("reset --level hi", 64, "expected one of: low, medium, high"),
        (
            "get users --min-level hi",
            64,
            "expected one of: low, medium, high",
        ),
        (
            "plan -o json=missing/plan.json",
            1,
            "cannot write missing/plan.json: directory missing does not exist",
        ),
    ];
    for (line, code, message) in table {
        workplace.line(line).exits(code).says(message);
    }
}

#[test]
fn init_writes_live_account_or_example_without_overwriting() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let run = workplace.line("init --account-id f037e56e89293a057740de681ac9abbe");
    let run = run.exits(0);
    assert_eq!(run.stdout, "riskform.yaml\n");
    run.says("Wrote riskform.yaml: 3 behaviors, 1 integration, with their live settings.");
    let file = workplace.read("riskform.yaml");
    assert!(file.starts_with("# yaml-language-server: "), "{file}");
    assert!(
        file.contains("riskform.schema.json\nversion: 1\n"),
        "{file}"
    );
    assert!(
        file.contains("\n    id: 4cfe8442-664b-4915-acd4-b39cd65c4314\n"),
        "{file}"
    );
    let end = "\n\n# report: unlisted resources are reported as drift. keep: they are ignored.\nunlisted: { behaviors: report, integrations: report }\n";
    assert!(file.ends_with(end), "{file}");
    workplace.line("plan --detailed-exitcode").exits(0);
    workplace.line("fmt --check").exits(0);
    workplace
        .line("init")
        .exits(64)
        .says("riskform.yaml already exists");
    workplace
        .line("init new.yaml")
        .exits(64)
        .says("error: which account?\n  help: set CLOUDFLARE_ACCOUNT_ID, or pass --account-id\n");
    let names: Vec<_> = std::fs::read_dir(workplace.path(".")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");

    let mut workplace = TestDir::new();
    workplace
        .line("init new.yaml")
        .exits(0)
        .says("Wrote new.yaml: an example.");
    workplace.set("CLOUDFLARE_ACCOUNT_ID", "f037e56e89293a057740de681ac9abbe");
    workplace
        .line("validate new.yaml")
        .exits(0)
        .says("1 account, no mistakes\n");
    workplace.line("fmt --check new.yaml").exits(0);
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
fn fmt_formats_standard_input() {
    let workplace = TestDir::new();
    let through = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        through(&workplace, &arguments, "version:   1\n")
    };
    assert_eq!(through("fmt -").stdout, "version: 1\n");
    assert_eq!(through("fmt --check -").exits(1).stdout, "");
    through("fmt --diff -").says("+version: 1\n");
    let both = through("fmt - riskform.yaml").exits(64);
    both.says("`-` (standard input) cannot be combined with files");
}

#[test]
fn validate_checks_standard_input() {
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
    let unrelated = through(&workplace, &["validate", "-"], "machine: canary\n").exits(1);
    assert!(
        !unrelated.shown().contains("canary"),
        "{}",
        unrelated.shown()
    );
    let outside = format!("extends: [../x.yaml]\n{FILE}");
    through(&workplace, &["validate", "-"], &outside).says("error[outside-root]");
}

#[test]
fn next_steps_are_printed_only_on_a_terminal() {
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
    let mut workplace = TestDir::with_file(&server, FILE);
    workplace.set("CI", "");
    let planned = workplace.line("plan --destroy --allow-weakening").exits(0);
    planned.says("  riskform destroy --allow-weakening  # asks before it writes");
    planned.says("~ behavior.imp_travel");
    workplace.line("plan --destroy --out p.json").exits(0);
    let applied = workplace
        .line("apply --plan p.json --auto-approve")
        .exits(0);
    let shown: Vec<&str> = planned.stdout.lines().take(6).collect();
    assert_eq!(applied.stdout.lines().take(6).collect::<Vec<_>>(), shown);
    workplace
        .line("destroy --auto-approve")
        .says("Nothing to destroy");
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
    let run = workplace.line("drift fleet.yaml");
    assert_eq!(run.stderr, "rate limited, waiting 2 s (429, Retry-After)\n");

    // The discard port is closed.
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9/client/v4");
    let run = workplace.line("drift fleet.yaml").exits(1);
    assert_eq!(run.stderr, "can't connect to 127.0.0.1:9, retrying\n");
}

#[test]
fn missing_tokens_are_named_once() {
    let mut workplace = TestDir::new();
    write_fleet(&workplace, 60);
    let run = workplace.line("drift fleet.yaml").exits(6);
    let error = "CLOUDFLARE_API_TOKEN is not set";
    assert_eq!(run.shown().matches(error).count(), 1, "{}", run.shown());

    let mut fleet = workplace.read("fleet.yaml");
    for (name, variable) in [
        ("customer-1", "CLOUDFLARE_A"),
        ("customer-2", "CLOUDFLARE_B"),
    ] {
        let name = format!("name: {name}\n");
        fleet = fleet.replace(&name, &format!("{name}api_token_env: {variable}\n"));
    }
    workplace.write("fleet.yaml", &fleet);
    workplace.set("CLOUDFLARE_API_TOKEN", "token");
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9/client/v4");
    let run = workplace
        .line("drift fleet.yaml --target customer-1/* --target customer-2/* --format json");
    let accounts = run.json()["accounts"].clone();
    for account in accounts.as_array().unwrap() {
        assert_eq!(
            account["error"]["message"],
            "not set: CLOUDFLARE_A, CLOUDFLARE_B"
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
    let plan =
        |account: &str| workplace.line(&format!("plan fleet.yaml --target {account}/behavior.*"));
    plan("customer-1").exits(0);
    let requests = server.requests();
    let is_read = |path: &str| path.contains("00000000000000000000000000000001");
    assert!(!requests.is_empty() && requests.iter().all(|one| is_read(&one.path)));
    plan("customer-9").exits(64);
}

#[test]
fn details_of_requests_are_plain_lines() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with_file(&server, FILE);
    let run = workplace.line("plan -vv");
    run.says("loaded 1 account\nGET /accounts/");
    run.says("/zt_risk_scoring/behaviors: 200 OK in ");
    let run = workplace.line("plan -v");
    assert!(!run.stderr.contains("GET "), "{}", run.stderr);
}
