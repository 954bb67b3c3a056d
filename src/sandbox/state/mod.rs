//! The state of the simulated accounts and the rules for changes. Independent of HTTP, files and clocks: times and IDs are parameters.
//!
//! Each kind of resource has its own file. A rejected change leaves the state unchanged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{Behavior, BehaviorKey};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::user::UserId;

pub(super) mod audit_log;
pub(super) mod behaviors;
pub(super) mod integrations;
pub(super) mod users;

pub use users::User;

use super::seed::Seed;
use audit_log::{LoggedEntry, MAX_AUDIT_ENTRIES};

/// Accounts that were written to. All others have the initial state and are not stored.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Number of used serial numbers, so that IDs stay unique even after a restart.
    serials: u64,
    accounts: BTreeMap<AccountId, Account>,
    /// Accounts changed since the last [`take_changed`](State::take_changed).
    changed: BTreeSet<AccountId>,
    /// The audit log of each account, the newest entry last.
    logs: BTreeMap<AccountId, VecDeque<LoggedEntry>>,
    /// Number of entries per log since the last [`take_logged`](State::take_logged).
    logged: BTreeMap<AccountId, usize>,
}

impl State {
    /// Restores a stored state; all accounts count as changed.
    pub(super) fn from_saved(
        serials: u64,
        accounts: BTreeMap<AccountId, Account>,
        logs: BTreeMap<AccountId, VecDeque<LoggedEntry>>,
    ) -> Self {
        State {
            serials,
            changed: accounts.keys().cloned().collect(),
            accounts,
            logged: logs
                .iter()
                .map(|(id, log)| (id.clone(), log.len()))
                .collect(),
            logs,
        }
    }

    /// Returns the audit log of an account, newest entry last.
    pub(super) fn audit_log(
        &self,
        id: &AccountId,
    ) -> impl DoubleEndedIterator<Item = &LoggedEntry> {
        self.logs.get(id).into_iter().flatten()
    }

    /// Adds an entry to an account's audit log.
    pub(super) fn log(&mut self, id: &AccountId, entry: LoggedEntry) {
        let log = self.logs.entry(id.clone()).or_default();
        log.push_back(entry);
        if log.len() > MAX_AUDIT_ENTRIES {
            log.pop_front();
        }
        *self.logged.entry(id.clone()).or_default() += 1;
    }

    pub(super) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub(super) fn holds_integration(&self, id: IntegrationId) -> bool {
        let mut accounts = self.accounts.values();
        accounts.any(|account| account.integrations.contains_key(&id))
    }

    /// Returns the last used serial number. Every change uses one, so it also identifies the version of the state.
    pub(super) fn last_serial(&self) -> u64 {
        self.serials
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// Changes an account. An account that was never written to is stored only if the change succeeds.
    pub(super) fn change<T, E>(
        &mut self,
        id: &AccountId,
        seed: &Seed,
        change: impl FnOnce(&mut Account) -> Result<T, E>,
    ) -> Result<T, E> {
        let done = match self.accounts.get_mut(id) {
            Some(account) => change(account)?,
            None => {
                let mut account = seed.account(id);
                let done = change(&mut account)?;
                self.accounts.insert(id.clone(), account);
                done
            }
        };
        self.changed.insert(id.clone());
        Ok(done)
    }

    /// Returns the entries logged since the last call.
    pub(super) fn take_logged(
        &mut self,
    ) -> impl Iterator<Item = (AccountId, impl Iterator<Item = &LoggedEntry>)> {
        let logged = std::mem::take(&mut self.logged).into_iter();
        logged.filter_map(|(id, fresh)| {
            let log = self.logs.get(&id)?;
            let elder = log.len().saturating_sub(fresh);
            Some((id, log.range(elder..)))
        })
    }

    /// Returns the accounts changed since the last call.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = (AccountId, &Account)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|id| self.accounts.get(&id).map(|account| (id, account)))
    }
}

/// A simulated account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// All behaviors.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
    /// All integrations.
    pub integrations: BTreeMap<IntegrationId, Integration>,
    /// All users, including those without a score.
    pub users: BTreeMap<UserId, User>,
    /// Access resources.
    #[serde(default)]
    pub context: SandboxContext,
}

/// Access resources of an account, as the API shows them. Read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxContext {
    /// The reusable Access policies.
    pub policies: Vec<Value>,
    /// The Access groups.
    pub groups: Vec<Value>,
    /// The Access applications, each with its policies.
    pub apps: Vec<Value>,
    /// The Access identity providers.
    pub identity_providers: Vec<Value>,
}

impl SandboxContext {
    /// Returns true if an Access identity provider has this ID.
    fn offers_identity_provider(&self, id: &str) -> bool {
        self.identity_providers
            .iter()
            .any(|provider| provider["id"] == id)
    }
}

impl Account {
    /// Returns the behaviors and integrations that a client reads.
    pub fn live(&self) -> LiveAccount {
        LiveAccount::new(
            self.behaviors.clone(),
            self.integrations.values().cloned().collect(),
        )
    }
}

impl From<LiveAccount> for Account {
    /// Creates an account without users or Access resources.
    fn from(
        LiveAccount {
            behaviors,
            integrations,
        }: LiveAccount,
    ) -> Self {
        Account {
            behaviors,
            integrations: integrations
                .into_iter()
                .map(|integration| (integration.id, integration))
                .collect(),
            ..Account::default()
        }
    }
}

/// Values that the server adds to a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteContext {
    /// Time of the change.
    pub(super) now: Timestamp,
    /// A new ID.
    pub(super) id: Uuid,
    /// A new reference, for an integration without one.
    pub(super) reference: Uuid,
    /// ID of the audit log entry.
    pub(super) entry: Uuid,
}
