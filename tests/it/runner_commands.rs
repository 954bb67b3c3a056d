//! GitHub's runner obeys lines of a job's log that look like `::error::x` or hold `##[add-mask]e`. Names, references and levels from the API,
//! and files and their names, hold such lines here, and no output of the real program does: each format, each command, each error.

use riskform::model::behavior::BehaviorKey;
use riskform::model::integration::ReferenceId;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::Value;

use crate::get::{event, put_users, user};
use crate::support::{Run, SandboxServer, TestDir};

const ANN: &str = "0a000000-0000-4000-8000-000000000001";
const NAME: &str = "a\n::error::x ##[add-mask]e\r::add-mask::y";
const FILE: &str = "a\n::error::x ##[group]y.yaml";
const HOSTILE: &str = "version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  \"::error::declared\": { enabled: true }
integrations:
  okta: { tenant_url: https://corp.okta.com, reference_id: '##[add-mask]e' }
unlisted: { behaviors: report }
";

/// An account whose behaviors, integrations and users are named by somebody who knows the runner.
fn hostile() -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    let account = RECORDED_ACCOUNT.parse().unwrap();
    let edit = server.sandbox.edit(&account, |account| {
        let behavior = account.behaviors.values().next().unwrap().clone();
        for key in ["::error::declared", "::error::unlisted", "##[add-mask]e"] {
            account
                .behaviors
                .insert(BehaviorKey::new(key), behavior.clone());
        }
        for integration in account.integrations.values_mut() {
            integration.settings.reference_id = ReferenceId::new("##[add-mask]live");
        }
    });
    edit.unwrap();
    let at = "2026-01-01T00:00:00Z";
    put_users(
        &server.sandbox,
        &[(
            ANN,
            user(NAME, "::error::e@example.com", &[event("high", at)]),
        )],
    );
    let mut workplace = TestDir::with(&server);
    workplace.set("GITHUB_ACTIONS", "true");
    workplace.set("CLOUDFLARE_ACCOUNT_ID", RECORDED_ACCOUNT);
    workplace.write("riskform.yaml", HOSTILE);
    workplace.write(FILE, "version: 1\nnonesuch: 1\n");
    (server, workplace)
}

fn assert_no_command(what: &str, run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        for line in text.split(['\n', '\r']) {
            let is_command = line.trim_start().starts_with("::") || line.contains("##[");
            assert!(!is_command, "{what}: {line:?}\n{}", run.shown());
        }
    }
}

#[test]
fn no_output_holds_a_workflow_command() {
    let (_server, workplace) = hostile();
    let formats = |command: &str, formats: &[&str]| -> Vec<Vec<String>> {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let with = |format: &str| [&words[..], &["-o".to_owned(), format.to_owned()]].concat();
        formats.iter().map(|format| with(format)).collect()
    };
    let mut commands = [
        formats("plan", &["text", "json", "markdown", "diff", "html"]),
        formats(
            "drift",
            &[
                "text",
                "json",
                "markdown",
                "html",
                "junit",
                "sarif",
                "prometheus",
            ],
        ),
        formats(
            "plan -q",
            &[
                "text=/dev/stdout",
                "json=/dev/stderr",
                "diff=/dev/fd/1",
                "markdown=/dev/stdout",
            ],
        ),
        formats("get behaviors", &["table", "json"]),
        formats("get integrations", &["table", "json"]),
        formats("get users", &["table", "json"]),
        formats(&format!("get user {ANN}"), &["table", "json"]),
        formats("export", &["yaml", "json"]),
    ]
    .concat();
    let lines: [&[&str]; 20] = [
        &["doctor"],
        &["plan", "--out", "/dev/stdout"],
        &["plan", "-vv"],
        &["plan", "--target", "\n::error::x"],
        &["plan", "--nonsense", "\n::error::x", "-o", "json"],
        &["drift", "--ignore", "\n::error::x ##[group]"],
        &["validate", FILE],
        &["validate", FILE, "-o", "json"],
        &["validate", FILE, "-o", "sarif"],
        &["plan", FILE],
        &["plan", FILE, "-o", "json"],
        &["plan", "\n::add-mask::x"],
        &["fmt", "--check", "."],
        &["show", FILE],
        &["apply", "--plan", FILE],
        &["get", "integration", "\n::error::x"],
        &["reset", "\n::error::x"],
        &["reset", ANN, "--dry-run"],
        &["schema", "config", "--from-live"],
        &["export", "--split", "::error::x"],
    ];
    commands.extend(lines.map(|words| words.iter().map(|word| (*word).to_owned()).collect()));
    // Last, since they change the account.
    let writes = [
        "reset --level high --auto-approve --audit-log /dev/stderr",
        "apply --auto-approve --audit-log /dev/stdout --save-previous /dev/stderr",
    ];
    commands.extend(writes.map(|line| line.split(' ').map(str::to_owned).collect()));
    for command in commands {
        assert_no_command(&command.join(" "), &workplace.run(&command));
    }
}

/// What a file's own command lines are for is kept: the annotations, and nothing else begins so.
#[test]
fn annotations_are_the_only_commands() {
    let (_server, workplace) = hostile();
    for words in [["validate", "--ci", FILE], ["plan", "--ci", FILE]] {
        let run = workplace.run(&words);
        let commands: Vec<&str> = run
            .stderr
            .lines()
            .filter(|line| line.trim_start().starts_with("::"))
            .collect();
        assert!(!commands.is_empty(), "{}", run.shown());
        for command in commands {
            let file = r"::error file=a\u{a}%3A%3Aerror%3A%3Ax #\u{23}[group]y.yaml,";
            assert!(command.starts_with(file), "{command}");
        }
    }
}

#[test]
fn data_stays_the_same_value() {
    let (_server, workplace) = hostile();
    let users = workplace.run(&["get", "users", "-o", "json"]).stdout;
    let document: Value = serde_json::from_str(&users).unwrap();
    assert_eq!(document["users"][0]["name"], NAME, "{users}");
    for format in ["json", "yaml"] {
        let export = workplace.run(&["export", "-o", format]).stdout;
        let document: Value = serde_yaml::from_str(&export).unwrap();
        let mut entries = document["integrations"].as_object().unwrap().values();
        assert_eq!(
            entries.next().unwrap()["reference_id"],
            "##[add-mask]live",
            "{export}"
        );
    }
}
