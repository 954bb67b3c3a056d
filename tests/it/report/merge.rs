//! Shards of a fleet, and their results as one.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use riskform::sandbox::Settings;
use serde_json::Value;

use crate::riskform::{SandboxServer, Workplace};

/// A fleet of this many accounts, each with something that differs.
fn fleet(workplace: &Workplace, count: u32) {
    let documents: Vec<String> = (0..count)
        .map(|number| {
            format!("version: 1\naccount_id: \"{number:032x}\"\nname: account-{number}\nbehaviors: {{ imp_travel: {{ risk_level: low }} }}\n")
        })
        .collect();
    workplace.write("riskform.yaml", &documents.join("---\n"));
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn shards_part_a_fleet_and_merge_joins_it_again() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    fleet(&workplace, 12);
    for command in ["plan", "drift"] {
        let mut whole = document(&workplace.run(&[command, "--format", "json"]).stdout);
        let mut seen = BTreeSet::new();
        let mut merge = vec!["report".to_owned(), "merge".to_owned()];
        for index in 0..3 {
            let shard = format!("{index}/3");
            let file = format!("{command}-{index}.json");
            let run = workplace.run(&[
                command,
                "--shard",
                &shard,
                "--format",
                &format!("json={file}"),
            ]);
            assert_eq!(
                run.code,
                if command == "drift" { 2 } else { 0 },
                "{}",
                run.stderr
            );
            let part = document(&workplace.read(&file));
            for account in part["accounts"].as_array().unwrap() {
                let id = account["account_id"].as_str().unwrap().to_owned();
                assert!(seen.insert(id), "an account is in two shards");
            }
            merge.push(file);
        }
        assert_eq!(seen.len(), 12);
        merge.extend(["--format".to_owned(), "json".to_owned()]);
        let mut merged = document(&workplace.run(&merge).stdout);
        assert_eq!(
            merged["digest"], whole["digest"],
            "{command}: the merged result is another one"
        );
        for one in [&mut merged, &mut whole] {
            one["created_at"] = Value::Null;
        }
        assert_eq!(merged, whole);
    }
    let text = workplace.run(&[
        "report",
        "merge",
        "drift-0.json",
        "drift-1.json",
        "drift-2.json",
    ]);
    assert_snapshot!(text.stdout.lines().last().unwrap(), @r###"Drift: 12 differ, 12 unlisted. 0 as declared."###);
}

#[test]
fn what_was_applied_merges_into_text_and_markdown() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    fleet(&workplace, 2);
    let run = workplace.run(&[
        "apply",
        "--auto-approve",
        "--allow-weakening",
        "--format",
        "json=applied.json",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for (format, shows) in [
        (
            "text",
            "Apply complete: 0 created, 2 updated, 0 replaced, 0 deleted.",
        ),
        (
            "markdown",
            "### riskform apply complete: 0 created, 2 updated, 0 replaced, 0 deleted",
        ),
    ] {
        let merged = workplace.run(&["report", "merge", "applied.json", "--format", format]);
        assert!(merged.stdout.contains(shows), "{}", merged.stdout);
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let server = SandboxServer::start(Settings::default());
    let workplace = Workplace::with(&server);
    fleet(&workplace, 1);
    workplace.run(&["plan", "--format", "json=plan.json"]);
    workplace.run(&["drift", "--format", "json=drift.json"]);
    workplace.write("again.json", &workplace.read("drift.json"));
    workplace.write(
        "damaged.json",
        &workplace
            .read("drift.json")
            .replace("account-0", "account-9"),
    );
    workplace.write("foreign.json", "{ \"format\": \"terraform\" }");
    workplace.write(
        "error.json",
        &workplace
            .run(&["drift", "nonesuch", "--format", "json"])
            .stdout,
    );
    let mut shown = String::new();
    for files in [
        ["plan.json", "drift.json"],
        ["drift.json", "again.json"],
        ["drift.json", "damaged.json"],
        ["drift.json", "foreign.json"],
        ["drift.json", "error.json"],
        ["drift.json", "nonesuch.json"],
    ] {
        let run = workplace.run(&["report", "merge", files[0], files[1]]);
        assert_eq!(run.code, 1, "{files:?}");
        shown.push_str(&run.stderr);
    }
    assert_snapshot!(shown, @r###"
    error: these can't be merged: plan.json is a riskform.plan/1 and drift.json a riskform.drift/1; only documents of one format can be merged
    error: these can't be merged: the account 00000000000000000000000000000000 is in drift.json and again in again.json
    error: damaged.json can't be read: it is damaged: its digest does not fit what it holds
    error: foreign.json can't be read: it has the format terraform, and this version of riskform reads riskform.plan/1, riskform.drift/1, riskform.apply/1 here
    error: error.json can't be read: it has the format riskform.error/1, and this version of riskform reads riskform.plan/1, riskform.drift/1, riskform.apply/1 here
    error: nonesuch.json can't be read: No such file or directory (os error 2)
    "###);
}
