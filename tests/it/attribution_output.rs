//! Authors of drift, with the real program: in all formats and notifications, and if the audit log is incomplete.

use axum::Router;
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use crate::support::layers::change_json;
use crate::support::{Run, SandboxServer, TestDir, account};

const FILE: &str = "\
version: 1
account_id: f037e56e89293a057740de681ac9abbe
name: production
behaviors:
  high_dlp: { enabled: true, risk_level: medium }
  imp_travel: { enabled: true, risk_level: high }
";

/// Adds an entry to the audit log.
pub(crate) fn log(server: &SandboxServer, time: Timestamp, shown: Value) {
    let edited = server
        .sandbox
        .edit(&account(), |account| account.log(time, shown));
    edited.unwrap();
}

/// Returns an entry for a write of behaviors some hours ago.
pub(crate) fn entry(hours: i64, actor: Value, behaviors: Value) -> (Timestamp, Value) {
    let time = Timestamp::now() - SignedDuration::from_hours(hours);
    let shown = json!({
        "id": format!("entry-{hours}"), "action": { "time": time.to_string(), "result": "success", "type": "update" },
        "actor": actor,
        "raw": {
            "uri": format!("/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/behaviors"), "method": "PUT", "status_code": 200,
            "cf_ray_id": format!("8f00ba4c1d2e{hours:04}"), "user_agent": "Mozilla/5.0",
        },
        "resource": { "request": { "behaviors": behaviors } },
    });
    (time, shown)
}

fn behaviors(dlp: bool, travel: bool, level: &str) -> Value {
    json!({
        "high_dlp": { "enabled": dlp, "risk_level": "medium" },
        "imp_travel": { "enabled": travel, "risk_level": level },
    })
}

/// Carol created everything, Alice disabled a behavior in the dashboard, Bob lowered one with a token, and Carol rewrote everything.
fn tampered() -> SandboxServer {
    let server = SandboxServer::start(Settings::default());
    let carol = json!({ "email": "carol@example.com", "context": "api_key" });
    let alice = json!({ "email": "alice@example.com", "context": "dash" });
    let bob = json!({ "email": "bob@example.com", "context": "api_token", "token_name": "ci" });
    for (time, shown) in [
        entry(200, carol.clone(), behaviors(true, true, "high")),
        entry(100, alice, behaviors(false, true, "high")),
        entry(3, bob, behaviors(false, true, "low")),
        entry(1, carol, behaviors(false, true, "low")),
    ] {
        log(&server, time, shown);
    }
    set_live_behaviors(&server, behaviors(false, true, "low"));
    server
}

fn set_live_behaviors(server: &SandboxServer, behaviors: Value) {
    let edited = server.sandbox.edit(&account(), |account| {
        for (key, behavior) in &mut account.behaviors {
            if let Some(settings) = behaviors.get(key.as_str()) {
                behavior.fields = serde_json::from_value(settings.clone()).unwrap();
            }
        }
        account.integrations.clear();
    });
    edited.unwrap();
}

fn drift(server: &SandboxServer, arguments: &[&str]) -> Run {
    let workplace = TestDir::with_file(server, FILE);
    workplace.run(&[&["drift"], arguments].concat())
}

/// Removes times, which differ between runs.
fn without_times(text: &str) -> String {
    let mut shown = String::new();
    for piece in text.split_inclusive(" UTC") {
        let moment = "2026-11-25 01:12 UTC".len();
        match piece.len().checked_sub(moment) {
            Some(start) if piece.ends_with(" UTC") => {
                shown.push_str(&piece[..start]);
                shown.push_str("[moment]");
            }
            Some(_) | None => shown.push_str(piece),
        }
    }
    shown
}

#[test]
fn each_difference_is_attributed_to_its_author() {
    let server = tampered();
    let text = drift(&server, &["--no-context"]);
    assert!(!text.stdout.contains("alice"), "{}", text.stdout);
    let text = drift(&server, &[]);
    assert_snapshot!(without_times(&text.stdout), @r#"
    production (f037e56e…abbe)  riskform.yaml

      ~ behavior.high_dlp                                          weaker: off, declared on
          set by alice@example.com in the dashboard, 4 d ago ([moment], ray 8f00ba4c1d2e0100)
          no enabled behavior assigns medium; 2 Access policies use it: Block risky users, Contractors
      ~ behavior.imp_travel                                        weaker: low, declared high
          set by bob@example.com with the API token ci, 3 h ago ([moment], ray 8f00ba4c1d2e0003)
          no enabled behavior assigns high; 3 Access policies use it: Block risky users, Contractors, "Employees, not at high risk"

    Drift: 2 weaker.
    "#);
    for format in ["markdown", "html"] {
        let shown = drift(&server, &["--format", format]).stdout;
        let alice = "Set by alice@example.com in the dashboard, 4 d ago";
        assert!(shown.contains(alice), "{format}: {shown}");
    }
    let json: Value = serde_json::from_str(&drift(&server, &["--format", "json"]).stdout).unwrap();
    let account = &json["accounts"][0];
    let [dlp, travel] = account["changes"].as_array().unwrap().as_slice() else {
        panic!("{account}");
    };
    let who = &dlp["attribution"][0];
    assert_eq!(who["fields"], json!(["enabled"]));
    assert_eq!(
        (&who["action"], &who["kind"]),
        (&json!("set"), &json!("set"))
    );
    assert_eq!(who["author"]["actor"], "alice@example.com");
    assert_eq!(who["author"]["cf_ray"], "8f00ba4c1d2e0100");
    assert_eq!(travel["attribution"][0]["author"]["token_name"], "ci");
    assert!(account["context"]["audit_log"]["loaded"]["since"].is_string());

    // Without an earlier value in the log, the change may be older.
    let short = drift(&server, &["--history", "2"]).stdout;
    assert_eq!(
        short.matches("unchanged since before 20").count(),
        2,
        "{short}"
    );
    let longer = drift(&server, &["--history", "6"]).stdout;
    assert!(longer.contains("set by bob@example.com"), "{longer}");
    assert!(longer.contains(", or set by alice@example.com"), "{longer}");
}

#[test]
fn notifications_name_authors_and_policies() {
    let server = tampered();
    let receiver = Receiver::start();
    let run = drift(
        &server,
        &[
            "--notify",
            &format!("slack+{}", receiver.url),
            "--notify",
            &receiver.url,
        ],
    );
    assert_eq!(run.code, 2, "{}", run.stderr);
    let mut bodies = receiver.bodies();
    bodies.sort_by_key(|body| body.get("format").is_some());
    let [slack, webhook] = bodies.as_slice() else {
        panic!("{bodies:?} {}", run.stderr);
    };
    let text = without_times(slack["text"].as_str().unwrap());
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("behavior."))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    • *weaker* `production` `behavior.high_dlp` is off, declared on; set by alice@example.com in the dashboard, 4 d ago; no enabled behavior assigns medium; 2 Access policies use it: Block risky users, Contractors
    • *weaker* `production` `behavior.imp_travel` is low, declared high; set by bob@example.com with the API token ci, 3 h ago; no enabled behavior assigns high; 3 Access policies use it: Block risky users, Contractors, "Employees, not at high risk"
    "#);
    let account = &webhook["accounts"][0];
    let who = &account["changes"][0]["attribution"][0]["author"]["actor"];
    assert_eq!(who, "alice@example.com");
    assert_eq!(account["notes"][0]["kind"], "level_unassigned");
    assert!(account["notes"][0]["message"].is_string());
}

/// A log that is late, short or rejected adds a note and changes nothing else.
#[test]
fn incomplete_audit_log_only_adds_a_note() {
    let whole = drift(&tampered(), &["--no-context", "--format", "json"]);
    let changes = |run: &Run| {
        let document = run.json();
        let mut changes = document["accounts"][0]["changes"].clone();
        for change in changes.as_array_mut().unwrap() {
            change.as_object_mut().unwrap().remove("attribution");
        }
        changes
    };
    let expected = changes(&whole);
    let untold = "no audit log entry since ";
    // Entries that do not appear yet, or are not kept any more.
    let empty = SandboxServer::behind(Settings::default(), |_, router: Router| {
        change_json(router, "/logs/audit", |page| {
            page["result"] = json!([]);
            page["result_info"]["count"] = json!(0);
        })
    });
    let without = Settings {
        permissions: vec!["read,apps,groups".parse().unwrap()],
        ..Settings::default()
    };
    let lacks = r#"note: cannot determine who changed it: the token lacks the permission "Account Settings Read""#;
    let table = [(empty, untold), (SandboxServer::start(without), lacks)];
    for (server, said) in table {
        let alice = json!({ "email": "alice@example.com", "context": "dash" });
        let (time, shown) = entry(3, alice, behaviors(false, true, "low"));
        log(&server, time, shown);
        set_live_behaviors(&server, behaviors(false, true, "low"));
        let run = drift(&server, &[]);
        assert_eq!(run.code, 2, "{said}: {}", run.stderr);
        run.says(said);
        assert!(!run.stdout.contains("alice"), "{said}: {}", run.stdout);
        let json = drift(&server, &["--format", "json"]);
        assert_eq!(changes(&json), expected, "{said}");
    }
}

#[test]
fn integrations_are_attributed_to_their_authors() {
    let server = SandboxServer::start(Settings::default());
    let workplace = TestDir::with(&server);
    let file = "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nintegrations:\n  corp: { tenant_url: https://corp.okta.com, reference_id: 3701e70b-5de4-4d9d-8972-f5aa994d9057 }\n";
    set_live_behaviors(&server, json!({}));
    workplace.write("riskform.yaml", file);
    workplace.line("apply --auto-approve").exits(0);
    workplace.write("none.yaml", "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\nunlisted: { integrations: delete }\n");
    let made = workplace.line("drift none.yaml").stdout;
    assert!(made.contains("created by "), "{made}");
    assert!(
        made.contains(" through riskform with the API token "),
        "{made}"
    );
    workplace.write(
        "reported.yaml",
        "version: 1\naccount_id: f037e56e89293a057740de681ac9abbe\n",
    );
    let reported = workplace.line("drift reported.yaml").stdout;
    assert!(reported.contains("created by "), "{reported}");
    let gone = workplace.line("apply none.yaml --auto-approve --allow-delete-all");
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    let missing = workplace.line("drift").stdout;
    assert!(missing.contains("deleted by "), "{missing}");
}

/// Records requests.
struct Receiver {
    url: String,
    bodies: std::sync::Arc<std::sync::Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start() -> Self {
        let bodies: std::sync::Arc<std::sync::Mutex<Vec<Value>>> = Default::default();
        let (send, receive) = std::sync::mpsc::channel();
        let kept = std::sync::Arc::clone(&bodies);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                let router = Router::new().fallback(move |body: axum::Json<Value>| {
                    kept.lock().unwrap().push(body.0);
                    async { "ok" }
                });
                axum::serve(listener, router).await.unwrap();
            });
        });
        let address = receive.recv().unwrap();
        Receiver {
            url: format!("http://{address}/hook"),
            bodies,
        }
    }

    fn bodies(&self) -> Vec<Value> {
        self.bodies.lock().unwrap().clone()
    }
}
