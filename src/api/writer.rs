//! What may be written. Only code that is given a writer can change an account.
//!
//! What fails is repeated where that does no harm (see [`RetrySettings`](super::RetrySettings)); what may have been carried out all
//! the same and does harm twice comes back as an ambiguous error, for the caller to look first.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::account::AccountId;
use crate::model::behavior::{self, BehaviorKey, BehaviorSettings};
use crate::model::integration::{self, Integration, IntegrationId, IntegrationSettings};
use crate::model::user::{self, UserId};

use super::call::{Answer, Call};
use super::connection::Connection;
use super::error::{ApiError, ErrorKind};
use super::operation::Operation;

/// The writing half of a connection.
#[derive(Clone, Debug)]
pub struct Writer(Connection);

#[derive(Deserialize)]
struct Behaviors {
    behaviors: BTreeMap<BehaviorKey, BehaviorSettings>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Writer(connection)
    }

    /// Writes behaviors. Give the complete map: what happens to keys left out is unknown (`contract.md`, Behaviors).
    /// Answers the behaviors after the write, perhaps more than were sent.
    ///
    /// Never repeated here: the map was laid over a read that is old by then. Where the error [`may_pass`](ApiError::may_pass), read again
    /// and write what that read asks for.
    pub async fn write_behaviors(
        &self,
        account: &AccountId,
        behaviors: &BTreeMap<BehaviorKey, BehaviorSettings>,
    ) -> Result<Answer<BTreeMap<BehaviorKey, BehaviorSettings>>, ApiError> {
        let call = Call {
            operation: Operation::WriteBehaviors,
            path: behavior::path(account),
            body: Some(behavior::write_body(behaviors)),
        };
        let answer = self.0.ask::<Behaviors>(&call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Creates an integration. It is active whatever the settings say (`contract.md`, Integrations).
    ///
    /// Never repeated here once it may have been carried out, which would make a second one. Where the error
    /// [`is_ambiguous`](ApiError::is_ambiguous), look for what it may have made.
    pub async fn create_integration(
        &self,
        account: &AccountId,
        settings: &IntegrationSettings,
    ) -> Result<Answer<Integration>, ApiError> {
        let call = Call {
            operation: Operation::CreateIntegration,
            path: integration::collection_path(account),
            body: Some(settings.create_body()),
        };
        self.0.ask(&call).await
    }

    /// Overwrites an integration's `tenant_url`, `reference_id` and `active`, all three.
    pub async fn update_integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
        settings: &IntegrationSettings,
    ) -> Result<Answer<Integration>, ApiError> {
        let call = Call {
            operation: Operation::UpdateIntegration,
            path: integration::path(account, id),
            body: Some(settings.update_body()),
        };
        self.0.ask(&call).await
    }

    /// Deletes an integration. One that is gone already, perhaps by an earlier attempt, is as good as deleted.
    pub async fn delete_integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<Answer<()>, ApiError> {
        let call = Call {
            operation: Operation::DeleteIntegration,
            path: integration::path(account, id),
            body: None,
        };
        match self.0.send::<IgnoredAny>(&call).await {
            Ok(answer) => Ok(answer.map(|_| ())),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(Answer {
                value: (),
                audit_log_id: error.audit_log_id().map(str::to_owned),
            }),
            Err(error) => Err(error),
        }
    }

    /// Clears a user's score. Never repeated here once it may have been carried out: it would clear what happened since.
    pub async fn reset_user(
        &self,
        account: &AccountId,
        id: UserId,
    ) -> Result<Answer<()>, ApiError> {
        let call = Call {
            operation: Operation::ResetUser,
            path: user::reset_path(account, id),
            body: None,
        };
        let answer = self.0.send::<IgnoredAny>(&call).await?;
        Ok(answer.map(|_| ()))
    }
}
