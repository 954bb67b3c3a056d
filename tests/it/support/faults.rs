//! Fault injection: a tower service around the sandbox's router. Rules select the requests that fail, and how.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::{Json, Router};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use riskform::model::account::AccountId;
use riskform::model::behavior::BehaviorKey;
use riskform::model::field::{Field, FieldValue, Fields};
use riskform::model::integration::{Integration, IntegrationId, ReferenceId};
use riskform::sandbox::{BASE_PATH, Sandbox};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt};
use wildmatch::WildMatch;

use super::layers::recorded_error;
use super::world::create_in_dashboard;

/// Rules, in the order in which they are evaluated. All matching changes are made; of the other faults, the first match is used.
#[derive(Clone, Debug, Default)]
pub struct FaultScript {
    /// The same seed, rules and requests result in the same faults.
    pub seed: u64,
    pub rules: Vec<FaultRule>,
}

impl From<Vec<FaultRule>> for FaultScript {
    fn from(rules: Vec<FaultRule>) -> Self {
        FaultScript { seed: 0, rules }
    }
}

/// A fault and the requests that it affects.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// HTTP method; `None` matches all.
    pub method: Option<Method>,
    /// Glob of the path below the base path, without the query; `None` matches all.
    pub path: Option<String>,
    /// Number of matching requests before the first fault.
    pub skip: u32,
    /// Maximum number of faults.
    pub times: Option<u32>,
    /// Probability of the fault for each matching request.
    pub chance: f64,
    pub fault: Fault,
}

impl FaultRule {
    /// A fault of every request.
    pub fn always(fault: Fault) -> Self {
        FaultRule {
            method: None,
            path: None,
            skip: 0,
            times: None,
            chance: 1.0,
            fault,
        }
    }

    /// A fault of every request with this method.
    pub fn on(method: Method, fault: Fault) -> Self {
        FaultRule {
            method: Some(method),
            ..FaultRule::always(fault)
        }
    }

    /// A fault of the first request with this method.
    pub fn once(method: Method, fault: Fault) -> Self {
        FaultRule {
            times: Some(1),
            ..FaultRule::on(method, fault)
        }
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        let glob = self.path.as_deref().unwrap_or("*");
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && WildMatch::new(glob).matches(path)
    }
}

/// A fault of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Connections are refused, this one and all within the time.
    Refuse { seconds: Duration },
    /// The connection closes before the request is processed.
    CloseBefore,
    /// The request is processed, and the connection closes without a response.
    CloseAfter,
    /// The request is processed, and the connection closes in the middle of the response.
    HalfAnswer,
    /// The response is not HTTP.
    Garbage { work: Execution },
    /// The request is processed at once, and the response is late.
    Slow { seconds: Duration },
    /// 429 with `Retry-After`, if any. The request is not processed.
    RateLimited { retry_after: Option<u32> },
    /// 500, in the API's envelope.
    ServerError { work: Execution },
    /// 502 with an HTML page.
    BadGateway { work: Execution },
    /// 200 with unexpected JSON.
    WrongJson { work: Execution },
    /// A change by another user immediately before the request is processed. The request itself has no fault.
    Change(ExternalChange),
}

/// Processing of a request with a fault: done or skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    Done,
    Skipped,
}

/// A change by another user, without the API's rules. Changes of unknown resources have no effect.
#[derive(Clone, Debug, PartialEq)]
pub enum ExternalChange {
    SetBehavior {
        key: BehaviorKey,
        changes: Fields,
    },
    CreateIntegration(Fields),
    /// Creates the same integration as the request. No effect on other requests.
    CreateTheSame,
    /// Edits integrations, selected by ID, reference or tenant.
    EditIntegration {
        integration: String,
        changes: Fields,
    },
    /// Deletes integrations, selected by ID, reference or tenant.
    DeleteIntegration {
        integration: String,
    },
}

/// An injected fault.
#[derive(Clone, Debug, PartialEq)]
pub struct InjectedFault {
    pub method: Method,
    /// Path below the base path.
    pub path: String,
    pub fault: Fault,
}

/// A sandbox behind a script of faults. Clones share the state.
///
/// Broken connections are errors of the service: `ConnectionRefused` if the request was not delivered.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    sandbox: Sandbox,
    router: Router,
    state: Arc<Mutex<ScriptState>>,
}

#[derive(Debug)]
struct ScriptState {
    /// Each rule with its number of matching requests so far.
    rules: Vec<(FaultRule, u32)>,
    random: fastrand::Rng,
    refusing_until: Option<Instant>,
    injected: Vec<InjectedFault>,
    created_externally: BTreeSet<IntegrationId>,
}

impl FaultInjector {
    pub fn new(sandbox: &Sandbox, script: impl Into<FaultScript>) -> Self {
        FaultInjector::around(sandbox, sandbox.router(), script)
    }

    /// Creates an injector around a router of the sandbox with layers.
    pub fn around(sandbox: &Sandbox, router: Router, script: impl Into<FaultScript>) -> Self {
        let FaultScript { seed, rules } = script.into();
        FaultInjector {
            sandbox: sandbox.clone(),
            router,
            state: Arc::new(Mutex::new(ScriptState {
                rules: rules.into_iter().map(|rule| (rule, 0)).collect(),
                random: fastrand::Rng::with_seed(seed),
                refusing_until: None,
                injected: Vec::new(),
                created_externally: BTreeSet::new(),
            })),
        }
    }

    /// Returns all injected faults so far, in order.
    pub fn injected(&self) -> Vec<InjectedFault> {
        self.state().injected.clone()
    }

    /// Returns all integrations created by external changes so far.
    pub fn created_externally(&self) -> BTreeSet<IntegrationId> {
        self.state().created_externally.clone()
    }

    /// Ends all faults.
    pub fn stop(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.refusing_until = None;
    }

    /// Serves real connections, which break as the script says. Refused ones are closed.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(self.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }

    async fn exchange<B>(self, request: Request<B>) -> io::Result<Response<Body>>
    where
        B: BodyExt<Data = Bytes> + Send + 'static,
    {
        let refused = || Err(io::ErrorKind::ConnectionRefused.into());
        let refusing_until = self.state().refusing_until;
        if refusing_until.is_some_and(|until| Instant::now() < until) {
            return refused();
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let path = path.strip_prefix(BASE_PATH).unwrap_or(path).to_owned();
        let (changes, fault) = self.state().select_faults(&parts.method, &path);
        let body = body.collect().await;
        let body = body.map_err(|_| io::ErrorKind::ConnectionReset)?.to_bytes();
        self.change(&changes, &path, &body);

        let request = Request::from_parts(parts, Body::from(body));
        let process = async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            response
        };
        match fault {
            // Changes are made above.
            None | Some(Fault::Change(_)) => Ok(process.await),
            Some(Fault::Refuse { seconds }) => {
                self.state().refusing_until = Some(Instant::now() + seconds);
                refused()
            }
            Some(Fault::CloseBefore) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::CloseAfter) => {
                process.await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Fault::HalfAnswer) => Ok(truncate_response(process.await).await),
            Some(Fault::Slow { seconds }) => {
                let response = process.await;
                sleep(seconds).await;
                Ok(response)
            }
            Some(Fault::RateLimited { retry_after }) => {
                let mut response = recorded_error("429-971");
                if let Some(seconds) = retry_after {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, seconds.into());
                }
                Ok(with_ray(response))
            }
            Some(Fault::Garbage { work }) => {
                execute_if(work, process).await;
                Err(io::ErrorKind::InvalidData.into())
            }
            Some(Fault::ServerError { work }) => {
                execute_if(work, process).await;
                let error = json!({ "code": 40050, "message": "Internal server error" });
                let body =
                    json!({ "success": false, "errors": [error], "messages": [], "result": null });
                let response = (StatusCode::INTERNAL_SERVER_ERROR, Json(body));
                Ok(with_ray(response.into_response()))
            }
            Some(Fault::BadGateway { work }) => {
                execute_if(work, process).await;
                let page = Html(
                    "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad gateway</h1></body></html>",
                );
                Ok(with_ray((StatusCode::BAD_GATEWAY, page).into_response()))
            }
            Some(Fault::WrongJson { work }) => {
                execute_if(work, process).await;
                let response = Json(json!({ "status": "ok", "data": [] })).into_response();
                Ok(with_ray(response))
            }
        }
    }

    fn change(&self, changes: &[ExternalChange], path: &str, body: &[u8]) {
        let account = path
            .strip_prefix("/accounts/")
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        if let Some(account) = account {
            for change in changes {
                let created = change.apply(&self.sandbox, &account, body);
                self.state().created_externally.extend(created);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, ScriptState> {
        self.state.lock().unwrap()
    }
}

impl ScriptState {
    /// Returns the changes before a request, and its fault.
    fn select_faults(
        &mut self,
        method: &Method,
        path: &str,
    ) -> (Vec<ExternalChange>, Option<Fault>) {
        let (mut changes, mut fault) = (Vec::new(), None);
        for (rule, seen) in &mut self.rules {
            if !rule.matches(method, path) {
                continue;
            }
            let turn = *seen;
            *seen += 1;
            let due = turn >= rule.skip && rule.times.is_none_or(|times| turn - rule.skip < times);
            // A certain rule uses no random number, so that it does not affect the others.
            if !due || (rule.chance < 1.0 && self.random.f64() >= rule.chance) {
                continue;
            }
            match &rule.fault {
                Fault::Change(change) => changes.push(change.clone()),
                _ if fault.is_none() => fault = Some(rule.fault.clone()),
                _ => continue,
            }
            self.injected.push(InjectedFault {
                method: method.clone(),
                path: path.to_owned(),
                fault: rule.fault.clone(),
            });
        }
        (changes, fault)
    }
}

impl ExternalChange {
    /// Changes the account of the request. Returns the created integration.
    fn apply(&self, sandbox: &Sandbox, account: &AccountId, body: &[u8]) -> Option<IntegrationId> {
        let create = |fields: Fields| Some(create_in_dashboard(sandbox, account, fields));
        match self {
            ExternalChange::CreateIntegration(fields) => create(fields.clone()),
            ExternalChange::CreateTheSame => {
                let body: Value = serde_json::from_slice(body).ok()?;
                // Only a create has a type.
                body.get("integration_type")?;
                let fields: Fields = serde_json::from_value(body).unwrap();
                create(fields.with(Field::Active, Some(FieldValue::Bool(true))))
            }
            ExternalChange::SetBehavior { key, changes } => {
                let edited = sandbox.edit(account, |account| {
                    if let Some(behavior) = account.behaviors.get_mut(key) {
                        behavior.fields = changes.apply_to(&behavior.fields);
                    }
                });
                edited.unwrap();
                None
            }
            ExternalChange::EditIntegration {
                integration,
                changes,
            } => {
                let edited = sandbox.edit(account, |account| {
                    let found = account.integrations.values_mut();
                    for found in found.filter(|one| is_named(one, integration)) {
                        found.fields = changes.apply_to(&found.fields);
                    }
                });
                edited.unwrap();
                None
            }
            ExternalChange::DeleteIntegration { integration } => {
                let edited = sandbox.edit(account, |account| {
                    let named = |one: &Integration| is_named(one, integration);
                    account.integrations.retain(|_, one| !named(one));
                });
                edited.unwrap();
                None
            }
        }
    }
}

fn is_named(integration: &Integration, name: &str) -> bool {
    let fields = &integration.fields;
    let reference = fields.reference_id().map(ReferenceId::as_str);
    integration.id.to_string() == name
        || fields.shown(Field::TenantUrl) == name
        || reference == Some(name)
}

async fn execute_if(work: Execution, process: impl Future<Output = Response<Body>>) {
    match work {
        Execution::Done => drop(process.await),
        Execution::Skipped => {}
    }
}

/// Announces the complete response, sends half of it, and breaks.
async fn truncate_response(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.unwrap().to_bytes();
    let length = HeaderValue::from(whole.len());
    parts.headers.insert(header::CONTENT_LENGTH, length);
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let half = whole.slice(..whole.len() / 2);
        if sender.send_data(half).await.is_ok() {
            // A server that learns of the end at once sends nothing at all.
            sleep(Duration::from_millis(5)).await;
            sender.abort(io::ErrorKind::ConnectionReset.into());
        }
    });
    Response::from_parts(parts, Body::new(body))
}

/// Adds a request ID, which responses of Cloudflare's edge have, too.
fn with_ray(mut response: Response<Body>) -> Response<Body> {
    let ray = HeaderValue::from_static("00000000000000aa-SIM");
    response.headers_mut().insert("cf-ray", ray);
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
        Box::pin(self.clone().exchange(request))
    }
}

#[cfg(test)]
mod tests {
    use riskform::api::Transport;
    use riskform::sandbox::{DEFAULT_TOKEN, Settings};

    use super::*;
    use crate::support::account;

    /// Returns the status, or whether the request may have been delivered.
    async fn send(injector: &FaultInjector, method: Method, rest: &str) -> Result<u16, bool> {
        const CREATE: &str = r#"{"integration_type": "Okta", "tenant_url": "https://corp.okta.com", "reference_id": "ours"}"#;
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "http://localhost{BASE_PATH}/accounts/{}/zt_risk_scoring/{rest}",
                account()
            ))
            .header("authorization", format!("Bearer {DEFAULT_TOKEN}"))
            .body(Bytes::from(CREATE))
            .unwrap();
        let transport = Transport::in_process(injector.clone(), Duration::from_secs(30));
        let sent = transport.send(request).await;
        sent.map(|answer| answer.status().as_u16())
            .map_err(|error| error.failure.may_be_delivered())
    }

    fn references(sandbox: &Sandbox) -> Vec<String> {
        let live = sandbox.live(&account()).integrations;
        let references = live.iter().map(|one| one.fields.shown(Field::ReferenceId));
        let mut references: Vec<_> = references.collect();
        references.sort();
        references
    }

    #[tokio::test(start_paused = true)]
    async fn fault_has_its_outcome_and_is_recorded() {
        let (done, skipped) = (Execution::Done, Execution::Skipped);
        let seconds = Duration::from_millis(20);
        let broken = Err(true);
        for (fault, expected, processed) in [
            (Fault::Refuse { seconds }, Err(false), false),
            (Fault::CloseBefore, broken, false),
            (Fault::CloseAfter, broken, true),
            (Fault::HalfAnswer, broken, true),
            (Fault::Garbage { work: done }, broken, true),
            (Fault::Garbage { work: skipped }, broken, false),
            (Fault::Slow { seconds }, Ok(200), true),
            (
                Fault::RateLimited {
                    retry_after: Some(7),
                },
                Ok(429),
                false,
            ),
            (Fault::ServerError { work: done }, Ok(500), true),
            (Fault::ServerError { work: skipped }, Ok(500), false),
            (Fault::BadGateway { work: done }, Ok(502), true),
            (Fault::WrongJson { work: skipped }, Ok(200), false),
        ] {
            let sandbox = Sandbox::in_memory(Settings::default());
            let injector = FaultInjector::new(&sandbox, vec![FaultRule::always(fault.clone())]);
            let found = send(&injector, Method::POST, "integrations").await;
            assert_eq!(found, expected, "{fault:?}");
            assert_eq!(
                references(&sandbox).contains(&"ours".to_owned()),
                processed,
                "{fault:?}"
            );
            let injected = injector.injected().into_iter().map(|one| one.fault);
            assert_eq!(injected.collect::<Vec<_>>(), [fault]);
        }
    }
}
