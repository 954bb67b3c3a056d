//! Layers around the sandbox's router: recorded requests, and responses that differ from the sandbox's.

use std::fs;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use riskform::sandbox::BASE_PATH;
use serde_json::Value;

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
    router.layer(from_fn(move |request: Request, next: Next| async move {
        if request.uri().path().contains(path) {
            recorded_error(error)
        } else {
            next.run(request).await
        }
    }))
}

/// Returns a recorded error of the real API, named by its status and code. An unreported status is taken from an independent client.
pub fn recorded_error(name: &str) -> Response {
    let status = match name.split('-').next().unwrap() {
        "4xx" if name.ends_with("verify") => "400",
        "4xx" => "401",
        status => status,
    };
    Response::builder()
        .status(status.parse::<StatusCode>().unwrap())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(recording(name)))
        .unwrap()
}

fn recording(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/recordings/errors");
    fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

#[test]
fn recorded_errors_have_the_codes_of_their_names() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/recordings/errors");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 16);
    for file in names {
        let name = file.strip_suffix(".json").unwrap();
        let body: Value = serde_json::from_str(&recording(name)).unwrap();
        assert_eq!(body["success"], false, "{name}");
        let mut parts = name.split('-').skip(1);
        let code: u64 = parts.next().unwrap().parse().unwrap();
        assert_eq!(body["errors"][0]["code"], code, "{name}");
        let chain = body["errors"][0]["error_chain"].as_array();
        let chain: Vec<String> = chain
            .into_iter()
            .flatten()
            .map(|link| link["code"].to_string())
            .collect();
        let named: Vec<&str> = parts.filter(|part| part.parse::<u64>().is_ok()).collect();
        assert_eq!(chain, named, "{name}");
    }
}
