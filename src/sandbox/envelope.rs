//! Answers in the vendor's envelope (`contract.md`, Transport): `{success, errors, messages, result}`.
//!
//! The codes 3314, 7003, 9106, 1000, 9109 and 10000 are the vendor's. Those of the 40000s are made up, since nobody published the
//! real ones; nothing may depend on them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::store::StoreError;

/// Answers 200 with the result.
pub(super) fn success(result: &impl Serialize) -> Response {
    success_saying(&[], result)
}

/// Answers 200 with the result and words about it.
pub(super) fn success_saying(messages: &[Item], result: &impl Serialize) -> Response {
    respond(
        StatusCode::OK,
        &Envelope {
            success: true,
            errors: &[],
            messages,
            result,
        },
    )
}

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Neither a token nor the legacy pair was sent.
    NoCredentials,
    /// They were sent, and nobody knows them.
    InvalidCredentials,
    /// They are valid and may not do this.
    MissingPermission,
    /// They don't reach this account.
    AccountRefused,
    /// The account has not bought risk scoring.
    NotEntitled,
    /// No route, or an id in it that is no id.
    NoRoute { path: String },
    /// The route is there, for other methods.
    MethodNotAllowed,
    /// No such integration.
    NoIntegration,
    /// No such user.
    NoUser,
    /// The body is larger than the sandbox reads.
    BodyTooLarge,
    /// The body says something that is not allowed.
    Body(Vec<Complaint>),
    /// The token is blocked.
    RateLimited,
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
            Failure::NoCredentials | Failure::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Failure::MissingPermission | Failure::AccountRefused | Failure::NotEntitled => {
                StatusCode::FORBIDDEN
            }
            Failure::NoRoute { .. } | Failure::NoIntegration | Failure::NoUser => {
                StatusCode::NOT_FOUND
            }
            Failure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Failure::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Body(_) => StatusCode::BAD_REQUEST,
            Failure::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Failure::NotKept(_) | Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn items(self) -> Vec<Item> {
        let item = match self {
            Failure::NoCredentials => Item::new(
                9106,
                "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
            ),
            Failure::InvalidCredentials => Item::new(1000, "Invalid API Token"),
            Failure::MissingPermission => Item::new(10000, "Authentication error"),
            Failure::AccountRefused => Item::new(9109, "Unauthorized to access requested resource"),
            Failure::NotEntitled => Item::new(3314, "Forbidden"),
            Failure::NoRoute { path } => Item::new(
                7003,
                format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            ),
            Failure::MethodNotAllowed => Item::new(40005, "Method not allowed"),
            Failure::NoIntegration => Item::new(40401, "Integration not found"),
            Failure::NoUser => Item::new(40402, "User not found"),
            Failure::BodyTooLarge => Item::new(40013, "Request body too large"),
            Failure::RateLimited => Item::new(
                40029,
                "Rate limited. Please wait and consider throttling your request speed",
            ),
            Failure::Internal => Item::new(40050, "Internal server error"),
            Failure::NotKept(error) => Item::new(40050, error.to_string()),
            Failure::Body(complaints) => return complaints.into_iter().map(Item::from).collect(),
        };
        vec![item]
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        respond(
            status,
            &Envelope {
                success: false,
                errors: &self.items(),
                messages: &[],
                result: &(),
            },
        )
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
}

fn respond(status: StatusCode, envelope: &Envelope<'_, impl Serialize>) -> Response {
    let body = serde_json::to_vec(envelope)
        .expect("every result is plain data with string keys, which always has a JSON form");
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}
