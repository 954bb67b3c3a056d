//! get with the real program, in all formats.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use riskform::model::user::{RiskEvent, UserId};
use riskform::report::get::pseudonym;
use riskform::sandbox::{Account, RECORDED_ACCOUNT, Sandbox, Settings, User};
use serde_json::{Value, json};

use crate::support::{SandboxServer, TestDir};

const FORMATS: [&str; 2] = ["table", "json"];

const ANN: &str = "0a000000-0000-4000-8000-000000000001";
const BEN: &str = "0a000000-0000-4000-8000-000000000002";
const CAY: &str = "0a000000-0000-4000-8000-000000000003";

fn served(settings: Settings) -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(settings);
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", RECORDED_ACCOUNT);
    (server, workplace)
}

/// Replaces the users.
pub fn put_users(sandbox: &Sandbox, users: &[(&str, User)]) {
    let id = RECORDED_ACCOUNT.parse().unwrap();
    let users: BTreeMap<UserId, User> = users
        .iter()
        .map(|(id, user)| (id.parse().unwrap(), user.clone()))
        .collect();
    sandbox
        .edit(&id, |account: &mut Account| account.users = users)
        .unwrap();
}

pub fn user(name: &str, email: &str, events: &[Value]) -> User {
    let event = |event: &Value| serde_json::from_value::<RiskEvent>(event.clone()).unwrap();
    User {
        name: name.to_owned(),
        email: email.to_owned(),
        events: events.iter().map(event).collect(),
        last_reset_time: None,
    }
}

pub fn event(level: &str, timestamp: &str) -> Value {
    json!({ "id": timestamp, "name": "Impossible Travel", "risk_level": level, "timestamp": timestamp })
}

#[test]
fn users_are_shown_with_a_bar_for_each_level() {
    let (_server, workplace) = served(Settings::default());
    assert_snapshot!(workplace.line("get users").shown(), @r###"
    exit 0
    --- stdout
    LEVEL   EVENTS  LAST EVENT (UTC)  E-MAIL                      NAME
    high         2  2025-03-24 07:41  amina.diallo@example.com    Amina Diallo
    medium       1  2025-03-22 11:18  bastian.keller@example.com  Bastian Keller
    low          2  2025-03-02 13:47  chiara.rossi@example.com    Chiara Rossi

    LEVEL   USERS
    high        1  ████████████████████████████████████████
    medium      1  ████████████████████████████████████████
    low         1  ████████████████████████████████████████
    3 users
    "###);
    assert_snapshot!(workplace.line("get user Amina.Diallo@example.com").shown(), @r###"
    exit 0
    --- stdout
    name             Amina Diallo
    email            amina.diallo@example.com
    user_id          [id]
    risk_level       high
    last_reset_time  never

    TIMESTAMP             LEVEL   EVENT
    2025-03-21T16:02:55Z  medium  High Number of DLP Policies Triggered
                                  {
                                    "matches": 17,
                                    "profile": "Source code"
                                  }
    2025-03-24T07:41:09Z  high    Impossible Travel
                                  {
                                    "from": {
                                      "city": "Lisbon",
                                      "country": "PT",
                                      "ip": "192.0.2.14"
                                    },
                                    "to": {
                                      "city": "Singapore",
                                      "country": "SG",
                                      "ip": "198.51.100.73"
                                    }
                                  }
    "###);
}

#[test]
fn behaviors_and_integrations_are_shown_with_every_field() {
    let (_server, workplace) = served(Settings::default());
    assert_snapshot!(workplace.line("get behaviors").shown(), @r###"
    exit 0
    --- stdout
    KEY           ENABLED  LEVEL   NAME                                   DESCRIPTION
    high_dlp      true     medium  High Number of DLP Policies Triggered  User has triggered an active DLP profile in a Gateway policy fifteen times or more within one minute.
    imp_travel    true     high    Impossible Travel                      A user had a successful Access application log in from two locations that they could not have traveled to in that period of time.
    sentinel_one  false    medium  SentinelOne Infection Detected         User is signed in on a device where Sentinel One EDR detects an active threat or infection.
    "###);
    let by_id = workplace.line("get integration 4cfe8442-664b-4915-acd4-b39cd65c4314");
    assert_snapshot!(by_id.shown(), @r###"
    exit 0
    --- stdout
    id                4cfe8442-664b-4915-acd4-b39cd65c4314
    integration_type  Okta
    tenant_url        https://example.oktapreview.com
    reference_id      [id]
    active            true
    created_at        2025-03-19T19:53:56Z
    account_tag       f037e56e89293a057740de681ac9abbe
    well_known_url    https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/4cfe8442-664b-4915-acd4-b39cd65c4314
    "###);
    let by_reference = [
        "get",
        "integration",
        "--reference-id",
        "3701e70b-5de4-4d9d-8972-f5aa994d9057",
    ];
    assert_eq!(workplace.run(&by_reference).stdout, by_id.stdout);
    assert_snapshot!(workplace.line("get integrations").shown(), @r###"
    exit 0
    --- stdout
    ID                                    INTEGRATION_TYPE  TENANT_URL                       REFERENCE_ID                          ACTIVE  CREATED_AT            ACCOUNT_TAG                       WELL_KNOWN_URL
    4cfe8442-664b-4915-acd4-b39cd65c4314  Okta              https://example.oktapreview.com  [id]  true    2025-03-19T19:53:56Z  f037e56e89293a057740de681ac9abbe  https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/4cfe8442-664b-4915-acd4-b39cd65c4314
    "###);
    assert_snapshot!(workplace.run(&["get", "integration", ANN]).shown(), @"
    exit 1
    --- stderr
    error: GET /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations/[id]: not found: Integration not found (code 40401) [status 404]
      help: check the account ID and the resource ID
    ");
}

#[test]
fn users_are_sorted_and_filtered() {
    let (server, workplace) = served(Settings::default());
    let old = "2020-01-01T00:00:00Z";
    put_users(
        &server.sandbox,
        &[
            (
                ANN,
                user(
                    "Ann",
                    "ann@example.com",
                    &[event("low", old), event("low", old)],
                ),
            ),
            (BEN, user("Ben", "ben@example.com", &[event("high", old)])),
            (
                CAY,
                user(
                    "Çay",
                    "cay@example.com",
                    &[event("severe", old), event("high", old)],
                ),
            ),
        ],
    );
    let found = |arguments: &[&str]| {
        let arguments = [&["get", "users", "--format", "json"], arguments].concat();
        let run = workplace.run(&arguments).exits(0);
        let document: Value = run.json();
        let users = document["users"].as_array().unwrap();
        let names: Vec<&str> = users
            .iter()
            .map(|user| user["name"].as_str().unwrap())
            .collect();
        names.join(" ")
    };
    let pseudonym_of_ben = pseudonym(BEN.parse().unwrap());
    for (arguments, names) in [
        // Unknown levels sort above high.
        (&[][..], "Çay Ben Ann"),
        (&["--min-level", "low"], "Çay Ben Ann"),
        (&["--min-level", "high"], "Çay Ben"),
        (&["--since", "1d"], ""),
        (&["--since", "500y"], "Çay Ben Ann"),
        (&["--since", "2020-01-01"], "Çay Ben Ann"),
        (&["--since", "2020-01-02"], ""),
        (&["--search", "çAY"], "Çay"),
        (&["--search", "BEN@"], "Ben"),
        (&["--search", &ANN[..8], "--min-level", "high"], "Çay Ben"),
        (&["--search", &pseudonym_of_ben], "Ben"),
        (&["--search", "nobody"], ""),
    ] {
        assert_eq!(found(arguments), names, "{arguments:?}");
    }
    let totals = workplace.line("get users --search nobody").stdout;
    assert_eq!(totals, "0 users of 3\n");
    for since in ["2020-02-30", "yesterday", "0d", "-7d"] {
        let run = workplace.run(&["get", "users", &format!("--since={since}")]);
        assert_eq!(run.code, 64, "{since}: {}", run.shown());
    }
}

#[test]
fn redacted_users_have_no_names_in_output() {
    let (_server, workplace) = served(Settings::default());
    let id = "0d7f1f6e-52c7-4b0f-8a5c-1d7a0c3f9b11";
    let pseudonym = pseudonym(id.parse().unwrap());
    for format in FORMATS {
        for arguments in [
            &["get", "users", "--redact", "-vv", "--format", format][..],
            &["get", "user", id, "--redact", "-vv", "--format", format],
        ] {
            let run = workplace.run(arguments).exits(0);
            run.says(&pseudonym);
            // The city is in the details of an event.
            for personal in ["Amina", "Diallo", "amina", "@example.com", "Lisbon"] {
                let shown = format!("{}{}", run.stdout, run.stderr);
                assert!(!shown.contains(personal), "{personal}: {shown}");
            }
        }
    }
    let named = workplace.line("get users -vv");
    assert!(!named.stderr.contains("amina"), "{}", named.stderr);
}

#[test]
fn unknown_or_ambiguous_user_is_an_error() {
    let (server, workplace) = served(Settings::default());
    let event = [event("high", "2026-01-01T00:00:00Z")];
    put_users(
        &server.sandbox,
        &[
            (ANN, user("Ann", "shared@example.com", &event)),
            (BEN, user("Ben", "Shared@example.com", &event)),
        ],
    );
    let several = workplace.line("get user shared@example.com");
    assert_snapshot!(several.stderr, @r###"
    error: several users have the email address shared@example.com; use a user ID:
      0a000000-0000-4000-8000-000000000001  high, 1 event, the last at 2026-01-01T00:00:00Z
      0a000000-0000-4000-8000-000000000002  high, 1 event, the last at 2026-01-01T00:00:00Z
    "###);
    assert_eq!(several.code, 1);
    let unknown = workplace.line("get user cay@example.com --format json");
    let document: Value = unknown.json();
    assert_eq!(document["error"]["kind"], "no_such_user");
    workplace.line("get user cay").exits(64);
    workplace.run(&["get", "user", CAY]).exits(1);
}

#[test]
fn missing_permission_is_named() {
    let settings = Settings {
        permissions: vec!["read".parse().unwrap()],
        ..Settings::default()
    };
    let (_server, workplace) = served(settings);
    workplace.line("get behaviors").exits(0);
    let users = workplace.line("get users").exits(6);
    users.says("Zero Trust: PII Read");
    let nowhere = TestDir::new();
    assert_snapshot!(nowhere.line("get users").shown(), @r###"
    exit 64
    --- stderr
    error: which account?
      help: set CLOUDFLARE_ACCOUNT_ID, or pass --account-id
    "###);
    nowhere
        .run(&["get", "users", "--account-id", RECORDED_ACCOUNT])
        .exits(6);
    // The sandbox has a default account.
    nowhere.line("get users --sandbox").exits(0);
}

#[test]
fn account_comes_from_the_command_line_the_environment_or_the_files() {
    const OTHER: &str = "023e105f4ecef8ad9ca31a8372d0c353";
    let server = SandboxServer::start(Settings::default());
    let production = format!("version: 1\naccount_id: {RECORDED_ACCOUNT}\nname: production\n");
    let staging = format!("version: 1\naccount_id: {OTHER}\nname: staging\n");
    let both = format!("{production}---\n{staging}");
    let wrong = format!("{production}wrong: 1\n");
    let no_token = format!("{production}api_token_env: CLOUDFLARE_PRODUCTION\n");
    let one = [("riskform.yaml", production.as_str())];
    let two = [("riskform.yaml", both.as_str())];
    let fleet = [
        ("production.yaml", production.as_str()),
        ("staging.yaml", staging.as_str()),
        ("other.yaml", "services: {}\n"),
    ];
    let same = [("a.yaml", staging.as_str()), ("b.yaml", staging.as_str())];
    let by_id = format!("--account-id {RECORDED_ACCOUNT}");
    let which = "error: which account?";
    let table: [(&[(&str, &str)], &str, &str, Result<&str, (i32, &str)>); 13] = [
        (
            &[],
            "",
            "",
            Err((
                64,
                "error: which account?\n  help: set CLOUDFLARE_ACCOUNT_ID, or pass --account-id",
            )),
        ),
        (&one, "", "", Ok(RECORDED_ACCOUNT)),
        (&one, OTHER, "", Ok(OTHER)),
        (&one, OTHER, &by_id, Ok(RECORDED_ACCOUNT)),
        (
            &two,
            "",
            "",
            Err((
                64,
                "error: which account? riskform.yaml holds production and staging\n  help: --account-id production",
            )),
        ),
        (&two, "", "--account-id staging", Ok(OTHER)),
        (&fleet, "", "", Err((64, which))),
        (&fleet, "", "--account-id staging", Ok(OTHER)),
        (
            &fleet,
            OTHER,
            "--account-id production",
            Ok(RECORDED_ACCOUNT),
        ),
        (
            &one,
            "",
            "--account-id test",
            Err((
                64,
                "error: no file declares an account named test\n  help: the files declare production",
            )),
        ),
        (
            &same,
            "",
            "--account-id staging",
            Err((
                64,
                "error: several files declare an account named staging: ",
            )),
        ),
        (
            &[("riskform.yaml", &wrong)],
            "",
            "",
            Err((1, "unknown key `wrong`")),
        ),
        (
            &[("riskform.yaml", &no_token)],
            "",
            "",
            Err((6, "CLOUDFLARE_PRODUCTION")),
        ),
    ];
    for (files, variable, arguments, expected) in table {
        let mut workplace = TestDir::with(&server);
        workplace.set("CLOUDFLARE_ACCOUNT_ID", variable);
        for (name, content) in files {
            workplace.write(name, content);
        }
        for command in [
            "get behaviors -o json",
            "export -o json",
            "reset --level high --dry-run",
        ] {
            let line = format!("{command} {arguments}");
            let run = workplace.run(&line.split_whitespace().collect::<Vec<_>>());
            let shown = format!("{line}: {}", run.shown());
            match expected {
                Ok(account) => {
                    assert_eq!(run.code, 0, "{shown}");
                    let document: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
                    let is_shown = !command.starts_with("reset");
                    assert!(!is_shown || document["account_id"] == account, "{shown}");
                }
                Err((code, message)) => {
                    assert_eq!(run.code, code, "{shown}");
                    run.says(message);
                }
            }
        }
    }
}

#[test]
fn integration_is_found_by_name_and_tenant() {
    let (_server, workplace) = served(Settings::default());
    let file = format!(
        "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  okta: {{ tenant_url: https://example.oktapreview.com }}\n  new: {{ tenant_url: https://new.okta.com }}\n"
    );
    workplace.write("riskform.yaml", &file);
    let get = |wanted: &str| workplace.run(&["get", "integration", wanted]);
    let by_id = get("4cfe8442-664b-4915-acd4-b39cd65c4314");
    assert_eq!(by_id.code, 0, "{}", by_id.shown());
    for wanted in [
        "okta",
        "integration.okta",
        "https://example.oktapreview.com",
        "https://EXAMPLE.oktapreview.com:443/",
    ] {
        assert_eq!(get(wanted).shown(), by_id.shown(), "{wanted}");
    }
    for (wanted, code, message) in [
        (
            "new",
            1,
            "error: integration.new matches no live integration",
        ),
        (
            "https://new.okta.com",
            1,
            "error: no live integration has the tenant_url https://new.okta.com",
        ),
        (
            "corp",
            64,
            "error: riskform.yaml declares no integration.corp\n  help: the file declares new, okta",
        ),
        (
            "new.okta.com",
            64,
            "expected an integration's ID, tenant URL or name",
        ),
    ] {
        let run = get(wanted);
        assert_eq!(run.code, code, "{wanted}: {}", run.shown());
        run.says(message);
    }
}
