//! The API client, over loopback sockets and in-process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, Version};
use axum::routing::any;
use riskform::api::{
    ApiError, Attempts, BaseUrl, Client, ClientEvent, ClientOptions, Credentials, ErrorKind,
    NetworkSettings, Proxy, Reader, RequestIds, RetryPolicy, TokenStatus, Transport,
    TransportErrorKind, WriteRequest, parse_certificates,
};
use riskform::model::account::AccountId;
use riskform::model::integration::ReferenceId;
use riskform::model::open_enum::OpenEnum;
use riskform::sandbox::{RECORDED_ACCOUNT, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_http::compression::CompressionLayer;

use crate::support::{SandboxServer, TestDir};

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
        ..NetworkSettings::default()
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
    Client::new(transport, base_url, credentials(), conduct)
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

/// Sends a write once.
async fn write(client: &Client, request: &WriteRequest) -> Result<RequestIds, ApiError> {
    let (mut attempts, writer, account) = (Attempts::default(), client.writer(), account());
    let permit = client.acquire_permit(&mut attempts).await.unwrap();
    let sent = writer.send(permit, &account, request, |_, _| None).await;
    Ok(sent?.request_ids)
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

fn transport(error: &ApiError) -> (TransportErrorKind, bool) {
    shown(error);
    match error.kind() {
        ErrorKind::Transport(error) => (error.failure, error.failure.may_be_delivered()),
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
async fn each_endpoint_parses_known_and_unknown_values() {
    let asked = Arc::default();
    let base_url = serve(ten_operations(Arc::clone(&asked))).await;
    let connection = connection(&base_url, settings());
    let (reader, account) = (connection.reader(), account());
    let (integration, user) = (INTEGRATION.parse().unwrap(), USER.parse().unwrap());

    let behaviors = reader.behaviors(&account).await.unwrap();
    let live = reader.integration(&account, integration).await.unwrap();
    let reference = ReferenceId::new(REFERENCE).unwrap();
    let found = reader
        .integration_by_reference(&account, &reference)
        .await
        .unwrap();
    assert_eq!(found, live);
    assert_eq!(
        reader.integrations(&account).await.unwrap(),
        std::slice::from_ref(&live)
    );
    let users = reader.users(&account).await.unwrap();
    assert_eq!(
        users[0].max_risk_level,
        OpenEnum::Unknown("severe".to_owned())
    );
    let events = reader.user(&account, user).await.unwrap().events;
    assert!(events.is_empty());

    let written: BTreeMap<_, _> = behaviors
        .into_iter()
        .map(|(key, behavior)| (key, behavior.fields))
        .collect();
    let fields = live.fields.clone();
    for request in [
        WriteRequest::Behaviors(written),
        WriteRequest::Create(fields.clone()),
        WriteRequest::Update(integration, fields),
        WriteRequest::Delete(integration),
        WriteRequest::Reset(user),
    ] {
        let ids = write(&connection, &request).await.unwrap();
        assert_eq!(ids.audit_log_id.as_deref(), Some("audit-7"), "{request:?}");
    }

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
async fn compressed_responses_are_read() {
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
    assert_eq!(answer.len(), 1);
    assert_eq!(*encodings.lock().unwrap(), ["gzip"]);
}

/// Runs another test in a separate process, because a process cannot change its own environment safely.
#[test]
fn loopback_requests_bypass_proxies() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "api::compressed_responses_are_read"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("1 passed"), "{shown}");
}

#[tokio::test]
async fn failures_tell_whether_the_request_may_be_delivered() {
    use TransportErrorKind::{Connect, ConnectTimeout, ConnectionClosed, Timeout, TooLarge};
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":true,";
    const GARBLED: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!";
    const NO_HTTP: &[u8] = b"SSH-2.0-OpenSSH_9.9\r\n";
    const HUGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 300000000\r\n\r\n";
    let settings = NetworkSettings {
        connect_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(3),
        ..NetworkSettings::default()
    };
    let silent = serve_bytes(b"", Then::Hang).await;
    let zeros = || (0..33).map(|_| io::Result::Ok(vec![b'0'; 1 << 20]));
    let zeros = move || Body::from_stream(futures_util::stream::iter(zeros()));
    let endless = Router::new().fallback(async move || zeros());
    for (base_url, kind, may_be_delivered) in [
        (dead().await, Connect, false),
        // A server that accepts without TLS prevents the connection.
        (silent.replace("http://", "https://"), ConnectTimeout, false),
        (silent, Timeout, true),
        (serve_bytes(HALF, Then::Hang).await, Timeout, true),
        (serve_bytes(HALF, Then::Close).await, ConnectionClosed, true),
        (serve_bytes(b"", Then::Close).await, ConnectionClosed, true),
        (
            serve_bytes(GARBLED, Then::Close).await,
            ConnectionClosed,
            true,
        ),
        (
            serve_bytes(NO_HTTP, Then::Close).await,
            ConnectionClosed,
            true,
        ),
        (serve_bytes(HUGE, Then::Hang).await, TooLarge, true),
        // Its length is not announced.
        (serve(endless).await, TooLarge, true),
    ] {
        let client = connection(&base_url, settings.clone());
        let reset = WriteRequest::Reset(USER.parse().unwrap());
        let error = write(&client, &reset).await.unwrap_err();
        assert_eq!(transport(&error), (kind, may_be_delivered), "{error}");
        assert_eq!(error.may_have_succeeded(), may_be_delivered, "{error}");
        assert!(error.to_string().contains(&base_url), "{error}");
    }
}

#[tokio::test]
async fn token_is_verified_on_its_owners_path() {
    let known = json!({ "id": "ed17574386854bf78a67040be0a770b0", "status": "active", "expires_on": "2030-01-01T00:00:00Z" });
    let of_the_account = json!({ "status": "paused" });
    let of_a_user = Router::new().route(
        "/client/v4/user/tokens/verify",
        any(async move || envelope(&known)),
    );
    let (kind, token) = within(of_a_user)
        .reader()
        .verify_token(&account())
        .await
        .unwrap();
    assert_eq!(kind, "user token");
    assert_eq!(token.status, OpenEnum::Known(TokenStatus::Active));
    assert_eq!(
        token.expires_on,
        Some("2030-01-01T00:00:00Z".parse().unwrap())
    );
    let of_an_account = Router::new().route(
        "/client/v4/accounts/{account}/tokens/verify",
        any(async move || envelope(&of_the_account)),
    );
    let (kind, token) = within(of_an_account)
        .reader()
        .verify_token(&account())
        .await
        .unwrap();
    assert_eq!(kind, "account token");
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
async fn delete_of_missing_integration_succeeds_with_envelope_only() {
    let gone =
        json!({ "success": false, "errors": [], "messages": [], "result": null }).to_string();
    for (body, succeeds) in [(gone, true), ("<html>nginx</html>".to_owned(), false)] {
        let service = Router::new().fallback(async move || (StatusCode::NOT_FOUND, body));
        let client = within(service);
        let delete = WriteRequest::Delete(INTEGRATION.parse().unwrap());
        assert_eq!(write(&client, &delete).await.is_ok(), succeeds);
    }
}

#[tokio::test]
async fn response_with_another_integration_is_an_error() {
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
async fn integration_of_another_account_is_an_error() {
    for (tag, is_ok) in [
        (json!("023E105F4ECEF8AD9CA31A8372D0C353"), true),
        (json!(""), true),
        (json!(7), true),
        (json!("f037e56e89293a057740de681ac9abbe"), false),
    ] {
        let mut integration = recorded_integration();
        integration["account_tag"] = tag.clone();
        let service = Router::new().fallback(async move |request: Request| {
            match request.uri().path().ends_with("/integrations") {
                true => envelope(&json!([integration])),
                false => envelope(&integration),
            }
        });
        let reader = within(service).reader();
        let (id, reference) = (
            INTEGRATION.parse().unwrap(),
            ReferenceId::new(REFERENCE).unwrap(),
        );
        let account = account();
        let outcomes = [
            reader.integrations(&account).await.map(drop),
            reader.integration(&account, id).await.map(drop),
            reader
                .integration_by_reference(&account, &reference)
                .await
                .map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.is_ok(), is_ok, "{tag}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn members_that_are_only_shown_may_be_malformed() {
    let service = Router::new().fallback(async |request: Request| {
        let path = request.uri().path();
        envelope(&match path.rsplit('/').next().unwrap() {
            "behaviors" => json!({ "behaviors": { "imp_travel": {
                "name": 7, "description": [], "enabled": true, "risk_level": "low" } } }),
            "integrations" => json!([{
                "id": INTEGRATION, "account_tag": null, "active": true, "created_at": 0, "integration_type": "Okta",
                "reference_id": REFERENCE, "tenant_url": "https://example.okta.com", "well_known_url": {} }]),
            "summary" => json!({ "users": [{
                "user_id": USER, "name": {}, "email": 1, "event_count": "2", "last_event": "yesterday",
                "max_risk_level": "high" }] }),
            _ => json!({ "name": 1, "email": null, "last_reset_time": "soon", "risk_level": "low", "events": [
                { "id": "e", "name": 3, "risk_level": "low", "timestamp": "0001-01-01 00:00" }] }),
        })
    });
    let (reader, account) = (within(service).reader(), account());
    let behaviors = reader.behaviors(&account).await.unwrap();
    assert_eq!(behaviors.values().next().unwrap().name, "");
    let integrations = reader.integrations(&account).await.unwrap();
    assert_eq!(
        (
            integrations[0].created_at.as_str(),
            integrations[0].well_known_url.as_str()
        ),
        ("", "")
    );
    let users = reader.users(&account).await.unwrap();
    assert_eq!((users[0].event_count, users[0].last_event), (None, None));
    let user = reader.user(&account, USER.parse().unwrap()).await.unwrap();
    assert_eq!(
        (user.last_reset_time, user.events[0].timestamp),
        (None, None)
    );
}

#[tokio::test]
async fn references_are_escaped_in_paths() {
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
    let dots = ReferenceId::new("..").unwrap();
    let error = reader.integration_by_reference(&account(), &dots).await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn live_account_takes_two_concurrent_requests() {
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

#[tokio::test]
async fn tls_trusts_system_and_bundle_only() {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let bundle = parse_certificates(certificate.cert.pem().as_bytes()).unwrap();
    let base_url = serve_tls(certificate).await.base_url;

    let other = NetworkSettings {
        certificates_from: Some("SSL_CERT_FILE"),
        ..settings()
    };
    let error = connection(&base_url, other)
        .reader()
        .behaviors(&account())
        .await;
    let error = error.unwrap_err();
    assert_eq!(
        transport(&error),
        (TransportErrorKind::Tls, false),
        "{error}"
    );
    assert!(error.help().unwrap().contains("--ca-bundle"));
    assert!(
        error
            .to_string()
            .ends_with("(CA certificates from SSL_CERT_FILE)"),
        "{error}"
    );

    let trusting = NetworkSettings {
        ca_certificates: bundle,
        ..settings()
    };
    let reader = connection(&base_url, trusting).reader();
    assert_eq!(reader.behaviors(&account()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn http2_requests_share_one_connection() {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let trusting = NetworkSettings {
        ca_certificates: parse_certificates(certificate.cert.pem().as_bytes()).unwrap(),
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
                let group = stream.get_ref().1.negotiated_key_exchange_group();
                let group = group.map(|group| group.name());
                assert_eq!(
                    group,
                    Some(tokio_rustls::rustls::NamedGroup::X25519MLKEM768)
                );
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
    let listener = TlsListener {
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        acceptor: tls_acceptor(certificate),
        connections: Arc::default(),
    };
    let url = format!("https://{}", listener.listener.local_addr().unwrap());
    let connections = Arc::clone(&listener.connections);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, connections)
}

/// Offers HTTP/2 and HTTP/1.1.
fn tls_acceptor(certificate: rcgen::CertifiedKey<rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
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
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[test]
fn ca_bundle_needs_valid_certificates_only() {
    let certificate = || {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        signed.cert.pem()
    };
    let (one, two) = (certificate(), certificate());
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const BAD_BASE64: &str = "-----BEGIN CERTIFICATE-----\nAAAA!\n-----END CERTIFICATE-----\n";
    const BAD_CONTENT: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const NO_END: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    const TRUSTED: &str =
        "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n";
    for (pem, expected) in [
        (one.clone(), Ok(1)),
        (format!("\u{feff}{one}"), Ok(1)),
        (format!("# first\n{one}{KEY}\n{two}"), Ok(2)),
        (one.replace('\n', "\r\n"), Ok(1)),
        (String::new(), Err("no PEM certificate found")),
        ("not PEM at all".to_owned(), Err("no PEM certificate found")),
        (KEY.to_owned(), Err("no PEM certificate found")),
        (BAD_BASE64.to_owned(), Err("in block 1 (line 1): ")),
        (format!("{one}{BAD_BASE64}{two}"), Err("in block 2 (line ")),
        (format!("{one}{BAD_CONTENT}"), Err("in block 2 (line ")),
        (
            format!("{NO_END}{one}"),
            Err("in block 1 (line 1): no -----END"),
        ),
        (format!("{one}{NO_END}"), Err("in block 2 (line ")),
        (
            TRUSTED.to_owned(),
            Err("in block 1 (line 1): not a CERTIFICATE block"),
        ),
    ] {
        let bundle = parse_certificates(pem.as_bytes());
        match (bundle, expected) {
            (Ok(bundle), Ok(count)) => assert_eq!(bundle.len(), count, "{pem}"),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{pem}: {error}");
            }
            (bundle, expected) => panic!("{pem}: {bundle:?}, expected {expected:?}"),
        }
    }
}

/// An HTTP/2 server that forwards to a sandbox. It lets the sandbox perform the first POST, and then refuses it.
async fn serve_http2_refusal(
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
    sandbox: SocketAddr,
    refusal: Http2Refusal,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/client/v4", listener.local_addr().unwrap());
    let acceptor = tls_acceptor(certificate);
    let refused = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(client) = acceptor.accept(stream).await else {
                continue;
            };
            let backend = TcpStream::connect(sandbox).await.unwrap();
            tokio::spawn(forward(client, backend, refusal, Arc::clone(&refused)));
        }
    });
    url
}

/// Forwards the frames of one connection.
async fn forward(
    client: tokio_rustls::server::TlsStream<TcpStream>,
    backend: TcpStream,
    refusal: Http2Refusal,
    refused: Arc<AtomicBool>,
) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const ACK: u8 = 1;
    // The client would not see the header fields of the refused response, so none may enter the dynamic table.
    const HEADER_TABLE_SIZE_0: [u8; 6] = [0, 1, 0, 0, 0, 0];
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_backend, mut to_backend) = backend.into_split();
    // Only a write has a body.
    let write: Arc<Mutex<Option<[u8; 4]>>> = Arc::default();
    let seen = Arc::clone(&write);
    tokio::spawn(async move {
        let mut preface = [0; 24];
        from_client.read_exact(&mut preface).await?;
        to_backend.write_all(&preface).await?;
        loop {
            let mut frame = read_frame(&mut from_client).await?;
            match (frame[3], frame[4]) {
                (HEADERS, flags) if flags & END_STREAM == 0 => {
                    *seen.lock().unwrap() = frame[5..9].try_into().ok();
                }
                (SETTINGS, flags) if flags & ACK == 0 => {
                    frame.extend(HEADER_TABLE_SIZE_0);
                    frame[2] += 6;
                }
                _ => {}
            }
            to_backend.write_all(&frame).await?;
        }
        #[expect(unreachable_code, reason = "gives the type of the errors above")]
        io::Result::Ok(())
    });
    loop {
        let frame = read_frame(&mut from_backend).await?;
        let stream = &frame[5..9];
        let is_write = write.lock().unwrap().is_some_and(|write| write == stream);
        if is_write && frame[3] == HEADERS && !refused.swap(true, Ordering::SeqCst) {
            to_client.write_all(&refusal.frame(stream)).await?;
            if refusal == Http2Refusal::GoAway {
                return to_client.shutdown().await;
            }
            // The rest of the response.
            read_frame(&mut from_backend).await?;
            continue;
        }
        to_client.write_all(&frame).await?;
    }
}

async fn read_frame(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 9];
    from.read_exact(&mut frame).await?;
    let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
    frame.resize(9 + length as usize, 0);
    from.read_exact(&mut frame[9..]).await?;
    Ok(frame)
}

/// A claim that the server did not process a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http2Refusal {
    RefusedStream,
    /// Names no stream as processed, and closes the connection.
    GoAway,
}

impl Http2Refusal {
    fn frame(self, stream: &[u8]) -> Vec<u8> {
        const RST_STREAM: [u8; 5] = [0, 0, 4, 3, 0];
        const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
        const GOAWAY: [u8; 9] = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        match self {
            Http2Refusal::RefusedStream => [&RST_STREAM[..], stream, &REFUSED_STREAM].concat(),
            Http2Refusal::GoAway => [&GOAWAY[..], &[0; 8]].concat(),
        }
    }
}

/// Case 5. The HTTP client would repeat a request that the server claims to have refused.
#[tokio::test]
async fn create_refused_over_http2_is_looked_up_and_not_repeated() {
    for refusal in [Http2Refusal::RefusedStream, Http2Refusal::GoAway] {
        let server = SandboxServer::start(Settings::default());
        let account = RECORDED_ACCOUNT.parse().unwrap();
        let before = server.sandbox.live(&account).integrations.len();
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let mut directory = TestDir::with(&server);
        directory.write("ca.pem", &certificate.cert.pem());
        directory.write(
            "riskform.yaml",
            &format!(
                "version: 1\naccount_id: {RECORDED_ACCOUNT}\nintegrations:\n  sales: {{ tenant_url: https://sales.okta.com }}\n"
            ),
        );
        let base_url = serve_http2_refusal(certificate, server.address(), refusal).await;
        directory.set("CLOUDFLARE_BASE_URL", &base_url);
        let run = tokio::task::spawn_blocking(move || {
            let command =
                "apply --auto-approve --no-context --ca-bundle ca.pem --audit-log log.jsonl";
            let run = directory.line(command);
            (run, directory.read("log.jsonl"))
        });
        let (run, log) = run.await.unwrap();
        assert_eq!(run.code, 0, "{refusal:?}: {}", run.shown());
        let requests = server.requests();
        let posts = requests
            .iter()
            .filter(|one| one.method == http::Method::POST);
        assert_eq!(posts.count(), 1, "{refusal:?}");
        assert_eq!(
            server.sandbox.live(&account).integrations.len(),
            before + 1,
            "{refusal:?}"
        );
        assert_eq!(
            log.matches("\"attempt\":1").count(),
            2,
            "{refusal:?}: {log}"
        );
        assert_eq!(log.lines().count(), 2, "{refusal:?}: {log}");
    }
}

/// A proxy that answers each CONNECT with a status, and counts them.
async fn serve_proxy(status: u16, connects: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            assert!(request[..read].starts_with(b"CONNECT api.invalid:443 HTTP/1.1\r\n"));
            connects.fetch_add(1, Ordering::SeqCst);
            let answer = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn refused_connect_names_proxy_and_status_and_a_4xx_is_final() {
    for (status, kind, connects) in [
        (403, TransportErrorKind::ProxyRefused, 2),
        (407, TransportErrorKind::ProxyRefused, 2),
        // Once for the status, and one for each of two attempts.
        (503, TransportErrorKind::Connect, 3),
    ] {
        let seen = Arc::new(AtomicUsize::new(0));
        let address = serve_proxy(status, Arc::clone(&seen)).await;
        let proxy = Proxy::parse("ALL_PROXY", &format!("http://user:pass@{address}"), "");
        let proxied = NetworkSettings {
            proxy: Some(proxy.unwrap()),
            ..settings()
        };
        let conduct = ClientOptions {
            retry: RetryPolicy {
                max_attempts: NonZeroU32::MIN.saturating_add(1),
                base_delay: Duration::from_millis(1),
                ..RetryPolicy::default()
            },
            ..ClientOptions::default()
        };
        let base_url = "https://api.invalid/client/v4".parse().unwrap();
        let transport = Transport::network(proxied);
        let client = Client::new(transport, base_url, credentials(), conduct);
        let error = client.reader().behaviors(&account()).await.unwrap_err();
        assert_eq!(self::transport(&error), (kind, false), "{error}");
        let expected = format!("proxy {address} (ALL_PROXY) answered CONNECT with status {status}");
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert_eq!(seen.load(Ordering::SeqCst), connects, "{status}");
    }
}

#[tokio::test]
async fn no_event_or_error_shows_the_token() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let events = Arc::clone(&events);
        move |event: &ClientEvent| events.lock().unwrap().push(event.to_string())
    };
    let options = ClientOptions {
        observer: Arc::new(observer),
        ..ClientOptions::default()
    };
    let echo = Router::new().fallback(async |request: Request| {
        let token = request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        (StatusCode::FORBIDDEN, format!("<html>you sent {token}"))
    });
    let transport = Transport::in_process(echo, Duration::from_secs(30));
    let client = Client::new(transport, BaseUrl::default(), credentials(), options);
    let error = client.reader().behaviors(&account()).await.unwrap_err();
    assert!(shown(&error).contains("you sent Bearer ***"), "{error}");
    let lines = events.lock().unwrap().join("\n");
    assert!(lines.contains("zt_risk_scoring/behaviors: 403"), "{lines}");
    assert!(!lines.contains(CANARY), "{lines}");
}
