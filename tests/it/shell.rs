//! Shell completions and version.

use std::path::Path;
use std::process::Command;

use crate::support::TestDir;

#[test]
fn every_shell_gets_completions() {
    let workplace = TestDir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = workplace.run(&["completions", shell]).exits(0);
        run.says("riskform");
    }
    workplace.line("completions cmd").exits(64);
    let script = workplace.line("completions bash").stdout;
    let bash = Command::new("bash").args(["-n", "-c", &script]).output();
    assert!(bash.unwrap().status.success());
}

/// Checks that a shell completes a typed text after Tab.
fn tab(shell: &str, directory: &Path, typed: &str, wanted: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_riskform"));
    let inherited = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(program.parent().unwrap().to_owned())
        .chain(std::env::split_paths(&inherited));
    let (arguments, setup): (&[&str], &str) = match shell {
        "bash" => (
            &["--norc", "--noprofile", "-i"],
            "source <(riskform completions bash)",
        ),
        "zsh" => (
            &["-f", "-i"],
            "autoload -Uz compinit && compinit -u -D; source <(riskform completions zsh)",
        ),
        _ => (&["--no-config", "-i"], "riskform completions fish | source"),
    };
    let mut command = Command::new(shell);
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", directory)
        .env("TERM", "xterm");
    let mut session = rexpect::session::spawn_command(command, Some(20_000)).unwrap();
    session.send_line(setup).unwrap();
    session.send_line("echo rea''dy").unwrap();
    session.exp_string("ready").unwrap();
    // Wait for the prompt before typing.
    std::thread::sleep(std::time::Duration::from_millis(500));
    // The shell draws completions in parts. Ctrl-A goes to the start, so that the whole line can be printed.
    let keys = format!("riskform {typed}\t\u{1}echo \r");
    session.send(&keys).unwrap();
    session.flush().unwrap();
    session
        .exp_string(wanted)
        .unwrap_or_else(|error| panic!("{shell}: riskform {typed}: {error}"));
    // No wait for an ended shell.
    let _ = session.send("\u{15}exit\n").and_then(|_| session.flush());
}

#[test]
fn tab_completes_commands_and_flags() {
    let workplace = TestDir::new();
    for shell in ["bash", "zsh", "fish"] {
        if Command::new(shell).arg("-c").arg("exit").status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{shell} is not installed");
            println!("SKIPPED: {shell} is not installed");
            continue;
        }
        for (typed, wanted) in [
            ("vali", "validate"),
            ("plan --detailed", "--detailed-exitcode"),
        ] {
            tab(shell, &workplace.path(""), typed, wanted);
        }
    }
}

#[test]
fn version_is_printed_for_scripts() {
    let workplace = TestDir::new();
    let run = workplace.line("version --format json");
    let version: serde_json::Value = run.json();
    assert_eq!(
        (run.code, &version["format"]),
        (0, &"riskform.version/1".into())
    );
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        version["target"].as_str().unwrap().contains('-'),
        "{version}"
    );
    // Development builds have no commit.
    assert_eq!(version["commit"], serde_json::Value::Null);
    assert_eq!(
        workplace.line("--version").stdout,
        format!("riskform {}\n", env!("CARGO_PKG_VERSION"))
    );
}
