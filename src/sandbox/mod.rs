//! The simulated API: an in-memory axum router with all endpoints that riskform uses.
//!
//! A [`Sandbox`] is served on a socket, or its [`router`](Sandbox::router) is called in-process. In-process tests can pause the time, because
//! all delays and clocks are tokio's. The sandbox follows `schema/api.md`, and its [`Settings`] where that says *unknown*. It does not use
//! riskform's client.
//!
//! | file | content |
//! | --- | --- |
//! | `settings` | settings |
//! | `middleware` | latency, authentication (`auth`), `rate_limit`, headers, request log |
//! | `routes` | risk-scoring routes and their permissions |
//! | `context_routes` | routes of Access and the audit log |
//! | `ssf` | documents at `well_known_url`, which need no credentials |
//! | `body`, `paging`, `envelope`, `recorded_errors` | parsing of requests, formats of responses |
//! | `state` | state and its rules; `seed` is the initial state |
//! | `store` | file storage |
//! | `clock` | time and ids |

mod auth;
mod body;
mod clock;
mod context_routes;
mod envelope;
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

pub use middleware::{ACTOR_HEADER, CONTEXT_HEADER, ReceivedRequest};
pub use recorded_errors::RecordedError;
pub use seed::RECORDED_ACCOUNT;
pub use settings::{
    AcceptedReferences, AppPolicies, AuditLogSettings, BehaviorsPut, CursorPlace, DEFAULT_TOKEN,
    Entitlement, Grant, OmittedReference, Paging, ParseSettingError, Permission, Permissions,
    RateLimit, Settings, TenantUrlForm, UniqueKey, UnknownAccounts, UnsetReference,
};
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

/// Base path of all routes, as in the real API.
pub const BASE_PATH: &str = "/client/v4";

/// A simulated API. Clones share the state.
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

/// Start of the serial numbers for generated references; outside the ranges of IDs and responses.
const REFERENCES: u64 = 1 << 62;

/// The same for audit log entries and request IDs.
const ENTRIES: u64 = 1 << 61;
const RAYS: u64 = 1 << 60;

/// Message for a poisoned lock.
const LOCK_POISONED: &str = "no panic while the state is locked";

/// Request IDs of a response.
#[derive(Clone, Debug)]
struct ResponseIds {
    audit_log_id: Uuid,
    /// The hexadecimal part of its `cf-ray`.
    ray: String,
}

impl Sandbox {
    /// Creates a sandbox in memory.
    pub fn in_memory(settings: Settings) -> Self {
        Self::new(settings, State::default(), None)
    }

    /// Opens a sandbox stored in a file. The file is locked until the last clone is dropped, and created by the first change.
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

    /// Returns a router for the API, at [`BASE_PATH`].
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns all received requests, in order.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.log().requests()
    }

    /// Returns the state of an account. Accounts that were never written to have the initial state.
    pub fn account(&self, id: &AccountId) -> Account {
        self.read(id, Account::clone)
    }

    /// Returns the behaviors and integrations that a client reads.
    pub fn live(&self, id: &AccountId) -> LiveAccount {
        self.read(id, Account::live)
    }

    /// Sets the state of an account.
    pub fn put_account(
        &self,
        id: &AccountId,
        account: impl Into<Account>,
    ) -> Result<(), StoreError> {
        self.edit(id, |present| *present = account.into())
    }

    /// Changes an account directly, without the API's rules: an external change by a dashboard user or Cloudflare.
    pub fn edit<T>(
        &self,
        id: &AccountId,
        edit: impl FnOnce(&mut Account) -> T,
    ) -> Result<T, StoreError> {
        let (serial, done) = self.update(id, |account, _| Ok::<_, StoreError>(edit(account)))?;
        self.save(serial)?;
        Ok(done)
    }

    /// Creates an integration directly, with a new ID and time but without the API's rules, like a dashboard user.
    pub fn create_in_dashboard(
        &self,
        id: &AccountId,
        settings: IntegrationSettings,
    ) -> Result<Integration, StoreError> {
        let (serial, created) = self.update(id, |account, stamp| {
            Ok::<_, StoreError>(account.add_integration(id, settings, stamp).clone())
        })?;
        self.save(serial)?;
        Ok(created)
    }

    /// Returns the audit log of an account, oldest entry first, without delay and retention.
    pub fn audit_log(&self, id: &AccountId) -> Vec<Value> {
        let world = self.world();
        world
            .audit_log(id)
            .map(|entry| entry.shown.clone())
            .collect()
    }

    /// Adds an entry of any format to an account's audit log.
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

    /// Returns true if the account was written to.
    fn has_account(&self, id: &AccountId) -> bool {
        self.world().account(id).is_some()
    }

    fn read<T>(&self, id: &AccountId, read: impl FnOnce(&Account) -> T) -> T {
        let world = self.world();
        match world.account(id) {
            Some(account) => read(account),
            None => read(&self.0.seed.account(id)),
        }
    }

    /// Changes an account for a route, logs the change, and returns once it is stored.
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
            tokio::task::spawn_blocking(move || sandbox.save(serial))
                .await
                .expect("storing the state does not panic and is not aborted")
                .map_err(ApiFailure::NotSaved)?;
        }
        Ok(done)
    }

    /// Changes an account in memory and returns the serial number of the change.
    fn update<T, E>(
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

    fn save(&self, serial: u64) -> Result<(), StoreError> {
        match &self.0.store {
            Some(store) => store.save(serial, &self.0.world),
            None => Ok(()),
        }
    }

    fn count_request(&self, token: Option<&str>) -> Option<RateLimitStatus> {
        let mut limits = self.0.rate_limits.lock().expect("no panic while counting");
        limits.count(self.0.settings.rate_limit, token, Instant::now())
    }

    /// Returns the IDs of the next response. They use separate ranges of serial numbers, so that reads do not change the state.
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
