//! The client shared by all requests of a run, and the single code path that sends a request.
//!
//! Reads are retried by the client, writes are not: the caller must record a write before sending it, and may have to read the live state
//! before a retry. It gets a [`SendPermit`], sends once, and calls [`wait_before_retry`](Client::wait_before_retry), which applies the same policy.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::model::account::AccountId;
use crate::model::integration::Integration;

use super::base_url::BaseUrl;
use super::cancellation::{CancellationToken, Cancelled};
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::envelope::{self, ResultField, ResultInfo};
use super::error::{ApiError, ErrorDetails, ErrorKind};
use super::event::{ClientEvent, RequestStats, WaitReason};
use super::rate_limiter::{self, Permit, RateLimiter, RateSettings, WaitTooLong, Waited};
use super::response_metadata::{RequestIds, ResponseMetadata};
use super::retry::{self, RetryPolicy};
use super::transport::Transport;
use super::transport_error::{Delivery, TransportError, TransportErrorKind};

/// Wait after a 429 without `Retry-After`.
const GUESSED_RETRY_AFTER: Duration = Duration::from_secs(30);

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
    random: Mutex<fastrand::Rng>,
    limiter: RateLimiter,
    stats: Mutex<RequestStats>,
    metadata: Mutex<Option<ResponseMetadata>>,
}

/// Options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// Retries.
    pub retry: RetryPolicy,
    /// Request rate.
    pub rate: RateSettings,
    /// Receives responses, retries and waits.
    pub observer: Observer,
    /// Ends every wait and prevents new requests when canceled.
    pub stop: CancellationToken,
}

/// Callback for events. Called between requests, so it must be fast.
pub type Observer = Arc<dyn Fn(&ClientEvent) + Send + Sync>;

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            retry: RetryPolicy::default(),
            rate: RateSettings::default(),
            observer: Arc::new(|_| {}),
            stop: CancellationToken::default(),
        }
    }
}

/// A successful response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResponse<T> {
    pub value: T,
    pub request_ids: RequestIds,
}

impl<T> ApiResponse<T> {
    /// Converts the value.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> ApiResponse<U> {
        ApiResponse {
            value: into(self.value),
            request_ids: self.request_ids,
        }
    }
}

/// A request to send.
pub(super) struct ApiRequest {
    pub(super) operation: Endpoint,
    /// Relative to the base URL, starting with a slash.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl ApiRequest {
    /// Creates a request without a body.
    pub(super) fn new(operation: Endpoint, path: String) -> Self {
        ApiRequest {
            operation,
            path,
            body: None,
        }
    }

    pub(super) fn with_body(self, body: Value) -> Self {
        let body = Some(body);
        ApiRequest { body, ..self }
    }
}

/// A valid response.
pub(super) struct DecodedResponse<T> {
    pub(super) content: ResultField<T>,
    pub(super) pages: ResultInfo,
    pub(super) request_ids: RequestIds,
}

/// The right to send one request: within the rate limit, and not canceled. The holder records the write, then sends it.
#[must_use]
pub struct SendPermit<'a>(Permit<'a>);

/// Attempts of one request, and its waits for the server.
#[derive(Debug, Default)]
pub struct Attempts {
    failed: u32,
    waited: Waited,
}

/// Reason why a request may not be sent.
#[derive(Clone, Copy, Debug)]
pub enum NoPermit {
    /// The run was canceled.
    Cancelled,
    /// The server asks for a wait of this length, which is too long.
    WaitTooLong(Duration),
}

/// Decision about a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Send again, now.
    Retry,
    /// Do not send again: unsafe, useless, or out of attempts.
    GiveUp,
    /// The run was canceled.
    Cancelled,
}

impl Client {
    /// Creates a client with default options. Sends nothing.
    pub fn new(transport: Transport, base_url: BaseUrl, credentials: Credentials) -> Self {
        Client::with_options(transport, base_url, credentials, ClientOptions::default())
    }

    /// Creates a client. Sends nothing.
    pub fn with_options(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        options: ClientOptions,
    ) -> Self {
        let random = match options.retry.seed {
            Some(seed) => fastrand::Rng::with_seed(seed),
            None => fastrand::Rng::new(),
        };
        Client(Arc::new(ClientInner {
            transport,
            base_url,
            credentials,
            random: Mutex::new(random),
            limiter: RateLimiter::new(options.rate),
            options,
            stats: Mutex::default(),
            metadata: Mutex::default(),
        }))
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// Returns the request stats.
    pub fn counters(&self) -> RequestStats {
        *self.lock_stats()
    }

    /// Returns the metadata of the last response.
    pub fn last_metadata(&self) -> Option<ResponseMetadata> {
        self.lock_metadata().clone()
    }

    pub(super) fn cancellation(&self) -> &CancellationToken {
        &self.0.options.stop
    }

    /// Sends a read request, with retries.
    pub(super) async fn send_read<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
    ) -> Result<DecodedResponse<T>, ApiError> {
        let mut attempts = Attempts::default();
        loop {
            let permit = match self.acquire_permit(&mut attempts).await {
                Ok(permit) => permit,
                Err(NoPermit::Cancelled) => {
                    return Err(ApiError::new(
                        self.error_details(call, ErrorKind::Cancelled),
                    ));
                }
                Err(NoPermit::WaitTooLong(wait)) => {
                    return Err(ApiError::new(ErrorDetails {
                        retry_after: Some(wait),
                        ..self.error_details(call, ErrorKind::RateLimited)
                    }));
                }
            };
            let error = match self.send(permit, call).await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            match self.wait_before_retry(&mut attempts, &error).await {
                RetryDecision::Retry => {}
                RetryDecision::GiveUp | RetryDecision::Cancelled => return Err(error),
            }
        }
    }

    /// Waits until the next request may be sent.
    pub(super) async fn acquire_permit(
        &self,
        attempts: &mut Attempts,
    ) -> Result<SendPermit<'_>, NoPermit> {
        let tell = |wait, reason| {
            self.lock_stats().waits += 1;
            (self.0.options.observer)(&ClientEvent::RateLimited { wait, reason });
        };
        let max_wait = self.0.options.retry.max_wait;
        let acquire = (self.0.limiter).acquire(&mut attempts.waited, max_wait, tell);
        match self.0.options.stop.run_until_cancelled(acquire).await {
            Ok(Ok(permit)) => Ok(SendPermit(permit)),
            Ok(Err(WaitTooLong(wait))) => Err(NoPermit::WaitTooLong(wait)),
            Err(Cancelled) => Err(NoPermit::Cancelled),
        }
    }

    /// Decides whether to retry a failed request, and waits before the retry.
    pub(super) async fn wait_before_retry(
        &self,
        attempts: &mut Attempts,
        error: &ApiError,
    ) -> RetryDecision {
        let Some(wait) = self.retry_delay(attempts, error) else {
            return RetryDecision::GiveUp;
        };
        if *error.kind() == ErrorKind::RateLimited {
            // A 429 pauses all requests. The wait for the next permit reports and counts it.
            return RetryDecision::Retry;
        }
        (self.0.options.observer)(&ClientEvent::Retrying {
            error: error.clone(),
            attempt: attempts.failed,
            attempts: self.0.options.retry.max_attempts.get(),
            wait,
        });
        match self.0.options.stop.run_until_cancelled(sleep(wait)).await {
            Ok(()) => RetryDecision::Retry,
            Err(Cancelled) => RetryDecision::Cancelled,
        }
    }

    fn retry_delay(&self, attempts: &mut Attempts, error: &ApiError) -> Option<Duration> {
        let mut stats = self.lock_stats();
        let left = (self.0.options.retry.max_wait).saturating_sub(attempts.waited.total);
        if *error.kind() == ErrorKind::RateLimited {
            stats.rate_limited += 1;
            // Does not count as a failure: only the total wait is limited.
            return error.retry_after().filter(|wait| *wait <= left);
        }
        attempts.failed += 1;
        if !retry::is_retryable(error.operation(), error.kind()) || !retry::has_retry_budget(&stats)
        {
            return None;
        }
        let mut random = self.0.random.lock().expect("retry rng lock poisoned");
        let retry = &self.0.options.retry;
        let wait = retry.wait(attempts.failed, error.retry_after(), &mut random)?;
        if wait > left {
            return None;
        }
        attempts.waited.total += wait;
        stats.retries += 1;
        Some(wait)
    }

    /// Sends a request once.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        permit: SendPermit<'_>,
        call: &ApiRequest,
    ) -> Result<DecodedResponse<T>, ApiError> {
        let SendPermit(permit) = permit;
        let request = self
            .request(call)
            .map_err(|error| self.transport_error(call, error))?;
        {
            let mut stats = self.lock_stats();
            stats.requests += 1;
            stats.waited += permit.held_up;
        }
        let sent = Instant::now();
        let answer = self.0.transport.send(request).await;
        let answer = answer.map_err(|error| self.transport_error(call, error))?;
        let metadata = ResponseMetadata::read(answer.headers());
        let mut retry_after = rate_limiter::retry_after(answer.headers());
        // All other requests would be rejected as well, so pause them before the next permit is given out.
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let (wait, reason) = match retry_after {
                Some(wait) => (wait, WaitReason::RateLimited),
                None => (GUESSED_RETRY_AFTER, WaitReason::RateLimitedNoRetryAfter),
            };
            let wait = wait.max(Duration::from_secs(1));
            self.0.limiter.pause(wait, reason);
            retry_after = Some(wait);
        } else if let Some(left) = metadata.remaining.filter(|left| left.requests == 0) {
            // The header has whole seconds, so one more is added.
            let wait = left.resets_in.saturating_add(Duration::from_secs(1));
            self.0.limiter.pause(wait, WaitReason::NothingLeft);
        }
        *self.lock_metadata() = Some(metadata);
        drop(permit);
        let request_ids = RequestIds::read(answer.headers());
        (self.0.options.observer)(&ClientEvent::Responded {
            method: call.operation.method(),
            path: call.path.clone(),
            status: answer.status(),
            elapsed: sent.elapsed(),
        });
        match envelope::parse_response(call.operation, &answer, |text| {
            self.0.credentials.redact(text)
        }) {
            Ok((content, pages)) => Ok(DecodedResponse {
                content,
                pages,
                request_ids,
            }),
            Err(fault) => Err(ApiError::new(ErrorDetails {
                messages: fault.messages,
                status: Some(answer.status()),
                request_ids,
                retry_after,
                ..self.error_details(call, fault.kind)
            })),
        }
    }

    /// Returns the result of a response that must have one.
    pub(super) fn result<T>(
        &self,
        call: &ApiRequest,
        opened: DecodedResponse<T>,
    ) -> Result<ApiResponse<T>, ApiError> {
        let DecodedResponse {
            content,
            request_ids,
            ..
        } = opened;
        match content {
            ResultField::Result(value) => Ok(ApiResponse { value, request_ids }),
            ResultField::Null | ResultField::Missing => {
                Err(self.unexpected_response(call, "a response without a result", request_ids))
            }
        }
    }

    /// Returns a not-found error without sending a request.
    pub(super) fn not_found(&self, call: &ApiRequest) -> ApiError {
        ApiError::new(self.error_details(call, ErrorKind::NotFound))
    }

    /// Returns an error for a valid envelope with unexpected content.
    pub(super) fn unexpected_response(
        &self,
        call: &ApiRequest,
        problem: impl Into<String>,
        request_ids: RequestIds,
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
        let is_foreign = |one: &&Integration| {
            !one.account_tag.is_empty() && !one.account_tag.eq_ignore_ascii_case(account.as_str())
        };
        let Some(foreign) = integrations.iter().find(is_foreign) else {
            return Ok(());
        };
        let kind = ErrorKind::OtherAccount {
            id: foreign.id,
            account_tag: foreign.account_tag.clone(),
        };
        Err(self.invalid_response(call, kind, request_ids.clone()))
    }

    fn invalid_response(
        &self,
        call: &ApiRequest,
        kind: ErrorKind,
        request_ids: RequestIds,
    ) -> ApiError {
        ApiError::new(ErrorDetails {
            status: Some(StatusCode::OK),
            request_ids,
            ..self.error_details(call, kind)
        })
    }

    fn request(&self, call: &ApiRequest) -> Result<Request<Bytes>, TransportError> {
        let mut request = Request::builder()
            .method(call.operation.method())
            .uri(self.0.base_url.join(&call.path))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("riskform/", env!("CARGO_PKG_VERSION")));
        let body = match &call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let mut request = request.body(body).map_err(|error| TransportError {
            failure: TransportErrorKind::ClientBuild,
            delivery: Delivery::NotDelivered,
            detail: error.to_string(),
        })?;
        self.0.credentials.authorize(request.headers_mut());
        Ok(request)
    }

    pub(super) fn transport_error(&self, call: &ApiRequest, error: TransportError) -> ApiError {
        let TransportError {
            failure,
            delivery,
            detail,
        } = error;
        let kind = ErrorKind::Transport {
            failure,
            delivery,
            detail: self.0.credentials.redact(&detail),
        };
        ApiError::new(self.error_details(call, kind))
    }

    fn error_details(&self, call: &ApiRequest, kind: ErrorKind) -> ErrorDetails {
        ErrorDetails {
            operation: call.operation,
            base_url: self.0.base_url.clone(),
            path: call.path.clone(),
            credentials: self.0.credentials.source().clone(),
            kind,
            status: None,
            messages: Vec::new(),
            request_ids: RequestIds::default(),
            retry_after: None,
        }
    }

    fn lock_metadata(&self) -> MutexGuard<'_, Option<ResponseMetadata>> {
        self.0.metadata.lock().expect("metadata lock poisoned")
    }

    fn lock_stats(&self) -> MutexGuard<'_, RequestStats> {
        self.0.stats.lock().expect("stats lock poisoned")
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.0.base_url)
            .field("credentials", &self.0.credentials)
            .finish_non_exhaustive()
    }
}
