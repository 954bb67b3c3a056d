//! The commands for files: validate, fmt, export.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use insta::assert_snapshot;
use serde_json::{Value, json};

use riskform::sandbox::Settings;

use crate::support::{SandboxServer, TestDir};

const MISTAKES: &str = "version: 1
account_id: 0a000000000000000000000000000000
behaviors:
  imp_travel: { enabled: yes, risk_levl: high }
guards: { protected: [corp.okta.com] }
";

const SOUND: &str = "version: 1\naccount_id: 0a000000000000000000000000000000\n";

#[test]
fn validate_accepts_files_and_fragments_without_credentials() {
    let workplace = TestDir::new();
    workplace.write("riskform.yaml", SOUND);
    workplace.write("_fragment.yaml", "version: 1\n");
    for (path, shown) in [
        ("riskform.yaml", "1 account, no mistakes\n"),
        ("_fragment.yaml", "0 accounts, no mistakes\n"),
    ] {
        let run = workplace.run(&["validate", path]);
        assert_eq!((run.code, run.stdout.as_str()), (0, shown));
    }
}

#[test]
fn validate_writes_json_and_sarif() {
    let workplace = TestDir::new();
    workplace.write("riskform.yaml", MISTAKES);
    let run = workplace.line("validate --format json");
    let document = run.json();
    assert_eq!(run.code, 1);
    assert_eq!(document["format"], "riskform.validate/1");
    assert_eq!(
        (&document["errors"], &document["warnings"]),
        (&2.into(), &1.into())
    );
    assert_snapshot!(serde_json::to_string_pretty(&document["diagnostics"][0]).unwrap(), @r##"
    {
      "help": "write `true`",
      "message": "behavior.imp_travel.enabled: expected true or false, found `yes`",
      "note": null,
      "primary": {
        "place": {
          "column": 26,
          "end_column": 29,
          "file": "riskform.yaml",
          "line": 4
        },
        "text": ""
      },
      "related": [],
      "rule": "yaml-1.1-boolean",
      "severity": "error"
    }
    "##);

    let run = workplace.line("validate --format sarif");
    let log = run.json();
    assert_eq!((run.code, &log["version"]), (1, &"2.1.0".into()));
    let run = &log["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 3);
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
    }
    assert_eq!(
        run["results"][0]["locations"][0]["physicalLocation"]["region"],
        json!({ "startLine": 4, "startColumn": 26, "endColumn": 29 })
    );
}

#[test]
fn no_output_repeats_a_credential() {
    let mut workplace = TestDir::new();
    workplace.set("MY_TOKEN", "very-private");
    workplace.write(
        "riskform.yaml",
        "version: 1\napi_token: very-private\nname: ${MY_TOKEN}\naccount_id: ${MY_TOKEN:-very-private}\n",
    );
    for format in ["text", "json", "sarif"] {
        let run = workplace.run(&["validate", "--format", format]).exits(1);
        assert!(!run.shown().contains("very-private"), "{}", run.shown());
    }
}

#[test]
fn fmt_names_changed_files_and_keeps_invalid_ones() {
    let workplace = TestDir::new();
    workplace.write("a.yaml", "account_id:   x # the account\nversion:   1\n");
    workplace.write("b.yaml", "version: 1\n");
    let check = workplace.line("fmt --check .");
    assert_eq!((check.code, check.stdout.as_str()), (1, "./a.yaml\n"));
    assert_snapshot!(workplace.line("fmt --diff a.yaml").shown(), @"
    exit 0
    --- stdout
    --- a.yaml
    +++ a.yaml (formatted)
    @@ -1,2 +1,2 @@
    -account_id:   x # the account
    -version:   1
    +account_id: x # the account
    +version: 1
    ");
    let run = workplace.line("fmt .");
    assert_eq!((run.code, run.stdout.as_str()), (0, "./a.yaml\n"));
    workplace.write("c.yaml", "version: [1\n");
    let again = workplace.line("fmt .");
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    again.says("error[syntax]");
    let kept = fs::read_to_string(workplace.path("c.yaml")).unwrap();
    assert_eq!(kept, "version: [1\n");
}

#[test]
fn fmt_keeps_the_mode_and_the_link() {
    let workplace = TestDir::new();
    workplace.write("real.yaml", "version:   1\n");
    let real = workplace.path("real.yaml");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.yaml", workplace.path("link.yaml")).unwrap();
    assert_eq!(workplace.line("fmt link.yaml").code, 0);
    assert_eq!(fs::read_to_string(&real).unwrap(), "version: 1\n");
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(
        fs::symlink_metadata(workplace.path("link.yaml"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn export_plans_empty_in_each_form() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let account = "f037e56e89293a057740de681ac9abbe";
    let export = |flags: &[&str]| {
        let run = workplace.run(&[&["export", account], flags].concat());
        assert_eq!(run.code, 0, "{}", run.shown());
        workplace.write("riskform.yaml", &run.stdout);
        workplace.line("plan --detailed-exitcode").exits(0);
        run.stdout
    };
    export(&[]);
    let integration = |text: &str| {
        let (_, rest) = text.split_once("integrations:\n").unwrap();
        rest.split_once("\n\n").unwrap().0.to_owned()
    };
    assert_snapshot!(integration(&export(&["--with-ids", "--with-names"])), @r#"
    example-oktapreview-com:
      integration_type: Okta
      tenant_url: https://example.oktapreview.com
      identity_provider: "Corporate Okta"
      active: true
      id: 4cfe8442-664b-4915-acd4-b39cd65c4314
    "#);
    let json: Value =
        serde_json::from_str(&export(&["--with-ids", "--with-names", "-o", "json"])).unwrap();
    let entry = &json["integrations"]["example-oktapreview-com"];
    assert_eq!(entry["id"], "4cfe8442-664b-4915-acd4-b39cd65c4314");
    assert!(entry["identity_provider"].is_string(), "{entry}");
    assert_eq!(entry.get("reference_id"), None);
    let plain: Value = serde_json::from_str(&export(&["-o", "json"])).unwrap();
    let entry = &plain["integrations"]["example-oktapreview-com"];
    assert_eq!(
        (entry.get("id"), entry.get("identity_provider")),
        (None, None)
    );
    assert!(entry["reference_id"].is_string(), "{entry}");
    assert_eq!(server.writes(), 0);
}

#[test]
fn export_splits_into_a_fleet_and_keeps_existing_files() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let accounts = [
        "f037e56e89293a057740de681ac9abbe",
        "0a000000000000000000000000000000",
    ];
    let arguments = ["export", "--split", "fleet", accounts[0], accounts[1]];
    let run = workplace.run(&arguments).exits(0);
    assert_eq!(
        run.stdout,
        format!("fleet/{}.yaml\nfleet/{}.yaml\n", accounts[0], accounts[1])
    );
    assert_eq!(workplace.line("plan --detailed-exitcode fleet").code, 0);
    let again = workplace.run(&arguments).exits(1);
    again.says("exists");
    let several = workplace.run(&["export", accounts[0], accounts[1]]);
    assert_eq!(several.code, 64);
}

/// Code hosts know files by their path below the repository, however the user names them.
#[test]
fn sarif_paths_are_relative_to_the_repository() {
    let workplace = TestDir::new();
    let uris = |directory: &str, arguments: &[&str]| {
        let mut command = workplace.command(arguments);
        command.current_dir(workplace.path(directory));
        let output = command.output().unwrap();
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap().iter();
        let notifications = &run["invocations"][0]["toolExecutionNotifications"];
        let entries = results.chain(notifications.as_array().unwrap());
        let uri = |entry: &Value| {
            let place = &entry["locations"][0]["physicalLocation"]["artifactLocation"];
            place["uri"].as_str().unwrap().to_owned()
        };
        entries.map(uri).collect::<Vec<_>>()
    };
    std::fs::create_dir_all(workplace.path("policy/sub")).unwrap();
    let file = "version: 1\naccount_id: 00000000000000000000000000000001\nbehaviors: { imp_travel: { enabled: yes } }\n";
    workplace.write("policy/a b.yaml", file);
    let absolute = workplace.path("policy/a b.yaml").display().to_string();
    let typed = [
        ("policy", "./a b.yaml"),
        ("policy/sub", "../a b.yaml"),
        (".", "policy/a b.yaml"),
        ("policy/sub", &absolute),
    ];
    for (root, expected) in [
        (
            &["--root", &workplace.path("policy").display().to_string()][..],
            "a%20b.yaml",
        ),
        (&[], "policy/a%20b.yaml"),
    ] {
        for (directory, path) in typed {
            let arguments = [&["validate", path, "-o", "sarif"], root].concat();
            assert_eq!(uris(directory, &arguments), [expected], "{path} {root:?}");
        }
        // The second pass has a repository, which is the root.
        std::fs::create_dir_all(workplace.path(".git")).unwrap();
    }
    workplace.write("policy/a b.yaml", &file.replace("yes", "true"));
    for command in ["drift", "audit"] {
        // Without credentials, the only account is a notification.
        for (directory, path) in typed {
            let arguments = [command, path, "-o", "sarif"];
            assert_eq!(
                uris(directory, &arguments),
                ["policy/a%20b.yaml"],
                "{command} {path}"
            );
        }
    }
}
