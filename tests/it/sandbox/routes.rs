//! The sandbox's routes.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use riskform::model::account::LiveAccount;
use riskform::model::behavior::BehaviorKey;
use riskform::model::open_enum::OpenEnum;
use riskform::model::user::RiskEvent;
use riskform::sandbox::{
    AcceptedReferences, BASE_PATH, BehaviorsPut, DEFAULT_TOKEN, Settings, TenantUrlForm,
    UnsetReference,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;
use uuid::Uuid;

use super::{Client, account, scoring};

#[tokio::test(start_paused = true)]
async fn a_write_of_some_behaviors_follows_the_setting() {
    let cases = [
        (
            BehaviorsPut::Merge,
            json!([200, "true medium", "false low", "false medium"]),
        ),
        (
            BehaviorsPut::Replace,
            json!([200, "false low", "false low", "false low"]),
        ),
        (
            BehaviorsPut::RequireAll,
            json!([400, "true medium", "true high", "false medium"]),
        ),
    ];
    for (behaviors_put, expected) in cases {
        let client = Client::new(Settings {
            behaviors_put,
            ..Settings::default()
        });
        let body =
            json!({ "behaviors": { "imp_travel": { "enabled": false, "risk_level": "low" } } });
        let answer = client.send(Method::PUT, &scoring("behaviors"), body).await;
        let mut found = vec![json!(answer.status)];
        let read = client.get(&scoring("behaviors")).await;
        let read = read.result()["behaviors"].as_object().unwrap();
        found.extend(read.values().map(|one| {
            json!(format!(
                "{} {}",
                one["enabled"],
                one["risk_level"].as_str().unwrap()
            ))
        }));
        assert_eq!(json!(found), expected, "{behaviors_put}");
        if answer.status == 200 {
            let answered = answer.result()["behaviors"].as_object().unwrap();
            assert!(
                answered.keys().eq(read.keys()),
                "the answer lists every behavior"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_that_the_vendor_added_is_taken_back() {
    let client = Client::new(Settings::default());
    let mut body =
        json!({ "behaviors": { "imp_travel": { "enabled": true, "risk_level": "severe" } } });
    let path = scoring("behaviors");
    assert_eq!(
        client
            .send(Method::PUT, &path, body.clone())
            .await
            .failure(),
        json!([400, ["/behaviors/imp_travel/risk_level"]])
    );
    client
        .sandbox
        .edit(&account(), |account| {
            let behavior = account
                .behaviors
                .get_mut(&BehaviorKey::new("imp_travel"))
                .unwrap();
            behavior.settings.risk_level = OpenEnum::parse("severe");
        })
        .unwrap();
    body["behaviors"]["imp_travel"]["enabled"] = json!(false);
    // The level is not in the document, so this response is not validated.
    let request = request(Method::PUT, &path)
        .body(Body::from(body.to_string()))
        .unwrap();
    assert_eq!(
        client
            .sandbox
            .router()
            .oneshot(request)
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test(start_paused = true)]
async fn an_integration_lives_and_dies() {
    let client = Client::new(Settings {
        unset_reference: UnsetReference::Empty,
        ..Settings::default()
    });
    tokio::time::sleep(Duration::from_secs(61)).await;
    let body = json!({ "integration_type": "Okta", "tenant_url": "https://corp.okta.com", "reference_id": "a/b ü", "active": false });
    let created = client
        .send(Method::POST, &scoring("integrations"), body)
        .await;
    let created = created.result();
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        *created,
        json!({
            "id": id,
            "account_tag": "f037e56e89293a057740de681ac9abbe",
            "active": true,
            "created_at": client.sandbox.now(),
            "integration_type": "Okta",
            "reference_id": "a/b ü",
            "tenant_url": "https://corp.okta.com",
            "well_known_url": format!("https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/{id}"),
        })
    );
    let path = scoring(&format!("integrations/{id}"));
    assert_eq!(client.get(&path).await.result(), created);
    let by_reference = scoring("integrations/reference_id/a%2Fb%20%C3%BC");
    assert_eq!(client.get(&by_reference).await.result(), created);

    let body = json!({ "tenant_url": "https://new.okta.com", "active": false, "integration_type": "Other" });
    let written = client.send(Method::PUT, &path, body).await;
    let mut expected = created.clone();
    expected["tenant_url"] = json!("https://new.okta.com");
    expected["active"] = json!(false);
    expected["reference_id"] = json!("");
    assert_eq!(
        written.result(),
        &expected,
        "what is left out is lost, and the type stays"
    );
    assert_eq!(client.get(&by_reference).await.status, 404);

    assert_eq!(
        client
            .send(Method::DELETE, &path, Value::Null)
            .await
            .result(),
        &Value::Null
    );
    assert_eq!(
        client.send(Method::DELETE, &path, Value::Null).await.status,
        404
    );
    assert_eq!(
        client
            .get(&scoring("integrations"))
            .await
            .result()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_unset_reference_looks_as_set() {
    let cases = [
        (UnsetReference::Empty, Some(json!(""))),
        (UnsetReference::Null, Some(Value::Null)),
        (UnsetReference::Absent, None),
    ];
    for (unset_reference, expected) in cases {
        for sent in [
            json!({}),
            json!({ "reference_id": null }),
            json!({ "reference_id": "" }),
        ] {
            let client = Client::new(Settings {
                unset_reference,
                ..Settings::default()
            });
            let body = okta("https://corp.okta.com", sent.clone());
            let answer = client
                .send(Method::POST, &scoring("integrations"), body)
                .await;
            assert_eq!(
                answer.result().get("reference_id"),
                expected.as_ref(),
                "{unset_reference} {sent}"
            );
        }
    }
}

/// Returns an integration body for `tenant` with additional fields.
fn okta(tenant: &str, fields: Value) -> Value {
    let mut body = json!({ "integration_type": "Okta", "tenant_url": tenant });
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

#[tokio::test(start_paused = true)]
async fn omitted_reference_is_a_new_random_uuid_each_time() {
    let client = Client::new(Settings::default());
    let mut references = BTreeSet::new();
    for sent in [
        json!({}),
        json!({ "reference_id": null }),
        json!({ "reference_id": "" }),
    ] {
        let body = okta("https://corp.okta.com", sent);
        let path = scoring("integrations");
        let answer = client.send(Method::POST, &path, body).await;
        references.insert(answer.result()["reference_id"].to_string());
        let path = scoring(&format!(
            "integrations/{}",
            answer.result()["id"].as_str().unwrap()
        ));
        let put = json!({ "tenant_url": "https://corp.okta.com", "active": true });
        let answer = client.send(Method::PUT, &path, put).await;
        let reference = &answer.result()["reference_id"];
        references.insert(reference.to_string());
        assert_eq!(&client.get(&path).await.result()["reference_id"], reference);
    }
    assert_eq!(references.len(), 6, "{references:?}");
    for reference in &references {
        let uuid: Uuid = reference.trim_matches('"').parse().unwrap();
        assert_eq!(uuid.get_version_num(), 4, "{reference}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_is_no_providers_is_refused_where_that_is_set() {
    const PROVIDER: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
    const OTHER: &str = "8e2f1c0a-1111-4222-8333-444455556666";
    let client = Client::new(Settings {
        references: AcceptedReferences::Providers,
        ..Settings::default()
    });
    let create = async |fields| {
        let body = okta("https://corp.okta.com", fields);
        client
            .send(Method::POST, &scoring("integrations"), body)
            .await
    };
    let refused = json!([400, ["/reference_id"]]);
    assert_eq!(
        create(json!({ "reference_id": OTHER })).await.failure(),
        refused
    );
    create(json!({ "reference_id": PROVIDER })).await.result();
    let created = create(json!({})).await;
    let made_up = created.result()["reference_id"].as_str().unwrap();
    let path = scoring(&format!(
        "integrations/{}",
        created.result()["id"].as_str().unwrap()
    ));
    for (sent, taken) in [
        (OTHER, false),
        (made_up, true),
        (PROVIDER, true),
        (made_up, false),
    ] {
        let body =
            json!({ "tenant_url": "https://corp.okta.com", "reference_id": sent, "active": true });
        let answer = client.send(Method::PUT, &path, body).await;
        if taken {
            assert_eq!(answer.result()["reference_id"], sent);
        } else {
            assert_eq!(answer.failure(), refused, "{sent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_url_is_kept_as_set() {
    let cases = [
        (TenantUrlForm::Verbatim, "https://Corp.Okta.com:443/"),
        (TenantUrlForm::Normalized, "https://corp.okta.com"),
    ];
    for (tenant_url, expected) in cases {
        let client = Client::new(Settings {
            tenant_url,
            ..Settings::default()
        });
        let body =
            json!({ "integration_type": "Okta", "tenant_url": "https://Corp.Okta.com:443/" });
        let answer = client
            .send(Method::POST, &scoring("integrations"), body)
            .await;
        assert_eq!(answer.result()["tenant_url"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_user_leaves_the_summary_until_the_next_event() {
    let client = Client::new(Settings::default());
    let summary = client.get(&scoring("summary")).await;
    let users = summary.result()["users"].as_array().unwrap();
    assert_eq!(users.len(), 3, "those without a score are not listed");
    let user_id = users[0]["user_id"].as_str().unwrap();
    assert_eq!(users[0]["max_risk_level"], "high");
    assert_eq!(
        (&users[0]["event_count"], &users[0]["last_event"]),
        (&json!(2), &json!("2025-03-24T07:41:09Z"))
    );
    let path = scoring(user_id);
    let before = client.get(&path).await;
    assert_eq!(
        (
            &before.result()["risk_level"],
            &before.result()["last_reset_time"]
        ),
        (&json!("high"), &Value::Null)
    );

    assert_eq!(
        client
            .send(Method::POST, &format!("{path}/reset"), Value::Null)
            .await
            .result(),
        &Value::Null
    );
    let after = client.get(&path).await;
    assert_eq!(after.result().get("risk_level"), None);
    assert!(after.result()["last_reset_time"].is_string());
    assert_eq!(
        client.get(&scoring("summary")).await.result()["users"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let event = RiskEvent {
        id: "new".to_owned(),
        name: "Impossible Travel".to_owned(),
        risk_level: OpenEnum::parse("low"),
        timestamp: Some("2099-01-01T00:00:00Z".parse::<Timestamp>().unwrap()),
        event_details: None,
    };
    client
        .sandbox
        .edit(&account(), |account| {
            account
                .users
                .get_mut(&user_id.parse().unwrap())
                .unwrap()
                .events
                .push(event)
        })
        .unwrap();
    let summary = client.get(&scoring("summary")).await;
    let back = &summary.result()["users"][0];
    assert_eq!(
        (&back["max_risk_level"], &back["event_count"]),
        (&json!("low"), &json!(1))
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_account_starts_as_recorded_under_its_own_tag() {
    let client = Client::new(Settings::default());
    let other = "0123456789ABCDEF0123456789abcdef";
    let list = client
        .get(&format!("/accounts/{other}/zt_risk_scoring/integrations"))
        .await;
    assert_eq!(list.result()[0]["account_tag"], other.to_lowercase());
    let path = format!(
        "/accounts/{other}/zt_risk_scoring/integrations/{}",
        list.result()[0]["id"].as_str().unwrap()
    );
    assert_eq!(
        client.send(Method::DELETE, &path, Value::Null).await.status,
        200
    );
    assert_eq!(
        client
            .sandbox
            .live(&other.parse().unwrap())
            .integrations
            .len(),
        0
    );
    assert_eq!(
        client.sandbox.live(&account()).integrations.len(),
        1,
        "accounts are apart"
    );
}

#[tokio::test(start_paused = true)]
async fn latency_is_waited_in_virtual_time() {
    let client = Client::new(Settings {
        latency: Duration::from_secs(3),
        ..Settings::default()
    });
    let start = Instant::now();
    client.get(&scoring("behaviors")).await;
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn long_answers_are_zipped_for_whoever_asks() {
    let client = Client::new(Settings::default());
    for index in 0..10 {
        let tenant_url = format!("https://tenant-{index}.okta.com");
        let body = json!({ "integration_type": "Okta", "tenant_url": tenant_url });
        let path = scoring("integrations");
        client.send(Method::POST, &path, body).await.result();
    }
    for (path, accept, expected) in [
        ("integrations", None, None),
        ("integrations", Some("gzip"), Some("gzip")),
        ("behaviors", Some("gzip"), None),
    ] {
        let mut request = request(Method::GET, &scoring(path));
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT_ENCODING, accept);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = client.sandbox.router().oneshot(request).await.unwrap();
        let encoding = response
            .headers()
            .get(header::CONTENT_ENCODING)
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_past_all_bounds_is_refused() {
    let client = Client::new(Settings::default());
    let body = " ".repeat(17 * 1024 * 1024);
    let answer = client
        .send_text(Method::PUT, &scoring("behaviors"), body)
        .await;
    assert_eq!(answer.failure(), json!([413, [40013]]));
}

/// Large accounts work without quadratic time, which would take minutes.
#[tokio::test(start_paused = true)]
async fn large_accounts_are_answered_whole() {
    let client = Client::new(Settings {
        rate_limit: "off".parse().unwrap(),
        ..Settings::default()
    });
    let seeded = client.sandbox.account(&account());
    let (mut large, someone) = (
        seeded.clone(),
        seeded.users.values().next().unwrap().clone(),
    );
    for n in 0..100_000_u128 {
        large
            .users
            .insert(uuid::Uuid::from_u128(n).into(), someone.clone());
    }
    let template = seeded.integrations.values().next().unwrap();
    for n in 0..10_000_u128 {
        let mut integration = template.clone();
        integration.id = uuid::Uuid::from_u128(n).into();
        large.integrations.insert(integration.id, integration);
    }
    client
        .sandbox
        .edit(&account(), |account| *account = large)
        .unwrap();
    assert_eq!(client.sandbox.live(&account()).integrations.len(), 10_001);
    for (path, list, expected) in [("summary", "/users", 100_003), ("integrations", "", 10_001)] {
        let request = request(Method::GET, &scoring(path))
            .body(Body::empty())
            .unwrap();
        let response = client.sandbox.router().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body["result"]
                .pointer(list)
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            expected
        );
    }
    let started_empty = LiveAccount::default();
    for n in 0..10_000 {
        let id = format!("{n:032x}").parse().unwrap();
        client
            .sandbox
            .edit(&id, |account| *account = started_empty.clone().into())
            .unwrap();
    }
    let last = format!("/accounts/{:032x}/zt_risk_scoring/integrations", 9_999);
    assert_eq!(client.get(&last).await.result(), &json!([]));
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{BASE_PATH}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {DEFAULT_TOKEN}"))
}
