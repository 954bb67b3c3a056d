//! Routes: each requires a permission, parses IDs from the path, and reads or changes the state.
//!
//! Order of the checks: credentials, rate limit, route and IDs, permission, entitlement, then the account's rules.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::account::show;
use super::request::{RequestContext, handle_request};
use super::response::{ApiError, success, success_with};
use super::settings::Permission;
use super::{BASE_PATH, Sandbox, access, audit_log};

impl Sandbox {
    /// Returns a router with all routes of `schema/openapi.yaml` except the history of the audit log, at [`BASE_PATH`].
    pub fn router(&self) -> Router {
        // Literal segments take precedence over `{user_id}`.
        let scoring = Router::new()
            .route("/behaviors", get(read_behaviors).put(write_behaviors))
            .route("/summary", get(read_summary))
            .route(
                "/integrations",
                get(list_integrations).post(create_integration),
            )
            .route(
                "/integrations/reference_id/{reference_id}",
                get(find_integration),
            )
            .route(
                "/integrations/{integration_id}",
                get(read_integration)
                    .put(write_integration)
                    .delete(delete_integration),
            )
            .route("/{user_id}", get(read_user))
            .route("/{user_id}/reset", post(reset_user));
        let access = Router::new()
            .route("/policies", get(access::list_policies))
            .route("/groups", get(access::list_groups))
            .route("/apps", get(access::list_apps))
            .route("/apps/{app_id}/policies", get(access::list_app_policies))
            .route("/identity_providers", get(access::list_identity_providers));
        let account = Router::new()
            .route("/tokens/verify", get(verify_account_token))
            .route("/logs/audit", get(search_audit_log))
            .nest("/access", access)
            .nest("/zt_risk_scoring", scoring);
        let api = Router::new()
            .route("/user/tokens/verify", get(verify_token))
            .nest("/accounts/{account_id}", account);
        Router::new()
            .nest(BASE_PATH, api)
            .fallback(no_route)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::disable())
            .layer(from_fn_with_state(self.clone(), handle_request))
            .layer(compression())
            .with_state(self.clone())
    }
}

/// Compresses responses larger than one packet, as Cloudflare does.
fn compression() -> CompressionLayer<SizeAbove> {
    const ONE_PACKET: u16 = 1_400;
    CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(ONE_PACKET))
}

async fn no_route(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::no_route(uri.path())
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, 40005, "Method not allowed")
}

async fn read_behaviors(request: RequestContext) -> Result<Response, ApiError> {
    let account = request.account(Permission::Read)?;
    Ok(request.sandbox.read(&account, |account| {
        success(&json!({ "behaviors": account.behaviors }))
    }))
}

async fn write_behaviors(request: RequestContext, body: Bytes) -> Result<Response, ApiError> {
    let rule = request.sandbox.settings().behaviors_put;
    request.write(&body, |_, account, _| account.put_behaviors(&body, rule))
}

async fn list_integrations(request: RequestContext) -> Result<Response, ApiError> {
    let account = request.account(Permission::Read)?;
    let settings = request.sandbox.settings();
    Ok(request.sandbox.read(&account, |account| {
        let all = account.integrations.values();
        success(&all.map(|one| show(one, settings)).collect::<Vec<_>>())
    }))
}

async fn create_integration(request: RequestContext, body: Bytes) -> Result<Response, ApiError> {
    let settings = request.sandbox.settings();
    request.write(&body, |id, account, stamp| {
        let created = account.create_integration(id, &body, stamp, settings)?;
        Ok(show(created, settings))
    })
}

async fn read_integration(request: RequestContext) -> Result<Response, ApiError> {
    let integration = request.uuid("integration_id")?;
    let account = request.account(Permission::Read)?;
    request.sandbox.read(&account, |account| {
        let found = account.integration(integration)?;
        Ok(success(&show(found, request.sandbox.settings())))
    })
}

async fn find_integration(request: RequestContext) -> Result<Response, ApiError> {
    let account = request.account(Permission::Read)?;
    let reference = request.segment("reference_id")?;
    request.sandbox.read(&account, |account| {
        let found = account.integration_with(reference)?;
        Ok(success(&show(found, request.sandbox.settings())))
    })
}

async fn write_integration(request: RequestContext, body: Bytes) -> Result<Response, ApiError> {
    let integration = request.uuid("integration_id")?;
    let settings = request.sandbox.settings();
    request.write(&body, |_, account, stamp| {
        let written = account.put_integration(integration, &body, stamp, settings)?;
        Ok(show(written, settings))
    })
}

async fn delete_integration(request: RequestContext) -> Result<Response, ApiError> {
    let integration = request.uuid("integration_id")?;
    request.write(&[], |_, account, _| {
        account.delete_integration(integration)?;
        Ok(Value::Null)
    })
}

async fn read_summary(request: RequestContext) -> Result<Response, ApiError> {
    let account = request.account(Permission::Pii)?;
    Ok(request.sandbox.read(&account, |account| {
        success(&json!({ "users": account.scored_users() }))
    }))
}

async fn read_user(request: RequestContext) -> Result<Response, ApiError> {
    let user = request.uuid("user_id")?;
    let account = request.account(Permission::Pii)?;
    let read = request.sandbox.read(&account, |account| account.user(user));
    Ok(success(&read?))
}

async fn reset_user(request: RequestContext) -> Result<Response, ApiError> {
    let user = request.uuid("user_id")?;
    request.write(&[], |_, account, stamp| {
        account.reset_user(user, stamp.now)?;
        Ok(Value::Null)
    })
}

async fn search_audit_log(request: RequestContext) -> Result<Response, ApiError> {
    let account = request.account_with(Permission::AuditLog)?;
    let query = access::query(&request.uri);
    let search = |account: &super::Account| audit_log::search(&account.audit_log, &query);
    request.sandbox.read(&account, search)
}

async fn verify_account_token(request: RequestContext) -> Result<Response, ApiError> {
    request.account_id()?;
    verify_token(request).await
}

/// Verifies a token that was already authenticated. The legacy pair cannot be verified.
async fn verify_token(request: RequestContext) -> Result<Response, ApiError> {
    if request.has_key() {
        return Err(ApiError::NO_TOKEN_TO_VERIFY);
    }
    let valid = json!({ "code": 10000, "message": "This API Token is valid and active" });
    let token = json!({ "id": request.token_id(), "status": "active" });
    Ok(success_with(&[valid], &token, None))
}
