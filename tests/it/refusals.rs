//! Error responses of the real API (`schema/api.md`, Errors) and invalid responses: message, help and exit code of the real program.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use insta::assert_snapshot;
use riskform::sandbox::Settings;
use serde_json::{Value, json};

use crate::support::layers::{Reaction, answer, recorded_errors, recording};
use crate::support::{Run, SandboxServer, TestDir};

const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const RAY: &str = "8f00ba4c1d2e3f40-FRA";

/// Starts a server with a constant response.
fn constant(status: u16, body: String) -> SandboxServer {
    SandboxServer::reacting(move |_, _| {
        let mut response = answer(status, &body);
        for (name, value) in [("cf-ray", RAY), ("retry-after", "86400")] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Reaction::TestResponse(response)
    })
}

/// Runs `get` against a server with a constant response.
fn get(what: &str, status: u16, body: String) -> Run {
    let server = constant(status, body);
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
    workplace.run(&["get", what])
}

#[test]
fn each_recorded_error_has_its_message_and_exit_code() {
    let mut told = String::new();
    for name in recorded_errors() {
        // Unknown statuses must not matter.
        let statuses = match name[..3].parse() {
            Ok(status) => vec![status],
            Err(_) => vec![400, 401, 403],
        };
        let runs = statuses
            .iter()
            .map(|status| get("behaviors", *status, recording(&name)));
        let runs: Vec<Run> = runs.collect();
        let same = runs.iter().all(|run| run.code == runs[0].code);
        assert!(same || name.ends_with("verify"), "{name}");
        let path = format!("/accounts/{ACCOUNT}/zt_risk_scoring");
        let stderr = runs[0].stderr.replace(&path, "…");
        told.push_str(&format!("{name}: exit {}\n{stderr}", runs[0].code));
    }
    assert_snapshot!(told);
}

#[test]
fn error_in_json_has_the_ray_and_names_the_variable() {
    let server = constant(403, recording("403-10000"));
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_PROD_TOKEN", "token");
    for (name, id) in [("a.yaml", ACCOUNT), ("b.yaml", &ACCOUNT.replace('0', "1"))] {
        let text = format!("version: 1\naccount_id: {id}\napi_token_env: CLOUDFLARE_PROD_TOKEN\n");
        workplace.write(name, &text);
    }
    let run = workplace.line("plan . --format json").exits(6);
    let error = &run.json()["accounts"][0]["error"];
    assert_eq!(error["cf_ray"], RAY, "{error}");
    assert_eq!(error["kind"], "credentials_or_permission");
    let help = error["help"].as_str().unwrap();
    assert!(
        help.starts_with(&format!("check the account ID {ACCOUNT}, then")),
        "{help}"
    );
    assert!(help.contains("CLOUDFLARE_PROD_TOKEN"), "{help}");
    let traced = workplace.line("plan . -vv");
    assert!(traced.stderr.contains(RAY), "{}", traced.stderr);
}

fn integration(number: u8) -> Value {
    json!({
        "id": format!("00000000-0000-4000-8000-00000000000{number}"), "account_tag": null, "active": true, "created_at": null,
        "integration_type": "Okta", "reference_id": null, "tenant_url": format!("https://a{number}.okta.com"),
        "well_known_url": null,
    })
}

/// Behavior of a server with a list of two pages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Paging {
    /// Honors `page`.
    Follows,
    /// Always returns the first page.
    Ignores,
    /// The second page is empty.
    EndsEarly,
}

#[test]
fn list_with_more_pages_is_complete_or_an_error() {
    let whole = json!({ "page": 1, "per_page": 2, "total_pages": 1, "total_count": 2 });
    let part = json!({ "page": 1, "per_page": 2, "total_pages": 2, "total_count": 3 });
    for (paging, info, count) in [
        (Paging::Follows, part.clone(), Some(3)),
        (Paging::Follows, json!({ "total_count": 3 }), Some(3)),
        (Paging::Ignores, part, None),
        (Paging::Ignores, json!({ "total_count": "3" }), None),
        (Paging::EndsEarly, json!({ "total_pages": 2 }), None),
        (Paging::Ignores, whole, Some(2)),
        (Paging::Ignores, json!(null), Some(2)),
    ] {
        let said = info.clone();
        let respond = move |request: Request, _: Next| {
            let query = request.uri().query().unwrap_or_default();
            let second = query.contains("page=2") && paging != Paging::Ignores;
            let result = match (second, paging) {
                (true, Paging::Follows) => json!([integration(3)]),
                (true, _) => json!([]),
                (false, _) => json!([integration(1), integration(2)]),
            };
            let mut info = said.clone();
            if info["page"].is_number() {
                info["page"] = json!(if second { 2 } else { 1 });
            }
            let body = json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info });
            async move { answer(200, body) }
        };
        let settings = Settings::default();
        let server =
            SandboxServer::behind(settings, |_, router: Router| router.layer(from_fn(respond)));
        let mut workplace = TestDir::with(&server);
        workplace.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
        let run = workplace.line("get integrations --format json");
        let case = format!("{paging:?} {info}: {}", run.shown());
        match count {
            None => assert!(
                run.code == 1 && run.stderr.contains("an incomplete list: "),
                "{case}"
            ),
            Some(count) => {
                assert_eq!(run.code, 0, "{case}");
                assert_eq!(
                    run.json()["integrations"].as_array().map(Vec::len),
                    Some(count),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn invalid_response_is_an_error_and_displayed_members_may_be_null() {
    let envelope = |result: Value| json!({ "success": true, "result": result }).to_string();
    let users = json!({ "users": [{
        "user_id": "6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11", "name": null, "email": null, "event_count": null,
        "last_event": null, "max_risk_level": "low" }] });
    let behaviors = json!({ "behaviors": { "imp_travel": {
        "name": null, "description": null, "enabled": true, "risk_level": "low" } } });
    let twice = envelope(json!([integration(1), integration(1)]));
    for (what, body, code) in [
        ("integrations", envelope(json!([integration(1)])), 0),
        ("integrations", envelope(Value::Null), 0),
        ("integrations", json!({ "success": true }).to_string(), 1),
        ("integrations", twice.clone(), 1),
        ("users", envelope(users), 0),
        ("behaviors", envelope(behaviors), 0),
    ] {
        get(what, 200, body).exits(code);
    }
    get("integrations", 200, twice)
        .says("page 1 repeats the ID 00000000-0000-4000-8000-000000000001");
}
