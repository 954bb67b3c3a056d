//! Answers in the vendor's envelope (`schema/api.md`, Transport): `{success, errors, messages, result}`.
//!
//! What the real service was seen to refuse stands in `refusal`. The codes of the 40000s are made up, since nobody published the real
//! ones; nothing may depend on them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::paging::PageInfo;
use super::recorded_errors::RecordedError;
use super::store::StoreError;

/// Answers 200 with the result.
pub(super) fn success(result: &impl Serialize) -> Response {
    succeed(&[], result, None)
}

/// Answers 200 with the result and words about it.
pub(super) fn success_with_messages(messages: &[Item], result: &impl Serialize) -> Response {
    succeed(messages, result, None)
}

/// Answers 200 with what may be one page of several.
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

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum ApiFailure {
    /// As the real service was seen to refuse.
    Refused(RecordedError),
    /// No route, or an id in it that is no id.
    NoRoute { path: String },
    /// The route is there, for other methods.
    MethodNotAllowed,
    /// No such integration.
    NoIntegration,
    /// No such user.
    NoUser,
    /// No such application.
    NoApplication,
    /// The body is larger than the sandbox reads.
    BodyTooLarge,
    /// The body says something that is not allowed.
    Body(Vec<FieldError>),
    /// The query says something that is not allowed.
    Query(String),
    /// The same of the audit log's, whose envelope differs.
    AuditQuery(String),
    /// The change was made and could not be kept.
    NotKept(StoreError),
    /// The service has a fault of its own.
    Internal,
}

/// One thing that is wrong with a body, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    /// A JSON pointer (RFC 6901) into the body.
    pub(super) pointer: String,
    /// What is wrong there.
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
            ApiFailure::Refused(_) | ApiFailure::NotKept(_) | ApiFailure::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
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
            ApiFailure::NotKept(error) => Item::new(40050, error.to_string()),
            ApiFailure::Refused(_) | ApiFailure::Internal => {
                Item::new(40050, "Internal server error")
            }
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
            // The audit log's own refusals have neither codes nor messages.
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

/// Answers with JSON, in no envelope but what it brings.
pub(super) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body)
        .expect("every result is plain data with string keys, which always has a JSON form");
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}
