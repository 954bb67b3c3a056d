//! The state of the simulated accounts and the rules by which it changes. Knows no HTTP, no file and no clock: whatever time or id a
//! change needs is handed in.
//!
//! What holds for one kind of thing stands in that kind's file. A change that is refused has changed nothing.

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

/// Every account that somebody has written to. Any other one is as the seed has it, and takes no room.
#[derive(Debug, Default)]
pub(super) struct State {
    /// How many serial numbers were given out, so that no id is made twice, not even after a restart.
    serials: u64,
    accounts: BTreeMap<AccountId, Account>,
    /// Those that changed since somebody last asked.
    changed: BTreeSet<AccountId>,
    /// The audit log of each account, the newest entry last.
    logs: BTreeMap<AccountId, VecDeque<LoggedEntry>>,
    /// How many entries of each log came since somebody last asked.
    logged: BTreeMap<AccountId, usize>,
}

impl State {
    /// A world as it was kept; all of it counts as changed.
    pub(super) fn kept(
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

    /// The audit log of an account, the newest entry last.
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

    /// The last serial number that was given out. Every change takes one, so it says as well how new the world is.
    pub(super) fn serials(&self) -> u64 {
        self.serials
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// Changes an account. One that nobody has written to becomes part of the world only if the change succeeds.
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

    /// The entries that were logged since this was last asked.
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

    /// The accounts that changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = (AccountId, &Account)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|id| self.accounts.get(&id).map(|account| (id, account)))
    }
}

/// One simulated account: what the API can show and change, and the users that it can only show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Every behavior that the account offers.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
    /// Every integration.
    pub integrations: BTreeMap<IntegrationId, Integration>,
    /// Every user, those without a score included.
    pub users: BTreeMap<UserId, User>,
    /// What surrounds risk scoring.
    #[serde(default)]
    pub context: SandboxContext,
}

/// What surrounds risk scoring in an account, item by item as the API shows it. No route changes it.
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
    /// Whether an Access identity provider has this id.
    fn offers_identity_provider(&self, id: &str) -> bool {
        self.identity_providers
            .iter()
            .any(|provider| provider["id"] == id)
    }
}

impl Account {
    /// What a client that reads behaviors and integrations sees.
    pub fn live(&self) -> LiveAccount {
        LiveAccount::new(
            self.behaviors.clone(),
            self.integrations.values().cloned().collect(),
        )
    }
}

impl From<LiveAccount> for Account {
    /// An account without users or surroundings.
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

/// What the server adds to a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteContext {
    /// When it happens.
    pub(super) now: Timestamp,
    /// An id that nothing has yet.
    pub(super) id: Uuid,
    /// A reference that nothing has yet, for an integration that is written without one.
    pub(super) reference: Uuid,
    /// The id of the audit log's entry.
    pub(super) entry: Uuid,
}
