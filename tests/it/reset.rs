//! reset with the real program: selection of users, confirmation and audit log.

use insta::assert_snapshot;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::Value;

use crate::get::{event, put_users, user};
use crate::support::{SandboxServer, TestDir};

const ANN: &str = "0a000000-0000-4000-8000-000000000001";
const BEN: &str = "0a000000-0000-4000-8000-000000000002";
const CAY: &str = "0a000000-0000-4000-8000-000000000003";
const NOBODY: &str = "0a000000-0000-4000-8000-0000000000ff";

/// Three users: Ann high, Ben high, Cay low.
fn three_users(permissions: &str) -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings {
        permissions: vec![permissions.parse().unwrap()],
        ..Settings::default()
    });
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", RECORDED_ACCOUNT);
    let at = "2026-01-01T00:00:00Z";
    put_users(
        &server.sandbox,
        &[
            (ANN, user("Ann", "ann@example.com", &[event("high", at)])),
            (BEN, user("Ben", "ben@example.com", &[event("high", at)])),
            (CAY, user("Cay", "cay@example.com", &[event("low", at)])),
        ],
    );
    (server, workplace)
}

/// Returns the names of the reset users.
fn cleared(server: &SandboxServer) -> String {
    let account = server.sandbox.account(&RECORDED_ACCOUNT.parse().unwrap());
    let cleared = account
        .users
        .values()
        .filter(|user| user.last_reset_time.is_some());
    let names: Vec<String> = cleared.map(|user| user.name.clone()).collect();
    names.join(" ")
}

#[test]
fn users_are_chosen_by_id_by_address_and_by_level() {
    for (arguments, names) in [
        (&[ANN][..], "Ann"),
        (&["BEN@example.com", ANN, "ann@example.com"], "Ann Ben"),
        (&["--level", "high"], "Ann Ben"),
        (&["--level", "low", "ann@example.com"], "Ann Cay"),
        (&["--level", "medium"], ""),
        (&["--from", "list"], "Ben Cay"),
    ] {
        let (server, workplace) = three_users("write,pii");
        workplace.write(
            "list",
            &format!("# leavers\n{CAY}  # she\n\nben@example.com\r\n"),
        );
        let arguments = [&["reset", "--auto-approve"], arguments].concat();
        workplace.run(&arguments).exits(0);
        assert_eq!(cleared(&server), names, "{arguments:?}");
    }
}

#[test]
fn a_reset_shows_who_reports_each_and_leaves_a_trail_without_names() {
    let (_server, workplace) = three_users("write,pii");
    let run = workplace.line("reset --level high --auto-approve --audit-log trail");
    assert_snapshot!(run.shown(), @r###"
    exit 0
    --- stdout
    LEVEL  EVENTS  LAST EVENT (UTC)  E-MAIL           NAME
    high        1  2026-01-01 00:00  ann@example.com  Ann
    high        1  2026-01-01 00:00  ben@example.com  Ben
    Reset complete: 2 reset.
    --- stderr
    [1/2] [id]: done
    [2/2] [id]: done
    "###);
    let trail = workplace.read("trail");
    let lines: Vec<Value> = trail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {} {}", line["phase"], line["action"], line["address"]))
        .collect();
    assert_snapshot!(told.join("\n"), @r###"
    "intent" "reset" "user[0a000000-0000-4000-8000-000000000001]"
    "outcome" "reset" "user[0a000000-0000-4000-8000-000000000001]"
    "intent" "reset" "user[0a000000-0000-4000-8000-000000000002]"
    "outcome" "reset" "user[0a000000-0000-4000-8000-000000000002]"
    "###);
    assert!(
        !trail.contains("example.com") && !trail.contains("Ann"),
        "{trail}"
    );
}

#[test]
fn one_failure_does_not_keep_the_others_from_being_reset() {
    let (server, workplace) = three_users("write,pii");
    let run = workplace.run(&["reset", NOBODY, ANN, CAY, "--auto-approve"]);
    let shown = run.shown();
    let (stdout, stderr) = shown.split_once("--- stderr").unwrap();
    assert_snapshot!(stdout, @"
    exit 3
    --- stdout
    LEVEL  EVENTS  LAST EVENT (UTC)  E-MAIL           NAME
    high        1  2026-01-01 00:00  ann@example.com  Ann
    low         1  2026-01-01 00:00  cay@example.com  Cay
    [id]  no known score
    error: [id]: POST /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/[id]/reset: not found: User not found (code 40402) [status 404]
      help: check the account ID and the resource ID
    Reset incomplete: 2 reset, 1 failed, 0 not attempted.
    ");
    // The requests are concurrent.
    assert!(
        stderr.contains("[3/3]") && stderr.contains(": failed"),
        "{stderr}"
    );
    assert_eq!(cleared(&server), "Ann Cay");
}

#[test]
fn a_refusal_that_holds_for_all_ends_the_run() {
    let (server, workplace) = three_users("read,pii");
    let run = workplace.run(&["reset", ANN, BEN, "--auto-approve", "-q"]);
    assert_snapshot!(run.shown(), @"
    exit 6
    --- stdout
    LEVEL  EVENTS  LAST EVENT (UTC)  E-MAIL           NAME
    high        1  2026-01-01 00:00  ann@example.com  Ann
    high        1  2026-01-01 00:00  ben@example.com  Ben
    error: [id]: POST /accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/[id]/reset: authentication failed or permission missing: Authentication error (code 10000) [status 403]
      help: check the account ID f037e56e89293a057740de681ac9abbe, then the credentials in CLOUDFLARE_API_TOKEN: they may lack the permission Zero Trust Write, or be expired, revoked or restricted
    not attempted: [id]: would fail for the same reason
    Reset incomplete: 0 reset, 1 failed, 1 not attempted.
    ");
    assert_eq!(server.writes(), 1);
    // A reset by ID reads no users.
    let (server, workplace) = three_users("write");
    workplace.run(&["reset", ANN, "--auto-approve"]).exits(0);
    assert_eq!(cleared(&server), "Ann");
    workplace
        .line("reset ann@example.com --auto-approve")
        .exits(6);
}

#[test]
fn reset_writes_only_if_each_user_is_found_and_approved() {
    let (server, workplace) = three_users("write,pii");
    workplace.write("list", "ann@example.com\nann\n");
    for (arguments, code) in [
        (&["reset", ANN, "x@example.com", "--auto-approve"][..], 1),
        (&["reset", "--from", "list", "--auto-approve"], 1),
        (&["reset", "--from", "missing", "--auto-approve"], 1),
        (&["reset", ANN], 1),
        (&["reset", ANN, "--dry-run"], 0),
        (
            &[
                "reset",
                ANN,
                "--auto-approve",
                "--audit-log",
                "no/such/directory",
            ],
            1,
        ),
        (&["reset"], 64),
        (&["reset", "ann"], 64),
        (&["reset", "--level", "grave"], 64),
    ] {
        assert_eq!(workplace.run(arguments).code, code, "{arguments:?}");
    }
    assert_eq!(server.writes(), 0);
}

#[test]
fn only_yes_resets() {
    for (answer, names, said) in [
        ("yes", "Ann", "Reset complete"),
        ("y", "", "not approved; no changes were made"),
    ] {
        let (server, workplace) = three_users("write,pii");
        let mut terminal = workplace.terminal(&["reset", "ann@example.com"]);
        terminal.exp_string("ann@example.com").unwrap();
        terminal
            .exp_string("Reset the risk score of 1 user?")
            .unwrap();
        terminal.send_line(answer).unwrap();
        terminal.exp_string(said).unwrap();
        assert_eq!(cleared(&server), names, "{answer}");
    }
}

#[test]
fn a_list_may_come_from_standard_input() {
    let (server, workplace) = three_users("write,pii");
    let arguments = ["reset", "--from", "-", "--auto-approve"];
    workplace.pipe(&arguments, CAY).exits(0);
    assert_eq!(cleared(&server), "Cay");
}
