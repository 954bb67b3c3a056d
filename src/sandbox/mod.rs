//! The simulated API: everything that riskform asks of the real one, answered by an axum router from memory.
//!
//! A [`Sandbox`] is served on a socket, or its [`router`](Sandbox::router) is called in-process; there the whole program runs in tokio's
//! paused time, for all waiting and all clocks are tokio's. It keeps to `schema/api.md`, and where that says *unknown*, to its
//! [`Settings`]. It knows nothing of riskform's own client.
//!
//! | file | is for |
//! | --- | --- |
//! | `settings` | how it behaves |
//! | `gate` | what happens to every request: latency, credentials (`access`), `rate_limit`, headers, log |
//! | `routes` | the routes of risk scoring, and the permission that each needs |
//! | `surroundings` | the routes of what surrounds it: Access and the audit log |
//! | `ssf` | the documents behind `well_known_url`, which need no credentials |
//! | `body`, `paging`, `envelope`, `refusal` | how requests are read and answers written |
//! | `world` | the state and the rules by which it changes; `seed` is how it starts |
//! | `store` | the file that it is kept in |
//! | `clock` | time and ids |
//! | `faults` | the fault laboratory, and the server |

mod auth;
mod body;
mod clock;
mod context_routes;
mod envelope;
mod faults;
mod middleware;
mod paging;
mod rate_limit;
mod recorded_errors;
mod routes;
mod seed;
mod settings;
mod ssf;
mod state;
mod store;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

pub use faults::{
    ConnectionFault, Execution, ExternalChange, Fault, FaultInjector, FaultRule, FaultScript,
    FaultScriptError, InjectedFault, RequestMethod,
};
pub use middleware::{ACTOR_HEADER, CONTEXT_HEADER, ReceivedRequest};
pub use recorded_errors::RecordedError;
pub use seed::RECORDED_ACCOUNT;
pub use settings::{
    AcceptedReferences, AppPolicies, AuditLogSettings, BehaviorsPut, CursorPlace, DEFAULT_TOKEN,
    Entitlement, Grant, OmittedReference, Paging, ParseSettingError, Permission, Permissions,
    RateLimit, Settings, TenantUrlForm, UniqueKey, UnknownAccounts, UnsetReference,
};
pub use ssf::SsfFlaw;
pub use state::{Account, SandboxContext, User};
pub use store::StoreError;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::integration::{Integration, IntegrationSettings};
use clock::{Clock, Ids};
use envelope::ApiFailure;
use middleware::RequestLog;
use rate_limit::{RateLimitStatus, RateLimits};
use seed::Seed;
use state::audit_log::LoggedEntry;
use state::{State, WriteContext};
use store::Store;

/// The path that every route stands below, as on the real service.
pub const BASE_PATH: &str = "/client/v4";

/// A simulated API. Its clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    seed: Seed,
    clock: Clock,
    ids: Ids,
    answers: AtomicU64,
    rate_limits: Mutex<RateLimits>,
    log: RequestLog,
    world: RwLock<State>,
    store: Option<Store>,
}

/// Marks the serial numbers that made-up references are drawn from: a range that neither ids nor answers reach.
const REFERENCES: u64 = 1 << 62;

/// The same for the ids of audit log entries, and for those of requests at the edge.
const ENTRIES: u64 = 1 << 61;
const RAYS: u64 = 1 << 60;

/// What taking hold of the world relies on.
const LOCK_POISONED: &str = "nobody panics while changing the world";

/// What an answer can be found by.
#[derive(Clone, Debug)]
struct ResponseIds {
    audit_log_id: Uuid,
    /// The hexadecimal part of its `cf-ray`.
    ray: String,
}

impl Sandbox {
    /// A sandbox that is gone when its last handle is.
    pub fn in_memory(settings: Settings) -> Self {
        Self::new(settings, State::default(), None)
    }

    /// A sandbox that is kept in a file. The file is locked until the last handle is gone, and made by the first change.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        let (store, world) = Store::open(path)?;
        Ok(Self::new(settings, world, Some(store)))
    }

    fn new(settings: Settings, world: State, store: Option<Store>) -> Self {
        Sandbox(Arc::new(Inner {
            seed: Seed::recorded(),
            clock: Clock::starting_at(settings.clock_start),
            ids: Ids::seeded(settings.seed),
            answers: AtomicU64::new(0),
            rate_limits: Mutex::default(),
            log: RequestLog::new(settings.record_requests),
            world: RwLock::new(world),
            store,
            settings,
        }))
    }

    /// The API, below [`BASE_PATH`].
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// The API behind a script of faults; with the default script, which has none, just the API, ready to be served.
    pub fn laboratory(&self, script: FaultScript) -> FaultInjector {
        FaultInjector::new(self.clone(), script)
    }

    /// How this sandbox behaves.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Every request so far, in the order in which they came.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.log().requests()
    }

    /// How an account stands. One that nobody has written to stands as the seed has it.
    pub fn account(&self, id: &AccountId) -> Account {
        self.read(id, Account::clone)
    }

    /// What a client that reads an account's behaviors and integrations sees.
    pub fn live(&self, id: &AccountId) -> LiveAccount {
        self.read(id, Account::live)
    }

    /// Puts an account in place, whatever was there.
    pub fn put_account(
        &self,
        id: &AccountId,
        account: impl Into<Account>,
    ) -> Result<(), StoreError> {
        self.edit(id, |present| *present = account.into())
    }

    /// Changes an account behind the API's back and past all of its rules, as somebody in the dashboard or the vendor would.
    pub fn edit<T>(
        &self,
        id: &AccountId,
        edit: impl FnOnce(&mut Account) -> T,
    ) -> Result<T, StoreError> {
        let (serial, done) = self.change(id, |account, _| Ok::<_, StoreError>(edit(account)))?;
        self.keep(serial)?;
        Ok(done)
    }

    /// Makes an integration as somebody in the dashboard would: with an id and a time of its own, past all rules.
    pub fn create_in_dashboard(
        &self,
        id: &AccountId,
        settings: IntegrationSettings,
    ) -> Result<Integration, StoreError> {
        let (serial, created) = self.change(id, |account, stamp| {
            Ok::<_, StoreError>(account.add_integration(id, settings, stamp).clone())
        })?;
        self.keep(serial)?;
        Ok(created)
    }

    /// The audit log of an account, the oldest entry first, as the API would show it without delay and retention.
    pub fn audit_log(&self, id: &AccountId) -> Vec<Value> {
        let world = self.world();
        world
            .audit_log(id)
            .map(|entry| entry.shown.clone())
            .collect()
    }

    /// Adds an entry of any shape to an account's audit log, as the vendor might.
    pub fn log_entry(&self, id: &AccountId, time: Timestamp, shown: Value) {
        let mut world = self.0.world.write().expect(LOCK_POISONED);
        let serial = world.next_serial();
        world.log(
            id,
            LoggedEntry {
                serial,
                time,
                shown,
            },
        );
    }

    /// Whether the account was written to.
    fn knows(&self, id: &AccountId) -> bool {
        self.world().account(id).is_some()
    }

    fn read<T>(&self, id: &AccountId, read: impl FnOnce(&Account) -> T) -> T {
        let world = self.world();
        match world.account(id) {
            Some(account) => read(account),
            None => read(&self.0.seed.account(id)),
        }
    }

    /// Changes an account for a route, logs it, and returns once the change is on disk.
    async fn write<T>(
        &self,
        id: &AccountId,
        write: impl FnOnce(&mut Account, WriteContext) -> Result<T, ApiFailure>,
        entry: impl FnOnce(&T, WriteContext) -> Value,
    ) -> Result<T, ApiFailure> {
        let (serial, done) = {
            let mut world = self.0.world.write().expect(LOCK_POISONED);
            let (serial, stamp) = self.stamp(&mut world);
            let done = world.change(id, &self.0.seed, |account| write(account, stamp))?;
            let logged = LoggedEntry {
                serial,
                time: stamp.now,
                shown: entry(&done, stamp),
            };
            world.log(id, logged);
            (serial, done)
        };
        if self.0.store.is_some() {
            let sandbox = self.clone();
            tokio::task::spawn_blocking(move || sandbox.keep(serial))
                .await
                .expect("keeping the state does not panic, and nobody aborts it")
                .map_err(ApiFailure::NotKept)?;
        }
        Ok(done)
    }

    /// Changes an account in memory, and names the serial number of the change.
    fn change<T, E>(
        &self,
        id: &AccountId,
        change: impl FnOnce(&mut Account, WriteContext) -> Result<T, E>,
    ) -> Result<(u64, T), E> {
        let mut world = self.0.world.write().expect(LOCK_POISONED);
        let (serial, stamp) = self.stamp(&mut world);
        let done = world.change(id, &self.0.seed, |account| change(account, stamp))?;
        Ok((serial, done))
    }

    fn stamp(&self, world: &mut State) -> (u64, WriteContext) {
        let serial = world.next_serial();
        let Inner { ids, clock, .. } = &*self.0;
        let stamp = WriteContext {
            now: clock.now(),
            id: ids.nth(serial),
            reference: ids.nth(REFERENCES | serial),
            entry: ids.nth(ENTRIES | serial),
        };
        (serial, stamp)
    }

    fn keep(&self, serial: u64) -> Result<(), StoreError> {
        match &self.0.store {
            Some(store) => store.keep(serial, &self.0.world),
            None => Ok(()),
        }
    }

    fn count_request(&self, token: Option<&str>) -> Option<RateLimitStatus> {
        let mut limits = self
            .0
            .rate_limits
            .lock()
            .expect("nobody panics while counting");
        limits.count(self.0.settings.rate_limit, token, Instant::now())
    }

    /// Answers count apart from the world's serials, in ranges of their own, so that an answer never makes a write.
    fn next_answer(&self) -> ResponseIds {
        let number = self.0.answers.fetch_add(1, Ordering::Relaxed);
        let (ray, _) = self.0.ids.nth(RAYS | number).as_u64_pair();
        ResponseIds {
            audit_log_id: self.0.ids.nth(u64::MAX - number),
            ray: format!("{ray:016x}"),
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.clock.elapsed()
    }

    fn log(&self) -> &RequestLog {
        &self.0.log
    }

    fn world(&self) -> RwLockReadGuard<'_, State> {
        self.0.world.read().expect(LOCK_POISONED)
    }
}
