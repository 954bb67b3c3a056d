//! Routes: each requires a permission, parses IDs from the path, and reads or changes the state.
//!
//! Order of the checks: credentials, rate limit, route and IDs, permission, entitlement, then the account's rules.

use std::collections::HashMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri, Path};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use uuid::Uuid;

use super::auth::Caller;
use super::envelope::{ApiFailure, Item, success, success_paged, success_with_messages};
use super::middleware::RequestOrigin;
use super::paging::paged;
use super::recorded_errors::RecordedError;
use super::settings::{Permission, UnknownAccounts};
use super::state::audit_log::LoggedRequest;
use super::state::integrations::to_view;
use super::state::users::Summary;
use super::state::{Account, WriteContext};
use super::{BASE_PATH, Sandbox, context_routes, middleware, ssf};
use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;
use crate::model::user::UserId;

/// Returns a router with all routes of `schema/openapi.yaml` except the history of the audit log.
pub(super) fn router(sandbox: Sandbox) -> Router {
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
        .route("/policies", get(context_routes::list_policies))
        .route("/groups", get(context_routes::list_groups))
        .route("/apps", get(context_routes::list_apps))
        .route(
            "/apps/{app_id}/policies",
            get(context_routes::list_app_policies),
        )
        .route(
            "/identity_providers",
            get(context_routes::list_identity_providers),
        );
    let api = Router::new()
        .route("/user/tokens/verify", get(verify_user_token))
        .route(
            "/accounts/{account_id}/tokens/verify",
            get(verify_account_token),
        )
        .route(
            "/accounts/{account_id}/logs/audit",
            get(context_routes::search_audit_log),
        )
        .nest("/accounts/{account_id}/access", access)
        .nest("/accounts/{account_id}/zt_risk_scoring", scoring);
    let documents = Router::new()
        .route(ssf::CONFIGURATION, get(ssf::configuration))
        .route(ssf::KEYS, get(ssf::keys));
    Router::new()
        .nest(BASE_PATH, api.merge(documents.clone()))
        .merge(documents)
        .fallback(no_route)
        .method_not_allowed_fallback(async || ApiFailure::MethodNotAllowed)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(
            sandbox.clone(),
            middleware::handle_request,
        ))
        .layer(compression())
        .with_state(sandbox)
}

/// Compresses responses larger than one packet, as Cloudflare does.
fn compression() -> CompressionLayer<SizeAbove> {
    const ONE_PACKET: u16 = 1_400;
    CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(ONE_PACKET))
}

async fn read_behaviors(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account(Permission::Read)?;
    Ok(visit
        .sandbox
        .read(&account, |account| success(&account.shown_behaviors())))
}

async fn write_behaviors(visit: RequestContext, body: Bytes) -> Result<Response, ApiFailure> {
    let rule = visit.sandbox.settings().behaviors_put;
    let write = visit.write(&body, |_, account, _| {
        account.put_behaviors(&body, rule)?;
        Ok(to_json(&account.behavior_settings()))
    });
    write.await
}

async fn list_integrations(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account(Permission::Read)?;
    let settings = visit.sandbox.settings();
    visit.sandbox.read(&account, |account| {
        let all = account.integrations.values();
        let all: Vec<_> = all.map(|one| to_view(one, settings)).collect();
        let (page, info) = paged(all, &visit.uri, settings.paging)?;
        Ok(success_paged(&page, info))
    })
}

async fn create_integration(visit: RequestContext, body: Bytes) -> Result<Response, ApiFailure> {
    let settings = visit.sandbox.settings();
    let write = visit.write(&body, |id, account, stamp| {
        let created = account.create_integration(id, &body, stamp, settings)?;
        Ok(to_json(&to_view(created, settings)))
    });
    write.await
}

async fn read_integration(visit: RequestContext) -> Result<Response, ApiFailure> {
    let integration = visit.integration()?;
    let account = visit.account(Permission::Read)?;
    visit.sandbox.read(&account, |account| {
        let found = account.integration(integration)?;
        Ok(success(&to_view(found, visit.sandbox.settings())))
    })
}

async fn find_integration(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account(Permission::Read)?;
    let reference = visit.segment("reference_id")?;
    visit.sandbox.read(&account, |account| {
        let found = account.integration_with(reference)?;
        Ok(success(&to_view(found, visit.sandbox.settings())))
    })
}

async fn write_integration(visit: RequestContext, body: Bytes) -> Result<Response, ApiFailure> {
    let integration = visit.integration()?;
    let settings = visit.sandbox.settings();
    let write = visit.write(&body, |_, account, stamp| {
        let written = account.put_integration(integration, &body, stamp, settings)?;
        Ok(to_json(&to_view(written, settings)))
    });
    write.await
}

async fn delete_integration(visit: RequestContext) -> Result<Response, ApiFailure> {
    let integration = visit.integration()?;
    let write = visit.write(&[], |_, account, _| {
        account.delete_integration(integration)?;
        Ok(Value::Null)
    });
    write.await
}

async fn read_summary(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account(Permission::Pii)?;
    visit.sandbox.read(&account, |account| {
        let paging = visit.sandbox.settings().paging;
        let (users, info) = paged(account.scored_users(), &visit.uri, paging)?;
        Ok(success_paged(&Summary { users }, info))
    })
}

async fn read_user(visit: RequestContext) -> Result<Response, ApiFailure> {
    let user = visit.user()?;
    let account = visit.account(Permission::Pii)?;
    visit.sandbox.read(&account, |account| {
        let mut user = account.user(user)?;
        let paging = visit.sandbox.settings().paging;
        let (events, info) = paged(user.events, &visit.uri, paging)?;
        user.events = events;
        Ok(success_paged(&user, info))
    })
}

async fn reset_user(visit: RequestContext) -> Result<Response, ApiFailure> {
    let user = visit.user()?;
    let write = visit.write(&[], |_, account, stamp| {
        account.reset_user(user, stamp.now)?;
        Ok(Value::Null)
    });
    write.await
}

async fn verify_user_token(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account_tokens = &visit.sandbox.settings().account_tokens;
    if account_tokens.contains(&visit.caller.token) {
        return Err(RecordedError::InvalidToken.into());
    }
    verify(&visit)
}

async fn verify_account_token(visit: RequestContext) -> Result<Response, ApiFailure> {
    visit.account_id()?;
    verify(&visit)
}

/// Verifies a token that was already authenticated. The legacy pair cannot be verified.
fn verify(visit: &RequestContext) -> Result<Response, ApiFailure> {
    if visit.caller.email.is_some() {
        return Err(RecordedError::NoTokenToVerify.into());
    }
    let mut state = json!({ "id": visit.caller.token_id(), "status": "active" });
    if let Some((not_before, expires_on)) = visit.sandbox.settings().token_dates {
        state["not_before"] = json!(not_before);
        state["expires_on"] = json!(expires_on);
    }
    let valid = Item::new(10000, "This API Token is valid and active");
    Ok(success_with_messages(&[valid], &state))
}

fn to_json(result: &impl Serialize) -> Value {
    serde_json::to_value(result)
        .expect("every result is plain data with string keys, which always has a JSON form")
}

async fn no_route(OriginalUri(uri): OriginalUri) -> ApiFailure {
    ApiFailure::NoRoute {
        path: uri.path().to_owned(),
    }
}

/// Context of a request in a route.
pub(super) struct RequestContext {
    pub(super) sandbox: Sandbox,
    /// URI with query.
    pub(super) uri: Uri,
    caller: Caller,
    origin: RequestOrigin,
    method: Method,
    segments: HashMap<String, String>,
}

impl FromRequestParts<Sandbox> for RequestContext {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, sandbox: &Sandbox) -> Result<Self, ApiFailure> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, sandbox)
            .await
            .unwrap_or_else(|never| match never {});
        // The middleware sets both for every authenticated request.
        let (Some(caller), Some(origin)) = (parts.extensions.get(), parts.extensions.get()) else {
            return Err(RecordedError::NoCredentials.into());
        };
        let (caller, origin) = (Caller::clone(caller), RequestOrigin::clone(origin));
        match Path::from_request_parts(parts, sandbox).await {
            Ok(Path(segments)) => Ok(RequestContext {
                sandbox: sandbox.clone(),
                uri,
                caller,
                origin,
                method: parts.method.clone(),
                segments,
            }),
            Err(_) => Err(no_route(OriginalUri(uri)).await),
        }
    }
}

impl RequestContext {
    fn account_id(&self) -> Result<AccountId, ApiFailure> {
        let id = self.segment("account_id")?;
        id.parse().map_err(|_| self.no_route())
    }

    /// Returns the account ID after checking the permission.
    pub(super) fn account_with(&self, permission: Permission) -> Result<AccountId, ApiFailure> {
        let id = self.account_id()?;
        let settings = self.sandbox.settings();
        if !self.caller.permissions.allow(permission) {
            return Err(match settings.missing_permission {
                RecordedError::Undecided if self.caller.email.is_some() => {
                    RecordedError::PairRefused
                }
                refusal => refusal,
            }
            .into());
        }
        match settings.unknown_accounts {
            UnknownAccounts::Default => Ok(id),
            UnknownAccounts::Refused if self.sandbox.has_account(&id) => Ok(id),
            UnknownAccounts::Refused => Err(RecordedError::LacksPermission.into()),
        }
    }

    /// Returns the account ID after checking the permission and the entitlement.
    fn account(&self, permission: Permission) -> Result<AccountId, ApiFailure> {
        let id = self.account_with(permission)?;
        if self.sandbox.settings().entitlement.covers(&id) {
            Ok(id)
        } else {
            Err(RecordedError::NotEntitled.into())
        }
    }

    /// Changes the account, logs the change and returns the result.
    async fn write(
        &self,
        body: &[u8],
        change: impl FnOnce(&AccountId, &mut Account, WriteContext) -> Result<Value, ApiFailure>,
    ) -> Result<Response, ApiFailure> {
        let id = self.account(Permission::Write)?;
        let settings = self.sandbox.settings().audit_log;
        let uri = self.uri.path();
        let entry = |result: &Value, stamp: WriteContext| {
            let sent = serde_json::from_slice(body).unwrap_or_else(|_| json!({}));
            let written = LoggedRequest {
                account: id.as_str(),
                method: self.method.as_str(),
                uri: match settings.whole_uri {
                    true => uri,
                    false => uri.strip_prefix(BASE_PATH).unwrap_or(uri),
                },
                ray: &self.origin.ray,
                author: &self.origin.author,
                resource_id: self.resource_id(result),
                bodies: settings.bodies.then(|| (sent, result.clone())),
            };
            written.entry(&stamp.entry.simple().to_string(), stamp.now)
        };
        let change = |account: &mut Account, stamp| change(&id, account, stamp);
        let result = self.sandbox.write(&id, change, entry).await?;
        Ok(success(&result))
    }

    /// Returns the ID of the changed resource, from the path or the response.
    fn resource_id(&self, result: &Value) -> Option<String> {
        let named = ["integration_id", "user_id"].map(|name| self.segments.get(name));
        let made = || result.get("id")?.as_str().map(str::to_owned);
        named.into_iter().flatten().next().cloned().or_else(made)
    }

    fn integration(&self) -> Result<IntegrationId, ApiFailure> {
        self.uuid("integration_id").map(IntegrationId::from)
    }

    fn user(&self) -> Result<UserId, ApiFailure> {
        self.uuid("user_id").map(UserId::from)
    }

    /// Parses an ID in the format of the schema (`format: uuid`). The library accepts more.
    fn uuid(&self, name: &str) -> Result<Uuid, ApiFailure> {
        let text = self.segment(name)?;
        Uuid::try_parse(text)
            .ok()
            .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
            .ok_or_else(|| self.no_route())
    }

    pub(super) fn segment(&self, name: &str) -> Result<&str, ApiFailure> {
        self.segments
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| self.no_route())
    }

    fn no_route(&self) -> ApiFailure {
        ApiFailure::NoRoute {
            path: self.uri.path().to_owned(),
        }
    }
}
