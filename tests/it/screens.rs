//! Terminal screens at 80 and 140 columns.

use std::num::NonZero;
use std::process::{Command, Stdio};

use insta::{assert_snapshot, with_settings};
use rexpect::session::spawn_command;
use riskform::sandbox::Settings;

use crate::support::{SandboxServer, TestDir};

const WIDTHS: [NonZero<u16>; 2] = [NonZero::new(80).unwrap(), NonZero::new(140).unwrap()];
/// Number of rows, large enough to prevent scrolling.
const ROWS: NonZero<u16> = NonZero::new(200).unwrap();

const DESIRED: &str = include_str!("../../examples/quickstart.yaml");
const MISTAKEN: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: yes, risk_level: hi }
integrations:
  corporate-okta: { tenant_url: http://corp.okta.com, reference_id: \"\" }
";

/// Returns the terminal screen after a run.
fn screen(workplace: &TestDir, arguments: &[&str], columns: NonZero<u16>) -> String {
    let program = workplace.command(arguments);
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "stty rows 24 columns $0 && exec \"$@\"",
            &columns.to_string(),
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
    let mut terminal = vt100::Parser::new(ROWS, columns, 0);
    // Each byte was read as a character.
    let written: Vec<u8> = written.chars().map(|byte| byte as u8).collect();
    terminal.process(&written);
    // Join lines that the terminal wrapped.
    let screen = terminal.screen();
    let ends = (0..).map(|row| if screen.row_wrapped(row) { "" } else { "\n" });
    let rows = screen.rows(0, columns.get()).zip(ends);
    let rows: String = rows.map(|(row, end)| row + end).collect();
    rows.trim_end().to_owned()
}

/// Returns the screens of several runs, with a new sandbox for each width.
fn screens(runs: &[(&str, &[&str])], prepare: impl Fn(&TestDir)) {
    let mut shown: Vec<String> = vec![String::new(); runs.len()];
    for columns in WIDTHS {
        let server = SandboxServer::start(Settings::default());
        let mut workplace = TestDir::with(&server);
        workplace.set("CLOUDFLARE_ACCOUNT_ID", "f037e56e89293a057740de681ac9abbe");
        prepare(&workplace);
        for ((_, arguments), shown) in runs.iter().zip(&mut shown) {
            let screen = screen(&workplace, arguments, columns);
            shown.push_str(&format!(
                "{columns} columns: riskform {}\n\n{screen}\n\n\n",
                arguments.join(" ")
            ));
        }
    }
    with_settings!({
        omit_expression => true,
        filters => [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
            (r"\([0-9a-f]{8}…,", "([id]…,"),
            (r"ray [0-9a-f]{16}", "ray [id]"),
            (r"202[6-9]-\d\d-\d\d(\s+\d\d:\d\d(:\d\d)?\s+UTC)?", "[moment]"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        ],
    }, {
        for ((name, _), shown) in runs.iter().zip(shown) {
            assert_snapshot!(*name, shown);
        }
    });
}

fn with_file(workplace: &TestDir) {
    workplace.write("riskform.yaml", DESIRED);
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
fn from_the_first_plan_to_the_end() {
    screens(
        &[
            ("plan", &["plan"]),
            ("apply", &["apply", "--auto-approve"]),
            ("apply_again", &["apply", "--auto-approve"]),
            ("no_drift", &["drift"]),
            ("integrations", &["get", "integrations"]),
            ("export", &["export"]),
            ("destroy", &["destroy", "--auto-approve"]),
            ("nothing_to_destroy", &["destroy", "--auto-approve"]),
            ("drift", &["drift"]),
        ],
        with_file,
    );
}

#[test]
fn what_is_looked_at() {
    screens(
        &[
            ("users", &["get", "users"]),
            ("behaviors", &["get", "behaviors"]),
            ("doctor", &["doctor"]),
            ("audit", &["audit"]),
        ],
        with_file,
    );
}

#[test]
fn a_fleet_and_its_shapes() {
    screens(
        &[
            ("fleet_plan", &["plan"]),
            ("fleet_drift", &["drift"]),
            ("fleet_expanded", &["drift", "--expand"]),
        ],
        with_fleet,
    );
}

#[test]
fn the_way_in_and_mistakes_on_it() {
    screens(
        &[
            ("no_file", &["plan"]),
            ("init", &["init"]),
            ("validate", &["validate"]),
            ("mistakes", &["validate", "mistaken.yaml"]),
            (
                "target_that_matches_nothing",
                &["plan", "--target", "behavior.imp_trvel"],
            ),
            (
                "level_that_is_none",
                &["reset", "a@example.com", "--level", "hi"],
            ),
            (
                "flags_that_exclude_each_other",
                &["plan", "--sandbox", "--base-url", "https://x.example"],
            ),
            (
                "saved_plan_that_is_none",
                &["apply", "--plan", "riskform.yaml"],
            ),
            (
                "integration_by_its_name",
                &["get", "integration", "corporate-okta"],
            ),
        ],
        |workplace| {
            workplace.write("mistaken.yaml", MISTAKEN);
        },
    );
}
