//! The `riskform sandbox` command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::scoring;

fn riskform(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riskform"));
    command
        .arg("sandbox")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// A served sandbox, killed on drop.
pub struct SandboxProcess {
    process: Child,
    /// Shell output.
    pub environment: Vec<String>,
}

impl SandboxProcess {
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = riskform(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.as_mut().unwrap());
        let environment = stdout.lines().take(3).map(Result::unwrap).collect();
        SandboxProcess {
            process,
            environment,
        }
    }

    /// Sends a request without a body and returns status and response.
    fn call(&self, method: &str, rest: &str, token: &str) -> (String, Value) {
        let base = self.environment[0]
            .strip_prefix("export CLOUDFLARE_BASE_URL=http://")
            .unwrap();
        let (address, base_path) = base.split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let path = scoring(rest);
        write!(stream, "{method} /{base_path}{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Terminates the process and returns its exit code.
    fn end(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn sandbox_prints_its_variables_and_serves_until_a_signal() {
    for signal in ["TERM", "INT"] {
        let options = "--unset-reference null --permissions ci=read --rate-limit off";
        let served = SandboxProcess::start(&options.split(' ').collect::<Vec<_>>());
        assert!(served.environment[0].starts_with("export CLOUDFLARE_BASE_URL=http://127.0.0.1:"));
        assert_eq!(
            served.environment[1..],
            [
                "export CLOUDFLARE_API_TOKEN=riskform-sandbox",
                "export CLOUDFLARE_ACCOUNT_ID=f037e56e89293a057740de681ac9abbe"
            ]
        );
        for (token, rest, expected) in [
            ("riskform-sandbox", "summary", "200"),
            ("ci", "integrations", "200"),
            ("ci", "summary", "403"),
            ("nobody", "summary", "401"),
            ("riskform-sandbox", "behaviors", "200"),
        ] {
            let (status, _) = served.call("GET", rest, token);
            assert_eq!(status, expected, "{token} {rest}");
        }
        assert_eq!(served.end(signal), Some(0), "{signal}");
    }
}

#[test]
fn command_runs_with_the_variables_and_decides_the_exit_code() {
    let program = env!("CARGO_BIN_EXE_riskform");
    let run = |arguments: &[&str]| riskform(arguments).output().unwrap();
    let read = run(&["--permissions", "read", "--", program, "get", "behaviors"]);
    let stdout = String::from_utf8(read.stdout).unwrap();
    assert!(stdout.contains("imp_travel"), "{stdout}");
    assert_eq!(read.status.code(), Some(0));
    for (script, code) in [
        ("echo $CLOUDFLARE_ACCOUNT_ID; exit 7", 7),
        ("kill -KILL $$", 137),
    ] {
        let shell = run(&["--", "/bin/sh", "-c", script]);
        assert_eq!(shell.status.code(), Some(code), "{script}");
    }
    let script = "echo $CLOUDFLARE_API_TOKEN -- \"$@\"";
    let shown = run(&["--", "/bin/sh", "-c", script, "sh", "-q"]);
    assert_eq!(shown.stdout, b"riskform-sandbox -- -q\n");
    let (exit, stderr) = fails(&["--", "/nowhere/program"]);
    assert_eq!(exit, Some(1));
    assert!(
        stderr.starts_with("error: cannot run /nowhere/program: "),
        "{stderr}"
    );
}

#[test]
fn terminated_sandbox_terminates_its_command() {
    let script = "trap 'exit 9' TERM; echo started; while :; do /bin/sleep 0.05; done";
    let mut process = riskform(&["--", "/bin/sh", "-c", script]);
    let mut process = process.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = process.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    let id = process.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(9));
}

#[test]
fn killed_sandbox_keeps_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("accounts.json");
    let data = ["--data", path.to_str().unwrap()];
    let served = SandboxProcess::start(&data);
    let integration = "integrations/4cfe8442-664b-4915-acd4-b39cd65c4314";
    let (status, _) = served.call("DELETE", integration, "riskform-sandbox");
    assert_eq!(status, "200");
    let (exit, stderr) = fails(&data);
    let message = format!("{} is in use by another sandbox", path.display());
    assert!(exit == Some(1) && stderr.contains(&message), "{stderr}");
    // Drop sends SIGKILL.
    drop(served);
    let served = SandboxProcess::start(&data);
    assert_eq!(served.call("GET", integration, "riskform-sandbox").0, "404");
}

#[test]
fn invalid_option_names_the_allowed_values() {
    for (option, value, expected) in [
        (
            "--unique",
            "id",
            "[possible values: reference_id, tenant_url]",
        ),
        (
            "--behaviors-put",
            "x",
            "[possible values: merge, replace, require-all]",
        ),
        (
            "--rate-limit",
            "5",
            "expected REQUESTS/SECONDS, such as 1200/300, or off",
        ),
        (
            "--permissions",
            "admin",
            "with read, write, pii, apps, groups and audit-log",
        ),
        ("--latency", "soon", "expected a number of seconds"),
    ] {
        let (exit, stderr) = fails(&[option, value]);
        assert_eq!(exit, Some(64), "{option}: {stderr}");
        assert!(stderr.contains(expected), "{option}: {stderr}");
    }
}

fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = riskform(arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}
