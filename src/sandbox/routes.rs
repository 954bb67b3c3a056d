//! The routes: each names the permission it needs, reads its ids from the path, and asks the world.
//!
//! The checks come in one order: credentials, rate limit, route and ids, permission, entitlement, then what the account says.

use std::collections::HashMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri, Path};
use axum::http::request::Parts;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use uuid::Uuid;

use super::access::Caller;
use super::envelope::{Failure, Item, success, success_saying};
use super::settings::{Permission, UnknownAccounts};
use super::world::integrations::show;
use super::{BASE_PATH, Sandbox, gate};
use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;
use crate::model::user::UserId;

/// Every route of `schema/openapi.yaml`, and the two that verify a token.
pub(super) fn router(sandbox: Sandbox) -> Router {
    // A literal segment is matched before `{user_id}`, which shares its place.
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
    let api = Router::new()
        .route("/user/tokens/verify", get(verify_user_token))
        .route("/accounts/{account_id}/tokens/verify", get(verify_token))
        .nest("/accounts/{account_id}/zt_risk_scoring", scoring);
    Router::new()
        .nest(BASE_PATH, api)
        .fallback(no_route)
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(sandbox.clone(), gate::pass))
        .layer(compression())
        .with_state(sandbox)
}

/// Compresses, as Cloudflare does, whatever does not fit into one packet anyway.
fn compression() -> CompressionLayer<SizeAbove> {
    const ONE_PACKET: u16 = 1_400;
    CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(ONE_PACKET))
}

async fn read_behaviors(visit: Visit) -> Result<Response, Failure> {
    let account = visit.account(Permission::Read)?;
    Ok(visit
        .sandbox
        .read(&account, |account| success(&account.shown_behaviors())))
}

async fn write_behaviors(visit: Visit, body: Bytes) -> Result<Response, Failure> {
    let account = visit.account(Permission::Write)?;
    let rule = visit.sandbox.settings().behaviors_put;
    let write = visit.sandbox.write(&account, |account, _| {
        account.put_behaviors(&body, rule)?;
        Ok(success(&account.behavior_settings()))
    });
    write.await
}

async fn list_integrations(visit: Visit) -> Result<Response, Failure> {
    let account = visit.account(Permission::Read)?;
    let settings = visit.sandbox.settings();
    Ok(visit.sandbox.read(&account, |account| {
        let all = account.integrations.values();
        success(&all.map(|one| show(one, settings)).collect::<Vec<_>>())
    }))
}

async fn create_integration(visit: Visit, body: Bytes) -> Result<Response, Failure> {
    let id = visit.account(Permission::Write)?;
    let settings = visit.sandbox.settings();
    let write = visit.sandbox.write(&id, |account, stamp| {
        let created = account.create_integration(&id, &body, stamp, settings)?;
        Ok(success(&show(created, settings)))
    });
    write.await
}

async fn read_integration(visit: Visit) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let account = visit.account(Permission::Read)?;
    visit.sandbox.read(&account, |account| {
        let found = account.integration(integration)?;
        Ok(success(&show(found, visit.sandbox.settings())))
    })
}

async fn find_integration(visit: Visit) -> Result<Response, Failure> {
    let account = visit.account(Permission::Read)?;
    let reference = visit.segment("reference_id")?;
    visit.sandbox.read(&account, |account| {
        let found = account.integration_with(reference)?;
        Ok(success(&show(found, visit.sandbox.settings())))
    })
}

async fn write_integration(visit: Visit, body: Bytes) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let account = visit.account(Permission::Write)?;
    let settings = visit.sandbox.settings();
    let write = visit.sandbox.write(&account, |account, stamp| {
        let written = account.put_integration(integration, &body, stamp, settings)?;
        Ok(success(&show(written, settings)))
    });
    write.await
}

async fn delete_integration(visit: Visit) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let account = visit.account(Permission::Write)?;
    let write = visit.sandbox.write(&account, |account, _| {
        account.delete_integration(integration)?;
        Ok(success(&()))
    });
    write.await
}

async fn read_summary(visit: Visit) -> Result<Response, Failure> {
    let account = visit.account(Permission::Pii)?;
    Ok(visit
        .sandbox
        .read(&account, |account| success(&account.summary())))
}

async fn read_user(visit: Visit) -> Result<Response, Failure> {
    let user = visit.user()?;
    let account = visit.account(Permission::Pii)?;
    visit
        .sandbox
        .read(&account, |account| Ok(success(&account.user(user)?)))
}

async fn reset_user(visit: Visit) -> Result<Response, Failure> {
    let user = visit.user()?;
    let account = visit.account(Permission::Write)?;
    let write = visit.sandbox.write(&account, |account, stamp| {
        account.reset_user(user, stamp.now)?;
        Ok(success(&()))
    });
    write.await
}

async fn verify_user_token(visit: Visit) -> Result<Response, Failure> {
    let account_tokens = &visit.sandbox.settings().account_tokens;
    if account_tokens.contains(&visit.caller.token) {
        return Err(Failure::InvalidCredentials);
    }
    Ok(verify_token(visit).await)
}

/// Whoever comes this far has shown a valid token.
async fn verify_token(_: Visit) -> Response {
    let valid = Item::new(10000, "This API Token is valid and active");
    success_saying(&[valid], &serde_json::json!({ "status": "active" }))
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Failure {
    Failure::NoRoute {
        path: uri.path().to_owned(),
    }
}

/// One request on its way through a route.
struct Visit {
    sandbox: Sandbox,
    caller: Caller,
    path: String,
    segments: HashMap<String, String>,
}

impl FromRequestParts<Sandbox> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, sandbox: &Sandbox) -> Result<Self, Failure> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, sandbox)
            .await
            .unwrap_or_else(|never| match never {});
        let path = uri.path().to_owned();
        // The gate lets nobody through without leaving word of who it is.
        let caller = parts
            .extensions
            .get()
            .cloned()
            .ok_or(Failure::NoCredentials)?;
        match Path::from_request_parts(parts, sandbox).await {
            Ok(Path(segments)) => Ok(Visit {
                sandbox: sandbox.clone(),
                caller,
                path,
                segments,
            }),
            Err(_) => Err(Failure::NoRoute { path }),
        }
    }
}

impl Visit {
    /// The account, which is only had by naming the permission that the route needs.
    fn account(&self, permission: Permission) -> Result<AccountId, Failure> {
        let id: AccountId = self
            .segment("account_id")?
            .parse()
            .map_err(|_| self.no_route())?;
        if !self.caller.permissions.allow(permission) {
            return Err(Failure::MissingPermission);
        }
        let settings = self.sandbox.settings();
        match settings.unknown_accounts {
            UnknownAccounts::Seeded => {}
            UnknownAccounts::Refused if self.sandbox.knows(&id) => {}
            UnknownAccounts::Refused => return Err(Failure::AccountRefused),
        }
        if settings.entitlement.covers(&id) {
            Ok(id)
        } else {
            Err(Failure::NotEntitled)
        }
    }

    fn integration(&self) -> Result<IntegrationId, Failure> {
        self.uuid("integration_id").map(IntegrationId::from)
    }

    fn user(&self) -> Result<UserId, Failure> {
        self.uuid("user_id").map(UserId::from)
    }

    /// Reads an id, in the one spelling that the schema's `format: uuid` allows; the library would take three more.
    fn uuid(&self, name: &str) -> Result<Uuid, Failure> {
        let text = self.segment(name)?;
        Uuid::try_parse(text)
            .ok()
            .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
            .ok_or_else(|| self.no_route())
    }

    fn segment(&self, name: &str) -> Result<&str, Failure> {
        self.segments
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| self.no_route())
    }

    fn no_route(&self) -> Failure {
        Failure::NoRoute {
            path: self.path.clone(),
        }
    }
}
