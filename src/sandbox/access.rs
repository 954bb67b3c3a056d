//! Read-only routes of Access: policies, applications, groups and identity providers, in pages. They do not need the entitlement.

use std::num::IntErrorKind;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::account::SandboxContext;
use super::request::RequestContext;
use super::response::{ApiError, success_with};
use super::settings::Permission;

/// Maximum page size (`schema/api.md`, Access lists).
const MAX_PAGE_SIZE: usize = 1_000;

pub(super) async fn list_policies(request: RequestContext) -> Result<Response, ApiError> {
    list(&request, Permission::Apps, 100, |context| {
        Some(context.policies.clone())
    })
}

pub(super) async fn list_groups(request: RequestContext) -> Result<Response, ApiError> {
    list(&request, Permission::Groups, 1_000, |context| {
        Some(context.groups.clone())
    })
}

pub(super) async fn list_identity_providers(request: RequestContext) -> Result<Response, ApiError> {
    list(&request, Permission::Groups, 200, |context| {
        Some(context.identity_providers.clone())
    })
}

pub(super) async fn list_apps(request: RequestContext) -> Result<Response, ApiError> {
    list(&request, Permission::Apps, 1_000, |context| {
        Some(context.apps.clone())
    })
}

pub(super) async fn list_app_policies(request: RequestContext) -> Result<Response, ApiError> {
    let id = request.segment("app_id")?;
    list(&request, Permission::Apps, 1_000, |context| {
        let app = context.apps.iter().find(|app| app["id"] == id)?;
        Some(app["policies"].as_array().cloned().unwrap_or_default())
    })
}

/// Returns the requested page of a list; `None` is an unknown application.
fn list(
    request: &RequestContext,
    permission: Permission,
    default_size: usize,
    items: impl FnOnce(&SandboxContext) -> Option<Vec<Value>>,
) -> Result<Response, ApiError> {
    let account = request.account_with(permission)?;
    let (page, per_page) = read_page(&request.uri, default_size)?;
    let items = request.sandbox.read(&account, |one| items(&one.context));
    let items = items
        .ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, 40403, "Application not found"))?;
    let total = items.len();
    let items = items.into_iter().skip((page - 1).saturating_mul(per_page));
    let items: Vec<Value> = items.take(per_page).collect();
    let info = json!({
        "count": items.len(), "page": page, "per_page": per_page, "total_count": total, "total_pages": total.div_ceil(per_page),
    });
    Ok(success_with(&[], &items, Some(info)))
}

/// Parses the requested page, counted from 1, and the page size.
fn read_page(uri: &Uri, default_size: usize) -> Result<(usize, usize), ApiError> {
    let (mut page, mut per_page) = (1, default_size);
    for (name, value) in query(uri) {
        let (field, max) = match name.as_str() {
            "page" => (&mut page, usize::MAX),
            "per_page" => (&mut per_page, MAX_PAGE_SIZE),
            _ => continue,
        };
        let number = match value.parse::<usize>() {
            Ok(number) => Some(number),
            // The API documents no maximum page; pages after the end are empty.
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(usize::MAX),
            Err(_) => None,
        };
        let number = number.filter(|number| (1..=max).contains(number));
        *field = number.ok_or_else(|| {
            let message = format!("{name} is not a number that is allowed");
            ApiError::new(StatusCode::BAD_REQUEST, 40002, &message)
        })?;
    }
    Ok((page, per_page))
}

/// Returns all parameters of a query, in order.
pub(super) fn query(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}
