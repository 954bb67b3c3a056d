//! Shards of a fleet, and their results as one.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use riskform::sandbox::Settings;
use serde_json::Value;

use crate::riskform::{SandboxServer, TestDir};

/// A fleet of this many accounts, each with something that differs.
fn fleet(workplace: &TestDir, count: u32) {
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
    let workplace = TestDir::with(&server);
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
        assert_eq!(part_of(&workplace, &format!("{command}-0.json")), "0/3");
        for one in [&mut merged, &mut whole] {
            one["created_at"] = Value::Null;
            // Three files may have been written within one second, or not.
            one.as_object_mut().unwrap().remove("oldest");
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
    assert_snapshot!(text.stdout.lines().last().unwrap(), @r###"Drift: 12 differ, 36 unlisted, 12 of them reported. 0 as declared. In 12 of 12 accounts."###);
}

fn part_of(workplace: &TestDir, file: &str) -> String {
    let shard = &document(&workplace.read(file))["shard"];
    format!("{}/{}", shard["index"], shard["of"])
}

#[test]
fn a_merge_holds_all_shards_once_and_none_that_is_too_old() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    fleet(&workplace, 12);
    for shard in ["0/3", "1/3", "2/3", "0/2"] {
        let file = format!("json={}.json", shard.replace('/', "of"));
        workplace.run(&["drift", "--shard", shard, "--format", &file]);
    }
    workplace.run(&["drift", "--format", "json=whole.json"]);
    let mut old = document(&workplace.read("2of3.json"));
    // The moment of writing is outside the digest.
    old["created_at"] = "2020-01-01T00:00:00Z".into();
    workplace.write("old.json", &old.to_string());
    let table: &[(&[&str], i32, &str)] = &[
        (&["0of3.json", "1of3.json", "2of3.json"], 2, ""),
        (
            &["0of3.json", "2of3.json"],
            1,
            "1 shard is missing: 1/3\n  help: give all shards' files, or merge what there is with --allow-missing",
        ),
        (&["0of3.json", "2of3.json", "--allow-missing"], 2, ""),
        (
            &["0of3.json", "1of3.json", "0of3.json"],
            1,
            "the shard 0/3 is in 0of3.json and again in 0of3.json",
        ),
        (
            &["0of3.json", "0of2.json"],
            1,
            "0of3.json is the shard 0/3 and 0of2.json the shard 0/2",
        ),
        (
            &["0of3.json", "whole.json"],
            1,
            "0of3.json is the shard 0/3 and whole.json no shard",
        ),
        (&["0of3.json", "1of3.json", "old.json"], 2, ""),
        (
            &["0of3.json", "1of3.json", "old.json", "--max-age", "24h"],
            1,
            "old.json was written at 2020-01-01T00:00:00Z, which is too long ago",
        ),
    ];
    for (arguments, code, message) in table {
        let run = workplace.run(&[&["report", "merge"], *arguments].concat());
        assert!(
            run.stderr.contains(message),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_eq!(run.code, *code, "{arguments:?}: {}", run.stderr);
    }
    let page = workplace.run(&[
        "report",
        "merge",
        "0of3.json",
        "1of3.json",
        "old.json",
        "--format",
        "html",
    ]);
    assert!(
        page.stdout.contains("2020-01-01 00:00 UTC"),
        "the oldest moment"
    );
}

#[test]
fn a_merge_ends_as_one_run_would_have() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write(
        "riskform.yaml",
        "version: 1\naccount_id: 00000000000000000000000000000000\nbehaviors: { nonesuch: { enabled: true } }\n---\nversion: 1\naccount_id: 00000000000000000000000000000001\nbehaviors: { imp_travel: { risk_level: low } }\n",
    );
    for command in ["plan", "drift"] {
        let run = workplace.run(&[command, "--format", "json=run.json"]);
        let merged = workplace.run(&["report", "merge", "run.json"]);
        assert_eq!((run.code, merged.code), (1, 1), "{command}");
    }
    let run = workplace.run(&["apply", "--auto-approve", "--format", "json=run.json"]);
    let merged = workplace.run(&["report", "merge", "run.json"]);
    assert_eq!((run.code, merged.code), (3, 3), "{}", run.stderr);
}

#[test]
fn what_was_applied_merges_into_text_and_markdown() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
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
    let workplace = TestDir::with(&server);
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
    assert_snapshot!(shown, @"
    error: cannot merge the results: plan.json is a riskform.plan/1 and drift.json a riskform.drift/1; only results of one format can be merged
    error: cannot merge the results: the account 00000000000000000000000000000000 is in drift.json and again in again.json
    error: damaged.json can't be read: the file was changed after it was saved (digest mismatch)
    error: foreign.json can't be read: unknown format terraform, expected riskform.plan/1, riskform.drift/1, riskform.apply/1
    error: error.json can't be read: unknown format riskform.error/1, expected riskform.plan/1, riskform.drift/1, riskform.apply/1
    error: nonesuch.json can't be read: No such file or directory (os error 2)
    ");
}
