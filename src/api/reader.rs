//! What may be read. A reader has no way to write, so code that is given one cannot either.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{self, Behavior, BehaviorKey};
use crate::model::integration::{self, Integration, IntegrationId, ReferenceId};
use crate::model::user::{self, UserEvents, UserId, UserRisk};

use super::call::{Answer, Call};
use super::connection::Connection;
use super::error::ApiError;
use super::operation::Operation;
use super::token::{TokenOwner, VerifiedToken};

/// The reading half of a connection.
#[derive(Clone, Debug)]
pub struct Reader(Connection);

#[derive(Deserialize)]
struct Behaviors {
    behaviors: BTreeMap<BehaviorKey, Behavior>,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<UserRisk>,
}

impl Reader {
    pub(super) fn new(connection: Connection) -> Self {
        Reader(connection)
    }

    /// Everything that a plan for one account needs: exactly two reads, both in flight together.
    pub async fn live(&self, account: &AccountId) -> Result<LiveAccount, ApiError> {
        // Both to their ends: whichever failed first would be told otherwise, and that differs from run to run.
        let (behaviors, integrations) =
            tokio::join!(self.behaviors(account), self.integrations(account));
        Ok(LiveAccount::new(behaviors?.value, integrations?.value))
    }

    /// Every behavior that the account offers.
    pub async fn behaviors(
        &self,
        account: &AccountId,
    ) -> Result<Answer<BTreeMap<BehaviorKey, Behavior>>, ApiError> {
        let call = read(Operation::ReadBehaviors, behavior::path(account));
        let answer = self.0.ask::<Behaviors>(&call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Every integration of the account, in the server's order.
    pub async fn integrations(
        &self,
        account: &AccountId,
    ) -> Result<Answer<Vec<Integration>>, ApiError> {
        let path = integration::collection_path(account);
        self.0.ask(&read(Operation::ListIntegrations, path)).await
    }

    /// One integration.
    pub async fn integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<Answer<Integration>, ApiError> {
        let call = read(Operation::ReadIntegration, integration::path(account, id));
        let answer: Answer<Integration> = self.0.ask(&call).await?;
        if answer.value.id == id {
            Ok(answer)
        } else {
            let problem = format!("the integration {}", answer.value.id);
            Err(self.0.unexpected(&call, problem, answer.audit_log_id))
        }
    }

    /// The integration that holds a reference. One that no path can carry is not found, without a call.
    pub async fn integration_by_reference(
        &self,
        account: &AccountId,
        reference: &ReferenceId,
    ) -> Result<Answer<Integration>, ApiError> {
        const OPERATION: Operation = Operation::ReadIntegrationByReference;
        let Some(path) = integration::reference_path(account, reference) else {
            let call = read(OPERATION, integration::collection_path(account));
            return Err(self.0.not_found(&call));
        };
        let call = read(OPERATION, path);
        let answer: Answer<Integration> = self.0.ask(&call).await?;
        // Whatever stands between might have rewritten the path, and a wrong integration adopted is worse than none.
        if answer.value.settings.reference_id.as_ref() == Some(reference) {
            Ok(answer)
        } else {
            let problem = format!(
                "the integration {}, which holds another reference_id",
                answer.value.id
            );
            Err(self.0.unexpected(&call, problem, answer.audit_log_id))
        }
    }

    /// Every user who has a score.
    pub async fn users(&self, account: &AccountId) -> Result<Answer<Vec<UserRisk>>, ApiError> {
        let call = read(Operation::ListUsers, user::summary_path(account));
        let answer = self.0.ask::<Users>(&call).await?;
        Ok(answer.map(|result| result.users))
    }

    /// One user's events and score.
    pub async fn user(
        &self,
        account: &AccountId,
        id: UserId,
    ) -> Result<Answer<UserEvents>, ApiError> {
        self.0
            .ask(&read(Operation::ReadUser, user::path(account, id)))
            .await
    }

    /// What the API says about the token that this reader uses. One that it does not accept is a
    /// [`Credentials`](super::ErrorKind::Credentials) error.
    pub async fn verify_token(
        &self,
        owner: TokenOwner<'_>,
    ) -> Result<Answer<VerifiedToken>, ApiError> {
        self.0
            .ask(&read(Operation::VerifyToken, owner.verify_path()))
            .await
    }
}

fn read(operation: Operation, path: String) -> Call {
    Call {
        operation,
        path,
        body: None,
    }
}
