//! Validates responses against `schema/openapi.yaml`, in particular all responses of a served sandbox.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use jsonschema::Validator;
use riskform::sandbox::BASE_PATH;
use serde_json::{Value, json};

/// Checks the responses of a router. Clones share their findings.
#[derive(Clone, Debug, Default)]
pub struct Conformance(Arc<Mutex<Vec<String>>>);

impl Conformance {
    /// Returns the router, whose responses are checked from now on.
    pub fn check(&self, router: Router) -> Router {
        let found = Arc::clone(&self.0);
        let document = OpenApi::tolerant();
        router.layer(from_fn(move |mut request: Request, next: Next| {
            let (found, document) = (Arc::clone(&found), Arc::clone(&document));
            // The check needs an uncompressed response.
            request.headers_mut().remove(header::ACCEPT_ENCODING);
            async move {
                let (method, path) = (request.method().clone(), request.uri().to_string());
                let (parts, body) = next.run(request).await.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let path = path.strip_prefix(BASE_PATH).unwrap_or(&path);
                let problem = match serde_json::from_slice(&body) {
                    Ok(json) => document.problem(&method, path, parts.status, &json),
                    Err(error) => Some(format!("{method} {path}: {error}")),
                };
                found.lock().unwrap().extend(problem);
                Response::from_parts(parts, Body::from(body))
            }
        }))
    }

    /// Panics if a response was not as the document says.
    pub fn assert(&self) {
        let found = self.0.lock().unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The document, with `nullable` converted to JSON Schema.
pub struct OpenApi {
    document: Value,
    /// Validators by schema.
    validators: Mutex<HashMap<String, Validator>>,
}

impl OpenApi {
    /// Reads the document, with all values that its `x-tolerate` members allow.
    pub fn tolerant() -> Arc<Self> {
        // Cached, because compiling the schemas is slower than all checks.
        static READ: LazyLock<Arc<OpenApi>> = LazyLock::new(|| {
            let document = include_str!("../../../schema/openapi.yaml");
            let mut document = serde_yaml::from_str(document).unwrap();
            tolerate(&mut document);
            Arc::new(OpenApi {
                document,
                validators: Mutex::default(),
            })
        });
        Arc::clone(&READ)
    }

    /// Returns ID, method and path template of all operations.
    pub fn operations(&self) -> Vec<(String, Method, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let mut operations = Vec::new();
        // The sandbox has no history of entries, and the SSF document belongs to another service.
        let served = paths
            .iter()
            .filter(|(path, _)| !path.ends_with("/history") && !path.starts_with("/.well-known"));
        for (template, item) in served {
            for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
                if let Some(operation) = item.get(method.as_str().to_lowercase()) {
                    let id = operation["operationId"].as_str().unwrap();
                    operations.push((id.to_owned(), method, template.clone()));
                }
            }
        }
        operations
    }

    /// Returns the operation of a request: the matching template with the fewest parameters.
    pub fn operation(&self, method: &Method, path: &str) -> Option<String> {
        let fitting = self
            .operations()
            .into_iter()
            .filter(|(_, of, template)| of == method && fits(template, path));
        fitting
            .min_by_key(|(_, _, template)| template.matches('{').count())
            .map(|(id, _, _)| id)
    }

    /// Panics if the document does not allow the response.
    pub fn check(&self, method: &Method, path: &str, status: StatusCode, body: &Value) {
        if let Some(problem) = self.problem(method, path, status, body) {
            panic!("{problem} in {body:#}");
        }
    }

    /// Returns a message if the document does not allow the response. Responses without an operation must at least be envelopes.
    fn problem(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        body: &Value,
    ) -> Option<String> {
        let place = format!("{method} {path} -> {status}");
        let schema = match self.operation(method, path) {
            Some(id) => self.response_schema(&id, status),
            None if status.is_success() => {
                Some(json!({ "$ref": "#/components/schemas/response-common" }))
            }
            None => Some(json!({ "$ref": "#/components/schemas/response-failure" })),
        };
        let Some(schema) = schema else {
            return Some(format!("{place}: no such response in the document"));
        };
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let schema = json!({ "components": self.document["components"], "allOf": [schema] });
            jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap()
        });
        let errors: Vec<_> = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        (!errors.is_empty()).then(|| format!("{place}: {errors:#?}"))
    }

    fn response_schema(&self, id: &str, status: StatusCode) -> Option<Value> {
        let operation = self.document["paths"]
            .as_object()?
            .values()
            .flat_map(|item| item.as_object().into_iter().flatten())
            .find(|(_, operation)| operation["operationId"] == id)?
            .1;
        let responses = operation["responses"].as_object()?;
        let class = format!("{}XX", status.as_u16() / 100);
        let response = responses
            .get(status.as_str())
            .or_else(|| responses.get(&class))?;
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#'))?,
            None => response,
        };
        Some(response["content"]["application/json"]["schema"].clone())
    }
}

fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(wanted, found)| wanted.starts_with('{') || *wanted == found)
}

/// Converts OpenAPI 3.0's `nullable`, which JSON Schema does not have, and allows the values of `x-tolerate`: null, absent members, and unlisted
/// words of an `enum`.
fn tolerate(schema: &mut Value) {
    let says = |schema: &Value, what: &str| {
        let values = schema["x-tolerate"].as_array();
        values.is_some_and(|values| values.iter().any(|value| value == what))
    };
    if let Some(required) = schema["required"].as_array() {
        let absent = |name: &Value| says(&schema["properties"][name.as_str().unwrap()], "absent");
        let required = required.iter().filter(|name| !absent(name));
        schema["required"] = required.cloned().collect();
    }
    if schema["nullable"] == true || says(schema, "null") {
        schema["type"] = json!([schema["type"], "null"]);
    }
    if says(schema, "other words") {
        schema.as_object_mut().unwrap().remove("enum");
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(tolerate),
        Value::Array(items) => items.iter_mut().for_each(tolerate),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
#[should_panic(expected = "reference_id")]
fn an_answer_that_the_document_forbids_is_noticed() {
    let integration = json!({
        "id": "4cfe8442-664b-4915-acd4-b39cd65c4314", "account_tag": "", "active": true,
        "created_at": "2025-03-19T19:53:56Z", "integration_type": "Okta", "reference_id": 7,
        "tenant_url": "https://example.com", "well_known_url": "https://example.com",
    });
    let body = json!({ "success": true, "errors": [], "messages": [], "result": [integration] });
    let path = "/accounts/f037e56e89293a057740de681ac9abbe/zt_risk_scoring/integrations";
    OpenApi::tolerant().check(&Method::GET, path, StatusCode::OK, &body);
}
