//! Output never decides the outcome of a run: for every command, and for standard output, standard error and files that are closed, full,
//! not ready or not writable. Files are opened before the first request, and no file is two files of a run.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::layers::{Reaction, answer};
use crate::support::{Run, SandboxServer, TestDir, serve};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");
const ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";
/// Two writes: behaviors and a new integration.
const FILE: &str = "version: 1
account_id: f037e56e89293a057740de681ac9abbe
extends: [_base.yaml]
behaviors: { imp_travel: { enabled: true, risk_level: low } }
integrations: { one: { tenant_url: https://one.okta.com, reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9059 } }
unlisted: { integrations: keep }
";
const LIMITS: &str = "version: 1\n";

/// Returns a directory with the input files of the commands.
fn directory() -> TestDir {
    let mut directory = TestDir::new();
    directory.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
    directory.write("riskform.yaml", QUICKSTART);
    directory.line("plan --sandbox --out p.plan").exits(0);
    directory
}

/// Every command, and whether it writes to the account.
const COMMANDS: [(&str, bool); 19] = [
    ("--help", false),
    ("plan --nonsense --format json", false),
    ("init new.yaml --sandbox", false),
    ("plan --sandbox --detailed-exitcode --out new.plan", false),
    ("apply --sandbox --auto-approve", true),
    ("apply --sandbox --auto-approve --format json", true),
    ("apply --sandbox --auto-approve --plan p.plan", true),
    ("destroy --sandbox --auto-approve", true),
    ("drift --sandbox", false),
    ("audit --sandbox", false),
    ("validate", false),
    ("fmt --diff", false),
    ("show p.plan", false),
    ("export --sandbox", false),
    ("get users --sandbox", false),
    ("reset --level high --sandbox --auto-approve", true),
    ("doctor --sandbox", false),
    ("schema config", false),
    ("version", false),
];

/// State of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Full,
    BrokenPipe,
    /// A non-blocking pipe that is full at first.
    NotReady,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Stdout,
    Stderr,
}

/// Returns the writing end of a full non-blocking pipe, and a thread that reads it later.
fn full_pipe() -> (PipeWriter, std::thread::JoinHandle<Vec<u8>>) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let mut filled = 0;
    loop {
        match writer.write(&[b'.'; 4096]) {
            Ok(written) => filled += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        read.split_off(filled)
    });
    (writer, thread)
}

/// Runs a command with a stream in a state. Returns the exit code, the other stream and what a pipe received.
fn run_with(directory: &TestDir, words: &[&str], name: Name, state: State) -> (Run, Vec<u8>) {
    let mut command = match (state, name) {
        (State::Closed, Name::Stdout) => directory.shell("exec \"$@\" >&-", words),
        (State::Closed, Name::Stderr) => directory.shell("exec \"$@\" 2>&-", words),
        _ => directory.command(words),
    };
    let (stdio, received): (Stdio, Option<_>) = match state {
        State::Closed => (Stdio::null(), None),
        State::Full => (
            File::options()
                .write(true)
                .open("/dev/full")
                .unwrap()
                .into(),
            None,
        ),
        State::BrokenPipe => (io::pipe().unwrap().1.into(), None),
        State::NotReady => {
            let (writer, thread) = full_pipe();
            (writer.into(), Some(thread))
        }
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    match name {
        Name::Stdout => command.stdout(stdio),
        Name::Stderr => command.stderr(stdio),
    };
    let child = command.spawn().unwrap();
    // Closes the writing end of the pipe in this process.
    drop(command);
    let run = Run::from(child.wait_with_output().unwrap());
    (
        run,
        received
            .map(|thread| thread.join().unwrap())
            .unwrap_or_default(),
    )
}

#[test]
fn streams_change_only_the_exit_code_of_a_run() {
    for (line, writes) in COMMANDS {
        let words: Vec<&str> = line.split(' ').collect();
        let normal = directory().run(&words);
        assert!(
            [0, 2, 64].contains(&normal.code),
            "{line}: {}",
            normal.shown()
        );
        for name in [Name::Stdout, Name::Stderr] {
            let text = match name {
                Name::Stdout => &normal.stdout,
                Name::Stderr => &normal.stderr,
            };
            for state in [
                State::Closed,
                State::Full,
                State::BrokenPipe,
                State::NotReady,
            ] {
                let directory = directory();
                let (run, received) = run_with(&directory, &words, name, state);
                let code = match (state, normal.code) {
                    (State::Full, 0 | 2) if !text.is_empty() => 1 + 2 * i32::from(writes),
                    (_, code) => code,
                };
                let case = format!("{line}, {name:?} {state:?}: {}", run.shown());
                assert_eq!(run.code, code, "{case}");
                assert!(!run.stderr.contains("panicked"), "{case}");
                if state == State::NotReady {
                    assert_eq!(received.is_empty(), text.is_empty(), "{case}");
                    assert_eq!(received.ends_with(b"\n"), text.ends_with('\n'), "{case}");
                }
                if line.starts_with("apply") {
                    directory
                        .line("plan --sandbox --detailed-exitcode")
                        .exits(0);
                }
            }
        }
    }
}

#[test]
fn full_output_is_named() {
    let directory = directory();
    let words = ["drift", "--sandbox"];
    let (run, _) = run_with(&directory, &words, Name::Stdout, State::Full);
    assert_eq!(run.code, 1);
    run.says("error: cannot write to standard output: No space left");
}

/// A non-blocking pipe that is read slowly gets all output.
#[test]
fn large_output_to_a_non_blocking_pipe_is_complete() {
    let directory = TestDir::new();
    let accounts: String = (0..3000)
        .map(|number| format!("  behavior_{number:05}:   {{enabled:   true}}\n"))
        .collect();
    let head = format!("version:   1\naccount_id: {ACCOUNT}\nbehaviors:\n");
    directory.write("riskform.yaml", &format!("{head}{accounts}"));
    let words = ["fmt", "--diff"];
    let whole = directory.run(&words);
    assert!(whole.stdout.len() > 1 << 17, "{}", whole.stdout.len());
    let (run, received) = run_with(&directory, &words, Name::Stdout, State::NotReady);
    assert_eq!(
        (run.code, received),
        (whole.code, whole.stdout.into_bytes())
    );
}

/// Returns a served sandbox, and a directory with the input files.
fn served() -> (SandboxServer, TestDir) {
    let (server, directory) = serve(FILE);
    let base = "version: 1\nbehaviors: { high_dlp: { enabled: true } }\n";
    directory.write("_base.yaml", base);
    directory.write("limits.yaml", LIMITS);
    (server, directory)
}

#[test]
fn unwritable_files_fail_before_the_first_request() {
    let (server, directory) = served();
    assert_eq!(directory.line("plan --out p.plan").code, 0);
    let sent = server.requests().len();
    for line in [
        "plan --out nowhere/p.plan",
        "plan --format json=nowhere/p.json",
        "apply --auto-approve --format json=nowhere/report.json",
        "apply --auto-approve --save-previous nowhere/back.yaml",
        "apply --auto-approve --audit-log nowhere/log.jsonl",
        "apply --auto-approve --plan p.plan --format markdown=nowhere/report.md",
        "destroy --auto-approve --save-previous nowhere/back.yaml",
        "drift --format json=nowhere/drift.json",
        "audit --format json=nowhere/audit.json",
        "validate --format json=nowhere/files.json",
        "show p.plan --format html=nowhere/plan.html",
        "get users --account-id f037e56e89293a057740de681ac9abbe --format json=nowhere/users.json",
        "export --account-id f037e56e89293a057740de681ac9abbe --format yaml=nowhere/export.yaml",
        "init nowhere/riskform.yaml",
        "reset --level high --auto-approve --account-id f037e56e89293a057740de681ac9abbe --audit-log nowhere/log",
    ] {
        let run = directory.line(line);
        assert_eq!(run.code, 1, "{line}: {}", run.shown());
        assert!(
            run.stderr.contains("directory nowhere does not exist")
                || run.stderr.contains("No such file or directory"),
            "{line}: {}",
            run.shown()
        );
        assert_eq!(server.requests().len(), sent, "{line}");
    }
}

#[test]
fn full_file_changes_only_the_exit_code_of_a_run() {
    for (line, code) in [
        (
            "plan --detailed-exitcode --format text --format json=/dev/full",
            1,
        ),
        (
            "apply --auto-approve --format text --format json=/dev/full",
            3,
        ),
        (
            "apply --auto-approve --format text --format json=/dev/null",
            0,
        ),
        ("drift --format text --format json=/dev/full", 1),
        ("validate --format text --format json=/dev/full", 1),
    ] {
        let (server, directory) = served();
        let run = directory.line(line);
        assert_eq!(run.code, code, "{line}: {}", run.shown());
        assert!(!run.stdout.is_empty(), "{line}");
        let full = "error: cannot write /dev/full: No space left";
        assert_eq!(
            run.stderr.contains(full),
            code != 0,
            "{line}: {}",
            run.shown()
        );
        let writes = 2 * usize::from(line.starts_with("apply"));
        assert_eq!(server.writes(), writes, "{line}");
    }
}

#[test]
fn a_file_is_not_two_files_of_a_run() {
    let (server, directory) = served();
    assert_eq!(directory.line("plan --out p.plan").code, 0);
    symlink("limits.yaml", directory.path("link.yaml")).unwrap();
    fs::hard_link(directory.path("riskform.yaml"), directory.path("hard.yaml")).unwrap();
    fs::create_dir(directory.path("sub")).unwrap();
    let sent = server.requests().len();
    let inputs = ["riskform.yaml", "_base.yaml", "limits.yaml", "p.plan"];
    let before = inputs.map(|name| directory.read(name));
    for line in [
        "apply --auto-approve --save-previous back.yaml --format markdown=back.yaml",
        "apply --auto-approve --audit-log log --format json=./log",
        "apply --auto-approve --audit-log riskform.yaml",
        "apply --auto-approve --plan p.plan --format json=p.plan",
        "apply --auto-approve --plan p.plan --limits limits.yaml --audit-log limits.yaml",
        "destroy --auto-approve --save-previous back.yaml --audit-log sub/../back.yaml",
        "plan --out riskform.yaml",
        "plan --out hard.yaml",
        "plan --limits link.yaml --out limits.yaml",
        "plan --out new --format json=sub/../new",
        "drift --format json=_base.yaml",
        "drift --format json=./riskform.yaml",
        "audit --format json=riskform.yaml",
        "validate --format json=riskform.yaml",
        "show p.plan --format json=p.plan",
    ] {
        let run = directory.line(line);
        assert_eq!(run.code, 1, "{line}: {}", run.shown());
        run.says("of this run are one file: ");
        assert_eq!(server.requests().len(), sent, "{line}");
        assert_eq!(inputs.map(|name| directory.read(name)), before, "{line}");
        assert!(!directory.path("back.yaml").exists() && !directory.path("new").exists());
    }
}

#[test]
fn report_keeps_the_mode_of_its_file() {
    let (_server, directory) = served();
    let mode = |name: &str| {
        fs::metadata(directory.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    directory.write("drift.json", "");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(directory.path("drift.json"), private).unwrap();
    let run = directory.line("drift --format json=drift.json --format markdown=drift.md");
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(directory.read("drift.json").starts_with('{'));
    assert_eq!(mode("drift.json"), 0o600);
    directory.write("new", "");
    assert_eq!(mode("drift.md"), mode("new"));
}

/// The rollback file is written by another run while this run reads the account.
#[test]
fn rollback_file_of_another_run_is_never_replaced() {
    let directory = Arc::new(std::sync::OnceLock::<TestDir>::new());
    let other = Arc::clone(&directory);
    let server = SandboxServer::reacting(move |method, _| {
        if method == Method::GET {
            other.get().unwrap().write("back.yaml", "of another run\n");
        }
        Reaction::Pass
    });
    let directory = directory.get_or_init(|| TestDir::with(&server));
    directory.write("riskform.yaml", QUICKSTART);
    let run = directory.line("apply --auto-approve --save-previous back.yaml");
    run.exits(1)
        .says("cannot write back.yaml: it already exists");
    assert_eq!(directory.read("back.yaml"), "of another run\n");
    assert_eq!(server.writes(), 0);
}

#[test]
fn run_without_a_write_leaves_no_rollback_file() {
    let server = SandboxServer::reacting(|method, _| match *method {
        Method::GET => Reaction::Pass,
        _ => Reaction::TestResponse(answer(400, "")),
    });
    let directory = TestDir::with_file(&server, QUICKSTART);
    let files = || fs::read_dir(directory.path(".")).unwrap().count();
    for line in [
        // Not approved, no account, an audit log that is full.
        "apply --save-previous back.yaml",
        "apply --save-previous back.yaml --auto-approve --base-url http://127.0.0.1:9/client/v4",
        "apply --save-previous back.yaml --auto-approve --expect-accounts 2",
    ] {
        let run = directory.line(line);
        assert_eq!((run.code, files()), (1, 1), "{line}: {}", run.shown());
    }
    directory.line("apply --save-previous back.yaml --auto-approve");
    assert_eq!(files(), 2);
}

#[test]
fn path_that_is_not_utf8_is_a_path() {
    let mut directory = TestDir::new();
    directory.set("RISKFORM_NOTIFY", "http://127.0.0.1:9/");
    let name = OsString::from_vec(b"acme-\xe9.yaml".to_vec());
    fs::write(directory.path(".").join(&name), QUICKSTART).unwrap();
    let words: [&OsStr; 3] = ["drift".as_ref(), "--sandbox".as_ref(), &name];
    directory.run(&words).exits(2);
}

#[test]
fn error_line_is_bounded() {
    let directory = directory();
    let key = "k".repeat(13 << 20);
    directory.write("long.plan", &format!("{{\"{key}\": 1}}"));
    for format in ["text", "json"] {
        let run = directory.line(&format!("show long.plan --format {format}"));
        assert_eq!(run.code, 1);
        let length = run.stdout.len() + run.stderr.len();
        assert!(length < 10_000, "{format}: {length}");
    }
}

#[test]
fn input_files_are_bounded() {
    let directory = directory();
    let file = File::create(directory.path("huge")).unwrap();
    file.set_len(1 << 31).unwrap();
    for line in [
        "show huge",
        "reset --from huge --sandbox",
        "plan --ca-bundle huge --base-url https://127.0.0.1:9/client/v4",
    ] {
        let run = directory.line(line);
        assert_eq!(run.code, 1, "{line}: {}", run.shown());
        run.says("larger than ");
    }
}
