//! Many accounts, three of which fail in different ways.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use riskform::sandbox::{DEFAULT_TOKEN, RateLimit, Sandbox, Settings};
use serde_json::{Value, json};

use crate::support::TestDir;

const ACCOUNTS: u32 = 200;

fn id(number: u32) -> String {
    format!("{:032x}", 0xabc0_0000 + number)
}

/// Returns errors for three of the accounts.
async fn trouble(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let of = |number| path.contains(&id(number));
    let refused = |status: StatusCode, code: u32, message: &str| {
        let error = json!({ "code": code, "message": message });
        let body = json!({ "success": false, "errors": [error], "messages": [], "result": null });
        (status, axum::Json(body)).into_response()
    };
    if of(17) {
        refused(StatusCode::UNAUTHORIZED, 10_000, "Authentication error")
    } else if of(42) {
        refused(StatusCode::INTERNAL_SERVER_ERROR, 1, "internal error")
    } else if of(199) {
        std::future::pending().await
    } else {
        next.run(request).await
    }
}

/// Serves a failing sandbox until the process ends, and returns its base URL.
fn serve() -> String {
    let (ready, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let sandbox = Sandbox::in_memory(Settings {
                rate_limit: RateLimit::Off,
                ..Settings::default()
            });
            let router = sandbox.router().layer(middleware::from_fn(trouble));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{}/client/v4", started.recv().unwrap())
}

#[test]
fn a_fleet_of_200_of_which_three_fail_reports_all_200() {
    let mut workplace = TestDir::new();
    workplace.set("CLOUDFLARE_BASE_URL", &serve());
    workplace.set("CLOUDFLARE_API_TOKEN", DEFAULT_TOKEN);
    let documents: Vec<String> = (0..ACCOUNTS)
        .map(|number| {
            format!(
                "version: 1\naccount_id: \"{}\"\nname: account-{number}\nbehaviors: {{ imp_travel: {{ enabled: true }} }}\nunlisted: {{ integrations: keep }}\n",
                id(number)
            )
        })
        .collect();
    workplace.write("riskform.yaml", &documents.join("---\n"));
    let run = workplace.run(&[
        "drift",
        "--timeout",
        "1",
        "--format",
        "json",
        "--format",
        "text=text",
        "--format",
        "prometheus=metrics",
    ]);

    // An authentication error is more severe than a server error.
    assert_eq!(run.code, 6, "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let accounts = document["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), ACCOUNTS as usize);
    let failed: BTreeMap<&str, &str> = accounts
        .iter()
        .filter(|account| account["status"] == "error")
        .map(|account| {
            let kind = account["error"]["kind"].as_str().unwrap();
            (account["name"].as_str().unwrap(), kind)
        })
        .collect();
    let expected = [
        ("account-17", "credentials_or_permission"),
        ("account-199", "network"),
        ("account-42", "api"),
    ];
    assert_eq!(failed, expected.into());
    assert_eq!(document["summary"]["failed_accounts"], 3);
    assert_eq!(document["summary"]["unchanged"], 197);
    let text = workplace.read("text");
    assert!(
        text.contains("No drift in 197 accounts. 197 behaviors match."),
        "{text}"
    );
    assert!(text.contains("3 of 200 accounts failed."), "{text}");
    let metrics = workplace.read("metrics");
    assert_eq!(metrics.matches("riskform_account_failed{").count(), 200);
}
