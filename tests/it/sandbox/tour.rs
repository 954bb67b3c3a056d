//! All routes with all settings, successes and failures. The client validates the responses.

use std::collections::BTreeSet;

use axum::http::Method;
use riskform::sandbox::{
    BehaviorsPut, DEFAULT_TOKEN, Permissions, RECORDED_ACCOUNT, RateLimit, Settings, TenantUrlForm,
    UniqueKey, UnsetReference,
};
use serde_json::{Value, json};

use super::{Client, scoring};

const INTEGRATION: &str = "4cfe8442-664b-4915-acd4-b39cd65c4314";
const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
const USER: &str = "0d7f1f6e-52c7-4b0f-8a5c-1d7a0c3f9b11";
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// One valid request to each operation, for the initial state and all settings, in a working order.
fn good_requests() -> Vec<(Method, String, Value)> {
    let behavior = json!({ "enabled": true, "risk_level": "low" });
    let behaviors =
        json!({ "high_dlp": behavior, "imp_travel": behavior, "sentinel_one": behavior });
    let created = json!({ "integration_type": "Okta", "tenant_url": "https://Corp.okta.com/" });
    let written =
        json!({ "tenant_url": "https://corp.example.com", "active": false, "reference_id": null });
    let requests = [
        (Method::GET, "behaviors".to_owned(), Value::Null),
        (
            Method::PUT,
            "behaviors".to_owned(),
            json!({ "behaviors": behaviors }),
        ),
        (Method::GET, "summary".to_owned(), Value::Null),
        (Method::GET, USER.to_owned(), Value::Null),
        (Method::POST, format!("{USER}/reset"), Value::Null),
        (Method::POST, "integrations".to_owned(), created),
        (Method::GET, "integrations".to_owned(), Value::Null),
        (
            Method::GET,
            format!("integrations/{INTEGRATION}"),
            Value::Null,
        ),
        (
            Method::GET,
            format!("integrations/reference_id/{REFERENCE}"),
            Value::Null,
        ),
        (Method::PUT, format!("integrations/{INTEGRATION}"), written),
        (
            Method::DELETE,
            format!("integrations/{INTEGRATION}"),
            Value::Null,
        ),
    ];
    let requests = requests
        .into_iter()
        .map(|(method, rest, body)| (method, scoring(&rest), body));
    let surroundings = SURROUNDINGS.iter().map(|(path, _)| {
        (
            Method::GET,
            path.replace("{account}", RECORDED_ACCOUNT),
            Value::Null,
        )
    });
    requests.chain(surroundings).collect()
}

/// Requests that need no entitlement, with their permissions.
const SURROUNDINGS: [(&str, &str); 8] = [
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

/// Sends all requests and returns the statuses.
async fn statuses(client: &Client) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::new();
    for (method, path, body) in good_requests() {
        statuses.insert(client.send(method, &path, body).await.status);
    }
    statuses
}

fn every_setting() -> Vec<Settings> {
    let unique = [
        vec![],
        vec![UniqueKey::ReferenceId],
        vec![UniqueKey::TenantUrl],
        UniqueKey::ALL.to_vec(),
    ];
    let mut all = Vec::new();
    for behaviors_put in BehaviorsPut::ALL {
        for unique in &unique {
            for tenant_url in TenantUrlForm::ALL {
                for unset_reference in UnsetReference::ALL {
                    all.push(Settings {
                        behaviors_put: *behaviors_put,
                        unique: unique.iter().copied().collect(),
                        tenant_url: *tenant_url,
                        unset_reference: *unset_reference,
                        ..Settings::default()
                    });
                }
            }
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_operation_succeeds_in_every_setting() {
    for settings in every_setting() {
        let client = Client::new(settings);
        assert_eq!(
            statuses(&client).await,
            BTreeSet::from([200]),
            "{:?}",
            client.sandbox.settings()
        );
        let succeeded = client.seen.lock().unwrap().len();
        assert_eq!(
            succeeded,
            client.openapi.operations().len(),
            "an operation was left out"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_wrong_body_is_refused_in_every_setting() {
    for settings in every_setting() {
        let (rule, unique) = (settings.behaviors_put, settings.unique.clone());
        let client = Client::new(settings);
        let before = client.sandbox.account(&super::account());
        for (method, path, body, pointers) in wrong_bodies() {
            let answer = client.send_text(method.clone(), &path, body.clone()).await;
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
            assert_eq!(
                answer.failure(),
                json!([400, ["/behaviors/high_dlp", "/behaviors/sentinel_one"]])
            );
        }
        if !unique.is_empty() {
            let taken: Vec<_> = unique.iter().map(|key| format!("/{key}")).collect();
            let body = json!({ "integration_type": "Okta", "tenant_url": "https://EXAMPLE.oktapreview.com/", "reference_id": REFERENCE });
            let answer = client
                .send(Method::POST, &scoring("integrations"), body)
                .await;
            assert_eq!(answer.failure(), json!([400, taken]));
        }
        assert_eq!(
            client.sandbox.account(&super::account()),
            before,
            "a refused request has changed something"
        );
    }
}

fn wrong_bodies() -> Vec<(Method, String, String, Vec<&'static str>)> {
    let behaviors: &[(&str, &[&str])] = &[
        ("", &[""]),
        ("{", &[""]),
        ("[]", &[""]),
        ("{}", &["/behaviors"]),
        (r#"{"behaviors": []}"#, &["/behaviors"]),
        (
            r#"{"behaviors": {"a/b~": null, "high_dlp": {}, "imp_travel": {}, "sentinel_one": {}}}"#,
            &[
                "/behaviors/a~1b~0",
                "/behaviors/a~1b~0",
                "/behaviors/high_dlp/enabled",
                "/behaviors/high_dlp/risk_level",
                "/behaviors/imp_travel/enabled",
                "/behaviors/imp_travel/risk_level",
                "/behaviors/sentinel_one/enabled",
                "/behaviors/sentinel_one/risk_level",
            ],
        ),
        (
            r#"{"behaviors": {"high_dlp": {"enabled": "yes", "risk_level": 1},
             "imp_travel": {"enabled": null, "risk_level": "High"}, "sentinel_one": {"enabled": true, "risk_level": "low"}}}"#,
            &[
                "/behaviors/high_dlp/enabled",
                "/behaviors/high_dlp/risk_level",
                "/behaviors/imp_travel/enabled",
                "/behaviors/imp_travel/risk_level",
            ],
        ),
        (
            r#"{"behaviors": {"high_dlp": {"enabled": true, "risk_level": "low"}, "new": {"enabled": true, "risk_level": "low"},
             "imp_travel": {"enabled": true, "risk_level": "low"}, "sentinel_one": {"enabled": true, "risk_level": "low"}}}"#,
            &["/behaviors/new"],
        ),
    ];
    let create: &[(&str, &[&str])] = &[
        ("", &[""]),
        ("null", &[""]),
        ("{}", &["/integration_type", "/tenant_url"]),
        (
            r#"{"integration_type": "okta", "tenant_url": "corp.okta.com", "reference_id": 7}"#,
            &["/integration_type", "/reference_id", "/tenant_url"],
        ),
        (
            r#"{"integration_type": null, "tenant_url": {}}"#,
            &["/integration_type", "/tenant_url"],
        ),
    ];
    let write: &[(&str, &[&str])] = &[
        ("[", &[""]),
        ("{}", &["/active", "/tenant_url"]),
        (
            r#"{"tenant_url": "https://a b", "active": 1, "reference_id": []}"#,
            &["/active", "/reference_id", "/tenant_url"],
        ),
    ];
    let of = |method: Method, path: &str, bodies: &[(&str, &[&'static str])]| -> Vec<_> {
        let rows = bodies.iter().map(|(body, pointers)| {
            (
                method.clone(),
                scoring(path),
                (*body).to_owned(),
                pointers.to_vec(),
            )
        });
        rows.collect()
    };
    let mut all = of(Method::PUT, "behaviors", behaviors);
    all.extend(of(Method::POST, "integrations", create));
    all.extend(of(
        Method::PUT,
        &format!("integrations/{INTEGRATION}"),
        write,
    ));
    all
}

#[tokio::test(start_paused = true)]
async fn credentials_decide_before_anything_else() {
    // Status and codes of normal routes and of token verification.
    let key = ("x-auth-key", DEFAULT_TOKEN);
    let email = ("x-auth-email", "someone@example.com");
    let cases: [(&[(&str, &str)], Value, Value); 11] = [
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
        (
            &[("authorization", "Basic riskform-sandbox")],
            json!([400, [6003]]),
            json!([400, [6003]]),
        ),
        (&[key], json!([400, [9106]]), json!([400, [1001]])),
        (&[email], json!([400, [9106]]), json!([400, [1001]])),
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
    for (headers, routes, verifying) in cases {
        let client = Client::new(Settings::default()).with_headers(headers);
        for (method, path, body) in good_requests() {
            let expected = if path.ends_with("verify") {
                &verifying
            } else {
                &routes
            };
            let answer = client.send(method, &path, body).await;
            assert_eq!(answer.failure(), *expected, "{headers:?} {path}");
        }
    }
    let client = Client::new(Settings::default())
        .with_headers(&[("authorization", "bearer riskform-sandbox")]);
    assert_eq!(statuses(&client).await, BTreeSet::from([200]));
}

#[tokio::test(start_paused = true)]
async fn each_operation_needs_its_own_permission() {
    // Risk-scoring responses, in the order of `good_requests`.
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
    for (permissions, expected) in cases {
        let granted = |needed: &str| match permissions.split(',').any(|word| word == needed) {
            true => 200,
            false => 403,
        };
        let surroundings = SURROUNDINGS.map(|(_, needed)| {
            if needed.is_empty() {
                200
            } else {
                granted(needed)
            }
        });
        let mut settings = Settings::default();
        let permissions: Permissions = permissions.parse().unwrap();
        settings
            .tokens
            .insert(DEFAULT_TOKEN.to_owned(), permissions.clone());
        let client = Client::new(settings);
        let expected = expected.into_iter().chain(surroundings);
        for ((method, path, body), status) in good_requests().into_iter().zip(expected) {
            let answer = client.send(method.clone(), &path, body).await;
            assert_eq!(answer.status, status, "{permissions:?}: {method} {path}");
            if status == 403 {
                assert_eq!(answer.failure(), json!([403, [10000]]));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn missing_permission_with_the_legacy_pair_is_rejected() {
    let settings = Settings {
        tokens: [(DEFAULT_TOKEN.to_owned(), "pii".parse().unwrap())].into(),
        ..Settings::default()
    };
    let client = Client::new(settings).with_headers(&[
        ("x-auth-email", "a@example.com"),
        ("x-auth-key", DEFAULT_TOKEN),
    ]);
    let answer = client.get(&scoring("behaviors")).await;
    assert_eq!(answer.failure(), json!([400, [10000]]));
}

#[tokio::test(start_paused = true)]
async fn token_is_verified_on_both_routes() {
    let client = Client::new(Settings::default());
    let path = format!("/accounts/{RECORDED_ACCOUNT}/tokens/verify");
    let answer = client.get(&path).await;
    let state = answer.result();
    assert_eq!(state["status"], "active");
    let id = state["id"].as_str().unwrap();
    assert!(id.len() == 32 && !id.contains(DEFAULT_TOKEN), "{id}");
    let user = client.get("/user/tokens/verify").await;
    assert_eq!(user.body, answer.body);
}

#[tokio::test(start_paused = true)]
async fn account_without_entitlement_is_forbidden() {
    let client = Client::new(Settings {
        no_entitlement: true,
        ..Settings::default()
    });
    for (method, path, body) in good_requests() {
        let answer = client.send(method, &path, body).await;
        if path.contains("zt_risk_scoring") {
            assert_eq!(answer.failure(), json!([403, [3314]]), "{path}");
        } else {
            assert_eq!(answer.status, 200, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let body = json!({ "tenant_url": "https://corp.okta.com", "active": true });
    let unknown = [
        (Method::GET, NOBODY.to_owned(), 40402),
        (Method::POST, format!("{NOBODY}/reset"), 40402),
        (Method::GET, format!("integrations/{NOBODY}"), 40401),
        (Method::PUT, format!("integrations/{NOBODY}"), 40401),
        (Method::DELETE, format!("integrations/{NOBODY}"), 40401),
        (
            Method::GET,
            "integrations/reference_id/nobody".to_owned(),
            40401,
        ),
        (Method::GET, "nobody".to_owned(), 7003),
        (Method::GET, USER.replace('-', ""), 7003),
        (Method::POST, "behaviors/reset".to_owned(), 7003),
        (Method::GET, "integrations/nobody".to_owned(), 7003),
        (
            Method::GET,
            "integrations/reference_id/%ff".to_owned(),
            7003,
        ),
        (Method::GET, "nothing/at/all".to_owned(), 7003),
    ];
    let client = Client::new(Settings::default());
    for (method, rest, code) in unknown {
        let answer = client
            .send(method.clone(), &scoring(&rest), body.clone())
            .await;
        assert_eq!(answer.failure(), json!([404, [code]]), "{method} {rest}");
    }
    let of_an_account = good_requests()
        .into_iter()
        .filter(|(_, path, _)| path.contains(RECORDED_ACCOUNT));
    for (method, path, body) in of_an_account {
        for no_account in [
            "x",
            "f037e56e89293a057740de681ac9abbe0",
            "g037e56e89293a057740de681ac9abbe",
        ] {
            let path = path.replace(RECORDED_ACCOUNT, no_account);
            let answer = client.send(method.clone(), &path, body.clone()).await;
            assert_eq!(answer.failure(), json!([404, [7003]]), "{method} {path}");
        }
    }
    assert_eq!(client.get("/nowhere").await.failure(), json!([404, [7003]]));
}

#[tokio::test(start_paused = true)]
async fn another_method_is_told_which_are_allowed() {
    let client = Client::new(Settings::default());
    let cases = [
        ("behaviors", "GET,HEAD,PUT"),
        ("summary", "GET,HEAD"),
        ("integrations", "GET,HEAD,POST"),
        (USER, "GET,HEAD"),
        (&format!("{USER}/reset"), "POST"),
        (
            &format!("integrations/{INTEGRATION}"),
            "GET,HEAD,PUT,DELETE",
        ),
        (
            &format!("integrations/reference_id/{REFERENCE}"),
            "GET,HEAD",
        ),
    ];
    for (rest, allowed) in cases {
        let answer = client
            .send(Method::PATCH, &scoring(rest), Value::Null)
            .await;
        assert_eq!(answer.status, 405, "{rest}");
        assert_eq!(answer.headers["allow"], allowed, "{rest}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_token_hears_when_to_come_back() {
    let rate_limit: RateLimit = "2/60".parse().unwrap();
    let client = Client::new(Settings {
        rate_limit,
        ..Settings::default()
    });
    let path = scoring("behaviors");
    assert_eq!(
        client.get(&path).await.headers["ratelimit"],
        r#""default";r=1;t=60"#
    );
    assert_eq!(
        client.get(&path).await.headers["ratelimit-policy"],
        r#""default";q=2;w=60"#
    );
    tokio::time::sleep(std::time::Duration::from_millis(20_500)).await;
    assert_eq!(client.get(&path).await.headers["retry-after"], "60");
    assert_eq!(statuses(&client).await, BTreeSet::from([429]));
    assert_eq!(client.get(&path).await.failure(), json!([429, [971]]));
    tokio::time::sleep(std::time::Duration::from_secs(59)).await;
    assert_eq!(client.get(&path).await.headers["retry-after"], "1");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        client.get(&path).await.headers["ratelimit"],
        r#""default";r=1;t=60"#
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_said_of_one() {
    let client = Client::new(Settings {
        rate_limit: RateLimit::Off,
        ..Settings::default()
    });
    for _ in 0..1_300 {
        assert_eq!(client.get(&scoring("summary")).await.status, 200);
    }
}
