//! Every request: latency, authentication (`schema/api.md`, Transport), rate limit and headers. For the routes: permissions and IDs.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::account::{self, Account, LOG_ENTRY, RAY, RESPONSE, Stamp};
use super::audit_log::{ACTOR_HEADER, CONTEXT_HEADER};
use super::response::{ApiError, success};
use super::settings::{Permission, Settings};
use super::{BASE_PATH, Sandbox};
use crate::model::account::AccountId;

/// Maximum body size: enough for tens of thousands of behaviors.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Timers round up to whole milliseconds; this compensates for it.
const TIMER_GRANULARITY: Duration = Duration::from_micros(999);

/// A caller with valid credentials.
#[derive(Clone, Debug)]
struct Caller {
    /// The token; with the legacy pair, the key.
    token: String,
    /// The email address of the legacy pair; `None` with a token.
    email: Option<String>,
    permissions: BTreeSet<Permission>,
    /// The hexadecimal part of the response's `cf-ray`.
    ray: String,
}

/// Processes a request.
pub(super) async fn handle_request(
    State(sandbox): State<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let settings = sandbox.settings();
    sleep_until(arrived + settings.latency / 2).await;
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await;
    let number = sandbox.next_response();
    let ray = format!("{:016x}", account::uuid(RAY | number).as_u64_pair().0);
    let caller = authenticate(&parts, settings, &ray);
    let token = caller.as_ref().ok().map(|caller| caller.token.as_str());
    let limit = sandbox.count_request(token);
    let mut response = match (caller, body) {
        _ if limit.is_some_and(|limit| limit.blocked) => ApiError::RATE_LIMITED.into_response(),
        (Err(error), _) => error.into_response(),
        (Ok(_), Err(_)) => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            ApiError::new(status, 40013, "Request body too large").into_response()
        }
        (Ok(caller), Ok(body)) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
    };
    let headers = response.headers_mut();
    if let Some(limit) = limit {
        limit.add_headers(headers);
    }
    for (name, value) in [
        ("cf-ray", format!("{ray}-SIM")),
        (
            "cf-auditlog-id",
            account::uuid(RESPONSE | number).to_string(),
        ),
    ] {
        let value = HeaderValue::try_from(value);
        headers.insert(name, value.expect("digits and letters are a header value"));
    }
    // Measured from arrival, so that the latency includes the processing time.
    sleep_until(arrived + settings.latency.saturating_sub(TIMER_GRANULARITY)).await;
    response
}

/// Authenticates a request. A key is valid if it equals a valid token; any email address is accepted.
fn authenticate(parts: &Parts, settings: &Settings, ray: &str) -> Result<Caller, ApiError> {
    let verifies = parts.uri.path().ends_with("/tokens/verify");
    let text = |name| header_text(&parts.headers, name);
    let (token, email) = match (
        text(header::AUTHORIZATION.as_str()),
        text("x-auth-email"),
        text("x-auth-key"),
    ) {
        (Some(authorization), _, _) => (bearer(authorization)?, None),
        (None, Some(email), Some(_)) if !email.contains('@') => {
            return Err(ApiError::MALFORMED_PAIR);
        }
        (None, Some(_), Some("")) => return Err(ApiError::MALFORMED_KEY),
        (None, Some(email), Some(key)) => (key, Some(email.to_owned())),
        (None, _, _) if verifies => return Err(ApiError::NO_TOKEN_TO_VERIFY),
        (None, _, _) => return Err(ApiError::NO_CREDENTIALS),
    };
    Ok(Caller {
        permissions: settings
            .permissions_of(token)
            .ok_or(match (&email, verifies) {
                (None, false) => ApiError::INVALID_TOKEN,
                (None, true) => ApiError::INVALID_TOKEN_TO_VERIFY,
                (Some(_), false) => ApiError::PAIR_REJECTED,
                (Some(_), true) => ApiError::NO_TOKEN_TO_VERIFY,
            })?,
        token: token.to_owned(),
        email,
        ray: ray.to_owned(),
    })
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or_default())
}

/// Returns the token of an `Authorization` header.
fn bearer(authorization: &str) -> Result<&str, ApiError> {
    match authorization.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() =>
        {
            Ok(token.trim())
        }
        Some(_) | None => Err(ApiError::MALFORMED_TOKEN),
    }
}

/// Context of a request in a route.
pub(super) struct RequestContext {
    pub(super) sandbox: Sandbox,
    /// URI with query.
    pub(super) uri: Uri,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
    segments: HashMap<String, String>,
}

impl FromRequestParts<Sandbox> for RequestContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, sandbox: &Sandbox) -> Result<Self, ApiError> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, sandbox)
            .await
            .unwrap_or_else(|never| match never {});
        let segments = Path::from_request_parts(parts, sandbox).await;
        let Path(segments) = segments.map_err(|_| ApiError::no_route(uri.path()))?;
        // The middleware sets it for every authenticated request.
        let caller: Option<&Caller> = parts.extensions.get();
        Ok(RequestContext {
            sandbox: sandbox.clone(),
            uri,
            caller: caller.cloned().ok_or(ApiError::NO_CREDENTIALS)?,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            segments,
        })
    }
}

impl RequestContext {
    /// Returns the account ID in the path.
    pub(super) fn account_id(&self) -> Result<AccountId, ApiError> {
        let id = self.segment("account_id")?;
        id.parse().map_err(|_| self.no_route())
    }

    /// Returns the account ID after checking the permission.
    pub(super) fn account_with(&self, permission: Permission) -> Result<AccountId, ApiError> {
        let id = self.account_id()?;
        match &self.caller.email {
            _ if self.caller.permissions.contains(&permission) => Ok(id),
            Some(_) => Err(ApiError::PAIR_REJECTED),
            None => Err(ApiError::CREDENTIALS_OR_PERMISSION),
        }
    }

    /// Returns the account ID after checking the permission and the entitlement.
    pub(super) fn account(&self, permission: Permission) -> Result<AccountId, ApiError> {
        let id = self.account_with(permission)?;
        match self.sandbox.settings().no_entitlement {
            true => Err(ApiError::NOT_ENTITLED),
            false => Ok(id),
        }
    }

    /// Changes the account, logs the change and returns the result.
    pub(super) fn write(
        &self,
        body: &[u8],
        change: impl FnOnce(&AccountId, &mut Account, Stamp) -> Result<Value, ApiError>,
    ) -> Result<Response, ApiError> {
        let id = self.account(Permission::Write)?;
        let result = self.sandbox.write(&id, |account, stamp| {
            let result = change(&id, account, stamp)?;
            account.log(stamp.now, self.log_entry(&id, body, &result, stamp));
            Ok::<_, ApiError>(result)
        })?;
        Ok(success(&result))
    }

    /// Returns the audit-log entry of a write, as the API shows it. `product` and `type` are invented, as in the recording.
    fn log_entry(&self, id: &AccountId, body: &[u8], result: &Value, stamp: Stamp) -> Value {
        let header = |name| header_text(&self.headers, name);
        let (context, email) = match &self.caller.email {
            Some(email) => ("api_key", email.as_str()),
            None => ("api_token", "sandbox@example.com"),
        };
        let context = header(CONTEXT_HEADER).unwrap_or(context);
        let email = header(ACTOR_HEADER).unwrap_or(email);
        let mut actor = json!({
            "context": context, "ip_address": "192.0.2.10", "type": "user", "id": email, "email": email,
        });
        if context == "api_token" {
            let token_id = self.token_id();
            actor["token_name"] = json!(format!("sandbox-{}", &token_id[..8]));
            actor["token_id"] = json!(token_id);
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_else(|_| json!({}));
        let mut resource = json!({
            "product": "zt_risk_scoring", "type": "zt_risk_scoring", "scope": "accounts", "request": request, "response": result,
        });
        let named = ["integration_id", "user_id"].map(|name| self.segments.get(name));
        let named = named.into_iter().flatten().next().map(String::as_str);
        if let Some(id) = named.or(result["id"].as_str()) {
            resource["id"] = json!(id);
        }
        let action = match self.method {
            Method::POST => "create",
            Method::DELETE => "delete",
            _ => "update",
        };
        let path = self.uri.path();
        let path = path.strip_prefix(BASE_PATH).unwrap_or(path);
        let user_agent = header(header::USER_AGENT.as_str()).unwrap_or_default();
        json!({
            "id": account::uuid(LOG_ENTRY | stamp.serial).simple().to_string(),
            "account": { "id": id, "name": "Sandbox" },
            "action": { "description": "", "result": "success", "time": stamp.now.to_string(), "type": action },
            "actor": actor,
            "raw": {
                "cf_ray_id": self.caller.ray, "method": self.method.as_str(), "status_code": 200, "uri": path, "user_agent": user_agent,
            },
            "resource": resource,
        })
    }

    /// Returns true if the caller has the legacy pair.
    pub(super) fn has_key(&self) -> bool {
        self.caller.email.is_some()
    }

    /// Returns the public ID of the token, which does not reveal the token.
    pub(super) fn token_id(&self) -> String {
        let hash = digest(&SHA256, self.caller.token.as_bytes());
        let half = hash.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
        Uuid::from_bytes(*half).simple().to_string()
    }

    /// Parses an ID in the format of the schema (`format: uuid`). The library accepts more.
    pub(super) fn uuid<T: From<Uuid>>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.segment(name)?;
        Uuid::try_parse(text)
            .ok()
            .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
            .map(T::from)
            .ok_or_else(|| self.no_route())
    }

    pub(super) fn segment(&self, name: &str) -> Result<&str, ApiError> {
        let segment = self.segments.get(name).map(String::as_str);
        segment.ok_or_else(|| self.no_route())
    }

    fn no_route(&self) -> ApiError {
        ApiError::no_route(self.uri.path())
    }
}
