//! The simulated API: an axum router with all endpoints that riskform uses.
//!
//! A [`Sandbox`] is served on a socket, or its router is called in-process. In-process tests can pause the time, because all delays and
//! clocks are tokio's. The sandbox follows `schema/api.md`, and its [`Settings`] where that says *unknown*. It does not use riskform's
//! client. Start reading at `routes`. Each file uses only files above it in this table.
//!
//! | file | content |
//! | --- | --- |
//! | `settings` | settings |
//! | `response`, `body` | responses and errors; parsing of request bodies |
//! | `rate_limit` | rate limit per token |
//! | `audit_log` | entries of the audit log, and queries |
//! | `account` | state of an account, and the rules for changes |
//! | `store` | all accounts, in memory or in a file |
//! | `request` | latency, authentication and headers of every request; permissions of a route |
//! | `access` | routes of Access |
//! | `routes` | all routes |

mod access;
mod account;
mod audit_log;
mod body;
mod rate_limit;
mod request;
mod response;
mod routes;
mod settings;
mod store;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

pub use account::{Account, SandboxContext, User};
pub use audit_log::{ACTOR_HEADER, CONTEXT_HEADER, LogEntry};
pub use settings::{
    AcceptedReferences, BehaviorsPut, DEFAULT_TOKEN, Grant, Permission, RateLimit, Settings,
    TenantUrlForm, UnsetReference,
};
pub use store::StoreError;

use crate::model::account::{AccountId, LiveAccount};
use account::Stamp;
use rate_limit::{RateLimitStatus, RateLimits};
use store::Store;

/// Base path of all routes, as in the real API.
pub const BASE_PATH: &str = "/client/v4";

/// The recorded account.
pub const RECORDED_ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";

/// A simulated API. Clones share the state.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// Start time, in whole seconds, on the system's clock and on tokio's.
    start: (Timestamp, Instant),
    responses: AtomicU64,
    rate_limits: Mutex<RateLimits>,
    store: RwLock<Store>,
}

/// Message for a poisoned lock.
const LOCK_POISONED: &str = "no panic while the state is locked";

impl Sandbox {
    /// Creates a sandbox in memory.
    pub fn in_memory(settings: Settings) -> Self {
        Self::new(settings, Store::default())
    }

    /// Opens a sandbox stored in a file. The file is locked until the last clone is dropped, and created by the first change.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        Ok(Self::new(settings, Store::open(path)?))
    }

    fn new(settings: Settings, store: Store) -> Self {
        let now = Timestamp::now();
        Sandbox(Arc::new(Inner {
            start: (
                Timestamp::from_second(now.as_second()).unwrap_or(now),
                Instant::now(),
            ),
            responses: AtomicU64::new(0),
            rate_limits: Mutex::default(),
            store: RwLock::new(store),
            settings,
        }))
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns the state of an account. Accounts that were never written to have the initial state.
    pub fn account(&self, id: &AccountId) -> Account {
        self.read(id, Account::clone)
    }

    /// Returns the behaviors and integrations that a client reads.
    pub fn live(&self, id: &AccountId) -> LiveAccount {
        self.read(id, Account::live)
    }

    /// Changes an account directly, without the API's rules: an external change by a dashboard user or Cloudflare.
    pub fn edit<T>(
        &self,
        id: &AccountId,
        edit: impl FnOnce(&mut Account) -> T,
    ) -> Result<T, StoreError> {
        self.write(id, |account, _| Ok(edit(account)))
    }

    /// Returns the time in whole seconds, as in the recorded responses.
    pub fn now(&self) -> Timestamp {
        let (start, started) = self.0.start;
        let elapsed = started.elapsed().as_secs().try_into().unwrap_or(i64::MAX);
        start
            .saturating_add(SignedDuration::from_secs(elapsed))
            .unwrap_or(Timestamp::MAX)
    }

    fn read<T>(&self, id: &AccountId, read: impl FnOnce(&Account) -> T) -> T {
        self.0.store.read().expect(LOCK_POISONED).read(id, read)
    }

    /// Changes an account and stores it. If it cannot be stored, the change is not made.
    fn write<T, E: From<StoreError>>(
        &self,
        id: &AccountId,
        change: impl FnOnce(&mut Account, Stamp) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut store = self.0.store.write().expect(LOCK_POISONED);
        store.write(id, self.now(), change)
    }

    fn count_request(&self, token: Option<&str>) -> Option<RateLimitStatus> {
        let mut limits = self.0.rate_limits.lock().expect(LOCK_POISONED);
        limits.count(self.0.settings.rate_limit, token, Instant::now())
    }

    /// Returns the serial number of the next response. Reads do not change the state, so it is not stored.
    fn next_response(&self) -> u64 {
        self.0.responses.fetch_add(1, Ordering::Relaxed)
    }
}
