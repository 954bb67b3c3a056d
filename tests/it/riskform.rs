//! Runs the real program in an empty directory with a clean environment, and replaces volatile parts of its output.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

use axum::Router;
use riskform::sandbox::{DEFAULT_TOKEN, RateLimit, Sandbox, Settings};
use tempfile::TempDir;

use crate::sandbox::faults::{FaultInjector, FaultRule};
use crate::sandbox::layers::{ReceivedRequest, RequestLog};

/// An empty directory to run the program in.
pub struct TestDir {
    folder: TempDir,
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
            folder: tempfile::tempdir().unwrap(),
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

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file and returns its name.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.folder.path().join(name), content).unwrap();
        name.into()
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riskform"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            // Not a terminal, so there are no next steps.
            .env("CI", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with empty standard input.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Run {
        Run::from(self.command(arguments).output().unwrap())
    }
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
        replace_ids(&without_short_ids(without_days(without_rays(shown))))
    }
}

/// Removes request IDs.
fn without_rays(mut shown: String) -> String {
    const RAY: &str = ", ray ";
    const END: &str = "-SIM";
    while let Some(start) = shown.find(RAY) {
        let Some(length) = shown[start..].find(END) else {
            break;
        };
        shown.replace_range(start..start + length + END.len(), "");
    }
    shown
}

/// Replaces the start date of the audit log.
fn without_days(mut shown: String) -> String {
    const SINCE: &str = "audit log since 20";
    const DAY: usize = "26-11-25".len();
    while let Some(start) = shown.find(SINCE) {
        let start = start + SINCE.len() - 2;
        shown.replace_range(start..start + 2 + DAY, "[day]");
    }
    shown
}

/// Replaces abbreviated IDs of the sandbox.
fn without_short_ids(mut shown: String) -> String {
    const END: &str = "…, by ";
    const RECORDED: &str = "4cfe8442";
    let mut from = 0;
    while let Some(end) = shown[from..].find(END).map(|end| from + end) {
        let start = end.saturating_sub(RECORDED.len());
        let made = shown.get(start..end).filter(|id| *id != RECORDED);
        from = end + END.len();
        if made.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            shown.replace_range(start..end, "[id]");
            from = start + END.len();
        }
    }
    shown
}

/// Replaces IDs and the port of the sandbox.
fn replace_ids(text: &str) -> String {
    const RECORDED: [&str; 1] = ["4cfe8442-664b-4915-acd4-b39cd65c4314"];
    let mut shown = String::new();
    for piece in text.split_inclusive(|c: char| !(c.is_ascii_hexdigit() || c == '-')) {
        let word = piece.trim_end_matches(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
        let made = word.len() == 36
            && word
                .parse::<uuid::Uuid>()
                .is_ok_and(|id| id.get_version_num() == 4)
            && !RECORDED.contains(&word)
            && !text.contains(&format!("reference_id  {word}"));
        // The ID of an integration in a title.
        let abbreviated = word.len() == 8 && piece.ends_with('…') && shown.ends_with("  (");
        if made || abbreviated && !RECORDED.iter().any(|id| id.starts_with(word)) {
            shown.push_str(&piece.replace(word, "[id]"));
        } else {
            shown.push_str(piece);
        }
    }
    match shown.split_once("http://127.0.0.1:") {
        Some((_, rest)) => {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            shown.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:[port]")
        }
        None => shown,
    }
}

/// A sandbox served on loopback by a thread, so that tests can read its state.
pub struct SandboxServer {
    pub sandbox: Sandbox,
    log: RequestLog,
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SandboxServer {
    pub fn start(settings: Settings) -> Self {
        SandboxServer::behind(settings, |_, router| router)
    }

    /// Starts a server with middleware in front of the router.
    pub fn behind(
        settings: Settings,
        gate: impl FnOnce(&Sandbox, Router) -> Router + Send + 'static,
    ) -> Self {
        let settings = Settings {
            rate_limit: RateLimit::Off,
            ..settings
        };
        SandboxServer::serve(settings, Vec::new(), gate)
    }

    /// Starts a server whose connections fail by these rules.
    pub fn with_faults(rules: Vec<FaultRule>) -> Self {
        SandboxServer::serve(Settings::default(), rules, |_, router| router)
    }

    /// Starts a server with the rate limit of the settings.
    pub fn limited(settings: Settings) -> Self {
        SandboxServer::serve(settings, Vec::new(), |_, router| router)
    }

    fn serve(
        settings: Settings,
        faults: Vec<FaultRule>,
        gate: impl FnOnce(&Sandbox, Router) -> Router + Send + 'static,
    ) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let log = RequestLog::default();
        let recorded = log.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let sandbox = Sandbox::in_memory(settings);
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                ready.send((sandbox.clone(), address)).unwrap();
                let router = gate(&sandbox, recorded.record(sandbox.router()));
                let stopped = async { drop(stopped.await) };
                if faults.is_empty() {
                    let server = axum::serve(listener, router);
                    server.with_graceful_shutdown(stopped).await.unwrap();
                } else {
                    let server = FaultInjector::around(&sandbox, router, faults).serve(listener);
                    tokio::select! { () = server => {}, () = stopped => {} }
                }
            });
        });
        let (sandbox, address) = started.recv().unwrap();
        SandboxServer {
            sandbox,
            log,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns all requests that the sandbox received, in order.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.log.requests()
    }

    /// Returns the number of received writes.
    pub fn writes(&self) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| request.method != http::Method::GET)
            .count()
    }
}

impl Drop for SandboxServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already failed the test.
            let _ = thread.join();
        }
    }
}
