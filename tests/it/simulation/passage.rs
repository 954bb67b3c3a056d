//! The connection between riskform and a simulated account. It injects faults and records requests for the checks.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use riskform::api::CancellationToken;
use riskform::model::account::AccountId;
use riskform::sandbox::{Account, Sandbox};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::sandbox::faults::{FaultInjector, InjectedFault};

use super::mishaps::{Kill, Mishaps, Side, StopAt};

/// A write of behaviors and the state before it.
pub struct BehaviorsWritten {
    pub body: Value,
    pub before: Value,
    /// Simultaneous external changes.
    pub at_that_moment: Vec<InjectedFault>,
}

/// The connection. Clones share the state.
#[derive(Clone)]
pub struct RecordingProxy(Arc<Parts>);

struct Parts {
    sandbox: Sandbox,
    /// Lag of reads.
    replica: Sandbox,
    injector: FaultInjector,
    account: AccountId,
    lag: Duration,
    killed: Notify,
    seen: Mutex<Seen>,
}

struct Seen {
    kill: Option<Kill>,
    requests: u32,
    history: Vec<(Instant, Account)>,
    written: Vec<BehaviorsWritten>,
    run: RecordedRun,
}

/// Recorded data of one run.
#[derive(Default)]
pub struct RecordedRun {
    stop: Option<CancellationToken>,
    stop_at: Option<(u32, Side)>,
    requests: u32,
    /// Requests after cancellation.
    pub after_the_stop: Vec<String>,
    /// Updates that would remove a reference.
    pub without_reference: Vec<String>,
}

impl RecordingProxy {
    pub fn new(sandbox: &Sandbox, account: AccountId, mishaps: &Mishaps) -> Self {
        let passage = RecordingProxy(Arc::new(Parts {
            sandbox: sandbox.clone(),
            replica: Sandbox::in_memory(sandbox.settings().clone()),
            injector: FaultInjector::new(sandbox, mishaps.script.clone()),
            account,
            lag: mishaps.lag,
            killed: Notify::new(),
            seen: Mutex::new(Seen {
                kill: mishaps.kill,
                requests: 0,
                history: Vec::new(),
                written: Vec::new(),
                run: RecordedRun::default(),
            }),
        }));
        passage.take_down_state();
        passage
    }

    pub fn injector(&self) -> &FaultInjector {
        &self.0.injector
    }

    /// Starts recording a run that is canceled at the given time.
    pub fn begin(&self, stop: CancellationToken, stop_at: Option<StopAt>) {
        self.0.seen.lock().unwrap().run = RecordedRun {
            stop: Some(stop),
            stop_at: match stop_at {
                Some(StopAt::Request(request, side)) => Some((request, side)),
                Some(StopAt::After(_)) | None => None,
            },
            ..RecordedRun::default()
        };
    }

    /// Returns the recorded data of the run.
    pub fn take_run(&self) -> RecordedRun {
        std::mem::take(&mut self.0.seen.lock().unwrap().run)
    }

    /// Completes when the run must be killed.
    pub async fn killed(&self) {
        self.0.killed.notified().await;
    }

    /// Ends all faults except lagging reads.
    pub fn calm_down(&self) {
        self.0.injector.stop();
        self.0.seen.lock().unwrap().kill = None;
    }

    /// Returns the writes of behaviors since the last call.
    pub fn take_written(&self) -> Vec<BehaviorsWritten> {
        std::mem::take(&mut self.0.seen.lock().unwrap().written)
    }

    /// Returns a service for an in-process transport.
    pub fn service(
        &self,
    ) -> impl tower::Service<
        Request<Full<Bytes>>,
        Response = Response<Body>,
        Error = io::Error,
        Future = Pin<Box<dyn Future<Output = io::Result<Response<Body>>> + Send>>,
    > + Clone
    + Send
    + Sync
    + 'static {
        let passage = self.clone();
        tower::service_fn(move |request| {
            let passage = passage.clone();
            Box::pin(async move { passage.exchange(request).await })
                as Pin<Box<dyn Future<Output = io::Result<Response<Body>>> + Send>>
        })
    }

    async fn exchange(self, request: Request<Full<Bytes>>) -> io::Result<Response<Body>> {
        let (kill, stop) = self.count_request(&request);
        if stop == Some(Side::Before) {
            self.stop_run();
        }
        if kill == Some(Side::Before) {
            return self.kill().await;
        }
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_or(Bytes::new(), |body| body.to_bytes());
        let path = parts.uri.path().to_owned();
        let writes_behaviors = parts.method == Method::PUT && path.ends_with("/behaviors");
        let overwrites = parts.method == Method::PUT && !writes_behaviors;
        let before = writes_behaviors.then(|| self.behaviors());
        let met = self.0.injector.injected().len();
        let again = (parts.method == Method::GET).then(|| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = parts.uri.clone();
            *request.headers_mut() = parts.headers.clone();
            request
        });

        let answer = self
            .0
            .injector
            .clone()
            .oneshot(Request::from_parts(parts, Full::new(body.clone())))
            .await;
        self.take_down_state();
        if stop == Some(Side::After) {
            self.stop_run();
        }
        if overwrites {
            self.check_reference(&path, &body);
        }
        if let Some(before) = before {
            let at_that_moment = self.0.injector.injected().split_off(met);
            self.0.seen.lock().unwrap().written.push(BehaviorsWritten {
                body: serde_json::from_slice(&body).unwrap(),
                before,
                at_that_moment,
            });
        }
        if kill == Some(Side::After) {
            return self.kill().await;
        }
        match (answer, again) {
            (Ok(answer), Some(again))
                if !self.0.lag.is_zero()
                    && [StatusCode::OK, StatusCode::NOT_FOUND].contains(&answer.status()) =>
            {
                Ok(self.as_it_was(again).await)
            }
            (answer, _) => answer,
        }
    }

    /// Kills or cancels the run if this request must.
    fn count_request(&self, request: &Request<Full<Bytes>>) -> (Option<Side>, Option<Side>) {
        let mut seen = self.0.seen.lock().unwrap();
        let number = seen.requests;
        seen.requests += 1;
        let kill = seen.kill.filter(|kill| kill.request == number);
        let run = &mut seen.run;
        if run
            .stop
            .as_ref()
            .is_some_and(CancellationToken::is_cancelled)
        {
            let line = format!("{} {}", request.method(), request.uri().path());
            run.after_the_stop.push(line);
        }
        let of_run = run.requests;
        run.requests += 1;
        let stop = run.stop_at.filter(|(request, _)| *request == of_run);
        (kill.map(|kill| kill.side), stop.map(|(_, side)| side))
    }

    fn stop_run(&self) {
        let stop = self.0.seen.lock().unwrap().run.stop.clone();
        stop.expect("a run begins before its first request")
            .cancel();
    }

    fn check_reference(&self, path: &str, body: &Bytes) {
        let body: Value = serde_json::from_slice(body).unwrap();
        if body["reference_id"].as_str().is_none_or(str::is_empty) {
            let mut seen = self.0.seen.lock().unwrap();
            seen.run.without_reference.push(format!("{path} {body}"));
        }
    }

    async fn kill(&self) -> io::Result<Response<Body>> {
        self.0.killed.notify_one();
        pending().await
    }

    fn behaviors(&self) -> Value {
        let live = self.0.sandbox.live(&self.0.account);
        let settings = live
            .behaviors
            .into_iter()
            .map(|(key, behavior)| (key, behavior.fields))
            .collect();
        riskform::model::behavior::write_body(&settings)
    }

    fn take_down_state(&self) {
        if self.0.lag.is_zero() {
            return;
        }
        let account = self.0.sandbox.account(&self.0.account);
        let history = &mut self.0.seen.lock().unwrap().history;
        if history.last().is_none_or(|(_, last)| *last != account) {
            history.push((Instant::now(), account));
        }
    }

    /// Responds to a read with an earlier state.
    async fn as_it_was(&self, request: Request<Body>) -> Response<Body> {
        let account = {
            let seen = self.0.seen.lock().unwrap();
            let old_enough = seen
                .history
                .iter()
                .rev()
                .find(|(since, _)| since.elapsed() >= self.0.lag);
            let (_, account) = old_enough.unwrap_or(&seen.history[0]);
            account.clone()
        };
        self.0
            .replica
            .edit(&self.0.account, |replica| *replica = account)
            .unwrap();
        let answer: Result<_, Infallible> = self.0.replica.router().oneshot(request).await;
        answer.unwrap_or_else(|never| match never {})
    }
}

/// Delay between two runs, longer than the lag of reads.
pub async fn pause() {
    sleep(Duration::from_secs(60)).await;
}
