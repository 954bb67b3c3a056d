//! Error responses of the real API (`schema/api.md`, Errors) and invalid responses: message, help and exit code of the real program.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use insta::assert_snapshot;
use riskform::sandbox::Settings;
use serde_json::{Value, json};

use crate::riskform::{Run, SandboxServer, TestDir};

const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// Runs the program against a server with a constant response.
fn answered(status: u16, body: String, arguments: &[&str]) -> Run {
    let server = SandboxServer::behind(Settings::default(), move |_, _| {
        Router::new().fallback(async move || {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", "application/json".parse().unwrap());
            headers.insert("cf-ray", "8f00ba4c1d2e3f40-FRA".parse().unwrap());
            headers.insert("retry-after", "86400".parse().unwrap());
            (StatusCode::from_u16(status).unwrap(), headers, body)
        })
    });
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
    let run = workplace.run(arguments);
    Run {
        stderr: run.stderr.replace(&server.base_url(), "[base]"),
        ..run
    }
}

#[test]
fn every_refusal_of_the_real_service_is_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/refusals");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut told = String::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let body = fs::read_to_string(&file).unwrap();
        // Unknown statuses must not matter.
        let statuses = match name[..3].parse() {
            Ok(status) => vec![status],
            Err(_) => vec![400, 401, 403],
        };
        let arguments = ["get", "behaviors"];
        let runs: Vec<Run> = statuses
            .iter()
            .map(|status| answered(*status, body.clone(), &arguments))
            .collect();
        if !name.ends_with("verify") {
            let codes: Vec<i32> = runs.iter().map(|run| run.code).collect();
            assert!(
                codes.iter().all(|code| *code == codes[0]),
                "{name} {codes:?}"
            );
        }
        let path = format!("/accounts/{ACCOUNT}/zt_risk_scoring");
        told.push_str(&format!(
            "{name}: exit {}\n{}",
            runs[0].code,
            runs[0].stderr.replace(&path, "…")
        ));
    }
    assert_snapshot!(told);
}

#[test]
fn the_ray_is_in_the_error_of_a_script_and_the_variable_in_the_help() {
    let body = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/refusals/403-10000.json"),
    )
    .unwrap();
    let server = SandboxServer::behind(Settings::default(), move |_, _| {
        Router::new().fallback(async move || {
            let headers = [("cf-ray", "8f00ba4c1d2e3f40-FRA")];
            (StatusCode::FORBIDDEN, headers, body)
        })
    });
    let mut workplace = TestDir::with(&server);
    workplace.set("CLOUDFLARE_PROD_TOKEN", "token");
    let file = |name: &str, id: &str| {
        let text = format!("version: 1\naccount_id: {id}\napi_token_env: CLOUDFLARE_PROD_TOKEN\n");
        workplace.write(name, &text);
    };
    file("a.yaml", ACCOUNT);
    file("b.yaml", &ACCOUNT.replace('0', "1"));
    let run = workplace.run(&["plan", ".", "--format", "json"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let error = &document["accounts"][0]["error"];
    assert_eq!(error["cf_ray"], "8f00ba4c1d2e3f40-FRA", "{error}");
    assert_eq!(error["kind"], "credentials_or_permission");
    let help = error["help"].as_str().unwrap();
    assert!(
        help.starts_with(&format!("check the account ID {ACCOUNT}, then")),
        "{help}"
    );
    assert!(help.contains("CLOUDFLARE_PROD_TOKEN"), "{help}");
    let traced = workplace.run(&["plan", ".", "-vv"]);
    assert!(
        traced.stderr.contains("8f00ba4c1d2e3f40-FRA"),
        "{}",
        traced.stderr
    );
}

fn integration(number: u8) -> Value {
    json!({
        "id": format!("00000000-0000-4000-8000-00000000000{number}"), "account_tag": null, "active": true, "created_at": null,
        "integration_type": "Okta", "reference_id": null, "tenant_url": format!("https://a{number}.okta.com"),
        "well_known_url": null,
    })
}

/// Behavior of a server with a list of two pages.
#[derive(Clone, Copy, Debug)]
enum Paging {
    /// Honors `page`.
    Follows,
    /// Always returns the first page.
    Ignores,
    /// The second page is empty.
    EndsEarly,
}

#[test]
fn a_list_that_says_there_is_more_is_read_to_its_end_or_not_at_all() {
    for (paging, info, code) in [
        (
            Paging::Follows,
            json!({ "page": 1, "per_page": 2, "total_pages": 2, "total_count": 3 }),
            0,
        ),
        (Paging::Follows, json!({ "total_count": 3 }), 0),
        (
            Paging::Ignores,
            json!({ "page": 1, "per_page": 2, "total_pages": 2, "total_count": 3 }),
            1,
        ),
        (Paging::Ignores, json!({ "total_count": "3" }), 1),
        (Paging::EndsEarly, json!({ "total_pages": 2 }), 1),
        (
            Paging::Ignores,
            json!({ "page": 1, "per_page": 2, "total_pages": 1, "total_count": 2 }),
            0,
        ),
        (Paging::Ignores, json!(null), 0),
    ] {
        let said = info.clone();
        let server = SandboxServer::behind(Settings::default(), move |_, _| {
            Router::new().fallback(async move |request: Request| {
                let second = request.uri().query().is_some_and(|query| query.contains("page=2"));
                let (result, page) = match paging {
                    Paging::Follows if second => (json!([integration(3)]), 2),
                    Paging::EndsEarly if second => (json!([]), 2),
                    _ => (json!([integration(1), integration(2)]), 1),
                };
                let mut info = said.clone();
                if info["page"].is_number() {
                    info["page"] = json!(page);
                }
                json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info })
                    .to_string()
                    .into_response()
            })
        });
        let mut workplace = TestDir::with(&server);
        workplace.set("CLOUDFLARE_ACCOUNT_ID", ACCOUNT);
        let run = workplace.run(&["get", "integrations", "--format", "json"]);
        let case = format!("{paging:?} {info}: {}", run.stderr);
        assert_eq!(run.code, code, "{case}");
        if code == 0 {
            let listed: Value = serde_json::from_str(&run.stdout).unwrap();
            let count = listed["integrations"].as_array().map(Vec::len);
            let expected = if matches!(paging, Paging::Follows) {
                3
            } else {
                2
            };
            assert_eq!(count, Some(expected), "{case}");
        } else {
            assert!(run.stderr.contains("an incomplete list: "), "{case}");
        }
    }
}

#[test]
fn answers_that_cant_be_trusted_are_errors_and_what_is_only_shown_may_be_null() {
    let envelope = |result: Value| json!({ "success": true, "result": result }).to_string();
    let twice = envelope(json!([integration(1), integration(1)]));
    let run = answered(200, twice, &["get", "integrations"]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr
            .contains("page 1 repeats the ID 00000000-0000-4000-8000-000000000001"),
        "{}",
        run.stderr
    );
    for (body, code) in [
        (envelope(json!([integration(1)])), 0),
        (envelope(Value::Null), 0),
        (json!({ "success": true }).to_string(), 1),
    ] {
        let run = answered(200, body.clone(), &["get", "integrations"]);
        assert_eq!(run.code, code, "{body}: {}", run.stderr);
    }
    let users = json!({ "users": [{
        "user_id": "6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11", "name": null, "email": null, "event_count": null,
        "last_event": null, "max_risk_level": "low" }] });
    let run = answered(200, envelope(users), &["get", "users"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let behaviors = json!({ "behaviors": { "imp_travel": {
        "name": null, "description": null, "enabled": true, "risk_level": "low" } } });
    let run = answered(200, envelope(behaviors), &["get", "behaviors"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
