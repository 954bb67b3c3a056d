//! The sandbox in-process: with faults, a request log and a client, and in paused time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use riskform::api::{Client, ClientOptions, Credentials, RetryPolicy, Transport};
use riskform::apply::{ApplyContext, ApplyEvent, ApplyResult, Outcome, WriteKind, apply};
use riskform::model::account::{AccountId, DesiredAccount, LiveAccount};
use riskform::model::context::Context;
use riskform::model::field::Fields;
use riskform::model::integration::{Integration, IntegrationId};
use riskform::plan::{AccountPlan, plan};
use riskform::sandbox::{DEFAULT_TOKEN, RateLimit, Sandbox, Settings};
use uuid::Uuid;

use super::faults::{FaultInjector, FaultRule};
use super::layers::RequestLog;
use super::{account, notation};
use crate::scenarios::{TODAY, unguarded};

/// Timeout of requests, in paused time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A desired account, a sandbox and a client of it.
pub struct World {
    pub desired: DesiredAccount,
    pub sandbox: Sandbox,
    /// Requests that reached the sandbox.
    pub log: RequestLog,
    pub injector: FaultInjector,
    pub client: Client,
    writes: Mutex<Vec<WriteKind>>,
}

impl World {
    /// Creates a world without a rate limit, whose connections fail by these rules.
    pub fn new(
        desired: DesiredAccount,
        live: LiveAccount,
        settings: Settings,
        rules: Vec<FaultRule>,
    ) -> Self {
        let world = World::of(unlimited(settings), rules, |_, router| router);
        world.replace(live);
        World { desired, ..world }
    }

    /// Creates a world without a rate limit, whose router has layers.
    pub fn behind(
        desired: DesiredAccount,
        live: LiveAccount,
        settings: Settings,
        layer: impl FnOnce(&Sandbox, Router) -> Router,
    ) -> Self {
        let world = World::of(unlimited(settings), Vec::new(), layer);
        world.replace(live);
        World { desired, ..world }
    }

    /// Creates a world around a sandbox whose router has layers, and whose connections fail by these rules.
    pub fn of(
        sandbox: Sandbox,
        rules: Vec<FaultRule>,
        layer: impl FnOnce(&Sandbox, Router) -> Router,
    ) -> Self {
        let log = RequestLog::default();
        let router = layer(&sandbox, log.record(sandbox.router()));
        let injector = FaultInjector::around(&sandbox, router, rules);
        World {
            desired: notation::desired(&[]),
            client: client(Transport::in_process(injector.clone(), PATIENCE)),
            sandbox,
            log,
            injector,
            writes: Mutex::default(),
        }
    }

    pub fn live(&self) -> LiveAccount {
        self.sandbox.live(&account())
    }

    /// Replaces the live account.
    pub fn replace(&self, live: LiveAccount) {
        replace(&self.sandbox, live);
    }

    /// Plans the account without guards.
    pub fn plan(&self) -> AccountPlan {
        let (desired, live) = (Arc::new(self.desired.clone()), Arc::new(self.live()));
        plan(&desired, &live, &Context::default(), TODAY, &unguarded())
    }

    /// Plans the account without guards, and applies the plan.
    pub async fn apply(&self) -> ApplyResult {
        self.apply_plan(&self.plan()).await
    }

    pub async fn apply_plan(&self, plan: &AccountPlan) -> ApplyResult {
        let observe = |event: ApplyEvent<'_>| {
            if let ApplyEvent::Sending(write) = event {
                self.writes.lock().unwrap().push(write.kind);
            }
        };
        apply_observed(&self.client, plan, observe).await
    }

    /// Returns the number of writes of a kind that were sent.
    pub fn sent(&self, kind: WriteKind) -> usize {
        let writes = self.writes.lock().unwrap();
        writes.iter().filter(|write| **write == kind).count()
    }
}

fn unlimited(settings: Settings) -> Sandbox {
    Sandbox::in_memory(Settings {
        rate_limit: RateLimit::Off,
        ..settings
    })
}

/// Replaces the live account of a sandbox.
pub fn replace(sandbox: &Sandbox, live: LiveAccount) {
    let edited = sandbox.edit(&account(), |account| *account = live.into());
    edited.unwrap();
}

/// Creates an integration with a new ID but without the API's rules, like a dashboard user.
pub fn create_in_dashboard(
    sandbox: &Sandbox,
    account: &AccountId,
    fields: Fields,
) -> IntegrationId {
    static CREATED: AtomicU64 = AtomicU64::new(0);
    const FIRST: u128 = 0xeeee_eeee_0000_4000_8000_0000_0000_0000;
    let number = CREATED.fetch_add(1, Ordering::Relaxed);
    let id = IntegrationId::from(Uuid::from_u128(FIRST + u128::from(number)));
    let integration = Integration {
        id,
        account_tag: account.to_string(),
        created_at: sandbox.now().to_string(),
        well_known_url: String::new(),
        fields,
    };
    let edited = sandbox.edit(account, |one| one.integrations.insert(id, integration));
    edited.unwrap();
    id
}

/// Returns a client with default options, reproducible delays and the sandbox's token.
pub fn client(transport: Transport) -> Client {
    let retry = RetryPolicy {
        seed: Some(1),
        ..RetryPolicy::default()
    };
    let options = ClientOptions {
        retry,
        ..ClientOptions::default()
    };
    let base_url = "http://localhost/client/v4".parse().unwrap();
    let credentials = Credentials::api_token(DEFAULT_TOKEN.into()).unwrap();
    Client::new(transport, base_url, credentials, options)
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

/// Describes the outcome of each operation.
pub fn outcomes(applied: &ApplyResult) -> Vec<String> {
    let outcome = |outcome: &Outcome| match outcome {
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Failed(error) => format!("failed: {error}"),
        Outcome::Unknown(error) => format!("unknown: {error}"),
        Outcome::NotAttempted(reason) => format!("not attempted: {reason}"),
    };
    let reports = applied.operations.iter();
    reports.map(|report| outcome(&report.outcome)).collect()
}

/// Asserts that each outcome starts with one of these texts.
#[track_caller]
pub fn assert_outcomes(applied: &ApplyResult, expected: &[&str]) {
    let found = outcomes(applied);
    let mut pairs = found.iter().zip(expected);
    let same = found.len() == expected.len() && pairs.all(|(one, start)| one.starts_with(start));
    assert!(same, "{found:#?}\n{expected:#?}");
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
