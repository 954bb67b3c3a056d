//! Write requests. Only code with a [`Writer`] can change an account.
//!
//! Every write needs a [`SendPermit`] and is sent once. The caller records the write before sending it, and uses
//! [`wait_before_retry`](Client::wait_before_retry) to decide on a retry, after reading the live state if necessary.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

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

/// A write.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteRequest {
    /// Writes the complete map of behaviors, based on a read. The effect on missing keys is unknown (`schema/api.md`, Behaviors).
    Behaviors(BTreeMap<BehaviorKey, Fields>),
    /// Creates an integration, which is always active (`schema/api.md`, Integrations).
    Create(Fields),
    /// Overwrites `tenant_url`, `reference_id` and `active` of an integration.
    Update(IntegrationId, Fields),
    /// Deletes an integration. Succeeds if it no longer exists, perhaps because of an earlier attempt.
    Delete(IntegrationId),
    /// Resets a user's score.
    Reset(UserId),
}

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

    /// Sends a write, and returns the integration in the response. `mismatch` describes how an updated integration differs from the fields
    /// that were sent.
    ///
    /// # Errors
    ///
    /// A response of another account, or one that differs from the request, is an error that
    /// [`may_have_succeeded`](ApiError::may_have_succeeded). The caller compares a created integration.
    pub async fn send(
        &self,
        permit: SendPermit,
        account: &AccountId,
        write: &WriteRequest,
        mismatch: impl FnOnce(&Fields, &Fields) -> Option<String>,
    ) -> Result<ApiResponse<Option<Integration>>, ApiError> {
        let (endpoint, path, body) = match write {
            WriteRequest::Behaviors(sent) => {
                let body = behavior::write_body(sent);
                (
                    Endpoint::WriteBehaviors,
                    behavior::path(account),
                    Some(body),
                )
            }
            WriteRequest::Create(sent) => {
                let path = integration::collection_path(account);
                (Endpoint::CreateIntegration, path, Some(sent.create_body()))
            }
            WriteRequest::Update(id, sent) => {
                let path = integration::path(account, *id);
                (Endpoint::UpdateIntegration, path, Some(sent.update_body()))
            }
            WriteRequest::Delete(id) => (
                Endpoint::DeleteIntegration,
                integration::path(account, *id),
                None,
            ),
            WriteRequest::Reset(id) => (Endpoint::ResetUser, user::reset_path(account, *id), None),
        };
        let request = ApiRequest {
            endpoint,
            path,
            body,
        };
        let (value, request_ids, problem) = match write {
            WriteRequest::Behaviors(sent) => {
                let response = self.0.send::<SettingsMap>(permit, &request).await?;
                let ApiResponse { value, request_ids } = self.0.result(&request, response)?;
                let differs = sent
                    .iter()
                    .find(|(key, fields)| value.behaviors.get(key) != Some(fields));
                let problem = differs.map(|(key, _)| format!("behavior {key} is not as sent"));
                (None, request_ids, problem)
            }
            WriteRequest::Create(_) | WriteRequest::Update(..) => {
                let response = self.0.send::<Integration>(permit, &request).await?;
                let ApiResponse { value, request_ids } = self.0.result(&request, response)?;
                (self.0).check_account(
                    &request,
                    account,
                    std::slice::from_ref(&value),
                    &request_ids,
                )?;
                let problem = match write {
                    WriteRequest::Update(id, _) if value.id != *id => {
                        Some(format!("the integration {}", value.id))
                    }
                    WriteRequest::Update(_, sent) => mismatch(&value.fields, sent),
                    _ => None,
                };
                (Some(value), request_ids, problem)
            }
            WriteRequest::Delete(_) | WriteRequest::Reset(_) => {
                let is_delete = endpoint == Endpoint::DeleteIntegration;
                let request_ids = match self.0.send::<IgnoredAny>(permit, &request).await {
                    Ok(response) => response.request_ids,
                    Err(error) if is_delete && error.kind == ErrorKind::NotFound => {
                        error.request_ids.clone()
                    }
                    Err(error) => return Err(error),
                };
                (None, request_ids, None)
            }
        };
        match problem {
            None => Ok(ApiResponse { value, request_ids }),
            Some(problem) => {
                let problem = format!("a response that differs from the request: {problem}");
                Err((self.0).unexpected_response(&request, problem, &request_ids))
            }
        }
    }
}
