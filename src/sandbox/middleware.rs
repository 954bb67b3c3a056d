//! Middleware for every request: latency, authentication, rate limit, response headers and the request log.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::auth::{Caller, authenticate};
use super::envelope::ApiFailure;
use super::recorded_errors::RecordedError;
use super::settings::Settings;
use super::ssf;
use super::state::audit_log::Author;
use super::{BASE_PATH, Sandbox};

/// Request header with the email address that the audit log shows as author.
pub const ACTOR_HEADER: &str = "sandbox-actor";

/// Request header with the interface that the audit log shows, such as `dash`.
pub const CONTEXT_HEADER: &str = "sandbox-context";

/// Maximum body size: enough for tens of thousands of behaviors.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Timers round up to whole milliseconds; this compensates for it.
const TIMER_GRANULARITY: Duration = Duration::from_micros(999);

/// A received request.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedRequest {
    /// Time since the sandbox was opened.
    pub at: Duration,
    pub method: Method,
    /// Path relative to the base path, with its query: `/accounts/…`.
    pub path: String,
    /// JSON body; `None` if it is empty or not JSON.
    pub body: Option<Value>,
    /// Whether the request had credentials of any kind.
    pub credentials: bool,
    /// Response status; `None` until there is a response.
    pub status: Option<StatusCode>,
}

const CREDENTIALS: [&str; 3] = ["authorization", "x-auth-email", "x-auth-key"];

/// Request ID and author of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestOrigin {
    pub(super) ray: String,
    pub(super) author: Author,
}

/// Processes a request.
pub(super) async fn handle_request(
    State(sandbox): State<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let latency = sandbox.settings().latency;
    sleep_until(arrived + latency / 2).await;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await;
    let received = sandbox.log().note(ReceivedRequest {
        at: sandbox.elapsed(),
        method: parts.method.clone(),
        path: path_below_base(&parts.uri),
        body: body
            .as_deref()
            .ok()
            .and_then(|body| serde_json::from_slice(body).ok()),
        credentials: CREDENTIALS
            .iter()
            .any(|name| parts.headers.contains_key(*name)),
        status: None,
    });
    let response = answer(&sandbox, parts, body, next).await;
    sandbox.log().note_answer(received, response.status());
    // Measured from arrival, so that the latency includes the processing time.
    sleep_until(arrived + latency.saturating_sub(TIMER_GRANULARITY)).await;
    response
}

async fn answer(
    sandbox: &Sandbox,
    mut parts: Parts,
    body: Result<Bytes, axum::Error>,
    next: Next,
) -> Response {
    let settings = sandbox.settings();
    let ids = sandbox.next_answer();
    // `well_known_url` belongs to a different service: no credentials, no rate limit, no API headers.
    if ssf::is_about(&parts.uri) {
        return next
            .run(Request::from_parts(
                parts,
                Body::from(body.unwrap_or_default()),
            ))
            .await;
    }
    let caller = authenticate(&parts.headers, settings);
    let token = caller.as_ref().ok().map(|caller| caller.token.as_str());
    let standing = sandbox.count_request(token);
    let blocked = standing.is_some_and(|standing| standing.blocked);
    let mut response = match (caller, body) {
        _ if blocked => RecordedError::RateLimited.into_response(),
        (Err(refusal), _) if parts.uri.path().ends_with("/tokens/verify") => {
            refusal.for_token_verify().into_response()
        }
        (Err(refusal), _) => refusal.into_response(),
        (Ok(_), Err(_)) => ApiFailure::BodyTooLarge.into_response(),
        (Ok(caller), Ok(body)) => {
            let ray = ids.ray.clone();
            let author = Author::of(&caller, &parts.headers, settings);
            parts.extensions.insert(RequestOrigin { ray, author });
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
    };
    let headers = response.headers_mut();
    if let Some(standing) = standing {
        standing.add_headers(headers);
    }
    set_cf_ray(headers, &ids.ray);
    if settings.audit_log_ids {
        let id = HeaderValue::try_from(ids.audit_log_id.to_string());
        headers.insert("cf-auditlog-id", id.expect("a UUID is a header value"));
    }
    response
}

/// Sets the `cf-ray` header.
fn set_cf_ray(headers: &mut HeaderMap, ray: &str) {
    let ray = HeaderValue::try_from(format!("{ray}-SIM"));
    headers.insert(
        "cf-ray",
        ray.expect("hexadecimal digits are a header value"),
    );
}

impl Author {
    fn of(caller: &Caller, headers: &HeaderMap, settings: &Settings) -> Self {
        let said = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let usual = match caller.email {
            Some(_) => "api_key",
            None => "api_token",
        };
        let context = said(CONTEXT_HEADER).unwrap_or_else(|| usual.to_owned());
        let owner = || match &caller.email {
            Some(email) => Some(email.clone()),
            None if settings.account_tokens.contains(&caller.token) => None,
            None => settings.owners.get(&caller.token).cloned(),
        };
        let token = (context == "api_token").then(|| {
            let id = caller.token_id();
            let name = format!("sandbox-{}", &id[..8]);
            (id, name)
        });
        Author {
            email: said(ACTOR_HEADER).or_else(owner),
            token,
            user_agent: said(header::USER_AGENT.as_str()).unwrap_or_default(),
            context,
        }
    }
}

fn path_below_base(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    path.strip_prefix(BASE_PATH).unwrap_or(path).to_owned()
}

/// Received requests, in order.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    kept: bool,
    requests: Mutex<Vec<ReceivedRequest>>,
}

impl RequestLog {
    pub(super) fn new(kept: bool) -> Self {
        RequestLog {
            kept,
            requests: Mutex::default(),
        }
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.lock().clone()
    }

    fn note(&self, request: ReceivedRequest) -> Option<usize> {
        self.kept.then(|| {
            let mut requests = self.lock();
            requests.push(request);
            requests.len() - 1
        })
    }

    fn note_answer(&self, received: Option<usize>, status: StatusCode) {
        if let Some(index) = received {
            self.lock()[index].status = Some(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ReceivedRequest>> {
        self.requests
            .lock()
            .expect("no panic while the log is locked")
    }
}
