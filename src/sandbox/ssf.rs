//! The documents at an integration's `well_known_url` (`schema/api.md`, Integrations): transmitter configuration and keys.
//!
//! They belong to a different service without authentication. The sandbox serves them at the same paths, so clients must replace the host
//! with the sandbox's address.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::envelope::json_response;
use super::{BASE_PATH, Sandbox};
use crate::model::integration::IntegrationId;

/// Paths of the transmitter configuration and of its keys.
pub(super) const CONFIGURATION: &str = "/.well-known/sse-configuration/{integration_id}";
pub(super) const KEYS: &str = "/{integration_id}/jwks.json";

const HOST: &str = "https://ssf.risk-score.teams.cloudflare.com";

/// Returns true if the URI is one of these documents.
pub(super) fn is_about(uri: &Uri) -> bool {
    let path = uri.path();
    let path = path.strip_prefix(BASE_PATH).unwrap_or(path);
    path.starts_with("/.well-known/") || path.ends_with("/jwks.json")
}

pub(super) async fn configuration(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
) -> Response {
    if !sandbox.knows_integration(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let issuer = format!("{HOST}/{id}");
    let document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks.json"),
        "delivery_methods_supported": ["https://schemas.openid.net/secevent/risc/delivery-method/push"],
    });
    json_response(StatusCode::OK, &document)
}

pub(super) async fn keys(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    if !sandbox.knows_integration(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let json = HeaderValue::from_static("application/json");
    let keys = include_str!("recordings/ssf_jwks.json");
    ([(header::CONTENT_TYPE, json)], keys).into_response()
}

impl Sandbox {
    /// Returns true if any account has an integration with this ID.
    fn knows_integration(&self, id: &str) -> bool {
        let Ok(id) = id.parse::<IntegrationId>() else {
            return false;
        };
        let world = self.world();
        world.holds_integration(id) || self.0.seed.has_integration(id)
    }
}
