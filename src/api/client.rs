//! The client shared by all requests of a run, and the single code path that sends a request.
//!
//! Reads are retried by the client, writes are not: the caller must record a write before sending it, and may have to read the live state
//! before a retry. It gets a [`SendPermit`], sends once, and calls [`wait_before_retry`](Client::wait_before_retry), which applies the same policy.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::model::account::AccountId;
use crate::model::integration::Integration;

use super::base_url::BaseUrl;
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::envelope::{Envelope, parse_response};
use super::error::{ApiError, ErrorDetails, ErrorKind, RequestIds};
use super::rate_limiter::{Attempts, RateLimiter, ResponseMetadata, SendPermit, WaitReason};
use super::retry::{RequestStats, RetryPolicy};
use super::transport::{Transport, TransportError, TransportErrorKind};

/// An API client. Cheap to clone; all its readers and writers share it.
///
/// The rate limit applies to a token, so use exactly one client per token.
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    transport: Transport,
    base_url: BaseUrl,
    credentials: Credentials,
    options: ClientOptions,
    limiter: RateLimiter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    random: fastrand::Rng,
    stats: RequestStats,
    /// Metadata of the last response.
    metadata: Option<ResponseMetadata>,
}

/// Options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// Retries.
    pub retry: RetryPolicy,
    /// True if requests stay below Cloudflare's rate limit of a token.
    pub has_rate_limit: bool,
    /// Maximum requests per second (`--max-requests-per-second`).
    pub max_requests_per_second: Option<NonZeroU32>,
    /// Receives responses, retries and waits. Called between requests, so it must be fast.
    pub observer: Arc<dyn Fn(&ClientEvent) + Send + Sync>,
    /// Ends every wait and prevents new requests when canceled.
    pub stop: CancellationToken,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            retry: RetryPolicy::default(),
            has_rate_limit: true,
            max_requests_per_second: None,
            observer: Arc::new(|_| {}),
            stop: CancellationToken::default(),
        }
    }
}

/// An event of a client. Displays as one line.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientEvent {
    /// A response was received. The path is relative to the base URL.
    #[error("{method} {path}: {status} in {} ms", .elapsed.as_millis())]
    Responded {
        method: Method,
        path: String,
        status: StatusCode,
        elapsed: Duration,
    },
    /// A request failed and will be retried. Attempts count from 1.
    #[error("attempt {attempt}/{attempts} failed, retrying in {:.1} s: {error}", .wait.as_secs_f64())]
    Retrying {
        error: ApiError,
        attempt: u32,
        /// Maximum number of attempts.
        attempts: u32,
        /// Delay before the next attempt.
        wait: Duration,
    },
    /// All requests with this token wait, in every account of the run. Sent once per wait.
    #[error("{}waiting {:.0} s{}", .reason.0, .wait.as_secs_f64().ceil(), .reason.1)]
    RateLimited { wait: Duration, reason: WaitReason },
}

/// A request to stop. Waits end at once, requests in flight are completed, and no new request is sent. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken(Arc<watch::Sender<bool>>);

impl CancellationToken {
    /// Requests cancellation. Cannot be undone.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Returns true if cancellation was requested.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Awaits a future unless cancellation is requested first. An earlier request always wins.
    pub async fn run_until_cancelled<T>(&self, waited: impl Future<Output = T>) -> Option<T> {
        let mut requested = self.0.subscribe();
        tokio::select! {
            biased;
            _ = requested.wait_for(|requested| *requested) => None,
            done = waited => Some(done),
        }
    }
}

/// The response to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResponse<T> {
    pub value: T,
    pub request_ids: RequestIds,
}

/// A request to send.
pub(super) struct ApiRequest {
    pub(super) endpoint: Endpoint,
    /// Relative to the base URL, starting with a slash.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl ApiRequest {
    /// Creates a request without a body.
    pub(super) fn new(endpoint: Endpoint, path: String) -> Self {
        ApiRequest {
            endpoint,
            path,
            body: None,
        }
    }
}

/// Reason why a request may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// The run was canceled.
    Cancelled,
    /// The server asks for a wait of this length, which is too long.
    WaitTooLong(Duration),
}

impl Client {
    /// Creates a client. Sends nothing.
    pub fn new(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        options: ClientOptions,
    ) -> Self {
        let mut state = State::default();
        if let Some(seed) = options.retry.seed {
            state.random.seed(seed);
        }
        Client(Arc::new(ClientInner {
            transport,
            base_url,
            credentials,
            limiter: RateLimiter::new(options.has_rate_limit, options.max_requests_per_second),
            options,
            state: Mutex::new(state),
        }))
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// Returns the request stats.
    pub fn counters(&self) -> RequestStats {
        self.state().stats
    }

    /// Returns the metadata of the last response.
    pub fn last_metadata(&self) -> Option<ResponseMetadata> {
        self.state().metadata
    }

    /// Returns the cancellation token.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.0.options.stop
    }

    /// Sends a read request, with retries.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
    ) -> Result<ApiResponse<Envelope<T>>, ApiError> {
        let mut attempts = Attempts::default();
        loop {
            let permit = match self.acquire_permit(&mut attempts).await {
                Ok(permit) => permit,
                Err(NoPermit::Cancelled) => return Err(self.error(call, ErrorKind::Cancelled)),
                Err(NoPermit::WaitTooLong(wait)) => {
                    let mut error = self.error(call, ErrorKind::RateLimited);
                    error.retry_after = Some(wait);
                    return Err(error);
                }
            };
            let error = match self.send(permit, call).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if self.wait_before_retry(&mut attempts, &error).await != Ok(true) {
                return Err(error);
            }
        }
    }

    /// Waits until the next request may be sent.
    pub async fn acquire_permit(&self, attempts: &mut Attempts) -> Result<SendPermit, NoPermit> {
        let options = &self.0.options;
        let report = |wait, reason| (options.observer)(&ClientEvent::RateLimited { wait, reason });
        let max_wait = options.retry.max_wait;
        let permit = (self.0.limiter).acquire(attempts, max_wait, report);
        let permit = options.stop.run_until_cancelled(permit).await;
        permit
            .ok_or(NoPermit::Cancelled)?
            .map_err(NoPermit::WaitTooLong)
    }

    /// Returns true if a failed request may be retried, and waits before the retry.
    pub async fn wait_before_retry(
        &self,
        attempts: &mut Attempts,
        error: &ApiError,
    ) -> Result<bool, NoPermit> {
        let ClientOptions { retry, .. } = &self.0.options;
        let wait = {
            let State { random, stats, .. } = &mut *self.state();
            retry.delay(attempts, error, stats, random)
        };
        let Some(wait) = wait else {
            return Ok(false);
        };
        // A 429 pauses all requests. The wait for the next permit reports it.
        if error.kind == ErrorKind::RateLimited {
            return Ok(true);
        }
        (self.0.options.observer)(&ClientEvent::Retrying {
            error: error.clone(),
            attempt: attempts.failed,
            attempts: retry.max_attempts.get(),
            wait,
        });
        let waited = self.cancellation().run_until_cancelled(sleep(wait)).await;
        waited.map(|()| true).ok_or(NoPermit::Cancelled)
    }

    /// Sends a request once.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        _permit: SendPermit,
        call: &ApiRequest,
    ) -> Result<ApiResponse<Envelope<T>>, ApiError> {
        let request = self.request(call)?;
        self.state().stats.requests += 1;
        let sent = Instant::now();
        let answer = self.0.transport.send(request).await;
        let answer = answer.map_err(|error| self.transport_error(call, error))?;
        let (status, headers) = (answer.status(), answer.headers());
        let metadata = ResponseMetadata::read(headers);
        self.state().metadata = Some(metadata);
        // All other requests would be rejected as well, so pause them before the next permit is given out.
        let retry_after = (self.0.limiter).pause_after(status, headers, metadata.remaining);
        (self.0.options.observer)(&ClientEvent::Responded {
            method: call.endpoint.method(),
            path: call.path.clone(),
            status,
            elapsed: sent.elapsed(),
        });
        let request_ids = RequestIds::read(headers);
        let redact = |text: &str| self.0.credentials.redact(text);
        match parse_response(call.endpoint, &answer, redact) {
            Ok(value) => Ok(ApiResponse { value, request_ids }),
            Err((kind, messages)) => {
                let mut error = self.error(call, kind);
                error.status = Some(status);
                error.messages = messages;
                error.request_ids = request_ids;
                error.retry_after = retry_after;
                Err(error)
            }
        }
    }

    /// Returns the result of a response that must have one.
    pub(super) fn result<T>(
        &self,
        call: &ApiRequest,
        response: ApiResponse<Envelope<T>>,
    ) -> Result<ApiResponse<T>, ApiError> {
        let ApiResponse { value, request_ids } = response;
        match value.result {
            Some(Some(value)) => Ok(ApiResponse { value, request_ids }),
            _ => Err(self.unexpected_response(call, "a response without a result", &request_ids)),
        }
    }

    /// Returns an error for a valid envelope with unexpected content.
    pub(super) fn unexpected_response(
        &self,
        call: &ApiRequest,
        problem: impl Into<String>,
        request_ids: &RequestIds,
    ) -> ApiError {
        let kind = ErrorKind::UnexpectedResponse {
            problem: problem.into(),
            excerpt: None,
        };
        self.invalid_response(call, kind, request_ids)
    }

    /// Returns an error if an integration belongs to another account.
    pub(super) fn check_account(
        &self,
        call: &ApiRequest,
        account: &AccountId,
        integrations: &[Integration],
        request_ids: &RequestIds,
    ) -> Result<(), ApiError> {
        let is_of_other_account = |one: &&Integration| {
            !one.account_tag.is_empty() && !one.account_tag.eq_ignore_ascii_case(account.as_str())
        };
        let Some(other) = integrations.iter().find(is_of_other_account) else {
            return Ok(());
        };
        let kind = ErrorKind::OtherAccount {
            id: other.id,
            account_tag: other.account_tag.clone(),
        };
        Err(self.invalid_response(call, kind, request_ids))
    }

    fn invalid_response(
        &self,
        call: &ApiRequest,
        kind: ErrorKind,
        request_ids: &RequestIds,
    ) -> ApiError {
        let mut error = self.error(call, kind);
        error.status = Some(StatusCode::OK);
        error.request_ids = request_ids.clone();
        error
    }

    fn request(&self, call: &ApiRequest) -> Result<Request<Bytes>, ApiError> {
        let mut request = Request::builder()
            .method(call.endpoint.method())
            .uri(self.0.base_url.join(&call.path))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("riskform/", env!("CARGO_PKG_VERSION")));
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = call.body.as_ref().map(Value::to_string);
        let request = request.body(Bytes::from(body.unwrap_or_default()));
        let mut request = request.map_err(|error| {
            let failure = TransportErrorKind::ClientBuild;
            self.transport_error(call, TransportError::new(failure, error.to_string()))
        })?;
        self.0.credentials.authorize(request.headers_mut());
        Ok(request)
    }

    fn transport_error(&self, call: &ApiRequest, mut error: TransportError) -> ApiError {
        error.detail = self.0.credentials.redact(&error.detail);
        self.error(call, ErrorKind::Transport(error))
    }

    /// Returns an error without a response.
    pub(super) fn error(&self, call: &ApiRequest, kind: ErrorKind) -> ApiError {
        ApiError::from(ErrorDetails {
            endpoint: call.endpoint,
            base_url: self.0.base_url.clone(),
            path: call.path.clone(),
            credentials: self.0.credentials.source().clone(),
            kind,
            status: None,
            messages: Vec::new(),
            request_ids: RequestIds::default(),
            retry_after: None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("client state lock poisoned")
    }
}
