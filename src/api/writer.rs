//! What may be written. Only code that is given a writer can change an account.
//!
//! Every write needs [`SendPermit`] and goes out once; nothing is repeated here. Whoever asked for leave records the write before it is sent,
//! and decides with [`wait_to_repeat`](Writer::wait_to_repeat), after a look where one is due, whether it is sent again.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::model::account::AccountId;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings};
use crate::model::integration::{self, Integration, IntegrationId, IntegrationSettings};
use crate::model::user::{self, UserId};

use super::cancellation::{CancellationToken, Cancelled};
use super::client::{ApiRequest, ApiResponse, Client, DecodedResponse, RetryDecision, SendPermit};
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};

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
    pub fn stop(&self) -> &CancellationToken {
        self.0.stop()
    }

    /// Waits until one more request may be sent.
    pub async fn leave(&self) -> Result<SendPermit<'_>, Cancelled> {
        self.0.leave().await
    }

    /// Waits before a write that failed for the `attempt`-th time (counted from 1) is sent again, if it is to be.
    pub async fn wait_to_repeat(&self, attempt: u32, error: &ApiError) -> RetryDecision {
        self.0.wait_to_repeat(attempt, error).await
    }

    /// Writes behaviors. Give the complete map: what happens to keys left out is unknown (`schema/api.md`, Behaviors).
    /// Answers the behaviors after the write, perhaps more than were sent.
    ///
    /// Before it is sent again, read again: the map was laid over a read that is old by then.
    pub async fn write_behaviors(
        &self,
        leave: SendPermit<'_>,
        account: &AccountId,
        behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>,
    ) -> Result<ApiResponse<BTreeMap<BehaviorKey, BehaviorSettings>>, ApiError> {
        let path = behavior::path(account);
        let call = write(
            Endpoint::WriteBehaviors,
            path,
            Some(behavior::write_body(behaviors)),
        );
        let answer = self.send::<SettingsMap>(leave, &call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Creates an integration. It is active whatever the settings say (`schema/api.md`, Integrations).
    ///
    /// Where the error [`is_ambiguous`](ApiError::is_ambiguous), look for what it may have made.
    pub async fn create_integration(
        &self,
        leave: SendPermit<'_>,
        account: &AccountId,
        settings: &IntegrationSettings,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::collection_path(account);
        let body = settings.create_body();
        self.send(leave, &write(Endpoint::CreateIntegration, path, Some(body)))
            .await
    }

    /// Overwrites an integration's `tenant_url`, `reference_id` and `active`, all three.
    pub async fn update_integration(
        &self,
        leave: SendPermit<'_>,
        account: &AccountId,
        id: IntegrationId,
        settings: &IntegrationSettings,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::path(account, id);
        let body = settings.update_body();
        self.send(leave, &write(Endpoint::UpdateIntegration, path, Some(body)))
            .await
    }

    /// Deletes an integration. One that is gone already, perhaps by an earlier attempt, is as good as deleted.
    pub async fn delete_integration(
        &self,
        leave: SendPermit<'_>,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let call = write(
            Endpoint::DeleteIntegration,
            integration::path(account, id),
            None,
        );
        match self.0.send::<IgnoredAny>(leave, &call).await {
            Ok(opened) => Ok(confirmed(opened)),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(ApiResponse {
                value: (),
                trace: error.trace().clone(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Clears a user's score.
    pub async fn reset_user(
        &self,
        leave: SendPermit<'_>,
        account: &AccountId,
        id: UserId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let call = write(Endpoint::ResetUser, user::reset_path(account, id), None);
        let opened = self.0.send::<IgnoredAny>(leave, &call).await?;
        Ok(confirmed(opened))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        leave: SendPermit<'_>,
        call: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let opened = self.0.send(leave, call).await?;
        self.0.result(call, opened)
    }
}

/// An answer that holds nothing is a good one here.
fn confirmed<T>(opened: DecodedResponse<T>) -> ApiResponse<()> {
    ApiResponse {
        value: (),
        trace: opened.trace,
    }
}

fn write(operation: Endpoint, path: String, body: Option<serde_json::Value>) -> ApiRequest {
    ApiRequest {
        operation,
        path,
        body,
    }
}
