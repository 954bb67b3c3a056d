//! Whom to call, how and in whose name: what all calls of a run share, and the one way that a call takes.
//!
//! A read is repeated here. A write never is: whoever sends it must record it first and may have to look before it goes out again, so it
//! asks for [`SendPermit`], sends once, and asks [`wait_to_repeat`](Client::wait_to_repeat), the policy that reads follow as well.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::base_url::BaseUrl;
use super::cancellation::{CancellationToken, Cancelled};
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::envelope::{self, ResultField, ResultInfo};
use super::error::{ApiError, ErrorDetails, ErrorKind};
use super::event::{ClientEvent, RequestStats, WaitReason};
use super::pace::RateSettings;
use super::rate_budget::{Permit, RateBudget};
use super::rate_headers::RateHeaders;
use super::response_metadata::{RequestIds, ResponseMetadata};
use super::retry::{self, RetryPolicy};
use super::time_budget::{TimeBudget, TimeBudgetExceeded};
use super::transport::Transport;
use super::transport_error::{Delivery, TransportError, TransportErrorKind};

/// Whom to call, how, and in whose name. Cheap to clone; every reader and writer made from it shares it.
///
/// The rate limit is the token's, so a run needs one client for each token, and no more.
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    transport: Transport,
    base_url: BaseUrl,
    credentials: Credentials,
    retry: RetryPolicy,
    random: Mutex<fastrand::Rng>,
    budget: RateBudget,
    observer: Observer,
    stop: CancellationToken,
    counters: Mutex<RequestStats>,
    signs: Mutex<Option<ResponseMetadata>>,
}

/// How a run behaves towards the server.
#[derive(Clone)]
pub struct ClientOptions {
    /// How stubbornly it repeats.
    pub retry: RetryPolicy,
    /// How fast it calls.
    pub rate: RateSettings,
    /// Who hears of retries and waits.
    pub observer: Observer,
    /// Once wished, every wait ends and nothing more is sent.
    pub stop: CancellationToken,
}

/// Hears of events as they happen. Called between requests, so it should be quick.
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

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResponse<T> {
    pub value: T,
    pub trace: RequestIds,
}

impl<T> ApiResponse<T> {
    /// Turns the value into another, and keeps the rest.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> ApiResponse<U> {
        ApiResponse {
            value: into(self.value),
            trace: self.trace,
        }
    }
}

/// One call to be made.
pub(super) struct ApiRequest {
    pub(super) operation: Endpoint,
    /// Below the base URL, beginning with a slash.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// An answer in good order.
pub(super) struct DecodedResponse<T> {
    pub(super) content: ResultField<T>,
    pub(super) pages: ResultInfo,
    pub(super) trace: RequestIds,
}

/// Leave to send one request: the rate budget has room for it, and nobody wants to stop. Whoever holds it records the write, then sends.
#[must_use]
pub struct SendPermit<'a>(Permit<'a>);

/// What is to become of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// It may be sent again; the wait is over.
    Retry,
    /// It would do harm, or change nothing, or has been tried often enough.
    GiveUp,
    /// A stop came.
    Cancelled,
}

impl Client {
    /// Joins the parts, with the usual conduct. Nothing is sent yet.
    pub fn new(transport: Transport, base_url: BaseUrl, credentials: Credentials) -> Self {
        Client::with_options(transport, base_url, credentials, ClientOptions::default())
    }

    /// Joins the parts. Nothing is sent yet.
    pub fn with_options(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        conduct: ClientOptions,
    ) -> Self {
        let ClientOptions {
            retry,
            rate,
            observer,
            stop,
        } = conduct;
        let random = retry
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Client(Arc::new(ClientInner {
            transport,
            base_url,
            credentials,
            retry,
            random: Mutex::new(random),
            budget: RateBudget::new(rate),
            observer,
            stop,
            counters: Mutex::default(),
            signs: Mutex::default(),
        }))
    }

    /// Where the calls go.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// What the calls came to so far.
    pub fn counters(&self) -> RequestStats {
        *self.counted()
    }

    /// What the last answer told about the server.
    pub fn signs(&self) -> Option<ResponseMetadata> {
        self.lock_metadata().clone()
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Reads, again where that may help.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
    ) -> Result<DecodedResponse<T>, ApiError> {
        self.send_read_within(call, &mut TimeBudget::endless())
            .await
    }

    /// The same, for as long as there is patience with the server.
    pub(super) async fn send_read_within<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
        patience: &mut TimeBudget,
    ) -> Result<DecodedResponse<T>, ApiError> {
        let mut attempt = 1;
        loop {
            let Ok(leave) = self.leave().await else {
                return Err(ApiError::new(self.details(call, ErrorKind::Cancelled)));
            };
            let error = match patience.wait(self.send(leave, call)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => error,
                Err(TimeBudgetExceeded) => return Err(self.timeout_error(call)),
            };
            match patience.wait(self.wait_to_repeat(attempt, &error)).await {
                Ok(RetryDecision::Retry) => attempt += 1,
                Ok(RetryDecision::GiveUp | RetryDecision::Cancelled) | Err(TimeBudgetExceeded) => {
                    return Err(error);
                }
            }
        }
    }

    /// Waits until one more request may be sent.
    pub(super) async fn leave(&self) -> Result<SendPermit<'_>, Cancelled> {
        let tell = |wait, reason| {
            self.counted().waits += 1;
            (self.0.observer)(&ClientEvent::Waiting { wait, reason });
        };
        let permit = self.0.stop.or(self.0.budget.admit(tell)).await?;
        Ok(SendPermit(permit))
    }

    /// Waits before a call that failed for the `attempt`-th time (counted from 1) is sent again, if it is to be.
    pub(super) async fn wait_to_repeat(&self, attempt: u32, error: &ApiError) -> RetryDecision {
        let Some(wait) = self.retry_delay(attempt, error) else {
            return RetryDecision::GiveUp;
        };
        if *error.kind() == ErrorKind::RateLimited {
            // Its answer has held everyone back already. The wait is told and counted once, where leave is asked for.
            return RetryDecision::Retry;
        }
        (self.0.observer)(&ClientEvent::Retrying {
            operation: error.operation(),
            path: error.path().to_owned(),
            attempt,
            attempts: self.0.retry.attempts.get(),
            wait,
            error: error.to_string(),
        });
        match self.0.stop.or(sleep(wait)).await {
            Ok(()) => RetryDecision::Retry,
            Err(Cancelled) => RetryDecision::Cancelled,
        }
    }

    fn retry_delay(&self, attempt: u32, error: &ApiError) -> Option<Duration> {
        let mut counters = self.counted();
        let rate_limited = *error.kind() == ErrorKind::RateLimited;
        if rate_limited {
            counters.rate_limited += 1;
            // Without a time to wait for, another call would only lengthen the block.
            error.retry_after()?;
        }
        // The whole run pauses after a 429, so those repeats are no storm and need no cap of their own.
        if !retry::is_repeatable(error.operation(), error.kind())
            || !(rate_limited || retry::has_retry_budget(&counters))
        {
            return None;
        }
        let mut random = self.0.random.lock().expect("retry rng lock poisoned");
        let wait = self
            .0
            .retry
            .wait(attempt, error.retry_after(), &mut random)?;
        if !rate_limited {
            counters.retries += 1;
        }
        Some(wait)
    }

    /// Sends a call once.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        leave: SendPermit<'_>,
        call: &ApiRequest,
    ) -> Result<DecodedResponse<T>, ApiError> {
        let SendPermit(permit) = leave;
        let request = self
            .request(call)
            .map_err(|error| self.transport_error(call, error))?;
        {
            let mut counters = self.counted();
            counters.requests += 1;
            counters.waited += permit.held_up;
        }
        let sent = Instant::now();
        let answer = self.0.transport.exchange(request).await;
        let answer = answer.map_err(|error| {
            tracing::debug!(method = %call.operation.method(), path = call.path, %error, "not answered");
            self.transport_error(call, error)
        })?;
        let limits = RateHeaders::read(answer.headers());
        permit.learn(&limits);
        *self.lock_metadata() = Some(ResponseMetadata::read(answer.headers(), &limits));
        let mut retry_after = limits.retry_after;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            // All other calls would run into the same refusal, so they wait too, before the next one is admitted.
            retry_after = self.pause_after_rate_limit(&limits, sent);
        }
        drop(permit);
        let trace = RequestIds::read(answer.headers());
        tracing::debug!(
            method = %call.operation.method(),
            path = call.path,
            status = answer.status().as_u16(),
            ray = trace.ray,
            milliseconds = sent.elapsed().as_millis(),
            "answered"
        );
        match envelope::open(call.operation, &answer, |text| {
            self.0.credentials.redact(text)
        }) {
            Ok((content, pages)) => Ok(DecodedResponse {
                content,
                pages,
                trace,
            }),
            Err(fault) => Err(ApiError::new(ErrorDetails {
                messages: fault.messages,
                status: Some(answer.status()),
                trace,
                retry_after,
                ..self.details(call, fault.kind)
            })),
        }
    }

    /// Pauses the run after a 429, and says for how long; `None` if nobody can know.
    fn pause_after_rate_limit(&self, limits: &RateHeaders, sent: Instant) -> Option<Duration> {
        /// What is waited where the server says nothing at all.
        const GUESS: Duration = Duration::from_secs(30);
        let longest = self.0.retry.longest_retry_after;
        if let Some(asked) = limits.retry_after {
            if asked <= longest {
                self.0.budget.pause(asked, WaitReason::RateLimited);
            }
            return Some(asked);
        }
        let resets = limits.remaining.iter().map(|left| left.resets_in).max();
        let guess = resets.unwrap_or(GUESS);
        if guess > longest {
            return Some(guess);
        }
        self.0.budget.pause_once(guess, sent).then_some(guess)
    }

    /// Takes the result out of an answer that must hold one.
    pub(super) fn result<T>(
        &self,
        call: &ApiRequest,
        opened: DecodedResponse<T>,
    ) -> Result<ApiResponse<T>, ApiError> {
        let DecodedResponse { content, trace, .. } = opened;
        match content {
            ResultField::Result(value) => Ok(ApiResponse { value, trace }),
            ResultField::Null | ResultField::Absent => {
                Err(self.unexpected(call, "an envelope without a result", trace))
            }
        }
    }

    /// There is no such thing, and no call is needed to know it.
    pub(super) fn not_found(&self, call: &ApiRequest) -> ApiError {
        ApiError::new(self.details(call, ErrorKind::NotFound))
    }

    /// An envelope in good order that does not hold what was asked for.
    pub(super) fn unexpected(
        &self,
        call: &ApiRequest,
        problem: impl Into<String>,
        trace: RequestIds,
    ) -> ApiError {
        let kind = ErrorKind::UnexpectedResponse {
            problem: problem.into(),
            excerpt: None,
        };
        ApiError::new(ErrorDetails {
            status: Some(StatusCode::OK),
            trace,
            ..self.details(call, kind)
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
            reach: Delivery::NotDelivered,
            detail: error.to_string(),
        })?;
        self.0.credentials.authorize(request.headers_mut());
        Ok(request)
    }

    pub(super) fn transport_error(&self, call: &ApiRequest, error: TransportError) -> ApiError {
        let TransportError {
            failure,
            reach,
            detail,
        } = error;
        let kind = ErrorKind::Transport {
            failure,
            reach,
            detail: self.0.credentials.redact(&detail),
        };
        ApiError::new(self.details(call, kind))
    }

    fn timeout_error(&self, call: &ApiRequest) -> ApiError {
        let error = TransportError {
            failure: TransportErrorKind::Timeout,
            reach: Delivery::MaybeDelivered,
            detail: "the answers took too long".to_owned(),
        };
        self.transport_error(call, error)
    }

    fn details(&self, call: &ApiRequest, kind: ErrorKind) -> ErrorDetails {
        ErrorDetails {
            operation: call.operation,
            base_url: self.0.base_url.clone(),
            path: call.path.clone(),
            credentials: self.0.credentials.source().clone(),
            kind,
            status: None,
            messages: Vec::new(),
            trace: RequestIds::default(),
            retry_after: None,
        }
    }

    fn lock_metadata(&self) -> MutexGuard<'_, Option<ResponseMetadata>> {
        self.0.signs.lock().expect("signs lock poisoned")
    }

    fn counted(&self) -> MutexGuard<'_, RequestStats> {
        self.0.counters.lock().expect("counters lock poisoned")
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
