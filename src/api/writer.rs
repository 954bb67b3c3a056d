//! Write requests. Only code with a [`Writer`] can change an account.
//!
//! Every write needs a [`SendPermit`] and is sent once. The caller records the write before sending it, and uses
//! [`wait_before_retry`](Writer::wait_before_retry) to decide on a retry, after reading the live state if necessary.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::model::account::AccountId;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings};
use crate::model::integration::{self, Integration, IntegrationId, IntegrationSettings};
use crate::model::user::{self, UserId};

use super::cancellation::CancellationToken;
use super::client::{
    ApiRequest, ApiResponse, Attempts, Client, DecodedResponse, NoPermit, RetryDecision, SendPermit,
};
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};

/// Sends write requests.
#[derive(Clone, Debug)]
pub struct Writer(Client);

#[derive(Deserialize)]
struct SettingsMap {
    behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
}

impl Client {
    /// Returns a writer that shares this client.
    pub fn writer(&self) -> Writer {
        Writer(self.clone())
    }
}

impl Writer {
    /// Returns the cancellation token of the client.
    pub fn cancellation(&self) -> &CancellationToken {
        self.0.stop()
    }

    /// Waits until the next request may be sent.
    pub async fn acquire_permit(
        &self,
        attempts: &mut Attempts,
    ) -> Result<SendPermit<'_>, NoPermit> {
        self.0.acquire_permit(attempts).await
    }

    /// Decides whether to retry a failed write, and waits before the retry.
    pub async fn wait_before_retry(
        &self,
        attempts: &mut Attempts,
        error: &ApiError,
    ) -> RetryDecision {
        self.0.wait_before_retry(attempts, error).await
    }

    /// Writes the complete map of behaviors. The effect on missing keys is unknown (`schema/api.md`, Behaviors).
    ///
    /// Read the behaviors again before a retry: the map is based on an earlier read.
    ///
    /// # Errors
    ///
    /// A response without one of the values that were sent is an error that [`may_have_succeeded`](ApiError::may_have_succeeded).
    pub async fn write_behaviors(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>,
    ) -> Result<ApiResponse<()>, ApiError> {
        let call = ApiRequest::new(Endpoint::WriteBehaviors, behavior::path(account))
            .with_body(behavior::write_body(behaviors));
        let answer = self.send::<SettingsMap>(permit, &call).await?;
        let mut sent = behaviors.iter();
        let differs =
            sent.find(|(key, settings)| answer.value.behaviors.get(key) != Some(settings));
        let problem = differs.map(|(key, _)| format!("behavior {key} is not as sent"));
        Ok(self.confirmed(&call, answer, problem)?.map(drop))
    }

    /// Creates an integration, which is always active (`schema/api.md`, Integrations).
    ///
    /// If the error [`may_have_succeeded`](ApiError::may_have_succeeded), look for the integration before a retry. A response with the
    /// integration of another account is such an error.
    pub async fn create_integration(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        settings: &IntegrationSettings,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::collection_path(account);
        let call =
            ApiRequest::new(Endpoint::CreateIntegration, path).with_body(settings.create_body());
        self.send_integration(permit, &call, account).await
    }

    /// Overwrites `tenant_url`, `reference_id` and `active` of an integration. `mismatch` describes how the response differs from
    /// the request.
    ///
    /// # Errors
    ///
    /// A response that differs is an error that [`may_have_succeeded`](ApiError::may_have_succeeded).
    pub async fn update_integration(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        id: IntegrationId,
        settings: &IntegrationSettings,
        mismatch: impl FnOnce(&IntegrationSettings) -> Option<String>,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::path(account, id);
        let call =
            ApiRequest::new(Endpoint::UpdateIntegration, path).with_body(settings.update_body());
        let answer = self.send_integration(permit, &call, account).await?;
        let problem = match answer.value.id == id {
            true => mismatch(&answer.value.settings),
            false => Some(format!("the integration {}", answer.value.id)),
        };
        self.confirmed(&call, answer, problem)
    }

    /// Deletes an integration. Succeeds if it no longer exists, perhaps because of an earlier attempt.
    pub async fn delete_integration(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let path = integration::path(account, id);
        let call = ApiRequest::new(Endpoint::DeleteIntegration, path);
        match self.send_ignoring_result(permit, &call).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(ApiResponse {
                value: (),
                trace: error.request_ids().clone(),
            }),
            sent => sent,
        }
    }

    /// Resets a user's score.
    pub async fn reset_user(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        id: UserId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let call = ApiRequest::new(Endpoint::ResetUser, user::reset_path(account, id));
        self.send_ignoring_result(permit, &call).await
    }

    fn confirmed<T>(
        &self,
        call: &ApiRequest,
        answer: ApiResponse<T>,
        problem: Option<String>,
    ) -> Result<ApiResponse<T>, ApiError> {
        match problem {
            None => Ok(answer),
            Some(problem) => {
                let problem = format!("a response that differs from the request: {problem}");
                Err(self.0.unexpected_response(call, problem, answer.trace))
            }
        }
    }

    /// Sends a write whose response is an integration of the account.
    async fn send_integration(
        &self,
        permit: SendPermit<'_>,
        call: &ApiRequest,
        account: &AccountId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let answer = self.send(permit, call).await?;
        let integration = std::slice::from_ref(&answer.value);
        (self.0).check_account(call, account, integration, &answer.trace)?;
        Ok(answer)
    }

    async fn send_ignoring_result(
        &self,
        permit: SendPermit<'_>,
        call: &ApiRequest,
    ) -> Result<ApiResponse<()>, ApiError> {
        let DecodedResponse { trace, .. } = self.0.send::<IgnoredAny>(permit, call).await?;
        Ok(ApiResponse { value: (), trace })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        permit: SendPermit<'_>,
        call: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let opened = self.0.send(permit, call).await?;
        self.0.result(call, opened)
    }
}
