//! Whom to call, how and in whose name: what all calls of a run share, and the one way that a call takes.
//!
//! A read is repeated here. A write never is: whoever sends it must record it first and may have to look before it goes out again, so it
//! asks for [`Leave`], sends once, and asks [`wait_to_repeat`](Client::wait_to_repeat), the policy that reads follow as well.

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
use super::credentials::Credentials;
use super::envelope::{self, Content, Pages};
use super::error::{ApiError, Details, ErrorKind};
use super::event::{Counters, Event, WaitReason};
use super::operation::Operation;
use super::pace::RateSettings;
use super::patience::{Exhausted, Patience};
use super::rate_budget::{Permit, RateBudget};
use super::rate_headers::RateHeaders;
use super::retry::{self, RetrySettings};
use super::signs::{Signs, Trace};
use super::stop::{Stop, Stopped};
use super::transport::Transport;
use super::transport_error::{Reach, TransportError, TransportFailure};

/// Whom to call, how, and in whose name. Cheap to clone; every reader and writer made from it shares it.
///
/// The rate limit is the token's, so a run needs one client for each token, and no more.
#[derive(Clone)]
pub struct Client(Arc<Parts>);

struct Parts {
    transport: Transport,
    base_url: BaseUrl,
    credentials: Credentials,
    retry: RetrySettings,
    random: Mutex<fastrand::Rng>,
    budget: RateBudget,
    observer: Observer,
    stop: Stop,
    counters: Mutex<Counters>,
    signs: Mutex<Option<Signs>>,
}

/// How a run behaves towards the server.
#[derive(Clone)]
pub struct Conduct {
    /// How stubbornly it repeats.
    pub retry: RetrySettings,
    /// How fast it calls.
    pub rate: RateSettings,
    /// Who hears of retries and waits.
    pub observer: Observer,
    /// Once wished, every wait ends and nothing more is sent.
    pub stop: Stop,
}

/// Hears of events as they happen. Called between requests, so it should be quick.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

impl Default for Conduct {
    fn default() -> Self {
        Conduct {
            retry: RetrySettings::default(),
            rate: RateSettings::default(),
            observer: Arc::new(|_| {}),
            stop: Stop::default(),
        }
    }
}

/// What a call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    pub trace: Trace,
}

impl<T> Answer<T> {
    /// Turns the value into another, and keeps the rest.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: into(self.value),
            trace: self.trace,
        }
    }
}

/// One call to be made.
pub(super) struct Call {
    pub(super) operation: Operation,
    /// Below the base URL, beginning with a slash.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// An answer in good order.
pub(super) struct Opened<T> {
    pub(super) content: Content<T>,
    pub(super) pages: Pages,
    pub(super) trace: Trace,
}

/// Leave to send one request: the rate budget has room for it, and nobody wants to stop. Whoever holds it records the write, then sends.
#[must_use]
pub struct Leave<'a>(Permit<'a>);

/// What is to become of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It may be sent again; the wait is over.
    Now,
    /// It would do harm, or change nothing, or has been tried often enough.
    No,
    /// A stop came.
    Stopped,
}

impl Client {
    /// Joins the parts, with the usual conduct. Nothing is sent yet.
    pub fn new(transport: Transport, base_url: BaseUrl, credentials: Credentials) -> Self {
        Client::with_conduct(transport, base_url, credentials, Conduct::default())
    }

    /// Joins the parts. Nothing is sent yet.
    pub fn with_conduct(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        conduct: Conduct,
    ) -> Self {
        let Conduct {
            retry,
            rate,
            observer,
            stop,
        } = conduct;
        let random = retry
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Client(Arc::new(Parts {
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
    pub fn counters(&self) -> Counters {
        *self.counted()
    }

    /// What the last answer told about the server.
    pub fn signs(&self) -> Option<Signs> {
        self.last_signs().clone()
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.0.stop
    }

    /// Reads, again where that may help.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Opened<T>, ApiError> {
        self.read_within(call, &mut Patience::endless()).await
    }

    /// The same, for as long as there is patience with the server.
    pub(super) async fn read_within<T: DeserializeOwned>(
        &self,
        call: &Call,
        patience: &mut Patience,
    ) -> Result<Opened<T>, ApiError> {
        let mut attempt = 1;
        loop {
            let Ok(leave) = self.leave().await else {
                return Err(ApiError::new(self.details(call, ErrorKind::Stopped)));
            };
            let error = match patience.wait(self.send(leave, call)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => error,
                Err(Exhausted) => return Err(self.too_slow(call)),
            };
            match patience.wait(self.wait_to_repeat(attempt, &error)).await {
                Ok(Repeat::Now) => attempt += 1,
                Ok(Repeat::No | Repeat::Stopped) | Err(Exhausted) => return Err(error),
            }
        }
    }

    /// Waits until one more request may be sent.
    pub(super) async fn leave(&self) -> Result<Leave<'_>, Stopped> {
        let tell = |wait, reason| {
            self.counted().waits += 1;
            (self.0.observer)(&Event::Waiting { wait, reason });
        };
        let permit = self.0.stop.or(self.0.budget.admit(tell)).await?;
        Ok(Leave(permit))
    }

    /// Waits before a call that failed for the `attempt`-th time (counted from 1) is sent again, if it is to be.
    pub(super) async fn wait_to_repeat(&self, attempt: u32, error: &ApiError) -> Repeat {
        let Some(wait) = self.wait_before_repeating(attempt, error) else {
            return Repeat::No;
        };
        if *error.kind() == ErrorKind::RateLimited {
            // Its answer has held everyone back already. The wait is told and counted once, where leave is asked for.
            return Repeat::Now;
        }
        (self.0.observer)(&Event::Retrying {
            operation: error.operation(),
            path: error.path().to_owned(),
            attempt,
            attempts: self.0.retry.attempts.get(),
            wait,
            error: error.to_string(),
        });
        match self.0.stop.or(sleep(wait)).await {
            Ok(()) => Repeat::Now,
            Err(Stopped) => Repeat::Stopped,
        }
    }

    fn wait_before_repeating(&self, attempt: u32, error: &ApiError) -> Option<Duration> {
        let mut counters = self.counted();
        let rate_limited = *error.kind() == ErrorKind::RateLimited;
        if rate_limited {
            counters.rate_limited += 1;
            // Without a time to wait for, another call would only lengthen the block.
            error.retry_after()?;
        }
        // The whole run pauses after a 429, so those repeats are no storm and need no cap of their own.
        if !retry::is_repeatable(error.operation(), error.kind())
            || !(rate_limited || retry::run_may_repeat(&counters))
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
        leave: Leave<'_>,
        call: &Call,
    ) -> Result<Opened<T>, ApiError> {
        let Leave(permit) = leave;
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
        *self.last_signs() = Some(Signs::read(answer.headers(), &limits));
        let mut retry_after = limits.retry_after;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            // All other calls would run into the same refusal, so they wait too, before the next one is admitted.
            retry_after = self.hold_everyone_back(&limits, sent);
        }
        drop(permit);
        let trace = Trace::read(answer.headers());
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
            Ok((content, pages)) => Ok(Opened {
                content,
                pages,
                trace,
            }),
            Err(fault) => Err(ApiError::new(Details {
                messages: fault.messages,
                status: Some(answer.status()),
                trace,
                retry_after,
                ..self.details(call, fault.kind)
            })),
        }
    }

    /// Pauses the run after a 429, and says for how long; `None` if nobody can know.
    fn hold_everyone_back(&self, limits: &RateHeaders, sent: Instant) -> Option<Duration> {
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
    pub(super) fn result<T>(&self, call: &Call, opened: Opened<T>) -> Result<Answer<T>, ApiError> {
        let Opened { content, trace, .. } = opened;
        match content {
            Content::Result(value) => Ok(Answer { value, trace }),
            Content::Null | Content::Absent => {
                Err(self.unexpected(call, "an envelope without a result", trace))
            }
        }
    }

    /// There is no such thing, and no call is needed to know it.
    pub(super) fn not_found(&self, call: &Call) -> ApiError {
        ApiError::new(self.details(call, ErrorKind::NotFound))
    }

    /// An envelope in good order that does not hold what was asked for.
    pub(super) fn unexpected(
        &self,
        call: &Call,
        problem: impl Into<String>,
        trace: Trace,
    ) -> ApiError {
        let kind = ErrorKind::Unexpected {
            problem: problem.into(),
            excerpt: None,
        };
        ApiError::new(Details {
            status: Some(StatusCode::OK),
            trace,
            ..self.details(call, kind)
        })
    }

    fn request(&self, call: &Call) -> Result<Request<Bytes>, TransportError> {
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
            failure: TransportFailure::Setup,
            reach: Reach::Never,
            detail: error.to_string(),
        })?;
        self.0.credentials.authorize(request.headers_mut());
        Ok(request)
    }

    pub(super) fn transport_error(&self, call: &Call, error: TransportError) -> ApiError {
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

    fn too_slow(&self, call: &Call) -> ApiError {
        let error = TransportError {
            failure: TransportFailure::Timeout,
            reach: Reach::Possible,
            detail: "the answers took too long".to_owned(),
        };
        self.transport_error(call, error)
    }

    fn details(&self, call: &Call, kind: ErrorKind) -> Details {
        Details {
            operation: call.operation,
            base_url: self.0.base_url.clone(),
            path: call.path.clone(),
            credentials: self.0.credentials.source().clone(),
            kind,
            status: None,
            messages: Vec::new(),
            trace: Trace::default(),
            retry_after: None,
        }
    }

    fn last_signs(&self) -> MutexGuard<'_, Option<Signs>> {
        self.0.signs.lock().expect("signs lock poisoned")
    }

    fn counted(&self) -> MutexGuard<'_, Counters> {
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
