//! Terminal screens at 100 columns.

use std::num::NonZero;
use std::process::{Command, Stdio};

use insta::{assert_snapshot, with_settings};
use rexpect::session::spawn_command;
use riskform::sandbox::Settings;

use crate::support::{SandboxServer, TestDir};

const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();
/// Number of rows, large enough to prevent scrolling.
const ROWS: NonZero<u16> = NonZero::new(200).unwrap();

const DESIRED: &str = include_str!("../../examples/quickstart.yaml");
/// Disables the only behavior that assigns a level, which Access policies use.
const BLOCKED: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: false }
guards: { weakening: deny }
";
const MISTAKEN: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: yes, risk_level: hi }
integrations:
  corporate-okta: { tenant_url: http://corp.okta.com, reference_id: \"\" }
";

/// Returns the terminal screen after a run.
fn screen(workplace: &TestDir, arguments: &[&str]) -> String {
    let program = workplace.command(arguments);
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "stty rows 24 columns $0 && exec \"$@\"",
            &COLUMNS.to_string(),
        ])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(program.get_current_dir().unwrap())
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        // Next steps are shown on a terminal only.
        .env_remove("CI")
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::inherit());
    let written = spawn_command(command, Some(60_000))
        .unwrap()
        .exp_eof()
        .unwrap();
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    // Each byte was read as a character.
    let written: Vec<u8> = written.chars().map(|byte| byte as u8).collect();
    terminal.process(&written);
    // Join lines that the terminal wrapped.
    let screen = terminal.screen();
    let ends = (0..).map(|row| if screen.row_wrapped(row) { "" } else { "\n" });
    let rows = screen.rows(0, COLUMNS.get()).zip(ends);
    let rows: String = rows.map(|(row, end)| row + end).collect();
    rows.trim_end().to_owned()
}

/// Checks the screens of several runs in one sandbox.
fn screens(runs: &[(&str, &[&str])], prepare: impl Fn(&TestDir)) {
    let server = SandboxServer::start(Settings::default());
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", "f037e56e89293a057740de681ac9abbe");
    prepare(&workplace);
    let shown = runs.iter().map(|(_, arguments)| {
        let screen = screen(&workplace, arguments);
        format!("$ riskform {}\n{screen}\n", arguments.join(" "))
    });
    let shown: Vec<String> = shown.collect();
    with_settings!({
        omit_expression => true,
        filters => [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
            (r"\([0-9a-f]{8}…,", "([id]…,"),
            (r"ray [0-9a-f]{16}", "ray [id]"),
            (r"sha256:[0-9a-f]{64}", "sha256:[digest]"),
            (r"202[6-9]-\d\d-\d\d(\s+\d\d:\d\d(:\d\d)?\s+UTC)?", "[moment]"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        ],
    }, {
        for ((name, _), shown) in runs.iter().zip(shown) {
            assert_snapshot!(*name, shown);
        }
    });
}

/// Twelve accounts: three with the same drift, one with an error.
fn with_fleet(workplace: &TestDir) {
    let document = |number: u32| {
        let behavior = match number {
            3 => "nonesuch: { enabled: true }",
            5..8 => "imp_travel: { enabled: false }",
            _ => "imp_travel: { enabled: true }",
        };
        format!(
            "version: 1\naccount_id: \"{number:032x}\"\nname: account-{number}\nbehaviors: {{ {behavior} }}\n"
        )
    };
    let documents: Vec<String> = (0..12).map(document).collect();
    workplace.write("riskform.yaml", &documents.join("---\n"));
}

#[test]
fn from_the_first_plan_to_drift() {
    screens(
        &[
            ("plan", &["plan"]),
            ("apply", &["apply", "--auto-approve"]),
            ("no_drift", &["drift"]),
            ("destroy", &["destroy", "--auto-approve"]),
            ("drift", &["drift"]),
        ],
        |workplace| {
            workplace.write("riskform.yaml", DESIRED);
        },
    );
}

#[test]
fn blocked_plan_of_one_account() {
    screens(
        &[("blocked", &["plan", "--out", "plan.json"])],
        |workplace| {
            workplace.write("riskform.yaml", BLOCKED);
        },
    );
}

#[test]
fn drift_of_twelve_accounts() {
    screens(&[("fleet_drift", &["drift"])], with_fleet);
}

#[test]
fn mistakes_in_a_file() {
    screens(
        &[("mistakes", &["validate", "mistaken.yaml"])],
        |workplace| {
            workplace.write("mistaken.yaml", MISTAKEN);
        },
    );
}
