//! The simulated API: through its router in paused time, with all responses checked against the OpenAPI document; and as a
//! command. `faults` and `layers` change its responses for other tests.

pub mod command;
mod fault_tests;
pub mod faults;
pub mod layers;
mod openapi;
mod routes;
mod store;
mod surroundings;
mod tour;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use riskform::model::account::AccountId;
use riskform::sandbox::{BASE_PATH, DEFAULT_TOKEN, RECORDED_ACCOUNT, RateLimit, Sandbox, Settings};
use serde_json::{Value, json};
use tower::ServiceExt;

use openapi::OpenApi;

/// A client that validates each response against the document.
struct Client {
    sandbox: Sandbox,
    router: Router,
    openapi: Arc<OpenApi>,
    headers: HeaderMap,
    /// Operations with the status of their responses.
    seen: Mutex<BTreeSet<(String, u16)>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        &self.body["result"]
    }

    /// Returns status, codes and pointers of an error.
    fn failure(&self) -> Value {
        let errors = self.body["errors"].as_array().unwrap();
        // Errors of the audit log have no codes.
        let codes: Vec<_> = errors.iter().map(|error| &error["code"]).collect();
        let pointers: Vec<_> = errors
            .iter()
            .filter_map(|error| error.pointer("/source/pointer"))
            .collect();
        if pointers.is_empty() {
            json!([self.status, codes])
        } else {
            json!([self.status, pointers])
        }
    }
}

impl Client {
    fn new(settings: Settings) -> Self {
        Self::of(Sandbox::in_memory(settings))
    }

    fn of(sandbox: Sandbox) -> Self {
        let authorization = format!("Bearer {DEFAULT_TOKEN}").parse().unwrap();
        Client {
            openapi: OpenApi::allowing(sandbox.settings().unset_reference),
            router: sandbox.router(),
            sandbox,
            headers: HeaderMap::from_iter([(header::AUTHORIZATION, authorization)]),
            seen: Mutex::default(),
        }
    }

    /// Sends these headers instead of the default token.
    fn with_headers(mut self, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        self.headers = headers.collect();
        self
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send_text(method, path, body).await
    }

    async fn send_text(&self, method: Method, path: &str, body: String) -> Answer {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{BASE_PATH}{path}"));
        *request.headers_mut().unwrap() = self.headers.clone();
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        self.check(&method, path, parts.status, &parts.headers, &body);
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    fn check(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Value,
    ) {
        self.openapi.check(method, path, status, body);
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert!(headers.contains_key("cf-auditlog-id"), "{method} {path}");
        let ray = headers["cf-ray"].to_str().unwrap();
        let (hex, place) = ray.split_once('-').unwrap();
        assert!(
            hex.len() == 16 && u64::from_str_radix(hex, 16).is_ok(),
            "{ray}"
        );
        assert!(!place.is_empty(), "{ray}");
        let limited = self.sandbox.settings().rate_limit != RateLimit::Off;
        for name in ["ratelimit", "ratelimit-policy"] {
            assert_eq!(
                headers.contains_key(name),
                limited,
                "{method} {path}: {name}"
            );
        }
        if let Some(operation) = self.openapi.operation(method, path) {
            self.seen
                .lock()
                .unwrap()
                .insert((operation, status.as_u16()));
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Value::Null).await
    }
}

fn account() -> AccountId {
    RECORDED_ACCOUNT.parse().unwrap()
}

/// Returns a risk-scoring path of the recorded account.
fn scoring(rest: &str) -> String {
    format!("/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/{rest}")
}
