//! The command line as scripts rely on it: which flags a command takes, where they stand, and what becomes of the ones that it would not obey.

use crate::riskform::{SandboxServer, Workplace};
use riskform::sandbox::Settings;

const FILE: &str = "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors:\n  imp_travel: { enabled: true }\nunlisted: { integrations: keep }\n";

#[test]
fn a_flag_that_would_not_be_obeyed_is_refused() {
    let workplace = Workplace::new();
    let table = [
        ("apply --plan x --shard 0/2", "cannot be used with '--shard"),
        ("apply --plan x --target a", "cannot be used with '--target"),
        ("apply --plan x --expect-accounts 1", "cannot be used with"),
        (
            "get users --shard 0/2",
            "--shard belongs to plan, apply, destroy, drift",
        ),
        (
            "--shard 0/2 get users",
            "--shard belongs to plan, apply, destroy, drift",
        ),
        ("schema config --parallelism 3", "--parallelism belongs to"),
        ("validate --sandbox", "--sandbox belongs to"),
        ("fmt --account-id x", "--account-id belongs to"),
        ("show x --base-url http://x", "--base-url belongs to"),
        (
            "plan --sandbox --base-url https://x",
            "cannot be used with '--base-url",
        ),
        (
            "plan --parallelism 0",
            "write a number of accounts, 1 or more",
        ),
        (
            "plan -o p.json",
            "this is a file; write the kind before it: json=p.json (plan --out FILE saves a plan)",
        ),
        (
            "drift -o junit.xml",
            "this is a file; write the kind before it: text=junit.xml",
        ),
        ("plan -o json=", "name a file behind the ="),
        (
            "plan -o nonsense",
            "this command knows text, json, markdown, diff, html",
        ),
        (
            "plan -o text -o json",
            "--format is given twice for standard output",
        ),
        ("plan --nonsense", "unexpected argument '--nonsense'"),
    ];
    for (line, words) in table {
        let run = workplace.run(&line.split(' ').collect::<Vec<_>>());
        let said = run.stderr.replace('\n', " ");
        assert_eq!(run.code, 64, "{line}: {}", run.shown());
        assert!(said.contains(words), "{line}: {}", run.shown());
    }
}

#[test]
fn flags_stand_before_the_name_of_a_command_or_behind_it() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    let behind = workplace.run(&["plan", "--format", "json", "--shard", "0/1", "-q"]);
    assert_eq!(behind.code, 0, "{}", behind.shown());
    for line in [
        "-q --format json --shard 0/1 plan",
        "--shard 0/1 plan -q -ojson riskform.yaml",
        "--shard=0/1 -qo json plan",
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
fn quiet_prints_nothing_where_every_format_goes_to_a_file() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    for command in ["plan", "drift"] {
        let run = workplace.run(&[command, "-q", "-o", "text=plan.txt", "-o", "json=plan.json"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{command}");
        assert!(workplace.read("plan.txt").contains("f037e56e"), "{command}");
        assert_eq!(
            document(&workplace.read("plan.json"))["accounts"][0]["status"],
            "ok"
        );
        let loud = workplace.run(&[command, "-o", "json=plan.json"]);
        assert_eq!(loud.stdout, workplace.read("plan.txt"), "{command}");
    }
}

#[test]
fn another_number_of_accounts_than_expected_is_an_error() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    workplace.write("riskform.yaml", FILE);
    for line in [
        "validate",
        "plan",
        "plan --shard 0/1",
        "drift",
        "destroy --auto-approve",
    ] {
        let words = |expected| {
            let words = line.split(' ').chain(["--expect-accounts", expected]);
            words.collect::<Vec<_>>()
        };
        let run = workplace.run(&words("2"));
        assert_eq!(run.code, 1, "{line}: {}", run.shown());
        assert!(
            run.stderr
                .contains("error: 1 account declared, and --expect-accounts names 2"),
            "{line}: {}",
            run.shown()
        );
        assert_eq!(server.writes(), 0, "{line}");
    }
    assert_eq!(workplace.run(&["plan", "--expect-accounts", "1"]).code, 0);
    workplace.run(&["plan", "--format", "json=plan.json"]);
    let merge = |expected| {
        workplace.run(&[
            "report",
            "merge",
            "plan.json",
            "--expect-accounts",
            expected,
        ])
    };
    assert_eq!((merge("1").code, merge("3").code), (0, 1));
}
