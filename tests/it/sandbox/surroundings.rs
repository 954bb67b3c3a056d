//! Routes of the context: Access lists with pages, and the audit log.

use std::time::Duration;

use axum::http::Method;
use riskform::sandbox::{ACTOR_HEADER, CONTEXT_HEADER, DEFAULT_TOKEN, RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};

use super::{Client, account, scoring};

fn access(rest: &str) -> String {
    format!("/accounts/{RECORDED_ACCOUNT}/access/{rest}")
}

fn audit(rest: &str) -> String {
    format!("/accounts/{RECORDED_ACCOUNT}/logs/audit?since=2020-01-01&before=2100-01-01{rest}")
}

#[tokio::test(start_paused = true)]
async fn the_lists_of_access_come_in_pages() {
    let client = Client::new(Settings::default());
    let many: Vec<Value> = (0..5)
        .map(
            |n| json!({ "id": n.to_string(), "name": n.to_string(), "type": "okta", "config": {} }),
        )
        .collect();
    client
        .sandbox
        .edit(&account(), |account| {
            let context = &mut account.context;
            for list in [
                &mut context.policies,
                &mut context.groups,
                &mut context.apps,
                &mut context.identity_providers,
            ] {
                list.clone_from(&many);
            }
        })
        .unwrap();
    for (list, default_size) in [
        ("policies", 100),
        ("groups", 1000),
        ("apps", 1000),
        ("identity_providers", 200),
    ] {
        let cases = [
            (
                "",
                vec!["0", "1", "2", "3", "4"],
                json!([5, 1, default_size, 5, 1]),
            ),
            ("?page=2&per_page=2", vec!["2", "3"], json!([2, 2, 2, 5, 3])),
            ("?per_page=2&page=3", vec!["4"], json!([1, 3, 2, 5, 3])),
            ("?per_page=2&page=4", vec![], json!([0, 4, 2, 5, 3])),
        ];
        for (query, expected, info) in cases {
            let answer = client.get(&access(&format!("{list}{query}"))).await;
            let ids: Vec<_> = answer
                .result()
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids, expected, "{list}{query}");
            let told = &answer.body["result_info"];
            let told =
                ["count", "page", "per_page", "total_count", "total_pages"].map(|name| &told[name]);
            assert_eq!(json!(told), info, "{list}{query}");
        }
        for wrong in ["?page=0", "?page=x", "?per_page=0", "?per_page=1001"] {
            let answer = client.get(&access(&format!("{list}{wrong}"))).await;
            assert_eq!(answer.failure(), json!([400, [40002]]), "{list}{wrong}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn application_has_its_policies_in_the_list_and_on_its_route() {
    let client = Client::new(Settings::default());
    let apps = client.get(&access("apps")).await;
    let app = &apps.result()[0];
    assert_eq!(app["policies"].as_array().unwrap().len(), 2);
    let own = access(&format!("apps/{}/policies", app["id"].as_str().unwrap()));
    let policies = client.get(&own).await;
    let policies = policies.result().as_array().unwrap();
    let names: Vec<_> = policies.iter().map(|policy| &policy["name"]).collect();
    assert_eq!(names, ["Employees, not at high risk", "Contractors"]);
    let answer = client.get(&access("apps/nobody/policies")).await;
    assert_eq!(answer.failure(), json!([404, [40403]]));
}

async fn put_levels(client: &Client, level: &str) {
    let behaviors =
        json!({ "behaviors": { "imp_travel": { "enabled": true, "risk_level": level } } });
    client
        .send(Method::PUT, &scoring("behaviors"), behaviors)
        .await
        .result();
    tokio::time::sleep(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn every_write_is_logged_with_its_author_and_nothing_else_is() {
    let client = Client::new(Settings::default());
    put_levels(&client, "low").await;
    let body = json!({ "integration_type": "Okta", "tenant_url": "https://corp.okta.com" });
    let by = |headers: &[(&'static str, &str)]| {
        let all = [&[("authorization", "Bearer riskform-sandbox")], headers].concat();
        Client::of(client.sandbox.clone()).with_headers(&all)
    };
    let dash = by(&[
        (CONTEXT_HEADER, "dash"),
        (ACTOR_HEADER, "alice@example.com"),
        ("user-agent", "Mozilla"),
    ]);
    let created = dash
        .send(Method::POST, &scoring("integrations"), body.clone())
        .await;
    let id = created.result()["id"].as_str().unwrap();
    let ray = created.headers["cf-ray"].to_str().unwrap();
    let key = Client::of(client.sandbox.clone()).with_headers(&[
        ("x-auth-email", "bob@example.com"),
        ("x-auth-key", DEFAULT_TOKEN),
    ]);
    key.send(
        Method::DELETE,
        &scoring(&format!("integrations/{id}")),
        Value::Null,
    )
    .await
    .result();
    // Reads and errors are not logged.
    client.get(&scoring("behaviors")).await;
    client
        .send(Method::PUT, &scoring("behaviors"), json!({}))
        .await;

    let log = client.get(&audit("")).await;
    let entries = log.result().as_array().unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |pointer| {
                entry
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("-")
            };
            [
                text("/action/type"),
                text("/actor/context"),
                text("/actor/email"),
                text("/raw/method"),
            ]
        })
        .collect();
    assert_eq!(
        told,
        [
            ["delete", "api_key", "bob@example.com", "DELETE"],
            ["create", "dash", "alice@example.com", "POST"],
            ["update", "api_token", "sandbox@example.com", "PUT"],
        ]
    );
    let create = &entries[1];
    assert_eq!(create["resource"]["id"], id);
    assert_eq!(create["resource"]["request"], body);
    assert_eq!(create["resource"]["response"], *created.result());
    assert_eq!(create["raw"]["uri"], scoring("integrations"));
    assert_eq!(create["raw"]["user_agent"], "Mozilla");
    assert!(
        ray.starts_with(create["raw"]["cf_ray_id"].as_str().unwrap()),
        "{ray}"
    );
    let times = [&entries[1], &entries[2]].map(|entry| {
        let time = entry["action"]["time"].as_str().unwrap();
        time.parse::<jiff::Timestamp>().unwrap()
    });
    assert_eq!(times[0].duration_since(times[1]).as_secs(), 10);
    assert!(
        !log.body.to_string().contains(DEFAULT_TOKEN),
        "the log names tokens by their ids"
    );
    assert_eq!(create["actor"].get("token_id"), None);
    assert!(entries[2]["actor"]["token_id"].is_string());
}

#[tokio::test(start_paused = true)]
async fn audit_log_is_filtered_and_comes_in_pages() {
    let levels = async |client: &Client, query: &str| -> Vec<String> {
        let answer = client.get(&audit(query)).await;
        let entries = answer.result().as_array().unwrap();
        let level = |entry: &Value| {
            entry["resource"]["request"]["behaviors"]["imp_travel"]["risk_level"].clone()
        };
        entries
            .iter()
            .map(|entry| level(entry).as_str().unwrap().to_owned())
            .collect()
    };
    let client = Client::new(Settings::default());
    for level in ["low", "medium", "high"] {
        put_levels(&client, level).await;
    }
    for (query, expected) in [
        ("", vec!["high", "medium", "low"]),
        ("&direction=asc", vec!["low", "medium", "high"]),
        ("&raw_method=POST", vec![]),
        (
            "&raw_method=POST&raw_method=PUT",
            vec!["high", "medium", "low"],
        ),
        ("&raw_method.not=PUT", vec![]),
        (
            "&raw_method.not=POST&raw_status_code=200",
            vec!["high", "medium", "low"],
        ),
    ] {
        assert_eq!(levels(&client, query).await, expected, "{query}");
    }
    let (mut next, mut read) = (String::new(), Vec::new());
    loop {
        let query = format!("&limit=2&cursor={next}");
        read.extend(levels(&client, &query).await);
        let info = client.get(&audit(&query)).await.body["result_info"].clone();
        next = info["cursor"].as_str().unwrap().to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(read, ["high", "medium", "low"]);
    for wrong in [
        "&limit=0",
        "&limit=x",
        "&direction=up",
        "&cursor=x",
        "&action_type=login",
        "&actor_email=x",
    ] {
        let answer = client.get(&audit(wrong)).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.body["errors"][0].get("code"), None, "{wrong}");
    }
    for wrong in ["", "?since=2026-01-01", "?since=yesterday&before=today"] {
        let path = format!("/accounts/{RECORDED_ACCOUNT}/logs/audit{wrong}");
        assert_eq!(client.get(&path).await.status, 400, "{wrong}");
    }
}
