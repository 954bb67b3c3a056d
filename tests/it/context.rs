//! Reading Access policies and audit logs: paging, lenient parsing and time limits.

use std::sync::{Arc, Mutex};

use axum::routing::get;
use axum::{Json, Router};
use http::Uri;
use jiff::civil::date;
use riskform::api::{ApiError, Client, ErrorKind, Transport};
use riskform::model::audit_log::{AuditEntry, AuditLog, LoggedWrite, ParsedEntry};
use riskform::model::context::Access;
use riskform::sandbox::{RECORDED_ACCOUNT, Sandbox, Settings};
use serde_json::{Value, json};

use crate::support::account;
use crate::support::faults::{Execution, Fault, FaultRule};
use crate::support::layers::{RequestLog, change_json};
use crate::support::world::{PATIENCE, World, client};

fn world(settings: Settings, rules: Vec<FaultRule>) -> World {
    World::of(Sandbox::in_memory(settings), rules, |_, router| router)
}

fn world_behind(layer: impl FnOnce(Router) -> Router) -> World {
    let sandbox = Sandbox::in_memory(Settings::default());
    World::of(sandbox, Vec::new(), |_, router| layer(router))
}

async fn audit_log(client: &Client) -> Result<AuditLog, ApiError> {
    let reader = client.reader();
    reader
        .audit_log(&account(), date(2026, 10, 21), date(2026, 11, 22))
        .await
}

async fn access(client: &Client) -> Result<Access, ApiError> {
    client.reader().access(&account()).await
}

/// Returns the requested lists, in order.
fn asked(log: &RequestLog) -> Vec<String> {
    let requests = log.requests().into_iter();
    requests
        .filter_map(|request| {
            let (_, list) = request.path.split_once("/access/")?;
            Some(list.split('?').next()?.to_owned())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn policies_are_read_embedded_or_separately() {
    let app = "apps/c2a7f1d4%2D5e60%2D4b83%2D9f21%2D3d4c5b6a7e8f/policies";
    for (embedded, lists) in [
        (true, vec!["policies", "apps", "groups"]),
        (false, vec!["policies", "apps", app, "groups"]),
    ] {
        let World { log, client, .. } = world_behind(|router| match embedded {
            true => router,
            false => change_json(router, "/access/apps", |page| {
                let apps = page["result"].as_array_mut().unwrap().iter_mut();
                // Not the policies of one application.
                let apps = apps.filter(|app| app["policies"].is_array());
                apps.for_each(|app| app["policies"] = json!([]));
            }),
        });
        let access = access(&client).await.unwrap();
        let names: Vec<_> = access
            .policies
            .values()
            .map(|policy| (policy.name.as_str(), policy.app_count))
            .collect();
        assert_eq!(
            names,
            [
                ("Employees, not at high risk", Some(3)),
                ("Unused", Some(0)),
                ("Block risky users", Some(1)),
                ("Contractors", None),
            ]
        );
        assert_eq!((access.groups.len(), access.skipped), (1, 0));
        assert_eq!(asked(&log), lists, "embedded: {embedded}");
    }
    let World { client, .. } = world(Settings::default(), Vec::new());
    let providers = client.reader().identity_providers(&account()).await;
    let providers = providers.unwrap();
    let okta: Vec<_> = providers
        .providers
        .iter()
        .filter(|one| one.is_okta())
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!((okta, providers.skipped), (vec!["Corporate Okta"], 0));
}

#[tokio::test(start_paused = true)]
async fn long_lists_are_complete_and_unknown_items_skipped() {
    let World {
        sandbox,
        log,
        client,
        ..
    } = world(Settings::default(), Vec::new());
    let policy = |n: usize| match n % 1_000 {
        7 => json!({ "id": n.to_string() }),
        8 => json!("garbage"),
        9 => {
            json!({ "id": n.to_string(), "name": "P", "decision": "deny", "include": [{ "user_risk_score": { "user_risk_score": ["high"] } }] })
        }
        _ => {
            json!({ "id": n.to_string(), "name": "P", "decision": "isolate", "include": [{ "mystery": {} }] })
        }
    };
    sandbox
        .edit(&account(), |account| {
            account.context.policies = (0..5_000).map(policy).collect();
            account.context.apps = Vec::new();
            account.context.identity_providers =
                vec![json!({ "config": { "client_secret": "hush" } })];
        })
        .unwrap();
    let access = access(&client).await.unwrap();
    assert_eq!((access.policies.len(), access.skipped), (5, 10));
    assert_eq!(
        log.requests().len(),
        5 + 1,
        "pages of policies, applications; no policy leads to a group"
    );
    let providers = client.reader().identity_providers(&account()).await;
    let providers = providers.unwrap();
    assert_eq!((providers.providers.len(), providers.skipped), (0, 1));
}

/// Only policies missing in the list of applications are requested.
#[tokio::test(start_paused = true)]
async fn applications_are_queried_only_if_policies_are_missing() {
    let whole = json!({ "id": "own", "name": "Own", "decision": "deny", "include": [] });
    let reusable = json!({ "id": "0f6d9a52-3c1e-4b7a-9d40-5e8f7a6b1c2d", "precedence": 1 });
    let table = [
        (vec![json!({ "id": "a", "policies": [whole] })], vec![]),
        (vec![json!({ "id": "a", "policies": [reusable] })], vec![]),
        (
            vec![
                json!({ "id": "a", "policies": [whole, { "id": "bare" }] }),
                json!({ "id": "b", "policies": [] }),
                json!({ "id": "c", "policies": ["bare"] }),
                json!({ "id": "d", "policies": null }),
                json!({ "policies": null }),
            ],
            vec!["a", "c", "d"],
        ),
        (
            vec![json!({ "id": "a", "policies": [] }), json!({ "id": "b" })],
            vec!["a", "b"],
        ),
        (vec![], vec![]),
    ];
    for (apps, expected) in table {
        let World {
            sandbox,
            log,
            client,
            ..
        } = world(Settings::default(), Vec::new());
        sandbox
            .edit(&account(), |account| account.context.apps = apps.clone())
            .unwrap();
        access(&client).await.unwrap();
        let asked = asked(&log);
        let asked: Vec<&str> = asked
            .iter()
            .filter_map(|list| list.strip_prefix("apps/")?.strip_suffix("/policies"))
            .collect();
        assert_eq!(asked, expected, "{apps:?}");
    }
}

/// Serves Access lists from a function of list name and query.
fn serve_lists(list: impl Fn(&str, &str) -> Value + Clone + Send + Sync + 'static) -> Client {
    let answer = move |uri: Uri| {
        let name = uri.path().rsplit('/').next().unwrap_or_default();
        let body = list(name, uri.query().unwrap_or_default());
        async move { Json(body) }
    };
    let router = Router::new().fallback(get(answer));
    client(Transport::in_process(router, PATIENCE))
}

#[tokio::test(start_paused = true)]
async fn list_of_unknown_shape_is_an_error() {
    for (strange, is_ok) in [
        ("policies", false),
        ("apps", false),
        ("groups", false),
        ("x", true),
    ] {
        for result in [json!({}), json!("garbage"), json!(7)] {
            let case = format!("{strange} {result}");
            let client = serve_lists(move |name, _| {
                let policy =
                    json!({ "id": "p", "name": "P", "include": [{ "group": { "id": "g" } }] });
                let result = match name {
                    list if list == strange => result.clone(),
                    // The same items on every page: a server without paging.
                    "policies" => json!([policy]),
                    _ => Value::Null,
                };
                json!({ "success": true, "errors": [], "messages": [], "result": result })
            });
            assert_eq!(access(&client).await.is_ok(), is_ok, "{case}");
        }
    }
}

/// Pages of a list by number, as IDs and `result_info`, and the error, if any.
#[tokio::test(start_paused = true)]
async fn list_that_does_not_add_up_is_read_again_and_then_an_error() {
    let total = |page: u64, total: u64| json!({ "page": page, "total_count": total });
    let pages = |page: u64, pages: u64| json!({ "page": page, "total_pages": pages });
    let table = [
        (vec![(vec!["a", "b"], json!({}))], None),
        (vec![(vec!["a", "b"], total(1, 2))], None),
        (
            vec![(vec!["a"], total(1, 2)), (vec!["b"], total(2, 2))],
            None,
        ),
        (
            vec![
                (vec!["a"], json!({})),
                (vec!["b"], json!({})),
                (vec![], json!({})),
            ],
            None,
        ),
        (vec![(vec!["a"], json!({})), (vec!["a"], json!({}))], None),
        (vec![(vec!["a"], total(1, 2))], Some("page 2 is missing")),
        (
            vec![(vec!["a"], json!({ "total_count": 2 }))],
            Some("page 2 repeats an ID"),
        ),
        (
            vec![(vec!["a"], total(1, 2)), (vec![], total(2, 2))],
            Some("1 items, and its totals state more"),
        ),
        (
            vec![(vec!["a"], pages(1, 2)), (vec![], pages(2, 2))],
            Some("1 items, and its totals state more"),
        ),
        (
            vec![
                (vec!["a"], pages(1, 3)),
                (vec!["b"], pages(2, 3)),
                (vec!["a"], pages(3, 3)),
            ],
            Some("page 3 repeats an ID"),
        ),
        (
            vec![(vec!["a", "a"], json!({}))],
            Some("page 1 repeats an ID"),
        ),
        (
            vec![(vec!["a"], json!({ "count": 2 }))],
            Some("page 1 has fewer items than its count"),
        ),
    ];
    for list in ["policies", "identity_providers"] {
        for (pages, expected) in table.clone() {
            let served: Arc<Mutex<u32>> = Arc::default();
            let (count, all) = (Arc::clone(&served), pages.clone());
            let client = serve_lists(move |name, query| {
                let page: usize = query
                    .strip_prefix("page=")
                    .and_then(|rest| rest.split('&').next()?.parse().ok())
                    .unwrap();
                let (ids, info) = match name == list {
                    true => &all[page.min(all.len()) - 1],
                    false => &(Vec::new(), json!({})),
                };
                *count.lock().unwrap() += u32::from(name == list && page == 1);
                let items: Vec<Value> = ids
                    .iter()
                    .map(|id| json!({ "id": id, "name": "N" }))
                    .collect();
                json!({ "success": true, "errors": [], "messages": [], "result": items, "result_info": info })
            });
            let error = match list {
                "policies" => access(&client).await.err(),
                _ => client.reader().identity_providers(&account()).await.err(),
            };
            let case = format!("{list} {pages:?}: {error:?}");
            assert_eq!(
                *served.lock().unwrap(),
                1 + u32::from(expected.is_some()),
                "{case}"
            );
            match (error, expected) {
                (Some(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "{case}");
                }
                (error, expected) => assert!(error.is_none() && expected.is_none(), "{case}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn list_that_changes_while_it_is_read_is_read_again() {
    let reads: Arc<Mutex<u32>> = Arc::default();
    let client = serve_lists(move |_, query| {
        let first = query.starts_with("page=1&");
        *reads.lock().unwrap() += u32::from(first);
        let id = match (first, *reads.lock().unwrap()) {
            (true, _) | (false, 1) => "a",
            (false, _) => "b",
        };
        json!({ "success": true, "errors": [], "messages": [], "result": [{ "id": id, "name": id }],
            "result_info": { "total_count": 2 } })
    });
    let providers = client.reader().identity_providers(&account()).await;
    assert_eq!(providers.unwrap().providers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn short_audit_log_is_an_error() {
    for (info, is_ok) in [
        (json!({ "count": "1" }), true),
        (json!({ "count": "2" }), false),
        (json!({ "total_count": 2 }), false),
        (json!({ "cursor": "same" }), false),
    ] {
        let case = info.to_string();
        let client = serve_lists(move |_, _| {
            let entry = json!({ "action": { "time": "2026-11-19T00:00:00Z" } });
            json!({ "success": true, "errors": [], "result": [entry], "result_info": info })
        });
        assert_eq!(audit_log(&client).await.is_ok(), is_ok, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn missing_permission_costs_one_request() {
    let cases = [
        ("read,groups,audit-log", "Access: Apps and Policies Read", 1),
        (
            "read,apps,audit-log",
            "Access: Organizations, Identity Providers, and Groups Read",
            3,
        ),
    ];
    for (permissions, named, requests) in cases {
        let World { log, client, .. } = world(
            Settings {
                permissions: vec![permissions.parse().unwrap()],
                ..Settings::default()
            },
            Vec::new(),
        );
        let error = access(&client).await.unwrap_err();
        assert!(error.help().unwrap().contains(named), "{:?}", error.help());
        assert_eq!(log.requests().len(), requests, "{named}");
    }
    let World { client, .. } = world(
        Settings {
            permissions: vec!["read,apps,groups".parse().unwrap()],
            ..Settings::default()
        },
        Vec::new(),
    );
    let error = audit_log(&client).await.unwrap_err();
    assert!(
        error.help().unwrap().contains("Account Settings Read"),
        "{:?}",
        error.help()
    );
}

#[tokio::test(start_paused = true)]
async fn unexpected_context_responses_are_not_shown() {
    let World { client, .. } = world(
        Settings::default(),
        vec![FaultRule::always(Fault::WrongJson {
            work: Execution::Skipped,
        })],
    );
    for error in [
        audit_log(&client).await.unwrap_err(),
        access(&client).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error.kind(),
                ErrorKind::UnexpectedResponse { excerpt: None, .. }
            ),
            "{error:?}"
        );
    }
}

fn add(sandbox: &Sandbox, time: &str, shown: Value) {
    let time = time.parse().unwrap();
    let edited = sandbox.edit(&account(), |account| account.log(time, shown));
    edited.unwrap();
}

/// Enough writes for several pages, one per second.
fn write_much(sandbox: &Sandbox) {
    for n in 0..2_500 {
        let time = format!(
            "2026-11-19T{:02}:{:02}:{:02}Z",
            n / 3_600,
            n / 60 % 60,
            n % 60
        );
        let uri = match n % 5 {
            0 => format!("/accounts/{RECORDED_ACCOUNT}/zt_risk_scoring/behaviors"),
            _ => format!("/accounts/{RECORDED_ACCOUNT}/members"),
        };
        let entry = json!({
            "id": n.to_string(), "action": { "time": time, "result": "success", "type": "update" },
            "actor": { "email": "a@example.com" }, "raw": { "uri": uri, "method": "PUT", "status_code": 200 },
            "resource": { "request": { "behaviors": { "imp_travel": { "enabled": n % 2 == 0 } } } },
        });
        add(sandbox, &time, entry);
    }
}

#[tokio::test(start_paused = true)]
async fn audit_log_is_read_newest_first() {
    // `result_info.cursor`, as documented, and `cursors.after`, as in Cloudflare's generated clients.
    for documented in [true, false] {
        let World {
            sandbox,
            log: requests,
            client,
            ..
        } = world_behind(|router| match documented {
            true => router,
            false => change_json(router, "/logs/audit", |page| {
                let cursor = page["result_info"]["cursor"].take();
                page["result_info"] = json!({ "cursors": { "after": cursor } });
            }),
        });
        write_much(&sandbox);
        let old_shape = json!({ "action": "create", "ip": "192.0.2.1" });
        add(&sandbox, "2026-11-19T12:00:00Z", old_shape);
        let log = audit_log(&client).await.unwrap();
        assert_eq!((log.entries.len(), log.skipped), (500, 1));
        assert_eq!(log.since.to_string(), "2026-10-21T00:00:00Z");
        let ids: Vec<u32> = log
            .entries
            .iter()
            .map(|entry| entry.author.entry_id.as_deref().unwrap().parse().unwrap())
            .collect();
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
        assert_eq!(requests.requests().len(), 3);
        let direct = sandbox.account(&account()).audit_log;
        let direct = direct.iter().rev().filter_map(|item| {
            match AuditEntry::read(&account(), &item.shown) {
                ParsedEntry::Entry(entry) => Some(entry),
                _ => None,
            }
        });
        assert!(direct.eq(log.entries));
    }
}

#[tokio::test(start_paused = true)]
async fn sandbox_audit_log_is_parsed() {
    let World {
        sandbox, client, ..
    } = world(Settings::default(), Vec::new());
    let recorded: Value =
        serde_json::from_str(include_str!("../fixtures/api/audit_log_risk.json")).unwrap();
    for item in recorded["result"].as_array().unwrap().iter().rev() {
        add(&sandbox, "2026-11-19T00:00:00Z", item.clone());
    }
    let log = audit_log(&client).await.unwrap();
    let kinds = log.entries.iter().map(|entry| match entry.write {
        LoggedWrite::Behaviors(_) => "behaviors",
        LoggedWrite::Created(..) => "created",
        LoggedWrite::Updated(..) => "updated",
        LoggedWrite::Deleted(_) => "deleted",
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["behaviors", "created", "deleted"]
    );
}
