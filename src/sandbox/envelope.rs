//! Answers in the vendor's envelope (`contract.md`, Transport): `{success, errors, messages, result}`.
//!
//! What the real service was seen to refuse stands in `refusal`. The codes of the 40000s are made up, since nobody published the real
//! ones; nothing may depend on them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::paging::PageInfo;
use super::refusal::Refusal;
use super::store::StoreError;

/// Answers 200 with the result.
pub(super) fn success(result: &impl Serialize) -> Response {
    succeed(&[], result, None)
}

/// Answers 200 with the result and words about it.
pub(super) fn success_saying(messages: &[Item], result: &impl Serialize) -> Response {
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
pub(super) enum Failure {
    /// As the real service was seen to refuse.
    Refused(Refusal),
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
    Body(Vec<Complaint>),
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
pub(super) struct Complaint {
    /// A JSON pointer (RFC 6901) into the body.
    pub(super) pointer: String,
    /// What is wrong there.
    pub(super) message: String,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Failure::NoRoute { .. }
            | Failure::NoIntegration
            | Failure::NoUser
            | Failure::NoApplication => StatusCode::NOT_FOUND,
            Failure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Failure::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Body(_) | Failure::Query(_) | Failure::AuditQuery(_) => {
                StatusCode::BAD_REQUEST
            }
            Failure::Refused(_) | Failure::NotKept(_) | Failure::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn items(self) -> Vec<Item> {
        let item = match self {
            Failure::NoRoute { path } => Item::new(
                7003,
                format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            ),
            Failure::MethodNotAllowed => Item::new(40005, "Method not allowed"),
            Failure::NoIntegration => Item::new(40401, "Integration not found"),
            Failure::NoUser => Item::new(40402, "User not found"),
            Failure::NoApplication => Item::new(40403, "Application not found"),
            Failure::BodyTooLarge => Item::new(40013, "Request body too large"),
            Failure::Query(message) | Failure::AuditQuery(message) => Item::new(40002, message),
            Failure::NotKept(error) => Item::new(40050, error.to_string()),
            Failure::Refused(_) | Failure::Internal => Item::new(40050, "Internal server error"),
            Failure::Body(complaints) => return complaints.into_iter().map(Item::from).collect(),
        };
        vec![item]
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Refused(refusal) => refusal.into_response(),
            // The audit log's own refusals have neither codes nor messages.
            Failure::AuditQuery(message) => json_response(
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

impl From<Complaint> for Failure {
    fn from(complaint: Complaint) -> Self {
        Failure::Body(vec![complaint])
    }
}

impl From<Vec<Complaint>> for Failure {
    fn from(complaints: Vec<Complaint>) -> Self {
        Failure::Body(complaints)
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

impl From<Complaint> for Item {
    fn from(Complaint { pointer, message }: Complaint) -> Self {
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
