//! Output for terminals only: progress and waits.

use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::time::Duration;

use rexpect::session::{PtySession, spawn_command};
use riskform::sandbox::{RateLimit, Settings};

use crate::support::layers::Reaction;
use crate::support::{SandboxServer, TestDir};

const FILE: &str = include_str!("../../examples/quickstart.yaml");

/// Starts a shell command on a terminal. `$0` is the program.
fn shell_on_a_terminal(workplace: &TestDir, line: &str) -> PtySession {
    let none: [&str; 0] = [];
    let riskform = workplace.command(&none);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).arg(riskform.get_program());
    command.current_dir(riskform.get_current_dir().unwrap());
    command.env_clear();
    command.envs(
        riskform
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    spawn_command(command, Some(60_000)).unwrap()
}

/// Starts a server whose first response takes a second, and a directory with a file that differs from it.
fn slow_server() -> (SandboxServer, TestDir) {
    let server = SandboxServer::reacting(|_, _| Reaction::Wait(Duration::from_millis(500)));
    let workplace = TestDir::with_file(&server, FILE);
    (server, workplace)
}

#[test]
fn answer_typed_before_the_question_is_discarded() {
    let (_server, workplace) = slow_server();
    let mut terminal = shell_on_a_terminal(&workplace, "\"$0\" apply; echo code $?");
    terminal.send_line("yes").unwrap();
    terminal.send_line("yes").unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    terminal.send_line("no").unwrap();
    terminal
        .exp_string("not approved; no changes were made")
        .unwrap();
    terminal.exp_string("code 1").unwrap();
}

#[test]
fn question_is_on_the_terminal_even_if_output_is_redirected() {
    let (_server, workplace) = slow_server();
    let line = "\"$0\" apply >out.txt 2>errors.txt; echo code $?";
    let mut terminal = shell_on_a_terminal(&workplace, line);
    terminal.exp_string("Apply these changes?").unwrap();
    terminal.exp_string("Only 'yes' is accepted: ").unwrap();
    // Spaces do not matter.
    terminal.send_line(" yes ").unwrap();
    terminal.exp_string("code 0").unwrap();
    for file in ["out.txt", "errors.txt"] {
        assert!(!workplace.read(file).contains("accepted"), "{file}");
    }
}

/// Returns the output of a run on a terminal of this type.
fn on_a_terminal(workplace: &TestDir, arguments: &[&str], name: &str) -> String {
    let mut command = workplace.command(arguments);
    command.env("TERM", name).stdin(Stdio::inherit());
    let mut terminal = spawn_command(command, Some(60_000)).unwrap();
    terminal.exp_eof().unwrap()
}

/// 24 accounts, one of which fails, with a rate limit that they exceed.
#[test]
fn reading_shows_itself_on_a_terminal_and_nowhere_else() {
    let server = SandboxServer::limited(Settings {
        rate_limit: RateLimit::Limited {
            requests: NonZeroU32::new(30).unwrap(),
            window: Duration::from_secs(6),
        },
        ..Settings::default()
    });
    let workplace = TestDir::with(&server);
    let documents: Vec<String> = (0..24)
        .map(|number| {
            let token = if number == 3 { "CLOUDFLARE_UNSET_TOKEN" } else { "CLOUDFLARE_API_TOKEN" };
            format!("version: 1\naccount_id: \"{number:032x}\"\nname: account-{number}\napi_token_env: {token}\nbehaviors: {{ imp_travel: {{ enabled: true }} }}\n")
        })
        .collect();
    workplace.write("riskform.yaml", &documents.join("---\n"));
    let shown = on_a_terminal(
        &workplace,
        &["drift", "--parallelism", "24"],
        "xterm-256color",
    );
    for part in [
        "Reading 0/24 accounts",
        "/24 accounts, 1 failed",
        "(waiting for the rate limit) [",
        "rate limit used up, waiting ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // The progress bar is removed before a line is printed.
    for (at, _) in shown.match_indices("rate limit used up, waiting ") {
        let before = &shown[..at];
        assert!(before.ends_with(['\n', 'K', '\r']), "{before:?}");
    }
    let piped = workplace.line("drift");
    assert!(!piped.stderr.contains("reading"), "{}", piped.stderr);
}
