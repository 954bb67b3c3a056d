//! Retries and rate limiting of the client, in paused time.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::Full;
use riskform::api::{
    ApiError, Attempts, BaseUrl, Client, ClientEvent, ClientOptions, Credentials, ErrorKind,
    NoPermit, Reader, RetryPolicy, Transport, WriteRequest,
};
use riskform::model::account::AccountId;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const INTEGRATION: &str = "4cfe8442-664b-4915-acd4-b39cd65c4314";
const USER: &str = "6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11";

fn account() -> AccountId {
    "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap()
}

/// Response of the server to a request.
#[derive(Clone, Copy, Debug)]
enum ScriptedResponse {
    Refuse,
    Close,
    Hang,
    TestResponse(u16, &'static str, &'static str),
}

const OK: ScriptedResponse = ScriptedResponse::TestResponse(200, "x-nothing", "to say");
const FAULT: ScriptedResponse = ScriptedResponse::TestResponse(500, "x-nothing", "to say");

fn respond(status: u16) -> axum::http::response::Builder {
    Response::builder().status(status)
}

fn body(status: u16) -> Body {
    let success = status == 200;
    let result = json!({
        "behaviors": {}, "id": INTEGRATION, "account_tag": "", "active": true, "created_at": "2026-01-01T00:00:00Z",
        "integration_type": "Okta", "reference_id": "", "tenant_url": "https://a.okta.com", "well_known_url": "u",
    });
    json!({ "success": success, "errors": [], "messages": [], "result": result })
        .to_string()
        .into()
}

/// A client of a scripted server, and its events.
struct Scripted {
    connection: Client,
    events: Arc<Mutex<Vec<ClientEvent>>>,
    sent_at: Arc<Mutex<Vec<Duration>>>,
}

fn scripted(script: &[ScriptedResponse]) -> Scripted {
    let acts: Arc<Mutex<VecDeque<ScriptedResponse>>> =
        Arc::new(Mutex::new(script.iter().copied().collect()));
    let sent_at = Arc::new(Mutex::new(Vec::new()));
    let (start, sent) = (Instant::now(), Arc::clone(&sent_at));
    let service = tower::service_fn(move |_: Request<Full<Bytes>>| {
        sent.lock().unwrap().push(start.elapsed());
        let act = acts.lock().unwrap().pop_front().unwrap_or(OK);
        async move {
            match act {
                ScriptedResponse::Refuse => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                ScriptedResponse::Close => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                ScriptedResponse::Hang => std::future::pending().await,
                ScriptedResponse::TestResponse(status, name, value) => Ok(respond(status)
                    .header(name, value)
                    .body(body(status))
                    .unwrap()),
            }
        }
    });
    let transport = Transport::in_process(service, Duration::from_secs(30));
    let events = Arc::default();
    Scripted {
        connection: connect(transport, None, &events),
        events,
        sent_at,
    }
}

fn connect(
    transport: Transport,
    max_requests_per_second: Option<NonZeroU32>,
    events: &Arc<Mutex<Vec<ClientEvent>>>,
) -> Client {
    let events = Arc::clone(events);
    let conduct = ClientOptions {
        retry: RetryPolicy {
            seed: Some(7),
            ..RetryPolicy::default()
        },
        max_requests_per_second,
        observer: Arc::new(move |event| {
            if !matches!(event, ClientEvent::Responded { .. }) {
                events.lock().unwrap().push(event.clone());
            }
        }),
        ..ClientOptions::default()
    };
    let credentials = Credentials::api_token("token".into()).unwrap();
    Client::new(transport, BaseUrl::default(), credentials, conduct)
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Read,
    WriteBehaviors,
    Create,
    Update,
    Delete,
    Reset,
}

async fn ask(client: &Client, ask: Ask) -> Result<(), ApiError> {
    let (writer, account) = (client.writer(), account());
    let id = INTEGRATION.parse().unwrap();
    let fields = json!({
        "integration_type": "Okta", "tenant_url": "https://a.okta.com", "active": true,
    });
    let fields = serde_json::from_value(fields).unwrap();
    let request = match ask {
        Ask::Read => return client.reader().behaviors(&account).await.map(drop),
        Ask::WriteBehaviors => WriteRequest::Behaviors(BTreeMap::new()),
        Ask::Create => WriteRequest::Create(fields),
        Ask::Update => WriteRequest::Update(id, fields),
        Ask::Delete => WriteRequest::Delete(id),
        Ask::Reset => WriteRequest::Reset(USER.parse().unwrap()),
    };
    // Like a writer: get a permit, send, and decide on a retry.
    let mut attempts = Attempts::default();
    loop {
        let permit = client.acquire_permit(&mut attempts).await.unwrap();
        let sent = writer.send(permit, &account, &request, |_, _| None);
        let Err(error) = sent.await else {
            return Ok(());
        };
        if client.wait_before_retry(&mut attempts, &error).await != Ok(true) {
            return Err(error);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_safe_requests_are_retried() {
    const LIMITED: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "3");
    const GONE: ScriptedResponse = ScriptedResponse::TestResponse(404, "x-nothing", "to say");
    const FORBIDDEN: ScriptedResponse = ScriptedResponse::TestResponse(403, "x-nothing", "to say");
    use Ask::{Create, Delete, Read, Reset, Update, WriteBehaviors};
    use ScriptedResponse::{Close, Hang, Refuse};
    for (asked, script, requests, ends_well) in [
        (Read, &[Refuse, Close, FAULT][..], 4, true),
        (Read, &[Hang, LIMITED], 3, true),
        (Read, &[FAULT; 4], 4, false),
        (Read, &[FORBIDDEN], 1, false),
        (Update, &[Refuse, Close, FAULT], 4, true),
        (Update, &[Hang, LIMITED], 3, true),
        (Delete, &[Close, GONE], 2, true),
        (Delete, &[GONE], 1, true),
        (Create, &[Refuse, LIMITED], 3, true),
        (Create, &[Close], 1, false),
        (Create, &[Hang], 1, false),
        (Create, &[FAULT], 1, false),
        (Create, &[Refuse, Close], 2, false),
        (Reset, &[LIMITED], 2, true),
        (Reset, &[FAULT], 1, false),
        // After another read.
        (WriteBehaviors, &[Refuse, LIMITED, FAULT], 4, true),
        (WriteBehaviors, &[Close], 2, true),
    ] {
        let server = scripted(script);
        let outcome = ask(&server.connection, asked).await;
        let case = format!("{asked:?} {script:?}: {outcome:?}");
        assert_eq!(outcome.is_ok(), ends_well, "{case}");
        assert_eq!(server.connection.counters().requests, requests, "{case}");
        assert_eq!(
            server.sent_at.lock().unwrap().len() as u64,
            requests,
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retries_are_reported_with_their_reason() {
    let server = scripted(&[ScriptedResponse::Refuse, FAULT]);
    ask(&server.connection, Ask::Read).await.unwrap();
    let lines: Vec<String> = server
        .events
        .lock()
        .unwrap()
        .iter()
        .map(ClientEvent::to_string)
        .collect();
    insta::with_settings!({filters => vec![(r"\d\.\d s", "[wait]"), ("https.*/behaviors", "[path]"), ("/acc.*/behaviors", "[path]")]}, {
        insta::assert_snapshot!(lines.join("\n"), @r"
        attempt 1/4 failed, retrying in [wait]: GET [path]: cannot connect: connection refused
        attempt 2/4 failed, retrying in [wait]: GET [path]: server error [status 500]
        ");
    });
    assert_eq!(server.connection.counters().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_a_maximum() {
    const SECONDS: ScriptedResponse = ScriptedResponse::TestResponse(503, "retry-after", "120");
    const LIMITED: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "300");
    const TOO_LONG: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "86400");
    const PAST: ScriptedResponse =
        ScriptedResponse::TestResponse(429, "retry-after", "Sun, 22 Nov 2020 10:00:00 GMT");
    for (act, waits) in [
        (SECONDS, Some(120)),
        (LIMITED, Some(300)),
        (TOO_LONG, None),
        (PAST, Some(1)),
    ] {
        let server = scripted(&[act]);
        let outcome = ask(&server.connection, Ask::Read).await;
        assert_eq!(outcome.is_ok(), waits.is_some(), "{act:?}");
        let sent_at = server.sent_at.lock().unwrap();
        assert_eq!(sent_at.get(1).map(Duration::as_secs), waits, "{act:?}");
    }
}

const DAY: ScriptedResponse =
    ScriptedResponse::TestResponse(200, "ratelimit", r#""default";r=0;t=86400"#);

/// Responses, the seconds at which the requests of two reads are sent, and the reads that succeed.
#[tokio::test(start_paused = true)]
async fn server_waits_are_honored_up_to_ten_minutes() {
    const UNSAID: ScriptedResponse = ScriptedResponse::TestResponse(429, "x-nothing", "to say");
    const GARBLED: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "soon");
    const MINUTES: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "250");
    const ELEVEN: ScriptedResponse = ScriptedResponse::TestResponse(429, "retry-after", "660");
    const HUGE: ScriptedResponse =
        ScriptedResponse::TestResponse(429, "retry-after", "99999999999999999999999999");
    const BUSY: ScriptedResponse = ScriptedResponse::TestResponse(503, "retry-after", "601");
    const LEFT: ScriptedResponse =
        ScriptedResponse::TestResponse(200, "ratelimit", r#""default";r=1;t=43200"#);
    const USED_UP: ScriptedResponse =
        ScriptedResponse::TestResponse(200, "ratelimit", r#""a";r=5;t=9, "default";r=0;t=30"#);
    for (script, seconds, succeeds) in [
        (&[UNSAID][..], &[0, 30, 30][..], [true, true]),
        (&[GARBLED, OK, UNSAID], &[0, 30, 30, 60], [true, true]),
        (&[MINUTES, MINUTES], &[0, 250, 500, 500], [true, true]),
        // In total more than ten minutes.
        (
            &[MINUTES, MINUTES, MINUTES],
            &[0, 250, 500, 750],
            [false, true],
        ),
        (&[ELEVEN], &[0], [false, false]),
        (&[HUGE], &[0], [false, false]),
        (&[BUSY], &[0, 0], [false, true]),
        (&[LEFT, LEFT], &[0, 0], [true, true]),
        (&[USED_UP], &[0, 31], [true, true]),
        (&[DAY], &[0], [true, false]),
    ] {
        let server = scripted(script);
        for succeeds in succeeds {
            let outcome = ask(&server.connection, Ask::Read).await;
            assert_eq!(outcome.is_ok(), succeeds, "{script:?}: {outcome:?}");
        }
        let sent_at = server.sent_at.lock().unwrap();
        let sent_at: Vec<u64> = sent_at.iter().map(Duration::as_secs).collect();
        assert_eq!(sent_at, seconds, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_long_wait_fails_at_once_with_its_length() {
    let server = scripted(&[DAY]);
    ask(&server.connection, Ask::Read).await.unwrap();
    let error = ask(&server.connection, Ask::Read).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RateLimited);
    let text = error.to_string();
    assert!(
        text.ends_with("rate limit exceeded, retry after 86401 s (the maximum wait is 600 s)"),
        "{text}"
    );
    let mut attempts = Attempts::default();
    let refused = server.connection.acquire_permit(&mut attempts).await;
    assert!(matches!(refused, Err(NoPermit::WaitTooLong(_))));
    assert_eq!(server.sent_at.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rate_limit_pauses_all_requests_and_is_reported_once() {
    let server = scripted(&[
        OK,
        OK,
        OK,
        ScriptedResponse::TestResponse(429, "retry-after", "60"),
        OK,
    ]);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let connection = server.connection.clone();
        calls.spawn(async move { ask(&connection, Ask::Read).await });
        // More calls arrive while the first ones wait.
        sleep(Duration::from_millis(10)).await;
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    let sent_at = server.sent_at.lock().unwrap();
    assert_eq!(sent_at.len(), 201);
    assert!(
        sent_at[4] - sent_at[3] >= Duration::from_secs(60),
        "{sent_at:?}"
    );
    let events = server.events.lock().unwrap();
    let events: Vec<String> = events.iter().map(ClientEvent::to_string).collect();
    assert_eq!(events, ["rate limited, waiting 60 s (429, Retry-After)"]);
    assert_eq!(server.connection.counters().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn failing_server_gets_a_bounded_number_of_retries() {
    let server = scripted(&[FAULT; 10_000]);
    let mut calls = JoinSet::new();
    for _ in 0..500 {
        let connection = server.connection.clone();
        calls.spawn(async move { ask(&connection, Ask::Read).await });
    }
    let faults = calls.join_all().await;
    assert!(faults.iter().all(|outcome| matches!(
        outcome.as_ref().unwrap_err().kind(),
        ErrorKind::ServerError { .. }
    )));
    let requests = server.connection.counters().requests;
    assert!((500..=650).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn max_requests_per_second_holds() {
    let events = Arc::default();
    let service = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, io::Error>(respond(200).body(body(200)).unwrap())
    });
    let transport = Transport::in_process(service, Duration::from_secs(30));
    let connection = connect(transport, NonZeroU32::new(5), &events);
    let start = Instant::now();
    for _ in 0..51 {
        ask(&connection, Ask::Read).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// Window of a rate limit.
#[derive(Clone, Copy, Debug)]
enum Counts {
    /// Sliding window.
    Sliding,
    /// A window that starts with the first request after the previous one ended.
    FromTheFirst,
    /// Fixed windows on the clock.
    OnTheClock,
}

/// A server that enforces a rate limit, sends its headers and counts rejections.
#[derive(Debug)]
struct Meter {
    counts: Counts,
    began: Instant,
    arrivals: VecDeque<Instant>,
    refused: usize,
}

impl Meter {
    const REQUESTS: u64 = 1200;
    const PERIOD: Duration = Duration::from_secs(300);

    fn new(counts: Counts) -> Arc<Mutex<Meter>> {
        Arc::new(Mutex::new(Meter {
            counts,
            began: Instant::now(),
            arrivals: VecDeque::new(),
            refused: 0,
        }))
    }

    fn answer(&mut self) -> Response<Body> {
        let (now, window) = (Instant::now(), Meter::PERIOD);
        match self.counts {
            Counts::Sliding => {
                while self
                    .arrivals
                    .front()
                    .is_some_and(|first| *first + window <= now)
                {
                    self.arrivals.pop_front();
                }
                self.began = self.arrivals.front().copied().unwrap_or(now);
            }
            Counts::FromTheFirst if now >= self.began + window => {
                self.arrivals.clear();
                self.began = now;
            }
            Counts::OnTheClock => {
                while now >= self.began + window {
                    self.arrivals.clear();
                    self.began += window;
                }
            }
            Counts::FromTheFirst => {}
        }
        let left = Meter::REQUESTS - self.arrivals.len() as u64;
        let status = if left == 0 { 429 } else { 200 };
        if left == 0 {
            self.refused += 1;
        } else {
            self.arrivals.push_back(now);
        }
        let resets = (self.began + window - now).as_secs_f64().ceil();
        respond(status)
            .header(
                "ratelimit",
                format!(r#""default";r={};t={resets}"#, left.saturating_sub(1)),
            )
            .body(body(status))
            .unwrap()
    }
}

/// Sends concurrent reads and returns their duration.
async fn read_many(reader: &Reader, requests: usize, at_a_time: usize) -> Duration {
    let start = Instant::now();
    let mut readers = JoinSet::new();
    for n in 0..at_a_time {
        let reader = reader.clone();
        let share = requests / at_a_time + usize::from(n < requests % at_a_time);
        readers.spawn(async move {
            for _ in 0..share {
                reader.behaviors(&account()).await.unwrap();
            }
        });
    }
    readers.join_all().await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn rate_limiter_avoids_429_without_losing_time() {
    for (counts, at_a_time) in [
        (Counts::Sliding, 1),
        (Counts::Sliding, 5000),
        (Counts::FromTheFirst, 20),
        (Counts::OnTheClock, 20),
    ] {
        let meter = Meter::new(counts);
        let transport = Transport::in_process(distant(&meter), Duration::from_secs(30));
        let connection = connect(transport, None, &Arc::default());
        let took = read_many(&connection.reader(), 5000, at_a_time).await;
        // Five windows of five minutes, each with at most 1,200 requests.
        let case = format!("{counts:?}, {at_a_time} at a time: {took:?}");
        assert_eq!(meter.lock().unwrap().refused, 0, "{case}");
        assert!(took <= Duration::from_secs(4 * 310), "{case}");
    }
}

/// The server behind a network with a reproducible random latency of 2 to 12 ms.
fn distant(
    meter: &Arc<Mutex<Meter>>,
) -> impl tower::Service<
    Request<Full<Bytes>>,
    Response = Response<Body>,
    Error = io::Error,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let meter = Arc::clone(meter);
    let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(7)));
    tower::service_fn(move |_: Request<Full<Bytes>>| {
        let meter = Arc::clone(&meter);
        let way = || Duration::from_millis(random.lock().unwrap().u64(2..12));
        let (there, back) = (way(), way());
        async move {
            sleep(there).await;
            let answer = meter.lock().unwrap().answer();
            sleep(back).await;
            Ok(answer)
        }
    })
}
