//! Read-only routes of the context of risk scoring: Access policies, applications, groups and identity providers, and the account's
//! audit log. They do not need the entitlement.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::envelope::{ApiFailure, json_response, success_paged};
use super::paging::{PageRequest, query};
use super::routes::RequestContext;
use super::settings::{AppPolicies, CursorPlace, Permission};
use super::state::SandboxContext;
use super::state::audit_log::LoggedEntry;

/// Default page size of the audit log.
const DEFAULT_LIMIT: usize = 100;

pub(super) async fn list_policies(visit: RequestContext) -> Result<Response, ApiFailure> {
    list(&visit, Permission::Apps, 100, |context| {
        context.policies.clone()
    })
}

pub(super) async fn list_groups(visit: RequestContext) -> Result<Response, ApiFailure> {
    list(&visit, Permission::Groups, 1_000, |context| {
        context.groups.clone()
    })
}

pub(super) async fn list_identity_providers(visit: RequestContext) -> Result<Response, ApiFailure> {
    list(&visit, Permission::Groups, 200, |context| {
        context.identity_providers.clone()
    })
}

pub(super) async fn list_apps(visit: RequestContext) -> Result<Response, ApiFailure> {
    let form = visit.sandbox.settings().app_policies;
    list(&visit, Permission::Apps, 1_000, |context| {
        let mut apps = context.apps.clone();
        if form == AppPolicies::Absent {
            apps.iter_mut().for_each(|app| app["policies"] = json!([]));
        }
        apps
    })
}

pub(super) async fn list_app_policies(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account_with(Permission::Apps)?;
    let wanted = PageRequest::read(&visit.uri, 1_000)?;
    let id = visit.segment("app_id")?;
    let policies = visit.sandbox.read(&account, |account| {
        let app = account.context.apps.iter().find(|app| app["id"] == id)?;
        Some(app["policies"].as_array().cloned().unwrap_or_default())
    });
    let (page, info) = wanted.slice(policies.ok_or(ApiFailure::NoApplication)?);
    Ok(success_paged(&page, Some(info)))
}

fn list(
    visit: &RequestContext,
    permission: Permission,
    default_size: usize,
    items: impl FnOnce(&SandboxContext) -> Vec<Value>,
) -> Result<Response, ApiFailure> {
    let account = visit.account_with(permission)?;
    let wanted = PageRequest::read(&visit.uri, default_size)?;
    let items = visit
        .sandbox
        .read(&account, |account| items(&account.context));
    let (page, info) = wanted.slice(items);
    Ok(success_paged(&page, Some(info)))
}

/// Searches the audit log. The cursor is the serial number of the last entry of the previous page.
pub(super) async fn search_audit_log(visit: RequestContext) -> Result<Response, ApiFailure> {
    let account = visit.account_with(Permission::AuditLog)?;
    let search = AuditLogQuery::read(&query(&visit.uri)).map_err(ApiFailure::AuditQuery)?;
    let settings = visit.sandbox.settings().audit_log;
    let now = visit.sandbox.now();
    let shown = |entry: &&LoggedEntry| {
        let age = now.duration_since(entry.time);
        age.as_secs_f64() >= settings.delay.as_secs_f64()
            && age.as_secs_f64() <= settings.retention.as_secs_f64()
            && search.matches(entry)
    };
    let world = visit.sandbox.world();
    let mut entries: Vec<&LoggedEntry> = world.audit_log(&account).filter(shown).collect();
    entries.sort_by_key(|entry| (entry.time, entry.serial));
    if !search.ascending {
        entries.reverse();
    }
    if let Some(last) = search.cursor {
        let at = entries.iter().position(|entry| entry.serial == last);
        let read = at.ok_or_else(|| ApiFailure::AuditQuery("cursor is not known".to_owned()))? + 1;
        entries.drain(..read);
    }
    let more = entries.len() > search.limit;
    entries.truncate(search.limit);
    let next = entries.last().filter(|_| more);
    let next = next.map_or_else(String::new, |entry| entry.serial.to_string());
    let mut info = json!({ "count": entries.len() });
    match settings.cursor {
        CursorPlace::ResultInfo => info["cursor"] = json!(next),
        CursorPlace::Cursors => info["cursors"] = json!({ "after": next }),
    }
    let result: Vec<&Value> = entries.iter().map(|entry| &entry.shown).collect();
    let page = json!({ "success": true, "errors": [], "result": result, "result_info": info });
    Ok(json_response(StatusCode::OK, &page))
}

/// Filters and the pointers to their values in an entry.
const FILTERS: [(&str, &str); 19] = [
    ("id", "/id"),
    ("raw_uri", "/raw/uri"),
    ("raw_method", "/raw/method"),
    ("raw_status_code", "/raw/status_code"),
    ("raw_cf_ray_id", "/raw/cf_ray_id"),
    ("action_type", "/action/type"),
    ("action_result", "/action/result"),
    ("actor_email", "/actor/email"),
    ("actor_id", "/actor/id"),
    ("actor_type", "/actor/type"),
    ("actor_context", "/actor/context"),
    ("actor_token_id", "/actor/token_id"),
    ("actor_token_name", "/actor/token_name"),
    ("actor_ip_address", "/actor/ip_address"),
    ("resource_id", "/resource/id"),
    ("resource_product", "/resource/product"),
    ("resource_type", "/resource/type"),
    ("resource_scope", "/resource/scope"),
    ("account_name", "/account/name"),
];

/// A query of the audit log.
#[derive(Debug)]
struct AuditLogQuery {
    since: Timestamp,
    before: Timestamp,
    ascending: bool,
    limit: usize,
    cursor: Option<u64>,
    filters: Vec<Filter>,
}

/// Allowed or excluded values of a field.
#[derive(Debug)]
struct Filter {
    pointer: &'static str,
    wanted: bool,
    values: Vec<String>,
}

impl AuditLogQuery {
    fn read(query: &[(String, String)]) -> Result<Self, String> {
        let one = |name: &str| {
            let value = query.iter().find(|(key, _)| key == name);
            value.map(|(_, value)| value.as_str())
        };
        let moment = |name: &str| {
            let text = one(name).ok_or_else(|| format!("{name} is required"))?;
            read_moment(text).ok_or_else(|| format!("{name} must be a date or a timestamp"))
        };
        let limit = one("limit").map_or(Some(DEFAULT_LIMIT), |text| {
            text.parse()
                .ok()
                .filter(|limit| (1..=1_000).contains(limit))
        });
        let cursor = match one("cursor") {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| "cursor is not known")?),
        };
        let mut filters: Vec<Filter> = Vec::new();
        for (key, value) in query {
            let (name, wanted) = match key.strip_suffix(".not") {
                Some(name) => (name, false),
                None => (key.as_str(), true),
            };
            let Some((_, pointer)) = FILTERS.iter().find(|(filter, _)| *filter == name) else {
                continue;
            };
            check_word(name, value)?;
            let same = |filter: &&mut Filter| filter.pointer == *pointer && filter.wanted == wanted;
            match filters.iter_mut().find(same) {
                Some(filter) => filter.values.push(value.clone()),
                None => filters.push(Filter {
                    pointer,
                    wanted,
                    values: vec![value.clone()],
                }),
            }
        }
        Ok(AuditLogQuery {
            since: moment("since")?,
            before: moment("before")?,
            ascending: match one("direction") {
                None | Some("desc") => false,
                Some("asc") => true,
                Some(_) => return Err("direction must be asc or desc".to_owned()),
            },
            limit: limit.ok_or("limit is not a number from 1 to 1000")?,
            cursor,
            filters,
        })
    }

    fn matches(&self, entry: &LoggedEntry) -> bool {
        let fits = |filter: &Filter| {
            let held = match entry.shown.pointer(filter.pointer) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            held.is_some_and(|held| filter.values.contains(&held)) == filter.wanted
        };
        self.since <= entry.time && entry.time < self.before && self.filters.iter().all(fits)
    }
}

fn read_moment(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<Timestamp>().ok();
    moment.or_else(|| {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// Checks the value of filters with a closed set of values.
fn check_word(name: &str, value: &str) -> Result<(), String> {
    let allowed: &[&str] = match name {
        "action_type" => &["create", "delete", "view", "update"],
        "action_result" => &["success", "failure"],
        "actor_email" if !value.contains('@') => {
            return Err(format!("{name} is not an email address"));
        }
        _ => return Ok(()),
    };
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is none of {}", allowed.join(", ")))
    }
}
