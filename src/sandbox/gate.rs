//! What happens to every request before and after its route: latency, credentials, rate limit, the headers of every answer, the log.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::access::authenticate;
use super::envelope::Failure;
use super::{BASE_PATH, Sandbox};

/// Room for tens of thousands of behaviors; without a limit a client could fill the memory.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Timers count whole milliseconds and round up, which would make each answer as much late.
const ROUNDED_UP: Duration = Duration::from_micros(999);

/// One request as it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedRequest {
    /// When, since the sandbox was opened.
    pub at: Duration,
    /// How.
    pub method: Method,
    /// Where to, below the base path: `/accounts/…`, with its query.
    pub path: String,
    /// What it said; `None` for an empty body or one that is not JSON.
    pub body: Option<Value>,
    /// What was answered; `None` until it is.
    pub status: Option<StatusCode>,
}

/// Takes a request through.
pub(super) async fn pass(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let latency = sandbox.settings().latency;
    sleep_until(arrived + latency / 2).await;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await;
    let received = sandbox.log().note(ReceivedRequest {
        at: sandbox.elapsed(),
        method: parts.method.clone(),
        path: path_below_base(&parts.uri),
        body: body
            .as_deref()
            .ok()
            .and_then(|body| serde_json::from_slice(body).ok()),
        status: None,
    });
    let response = answer(&sandbox, parts, body, next).await;
    sandbox.log().note_answer(received, response.status());
    // Counted from the arrival, so that what answering takes is in it.
    sleep_until(arrived + latency.saturating_sub(ROUNDED_UP)).await;
    response
}

async fn answer(
    sandbox: &Sandbox,
    mut parts: Parts,
    body: Result<Bytes, axum::Error>,
    next: Next,
) -> Response {
    let caller = authenticate(&parts.headers, &sandbox.settings().tokens);
    let token = caller.as_ref().ok().map(|caller| caller.token.as_str());
    let standing = sandbox.count_request(token);
    let blocked = standing.is_some_and(|standing| standing.blocked);
    let mut response = match (caller, body) {
        _ if blocked => Failure::RateLimited.into_response(),
        (Err(failure), _) => failure.into_response(),
        (Ok(_), Err(_)) => Failure::BodyTooLarge.into_response(),
        (Ok(caller), Ok(body)) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
    };
    let headers = response.headers_mut();
    if let Some(standing) = standing {
        standing.stamp(headers);
    }
    let audit_log_id = HeaderValue::try_from(sandbox.next_audit_log_id().to_string());
    headers.insert(
        "cf-auditlog-id",
        audit_log_id.expect("a UUID is a header value"),
    );
    response
}

fn path_below_base(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    path.strip_prefix(BASE_PATH).unwrap_or(path).to_owned()
}

/// The requests that came in, in their order.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: bool,
    requests: Mutex<Vec<ReceivedRequest>>,
}

impl Log {
    pub(super) fn new(kept: bool) -> Self {
        Log {
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
            .expect("nobody panics while holding the log")
    }
}
