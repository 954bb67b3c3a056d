//! The state of the simulated accounts and the rules by which it changes. Knows no HTTP, no file and no clock: whatever time or id a
//! change needs is handed in.
//!
//! What holds for one kind of thing stands in that kind's file. A change that is refused has changed nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{Behavior, BehaviorKey};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::user::UserId;

pub(super) mod behaviors;
pub(super) mod integrations;
pub(super) mod users;

pub use users::User;

use super::seed::Seed;

/// Every account that somebody has written to. Any other one is as the seed has it, and takes no room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct World {
    /// How many serial numbers were given out, so that no id is made twice, not even after a restart.
    serials: u64,
    accounts: BTreeMap<AccountId, Account>,
}

impl World {
    pub(super) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    pub(super) fn put_account(&mut self, id: &AccountId, account: Account) {
        self.accounts.insert(id.clone(), account);
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
        if let Some(account) = self.accounts.get_mut(id) {
            return change(account);
        }
        let mut account = seed.account(id);
        let done = change(&mut account)?;
        self.put_account(id, account);
        Ok(done)
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
    /// An account without users.
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
            users: BTreeMap::new(),
        }
    }
}

/// What the server adds to a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// When it happens.
    pub(super) now: Timestamp,
    /// An id that nothing has yet.
    pub(super) id: Uuid,
}
