//! Refusals of the real service, byte for byte as its users reported them (`schema/api.md`, Errors).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::open_enum::words;

/// Names each recorded body and its status. Where nobody reported the status, an independent client's is taken.
macro_rules! refusals {
    ($($(#[$attribute:meta])* $variant:ident = $file:literal, $status:ident;)+) => {
        words! {
            /// A refusal of the real service, named as its recording is: status, code, and what tells it from others.
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

refusals! {
    /// No credentials. It has no `messages` and no `result`.
    NoCredentials = "400-9106", BAD_REQUEST;
    /// The legacy pair, both halves malformed.
    MalformedPair = "400-6003-6102-6103", BAD_REQUEST;
    /// The legacy pair, its key malformed.
    MalformedKey = "400-6003-6103", BAD_REQUEST;
    /// A malformed token.
    MalformedToken = "400-6003-6111", BAD_REQUEST;
    /// The legacy pair is dead, restricted or lacks the permission.
    PairRefused = "400-10000", BAD_REQUEST;
    /// The token is dead, restricted or lacks the permission: the gateway doesn't say which.
    Undecided = "403-10000", FORBIDDEN;
    /// The same, without `messages` and `result`.
    UndecidedShort = "403-10000-short", FORBIDDEN;
    /// The token is bound to other addresses.
    OtherLocation = "403-9109-location", FORBIDDEN;
    /// The token lacks the permission.
    LacksPermission = "403-9109-resource", FORBIDDEN;
    /// The token is dead or expired.
    DeadToken = "4xx-9109-token", UNAUTHORIZED;
    /// The account has not bought risk scoring.
    NotEntitled = "403-3314", FORBIDDEN;
    /// Verifying: no such token at this place.
    InvalidToken = "401-1000-verify", UNAUTHORIZED;
    /// Verifying: the legacy pair can't be verified.
    NoTokenToVerify = "4xx-1001-verify", BAD_REQUEST;
    /// Another account id, or path.
    NoRoute = "404-7003", NOT_FOUND;
    /// Too many requests; today's wording.
    RateLimited = "429-971", TOO_MANY_REQUESTS;
    /// Too many requests; the elder wording.
    RateLimitedElder = "429-10100", TOO_MANY_REQUESTS;
}

impl RecordedError {
    /// How the routes that verify a token say it.
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
