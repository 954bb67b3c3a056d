//! The fault injector: all faults, the rules, and external changes.

use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use riskform::api::{Delivery, Transport};
use riskform::model::account::LiveAccount;
use riskform::model::behavior::BehaviorKey;
use riskform::model::integration::{ReferenceId, TenantUrl};
use riskform::sandbox::{BASE_PATH, DEFAULT_TOKEN, Sandbox, Settings};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::faults::{Execution, ExternalChange, Fault, FaultInjector, FaultRule, FaultScript};
use super::{account, scoring};

const CREATE: &str = r#"{"integration_type": "Okta", "tenant_url": "https://corp.okta.com", "reference_id": "ours"}"#;

fn injector(script: impl Into<FaultScript>) -> (Sandbox, FaultInjector) {
    let sandbox = Sandbox::in_memory(Settings::default());
    let injector = FaultInjector::new(&sandbox, script);
    (sandbox, injector)
}

async fn send(
    injector: &FaultInjector,
    method: &str,
    rest: &str,
    body: &str,
) -> io::Result<(u16, HeaderMap, Bytes)> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{BASE_PATH}{}", scoring(rest)))
        .header("authorization", format!("Bearer {DEFAULT_TOKEN}"))
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let (parts, body) = injector.clone().oneshot(request).await?.into_parts();
    let body: Result<_, axum::Error> = Body::new(body).collect().await;
    let body = body
        .map_err(|error| *error.into_inner().downcast::<io::Error>().unwrap())?
        .to_bytes();
    Ok((parts.status.as_u16(), parts.headers, body))
}

/// The client's view: a status, or the kind of connection failure.
async fn outcome(
    injector: &FaultInjector,
    method: &str,
    rest: &str,
    body: &str,
) -> Result<u16, ErrorKind> {
    let sent = send(injector, method, rest, body).await;
    sent.map(|(status, _, _)| status)
        .map_err(|error| error.kind())
}

fn references(sandbox: &Sandbox) -> Vec<String> {
    let LiveAccount { integrations, .. } = sandbox.live(&account());
    let mut references: Vec<_> = integrations
        .iter()
        .map(|one| one.settings.reference_id.as_ref().unwrap().to_string())
        .collect();
    references.sort();
    references
}

/// All faults, the client's view of them, and whether the request was processed.
fn every_fault() -> Vec<(Fault, Result<u16, ErrorKind>, bool)> {
    let (work, skipped) = (Execution::Done, Execution::Skipped);
    let seconds = Duration::from_millis(20);
    let reset = || Err(ErrorKind::ConnectionReset);
    let refused = Err(ErrorKind::ConnectionRefused);
    let garbage = Err(ErrorKind::InvalidData);
    vec![
        (Fault::Refuse { seconds }, refused, false),
        (Fault::CloseBefore, reset(), false),
        (Fault::CloseAfter, reset(), true),
        (Fault::HalfAnswer, reset(), true),
        (Fault::Garbage { work }, garbage, true),
        (Fault::Garbage { work: skipped }, garbage, false),
        (Fault::Slow { seconds }, Ok(200), true),
        (Fault::RateLimited { retry_after: None }, Ok(429), false),
        (Fault::ServerError { work }, Ok(500), true),
        (Fault::ServerError { work: skipped }, Ok(500), false),
        (Fault::BadGateway { work }, Ok(502), true),
        (Fault::BadGateway { work: skipped }, Ok(502), false),
        (Fault::WrongJson { work }, Ok(200), true),
        (Fault::WrongJson { work: skipped }, Ok(200), false),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_outcome_and_is_recorded() {
    for (fault, expected, processed) in every_fault() {
        let (sandbox, injector) = injector(vec![FaultRule::always(fault.clone())]);
        let found = outcome(&injector, "POST", "integrations", CREATE).await;
        assert_eq!(found, expected, "{fault:?}");
        let created = references(&sandbox).contains(&"ours".to_owned());
        assert_eq!(created, processed, "{fault:?}");
        let injected: Vec<_> = injector
            .injected()
            .into_iter()
            .map(|one| (one.method, one.path, one.fault))
            .collect();
        assert_eq!(injected, [(Method::POST, scoring("integrations"), fault)]);
    }
}

#[tokio::test(start_paused = true)]
async fn faulty_responses_look_real() {
    let answer = async |fault| {
        let (_, injector) = injector(vec![FaultRule::always(fault)]);
        send(&injector, "GET", "behaviors", "").await.unwrap()
    };
    let work = Execution::Skipped;
    let retry_after = Some(7);
    let (_, headers, _) = answer(Fault::RateLimited { retry_after }).await;
    assert_eq!(headers["retry-after"], "7");
    let (_, headers, _) = answer(Fault::RateLimited { retry_after: None }).await;
    assert!(!headers.contains_key("retry-after"));
    let (_, headers, body) = answer(Fault::BadGateway { work }).await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(body.starts_with(b"<html>"));
    let (_, _, body) = answer(Fault::WrongJson { work }).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body.get("result"), None);
}

#[tokio::test(start_paused = true)]
async fn slow_and_refused_pass_in_virtual_time() {
    let seconds = Duration::from_secs(60);
    let slow = FaultRule::once(Method::GET, Fault::Slow { seconds });
    let refuse = FaultRule {
        skip: 1,
        ..FaultRule::once(Method::GET, Fault::Refuse { seconds })
    };
    let (_, injector) = injector(vec![slow, refuse]);
    let start = Instant::now();
    assert_eq!(outcome(&injector, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(start.elapsed().as_secs(), 60);
    for _ in 0..3 {
        assert_eq!(
            outcome(&injector, "GET", "behaviors", "").await,
            Err(ErrorKind::ConnectionRefused)
        );
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(outcome(&injector, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(
        injector.injected().len(),
        2,
        "refused requests match no rule"
    );
}

#[tokio::test(start_paused = true)]
async fn rules_select_by_method_path_and_turn() {
    let work = Execution::Skipped;
    let (_, injector) = injector(vec![
        FaultRule {
            path: Some("*/behaviors".to_owned()),
            skip: 1,
            times: Some(2),
            ..FaultRule::on(Method::PUT, Fault::ServerError { work })
        },
        FaultRule {
            path: Some("*/summar?".to_owned()),
            ..FaultRule::always(Fault::BadGateway { work })
        },
        FaultRule::on(Method::PUT, Fault::RateLimited { retry_after: None }),
    ]);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(outcome(&injector, "PUT", "behaviors", "").await.unwrap());
    }
    assert_eq!(
        statuses,
        [429, 500, 500, 429, 429],
        "the first match counts"
    );
    assert_eq!(outcome(&injector, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(outcome(&injector, "GET", "summary", "").await, Ok(502));
    injector.stop();
    assert_eq!(outcome(&injector, "GET", "summary", "").await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn random_faults_repeat_with_their_seed() {
    let play = async |seed| {
        let rules = vec![FaultRule {
            chance: 0.5,
            ..FaultRule::always(Fault::CloseBefore)
        }];
        let (_, injector) = injector(FaultScript { seed, rules });
        let mut outcomes = Vec::new();
        for _ in 0..200 {
            outcomes.push(outcome(&injector, "GET", "behaviors", "").await);
        }
        outcomes
    };
    let once = play(7).await;
    assert_eq!(once, play(7).await);
    assert_ne!(once, play(8).await);
    let passed = once.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((60..140).contains(&passed), "{passed} of 200");
}

#[tokio::test(start_paused = true)]
async fn external_changes_precede_the_request() {
    const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
    let delete = |integration: &str| ExternalChange::DeleteIntegration {
        integration: integration.to_owned(),
    };
    let cases = [
        (
            ExternalChange::CreateTheSame,
            vec![REFERENCE, "ours", "ours"],
        ),
        (
            ExternalChange::CreateIntegration {
                tenant_url: TenantUrl::from_live("https://x.okta.com"),
                reference_id: ReferenceId::new("theirs"),
            },
            vec![REFERENCE, "ours", "theirs"],
        ),
        (
            ExternalChange::EditIntegration {
                integration: "https://example.oktapreview.com".to_owned(),
                tenant_url: None,
                reference_id: ReferenceId::new("changed"),
                active: None,
            },
            vec!["changed", "ours"],
        ),
        (delete("4cfe8442-664b-4915-acd4-b39cd65c4314"), vec!["ours"]),
        (delete("nobody"), vec![REFERENCE, "ours"]),
    ];
    for (change, expected) in cases {
        let rule = FaultRule::on(Method::POST, Fault::Change(change.clone()));
        let (sandbox, injector) = injector(vec![rule]);
        let found = outcome(&injector, "POST", "integrations", CREATE).await;
        assert_eq!(found, Ok(200), "{change:?}");
        assert_eq!(references(&sandbox), expected, "{change:?}");
    }

    let change = ExternalChange::SetBehavior {
        key: BehaviorKey::new("imp_travel"),
        enabled: Some(false),
        risk_level: None,
    };
    let (sandbox, injector) = injector(vec![
        FaultRule::always(Fault::Change(change)),
        FaultRule::always(Fault::CloseBefore),
    ]);
    assert_eq!(
        outcome(&injector, "GET", "behaviors", "").await,
        Err(ErrorKind::ConnectionReset)
    );
    let live = sandbox.live(&account());
    let settings = &live.behaviors[&BehaviorKey::new("imp_travel")].settings;
    assert_eq!(
        (settings.enabled, settings.risk_level.to_string().as_str()),
        (false, "high"),
        "a change and a fault can be combined"
    );
}

/// Faults are classified like real errors: whether the request may have been delivered.
#[tokio::test(start_paused = true)]
async fn client_knows_whether_a_request_was_delivered() {
    for (fault, expected, _) in every_fault() {
        let (_, injector) = injector(vec![FaultRule::always(fault.clone())]);
        let transport = Transport::in_process(injector, Duration::from_secs(30));
        let path = scoring("integrations");
        let request = Request::post(format!("https://sandbox.invalid{BASE_PATH}{path}"))
            .header("authorization", format!("Bearer {DEFAULT_TOKEN}"))
            .body(Bytes::from(CREATE))
            .unwrap();
        let found = transport.send(request).await;
        let found = found
            .map(|answer| answer.status().as_u16())
            .map_err(|error| error.delivery);
        let expected = expected.map_err(|kind| match kind {
            ErrorKind::ConnectionRefused => Delivery::NotDelivered,
            _ => Delivery::MaybeDelivered,
        });
        assert_eq!(found, expected, "{fault:?}");
    }
}
