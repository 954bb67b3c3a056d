//! Plays a script on the way to the sandbox's router.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::{Json, Router};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt};

use super::external_change::ExternalChange;
use super::script::{Execution, Fault, FaultRule, FaultScript};
use crate::model::integration::IntegrationId;
use crate::sandbox::envelope::ApiFailure;
use crate::sandbox::middleware::set_cf_ray;
use crate::sandbox::{BASE_PATH, RecordedError, Sandbox, StoreError};

/// How long half an answer waits for the half that never comes.
const TRUNCATION_DELAY: Duration = Duration::from_millis(5);

/// A sandbox that can be reached only through what its script lets pass. Its clones are handles to the same one.
///
/// As a tower service it fails with [`ConnectionFault`], wrapped into an [`io::Error`] whose kind says which: `ConnectionRefused` if the
/// request never arrived.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    sandbox: Sandbox,
    router: Router,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    play: Mutex<ScriptState>,
    /// Wakes whoever accepts connections when a time of refusing begins.
    pub(super) refusal: Notify,
}

#[derive(Debug)]
struct ScriptState {
    /// Each rule with the number of requests so far that fitted it.
    rules: Vec<(FaultRule, u32)>,
    random: fastrand::Rng,
    refusing_until: Option<Instant>,
    met: Vec<InjectedFault>,
    made_by_others: BTreeSet<IntegrationId>,
}

/// A request that met a fault.
#[derive(Clone, Debug, PartialEq)]
pub struct InjectedFault {
    pub method: String,
    /// Its path, below the base path.
    pub path: String,
    /// What went wrong.
    pub fault: Fault,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionFault {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// It closes without an answer.
    #[error("connection closed without an answer")]
    Closed,
    /// It closes in the middle of the answer.
    #[error("connection closed in the middle of the answer")]
    MidResponse,
    /// The answer is no HTTP.
    #[error("the answer is not HTTP")]
    Garbage,
}

impl From<ConnectionFault> for io::Error {
    fn from(broken: ConnectionFault) -> Self {
        let kind = match broken {
            ConnectionFault::Refused => io::ErrorKind::ConnectionRefused,
            ConnectionFault::Closed | ConnectionFault::MidResponse => {
                io::ErrorKind::ConnectionReset
            }
            ConnectionFault::Garbage => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, broken)
    }
}

impl FaultInjector {
    pub(in crate::sandbox) fn new(sandbox: Sandbox, script: FaultScript) -> Self {
        let FaultScript { seed, rules } = script;
        FaultInjector {
            router: sandbox.router(),
            sandbox,
            shared: Arc::new(Shared {
                play: Mutex::new(ScriptState {
                    rules: rules.into_iter().map(|rule| (rule, 0)).collect(),
                    random: fastrand::Rng::with_seed(seed),
                    refusing_until: None,
                    met: Vec::new(),
                    made_by_others: BTreeSet::new(),
                }),
                refusal: Notify::new(),
            }),
        }
    }

    /// The faults that requests have met so far, in their order.
    pub fn injected(&self) -> Vec<InjectedFault> {
        self.play().met.clone()
    }

    /// The integrations that foreign changes have made so far.
    pub fn created_externally(&self) -> BTreeSet<IntegrationId> {
        self.play().made_by_others.clone()
    }

    /// Lets everything pass from now on.
    pub fn stop(&self) {
        let mut play = self.play();
        play.rules.clear();
        play.refusing_until = None;
    }

    /// Until when connections are refused, if they are.
    pub(super) fn refusing_until(&self) -> Option<Instant> {
        self.play()
            .refusing_until
            .filter(|until| Instant::now() < *until)
    }

    /// Takes one request through.
    pub(super) async fn exchange<B>(
        self,
        request: Request<B>,
    ) -> Result<Response<Body>, ConnectionFault>
    where
        B: BodyExt<Data = Bytes> + Send + 'static,
    {
        if self.refusing_until().is_some() {
            return Err(ConnectionFault::Refused);
        }
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path();
        let path = path.strip_prefix(BASE_PATH).unwrap_or(path).to_owned();
        let SelectedFaults { changes, fault } =
            self.play().select_faults(parts.method.as_str(), &path);
        let body = match fault {
            Some(Fault::Refuse { .. } | Fault::CloseBefore) => Bytes::new(),
            _ => body
                .collect()
                .await
                .map_err(|_| ConnectionFault::Closed)?
                .to_bytes(),
        };
        if let Err(error) = self.change(&changes, &path, &body) {
            return Ok(ApiFailure::NotSaved(error).into_response());
        }
        if let Some(Fault::Ssf(flaw)) = fault {
            parts.extensions.insert(flaw);
        }
        let sandbox = self.sandbox.clone();
        let mut response = self
            .answer(Request::from_parts(parts, Body::from(body)), fault)
            .await?;
        // Whatever the edge answers in place of the service bears the request's id as well.
        if !response.headers().contains_key("cf-ray") {
            set_cf_ray(response.headers_mut(), &sandbox.next_answer().ray);
        }
        Ok(response)
    }

    fn change(
        &self,
        changes: &[ExternalChange],
        path: &str,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let account = path
            .strip_prefix("/accounts/")
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        let Some(account) = account else {
            return Ok(());
        };
        for change in changes {
            let made = change.apply(&self.sandbox, &account, body)?;
            self.play().made_by_others.extend(made);
        }
        Ok(())
    }

    /// Carries the request out as far as its fault lets it, and answers as far as its fault lets it.
    async fn answer(
        self,
        request: Request<Body>,
        fault: Option<Fault>,
    ) -> Result<Response<Body>, ConnectionFault> {
        let carry_out = async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            response
        };
        match fault {
            // Changes and choices are resolved when the fault is drawn, so that nothing is left of them.
            None | Some(Fault::Change(_) | Fault::OneOf(_)) => Ok(carry_out.await),
            Some(Fault::Refuse { seconds }) => {
                self.play().refusing_until = Some(Instant::now() + seconds);
                self.shared.refusal.notify_one();
                Err(ConnectionFault::Refused)
            }
            Some(Fault::CloseBefore) => Err(ConnectionFault::Closed),
            Some(Fault::CloseAfter) => {
                carry_out.await;
                Err(ConnectionFault::Closed)
            }
            Some(Fault::HalfAnswer) => truncate_response(carry_out.await).await,
            Some(Fault::Slow { seconds }) => {
                let response = carry_out.await;
                sleep(seconds).await;
                Ok(response)
            }
            Some(Fault::RateLimited { retry_after }) => Ok(rate_limited(retry_after)),
            Some(Fault::Refused(refusal)) => Ok(refusal.into_response()),
            Some(Fault::Ssf(_)) => Ok(carry_out.await),
            Some(Fault::Garbage { work }) => {
                execute_if(work, carry_out).await;
                Err(ConnectionFault::Garbage)
            }
            Some(Fault::ServerError { work }) => {
                execute_if(work, carry_out).await;
                Ok(ApiFailure::Internal.into_response())
            }
            Some(Fault::BadGateway { work }) => {
                execute_if(work, carry_out).await;
                let page = Html(
                    "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad gateway</h1></body></html>",
                );
                Ok((StatusCode::BAD_GATEWAY, page).into_response())
            }
            Some(Fault::WrongJson { work }) => {
                execute_if(work, carry_out).await;
                Ok(Json(json!({ "status": "ok", "data": [] })).into_response())
            }
        }
    }

    fn play(&self) -> MutexGuard<'_, ScriptState> {
        self.shared
            .play
            .lock()
            .expect("nobody panics while drawing faults")
    }
}

/// What the rules have in store for one request.
struct SelectedFaults {
    changes: Vec<ExternalChange>,
    fault: Option<Fault>,
}

impl ScriptState {
    fn select_faults(&mut self, method: &str, path: &str) -> SelectedFaults {
        let ScriptState {
            rules, random, met, ..
        } = self;
        let mut drawn = SelectedFaults {
            changes: Vec::new(),
            fault: None,
        };
        for (rule, seen) in rules
            .iter_mut()
            .filter(|(rule, _)| rule.matches(method, path))
        {
            let turn = *seen;
            *seen = seen.saturating_add(1);
            let due = turn >= rule.skip && rule.times.is_none_or(|times| turn - rule.skip < times);
            // Chance is only asked where there is one, so that a certain rule shifts nobody else's luck.
            if !due || (rule.chance < 1.0 && random.f64() >= rule.chance) {
                continue;
            }
            let fault = choose(&rule.fault, random).clone();
            match &fault {
                Fault::Change(change) => drawn.changes.push(change.clone()),
                _ if drawn.fault.is_none() => drawn.fault = Some(fault.clone()),
                _ => continue,
            }
            met.push(InjectedFault {
                method: method.to_owned(),
                path: path.to_owned(),
                fault,
            });
        }
        drawn
    }
}

/// Goes down through choices to what is not one.
fn choose<'a>(fault: &'a Fault, random: &mut fastrand::Rng) -> &'a Fault {
    match fault {
        Fault::OneOf(faults) => match random.choice(faults) {
            Some(chosen) => choose(chosen, random),
            None => fault,
        },
        fault => fault,
    }
}

async fn execute_if(work: Execution, carry_out: impl Future<Output = Response<Body>>) {
    match work {
        Execution::Done => drop(carry_out.await),
        Execution::Skipped => {}
    }
}

/// Promises the whole answer, sends half of it, and breaks.
async fn truncate_response(response: Response<Body>) -> Result<Response<Body>, ConnectionFault> {
    let (mut parts, body) = response.into_parts();
    let whole = body
        .collect()
        .await
        .map_err(|_| ConnectionFault::Closed)?
        .to_bytes();
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        if sender
            .send_data(whole.slice(..whole.len() / 2))
            .await
            .is_ok()
        {
            // A server that hears of the end at once sends nothing at all.
            sleep(TRUNCATION_DELAY).await;
            sender.abort(ConnectionFault::MidResponse.into());
        }
    });
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn rate_limited(retry_after: Option<u32>) -> Response<Body> {
    let mut response = RecordedError::RateLimited.into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl<B> Service<Request<B>> for FaultInjector
where
    B: BodyExt<Data = Bytes> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<Body>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let laboratory = self.clone();
        Box::pin(async move { laboratory.exchange(request).await.map_err(io::Error::from) })
    }
}
