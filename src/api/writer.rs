//! Write requests. Only code with a [`Writer`] can change an account.
//!
//! Every write needs a [`SendPermit`] and is sent once. The caller records the write before sending it, and uses
//! [`wait_before_retry`](Client::wait_before_retry) to decide on a retry, after reading the live state if necessary.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::model::account::AccountId;
use crate::model::behavior::{self, BehaviorKey};
use crate::model::field::Fields;
use crate::model::integration::{self, Integration, IntegrationId};
use crate::model::user::{self, UserId};

use super::client::{ApiRequest, ApiResponse, Client};
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};
use super::rate_limiter::SendPermit;

/// Sends write requests.
#[derive(Clone)]
pub struct Writer(Client);

#[derive(Deserialize)]
struct SettingsMap {
    behaviors: BTreeMap<BehaviorKey, Fields>,
}

impl Client {
    /// Returns a writer that shares this client.
    pub fn writer(&self) -> Writer {
        Writer(self.clone())
    }
}

impl Writer {
    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.0
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
        behaviors: &BTreeMap<BehaviorKey, Fields>,
    ) -> Result<ApiResponse<()>, ApiError> {
        let request = ApiRequest {
            body: Some(behavior::write_body(behaviors)),
            ..ApiRequest::new(Endpoint::WriteBehaviors, behavior::path(account))
        };
        let response = self.send::<SettingsMap>(permit, &request).await?;
        let mut sent = behaviors.iter();
        let differs =
            sent.find(|(key, settings)| response.value.behaviors.get(key) != Some(settings));
        let problem = differs.map(|(key, _)| format!("behavior {key} is not as sent"));
        Ok(self.confirmed(&request, response, problem)?.map(drop))
    }

    /// Creates an integration, which is always active (`schema/api.md`, Integrations).
    ///
    /// If the error [`may_have_succeeded`](ApiError::may_have_succeeded), look for the integration before a retry. A response with the
    /// integration of another account is such an error.
    pub async fn create_integration(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        fields: &Fields,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::collection_path(account);
        let request = ApiRequest {
            body: Some(fields.create_body()),
            ..ApiRequest::new(Endpoint::CreateIntegration, path)
        };
        self.send_integration(permit, &request, account).await
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
        fields: &Fields,
        mismatch: impl FnOnce(&Fields) -> Option<String>,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let path = integration::path(account, id);
        let request = ApiRequest {
            body: Some(fields.update_body()),
            ..ApiRequest::new(Endpoint::UpdateIntegration, path)
        };
        let response = self.send_integration(permit, &request, account).await?;
        let problem = match response.value.id == id {
            true => mismatch(&response.value.fields),
            false => Some(format!("the integration {}", response.value.id)),
        };
        self.confirmed(&request, response, problem)
    }

    /// Deletes an integration. Succeeds if it no longer exists, perhaps because of an earlier attempt.
    pub async fn delete_integration(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let path = integration::path(account, id);
        let request = ApiRequest::new(Endpoint::DeleteIntegration, path);
        match self.0.send::<IgnoredAny>(permit, &request).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(ApiResponse {
                value: (),
                request_ids: error.request_ids.clone(),
            }),
            sent => Ok(sent?.map(drop)),
        }
    }

    /// Resets a user's score.
    pub async fn reset_user(
        &self,
        permit: SendPermit<'_>,
        account: &AccountId,
        id: UserId,
    ) -> Result<ApiResponse<()>, ApiError> {
        let request = ApiRequest::new(Endpoint::ResetUser, user::reset_path(account, id));
        let sent = self.0.send::<IgnoredAny>(permit, &request).await?;
        Ok(sent.map(drop))
    }

    fn confirmed<T>(
        &self,
        request: &ApiRequest,
        response: ApiResponse<T>,
        problem: Option<String>,
    ) -> Result<ApiResponse<T>, ApiError> {
        let Some(problem) = problem else {
            return Ok(response);
        };
        let problem = format!("a response that differs from the request: {problem}");
        Err((self.0).unexpected_response(request, problem, &response.request_ids))
    }

    /// Sends a write whose response is an integration of the account.
    async fn send_integration(
        &self,
        permit: SendPermit<'_>,
        request: &ApiRequest,
        account: &AccountId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let response = self.send(permit, request).await?;
        let integration = std::slice::from_ref(&response.value);
        (self.0).check_account(request, account, integration, &response.request_ids)?;
        Ok(response)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        permit: SendPermit<'_>,
        request: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let response = self.0.send(permit, request).await?;
        self.0.result(request, response)
    }
}
