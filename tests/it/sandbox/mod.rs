//! The simulated API: through its router in paused time, with all responses checked against the OpenAPI document; and as a command.

pub mod command;
mod routes;
mod store;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use riskform::sandbox::{BASE_PATH, DEFAULT_TOKEN, RECORDED_ACCOUNT, RateLimit, Sandbox, Settings};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::openapi::OpenApi;

/// A client that validates each response against the document.
struct Client {
    sandbox: Sandbox,
    openapi: Arc<OpenApi>,
    headers: Vec<(&'static str, String)>,
}

struct TestResponse {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl TestResponse {
    #[track_caller]
    fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        &self.body["result"]
    }

    /// Returns status, codes or pointers of an error.
    fn failure(&self) -> Value {
        let errors = self.body["errors"].as_array().unwrap();
        // Errors of the audit log have no codes.
        let codes: Vec<_> = errors.iter().map(|error| &error["code"]).collect();
        let pointers = errors
            .iter()
            .filter_map(|error| error.pointer("/source/pointer"));
        let pointers: Vec<_> = pointers.collect();
        match pointers.is_empty() {
            true => json!([self.status, codes]),
            false => json!([self.status, pointers]),
        }
    }
}

impl Client {
    fn new(settings: Settings) -> Self {
        Self::of(Sandbox::in_memory(settings))
    }

    fn of(sandbox: Sandbox) -> Self {
        Client {
            openapi: OpenApi::tolerant(),
            sandbox,
            headers: vec![("authorization", format!("Bearer {DEFAULT_TOKEN}"))],
        }
    }

    /// Sends these headers instead of the default token.
    fn with_headers(mut self, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        self.headers = headers.collect();
        self
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> TestResponse {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send_text(method, path, body).await
    }

    async fn send_text(&self, method: Method, path: &str, body: String) -> TestResponse {
        let answer = self.send_unchecked(method.clone(), path, body).await;
        let status = StatusCode::from_u16(answer.status).unwrap();
        self.openapi.check(&method, path, status, &answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(
            answer.headers.contains_key("cf-auditlog-id"),
            "{method} {path}"
        );
        let (ray, place) = answer.headers["cf-ray"]
            .to_str()
            .unwrap()
            .split_once('-')
            .unwrap();
        assert!(
            u64::from_str_radix(ray, 16).is_ok() && !place.is_empty(),
            "{ray}"
        );
        let limited = self.sandbox.settings().rate_limit != RateLimit::Off;
        for name in ["ratelimit", "ratelimit-policy"] {
            assert_eq!(
                answer.headers.contains_key(name),
                limited,
                "{method} {path}: {name}"
            );
        }
        answer
    }

    /// Sends a request whose response is not in the document.
    async fn send_unchecked(&self, method: Method, path: &str, body: String) -> TestResponse {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{BASE_PATH}{path}"));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.sandbox.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        TestResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn get(&self, path: &str) -> TestResponse {
        self.send(Method::GET, path, Value::Null).await
    }

    /// Creates an integration of a tenant with additional fields.
    async fn create(&self, tenant_url: &str, fields: Value) -> TestResponse {
        let mut body = json!({ "integration_type": "Okta", "tenant_url": tenant_url });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.send(Method::POST, &scoring("integrations"), body)
            .await
    }
}

/// Returns a risk-scoring path of the recorded account.
fn scoring(rest: &str) -> String {
    format!("/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/{rest}")
}
