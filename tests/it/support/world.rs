//! The sandbox in-process: with faults, a request log and a client, and in paused time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use riskform::api::{Client, Credentials, Transport};
use riskform::apply::{ApplyContext, ApplyEvent, ApplyResult, apply};
use riskform::model::account::{AccountId, DesiredAccount, LiveAccount};
use riskform::model::context::Context;
use riskform::plan::{AccountPlan, plan};
use riskform::sandbox::{DEFAULT_TOKEN, RateLimit, Sandbox, Settings};

use super::faults::{FaultInjector, FaultRule};
use super::layers::RequestLog;
use crate::worlds::{TODAY, account_id, unguarded};

/// Timeout of requests, in paused time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox and a client of it.
pub struct World {
    pub sandbox: Sandbox,
    pub account: AccountId,
    /// Requests that reached the sandbox.
    pub log: RequestLog,
    pub injector: FaultInjector,
    pub client: Client,
}

impl World {
    /// Creates a world with this live account, without a rate limit, whose connections fail by these rules.
    pub fn new(mut live: LiveAccount, settings: Settings, rules: Vec<FaultRule>) -> Self {
        let sandbox = Sandbox::in_memory(Settings {
            rate_limit: RateLimit::Off,
            ..settings
        });
        let account = account_id();
        for integration in &mut live.integrations {
            integration.account_tag = account.to_string();
        }
        sandbox
            .edit(&account, |edited| *edited = live.into())
            .unwrap();
        World::of(sandbox, account, rules, |router| router)
    }

    /// Creates a world around a sandbox whose router has layers, and whose connections fail by these rules.
    pub fn of(
        sandbox: Sandbox,
        account: AccountId,
        rules: Vec<FaultRule>,
        layer: impl FnOnce(Router) -> Router,
    ) -> Self {
        let log = RequestLog::default();
        let router = layer(log.record(sandbox.router()));
        let injector = FaultInjector::around(&sandbox, router, rules);
        let client = client(Transport::in_process(injector.clone(), PATIENCE));
        World {
            sandbox,
            account,
            log,
            injector,
            client,
        }
    }

    pub fn live(&self) -> LiveAccount {
        self.sandbox.live(&self.account)
    }

    /// Plans the account without guards.
    pub fn plan(&self, desired: &DesiredAccount) -> AccountPlan {
        let (desired, live) = (Arc::new(desired.clone()), Arc::new(self.live()));
        plan(&desired, &live, &Context::default(), TODAY, &unguarded())
    }

    /// Plans the account without guards, and applies the plan.
    pub async fn apply(&self, desired: &DesiredAccount) -> ApplyResult {
        apply_plan(&self.client, &self.plan(desired)).await
    }
}

/// Returns a client with default options and the sandbox's token.
pub fn client(transport: Transport) -> Client {
    let credentials = Credentials::api_token(DEFAULT_TOKEN.into()).unwrap();
    Client::new(
        transport,
        "http://localhost/client/v4".parse().unwrap(),
        credentials,
    )
}

/// Applies a plan without guards.
pub async fn apply_plan(client: &Client, plan: &AccountPlan) -> ApplyResult {
    apply_observed(client, plan, |_| {}).await
}

/// Applies a plan without guards and passes its events on.
pub async fn apply_observed(
    client: &Client,
    plan: &AccountPlan,
    mut observe: impl FnMut(ApplyEvent<'_>) + Send,
) -> ApplyResult {
    let context = ApplyContext {
        reader: &client.reader(),
        writer: &client.writer(),
        options: &unguarded(),
        today: TODAY,
    };
    let mut observe = |event: ApplyEvent<'_>| {
        observe(event);
        Ok(())
    };
    apply(plan, &context, &mut observe).await
}

/// Runs a future in paused time.
pub fn in_paused_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future)
}
