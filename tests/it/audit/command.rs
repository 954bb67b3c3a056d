//! `riskform audit` over a served sandbox: requests and exit codes, without any writes.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use insta::assert_snapshot;
use riskform::model::text::hex;
use riskform::report::schema::AUDIT_SCHEMA;
use riskform::sandbox::{DEFAULT_TOKEN, Settings};
use serde_json::json;

use crate::support::json::assert_valid;
use crate::support::layers::{Reaction, answer, failure, reject, success};
use crate::support::{Run, SandboxServer, TestDir, serve};

/// A file for the recorded account.
const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
name: production
behaviors:
  imp_travel: { enabled: true, risk_level: high }
  high_dlp: { enabled: true, risk_level: medium }
  sentinel_one: { enabled: false }
integrations:
  corporate-okta: { tenant_url: https://example.oktapreview.com }
";

fn allowed(permissions: &str) -> Settings {
    Settings {
        permissions: vec![permissions.parse().unwrap()],
        ..Settings::default()
    }
}

fn audited(settings: Settings, file: &str, arguments: &[&str]) -> (SandboxServer, TestDir, Run) {
    let server = SandboxServer::start(settings);
    let workplace = TestDir::with_file(&server, file);
    let run = workplace.run(&[&["audit"], arguments].concat());
    assert_eq!(server.writes(), 0);
    (server, workplace, run)
}

/// Returns the status of all checks of all accounts.
fn standings(run: &Run) -> String {
    let document = run.json();
    let accounts = document["accounts"].as_array().unwrap().iter();
    let findings = accounts.flat_map(|account| account["findings"].as_array().unwrap());
    let findings = findings.filter(|finding| finding["status"] != "pass");
    let findings = findings.map(|finding| {
        let text = |name: &str| finding[name].as_str().unwrap_or("-");
        format!(
            "{} {} {}",
            text("check"),
            text("status"),
            text("permission")
        )
    });
    findings.collect::<Vec<_>>().join("; ")
}

#[test]
fn sound_account_passes_without_writes() {
    let (server, workplace, run) = audited(Settings::default(), FILE, &[]);
    let shown = run.shown();
    let (before, after) = shown.split_once("Checked 20").unwrap();
    let (_, after) = after.split_once(" UTC").unwrap();
    assert_snapshot!(format!("{before}Checked [moment]{after}"), @"
    exit 0
    --- stdout
    production (f037e56e…abbe)  riskform.yaml

    pass  behaviors  all 2 behaviors declared on are on
    pass  policies   policies use medium (2), high (3)
    pass  levels     every level used by a policy is assigned
    pass  providers  the active integration references its Okta identity provider
    pass  unlisted   no unlisted resources
    pass  drift      no other drift
    pass  ambiguous  no entry is ambiguous

    Audit: 0 failed, 0 warnings, 7 passed.
    Checked [moment] by riskform 0.1.0 against http://127.0.0.1:[port]/client/v4
    Token dbb1fd424c0f138b840470d9b8f330ac (CLOUDFLARE_API_TOKEN). File: riskform.yaml.
    ");
    let requests = server.requests();
    // One for the token, two for risk scoring, three for Access, and one for its providers.
    assert_eq!(requests.len(), 7, "{requests:#?}");
    // cron mails all output.
    let quiet = workplace.line("audit -q");
    assert_eq!(
        (quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()),
        (0, "", "")
    );
}

#[test]
fn ignored_checks_are_not_run_or_read() {
    let cases: [(&[&str], usize); 3] = [
        (&[], 7),
        (&["--ignore", "policies"], 7),
        (
            &[
                "--ignore",
                "policies",
                "--ignore",
                "levels",
                "--ignore",
                "providers",
            ],
            3,
        ),
    ];
    for (arguments, requests) in cases {
        let arguments = [arguments, &["-o", "json"]].concat();
        let (server, _, run) = audited(Settings::default(), FILE, &arguments);
        let asked = server.requests().len();
        assert_eq!((run.code, asked), (0, requests), "{arguments:?}");
        let document = run.json();
        let (ignored, findings) = (&document["ignored"], &document["accounts"][0]["findings"]);
        let [ignored, findings] = [ignored, findings].map(|list| list.as_array().unwrap());
        assert_eq!(ignored.len() + findings.len(), 7, "{arguments:?}");
        for finding in findings {
            assert!(!ignored.contains(&finding["check"]), "{arguments:?}");
        }
        // Checks with a missing permission can be ignored as well.
        let (_, _, blind) = audited(allowed("read"), FILE, &arguments);
        assert_eq!(
            blind.code,
            if requests == 3 { 0 } else { 6 },
            "{arguments:?}"
        );
    }
}

#[test]
fn exit_code_of_one_account() {
    let off = FILE.replace(
        "sentinel_one: { enabled: false }",
        "sentinel_one: { enabled: true }",
    );
    let cases = [
        (Settings::default(), FILE, 0, ""),
        (Settings::default(), &off, 2, "behaviors fail -"),
        (
            allowed("read,groups"),
            FILE,
            6,
            "policies unknown Access: Apps and Policies Read; levels unknown Access: Apps and Policies Read",
        ),
        (
            allowed("read,apps"),
            FILE,
            6,
            "policies unknown Access: Organizations, Identity Providers, and Groups Read; levels unknown Access: Organizations, Identity Providers, and Groups Read; providers unknown Access: Organizations, Identity Providers, and Groups Read",
        ),
        // A failed check counts, even if others are unknown.
        (
            allowed("read"),
            &off,
            2,
            "behaviors fail -; policies unknown Access: Apps and Policies Read; levels unknown Access: Apps and Policies Read; providers unknown Access: Organizations, Identity Providers, and Groups Read",
        ),
    ];
    for (settings, file, code, expected) in cases {
        let (_, _, run) = audited(settings, file, &["-o", "json"]);
        assert_eq!(
            (run.code, standings(&run).as_str()),
            (code, expected),
            "{}",
            run.stdout
        );
    }
    // An unreadable account is an error of the run.
    let (_, _, run) = audited(allowed(""), FILE, &[]);
    assert_eq!(run.code, 6);
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    let unknown = FILE.replace("sentinel_one", "nonesuch");
    let (_, _, run) = audited(Settings::default(), &unknown, &[]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    run.says("unknown behavior nonesuch");
    for wrong in [
        &["--no-context"][..],
        &["--ignore", "nonesuch"],
        &["--format", "prometheus"],
        &["--target", "behavior.*"],
    ] {
        let (server, _, run) = audited(Settings::default(), FILE, wrong);
        assert_eq!(run.code, 64, "{wrong:?}");
        assert_eq!(server.requests().len(), 0);
    }
}

/// The most severe result of all accounts decides the exit code.
#[test]
fn exit_code_of_a_fleet_is_the_most_severe() {
    let second = "version: 1\naccount_id: 00000000000000000000000000000002\nname: second\napi_token_env: CLOUDFLARE_SECOND\nintegrations: { okta: { tenant_url: https://example.oktapreview.com } }\n";
    let third = second.replace("02", "03").replace("second", "third");
    let third = third.replace(
        "integrations:",
        "behaviors: { sentinel_one: { enabled: true } }\nintegrations:",
    );
    let server = SandboxServer::start(Settings {
        permissions: ["read,apps,groups", "blind=read"]
            .map(|one| one.parse().unwrap())
            .into(),
        ..Settings::default()
    });
    let mut workplace = TestDir::with(&server);
    for (token, code) in [(DEFAULT_TOKEN, 2), ("blind", 6), ("unknown", 6)] {
        workplace.set("CLOUDFLARE_SECOND", token);
        workplace.write("a.yaml", FILE);
        workplace.write("b.yaml", second);
        workplace.write(
            "c.yaml",
            &third.replace("api_token_env: CLOUDFLARE_SECOND\n", ""),
        );
        let run = workplace.line("audit . --expect-accounts 3").exits(code);
        assert!(
            run.stdout
                .contains("  third: behavior.sentinel_one is off, declared on (./c.yaml:"),
            "{}",
            run.stdout
        );
    }
    assert_eq!(server.writes(), 0);
}

/// After any response of one route, the run continues, its checks report the error, and the response is not shown.
#[test]
fn failed_context_makes_checks_unknown() {
    let answers: [fn() -> Response; 4] = [
        || failure(403, 9109, "Unauthorized to access requested resource"),
        || answer(404, "canary"),
        || success(json!([{ "id": "canary" }, 7, "canary"])),
        || answer(200, "canary"),
    ];
    let routes = [
        ("/access/policies", "policies"),
        ("/access/groups", "policies"),
        ("/access/apps", "policies"),
        ("/identity_providers", "providers"),
    ];
    std::thread::scope(|scope| {
        for (route, check) in routes {
            scope.spawn(move || {
                for (number, answer) in answers.into_iter().enumerate() {
                    let run = audited_where(route, answer);
                    let case = format!("{route} {number}: {}{}", run.stdout, run.stderr);
                    assert!(!case.contains("canary"), "{case}");
                    let standings = standings(&run);
                    let (code, expected) = match (check, number) {
                        (_, 0) => (6, format!("{check} unknown Access: ")),
                        // Part of a list may be enough: the application includes two of the policies as well.
                        ("policies", 2) => (0, String::new()),
                        (_, _) => (0, format!("{check} unknown -")),
                    };
                    assert_eq!(run.code, code, "{case}");
                    assert!(standings.contains(&expected), "{standings}: {case}");
                }
            });
        }
    });
}

/// Runs an audit with a fixed response for paths that contain a text.
fn audited_where(route: &'static str, answer: fn() -> Response) -> Run {
    let server = SandboxServer::reacting(move |_, path| match path.contains(route) {
        true => Reaction::TestResponse(answer()),
        false => Reaction::Pass,
    });
    let workplace = TestDir::with_file(&server, FILE);
    workplace.line("audit -o json")
}

#[test]
fn json_obeys_its_schema_and_every_format_is_written() {
    let files =
        ["text", "markdown", "html", "junit", "sarif"].map(|kind| format!("{kind}=out.{kind}"));
    let mut arguments: Vec<&str> = vec!["-o", "json"];
    arguments.extend(files.iter().flat_map(|file| ["-o", file]));
    let off = FILE.replace(
        "sentinel_one: { enabled: false }",
        "sentinel_one: { enabled: true }",
    );
    let (_, workplace, run) = audited(allowed("read,apps"), &off, &arguments);
    assert_eq!(run.code, 2);
    let document = run.json();
    let validator = assert_valid("audit", AUDIT_SCHEMA, &document);
    let mut damaged = document.clone();
    damaged["accounts"][0]["findings"][0]["status"] = json!("fine");
    assert!(!validator.is_valid(&damaged), "the schema accepts anything");
    assert_eq!(
        document["summary"],
        json!({ "pass": 3, "warn": 0, "fail": 1, "unknown": 3, "failed_accounts": 0 })
    );
    for kind in ["text", "markdown", "html", "junit", "sarif"] {
        let text = workplace.read(&format!("out.{kind}"));
        assert!(text.contains("sentinel"), "{kind}: {text}");
    }
}

#[test]
fn ci_job_gets_totals_and_summary() {
    let (_server, mut workplace) = serve(&FILE.replace(
        "sentinel_one: { enabled: false }",
        "sentinel_one: { enabled: true }",
    ));
    workplace.set("GITHUB_STEP_SUMMARY", "summary.md");
    workplace.set("GITHUB_OUTPUT", "output");
    workplace.line("audit --ci").exits(2);
    assert_eq!(
        workplace.read("output"),
        "fail=1\nfailed_accounts=0\npass=6\nunknown=0\nwarn=0\nexit_code=2\n"
    );
    let summary = workplace.read("summary.md");
    assert!(
        summary.starts_with("### riskform audit: 1 failed, 0 warnings, 6 passed"),
        "{summary}"
    );
}

/// One request per token, hashes of all files with paths below the repository, and the variables of the CI system.
#[test]
fn audit_and_drift_show_evidence_in_json() {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    std::fs::create_dir_all(workplace.path(".git")).unwrap();
    std::fs::create_dir(workplace.path("accounts")).unwrap();
    workplace.write("accounts/a.yaml", FILE);
    let second = "version: 1\naccount_id: 00000000000000000000000000000002\n\
                  integrations: { okta: { tenant_url: https://example.oktapreview.com } }\n";
    workplace.write("accounts/b.yaml", second);
    let sha256 = |text: &str| hex(digest(&SHA256, text.as_bytes()));
    for (name, value) in [
        ("GITHUB_SHA", "9f2c1a7"),
        ("GITHUB_REPOSITORY", "example/security"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_ACTOR", "ann"),
    ] {
        workplace.set(name, value);
    }
    for command in ["audit", "drift"] {
        let before = server.requests().len();
        let run = workplace.run(&[command, "./accounts", "-o", "json"]);
        let requests = &server.requests()[before..];
        let verified = requests
            .iter()
            .filter(|line| line.path.contains("/tokens/verify"));
        assert_eq!(verified.count(), 1, "{requests:#?}");
        let document = run.json();
        let mut evidence = document["evidence"].clone();
        let id = evidence["tokens"][0]["id"].take();
        assert_eq!(id.as_str().map(str::len), Some(32), "{id}");
        let [first, name] = ["a", "b"].map(|name| format!("accounts/{name}.yaml"));
        assert_eq!(
            evidence,
            json!({
                "riskform_commit": null,
                "tokens": [{ "variable": "CLOUDFLARE_API_TOKEN", "id": null, "accounts": 2 }],
                "commit": "9f2c1a7", "repository": "example/security",
                "run_url": "https://github.com/example/security/actions/runs/42", "actor": "github:ann",
                "files": [{ "path": first, "sha256": sha256(FILE) }, { "path": name, "sha256": sha256(second) }],
            }),
            "{command}"
        );
    }
    // Drift needs no evidence in other formats.
    let before = server.requests().len();
    workplace.line("drift accounts");
    let requests = &server.requests()[before..];
    assert!(
        !requests
            .iter()
            .any(|request| request.path.contains("verify")),
        "{requests:#?}"
    );
    // An unknown token ID is no failure.
    let refused = SandboxServer::behind(Settings::default(), |_, router| {
        reject(router, "/user/tokens/verify", "401-1000-verify")
    });
    let workplace = TestDir::with_file(&refused, FILE);
    workplace.line("audit -o json").exits(0);
}
