//! doctor: findings for all causes of failure, without any writes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{DATE, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;
use insta::assert_snapshot;
use riskform::api::{BaseUrl, Client, ClientOptions, Credentials, Transport};
use riskform::doctor::{ProbeResults, account_findings, probe_account};
use riskform::model::finding::{CheckStatus, CheckedAccount, Finding};
use riskform::sandbox::{DEFAULT_TOKEN, RECORDED_ACCOUNT, RateLimit, Sandbox, Settings};

use crate::support::layers::reject;
use crate::support::{Run, SandboxServer, TestDir};

const FILE: &str = "
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: true, risk_level: high }
  high_dlp: { enabled: true, risk_level: medium }
  sentinel_one: { enabled: false }
";

fn served(settings: Settings) -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(settings);
    let workplace = environment(&server);
    (server, workplace)
}

fn environment(server: &SandboxServer) -> TestDir {
    let mut workplace = TestDir::with(server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", RECORDED_ACCOUNT);
    workplace
}

fn allowed(permissions: &str) -> Settings {
    Settings {
        permissions: vec![permissions.parse().unwrap()],
        ..Settings::default()
    }
}

/// Returns title and status of every finding that is not a pass.
fn findings(run: &Run) -> String {
    let found = run.stdout.lines().filter_map(|line| {
        let mut cells = line.split("  ").filter(|cell| !cell.is_empty());
        let status: CheckStatus = cells.next()?.parse().ok()?;
        let title = cells.next()?.trim();
        (status != CheckStatus::Pass).then(|| format!("{title} {status}"))
    });
    found.collect::<Vec<_>>().join(", ")
}

#[test]
fn healthy_and_denied_accounts_are_shown() {
    let (server, workplace) = served(Settings::default());
    workplace.write("riskform.yaml", FILE);
    assert_snapshot!(workplace.line("doctor").shown(), @"
    exit 0
    --- stdout
    f037e56e89293a057740de681ac9abbe

    pass  files                 valid, for 1 account
    pass  credentials           set by CLOUDFLARE_API_TOKEN
    pass  API                   http://127.0.0.1:[port]/client/v4 responds (localhost, without TLS)
    pass  token                 user token, active, no expiration
    pass  Zero Trust Read       ok: can read behaviors and integrations
    pass  Zero Trust: PII Read  ok: can read users
    warn  Zero Trust Write      cannot be tested without writing
          help: check the token's permissions if it is used for apply
    pass  entitlement           Risk Scoring is enabled for this account
    pass  Access policies       ok: can read Access policies and applications
    pass  Access groups         ok: can read Access groups and identity providers
    pass  audit log             ok: can read entries of the account's audit log
    pass  rate limit            the API states no limit
    pass  clock                 in sync with the API
    pass  new behaviors         all behaviors are in the files

    0 failed, 1 warning, 13 passed.
    ");
    let (refused, workplace) = served(allowed(""));
    let run = workplace.line("doctor").exits(6);
    let table = one_line(&run.stdout);
    for told in [
        "warn files riskform.yaml not found help: run `riskform init` to create it",
        "authentication failed or permission missing: Authentication error (code 10000)",
        "help: check the account ID f037e56e89293a057740de681ac9abbe, then the credentials in CLOUDFLARE_API_TOKEN",
        "unknown Zero Trust: PII Read skipped because an earlier check failed",
        "1 failed, 6 unknown, 1 warning, 5 passed.",
    ] {
        assert!(table.contains(told), "{told}: {table}");
    }
    assert_eq!((server.writes(), refused.writes()), (0, 0));
    assert!(!server.requests().is_empty());
}

#[test]
fn each_missing_permission_has_its_finding() {
    const UNTOLD: &str = "files warn, ";
    let not_entitled = || Settings {
        no_entitlement: true,
        ..Settings::default()
    };
    const NO_CONTEXT: &str = "Access policies info, Access groups info, audit log info";
    const UNTOLD_CONTEXT: &str =
        "Access policies unknown, Access groups unknown, audit log unknown";
    for (settings, code, found) in [
        (Settings::default(), 0, "Zero Trust Write warn".to_owned()),
        (
            allowed("write,pii,apps,audit-log"),
            0,
            "Zero Trust Write warn, Access groups info".to_owned(),
        ),
        (
            allowed("read"),
            0,
            format!("Zero Trust: PII Read info, Zero Trust Write warn, {NO_CONTEXT}"),
        ),
        (
            allowed("pii"),
            6,
            format!("Zero Trust Read fail, Zero Trust Write unknown, entitlement unknown, {UNTOLD_CONTEXT}"),
        ),
        (
            not_entitled(),
            6,
            "Zero Trust Read unknown, Zero Trust: PII Read unknown, Zero Trust Write warn, entitlement fail".to_owned(),
        ),
    ] {
        let (server, workplace) = served(settings);
        let run = workplace.line("doctor");
        assert_eq!(findings(&run), format!("{UNTOLD}{found}"), "{}", run.stdout);
        assert_eq!(run.code, code);
        assert_eq!(server.writes(), 0);
    }
    // A token owned by the account.
    let server = SandboxServer::behind(Settings::default(), |_, router| {
        reject(router, "/user/tokens/verify", "401-1000-verify")
    });
    let run = environment(&server).line("doctor");
    assert_eq!(findings(&run), format!("{UNTOLD}Zero Trust Write warn"));
    assert_eq!(run.code, 0);
}

#[test]
fn files_credentials_and_connection_are_checked() {
    let (_server, mut workplace) = served(Settings::default());
    let doctor = |workplace: &TestDir| {
        let run = workplace.line("doctor");
        (run.code, findings(&run))
    };
    workplace.write("riskform.yaml", "version: 2\n");
    let (code, found) = doctor(&workplace);
    assert_eq!(
        (code, found.as_str()),
        (1, "files fail, Zero Trust Write warn")
    );

    workplace.write(
        "riskform.yaml",
        FILE.split("  sentinel_one").next().unwrap(),
    );
    let (code, found) = doctor(&workplace);
    assert_eq!(
        (code, found.as_str()),
        (0, "Zero Trust Write warn, new behaviors warn")
    );
    // "*" includes all other behaviors, and unmanaged ones are known.
    for rest in [
        "\"*\": { enabled: true }",
        "\"*\": { enabled: true }, high_dlp: null",
    ] {
        let file = format!(
            "version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviors: {{ imp_travel: {{ enabled: true }}, {rest} }}\n"
        );
        workplace.write("riskform.yaml", &file);
        assert_eq!(doctor(&workplace).1, "Zero Trust Write warn", "{rest}");
    }
    workplace.write(
        "riskform.yaml",
        FILE.split("  sentinel_one").next().unwrap(),
    );

    workplace.set("CLOUDFLARE_API_TOKEN", "another");
    let (code, found) = doctor(&workplace);
    assert_eq!(code, 6);
    assert!(
        found.starts_with("token fail, Zero Trust Read unknown"),
        "{found}"
    );
    workplace.set("CLOUDFLARE_API_TOKEN", "");
    assert_eq!(doctor(&workplace), (6, "credentials fail".to_owned()));

    workplace.set("CLOUDFLARE_EMAIL", "ann@example.com");
    workplace.set("CLOUDFLARE_API_KEY", DEFAULT_TOKEN);
    let (code, found) = doctor(&workplace);
    assert_eq!(
        (code, found.as_str()),
        (0, "Zero Trust Write warn, new behaviors warn")
    );

    // A port that was just free.
    workplace.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9");
    let (code, found) = doctor(&workplace);
    assert_eq!(code, 1);
    assert!(found.starts_with("API fail, "), "{found}");

    let alone = TestDir::new();
    assert_eq!(alone.line("doctor --sandbox").code, 0);
    assert_eq!(alone.line("doctor").code, 64);
}

#[test]
fn doctor_continues_after_an_invalid_file() {
    let (_server, mut workplace) = served(Settings::default());
    workplace.write(
        "bad.yaml",
        &format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\nbehaviours: {{}}\n"),
    );
    workplace.write("worse.yaml", "version: 1\naccount_id: 1\nbehaviours: {}\n");
    let checked = "files fail, Zero Trust Write warn";
    workplace.set("CLOUDFLARE_ACCOUNT_ID", "");
    let by_flag = ["worse.yaml", "--account-id", RECORDED_ACCOUNT];
    for arguments in [&["bad.yaml"][..], &by_flag] {
        let run = workplace.run(&[&["doctor"], arguments].concat());
        assert_eq!(
            (run.code, findings(&run).as_str()),
            (1, checked),
            "{}",
            run.stdout
        );
    }
    assert_snapshot!(workplace.line("doctor worse.yaml").shown(), @"
    exit 1
    --- stdout
    fail  files        worse.yaml:2:13: account_id: expected 32 hexadecimal digits, found `1`; find the ID in the URL of the Cloudflare dashboard (2 in total)
    pass  credentials  set by CLOUDFLARE_API_TOKEN
    skip  API, token, permissions, entitlement, rate limit, clock: they need an account

    1 failed. help: pass --account-id, or correct the file; riskform validate shows every mistake in the files
    ");
    workplace.set("CLOUDFLARE_API_TOKEN", "");
    assert_snapshot!(workplace.line("doctor bad.yaml").shown(), @"
    exit 6
    --- stdout
    fail  files        bad.yaml:3:1: unknown key `behaviours` in the document; did you mean `behaviors`?
    fail  credentials  CLOUDFLARE_API_TOKEN is not set
    skip  API, token, permissions, entitlement, rate limit, clock: they need a token

    2 failed. help: set CLOUDFLARE_API_TOKEN; riskform validate shows every mistake in the files
    ");
}

/// Requests to loopback use no proxy, so a broken one does not matter.
#[test]
fn unused_proxy_is_not_shown() {
    let (_server, mut workplace) = served(Settings::default());
    workplace.set("HTTPS_PROXY", "socks5://canary:9");
    let direct = workplace.line("doctor").exits(0);
    assert!(!direct.stdout.contains("proxy"), "{}", direct.stdout);
    // NO_PROXY exempts the host, so the request itself fails.
    workplace.set("HTTPS_PROXY", "http://canary:9");
    workplace.set("NO_PROXY", "invalid");
    workplace.set("CLOUDFLARE_BASE_URL", "https://api.invalid/client/v4");
    let exempt = workplace.line("doctor --timeout 5").exits(1);
    assert!(!exempt.stdout.contains("proxy"), "{}", exempt.stdout);
}

/// Returns a table's text without line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Examines a sandbox account, with each response changed by `change`.
async fn examined(settings: Settings, change: fn(&mut Response)) -> Vec<Finding> {
    let router: Router = Sandbox::in_memory(settings).router();
    let router = router.layer(map_response(move |mut response: Response| {
        change(&mut response);
        std::future::ready(response)
    }));
    let connection = Client::new(
        Transport::in_process(router, Duration::from_secs(30)),
        BaseUrl::default(),
        Credentials::api_token(DEFAULT_TOKEN.into()).unwrap(),
        ClientOptions::default(),
    );
    let account = Arc::new(CheckedAccount {
        account_id: RECORDED_ACCOUNT.parse().unwrap(),
        name: Some("production".parse().unwrap()),
        source: "riskform.yaml".into(),
    });
    let mut probed = ProbeResults {
        has_token: true,
        now: "2026-11-22T00:00:00Z".parse().unwrap(),
        ..ProbeResults::default()
    };
    probe_account(&mut probed, &connection, &account.account_id).await;
    account_findings(&probed, &account)
}

fn one(findings: &[Finding], check: &str) -> String {
    let finding = findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap();
    format!("{}: {}", finding.status, finding.message)
}

#[tokio::test]
async fn clock_is_compared_with_responses() {
    let agrees = examined(Settings::default(), |_| {}).await;
    assert_eq!(one(&agrees, "clock"), "pass: the API sends no time");
    let past = examined(Settings::default(), |response| {
        let past = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        response.headers_mut().insert(DATE, past);
    });
    let past = one(&past.await, "clock");
    assert!(past.starts_with("warn: "), "{past}");
    assert!(past.ends_with(" s ahead of the API"), "{past}");
}

#[tokio::test(start_paused = true)]
async fn remaining_requests_are_shown() {
    let limited = |limit: &str| Settings {
        rate_limit: limit.parse::<RateLimit>().unwrap(),
        ..Settings::default()
    };
    let much = examined(limited("1200/300"), |_| {}).await;
    assert_eq!(
        one(&much, "rate limit"),
        "pass: 1193 requests left, for 300 s"
    );
    let little = examined(limited("40/300"), |response| {
        let little = HeaderValue::from_static("\"default\";r=3;t=7");
        response.headers_mut().insert("ratelimit", little);
    });
    let little = little.await;
    assert_eq!(one(&little, "rate limit"), "warn: 3 requests left, for 7 s");
    let none = examined(limited("off"), |_| {}).await;
    assert_eq!(one(&none, "rate limit"), "pass: the API states no limit");
    assert!(
        none.iter()
            .all(|finding| finding.status != CheckStatus::Fail)
    );
}
