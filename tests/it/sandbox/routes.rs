//! The sandbox's rules that the OpenAPI document does not have: settings, credentials, permissions, pointers of errors, and the rate limit.
//! Schemathesis and the vendor's own tests cover the rest (`.ci/run`).

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use riskform::model::field::Field;
use riskform::sandbox::{
    AcceptedReferences, BehaviorsPut, DEFAULT_TOKEN, RECORDED_ACCOUNT, Settings, TenantUrlForm,
    UnsetReference,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Client, scoring};
use crate::support::account;

const INTEGRATION: &str = "integrations/4cfe8442-664b-4915-acd4-b39cd65c4314";
const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
const USER: &str = "0d7f1f6e-52c7-4b0f-8a5c-1d7a0c3f9b11";

/// One valid request to each operation of risk scoring, for the initial state and all settings, in a working order.
fn scoring_requests() -> Vec<(Method, String, Value)> {
    let behavior = json!({ "enabled": true, "risk_level": "low" });
    let behaviors =
        json!({ "high_dlp": behavior, "imp_travel": behavior, "sentinel_one": behavior });
    let created = json!({ "integration_type": "Okta", "tenant_url": "https://Corp.okta.com/" });
    let written =
        json!({ "tenant_url": "https://corp.example.com", "active": false, "reference_id": null });
    let requests = [
        (Method::GET, "behaviors", Value::Null),
        (Method::PUT, "behaviors", json!({ "behaviors": behaviors })),
        (Method::GET, "summary", Value::Null),
        (Method::GET, USER, Value::Null),
        (Method::POST, &format!("{USER}/reset"), Value::Null),
        (Method::POST, "integrations", created),
        (Method::GET, "integrations", Value::Null),
        (Method::GET, INTEGRATION, Value::Null),
        (
            Method::GET,
            &format!("integrations/reference_id/{REFERENCE}"),
            Value::Null,
        ),
        (Method::PUT, INTEGRATION, written),
        (Method::DELETE, INTEGRATION, Value::Null),
    ];
    let requests = requests.map(|(method, rest, body)| (method, scoring(rest), body));
    requests.into()
}

/// Other requests, with their permissions.
const CONTEXT_REQUESTS: [(&str, &str); 8] = [
    ("/accounts/{account}/access/policies", "apps"),
    ("/accounts/{account}/access/apps", "apps"),
    (
        "/accounts/{account}/access/apps/c2a7f1d4-5e60-4b83-9f21-3d4c5b6a7e8f/policies",
        "apps",
    ),
    ("/accounts/{account}/access/groups", "groups"),
    ("/accounts/{account}/access/identity_providers", "groups"),
    (
        "/accounts/{account}/logs/audit?since=2020-01-01&before=2100-01-01",
        "audit-log",
    ),
    ("/accounts/{account}/tokens/verify", ""),
    ("/user/tokens/verify", ""),
];

fn all_requests() -> Vec<(Method, String, Value)> {
    let context = CONTEXT_REQUESTS.iter().map(|(path, _)| {
        let path = path.replace("{account}", RECORDED_ACCOUNT);
        (Method::GET, path, Value::Null)
    });
    scoring_requests().into_iter().chain(context).collect()
}

/// Sends all requests and returns the statuses in order.
async fn statuses(client: &Client) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path, body) in all_requests() {
        statuses.push(client.send(method, &path, body).await.status);
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn rejected_body_names_each_member_and_keeps_the_resource() {
    let (put, post) = (Method::PUT, Method::POST);
    let table: [(&Method, &str, &str, &[&str]); 7] = [
        (&put, "behaviors", "{", &[""]),
        (&put, "behaviors", r#"{"behaviors": []}"#, &["/behaviors"]),
        (
            &put,
            "behaviors",
            r#"{"behaviors": {"a/b~": {"enabled": true, "risk_level": "low"}, "high_dlp": {"enabled": "yes", "risk_level": 1},
             "imp_travel": {}, "sentinel_one": {"enabled": true, "risk_level": "low"}}}"#,
            &[
                "/behaviors/a~1b~0",
                "/behaviors/high_dlp/enabled",
                "/behaviors/high_dlp/risk_level",
                "/behaviors/imp_travel/enabled",
                "/behaviors/imp_travel/risk_level",
            ],
        ),
        (
            &post,
            "integrations",
            "{}",
            &["/integration_type", "/tenant_url"],
        ),
        (
            &post,
            "integrations",
            r#"{"integration_type": "okta", "tenant_url": "corp.okta.com", "reference_id": 7}"#,
            &["/integration_type", "/reference_id", "/tenant_url"],
        ),
        (&put, INTEGRATION, "{}", &["/active", "/tenant_url"]),
        (
            &put,
            INTEGRATION,
            r#"{"tenant_url": "https://a b", "active": 1, "reference_id": []}"#,
            &["/active", "/reference_id", "/tenant_url"],
        ),
    ];
    let keys = vec![Field::ReferenceId, Field::TenantUrl];
    for (rule, unique) in [
        (BehaviorsPut::Merge, keys),
        (BehaviorsPut::Replace, vec![Field::TenantUrl]),
        (BehaviorsPut::RequireAll, vec![]),
    ] {
        let client = Client::new(Settings {
            behaviors_put: rule,
            unique: unique.clone(),
            ..Settings::default()
        });
        let before = client.sandbox.account(&account());
        for (method, path, body, pointers) in table {
            let answer = client
                .send_text(method.clone(), &scoring(path), body.to_owned())
                .await;
            assert_eq!(
                answer.failure(),
                json!([400, pointers]),
                "{method} {path} {body}"
            );
        }
        if rule == BehaviorsPut::RequireAll {
            let body =
                json!({ "behaviors": { "imp_travel": { "enabled": true, "risk_level": "low" } } });
            let answer = client.send(Method::PUT, &scoring("behaviors"), body).await;
            let missing = ["/behaviors/high_dlp", "/behaviors/sentinel_one"];
            assert_eq!(answer.failure(), json!([400, missing]));
        }
        if !unique.is_empty() {
            let taken: Vec<_> = unique.iter().map(|key| format!("/{key}")).collect();
            let same = json!({ "reference_id": REFERENCE });
            let answer = client
                .create("https://EXAMPLE.oktapreview.com/", same)
                .await;
            assert_eq!(answer.failure(), json!([400, taken]));
        }
        let after = client.sandbox.account(&account());
        assert_eq!(after, before, "a rejected request has changed something");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_checked_first() {
    let (key, email) = (
        ("x-auth-key", DEFAULT_TOKEN),
        ("x-auth-email", "a@example.com"),
    );
    // Status and code of a normal route and of token verification.
    let cases: [(&[(&str, &str)], Value, Value); 9] = [
        (&[], json!([400, [9106]]), json!([400, [1001]])),
        (
            &[("authorization", "Bearer wrong")],
            json!([401, [9109]]),
            json!([401, [1000]]),
        ),
        (
            &[("authorization", "Bearer")],
            json!([400, [6003]]),
            json!([400, [6003]]),
        ),
        (&[key], json!([400, [9106]]), json!([400, [1001]])),
        (
            &[email, ("x-auth-key", "")],
            json!([400, [6003]]),
            json!([400, [6003]]),
        ),
        (
            &[("x-auth-email", "x"), key],
            json!([400, [6003]]),
            json!([400, [6003]]),
        ),
        (
            &[email, ("x-auth-key", "wrong")],
            json!([400, [10000]]),
            json!([400, [1001]]),
        ),
        (
            &[("authorization", "Bearer wrong"), email, key],
            json!([401, [9109]]),
            json!([401, [1000]]),
        ),
        (&[email, key], json!([200, []]), json!([400, [1001]])),
    ];
    for (headers, route, verification) in cases {
        let client = Client::new(Settings::default()).with_headers(headers);
        for (method, path, body) in all_requests() {
            let expected = if path.ends_with("verify") {
                &verification
            } else {
                &route
            };
            let answer = client.send(method, &path, body).await;
            assert_eq!(answer.failure(), *expected, "{headers:?} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_operation_needs_its_permission() {
    // Statuses in the order of `scoring_requests`.
    let cases = [
        ("", [403; 11]),
        (
            "read",
            [200, 403, 403, 403, 403, 403, 200, 200, 200, 403, 403],
        ),
        (
            "write",
            [200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 200],
        ),
        (
            "pii",
            [403, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403],
        ),
        ("apps,groups,audit-log", [403; 11]),
        ("read,write,pii", [200; 11]),
    ];
    for (permissions, scoring) in cases {
        let granted =
            |needed| str::is_empty(needed) || permissions.split(',').any(|word| word == needed);
        let context = CONTEXT_REQUESTS.map(|(_, needed)| if granted(needed) { 200 } else { 403 });
        let client = Client::new(Settings {
            permissions: vec![permissions.parse().unwrap()],
            ..Settings::default()
        });
        assert_eq!(
            statuses(&client).await,
            [&scoring[..], &context].concat(),
            "{permissions}"
        );
    }
    let client = Client::new(Settings {
        no_entitlement: true,
        ..Settings::default()
    });
    assert_eq!(
        statuses(&client).await,
        [&[403; 11][..], &[200; 8]].concat()
    );
    assert_eq!(
        client.get(&scoring("behaviors")).await.failure(),
        json!([403, [3314]])
    );
}

#[tokio::test(start_paused = true)]
async fn rate_limited_token_gets_the_time_to_wait() {
    let client = Client::new(Settings {
        rate_limit: "2/60".parse().unwrap(),
        ..Settings::default()
    });
    let path = scoring("behaviors");
    let header = async |name| {
        client.get(&path).await.headers[name]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(header("ratelimit").await, r#""default";r=1;t=60"#);
    assert_eq!(header("ratelimit-policy").await, r#""default";q=2;w=60"#);
    tokio::time::sleep(Duration::from_millis(20_500)).await;
    assert_eq!(header("retry-after").await, "60");
    assert_eq!(client.get(&path).await.failure(), json!([429, [971]]));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(header("retry-after").await, "1");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(header("ratelimit").await, r#""default";r=1;t=60"#);
}

#[tokio::test(start_paused = true)]
async fn partial_write_of_behaviors_follows_the_setting() {
    for (behaviors_put, status, expected) in [
        (
            BehaviorsPut::Merge,
            200,
            ["true medium", "false low", "false medium"],
        ),
        (
            BehaviorsPut::Replace,
            200,
            ["false low", "false low", "false low"],
        ),
        (
            BehaviorsPut::RequireAll,
            400,
            ["true medium", "true high", "false medium"],
        ),
    ] {
        let client = Client::new(Settings {
            behaviors_put,
            ..Settings::default()
        });
        let body =
            json!({ "behaviors": { "imp_travel": { "enabled": false, "risk_level": "low" } } });
        let answer = client.send(Method::PUT, &scoring("behaviors"), body).await;
        assert_eq!(answer.status, status, "{behaviors_put}");
        let live = client.sandbox.live(&account()).behaviors;
        let live = live.values().map(|one| {
            format!(
                "{} {}",
                one.fields.shown(Field::Enabled),
                one.fields.shown(Field::RiskLevel)
            )
        });
        assert_eq!(live.collect::<Vec<_>>(), expected, "{behaviors_put}");
    }
}

#[tokio::test(start_paused = true)]
async fn missing_reference_and_tenant_url_follow_the_settings() {
    for (unset_reference, expected) in [
        (UnsetReference::Empty, Some(json!(""))),
        (UnsetReference::Null, Some(Value::Null)),
        (UnsetReference::Absent, None),
    ] {
        for sent in [
            json!({}),
            json!({ "reference_id": null }),
            json!({ "reference_id": "" }),
        ] {
            let client = Client::new(Settings {
                unset_reference,
                ..Settings::default()
            });
            let answer = client.create("https://corp.okta.com", sent).await;
            assert_eq!(
                answer.result().get("reference_id"),
                expected.as_ref(),
                "{unset_reference}"
            );
        }
    }
    let client = Client::new(Settings::default());
    let mut references = BTreeSet::new();
    for _ in 0..3 {
        let answer = client.create("https://corp.okta.com", json!({})).await;
        let reference: Uuid = answer.result()["reference_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        references.insert((reference.get_version_num(), reference));
    }
    assert!(references.len() == 3 && references.iter().all(|(version, _)| *version == 4));
    for (tenant_url, expected) in [
        (TenantUrlForm::Verbatim, "https://Corp.Okta.com:443/"),
        (TenantUrlForm::Normalized, "https://corp.okta.com"),
    ] {
        let client = Client::new(Settings {
            tenant_url,
            ..Settings::default()
        });
        let answer = client.create("https://Corp.Okta.com:443/", json!({})).await;
        assert_eq!(answer.result()["tenant_url"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn only_references_of_providers_are_accepted_if_so_set() {
    const OTHER: &str = "8e2f1c0a-1111-4222-8333-444455556666";
    let client = Client::new(Settings {
        references: AcceptedReferences::Providers,
        ..Settings::default()
    });
    let rejected = json!([400, ["/reference_id"]]);
    let create = async |fields| client.create("https://corp.okta.com", fields).await;
    assert_eq!(
        create(json!({ "reference_id": OTHER })).await.failure(),
        rejected
    );
    create(json!({ "reference_id": REFERENCE })).await.result();
    let created = create(json!({})).await;
    let generated = created.result()["reference_id"].as_str().unwrap();
    let path = scoring(&format!(
        "integrations/{}",
        created.result()["id"].as_str().unwrap()
    ));
    for (sent, accepted) in [
        (OTHER, false),
        (generated, true),
        (REFERENCE, true),
        (generated, false),
    ] {
        let body =
            json!({ "tenant_url": "https://corp.okta.com", "reference_id": sent, "active": true });
        let answer = client.send(Method::PUT, &path, body).await;
        assert_eq!(answer.status == 200, accepted, "{sent}");
        assert!(accepted || answer.failure() == rejected, "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_responses_are_compressed_on_request() {
    let client = Client::new(Settings::default());
    for n in 0..10 {
        client
            .create(&format!("https://tenant-{n}.okta.com"), json!({}))
            .await
            .result();
    }
    let authorization = ("authorization", "Bearer riskform-sandbox");
    let client =
        Client::of(client.sandbox).with_headers(&[authorization, ("accept-encoding", "gzip")]);
    for (rest, compressed) in [("integrations", true), ("behaviors", false)] {
        let answer = client
            .send_unchecked(Method::GET, &scoring(rest), String::new())
            .await;
        assert_eq!(
            answer.headers.contains_key("content-encoding"),
            compressed,
            "{rest}"
        );
    }
}
