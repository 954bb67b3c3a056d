//! The fault injector: all faults in-process and on a socket, the rules, and the script format.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use riskform::api::{Delivery, Transport};
use riskform::model::account::LiveAccount;
use riskform::model::behavior::BehaviorKey;
use riskform::sandbox::{
    BASE_PATH, DEFAULT_TOKEN, Execution, ExternalChange, Fault, FaultInjector, FaultRule,
    FaultScript, RecordedError, Sandbox, Settings, SsfFlaw,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::{account, scoring};

const CREATE: &str = r#"{"integration_type": "Okta", "tenant_url": "https://corp.okta.com", "reference_id": "ours"}"#;

fn laboratory(rules: impl IntoIterator<Item = FaultRule>) -> (Sandbox, FaultInjector) {
    let sandbox = Sandbox::in_memory(Settings::default());
    let rules = rules.into_iter().collect();
    let laboratory = sandbox.with_faults(FaultScript { seed: 0, rules });
    (sandbox, laboratory)
}

async fn send(
    laboratory: &FaultInjector,
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
    let (parts, body) = laboratory.clone().oneshot(request).await?.into_parts();
    let body: Result<_, axum::Error> = Body::new(body).collect().await;
    let body = body
        .map_err(|error| *error.into_inner().downcast::<io::Error>().unwrap())?
        .to_bytes();
    Ok((parts.status.as_u16(), parts.headers, body))
}

/// The client's view: a status, or the kind of connection failure.
async fn outcome(
    laboratory: &FaultInjector,
    method: &str,
    rest: &str,
    body: &str,
) -> Result<u16, ErrorKind> {
    let sent = send(laboratory, method, rest, body).await;
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

/// All faults, the client's view of them, and whether the request was applied.
fn every_fault() -> Vec<(Fault, Result<u16, ErrorKind>, bool)> {
    let (done, skipped) = (Execution::Done, Execution::Skipped);
    vec![
        (
            Fault::Refuse {
                seconds: Duration::from_millis(300),
            },
            Err(ErrorKind::ConnectionRefused),
            false,
        ),
        (Fault::CloseBefore, Err(ErrorKind::ConnectionReset), false),
        (Fault::CloseAfter, Err(ErrorKind::ConnectionReset), true),
        (Fault::HalfAnswer, Err(ErrorKind::ConnectionReset), true),
        (
            Fault::Garbage { work: done },
            Err(ErrorKind::InvalidData),
            true,
        ),
        (
            Fault::Garbage { work: skipped },
            Err(ErrorKind::InvalidData),
            false,
        ),
        (
            Fault::Slow {
                seconds: Duration::from_millis(20),
            },
            Ok(200),
            true,
        ),
        (Fault::RateLimited { retry_after: None }, Ok(429), false),
        (Fault::Refused(RecordedError::OtherLocation), Ok(403), false),
        (
            Fault::Refused(RecordedError::RateLimitedElder),
            Ok(429),
            false,
        ),
        (Fault::Ssf(SsfFlaw::NoKeys), Ok(200), true),
        (Fault::ServerError { work: done }, Ok(500), true),
        (Fault::ServerError { work: skipped }, Ok(500), false),
        (Fault::BadGateway { work: done }, Ok(502), true),
        (Fault::BadGateway { work: skipped }, Ok(502), false),
        (Fault::WrongJson { work: done }, Ok(200), true),
        (Fault::WrongJson { work: skipped }, Ok(200), false),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_what_it_says() {
    for (fault, expected, carried_out) in every_fault() {
        let (sandbox, laboratory) = laboratory([FaultRule::always(fault.clone())]);
        assert_eq!(
            outcome(&laboratory, "POST", "integrations", CREATE).await,
            expected,
            "{fault:?}"
        );
        let made = references(&sandbox).contains(&"ours".to_owned());
        assert_eq!(made, carried_out, "{fault:?}");
        let met: Vec<_> = laboratory
            .injected()
            .into_iter()
            .map(|met| (met.method, met.path, met.fault))
            .collect();
        assert_eq!(met, [("POST".to_owned(), scoring("integrations"), fault)]);
    }
}

#[tokio::test(start_paused = true)]
async fn false_answers_look_as_they_do_in_life() {
    let answer = async |fault| {
        let (_, laboratory) = laboratory([FaultRule::always(fault)]);
        send(&laboratory, "GET", "behaviors", "").await.unwrap()
    };
    let (_, headers, _) = answer(Fault::RateLimited {
        retry_after: Some(7),
    })
    .await;
    assert_eq!(headers["retry-after"], "7");
    let (_, headers, _) = answer(Fault::RateLimited { retry_after: None }).await;
    assert!(!headers.contains_key("retry-after"));
    let (_, headers, body) = answer(Fault::BadGateway {
        work: Execution::Skipped,
    })
    .await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(body.starts_with(b"<html>"));
    let (_, _, body) = answer(Fault::WrongJson {
        work: Execution::Skipped,
    })
    .await;
    assert_eq!(
        serde_json::from_slice::<Value>(&body)
            .unwrap()
            .get("result"),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn slow_and_refused_pass_in_virtual_time() {
    let minute = Duration::from_secs(60);
    let slow = FaultRule {
        times: Some(1),
        ..FaultRule::always(Fault::Slow { seconds: minute })
    };
    let refuse = FaultRule {
        times: Some(1),
        ..FaultRule::always(Fault::Refuse { seconds: minute })
    };
    let (_, laboratory) = laboratory([slow, FaultRule { skip: 1, ..refuse }]);
    let start = Instant::now();
    assert_eq!(outcome(&laboratory, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(start.elapsed().as_secs(), 60);
    for _ in 0..3 {
        assert_eq!(
            outcome(&laboratory, "GET", "behaviors", "").await,
            Err(ErrorKind::ConnectionRefused)
        );
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(outcome(&laboratory, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(
        laboratory.injected().len(),
        2,
        "what comes while nobody listens meets no rule"
    );
}

#[tokio::test(start_paused = true)]
async fn rules_choose_by_method_path_and_turn() {
    let script = FaultScript::parse(
        "rules:
         - { method: PUT, path: '*/behaviors', skip: 1, times: 2, fault: { server_error: {} } }
         - { path: '*/summar?', fault: { bad_gateway: {} } }
         - { method: PUT, fault: { rate_limited: {} } }",
    );
    let laboratory = Sandbox::in_memory(Settings::default()).with_faults(script.unwrap());
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(outcome(&laboratory, "PUT", "behaviors", "").await.unwrap());
    }
    assert_eq!(
        statuses,
        [429, 500, 500, 429, 429],
        "the first rule that applies decides"
    );
    assert_eq!(outcome(&laboratory, "GET", "behaviors", "").await, Ok(200));
    assert_eq!(outcome(&laboratory, "GET", "summary", "").await, Ok(502));
    laboratory.stop();
    assert_eq!(outcome(&laboratory, "GET", "summary", "").await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn chance_repeats_with_its_seed() {
    let play = async |seed| {
        let some = vec![
            Fault::CloseBefore,
            Fault::ServerError {
                work: Execution::Skipped,
            },
        ];
        let rule = FaultRule {
            chance: 0.5,
            ..FaultRule::always(Fault::OneOf(some))
        };
        let laboratory = Sandbox::in_memory(Settings::default()).with_faults(FaultScript {
            seed,
            rules: vec![rule],
        });
        let mut outcomes = Vec::new();
        for _ in 0..200 {
            outcomes.push(outcome(&laboratory, "GET", "behaviors", "").await);
        }
        outcomes
    };
    let once = play(7).await;
    assert_eq!(once, play(7).await);
    assert_ne!(once, play(8).await);
    for (wanted, expected) in [
        (Ok(200), 60..140),
        (Ok(500), 25..80),
        (Err(ErrorKind::ConnectionReset), 25..80),
    ] {
        let count = once.iter().filter(|outcome| **outcome == wanted).count();
        assert!(expected.contains(&count), "{wanted:?}: {count} of 200");
    }
}

#[tokio::test(start_paused = true)]
async fn others_change_the_account_just_before_the_request() {
    const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
    let reference = || REFERENCE.to_owned();
    let cases = [
        (
            "create_the_same",
            vec![reference(), "ours".to_owned(), "ours".to_owned()],
        ),
        (
            "create_integration: { tenant_url: 'https://x.okta.com', reference_id: theirs }",
            vec![reference(), "ours".to_owned(), "theirs".to_owned()],
        ),
        (
            "edit_integration: { integration: 'https://example.oktapreview.com', reference_id: moved }",
            vec!["moved".to_owned(), "ours".to_owned()],
        ),
        (
            "delete_integration: { integration: 4cfe8442-664b-4915-acd4-b39cd65c4314 }",
            vec!["ours".to_owned()],
        ),
        (
            "delete_integration: { integration: nobody }",
            vec![reference(), "ours".to_owned()],
        ),
    ];
    for (change, expected) in cases {
        let change = if change.contains(':') {
            format!("{{ {change} }}")
        } else {
            change.to_owned()
        };
        let script = FaultScript::parse(&format!(
            "rules: [{{ method: POST, fault: {{ change: {change} }} }}]"
        ))
        .unwrap();
        let sandbox = Sandbox::in_memory(Settings::default());
        let laboratory = sandbox.with_faults(script);
        assert_eq!(
            outcome(&laboratory, "POST", "integrations", CREATE).await,
            Ok(200),
            "{change}"
        );
        assert_eq!(references(&sandbox), expected, "{change}");
    }

    let change = ExternalChange::SetBehavior {
        key: BehaviorKey::new("imp_travel"),
        enabled: Some(false),
        risk_level: None,
    };
    let (sandbox, laboratory) = laboratory([
        FaultRule::always(Fault::Change(change)),
        FaultRule::always(Fault::CloseBefore),
    ]);
    assert_eq!(
        outcome(&laboratory, "GET", "behaviors", "").await,
        Err(ErrorKind::ConnectionReset)
    );
    let behavior = sandbox.live(&account()).behaviors[&BehaviorKey::new("imp_travel")]
        .settings
        .clone();
    assert_eq!(
        (behavior.enabled, behavior.risk_level.to_string()),
        (false, "high".to_owned()),
        "a change and a fault go together"
    );
}

/// A fault injector on a socket, stopped on drop.
struct Served {
    address: SocketAddr,
    sandbox: Sandbox,
    _stop: oneshot::Sender<()>,
}

async fn serve(rules: Vec<FaultRule>) -> Served {
    let (sandbox, laboratory) = laboratory(rules);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(laboratory.serve(listener, async move { drop(stopped.await) }));
    Served {
        address,
        sandbox,
        _stop: stop,
    }
}

/// Returns all bytes of a new connection until the server closes it.
async fn exchange(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {BASE_PATH}{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {DEFAULT_TOKEN}\r\nContent-Length: {}\r\n\r\n{CREATE}",
        scoring("integrations"),
        CREATE.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // A reset also ends the response.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(answer),
    }
}

#[tokio::test]
async fn on_a_socket_a_broken_connection_is_one() {
    for (fault, expected, carried_out) in every_fault() {
        let served = serve(vec![FaultRule {
            times: Some(1),
            ..FaultRule::always(fault.clone())
        }])
        .await;
        let answer = exchange(served.address).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        match (&fault, expected) {
            (_, Ok(status)) => assert!(
                text.starts_with(&format!("HTTP/1.1 {status}")),
                "{fault:?}: {text}"
            ),
            (Fault::HalfAnswer, Err(_)) => {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let promised: usize = head
                    .to_lowercase()
                    .split_once("content-length: ")
                    .unwrap()
                    .1
                    .lines()
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                assert_eq!(body.len(), promised / 2, "{text}");
            }
            (Fault::Garbage { .. }, Err(_)) => {
                assert!(!text.is_empty() && !text.starts_with("HTTP"), "{text}")
            }
            (_, Err(_)) => assert_eq!(text, "", "{fault:?}"),
        }
        assert_eq!(
            references(&served.sandbox).contains(&"ours".to_owned()),
            carried_out,
            "{fault:?}"
        );
        if let Fault::Refuse { seconds } = fault {
            let refused = TcpStream::connect(served.address).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            sleep(seconds).await;
            while TcpStream::connect(served.address).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        }
        assert!(
            exchange(served.address)
                .await
                .unwrap()
                .starts_with(b"HTTP/1.1 200"),
            "{fault:?}: the next one passes"
        );
    }
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let (_, laboratory) = laboratory([]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(laboratory.serve(listener, async move { drop(stopped.await) }));
    // Idle connections must not delay the end.
    let _idle = TcpStream::connect(address).await.unwrap();
    exchange(address).await.unwrap();
    drop(stop);
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn the_schema_and_the_parser_agree() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../schema/faults.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let rule = |fault: &str| format!("rules: [{{ fault: {fault} }}]");
    let right = [
        "rules: []".to_owned(),
        "{ \"seed\": 7, \"rules\": [{ \"fault\": \"close_after\", \"method\": \"GET\", \"chance\": 0.5 }] }".to_owned(),
        "rules: [{ path: '*', method: null, skip: 1, times: null, chance: 0, fault: half_answer }]".to_owned(),
        rule("close_before"),
        rule("{ refuse: {} }"),
        rule("{ refuse: { seconds: 2 } }"),
        rule("{ slow: { seconds: 0.5 } }"),
        rule("{ rate_limited: {} }"),
        rule("{ rate_limited: { retry_after: 3 } }"),
        rule("{ garbage: { work: done } }"),
        rule("{ server_error: { work: skipped } }"),
        rule("{ bad_gateway: {} }"),
        rule("{ wrong_json: {} }"),
        rule("server_error"),
        rule("refuse"),
        rule("garbage"),
        rule("bad_gateway"),
        rule("wrong_json"),
        rule("rate_limited"),
        rule("{ one_of: [server_error, close_after] }"),
        rule("{ refused: 400-6003-6111 }"),
        rule("{ ssf: http_issuer }"),
        rule("{ change: create_the_same }"),
        rule("{ change: { set_behavior: { key: imp_travel, enabled: false, risk_level: severe } } }"),
        rule("{ change: { create_integration: { tenant_url: 'https://x.okta.com' } } }"),
        rule("{ change: { edit_integration: { integration: ours, active: false } } }"),
        rule("{ change: { delete_integration: { integration: ours } } }"),
        rule("{ one_of: [close_after, { slow: { seconds: 1 } }] }"),
    ];
    for text in right {
        let script = FaultScript::parse(&text);
        assert!(script.is_ok(), "{text}: {script:?}");
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert!(schema.is_valid(&value), "{text}");
    }
    let wrong = [
        ("{}".to_owned(), "not a fault script: missing field `rules`"),
        (
            "rules: []\nspeed: 1".to_owned(),
            "not a fault script: unknown field `speed`",
        ),
        (
            "rules: [{ fault: close_after }, {}]".to_owned(),
            "rule 2 of the fault script: missing field `fault`",
        ),
        (
            "rules: [{ fault: close_after, when: 1 }]".to_owned(),
            "rule 1 of the fault script: unknown field `when`",
        ),
        (
            "rules: [{ fault: close_after, method: PATCH }]".to_owned(),
            "rule 1 of the fault script: unknown variant `PATCH`",
        ),
        (
            "rules: [{ fault: close_after, chance: 2 }]".to_owned(),
            "rule 1 of the fault script: a chance is a number from 0 to 1",
        ),
        (
            "rules: [{ fault: close_after, skip: -1 }]".to_owned(),
            "rule 1 of the fault script: invalid value",
        ),
        (
            rule("explode"),
            "rule 1 of the fault script: unknown variant `explode`",
        ),
        (
            rule("slow"),
            "rule 1 of the fault script: missing field `seconds`",
        ),
        (
            rule("{ slow: {} }"),
            "rule 1 of the fault script: missing field `seconds`",
        ),
        (
            rule("{ slow: { seconds: -1 } }"),
            "rule 1 of the fault script: cannot convert",
        ),
        (
            rule("{ garbage: { work: half } }"),
            "rule 1 of the fault script: unknown variant `half`",
        ),
        (
            rule("{ one_of: [] }"),
            "rule 1 of the fault script: one_of names at least one fault",
        ),
        (
            rule("{ change: { delete_integration: {} } }"),
            "rule 1 of the fault script: missing field `integration`",
        ),
    ];
    for (text, expected) in wrong {
        let error = FaultScript::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert!(!schema.is_valid(&value), "{text}");
    }
}

/// Faults are classified like real errors: whether the request may have been delivered.
#[tokio::test(start_paused = true)]
async fn the_client_hears_whether_a_request_may_have_arrived() {
    for (fault, expected, _) in every_fault() {
        let (_, laboratory) = laboratory([FaultRule::always(fault.clone())]);
        let transport = Transport::in_process(laboratory, Duration::from_secs(30));
        let request = Request::post(format!(
            "https://sandbox.invalid{BASE_PATH}{}",
            scoring("integrations")
        ))
        .header("authorization", format!("Bearer {DEFAULT_TOKEN}"))
        .body(Bytes::from(CREATE))
        .unwrap();
        let heard = transport
            .send(request)
            .await
            .map(|answer| answer.status().as_u16())
            .map_err(|error| error.delivery);
        let expected = expected.map_err(|kind| match kind {
            ErrorKind::ConnectionRefused => Delivery::NotDelivered,
            _ => Delivery::MaybeDelivered,
        });
        assert_eq!(heard, expected, "{fault:?}");
    }
}
