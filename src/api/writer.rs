//! What may be written. Only code that is given a writer can change an account.
//!
//! Every write needs [`Leave`] and goes out once; nothing is repeated here. Whoever asked for leave records the write before it is sent,
//! and decides with [`wait_to_repeat`](Writer::wait_to_repeat), after a look where one is due, whether it is sent again.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::model::account::AccountId;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings};
use crate::model::integration::{self, Integration, IntegrationId, IntegrationSettings};
use crate::model::user::{self, UserId};

use super::client::{Answer, Call, Client, Leave, Opened, Repeat};
use super::error::{ApiError, ErrorKind};
use super::operation::Operation;
use super::stop::{Stop, Stopped};

/// The writing half of a client.
#[derive(Clone, Debug)]
pub struct Writer(Client);

#[derive(Deserialize)]
struct SettingsMap {
    behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
}

impl Client {
    /// What may only write.
    pub fn writer(&self) -> Writer {
        Writer(self.clone())
    }
}

impl Writer {
    /// The wish that ends every wait of this writer's client.
    pub fn stop(&self) -> &Stop {
        self.0.stop()
    }

    /// Waits until one more request may be sent.
    pub async fn leave(&self) -> Result<Leave<'_>, Stopped> {
        self.0.leave().await
    }

    /// Waits before a write that failed for the `attempt`-th time (counted from 1) is sent again, if it is to be.
    pub async fn wait_to_repeat(&self, attempt: u32, error: &ApiError) -> Repeat {
        self.0.wait_to_repeat(attempt, error).await
    }

    /// Writes behaviors. Give the complete map: what happens to keys left out is unknown (`contract.md`, Behaviors).
    /// Answers the behaviors after the write, perhaps more than were sent.
    ///
    /// Before it is sent again, read again: the map was laid over a read that is old by then.
    pub async fn write_behaviors(
        &self,
        leave: Leave<'_>,
        account: &AccountId,
        behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>,
    ) -> Result<Answer<BTreeMap<BehaviorKey, BehaviorSettings>>, ApiError> {
        let path = behavior::path(account);
        let call = write(
            Operation::WriteBehaviors,
            path,
            Some(behavior::write_body(behaviors)),
        );
        let answer = self.send::<SettingsMap>(leave, &call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Creates an integration. It is active whatever the settings say (`contract.md`, Integrations).
    ///
    /// Where the error [`is_ambiguous`](ApiError::is_ambiguous), look for what it may have made.
    pub async fn create_integration(
        &self,
        leave: Leave<'_>,
        account: &AccountId,
        settings: &IntegrationSettings,
    ) -> Result<Answer<Integration>, ApiError> {
        let path = integration::collection_path(account);
        let body = settings.create_body();
        self.send(
            leave,
            &write(Operation::CreateIntegration, path, Some(body)),
        )
        .await
    }

    /// Overwrites an integration's `tenant_url`, `reference_id` and `active`, all three.
    pub async fn update_integration(
        &self,
        leave: Leave<'_>,
        account: &AccountId,
        id: IntegrationId,
        settings: &IntegrationSettings,
    ) -> Result<Answer<Integration>, ApiError> {
        let path = integration::path(account, id);
        let body = settings.update_body();
        self.send(
            leave,
            &write(Operation::UpdateIntegration, path, Some(body)),
        )
        .await
    }

    /// Deletes an integration. One that is gone already, perhaps by an earlier attempt, is as good as deleted.
    pub async fn delete_integration(
        &self,
        leave: Leave<'_>,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<Answer<()>, ApiError> {
        let call = write(
            Operation::DeleteIntegration,
            integration::path(account, id),
            None,
        );
        match self.0.send::<IgnoredAny>(leave, &call).await {
            Ok(opened) => Ok(confirmed(opened)),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(Answer {
                value: (),
                trace: error.trace().clone(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Clears a user's score.
    pub async fn reset_user(
        &self,
        leave: Leave<'_>,
        account: &AccountId,
        id: UserId,
    ) -> Result<Answer<()>, ApiError> {
        let call = write(Operation::ResetUser, user::reset_path(account, id), None);
        let opened = self.0.send::<IgnoredAny>(leave, &call).await?;
        Ok(confirmed(opened))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        leave: Leave<'_>,
        call: &Call,
    ) -> Result<Answer<T>, ApiError> {
        let opened = self.0.send(leave, call).await?;
        self.0.result(call, opened)
    }
}

/// An answer that holds nothing is a good one here.
fn confirmed<T>(opened: Opened<T>) -> Answer<()> {
    Answer {
        value: (),
        trace: opened.trace,
    }
}

fn write(operation: Operation, path: String, body: Option<serde_json::Value>) -> Call {
    Call {
        operation,
        path,
        body,
    }
}
