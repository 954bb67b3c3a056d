//! The documents at an integration's `well_known_url` (`schema/api.md`, Integrations): transmitter configuration and keys.
//!
//! They belong to a different service without authentication. The sandbox serves them at the same paths, so clients must replace the host
//! with the sandbox's address.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::envelope::json_response;
use super::{BASE_PATH, Sandbox};
use crate::model::integration::IntegrationId;
use crate::model::open_enum::string_enum;

/// Paths of the transmitter configuration and of its keys.
pub(super) const CONFIGURATION: &str = "/.well-known/sse-configuration/{integration_id}";
pub(super) const KEYS: &str = "/{integration_id}/jwks.json";

const HOST: &str = "https://ssf.risk-score.teams.cloudflare.com";

/// Size of a document that readers should reject.
const TOO_LARGE: usize = 2 * 1024 * 1024;

string_enum! {
    /// A violation of the standard.
    SsfFlaw {
        /// 404.
        Missing = "missing",
        /// A redirect to another host.
        Redirect = "redirect",
        /// Wrong content type.
        ContentType = "content_type",
        /// Not JSON.
        NotJson = "not_json",
        /// JSON, but not an object.
        NoObject = "no_object",
        /// Too large.
        TooLarge = "too_large",
        /// A member that is an empty array.
        EmptyArray = "empty_array",
        /// No issuer.
        NoIssuer = "no_issuer",
        /// An issuer without https.
        HttpIssuer = "http_issuer",
        /// An issuer with a query.
        QueryIssuer = "query_issuer",
        /// An issuer with a fragment.
        FragmentIssuer = "fragment_issuer",
        /// An issuer that does not match the URL.
        OtherIssuer = "other_issuer",
        /// No `jwks_uri`.
        NoJwksUri = "no_jwks_uri",
        /// A `jwks_uri` without https.
        HttpJwksUri = "http_jwks_uri",
        /// No delivery methods, which is allowed.
        NoDeliveryMethods = "no_delivery_methods",
        /// Delivery methods without push.
        NoPush = "no_push",
        /// An endpoint without https.
        HttpEndpoint = "http_endpoint",
        /// The keys: 404.
        KeysMissing = "keys_missing",
        /// The keys: a redirect to another host.
        KeysRedirect = "keys_redirect",
        /// The keys: wrong content type.
        KeysContentType = "keys_content_type",
        /// The keys: not JSON.
        KeysNotJson = "keys_not_json",
        /// The keys: too large.
        KeysTooLarge = "keys_too_large",
        /// No keys.
        NoKeys = "no_keys",
        /// No RSA key.
        NoRsaKey = "no_rsa_key",
        /// An RSA key for encryption only.
        EncryptionKey = "encryption_key",
        /// An RSA key for the wrong algorithm.
        OtherAlgorithm = "other_algorithm",
        /// A key without an id.
        NoKeyId = "no_key_id",
    }
}

/// Returns true if the URI is one of these documents.
pub(super) fn is_about(uri: &Uri) -> bool {
    let path = uri.path();
    let path = path.strip_prefix(BASE_PATH).unwrap_or(path);
    path.starts_with("/.well-known/") || path.ends_with("/jwks.json")
}

pub(super) async fn configuration(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if !sandbox.knows_integration(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let issuer = format!("{HOST}/{id}");
    let mut document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks.json"),
        "delivery_methods_supported": ["https://schemas.openid.net/secevent/risc/delivery-method/push"],
    });
    let mut set = |name: &str, value: Value| document[name] = value;
    match request.extensions().get::<SsfFlaw>() {
        Some(SsfFlaw::Missing) => return StatusCode::NOT_FOUND.into_response(),
        Some(SsfFlaw::Redirect) => return elsewhere(),
        Some(SsfFlaw::ContentType) => return as_html(&document),
        Some(SsfFlaw::NotJson) => return no_json(),
        Some(SsfFlaw::NoObject) => document = json!([document]),
        Some(SsfFlaw::TooLarge) => set("padding", json!(" ".repeat(TOO_LARGE))),
        Some(SsfFlaw::EmptyArray) => set("critical_subject_members", json!([])),
        Some(SsfFlaw::NoIssuer) => remove(&mut document, "issuer"),
        Some(SsfFlaw::HttpIssuer) => set("issuer", json!(issuer.replace("https:", "http:"))),
        Some(SsfFlaw::QueryIssuer) => set("issuer", json!(format!("{issuer}?a=b"))),
        Some(SsfFlaw::FragmentIssuer) => set("issuer", json!(format!("{issuer}#a"))),
        Some(SsfFlaw::OtherIssuer) => set("issuer", json!(HOST)),
        Some(SsfFlaw::NoJwksUri) => remove(&mut document, "jwks_uri"),
        Some(SsfFlaw::HttpJwksUri) => set("jwks_uri", json!("http://ssf.example.com/jwks.json")),
        Some(SsfFlaw::NoDeliveryMethods) => remove(&mut document, "delivery_methods_supported"),
        Some(SsfFlaw::NoPush) => {
            set("delivery_methods_supported", json!(["urn:ietf:rfc:8936"]));
        }
        Some(SsfFlaw::HttpEndpoint) => {
            set("status_endpoint", json!("http://ssf.example.com/status"));
        }
        // Flaws of the keys, or none.
        _ => {}
    }
    json_response(StatusCode::OK, &document)
}

pub(super) async fn keys(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if !sandbox.knows_integration(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut document: Value = serde_json::from_str(include_str!("recordings/ssf_jwks.json"))
        .expect("the built-in keys are read by a test");
    let key = &mut document["keys"][0];
    match request.extensions().get::<SsfFlaw>() {
        Some(SsfFlaw::KeysMissing) => return StatusCode::NOT_FOUND.into_response(),
        Some(SsfFlaw::KeysRedirect) => return elsewhere(),
        Some(SsfFlaw::KeysContentType) => return as_html(&document),
        Some(SsfFlaw::KeysNotJson) => return no_json(),
        Some(SsfFlaw::KeysTooLarge) => document["padding"] = json!(" ".repeat(TOO_LARGE)),
        Some(SsfFlaw::NoKeys) => document["keys"] = json!([]),
        Some(SsfFlaw::NoRsaKey) => key["kty"] = json!("EC"),
        Some(SsfFlaw::EncryptionKey) => key["use"] = json!("enc"),
        Some(SsfFlaw::OtherAlgorithm) => key["alg"] = json!("PS256"),
        Some(SsfFlaw::NoKeyId) => remove(key, "kid"),
        // The flaws of the configuration, and none.
        _ => {}
    }
    json_response(StatusCode::OK, &document)
}

fn remove(document: &mut Value, name: &str) {
    if let Some(members) = document.as_object_mut() {
        members.remove(name);
    }
}

fn elsewhere() -> Response {
    let location = HeaderValue::from_static("https://ssf.example.com/elsewhere");
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn as_html(document: &Value) -> Response {
    let html = HeaderValue::from_static("text/html");
    ([(header::CONTENT_TYPE, html)], document.to_string()).into_response()
}

fn no_json() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], "<html>").into_response()
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
