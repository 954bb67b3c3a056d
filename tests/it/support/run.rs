//! Runs the real program in an empty directory with a clean environment, and replaces volatile parts of its output.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use regex::{Captures, Regex};
use rexpect::session::{PtySession, spawn_command};
use riskform::sandbox::DEFAULT_TOKEN;
use serde_json::Value;
use tempfile::TempDir;

use super::SandboxServer;

/// ID of the recorded integration.
const RECORDED: &str = "4cfe8442-664b-4915-acd4-b39cd65c4314";

/// An empty directory to run the program in.
pub struct TestDir {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// Result of a run.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl TestDir {
    pub fn new() -> Self {
        TestDir {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// Creates a directory whose environment points to a served sandbox.
    pub fn with(server: &SandboxServer) -> Self {
        let mut workplace = TestDir::new();
        workplace.set("CLOUDFLARE_BASE_URL", &server.base_url());
        workplace.set("CLOUDFLARE_API_TOKEN", DEFAULT_TOKEN);
        workplace
    }

    /// Creates such a directory with a riskform.yaml.
    pub fn with_file(server: &SandboxServer, content: &str) -> Self {
        let workplace = TestDir::with(server);
        workplace.write("riskform.yaml", content);
        workplace
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file and returns its name.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.directory.path().join(name), content).unwrap();
        name.into()
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riskform"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            // Not a terminal, so there are no next steps.
            .env("CI", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Returns a shell command in which `"$@"` is the program with its arguments.
    pub fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let program = self.command(arguments);
        let mut shell = Command::new("/bin/sh");
        let environment = program.get_envs();
        shell
            .args(["-c", script, "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(self.directory.path())
            .env_clear()
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null());
        shell
    }

    /// Runs the program with empty standard input.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Run {
        let run = Run::from(self.command(arguments).output().unwrap());
        let command = arguments.first().and_then(|word| word.as_ref().to_str());
        if let Some(codes) = command.and_then(documented_codes) {
            assert!(codes.contains(&run.code), "{command:?}: {}", run.shown());
        }
        run
    }

    /// Runs the program with this standard input.
    pub fn pipe(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        Run::from(child.wait_with_output().unwrap())
    }

    /// Runs the program with the words of a line as arguments.
    pub fn line(&self, line: &str) -> Run {
        self.run(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs the program on a terminal.
    pub fn terminal(&self, arguments: &[&str]) -> PtySession {
        let mut command = self.command(arguments);
        // Set by the terminal.
        command.stdin(Stdio::inherit());
        spawn_command(command, Some(20_000)).unwrap()
    }
}

/// Returns the exit codes in the help of a command.
fn documented_codes(command: &str) -> Option<Vec<i32>> {
    static KNOWN: Mutex<BTreeMap<String, Option<Vec<i32>>>> = Mutex::new(BTreeMap::new());
    let read = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_riskform"));
        let output = program.args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, codes) = help.split_once("\nExit codes:\n")?;
        let codes = codes.lines().map(|line| line.split_whitespace().next());
        Some(codes.map(|code| code.unwrap().parse().unwrap()).collect())
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(command.to_owned()).or_insert_with(read).clone()
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        Run {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Run {
    /// Asserts the exit code, and returns the run.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    /// Asserts that a text is in the output.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "{text}\n{}", self.shown());
        self
    }

    /// Returns stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.shown()))
    }

    /// Returns the lines of stdout that contain a text.
    pub fn lines_with(&self, text: &str) -> String {
        let lines = self.stdout.lines().filter(|line| line.contains(text));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Returns exit code, stdout and stderr as one text, with volatile parts replaced.
    pub fn shown(&self) -> String {
        let Run {
            code,
            stdout,
            stderr,
        } = self;
        let mut shown = format!("exit {code}\n");
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{text}"));
            }
        }
        without_volatile(&shown)
    }
}

/// Replaces request IDs, dates of the audit log, ports, and IDs that the sandbox generated.
fn without_volatile(shown: &str) -> String {
    const PATTERNS: [(&str, &str); 4] = [
        (", ray [0-9a-f]+-SIM", ""),
        (r"(audit log since) \d{4}-\d\d-\d\d", "$1 [day]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        // The ID of an integration in a title.
        (r"(  \()[0-9a-f]{8}…", "$1[id]…"),
    ];
    let generated = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}");
    let shown = generated.unwrap().replace_all(shown, |id: &Captures<'_>| {
        let is_fixed = id[0] == *RECORDED || shown.contains(&format!("reference_id  {}", &id[0]));
        (if is_fixed { &id[0] } else { "[id]" }).to_owned()
    });
    let mut shown = shown.replace(&format!("({}…", &RECORDED[..8]), "(recorded…");
    for (pattern, with) in PATTERNS {
        shown = Regex::new(pattern)
            .unwrap()
            .replace_all(&shown, with)
            .into_owned();
    }
    shown.replace("(recorded…", &format!("({}…", &RECORDED[..8]))
}
