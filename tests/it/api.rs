//! The API client, over loopback sockets and in-process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, Version};
use axum::routing::any;
use riskform::api::{
    ApiError, Attempts, BaseUrl, CaBundle, Client, ClientOptions, Credentials, Delivery, ErrorKind,
    NetworkSettings, Reader, RetryPolicy, TokenOwner, TokenStatus, Transport, TransportErrorKind,
};
use riskform::model::account::AccountId;
use riskform::model::integration::ReferenceId;
use riskform::model::open_enum::OpenEnum;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_http::compression::CompressionLayer;

/// A token that must not appear in output.
const CANARY: &str = "canary-2c5d0fe1";

const INTEGRATION: &str = "4cfe8442-664b-4915-acd4-b39cd65c4314";
const REFERENCE: &str = "3701e70b-5de4-4d9d-8972-f5aa994d9057";
const USER: &str = "6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11";

fn account() -> AccountId {
    "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials::api_token(CANARY.into()).unwrap()
}

fn settings() -> NetworkSettings {
    NetworkSettings {
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(20),
        ca_bundle: None,
    }
}

fn connection(base_url: &str, settings: NetworkSettings) -> Client {
    connect(Transport::network(settings), base_url.parse().unwrap())
}

/// A client without retries.
fn connect(transport: Transport, base_url: BaseUrl) -> Client {
    let conduct = ClientOptions {
        retry: RetryPolicy {
            max_attempts: NonZeroU32::MIN,
            max_wait: Duration::ZERO,
            ..RetryPolicy::default()
        },
        ..ClientOptions::default()
    };
    Client::with_options(transport, base_url, credentials(), conduct)
}

fn reader(base_url: &str) -> Reader {
    connection(base_url, settings()).reader()
}

fn within(service: Router) -> Client {
    connect(
        Transport::in_process(service, Duration::from_secs(30)),
        BaseUrl::default(),
    )
}

fn envelope(result: &Value) -> String {
    json!({ "success": true, "errors": [], "messages": [], "result": result }).to_string()
}

/// Serves a router on loopback and returns its base URL.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/client/v4")
}

/// Reads one request, writes bytes, and closes the connection or keeps it open.
async fn serve_bytes(answer: &'static [u8], then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
                match then {
                    Then::Close => {}
                    Then::Hang => std::future::pending().await,
                }
            });
        }
    });
    format!("http://{address}")
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Hang,
}

/// Returns the base URL of a closed port.
async fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Returns all texts of an error.
fn shown(error: &ApiError) -> String {
    let text = format!("{error}\n{error:?}\n{:?}", error.help());
    assert!(!text.contains(CANARY), "{text}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    text
}

fn transport(error: &ApiError) -> (TransportErrorKind, Delivery) {
    shown(error);
    match error.kind() {
        ErrorKind::Transport { failure, reach, .. } => (*failure, *reach),
        other => panic!("not a transport error: {other:?}"),
    }
}

fn recorded_integration() -> Value {
    json!({
        "id": INTEGRATION, "account_tag": "023e105f4ecef8ad9ca31a8372d0c353", "active": true,
        "created_at": "2025-03-19T19:53:56Z", "integration_type": "Entra", "reference_id": REFERENCE,
        "tenant_url": "https://example.okta.com",
        "well_known_url": format!("https://ssf.example/{INTEGRATION}"),
    })
}

fn behaviors() -> Value {
    json!({ "behaviors": { "imp_travel": {
        "name": "Impossible Travel", "description": "…", "enabled": true, "risk_level": "critical" } } })
}

/// A server with the ten operations that records requests.
fn ten_operations(asked: Arc<Mutex<Vec<String>>>) -> Router {
    async fn answer(
        State(asked): State<Arc<Mutex<Vec<String>>>>,
        request: Request,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let path = parts.uri.path();
        let tail = path.split("/zt_risk_scoring/").nth(1).unwrap().to_owned();
        let line = format!("{} {path} {}", parts.method, String::from_utf8_lossy(&body));
        asked.lock().unwrap().push(line.trim_end().to_owned());
        assert_eq!(parts.headers["authorization"], format!("Bearer {CANARY}"));
        let result = match tail.as_str() {
            "behaviors" => behaviors(),
            "summary" => json!({ "users": [{
                "user_id": USER, "name": "Ann", "email": "ann@example.com", "event_count": 2,
                "last_event": "2026-11-01T10:00:00Z", "max_risk_level": "severe" }] }),
            "integrations" if parts.method == "GET" => json!([recorded_integration()]),
            tail if tail.starts_with("integrations") && parts.method != "DELETE" => {
                recorded_integration()
            }
            tail if tail.ends_with("/reset") || parts.method == "DELETE" => Value::Null,
            _ => {
                json!({ "name": "Ann", "email": "ann@example.com", "events": [], "risk_level": "low" })
            }
        };
        Response::builder()
            .header("Cf-Auditlog-Id", "audit-7")
            .body(envelope(&result).into())
            .unwrap()
    }
    Router::new().fallback(answer).with_state(asked)
}

#[tokio::test]
async fn all_ten_operations_and_words_nobody_knows() {
    let asked = Arc::default();
    let base_url = serve(ten_operations(Arc::clone(&asked))).await;
    let connection = connection(&base_url, settings());
    let (reader, writer, account) = (connection.reader(), connection.writer(), account());
    let (integration, user) = (INTEGRATION.parse().unwrap(), USER.parse().unwrap());

    let behaviors = reader.behaviors(&account).await.unwrap();
    assert_eq!(behaviors.trace.audit_log_id.as_deref(), Some("audit-7"));
    let live = reader
        .integration(&account, integration)
        .await
        .unwrap()
        .value;
    let reference = ReferenceId::new(REFERENCE).unwrap();
    let found = reader
        .integration_by_reference(&account, &reference)
        .await
        .unwrap();
    assert_eq!(found.value, live);
    assert_eq!(
        reader.integrations(&account).await.unwrap().value,
        std::slice::from_ref(&live)
    );
    let users = reader.users(&account).await.unwrap().value;
    assert_eq!(
        users[0].max_risk_level,
        OpenEnum::Unknown("severe".to_owned())
    );
    assert!(
        reader
            .user(&account, user)
            .await
            .unwrap()
            .value
            .events
            .is_empty()
    );

    let written: BTreeMap<_, _> = behaviors
        .value
        .into_iter()
        .map(|(key, behavior)| (key, behavior.settings))
        .collect();
    let leave = async || {
        let mut attempts = Attempts::default();
        writer.acquire_permit(&mut attempts).await.unwrap()
    };
    let answer = writer
        .write_behaviors(leave().await, &account, &written)
        .await
        .unwrap();
    assert_eq!(answer.value, written);
    assert_eq!(answer.trace.audit_log_id.as_deref(), Some("audit-7"));
    writer
        .create_integration(leave().await, &account, &live.settings)
        .await
        .unwrap();
    writer
        .update_integration(leave().await, &account, integration, &live.settings)
        .await
        .unwrap();
    writer
        .delete_integration(leave().await, &account, integration)
        .await
        .unwrap();
    writer
        .reset_user(leave().await, &account, user)
        .await
        .unwrap();

    let asked = asked.lock().unwrap().join("\n");
    let asked = asked.replace(
        "/client/v4/accounts/023e105f4ecef8ad9ca31a8372d0c353/zt_risk_scoring",
        "…",
    );
    insta::assert_snapshot!(asked, @r#"
    GET …/behaviors
    GET …/integrations/4cfe8442-664b-4915-acd4-b39cd65c4314
    GET …/integrations/reference_id/3701e70b-5de4-4d9d-8972-f5aa994d9057
    GET …/integrations
    GET …/summary
    GET …/6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11
    PUT …/behaviors {"behaviors":{"imp_travel":{"enabled":true,"risk_level":"critical"}}}
    POST …/integrations {"integration_type":"Entra","reference_id":"3701e70b-5de4-4d9d-8972-f5aa994d9057","tenant_url":"https://example.okta.com"}
    PUT …/integrations/4cfe8442-664b-4915-acd4-b39cd65c4314 {"active":true,"reference_id":"3701e70b-5de4-4d9d-8972-f5aa994d9057","tenant_url":"https://example.okta.com"}
    DELETE …/integrations/4cfe8442-664b-4915-acd4-b39cd65c4314
    POST …/6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11/reset
    "#);
}

#[tokio::test]
async fn the_legacy_pair_is_sent_too() {
    let service = Router::new().fallback(async |request: Request| {
        assert_eq!(request.headers()["x-auth-email"], "ann@example.com");
        assert_eq!(request.headers()["x-auth-key"], CANARY);
        assert!(!request.headers().contains_key("authorization"));
        envelope(&behaviors())
    });
    let transport = Transport::in_process(service, Duration::from_secs(30));
    let credentials = Credentials::api_key("ann@example.com".into(), CANARY.into()).unwrap();
    let connection = Client::new(transport, BaseUrl::default(), credentials);
    assert!(!format!("{connection:?}").contains(CANARY));
    connection.reader().behaviors(&account()).await.unwrap();
}

#[tokio::test]
async fn compressed_answers_are_understood() {
    let encodings: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&encodings);
    let router = Router::new()
        .fallback(async || envelope(&behaviors()))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::map_response(
            move |response: Response<Body>| {
                let encoding = response.headers()["content-encoding"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                seen.lock().unwrap().push(encoding);
                async { response }
            },
        ));
    let answer = reader(&serve(router).await)
        .behaviors(&account())
        .await
        .unwrap();
    assert_eq!(answer.value.len(), 1);
    assert_eq!(*encodings.lock().unwrap(), ["gzip"]);
}

/// Runs another test in a separate process, because a process cannot change its own environment safely.
#[test]
fn no_proxy_sees_what_goes_to_loopback() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "api::compressed_answers_are_understood"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("1 passed"), "{shown}");
}

#[tokio::test]
async fn a_dead_server_is_named_by_its_url() {
    let base_url = dead().await;
    let error = reader(&base_url).behaviors(&account()).await.unwrap_err();
    assert_eq!(
        transport(&error),
        (TransportErrorKind::Connect, Delivery::NotDelivered)
    );
    assert!(!error.may_have_succeeded());
    assert!(error.to_string().contains(&base_url), "{error}");
}

#[tokio::test]
async fn connections_that_break_are_told_from_those_that_never_were() {
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":true,";
    const GARBLED: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!";
    const NO_HTTP: &[u8] = b"SSH-2.0-OpenSSH_9.9\r\n";
    const HUGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 300000000\r\n\r\n";
    for (answer, then, failure) in [
        (&b""[..], Then::Close, TransportErrorKind::ConnectionClosed),
        (HALF, Then::Close, TransportErrorKind::ConnectionClosed),
        (GARBLED, Then::Close, TransportErrorKind::ConnectionClosed),
        (NO_HTTP, Then::Close, TransportErrorKind::ConnectionClosed),
        (HUGE, Then::Hang, TransportErrorKind::TooLarge),
    ] {
        let base_url = serve_bytes(answer, then).await;
        let writer = connection(&base_url, settings()).writer();
        let leave = writer
            .acquire_permit(&mut Attempts::default())
            .await
            .unwrap();
        let error = writer
            .reset_user(leave, &account(), USER.parse().unwrap())
            .await
            .unwrap_err();
        let case = String::from_utf8_lossy(answer);
        assert_eq!(
            transport(&error),
            (failure, Delivery::MaybeDelivered),
            "{case}: {error}"
        );
        assert!(error.may_have_succeeded(), "{case}");
    }
}

#[tokio::test]
async fn slow_servers_time_out() {
    let quick = NetworkSettings {
        connect_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(3),
        ca_bundle: None,
    };
    let silent = serve_bytes(b"", Then::Hang).await;
    let slow_body = serve_bytes(
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":",
        Then::Hang,
    )
    .await;
    // A server that accepts without TLS prevents the connection.
    let no_handshake = silent.replace("http://", "https://");
    for (base_url, reach) in [
        (silent, Delivery::MaybeDelivered),
        (slow_body, Delivery::MaybeDelivered),
        (no_handshake, Delivery::NotDelivered),
    ] {
        let reader = connection(&base_url, quick.clone()).reader();
        let error = reader.behaviors(&account()).await.unwrap_err();
        assert_eq!(
            transport(&error),
            (TransportErrorKind::Timeout, reach),
            "{base_url}"
        );
    }
}

#[tokio::test]
async fn a_token_is_verified_where_its_owner_is() {
    let known = json!({ "id": "ed17574386854bf78a67040be0a770b0", "status": "active", "expires_on": "2030-01-01T00:00:00Z" });
    let of_the_account = json!({ "status": "paused" });
    let router = Router::new()
        .route(
            "/client/v4/user/tokens/verify",
            any(async move || envelope(&known)),
        )
        .route(
            "/client/v4/accounts/{account}/tokens/verify",
            any(async move || envelope(&of_the_account)),
        );
    let (reader, account) = (within(router).reader(), account());
    let token = reader.verify_token(TokenOwner::User).await.unwrap().value;
    assert_eq!(token.status, OpenEnum::Known(TokenStatus::Active));
    assert_eq!(
        token.expires_on,
        Some("2030-01-01T00:00:00Z".parse().unwrap())
    );
    let token = reader
        .verify_token(TokenOwner::Account(&account))
        .await
        .unwrap()
        .value;
    assert_eq!(token.status, OpenEnum::Unknown("paused".to_owned()));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let target = serve(Router::new().fallback(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        envelope(&behaviors())
    }))
    .await;
    let location = target.clone();
    let router =
        Router::new().fallback(async move || (StatusCode::FOUND, [("location", location)]));
    let error = reader(&serve(router).await)
        .behaviors(&account())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::UnexpectedResponse { .. }),
        "{error}"
    );
    assert!(shown(&error).contains(&target), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn errors_carry_what_the_answer_says() {
    let router = Router::new().fallback(async || {
        let body = json!({ "success": false, "messages": [], "result": null, "errors": [
            { "code": 971, "message": format!("slow down, {CANARY}") }] });
        let headers = [("cf-auditlog-id", "audit-9"), ("retry-after", "120")];
        (StatusCode::TOO_MANY_REQUESTS, headers, body.to_string())
    });
    let error = reader(&serve(router).await)
        .behaviors(&account())
        .await
        .unwrap_err();
    shown(&error);
    assert_eq!(error.kind(), &ErrorKind::RateLimited);
    assert_eq!(error.request_ids().audit_log_id.as_deref(), Some("audit-9"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    insta::assert_snapshot!(
        error,
        @"GET /accounts/023e105f4ecef8ad9ca31a8372d0c353/zt_risk_scoring/behaviors: rate limit exceeded, retry after 120 s: slow down, *** (code 971) [status 429]"
    );
}

#[tokio::test]
async fn a_delete_of_what_is_gone_succeeds_but_only_the_api_can_say_so() {
    let gone =
        json!({ "success": false, "errors": [], "messages": [], "result": null }).to_string();
    for (body, succeeds) in [(gone, true), ("<html>nginx</html>".to_owned(), false)] {
        let service = Router::new().fallback(async move || (StatusCode::NOT_FOUND, body));
        let writer = within(service).writer();
        let answer = writer
            .delete_integration(
                writer
                    .acquire_permit(&mut Attempts::default())
                    .await
                    .unwrap(),
                &account(),
                INTEGRATION.parse().unwrap(),
            )
            .await;
        assert_eq!(answer.is_ok(), succeeds);
    }
}

#[tokio::test]
async fn an_answer_about_something_else_is_not_taken() {
    let service = Router::new().fallback(async || envelope(&recorded_integration()));
    let reader = within(service).reader();
    let account = account();
    for (reference, found) in [(REFERENCE, true), ("another", false)] {
        let reference = ReferenceId::new(reference).unwrap();
        let answer = reader.integration_by_reference(&account, &reference).await;
        assert_eq!(answer.is_ok(), found);
    }
    let error = reader
        .integration(&account, USER.parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::UnexpectedResponse { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_reference_that_no_path_can_carry_is_not_found_without_a_call() {
    let reader = reader(&dead().await);
    let error = reader
        .integration_by_reference(&account(), &ReferenceId::new("..").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotFound);
}

#[tokio::test]
async fn references_arrive_as_they_were_written() {
    let paths: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&paths);
    let router = Router::new().route(
        "/client/v4/accounts/{account}/zt_risk_scoring/integrations/reference_id/{reference}",
        any(
            async move |axum::extract::Path((_, reference)): axum::extract::Path<(
                String,
                String,
            )>| {
                seen.lock().unwrap().insert(reference.clone());
                let mut found = recorded_integration();
                found["reference_id"] = json!(reference);
                envelope(&found)
            },
        ),
    );
    let reader = reader(&serve(router).await);
    let written = [
        "a/b",
        "%2e%2e",
        "a b?c#d",
        "...",
        "ü;=&+",
        "\\",
        "{result:3}",
    ];
    for reference in written {
        let reference = ReferenceId::new(reference).unwrap();
        reader
            .integration_by_reference(&account(), &reference)
            .await
            .unwrap();
    }
    assert_eq!(*paths.lock().unwrap(), written.map(str::to_owned).into());
}

#[tokio::test(start_paused = true)]
async fn live_is_exactly_two_reads_both_in_flight_together() {
    let calls = Arc::new(AtomicUsize::new(0));
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let counted = Arc::clone(&calls);
    // Responses wait until both requests arrived.
    let service = Router::new().fallback(async move |request: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        both.wait().await;
        if request.uri().path().ends_with("/behaviors") {
            envelope(&behaviors())
        } else {
            envelope(&json!([recorded_integration()]))
        }
    });
    let live = within(service)
        .reader()
        .live_account(&account())
        .await
        .unwrap();
    assert_eq!((live.behaviors.len(), live.integrations.len()), (1, 1));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_within_the_process_can_play_a_broken_network() {
    async fn failure<S>(service: S) -> (TransportErrorKind, Delivery)
    where
        S: tower::Service<
                axum::http::Request<http_body_util::Full<Bytes>>,
                Response = Response<Body>,
                Error = io::Error,
            > + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let transport = Transport::in_process(service, Duration::from_secs(30));
        let connection = connect(transport, BaseUrl::default());
        self::transport(&connection.reader().behaviors(&account()).await.unwrap_err())
    }
    let broken = |kind| tower::service_fn(move |_| async move { Err(io::Error::from(kind)) });
    assert_eq!(
        failure(broken(io::ErrorKind::ConnectionRefused)).await,
        (TransportErrorKind::Connect, Delivery::NotDelivered)
    );
    assert_eq!(
        failure(broken(io::ErrorKind::ConnectionReset)).await,
        (
            TransportErrorKind::ConnectionClosed,
            Delivery::MaybeDelivered
        )
    );
    assert_eq!(
        failure(tower::service_fn(async |_| std::future::pending().await)).await,
        (TransportErrorKind::Timeout, Delivery::MaybeDelivered)
    );
    let huge = Bytes::from(vec![0; 33 << 20]);
    assert_eq!(
        failure(tower::service_fn(move |_| {
            let body = Body::from(huge.clone());
            async { Ok(Response::new(body)) }
        }))
        .await,
        (TransportErrorKind::TooLarge, Delivery::MaybeDelivered)
    );
}

#[tokio::test]
async fn tls_trusts_the_machine_and_the_bundle_and_nobody_else() {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let bundle = CaBundle::from_pem(certificate.cert.pem().as_bytes()).unwrap();
    let base_url = serve_tls(certificate).await.base_url;

    let error = reader(&base_url).behaviors(&account()).await.unwrap_err();
    assert_eq!(
        transport(&error),
        (TransportErrorKind::Tls, Delivery::NotDelivered),
        "{error}"
    );
    assert!(error.help().unwrap().contains("--ca-bundle"));

    let trusting = NetworkSettings {
        ca_bundle: Some(bundle),
        ..settings()
    };
    let reader = connection(&base_url, trusting).reader();
    assert_eq!(reader.behaviors(&account()).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn requests_share_one_connection_where_the_server_has_http_2() {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let trusting = NetworkSettings {
        ca_bundle: Some(CaBundle::from_pem(certificate.cert.pem().as_bytes()).unwrap()),
        ..settings()
    };
    let server = serve_tls(certificate).await;
    let reader = connection(&server.base_url, trusting).reader();
    let account = account();
    for _ in 0..2 {
        let together = (0..10).map(|_| reader.behaviors(&account));
        reader.behaviors(&account).await.unwrap();
        futures_util::future::try_join_all(together).await.unwrap();
    }
    let versions = server.versions.lock().unwrap();
    assert_eq!(versions.as_slice(), [Version::HTTP_2; 22]);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

/// A server with TLS, HTTP/1.1 and HTTP/2.
struct TlsServer {
    base_url: String,
    connections: Arc<AtomicUsize>,
    /// HTTP version of each request.
    versions: Arc<Mutex<Vec<Version>>>,
}

struct TlsListener {
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
    connections: Arc<AtomicUsize>,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                self.connections.fetch_add(1, Ordering::Relaxed);
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Always returns behaviors, and counts requests.
async fn serve_tls(certificate: rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsServer {
    let versions: Arc<Mutex<Vec<Version>>> = Arc::default();
    let seen = Arc::clone(&versions);
    let router = Router::new().fallback(move |request: Request| {
        seen.lock().unwrap().push(request.version());
        async { envelope(&behaviors()) }
    });
    let (base_url, connections) = serve_over_tls(certificate, router).await;
    TlsServer {
        base_url,
        connections,
        versions,
    }
}

/// Serves over TLS, and returns the URL and the number of connections.
pub(crate) async fn serve_over_tls(
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
    router: Router,
) -> (String, Arc<AtomicUsize>) {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.cert.der().clone()],
            certificate.signing_key.into(),
        )
        .unwrap();
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    let listener = TlsListener {
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        acceptor: tokio_rustls::TlsAcceptor::from(Arc::new(config)),
        connections: Arc::default(),
    };
    let url = format!("https://{}", listener.listener.local_addr().unwrap());
    let connections = Arc::clone(&listener.connections);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, connections)
}

#[test]
fn a_bundle_without_a_certificate_is_refused() {
    for (pem, problem) in [
        ("", "no PEM certificate found"),
        ("not PEM at all", "no PEM certificate found"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA!\n-----END CERTIFICATE-----\n",
            "invalid certificate: ",
        ),
    ] {
        let error = CaBundle::from_pem(pem.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn no_log_line_shows_the_token_however_much_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let echo = Router::new().fallback(async |request: Request| {
        let token = request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        (StatusCode::FORBIDDEN, format!("<html>you sent {token}"))
    });
    let base_url = serve(echo).await;
    let error = reader(&base_url).behaviors(&account()).await.unwrap_err();
    assert!(shown(&error).contains("you sent Bearer ***"), "{error}");
    reader(&dead().await)
        .behaviors(&account())
        .await
        .unwrap_err();
    drop(guard);
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("zt_risk_scoring/behaviors"), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}
