//! Responses in Cloudflare's envelope (`schema/api.md`, Transport): `{success, errors, messages, result}`.
//!
//! Recorded errors of the real API are in `recorded_errors`. Codes 40000 and above are invented, since the real ones are unknown.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::paging::PageInfo;
use super::recorded_errors::RecordedError;
use super::store::StoreError;

/// Returns 200 with the result.
pub(super) fn success(result: &impl Serialize) -> Response {
    succeed(&[], result, None)
}

/// Returns 200 with the result and messages.
pub(super) fn success_with_messages(messages: &[Item], result: &impl Serialize) -> Response {
    succeed(messages, result, None)
}

/// Returns 200 with a result that may be one page of several.
pub(super) fn success_paged(result: &impl Serialize, page: Option<PageInfo>) -> Response {
    succeed(&[], result, page)
}

fn succeed(messages: &[Item], result: &impl Serialize, result_info: Option<PageInfo>) -> Response {
    respond(
        StatusCode::OK,
        &Envelope {
            success: true,
            errors: &[],
            messages,
            result,
            result_info,
        },
    )
}

/// Failure of a request.
#[derive(Debug)]
pub(super) enum ApiFailure {
    /// A recorded error of the real API.
    Refused(RecordedError),
    /// Unknown route, or an invalid ID in the path.
    NoRoute { path: String },
    /// The route exists for other methods.
    MethodNotAllowed,
    /// Unknown integration.
    NoIntegration,
    /// Unknown user.
    NoUser,
    /// Unknown application.
    NoApplication,
    /// The body exceeds the limit.
    BodyTooLarge,
    /// Invalid body.
    Body(Vec<FieldError>),
    /// Invalid query.
    Query(String),
    /// Invalid query of the audit log, whose envelope differs.
    AuditQuery(String),
    /// The change could not be saved.
    NotSaved(StoreError),
}

/// An error in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    /// A JSON pointer (RFC 6901) into the body.
    pub(super) pointer: String,
    pub(super) message: String,
}

impl ApiFailure {
    fn status(&self) -> StatusCode {
        match self {
            ApiFailure::NoRoute { .. }
            | ApiFailure::NoIntegration
            | ApiFailure::NoUser
            | ApiFailure::NoApplication => StatusCode::NOT_FOUND,
            ApiFailure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiFailure::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiFailure::Body(_) | ApiFailure::Query(_) | ApiFailure::AuditQuery(_) => {
                StatusCode::BAD_REQUEST
            }
            ApiFailure::Refused(_) | ApiFailure::NotSaved(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn items(self) -> Vec<Item> {
        let item = match self {
            ApiFailure::NoRoute { path } => Item::new(
                7003,
                format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            ),
            ApiFailure::MethodNotAllowed => Item::new(40005, "Method not allowed"),
            ApiFailure::NoIntegration => Item::new(40401, "Integration not found"),
            ApiFailure::NoUser => Item::new(40402, "User not found"),
            ApiFailure::NoApplication => Item::new(40403, "Application not found"),
            ApiFailure::BodyTooLarge => Item::new(40013, "Request body too large"),
            ApiFailure::Query(message) | ApiFailure::AuditQuery(message) => {
                Item::new(40002, message)
            }
            ApiFailure::NotSaved(error) => Item::new(40050, error.to_string()),
            ApiFailure::Refused(_) => Item::new(40050, "Internal server error"),
            ApiFailure::Body(complaints) => {
                return complaints.into_iter().map(Item::from).collect();
            }
        };
        vec![item]
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        match self {
            ApiFailure::Refused(refusal) => refusal.into_response(),
            // Errors of the audit log have no codes or messages.
            ApiFailure::AuditQuery(message) => json_response(
                StatusCode::BAD_REQUEST,
                &json!({ "success": false, "errors": [{ "message": message }] }),
            ),
            failure => {
                let status = failure.status();
                respond(
                    status,
                    &Envelope {
                        success: false,
                        errors: &failure.items(),
                        messages: &[],
                        result: &(),
                        result_info: None,
                    },
                )
            }
        }
    }
}

impl From<FieldError> for ApiFailure {
    fn from(complaint: FieldError) -> Self {
        ApiFailure::Body(vec![complaint])
    }
}

impl From<Vec<FieldError>> for ApiFailure {
    fn from(complaints: Vec<FieldError>) -> Self {
        ApiFailure::Body(complaints)
    }
}

/// One entry of `errors` or `messages`.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    code: u32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Debug, Serialize)]
struct Source {
    pointer: String,
}

impl Item {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Item {
            code,
            message: message.into(),
            source: None,
        }
    }
}

impl From<FieldError> for Item {
    fn from(FieldError { pointer, message }: FieldError) -> Self {
        Item {
            code: 40001,
            message,
            source: Some(Source { pointer }),
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    success: bool,
    errors: &'a [Item],
    messages: &'a [Item],
    result: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<PageInfo>,
}

fn respond(status: StatusCode, envelope: &Envelope<'_, impl Serialize>) -> Response {
    json_response(status, envelope)
}

/// Returns JSON without an envelope.
pub(super) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body)
        .expect("every result is plain data with string keys, which always has a JSON form");
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}
