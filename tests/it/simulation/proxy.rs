//! The connection between riskform and a simulated account. It injects faults and records requests for the checks.

use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use riskform::api::CancellationToken;
use riskform::sandbox::{Account, Sandbox};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt};

use super::faults::{Faults, Moment, Side, StopAt};
use crate::support::account;
use crate::support::faults::{FaultInjector, InjectedFault};

/// A write of behaviors and the state before it.
pub struct BehaviorsWritten {
    pub body: Value,
    pub before: Value,
    /// Simultaneous external changes.
    pub at_that_moment: Vec<InjectedFault>,
}

/// The connection.
pub struct RecordingProxy {
    sandbox: Sandbox,
    /// Answers lagging reads.
    replica: Sandbox,
    pub injector: FaultInjector,
    lag: Duration,
    killed: Notify,
    seen: Mutex<Seen>,
}

struct Seen {
    kill: Option<Moment>,
    requests: u32,
    history: Vec<(Instant, Account)>,
    run: RecordedRun,
}

/// Recorded data of one run.
#[derive(Default)]
pub struct RecordedRun {
    stop: CancellationToken,
    stop_at: Option<Moment>,
    requests: u32,
    /// Requests after cancellation.
    pub after_the_stop: Vec<String>,
    /// Updates that would remove a reference.
    pub without_reference: Vec<String>,
    pub written: Vec<BehaviorsWritten>,
}

impl RecordingProxy {
    pub fn new(sandbox: &Sandbox, faults: &Faults) -> Arc<Self> {
        Arc::new(RecordingProxy {
            sandbox: sandbox.clone(),
            replica: Sandbox::in_memory(sandbox.settings().clone()),
            injector: FaultInjector::new(sandbox, faults.script.clone()),
            lag: faults.lag,
            killed: Notify::new(),
            seen: Mutex::new(Seen {
                kill: faults.kill,
                requests: 0,
                history: vec![(Instant::now(), sandbox.account(&account()))],
                run: RecordedRun::default(),
            }),
        })
    }

    /// Starts recording a run that is canceled at the given time.
    pub fn begin(&self, stop: CancellationToken, stop_at: Option<StopAt>) {
        self.seen.lock().unwrap().run = RecordedRun {
            stop,
            stop_at: match stop_at {
                Some(StopAt::Request(moment)) => Some(moment),
                Some(StopAt::After(_)) | None => None,
            },
            ..RecordedRun::default()
        };
    }

    /// Returns the recorded data of the run.
    pub fn take_run(&self) -> RecordedRun {
        std::mem::take(&mut self.seen.lock().unwrap().run)
    }

    /// Completes when the run must be killed.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Ends all faults except lagging reads.
    pub fn calm_down(&self) {
        self.injector.stop();
        self.seen.lock().unwrap().kill = None;
    }

    /// Returns a service for an in-process transport.
    pub fn service(
        self: &Arc<Self>,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Body>,
        Error = io::Error,
        Future: Future + Send,
    > + Clone
    + Send
    + Sync
    + 'static {
        let proxy = Arc::clone(self);
        tower::service_fn(move |request| {
            let proxy = Arc::clone(&proxy);
            async move { proxy.exchange(request).await }
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> io::Result<Response<Body>> {
        let (kill, stop) = self.count_request(&request);
        if stop == Some(Side::Before) {
            self.stop_run();
        }
        if kill == Some(Side::Before) {
            return self.kill().await;
        }
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let writes_behaviors = parts.method == Method::PUT && path.ends_with("/behaviors");
        let overwrites = parts.method == Method::PUT && !writes_behaviors;
        let before = writes_behaviors.then(|| self.behaviors());
        let met = self.injector.injected().len();
        let is_read = parts.method == Method::GET && !self.lag.is_zero();
        let again = is_read.then(|| Request::from_parts(parts.clone(), Body::empty()));

        let request = Request::from_parts(parts, Full::new(body.clone()));
        let answer = self.injector.clone().oneshot(request).await;
        let met = self.injector.injected().split_off(met);
        self.record(&path, &body, overwrites, before.map(|before| (before, met)));
        if stop == Some(Side::After) {
            self.stop_run();
        }
        if kill == Some(Side::After) {
            return self.kill().await;
        }
        match (answer, again) {
            (Ok(answer), Some(again))
                if [StatusCode::OK, StatusCode::NOT_FOUND].contains(&answer.status()) =>
            {
                Ok(self.as_it_was(again).await)
            }
            (answer, _) => answer,
        }
    }

    fn record(
        &self,
        path: &str,
        body: &[u8],
        overwrites: bool,
        behaviors: Option<(Value, Vec<InjectedFault>)>,
    ) {
        let now = self.sandbox.account(&account());
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        if seen.history.last().is_none_or(|(_, last)| *last != now) {
            seen.history.push((Instant::now(), now));
        }
        if overwrites && body["reference_id"].as_str().is_none_or(str::is_empty) {
            seen.run.without_reference.push(format!("{path} {body}"));
        }
        if let Some((before, at_that_moment)) = behaviors {
            seen.run.written.push(BehaviorsWritten {
                body,
                before,
                at_that_moment,
            });
        }
    }

    /// Returns the side at which this request kills the run, and the side at which it cancels the run.
    fn count_request(&self, request: &Request<Full<Bytes>>) -> (Option<Side>, Option<Side>) {
        let mut seen = self.seen.lock().unwrap();
        let side = |at: Option<Moment>, number| {
            at.filter(|(request, _)| *request == number)
                .map(|(_, side)| side)
        };
        let kill = side(seen.kill, seen.requests);
        seen.requests += 1;
        let run = &mut seen.run;
        if run.stop.is_cancelled() {
            let line = format!("{} {}", request.method(), request.uri().path());
            run.after_the_stop.push(line);
        }
        let stop = side(run.stop_at, run.requests);
        run.requests += 1;
        (kill, stop)
    }

    fn stop_run(&self) {
        self.seen.lock().unwrap().run.stop.cancel();
    }

    async fn kill(&self) -> io::Result<Response<Body>> {
        self.killed.notify_one();
        pending().await
    }

    fn behaviors(&self) -> Value {
        let behaviors = self.sandbox.live(&account()).behaviors.into_iter();
        let fields = behaviors.map(|(key, behavior)| (key, behavior.fields));
        riskform::model::behavior::write_body(&fields.collect())
    }

    /// Responds to a read with an earlier state.
    async fn as_it_was(&self, request: Request<Body>) -> Response<Body> {
        let earlier = {
            let history = &self.seen.lock().unwrap().history;
            let mut newest_first = history.iter().rev();
            let old_enough = newest_first.find(|(since, _)| since.elapsed() >= self.lag);
            old_enough.unwrap_or(&history[0]).1.clone()
        };
        let edited = self.replica.edit(&account(), |replica| *replica = earlier);
        edited.unwrap();
        let Ok(answer) = self.replica.router().oneshot(request).await;
        answer
    }
}

/// Delay between two runs, longer than the lag of reads.
pub async fn pause() {
    sleep(Duration::from_secs(60)).await;
}
