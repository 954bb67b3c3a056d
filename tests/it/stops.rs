//! SIGTERM and SIGINT of the real program over a real socket, during each kind of wait: it ends within a second with the right exit code, and
//! sends nothing afterwards.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Method};
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};

use crate::support::layers::{Reaction, after, failure};
use crate::support::{Run, SandboxServer, TestDir};

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--format", "json"];

/// One write of behaviors, then two creates.
const FILE: &str = r"
version: 1
account_id: f037e56e89293a057740de681ac9abbe
behaviors:
  imp_travel: { enabled: true, risk_level: low }
integrations:
  one: { tenant_url: https://one.okta.com, reference_id: r1 }
  two: { tenant_url: https://two.okta.com, reference_id: r2 }
unlisted: { integrations: keep }
";

/// Wait during which a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// A 429 with a delay of ten minutes.
    RateLimited,
    /// Retry of a failed write of behaviors.
    Retry,
    /// Rate limit reached.
    Budget,
    /// Lookup after a lost response to a create.
    LookingForCreated,
}

fn refused(status: u16) -> Reaction {
    let mut response = failure(status, 1, "not now");
    let wait = HeaderValue::from_static("600");
    response.headers_mut().insert("retry-after", wait);
    Reaction::TestResponse(response)
}

/// Serves a sandbox that reacts to each request with `reaction`. Sends a message for each request that is not passed.
fn served(
    reaction: impl Fn(&Method) -> Reaction + Clone + Send + Sync + 'static,
) -> (SandboxServer, TestDir, Receiver<()>) {
    let (reached, reports) = channel();
    let server = SandboxServer::reacting(move |method, _| {
        let reaction = reaction(method);
        if !matches!(reaction, Reaction::Pass) {
            reached.send(()).unwrap();
        }
        reaction
    });
    let workplace = TestDir::with_file(&server, FILE);
    (server, workplace, reports)
}

/// Starts an apply against a server that makes it wait, and reports the start of the wait.
fn waiting(wait: Wait) -> (SandboxServer, TestDir, Receiver<()>) {
    if wait != Wait::Budget {
        return served(move |method| match (wait, method) {
            (Wait::RateLimited, &Method::PUT) => refused(429),
            (Wait::Retry, &Method::PUT) => refused(503),
            (Wait::LookingForCreated, &Method::POST) => refused(502),
            _ => Reaction::Pass,
        });
    }
    let (reached, reports) = channel();
    let server = SandboxServer::behind(Settings::default(), |_, router| {
        after(router, Method::PUT, move |mut response| {
            for (name, value) in [
                ("ratelimit", r#""default";r=0;t=600"#),
                ("ratelimit-policy", r#""default";q=9;w=600"#),
            ] {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
            reached.send(()).unwrap();
            response
        })
    });
    let workplace = TestDir::with_file(&server, FILE);
    (server, workplace, reports)
}

fn spawn(mut command: Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Sends a signal, waits for the end, and returns the time it took.
fn stop(child: Child, name: &str) -> (Run, Duration) {
    signal(&child, name);
    let asked = Instant::now();
    let run = Run::from(child.wait_with_output().unwrap());
    (run, asked.elapsed())
}

/// Time for the program to get from a response to the next wait.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn sigterm_ends_every_wait_of_an_apply_within_a_second() {
    for (wait, outcomes) in [
        (
            Wait::RateLimited,
            ["not_attempted", "not_attempted", "not_attempted"],
        ),
        (Wait::Retry, ["unknown", "not_attempted", "not_attempted"]),
        (Wait::Budget, ["done", "not_attempted", "not_attempted"]),
        (Wait::LookingForCreated, ["done", "unknown", "unknown"]),
    ] {
        let (server, workplace, reports) = waiting(wait);
        let child = spawn(workplace.command(&APPLY));
        reports.recv_timeout(Duration::from_secs(60)).unwrap();
        if wait == Wait::LookingForCreated {
            reports.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        a_moment();
        let writes = server.writes();
        let (run, took) = stop(child, "-TERM");
        // A write whose only response was 429 counts as not sent.
        let code = if wait == Wait::RateLimited { 143 } else { 3 };
        assert_eq!(run.code, code, "{wait:?}: {}", run.stderr);
        assert!(took < Duration::from_secs(1), "{wait:?}: {took:?}");
        let document = run.json();
        let operations = document["accounts"][0]["operations"].as_array().unwrap();
        let found: Vec<&str> = operations
            .iter()
            .map(|operation| operation["outcome"].as_str().unwrap())
            .collect();
        assert_eq!(found, outcomes, "{wait:?}: {}", run.stdout);
        a_moment();
        assert_eq!(server.writes(), writes, "{wait:?}");
    }
}

#[test]
fn sighup_ends_an_apply_with_a_report_unless_it_was_ignored() {
    for ignored in [false, true] {
        let (_server, workplace, reports) = served(|method| match *method {
            Method::PUT => refused(429),
            _ => Reaction::Pass,
        });
        let mut child = spawn(match ignored {
            true => workplace.shell("trap '' HUP; exec \"$@\"", &APPLY),
            false => workplace.command(&APPLY),
        });
        reports.recv_timeout(Duration::from_secs(60)).unwrap();
        a_moment();
        signal(&child, "-HUP");
        let name = if ignored {
            a_moment();
            assert!(child.try_wait().unwrap().is_none());
            "-TERM"
        } else {
            // Never counts as the second signal.
            "-HUP"
        };
        let (run, _) = stop(child, name);
        // The only write was answered with 429, so it counts as not sent.
        assert_eq!(run.code, 143, "{ignored}: {}", run.stderr);
        let document = run.json();
        let operations = &document["accounts"][0]["operations"];
        assert_eq!(operations[0]["outcome"], "not_attempted", "{}", run.stdout);
    }
}

#[test]
fn a_stop_lets_the_calls_in_flight_finish_and_a_second_one_ends_at_once() {
    for twice in [false, true] {
        let (_server, workplace, reports) = served(|method| match *method {
            Method::GET => Reaction::Pass,
            _ => Reaction::Wait(Duration::from_secs(2)),
        });
        let apply = "apply --auto-approve --format text --format markdown=report.md";
        let apply: Vec<&str> = apply.split(' ').collect();
        let child = spawn(workplace.command(&apply));
        reports.recv_timeout(Duration::from_secs(60)).unwrap();
        let (run, took) = if twice {
            signal(&child, "-INT");
            a_moment();
            stop(child, "-TERM")
        } else {
            stop(child, "-INT")
        };
        if twice {
            assert_eq!(run.code, 143, "{}", run.stderr);
            assert!(took < Duration::from_secs(1), "{took:?}");
            // No temporary file is left.
            let files = std::fs::read_dir(workplace.path(".")).unwrap();
            assert_eq!(files.count(), 1);
        } else {
            assert_eq!(run.code, 3, "{}", run.stderr);
            run.says("2 not attempted");
            assert!(!run.stdout.contains("failed: PUT"), "{}", run.stdout);
        }
        assert_eq!(reports.try_iter().count(), 0);
    }
}

#[test]
fn reading_command_ends_immediately_with_the_code_of_the_signal() {
    let account = RECORDED_ACCOUNT;
    for (arguments, name, code) in [
        (&["plan", "--format", "json"][..], "-TERM", 143),
        (&["drift"], "-INT", 130),
        (&["audit"], "-HUP", 143),
        (&["apply", "--auto-approve"], "-TERM", 143),
        (&["export", "--account-id", account], "-INT", 130),
    ] {
        let (_server, workplace, reports) = served(|_| Reaction::Wait(Duration::from_secs(3_600)));
        let child = spawn(workplace.command(arguments));
        reports.recv_timeout(Duration::from_secs(60)).unwrap();
        let (run, took) = stop(child, name);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(took < Duration::from_secs(1), "{arguments:?}: {took:?}");
        run.says("no changes were made");
        if arguments.contains(&"json") {
            let document = run.json();
            assert_eq!(document["error"]["kind"], "interrupted");
        }
    }
}
