//! Responses in Cloudflare's envelope (`schema/api.md`, Transport): `{success, errors, messages, result}`.
//!
//! Recorded errors of the real API are returned byte for byte. Codes 40000 and above are invented, since the real ones are unknown.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    errors: [(); 0],
    messages: &'a [Value],
    result: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<Value>,
}

/// Returns 200 with the result.
pub(super) fn success(result: &impl Serialize) -> Response {
    success_with(&[], result, None)
}

/// Returns 200 with messages, the result, and information about its page.
pub(super) fn success_with(
    messages: &[Value],
    result: &impl Serialize,
    result_info: Option<Value>,
) -> Response {
    json_response(
        StatusCode::OK,
        to_json(&Success {
            success: true,
            errors: [],
            messages,
            result,
            result_info,
        }),
    )
}

/// Returns a response with a JSON body.
pub(super) fn json_response(status: StatusCode, body: impl Into<Cow<'static, str>>) -> Response {
    let json = HeaderValue::from_static("application/json");
    let body: Cow<'static, str> = body.into();
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body)
        .expect("every result is plain data with string keys, which always has a JSON form")
}

/// An error response.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    body: Cow<'static, str>,
}

impl ApiError {
    /// Creates an error with one code and message.
    pub(super) fn new(status: StatusCode, code: u32, message: &str) -> Self {
        ApiError::with(status, &[json!({ "code": code, "message": message })])
    }

    /// Creates the error of a body with these errors.
    pub(super) fn invalid_body(errors: &[Value]) -> Self {
        ApiError::with(StatusCode::BAD_REQUEST, errors)
    }

    /// Creates the error of an unknown route, or of an invalid ID in the path.
    pub(super) fn no_route(path: &str) -> Self {
        let message =
            format!("Could not route to {path}, perhaps your object identifier is invalid?");
        ApiError::new(StatusCode::NOT_FOUND, 7003, &message)
    }

    /// Creates an error of the audit log, which has no codes and messages.
    pub(super) fn invalid_query(message: &str) -> Self {
        let body = json!({ "success": false, "errors": [{ "message": message }] });
        ApiError {
            status: StatusCode::BAD_REQUEST,
            body: body.to_string().into(),
        }
    }

    fn with(status: StatusCode, errors: &[Value]) -> Self {
        let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
        ApiError {
            status,
            body: body.to_string().into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        json_response(self.status, self.body)
    }
}

/// Defines the recorded errors. Unreported statuses are taken from an independent client.
macro_rules! recorded_errors {
    ($($(#[$attribute:meta])* $name:ident = $status:ident $file:literal;)+) => {
        impl ApiError {
            $($(#[$attribute])* pub(super) const $name: ApiError = ApiError {
                status: StatusCode::$status,
                body: Cow::Borrowed(include_str!(concat!("recordings/errors/", $file, ".json"))),
            };)+
        }
    };
}

recorded_errors! {
    /// Missing credentials. Without `messages` and `result`.
    NO_CREDENTIALS = BAD_REQUEST "400-9106";
    /// Malformed email address and key.
    MALFORMED_PAIR = BAD_REQUEST "400-6003-6102-6103";
    /// Malformed key of the legacy pair.
    MALFORMED_KEY = BAD_REQUEST "400-6003-6103";
    /// A malformed token.
    MALFORMED_TOKEN = BAD_REQUEST "400-6003-6111";
    /// The legacy pair is invalid, restricted or lacks the permission.
    PAIR_REJECTED = BAD_REQUEST "400-10000";
    /// The token is invalid, restricted or lacks the permission (the API does not distinguish them).
    CREDENTIALS_OR_PERMISSION = FORBIDDEN "403-10000";
    /// The token is invalid or expired.
    INVALID_TOKEN = UNAUTHORIZED "4xx-9109-token";
    /// The account is not entitled to risk scoring.
    NOT_ENTITLED = FORBIDDEN "403-3314";
    /// Verification: unknown token.
    INVALID_TOKEN_TO_VERIFY = UNAUTHORIZED "401-1000-verify";
    /// Verification: no token, or the legacy pair.
    NO_TOKEN_TO_VERIFY = BAD_REQUEST "4xx-1001-verify";
    /// Rate limit exceeded; current wording.
    RATE_LIMITED = TOO_MANY_REQUESTS "429-971";
}
