//! SIGTERM and SIGINT of the real program over a real socket, during each kind of wait: it ends within a second with the right exit code, and
//! sends nothing afterwards.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::support::{Run, SandboxServer, TestDir};

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

fn refused(status: StatusCode) -> Response {
    let body = json!({ "success": false, "errors": [], "messages": [], "result": null });
    (status, [("retry-after", "600")], body.to_string()).into_response()
}

/// Starts an apply against a server that makes it wait, and reports the start of the wait.
fn waiting(wait: Wait) -> (TestDir, SandboxServer, Child, Receiver<()>) {
    let (tell, told) = channel();
    let tell: Arc<Mutex<Sender<()>>> = Arc::new(Mutex::new(tell));
    let server = SandboxServer::behind(Settings::default(), move |_, router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let tell = Arc::clone(&tell);
            async move {
                let method = request.method().clone();
                let answer = match (wait, &method) {
                    (Wait::RateLimited, &Method::PUT) => refused(StatusCode::TOO_MANY_REQUESTS),
                    (Wait::Retry, &Method::PUT) => refused(StatusCode::SERVICE_UNAVAILABLE),
                    (Wait::Budget, &Method::PUT) => {
                        let mut answer = next.run(request).await;
                        for (name, value) in [
                            ("ratelimit", r#""default";r=0;t=600"#),
                            ("ratelimit-policy", r#""default";q=9;w=600"#),
                        ] {
                            answer.headers_mut().insert(name, value.parse().unwrap());
                        }
                        answer
                    }
                    (Wait::LookingForCreated, &Method::POST) => refused(StatusCode::BAD_GATEWAY),
                    _ => return next.run(request).await,
                };
                tell.lock().unwrap().send(()).unwrap();
                answer
            }
        }))
    });
    let workplace = TestDir::with(&server);
    workplace.write("riskform.yaml", FILE);
    let child = spawn(&workplace, &["apply", "--auto-approve", "--format", "json"]);
    (workplace, server, child, told)
}

fn spawn(workplace: &TestDir, arguments: &[&str]) -> Child {
    workplace
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
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
        let (_workplace, server, child, told) = waiting(wait);
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        if wait == Wait::LookingForCreated {
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        a_moment();
        let writes = server.writes();
        let (run, took) = stop(child, "-TERM");
        // A write whose only response was 429 counts as not sent.
        let code = if wait == Wait::RateLimited { 143 } else { 3 };
        assert_eq!(run.code, code, "{wait:?}: {}", run.stderr);
        assert!(took < Duration::from_secs(1), "{wait:?}: {took:?}");
        let document: Value = run.json();
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
        let (tell, told) = channel();
        let tell = Arc::new(Mutex::new(tell));
        let server = SandboxServer::behind(Settings::default(), move |_, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                if request.method() == Method::PUT {
                    tell.lock().unwrap().send(()).unwrap();
                }
                async move {
                    match *request.method() {
                        Method::PUT => refused(StatusCode::TOO_MANY_REQUESTS),
                        _ => next.run(request).await,
                    }
                }
            }))
        });
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", FILE);
        let apply = ["apply", "--auto-approve", "--format", "json"];
        let mut command = workplace.command(&apply);
        if ignored {
            let program = command.get_program().to_owned();
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
            shell.arg(program).args(apply).env_clear();
            shell.envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            shell.current_dir(command.get_current_dir().unwrap());
            command = shell;
        }
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        told.recv_timeout(Duration::from_secs(60)).unwrap();
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
        let document: Value = run.json();
        let operations = &document["accounts"][0]["operations"];
        assert_eq!(operations[0]["outcome"], "not_attempted", "{}", run.stdout);
    }
}

#[test]
fn a_stop_lets_the_calls_in_flight_finish_and_a_second_one_ends_at_once() {
    for twice in [false, true] {
        let (tell, told) = channel();
        let tell = Arc::new(Mutex::new(tell));
        let writes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&writes);
        let server = SandboxServer::behind(Settings::default(), move |_, router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let (tell, counted) = (Arc::clone(&tell), Arc::clone(&counted));
                async move {
                    if request.method() != Method::GET {
                        counted.fetch_add(1, Ordering::SeqCst);
                        tell.lock().unwrap().send(()).unwrap();
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                    next.run(request).await
                }
            }))
        });
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", FILE);
        let report = ["--format", "markdown=report.md"];
        let child = spawn(
            &workplace,
            &[&["apply", "--auto-approve"], &report[..]].concat(),
        );
        told.recv_timeout(Duration::from_secs(60)).unwrap();
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
        assert_eq!(writes.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn whoever_only_reads_ends_at_once_with_the_signals_code() {
    let account = RECORDED_ACCOUNT;
    for (arguments, name, code) in [
        (&["plan", "--format", "json"][..], "-TERM", 143),
        (&["drift"], "-INT", 130),
        (&["audit"], "-HUP", 143),
        (&["apply", "--auto-approve"], "-TERM", 143),
        (&["export", "--account-id", account], "-INT", 130),
    ] {
        let (tell, told) = channel();
        let tell = Arc::new(Mutex::new(tell));
        let server = SandboxServer::behind(Settings::default(), move |_, router| {
            router.layer(from_fn(move |_: Request, _: Next| {
                let tell = Arc::clone(&tell);
                async move {
                    tell.lock().unwrap().send(()).unwrap();
                    std::future::pending::<StatusCode>().await
                }
            }))
        });
        let workplace = TestDir::with(&server);
        workplace.write("riskform.yaml", FILE);
        let child = spawn(&workplace, arguments);
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        let (run, took) = stop(child, name);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(took < Duration::from_secs(1), "{arguments:?}: {took:?}");
        run.says("no changes were made");
        if arguments.contains(&"json") {
            let document: Value = run.json();
            assert_eq!(document["error"]["kind"], "interrupted");
        }
    }
}
