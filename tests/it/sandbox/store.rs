//! The sandbox file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use axum::http::Method;
use riskform::sandbox::{Sandbox, Settings, StoreError};
use serde_json::{Value, json};

use super::{Client, scoring};
use crate::support::{Run, TestDir, account};

fn open(path: &Path) -> Result<Sandbox, StoreError> {
    Sandbox::open(path, Settings::default())
}

async fn create(client: &Client, tenant_url: &str) -> Value {
    client.create(tenant_url, json!({})).await.result()["id"].clone()
}

#[tokio::test]
async fn writes_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/sandbox.json");
    let client = Client::of(open(&path).unwrap());
    let first = create(&client, "https://one.okta.com").await;
    let before = client.sandbox.account(&account());
    assert!(!path.with_extension("tmp").exists());
    drop(client);

    let client = Client::of(open(&path).unwrap());
    assert_eq!(client.sandbox.account(&account()), before);
    let second = create(&client, "https://two.okta.com").await;
    assert_ne!(first, second, "an id is given once");
    let log = client.sandbox.account(&account()).audit_log;
    let created = log.iter().map(|entry| &entry.shown["resource"]["id"]);
    let made: Vec<_> = created.collect();
    assert_eq!(made, [&first, &second], "the audit log is kept as well");
}

#[tokio::test]
async fn reads_and_rejected_requests_keep_the_file_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox.json");
    let client = Client::of(open(&path).unwrap());
    client.get(&scoring("behaviors")).await;
    client
        .send(Method::PUT, &scoring("behaviors"), json!({}))
        .await;
    assert!(!path.exists());
}

#[tokio::test]
async fn every_answered_change_is_on_disk_and_the_file_is_whole_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox.json");
    let client = Client::of(open(&path).unwrap());
    let creating = async {
        for n in 0..50 {
            let id = create(&client, &format!("https://tenant-{n}.okta.com")).await;
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(id.as_str().unwrap()), "{n}");
        }
    };
    let resetting = async {
        for _ in 0..50 {
            client
                .send(
                    Method::POST,
                    &scoring("0d7f1f6e-52c7-4b0f-8a5c-1d7a0c3f9b11/reset"),
                    Value::Null,
                )
                .await;
            serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();
        }
    };
    tokio::join!(creating, resetting);
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["sandbox.json", "sandbox.json.lock"],
        "no temporary file remains"
    );
}

#[test]
fn a_file_that_is_no_sandbox_is_left_alone() {
    let cases = [
        ("", "is not a sandbox file: EOF"),
        (
            r#"{"format": "riskform.sandbox/1", "serials": 1"#,
            "is not a sandbox file: EOF",
        ),
        ("{}", "is not a sandbox file: missing field `format`"),
        (
            r#"{"format": "riskform.sandbox/2", "serials": 1, "accounts": {}}"#,
            r#"has the unsupported format "riskform.sandbox/2""#,
        ),
    ];
    for (text, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sandbox.json");
        fs::write(&path, text).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{} {expected}", path.display())),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

/// A checkout may contain symlinks, which are not followed.
#[test]
fn links_are_refused_and_their_targets_left_alone() {
    const SECRET: &str = "credentials: secret\n";
    for linked in ["sandbox.json", "sandbox.json.lock"] {
        for exists in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let target = directory.path().join("target");
            if exists {
                fs::write(&target, SECRET).unwrap();
            }
            let place = directory.path().join(".riskform");
            fs::create_dir(&place).unwrap();
            symlink(&target, place.join(linked)).unwrap();
            let error = open(&place.join("sandbox.json")).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{} is a symlink", place.join(linked).display())),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
            let left = fs::read_to_string(&target).ok();
            assert_eq!(left.as_deref(), exists.then_some(SECRET), "{linked}");
        }
    }
}

#[test]
fn a_linked_directory_of_the_checkout_is_refused_by_the_program() {
    let workplace = TestDir::new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), workplace.path(".riskform")).unwrap();
    workplace.write("riskform.yaml", "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors: { imp_travel: { enabled: false } }\n");
    let run = workplace.line("apply --sandbox --auto-approve").exits(1);
    run.says(".riskform is a symlink");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

/// An existing lock file is not truncated, because it may be another file.
#[test]
fn the_lock_is_not_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbox.json");
    let lock = directory.path().join("sandbox.json.lock");
    fs::write(&lock, "somebody's").unwrap();
    drop(open(&path).unwrap());
    assert_eq!(fs::read_to_string(&lock).unwrap(), "somebody's");
}

#[tokio::test]
async fn change_that_is_not_stored_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gone/sandbox.json");
    let client = Client::of(open(&path).unwrap());
    let integrations = scoring("integrations");
    let body = json!({ "integration_type": "Okta", "tenant_url": "https://one.okta.com" });
    // The first write of an account, and another one.
    for stored in [false, true] {
        if stored {
            create(&client, "https://zero.okta.com").await;
        }
        let before = client.sandbox.account(&account());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let body = body.to_string();
        let response = client
            .send_unchecked(Method::POST, &integrations, body)
            .await;
        assert_eq!(response.status, 500);
        let edited = client
            .sandbox
            .edit(&account(), |account| account.users.clear());
        let error = edited.unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert_eq!(client.sandbox.account(&account()), before);
        fs::create_dir(path.parent().unwrap()).unwrap();
    }
    create(&client, "https://two.okta.com").await;
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("zero.okta.com") && text.contains("two.okta.com"));
    assert!(!text.contains("one.okta.com"), "{text}");
}

/// A full disk, which a file-size limit simulates.
#[test]
fn apply_fails_if_the_sandbox_cannot_be_stored() {
    let workplace = TestDir::new();
    workplace.write("riskform.yaml", "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nbehaviors: { imp_travel: { enabled: false } }\n");
    let apply = ["apply", "--sandbox", "--auto-approve"];
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let run = Run::from(workplace.shell(script, &apply).output().unwrap());
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    run.says("cannot store the sandbox");
    workplace
        .line("plan --sandbox --detailed-exitcode")
        .exits(2);
}
