//! Layers around the sandbox's router: recorded requests, and responses that differ from the sandbox's.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use riskform::sandbox::BASE_PATH;
use serde_json::{Value, json};

/// A received request.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    pub method: Method,
    /// Path relative to the base path, with its query: `/accounts/…`.
    pub path: String,
    /// JSON body; `None` if it is empty or not JSON.
    pub body: Option<Value>,
    /// Response status; `None` until there is a response.
    pub status: Option<StatusCode>,
}

/// Received requests, in order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Vec<ReceivedRequest>>>);

impl RequestLog {
    /// Returns the router, which records all requests from now on.
    pub fn record(&self, router: Router) -> Router {
        let log = Arc::clone(&self.0);
        router.layer(from_fn(move |request: Request, next: Next| {
            let log = Arc::clone(&log);
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let uri = parts.uri.path_and_query().unwrap().as_str();
                let index = {
                    let mut log = log.lock().unwrap();
                    log.push(ReceivedRequest {
                        method: parts.method.clone(),
                        path: uri.strip_prefix(BASE_PATH).unwrap_or(uri).to_owned(),
                        body: serde_json::from_slice(&body).ok(),
                        status: None,
                    });
                    log.len() - 1
                };
                let request = Request::from_parts(parts, Body::from(body));
                let response = next.run(request).await;
                log.lock().unwrap()[index].status = Some(response.status());
                response
            }
        }))
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.0.lock().unwrap().clone()
    }
}

/// Treatment of a request by [`react`].
pub enum Reaction {
    /// The sandbox answers.
    Pass,
    /// This is the response, and the sandbox does not see the request.
    TestResponse(Response),
    /// The sandbox answers after this time.
    Wait(Duration),
}

/// Treats each request as the function says, by method and path without the base path.
pub fn react(
    router: Router,
    reaction: impl Fn(&Method, &str) -> Reaction + Clone + Send + Sync + 'static,
) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let path = request.uri().path();
        let path = path.strip_prefix(BASE_PATH).unwrap_or(path);
        let reaction = reaction(request.method(), path);
        async move {
            match reaction {
                Reaction::Pass => next.run(request).await,
                Reaction::TestResponse(response) => response,
                Reaction::Wait(time) => {
                    tokio::time::sleep(time).await;
                    next.run(request).await
                }
            }
        }
    }))
}

/// Returns a JSON response.
pub fn answer(status: u16, body: impl ToString) -> Response {
    let response = Response::builder().status(status);
    let response = response.header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

/// Returns a successful response with this result.
pub fn success(result: impl Into<Value>) -> Response {
    answer(
        200,
        json!({ "success": true, "errors": [], "messages": [], "result": result.into() }),
    )
}

/// Returns an error of the API.
pub fn failure(status: u16, code: u32, message: &str) -> Response {
    let error = json!({ "code": code, "message": message });
    answer(
        status,
        json!({ "success": false, "errors": [error], "messages": [], "result": null }),
    )
}

/// Passes the response to each request with this method through a function.
pub fn after(
    router: Router,
    method: Method,
    then: impl Fn(Response) -> Response + Clone + Send + Sync + 'static,
) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let then = Some(then.clone()).filter(|_| *request.method() == method);
        async move {
            let response = next.run(request).await;
            match then {
                Some(then) => then(response),
                None => response,
            }
        }
    }))
}

/// Changes the JSON of each successful response to a path that contains the text.
pub fn change_json(
    router: Router,
    path: &'static str,
    change: impl Fn(&mut Value) + Clone + Send + Sync + 'static,
) -> Router {
    router.layer(from_fn(move |mut request: Request, next: Next| {
        let change = change.clone();
        async move {
            // Compressed responses could not be changed.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
            let concerned = request.uri().path().contains(path);
            let response = next.run(request).await;
            if !concerned || !response.status().is_success() {
                return response;
            }
            let (mut parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let mut json: Value = serde_json::from_slice(&body).unwrap();
            change(&mut json);
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(json.to_string()))
        }
    }))
}

/// Answers each request to a path that contains the text with a recorded error.
pub fn reject(router: Router, path: &'static str, error: &'static str) -> Router {
    react(router, move |_, requested| match requested.contains(path) {
        true => Reaction::TestResponse(recorded_error(error)),
        false => Reaction::Pass,
    })
}

/// Returns a recorded error of the real API, named by its status and code. An unreported status is taken from an independent client.
pub fn recorded_error(name: &str) -> Response {
    let status = match name.split('-').next().unwrap() {
        "4xx" if name.ends_with("verify") => "400",
        "4xx" => "401",
        status => status,
    };
    answer(status.parse().unwrap(), recording(name))
}

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/recordings/errors");

/// Returns a recorded error by its name.
pub fn recording(name: &str) -> String {
    fs::read_to_string(format!("{RECORDINGS}/{name}.json")).unwrap()
}

/// Returns the names of all recorded errors.
pub fn recorded_errors() -> Vec<String> {
    let entries = fs::read_dir(RECORDINGS).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let names = names.into_iter().map(|name| name.replace(".json", ""));
    names.collect()
}

#[test]
fn recorded_errors_have_the_codes_of_their_names() {
    let names = recorded_errors();
    assert_eq!(names.len(), 16);
    for name in names {
        let body: Value = serde_json::from_str(&recording(&name)).unwrap();
        let error = &body["errors"][0];
        let chain = error["error_chain"].as_array().into_iter().flatten();
        let codes = [error]
            .into_iter()
            .chain(chain)
            .map(|error| error["code"].to_string());
        let named = name
            .split('-')
            .skip(1)
            .filter(|part| part.parse::<u64>().is_ok());
        assert!(codes.eq(named) && body["success"] == false, "{name}");
    }
}
