//! GitHub's runner executes lines of a job's log that look like `::error::x` or contain `##[add-mask]e`. These tests put such lines into values
//! of the API, policies, the audit log, files and file names. No output of the real program may contain them, in any format, command or error.

use riskform::model::behavior::BehaviorKey;
use riskform::model::field::{Field, FieldValue};
use riskform::model::integration::ReferenceId;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::attribution_output::{entry, log};
use crate::get::{put_users, user};
use crate::report::hostile::outside_of_code;
use crate::support::{Run, SandboxServer, TestDir};

const ANN: &str = "0a000000-0000-4000-8000-000000000001";
/// Also markup, mentions, and controls of terminals and of the direction of text.
const NAME: &str = "a\n::error::x ##[add-mask]e\r::add-mask::y <script>alert(1)</script>\u{202e}\u{1b}]0;owned\u{7}\u{9b}2J\n```\n`x` | @everyone";
const FILE: &str = "a\n::error::x ##[group]y.yaml";
const HOSTILE: &str = "version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  \"::error::declared\": { enabled: true }
  imp_travel: { risk_level: low }
integrations:
  okta: { tenant_url: https://corp.okta.com, reference_id: '##[add-mask]e' }
unlisted: { behaviors: report }
";

/// Serves an account whose behaviors, integrations and users have names that contain runner commands.
fn hostile() -> (SandboxServer, TestDir) {
    let server = SandboxServer::start(Settings::default());
    server.edit(|account| {
        let behavior = account.behaviors.values().next().unwrap().clone();
        for key in ["::error::declared", "::error::unlisted", "##[add-mask]e"] {
            account
                .behaviors
                .insert(BehaviorKey::new(key), behavior.clone());
        }
        for integration in account.integrations.values_mut() {
            integration.fields.set(
                Field::ReferenceId,
                ReferenceId::new("##[add-mask]live").map(FieldValue::Reference),
            );
        }
    });
    let level = json!({ "user_risk_score": { "user_risk_score": ["high"] } });
    let policy = json!({ "id": "p", "name": NAME, "decision": "deny", "include": [level] });
    server.edit(|account| {
        account.context.policies = vec![policy];
        account.context.apps = Vec::new();
    });
    let actor = json!({ "email": NAME, "context": NAME, "token_name": NAME });
    for (hours, level) in [(5, "low"), (3, "high")] {
        let written = json!({ "imp_travel": { "enabled": true, "risk_level": level } });
        let (time, mut shown) = entry(hours, actor.clone(), written);
        shown["raw"]["cf_ray_id"] = json!(NAME);
        log(&server, time, shown);
    }
    let at = "2026-01-01T00:00:00Z";
    let event = json!({ "id": NAME, "name": NAME, "risk_level": "high", "timestamp": at, "event_details": { NAME: [NAME] } });
    put_users(
        &server.sandbox,
        &[(ANN, user(NAME, "::error::e@example.com", &[event]))],
    );
    let mut workplace = TestDir::with(&server);
    workplace.set("GITHUB_ACTIONS", "true");
    workplace.set("CLOUDFLARE_ACCOUNT_ID", RECORDED_ACCOUNT);
    workplace.write("riskform.yaml", HOSTILE);
    workplace.write(FILE, "version: 1\nnonesuch: 1\n");
    (server, workplace)
}

/// Asserts that no output is a command of a runner or a terminal, or markup.
fn assert_harmless(what: &str, run: &Run) {
    let is_data = ["json", "yaml", "sarif"]
        .iter()
        .any(|kind| what.ends_with(kind));
    if what.ends_with("markdown") {
        let outside = outside_of_code(&run.stdout);
        assert!(
            !outside.contains("<script>") && !outside.contains("@everyone"),
            "{outside}"
        );
    }
    if what.ends_with("html") {
        assert!(!run.stdout.contains("<script>alert"), "{}", run.stdout);
    }
    for text in [&run.stdout, &run.stderr] {
        let is_control = |c: char| c.is_control() && c != '\n' || c == '\u{202e}' && !is_data;
        assert!(!text.contains(is_control), "{what}: {text:?}");
        for line in text.split(['\n', '\r']) {
            let is_command = line.trim_start().starts_with("::") || line.contains("##[");
            assert!(!is_command, "{what}: {line:?}\n{}", run.shown());
        }
    }
}

#[test]
fn output_has_no_command_and_no_markup() {
    let (_server, workplace) = hostile();
    for (command, formats) in [
        ("plan", "text json markdown diff html"),
        ("drift", "text json markdown html junit sarif prometheus"),
        (
            "plan -q",
            "text=/dev/stdout json=/dev/stderr diff=/dev/fd/1 markdown=/dev/stdout",
        ),
        ("get behaviors", "table json"),
        ("get integrations", "table json"),
        ("get users", "table json"),
        (
            "get user 0a000000-0000-4000-8000-000000000001",
            "table json",
        ),
        ("export", "yaml json"),
    ] {
        for format in formats.split(' ') {
            let line = format!("{command} -o {format}");
            assert_harmless(&line, &workplace.line(&line));
        }
    }
    let hostile: [&[&str]; 13] = [
        &["plan", "--target", "\n::error::x"],
        &["plan", "--nonsense", "\n::error::x", "-o", "json"],
        &["drift", "--ignore", "\n::error::x ##[group]"],
        &["validate", FILE],
        &["validate", FILE, "-o", "json"],
        &["validate", FILE, "-o", "sarif"],
        &["plan", FILE],
        &["plan", FILE, "-o", "json"],
        &["plan", "\n::add-mask::x"],
        &["show", FILE],
        &["apply", "--plan", FILE],
        &["get", "integration", "\n::error::x"],
        &["reset", "\n::error::x"],
    ];
    for words in hostile {
        assert_harmless(&words.join(" "), &workplace.run(words));
    }
    for line in [
        "doctor",
        "plan --out /dev/stdout",
        "plan -vv",
        "fmt --check .",
        "reset 0a000000-0000-4000-8000-000000000001 --dry-run",
        "schema config --from-live",
        "export --split ::error::x",
        // Last, since they change the account.
        "reset --level high --auto-approve --audit-log /dev/stderr",
        "apply --auto-approve --audit-log /dev/stdout --save-previous /dev/stderr",
    ] {
        assert_harmless(line, &workplace.line(line));
    }
}

/// The only lines that start with `::` are the annotations of `--ci`.
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
fn data_is_unchanged() {
    let (_server, workplace) = hostile();
    let users = workplace.line("get users -o json").json();
    assert_eq!(users["users"][0]["name"], NAME, "{users}");
    let plan = workplace.line("plan -o json").json();
    let access = &plan["accounts"][0]["context"]["access"]["loaded"];
    assert_eq!(access["policies"]["p"]["name"], NAME, "{access}");
    workplace.line("drift").says("alert(1)");
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
