//! Recorded error responses of the real API, byte for byte (`schema/api.md`, Errors).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::open_enum::string_enum;

/// Defines each recorded body and its status. Unreported statuses are taken from an independent client.
macro_rules! recorded_errors {
    ($($(#[$attribute:meta])* $variant:ident = $file:literal, $status:ident;)+) => {
        string_enum! {
            /// A recorded error of the real API, named after its recording: status, code and detail.
            RecordedError {
                $($(#[$attribute])* $variant = $file),+
            }
        }

        impl RecordedError {
            fn recorded(self) -> (StatusCode, &'static str) {
                match self {
                    $(RecordedError::$variant => (
                        StatusCode::$status,
                        include_str!(concat!("recordings/errors/", $file, ".json")),
                    )),+
                }
            }
        }
    };
}

recorded_errors! {
    /// No credentials. Without `messages` and `result`.
    NoCredentials = "400-9106", BAD_REQUEST;
    /// Malformed email address and key.
    MalformedPair = "400-6003-6102-6103", BAD_REQUEST;
    /// Malformed key of the legacy pair.
    MalformedKey = "400-6003-6103", BAD_REQUEST;
    /// A malformed token.
    MalformedToken = "400-6003-6111", BAD_REQUEST;
    /// The legacy pair is invalid, restricted or lacks the permission.
    PairRefused = "400-10000", BAD_REQUEST;
    /// The token is invalid, restricted or lacks the permission (the API does not say which).
    Undecided = "403-10000", FORBIDDEN;
    /// Like `Undecided`, without `messages` and `result`.
    UndecidedShort = "403-10000-short", FORBIDDEN;
    /// The token is restricted to other IP addresses.
    OtherLocation = "403-9109-location", FORBIDDEN;
    /// The token lacks the permission.
    LacksPermission = "403-9109-resource", FORBIDDEN;
    /// The token is invalid or expired.
    DeadToken = "4xx-9109-token", UNAUTHORIZED;
    /// The account is not entitled to risk scoring.
    NotEntitled = "403-3314", FORBIDDEN;
    /// Verification: unknown token at this endpoint.
    InvalidToken = "401-1000-verify", UNAUTHORIZED;
    /// Verification: not possible with the legacy pair.
    NoTokenToVerify = "4xx-1001-verify", BAD_REQUEST;
    /// Unknown account ID or path.
    NoRoute = "404-7003", NOT_FOUND;
    /// Rate limit exceeded; current wording.
    RateLimited = "429-971", TOO_MANY_REQUESTS;
    /// Rate limit exceeded; older wording.
    RateLimitedElder = "429-10100", TOO_MANY_REQUESTS;
}

impl RecordedError {
    /// Returns the error that token verification sends instead.
    pub(super) fn for_token_verify(self) -> Self {
        match self {
            RecordedError::NoCredentials | RecordedError::PairRefused => {
                RecordedError::NoTokenToVerify
            }
            RecordedError::DeadToken => RecordedError::InvalidToken,
            other => other,
        }
    }
}

impl IntoResponse for RecordedError {
    fn into_response(self) -> Response {
        let (status, body) = self.recorded();
        let json = HeaderValue::from_static("application/json");
        (status, [(header::CONTENT_TYPE, json)], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_failure_with_the_status_and_the_codes_that_its_name_says() {
        for refusal in RecordedError::ALL {
            let (status, body) = refusal.recorded();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["success"], false, "{refusal}");
            let mut name = refusal.as_str().split('-');
            let named = name.next().unwrap();
            assert!([status.as_str(), "4xx"].contains(&named), "{refusal}");
            let code: u64 = name.next().unwrap().parse().unwrap();
            assert_eq!(body["errors"][0]["code"], code, "{refusal}");
            let chain = body["errors"][0]["error_chain"].as_array();
            let chain: Vec<_> = chain
                .into_iter()
                .flatten()
                .map(|link| link["code"].to_string())
                .collect();
            let named: Vec<_> = name.filter(|part| part.parse::<u64>().is_ok()).collect();
            assert_eq!(chain, named, "{refusal}");
        }
    }
}
