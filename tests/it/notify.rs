//! Notifications over loopback sockets, from the library and from the real program, to servers that record requests.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use riskform::notify::{
    CheckResult, ID_HEADER, Message, Outcome, SIGNATURE_HEADER, Settings, TIMESTAMP_HEADER, Target,
    notify,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{Run, SandboxServer, TestDir};

const QUICKSTART: &str = include_str!("../../examples/quickstart.yaml");

const MESSAGE: Message<'_> = Message {
    outcome: Outcome::Error,
    finding: CheckResult::Failed {
        kind: "files",
        message: "riskform.yaml: file not found",
        help: None,
    },
    run_url: None,
    next: None,
};

/// A recorded request.
struct Received {
    line: String,
    headers: HeaderMap,
    body: String,
}

/// A server that responds with each of `statuses` in turn, then always with the last one.
#[derive(Clone)]
struct Server {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    async fn answering(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap().to_string(),
            received: Arc::default(),
        };
        let statuses: VecDeque<u16> = statuses.iter().copied().collect();
        let state = (server.clone(), Arc::new(Mutex::new(statuses)));
        let router = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn target(&self, scheme: &str) -> Target {
        format!("{scheme}://{}/canary?canary=1", self.address)
            .parse()
            .unwrap()
    }

    fn requests(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

async fn answer(
    State((server, statuses)): State<(Server, Arc<Mutex<VecDeque<u16>>>)>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path().to_owned();
    server.received.lock().unwrap().push(Received {
        line: format!("{} {}", parts.method, parts.uri),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    if path == "/slow" {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut statuses = statuses.lock().unwrap();
    let status = match statuses.len() {
        1 => statuses[0],
        _ => statuses.pop_front().unwrap(),
    };
    Response::builder()
        .status(status)
        .header("location", format!("http://{}/elsewhere", server.address))
        .header("retry-after", if path == "/patience" { "600" } else { "1" })
        .body("cannot POST /canary".into())
        .unwrap()
}

fn settings() -> Settings {
    Settings {
        secret: Some("shared".into()),
        pauses: vec![Duration::from_millis(1); 2],
        ..Settings::default()
    }
}

async fn send(server: &Server) -> Result<(), String> {
    let result = notify(&server.target("http"), &MESSAGE, &settings()).await;
    assert!(!format!("{result:?}").contains("canary"), "{result:?}");
    result
}

#[tokio::test]
async fn a_webhook_gets_signed_json_and_no_credentials() {
    let server = Server::answering(&[204]).await;
    assert_eq!(send(&server).await, Ok(()));

    let received = server.received.lock().unwrap();
    let [
        Received {
            line,
            headers,
            body,
        },
    ] = received.as_slice()
    else {
        panic!("{} requests", received.len());
    };
    assert_eq!(line, "POST /canary?canary=1");
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("authorization"));
    let document: Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["outcome"], "error");

    let signature = headers[SIGNATURE_HEADER].to_str().unwrap();
    let signature = signature.strip_prefix("sha256=").unwrap();
    let signature: Vec<u8> = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared");
    let stamp = |name| headers[name].to_str().unwrap();
    let signed = format!("{}.{}.{body}", stamp(ID_HEADER), stamp(TIMESTAMP_HEADER));
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    // The signature covers the body and the time.
    hmac::verify(&key, body.as_bytes(), &signature).unwrap_err();
    let age = jiff::Timestamp::now().as_second() - stamp(TIMESTAMP_HEADER).parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{age}");
}

#[tokio::test]
async fn slack_gets_text_without_a_signature() {
    let server = Server::answering(&[200]).await;
    assert_eq!(
        notify(&server.target("slack+http"), &MESSAGE, &settings()).await,
        Ok(())
    );
    let received = server.received.lock().unwrap();
    let [slack] = received.as_slice() else {
        panic!("{} requests", received.len());
    };
    assert_eq!(slack.line, "POST /canary?canary=1");
    let text: Value = serde_json::from_str(&slack.body).unwrap();
    assert!(text["text"].as_str().unwrap().contains("riskform"));
    assert!(!slack.headers.contains_key(SIGNATURE_HEADER));
}

#[tokio::test]
async fn only_server_errors_are_retried_twice() {
    let table: [(&[u16], usize, &str); 5] = [
        (&[500, 503, 200], 3, ""),
        (&[500, 502, 503], 3, "it answered 503 Service Unavailable"),
        (&[404], 1, "it answered 404 Not Found"),
        (&[503, 410], 2, "it answered 410 Gone"),
        (
            &[302],
            1,
            "it answered 302 Found (redirects are not followed); use the final URL",
        ),
    ];
    for (statuses, requests, reason) in table {
        let server = Server::answering(statuses).await;
        let expected = match reason {
            "" => Ok(()),
            reason => Err(format!(
                "cannot notify http://{}/…: {reason}",
                server.address
            )),
        };
        assert_eq!(send(&server).await, expected, "{statuses:?}");
        assert_eq!(server.requests(), requests, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_for() {
    let server = Server::answering(&[429, 200]).await;
    assert_eq!(send(&server).await, Ok(()));
    assert_eq!(server.requests(), 2);

    let server = Server::answering(&[429]).await;
    let target: Target = format!("http://{}/patience", server.address)
        .parse()
        .unwrap();
    let warning = notify(&target, &MESSAGE, &settings()).await.unwrap_err();
    let reason = "it answered 429 Too Many Requests (retry after 600 s)";
    assert!(warning.ends_with(reason), "{warning}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn no_answer_is_a_warning() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    // The system accepts connections, but there is no response.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap();
    let impatient = Settings {
        timeout: Duration::from_millis(300),
        ..settings()
    };
    for (address, reason) in [(dead, "Connection refused"), (silent, "timed out")] {
        let target = format!("http://{address}/canary").parse().unwrap();
        let warning = notify(&target, &MESSAGE, &impatient).await.unwrap_err();
        let start = format!("cannot notify http://{address}/…: no answer: {reason}");
        assert!(warning.starts_with(&start), "{warning}");
    }
}

/// Runs `drift` on the quickstart, which differs from the sandbox.
async fn drift(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", QUICKSTART);
    for (name, value) in variables {
        workplace.set(name, value);
    }
    drift_in(&workplace, arguments).await
}

async fn drift_in(workplace: &TestDir, arguments: &[&str]) -> Run {
    let mut command = vec!["drift", "--sandbox"];
    command.extend(arguments);
    let mut command = workplace.command(&command);
    tokio::task::spawn_blocking(move || Run::from(command.output().unwrap()))
        .await
        .unwrap()
}

#[tokio::test]
async fn drift_notifies_targets_of_flags_or_else_of_environment() {
    let flag = Server::answering(&[200]).await;
    let variable = Server::answering(&[200]).await;
    let urls = format!("http://{}/canary", variable.address);
    let environment = [
        ("RISKFORM_NOTIFY", urls.as_str()),
        ("RISKFORM_NOTIFY_SECRET", "shared"),
    ];

    assert_eq!(drift(&environment, &[]).await.code, 2);
    {
        let received = variable.received.lock().unwrap();
        let [webhook] = received.as_slice() else {
            panic!("{} requests", received.len());
        };
        assert!(webhook.headers.contains_key(SIGNATURE_HEADER));
        let document: Value = serde_json::from_str(&webhook.body).unwrap();
        assert_eq!(document["outcome"], "drift");
        assert_eq!(document["accounts"][0]["name"], "quickstart");
    }

    let url = format!("http://{}/canary", flag.address);
    assert_eq!(drift(&environment, &["--notify", &url]).await.code, 2);
    assert_eq!(
        drift(&[], &["--notify", &url, "missing.yaml"]).await.code,
        1
    );
    let received = flag.received.lock().unwrap();
    let outcomes: Vec<Value> = received
        .iter()
        .map(|received| serde_json::from_str::<Value>(&received.body).unwrap()["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["drift", "error"]);
    assert_eq!(variable.requests(), 1);
}

#[tokio::test]
async fn failed_notification_is_a_warning_without_the_url() {
    let refusing = Server::answering(&[404]).await;
    let url = format!("http://{}/canary?canary", refusing.address);
    let run = drift(&[], &["--notify", &url, "-vv"]).await;
    assert_eq!(run.code, 2);
    let warning = format!(
        "warning: cannot notify http://{}/…: it answered 404 Not Found",
        refusing.address
    );
    run.says(&warning);
    assert!(!run.shown().contains("canary"), "{}", run.shown());

    for url in ["http://alerts.example.com/canary", "canary"] {
        for run in [
            drift(&[], &["--notify", url]).await,
            drift(&[("RISKFORM_NOTIFY", url)], &[]).await,
        ] {
            assert_eq!(run.code, 64, "{}", run.shown());
            assert!(!run.shown().contains("canary"), "{}", run.shown());
        }
    }
}

impl Server {
    /// Returns the outcomes of all messages.
    fn outcomes(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|one| serde_json::from_str::<Value>(&one.body).unwrap()["outcome"].to_string())
            .collect()
    }
}

/// A directory with the quickstart, and one for the notification state.
fn at_home(state: &str) -> TestDir {
    let mut workplace = TestDir::new();
    workplace.write("riskform.yaml", QUICKSTART);
    let state = workplace.path(state);
    workplace.set("XDG_STATE_HOME", state.to_str().unwrap());
    workplace
}

#[tokio::test]
async fn same_drift_is_sent_once_and_its_end_once() {
    let server = Server::answering(&[200]).await;
    let url = format!("http://{}/canary", server.address);
    let workplace = at_home("state");
    let drift = async |arguments: &[&str]| {
        let run = drift_in(&workplace, &[&["--notify", &url], arguments].concat()).await;
        assert!(!run.stderr.contains("warning"), "{}", run.shown());
        run.code
    };
    assert_eq!((drift(&[]).await, drift(&[]).await), (2, 2));
    assert_eq!(server.outcomes(), ["\"drift\""]);

    // The state file is private and contains no URL and no drift.
    let directory = workplace.path("state/riskform");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600);
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(
            !kept.contains("canary") && !kept.contains("imp_travel"),
            "{kept}"
        );
    }

    // New drift is sent, and with --notify-again 0 the same drift as well.
    let lax = QUICKSTART.replace("high", "low");
    assert_ne!(lax, QUICKSTART);
    workplace.write("riskform.yaml", &lax);
    drift(&[]).await;
    drift(&[]).await;
    drift(&["--notify-again", "0"]).await;
    assert_eq!(server.outcomes().len(), 3);

    workplace.line("apply --sandbox --auto-approve").exits(0);
    assert_eq!((drift(&[]).await, drift(&[]).await), (0, 0));
    assert_eq!(server.outcomes()[3..], ["\"resolved\""]);

    // The end of an error without accounts is sent as well.
    workplace.write("riskform.yaml", "nonesuch: 1\n");
    assert_eq!((drift(&[]).await, drift(&[]).await), (1, 1));
    workplace.write("riskform.yaml", &lax);
    drift(&[]).await;
    assert_eq!(server.outcomes()[4..], ["\"error\"", "\"resolved\""]);
}

/// Returns a directory whose environment names a sandbox, and a directory for the notification state.
fn at_server(server: &SandboxServer) -> TestDir {
    let mut workplace = TestDir::with_file(server, QUICKSTART);
    let state = workplace.path("state");
    workplace.set("XDG_STATE_HOME", state.to_str().unwrap());
    workplace
}

#[tokio::test]
async fn runs_at_the_same_time_notify_once() {
    let sandbox = tokio::task::spawn_blocking(|| SandboxServer::start(Default::default()));
    let sandbox = sandbox.await.unwrap();
    let server = Server::answering(&[200]).await;
    let url = format!("http://{}/slow", server.address);
    let workplace = at_server(&sandbox);
    let run = || {
        let mut command = workplace.command(&["drift", "--notify", &url]);
        tokio::task::spawn_blocking(move || Run::from(command.output().unwrap()))
    };
    for run in futures_util::future::join_all([run(), run(), run()]).await {
        let run = run.unwrap();
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(!run.stderr.contains("warning"), "{}", run.shown());
    }
    assert_eq!(server.outcomes(), ["\"drift\""]);
    tokio::task::spawn_blocking(|| drop(sandbox)).await.unwrap();
}

#[tokio::test]
async fn damaged_state_is_replaced() {
    let server = Server::answering(&[200]).await;
    let url = format!("http://{}/canary", server.address);
    let workplace = at_home("state");
    drift_in(&workplace, &["--notify", &url]).await;
    let directory = workplace.path("state/riskform");
    let state = std::fs::read_dir(&directory)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    type Damage = fn(&std::path::Path);
    let damages: [Damage; 4] = [
        |state| std::fs::write(state, b"\xff").unwrap(),
        |state| std::fs::write(state, "").unwrap(),
        |state| std::fs::write(state, "{\"digest\":1}").unwrap(),
        |state| {
            std::fs::remove_file(state).unwrap();
            std::os::unix::fs::symlink("/dev/null", state).unwrap();
        },
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        damage(&state);
        for _ in 0..2 {
            let run = drift_in(&workplace, &["--notify", &url]).await;
            assert!(!run.stderr.contains("warning"), "{}", run.shown());
        }
        assert_eq!(server.requests(), index + 2);
    }
}

#[tokio::test]
async fn a_comma_between_urls_is_an_error() {
    for urls in [
        "https://one.example.com/canary,https://two.example.com/canary",
        "https://one.example.com/canary, slack+https://two.example.com/canary",
    ] {
        for run in [
            drift(&[("RISKFORM_NOTIFY", urls)], &[]).await,
            drift(&[], &["--notify", urls]).await,
        ] {
            assert_eq!(run.code, 64, "{}", run.shown());
            run.says("found a comma between two URLs");
            assert!(!run.shown().contains("canary"), "{}", run.shown());
        }
    }
}

#[tokio::test]
async fn failed_notification_is_sent_by_the_next_run() {
    let server = Server::answering(&[404, 200]).await;
    let url = format!("http://{}/canary", server.address);
    let workplace = at_home("state");
    for _ in 0..3 {
        drift_in(&workplace, &["--notify", &url]).await;
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn without_a_state_directory_every_run_notifies_with_a_warning() {
    let server = Server::answering(&[200]).await;
    let url = format!("http://{}/canary", server.address);
    let link = |workplace: &TestDir| {
        std::fs::create_dir_all(workplace.path("elsewhere")).unwrap();
        std::fs::create_dir_all(workplace.path("state")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", workplace.path("state/riskform")).unwrap();
    };
    let file = |workplace: &TestDir| {
        workplace.write("state", "");
    };
    let nothing = |_: &TestDir| {};
    type Prepare<'a> = &'a dyn Fn(&TestDir);
    let table: [(&str, Prepare<'_>, &str); 3] = [
        ("state", &link, "state/riskform is not a directory"),
        ("state", &file, "Not a directory"),
        (
            "",
            &nothing,
            "neither XDG_STATE_HOME nor HOME is an absolute path",
        ),
    ];
    for (index, (state, prepare, why)) in table.into_iter().enumerate() {
        let mut workplace = at_home(state);
        if state.is_empty() {
            workplace.set("XDG_STATE_HOME", "not/absolute");
        }
        prepare(&workplace);
        for run in 1..=2 {
            let output = drift_in(&workplace, &["--notify", &url]).await;
            assert_eq!(output.code, 2);
            output.says("warning: cannot save the notification state: ");
            output.says(why);
            assert_eq!(server.requests(), 3 * index + run);
        }
        // Not sent.
        let meant = drift_in(&workplace, &["--notify", &url, "--notify-again", "0"]).await;
        assert!(!meant.stderr.contains("warning"), "{}", meant.shown());
    }
}

#[tokio::test]
async fn a_message_links_to_the_run_and_names_what_to_do_next() {
    let server = Server::answering(&[200]).await;
    let slack = format!("slack+http://{}/canary", server.address);
    let github = [
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_REPOSITORY", "acme/risk"),
        ("GITHUB_RUN_ID", "7"),
        ("RISKFORM_NOTIFY", &slack),
    ];
    drift(&github, &["--notify-again", "0"]).await;
    let gitlab = [
        ("CI_JOB_URL", "https://gitlab.example/jobs/7"),
        ("RISKFORM_NOTIFY", &slack),
    ];
    drift(&gitlab, &["--notify-again", "0"]).await;
    let wrong = [
        ("CI_JOB_URL", "javascript:canary"),
        ("RISKFORM_NOTIFY", &slack),
    ];
    drift(&wrong, &["--notify-again", "0"]).await;
    let received = server.received.lock().unwrap();
    let [github, gitlab, wrong] = received.as_slice() else {
        panic!("{} requests", received.len());
    };
    let text = |one: &Received| {
        let body: Value = serde_json::from_str(&one.body).unwrap();
        body["text"].as_str().unwrap().to_owned()
    };
    let next = "\nNext: `riskform drift --sandbox`";
    let link = "<https://github.example/acme/risk/actions/runs/7|View run>";
    assert!(
        text(github).ends_with(&format!("{next}\n{link}")),
        "{}",
        text(github)
    );
    assert!(text(gitlab).ends_with("<https://gitlab.example/jobs/7|View run>"));
    assert!(text(wrong).ends_with(next), "{}", text(wrong));
    // The tenant of the unlisted integration.
    assert!(
        text(github).contains("https://example.oktapreview.com"),
        "{}",
        text(github)
    );
}
