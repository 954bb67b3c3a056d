//! The sandbox on a loopback socket.

use std::net::SocketAddr;
use std::thread;

use axum::Router;
use http::Method;
use riskform::model::account::LiveAccount;
use riskform::model::behavior::BehaviorKey;
use riskform::model::field::{Field, FieldValue};
use riskform::sandbox::{Account, RateLimit, Sandbox, Settings};

use super::account;
use super::faults::{FaultInjector, FaultRule};
use super::layers::{Reaction, ReceivedRequest, RequestLog, react};
use super::openapi::Conformance;

/// A sandbox served by a thread, so that tests can read its state. Dropping it fails the test if a response of the sandbox was not as
/// `schema/openapi.yaml` says.
pub struct SandboxServer {
    pub sandbox: Sandbox,
    log: RequestLog,
    conformance: Conformance,
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SandboxServer {
    pub fn start(settings: Settings) -> Self {
        SandboxServer::behind(settings, |_, router| router)
    }

    /// Starts a server that treats each request as the function says, by method and path without the base path.
    pub fn reacting(
        reaction: impl Fn(&Method, &str) -> Reaction + Clone + Send + Sync + 'static,
    ) -> Self {
        SandboxServer::behind(Settings::default(), |_, router| react(router, reaction))
    }

    /// Starts a server with middleware in front of the router.
    pub fn behind(
        settings: Settings,
        gate: impl FnOnce(&Sandbox, Router) -> Router + Send + 'static,
    ) -> Self {
        let settings = Settings {
            rate_limit: RateLimit::Off,
            ..settings
        };
        SandboxServer::serve(settings, Vec::new(), gate)
    }

    /// Starts a server whose connections fail by these rules.
    pub fn with_faults(rules: Vec<FaultRule>) -> Self {
        SandboxServer::serve(Settings::default(), rules, |_, router| router)
    }

    /// Starts a server with the rate limit of the settings.
    pub fn limited(settings: Settings) -> Self {
        SandboxServer::serve(settings, Vec::new(), |_, router| router)
    }

    fn serve(
        settings: Settings,
        faults: Vec<FaultRule>,
        gate: impl FnOnce(&Sandbox, Router) -> Router + Send + 'static,
    ) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let (log, conformance) = (RequestLog::default(), Conformance::default());
        let (recorded, checked) = (log.clone(), conformance.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let sandbox = Sandbox::in_memory(settings);
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                ready.send((sandbox.clone(), address)).unwrap();
                let router = gate(&sandbox, recorded.record(checked.check(sandbox.router())));
                let stopped = async { drop(stopped.await) };
                if faults.is_empty() {
                    let server = axum::serve(listener, router);
                    server.with_graceful_shutdown(stopped).await.unwrap();
                } else {
                    let server = FaultInjector::around(&sandbox, router, faults).serve(listener);
                    tokio::select! { () = server => {}, () = stopped => {} }
                }
            });
        });
        let (sandbox, address) = started.recv().unwrap();
        SandboxServer {
            sandbox,
            log,
            conformance,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the recorded account like another user.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        self.sandbox.edit(&account(), change).unwrap()
    }

    /// Returns the live state of the recorded account.
    pub fn live(&self) -> LiveAccount {
        self.sandbox.live(&account())
    }

    /// Enables or disables a behavior of the recorded account like another user.
    pub fn set_enabled(&self, key: &str, enabled: bool) {
        let key = BehaviorKey::new(key);
        self.edit(|account| {
            let fields = &mut account.behaviors.get_mut(&key).unwrap().fields;
            fields.set(Field::Enabled, Some(FieldValue::Bool(enabled)));
        });
    }

    /// Returns all requests that the sandbox received, in order.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.log.requests()
    }

    /// Returns the number of received writes.
    pub fn writes(&self) -> usize {
        let requests = self.requests();
        let writes = requests
            .iter()
            .filter(|request| request.method != Method::GET);
        writes.count()
    }
}

impl Drop for SandboxServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already failed the test.
            let _ = thread.join();
        }
        if !thread::panicking() {
            self.conformance.assert();
        }
    }
}
