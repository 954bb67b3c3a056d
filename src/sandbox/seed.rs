//! The initial state: recorded responses of the real API, and a few invented users.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::state::{Account, SandboxContext, User};
use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{Behavior, BehaviorKey};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::user::UserId;

/// The recorded account.
pub const RECORDED_ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";

/// Initial state of an account.
#[derive(Debug)]
pub(super) struct Seed(Account);

impl Seed {
    /// Reads the built-in state.
    pub(super) fn recorded() -> Self {
        let behaviors: Envelope<Behaviors> = built_in(include_str!("recordings/behaviors.json"));
        let integrations: Envelope<Vec<Integration>> =
            built_in(include_str!("recordings/integrations.json"));
        let items = |text| built_in::<Envelope<Vec<Value>>>(text).result;
        let context = SandboxContext {
            policies: items(include_str!("recordings/access_policies_risk.json")),
            groups: items(include_str!("recordings/access_groups_risk.json")),
            apps: items(include_str!("recordings/access_apps_risk.json")),
            identity_providers: items(include_str!("recordings/identity_providers_okta.json")),
        };
        let users: BTreeMap<UserId, User> = built_in(include_str!("seed/users.json"));
        let live = LiveAccount::new(behaviors.result.behaviors, integrations.result);
        Seed(Account {
            users,
            context,
            ..Account::from(live)
        })
    }

    pub(super) fn has_integration(&self, id: IntegrationId) -> bool {
        self.0.integrations.contains_key(&id)
    }

    /// Returns the initial state with this account's own IDs.
    pub(super) fn account(&self, id: &AccountId) -> Account {
        let mut account = self.0.clone();
        for integration in account.integrations.values_mut() {
            integration.account_tag = id.to_string();
        }
        account
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: T,
}

#[derive(Deserialize)]
struct Behaviors {
    behaviors: BTreeMap<BehaviorKey, Behavior>,
}

fn built_in<T: for<'de> Deserialize<'de>>(text: &str) -> T {
    serde_json::from_str(text).expect("the built-in starting state is read by a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_account_starts_as_recorded() {
        let id: AccountId = RECORDED_ACCOUNT.parse().unwrap();
        let account = Seed::recorded().account(&id);
        let words: Vec<_> = account
            .behaviors
            .iter()
            .map(|(key, behavior)| {
                format!(
                    "{key} {} {}",
                    behavior.settings.enabled, behavior.settings.risk_level
                )
            })
            .collect();
        assert_eq!(
            words,
            [
                "high_dlp true medium",
                "imp_travel true high",
                "sentinel_one false medium"
            ]
        );
        assert!(
            account
                .integrations
                .values()
                .all(|one| one.account_tag == RECORDED_ACCOUNT)
        );
        assert_eq!((account.integrations.len(), account.users.len()), (1, 5));
    }
}
