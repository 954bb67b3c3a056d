//! Read requests. Code with only a [`Reader`] cannot change an account.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{self, Behavior, BehaviorKey};
use crate::model::integration::{self, Integration, IntegrationId, ReferenceId};
use crate::model::malformed_is_default;
use crate::model::open_enum::{OpenEnum, string_enum};
use crate::model::user::{self, UserEvents, UserId, UserRisk};

use super::client::{ApiRequest, ApiResponse, Client};
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};
use super::pages::{Items, Paging};

/// Sends read requests.
#[derive(Clone)]
pub struct Reader(pub(super) Client);

#[derive(Deserialize)]
struct BehaviorMap {
    behaviors: BTreeMap<BehaviorKey, Behavior>,
}

#[derive(Default, Deserialize)]
struct Summary {
    #[serde(deserialize_with = "crate::model::null_is_default")]
    users: Vec<UserRisk>,
}

impl Client {
    /// Returns a reader that shares this client.
    pub fn reader(&self) -> Reader {
        Reader(self.clone())
    }
}

impl Reader {
    /// Reads an account's behaviors and integrations: exactly two requests, sent concurrently.
    pub async fn live_account(&self, account: &AccountId) -> Result<LiveAccount, ApiError> {
        // `join` instead of `try_join`: the reported error must not depend on which request fails first.
        let (behaviors, integrations) =
            tokio::join!(self.behaviors(account), self.integrations(account));
        Ok(LiveAccount::new(behaviors?, integrations?))
    }

    /// Reads all behaviors of the account.
    pub async fn behaviors(
        &self,
        account: &AccountId,
    ) -> Result<BTreeMap<BehaviorKey, Behavior>, ApiError> {
        let request = ApiRequest::new(Endpoint::ReadBehaviors, behavior::path(account));
        let response = self.get::<BehaviorMap>(&request).await?;
        Ok(response.value.behaviors)
    }

    /// Reads all integrations of the account, in the server's order.
    pub async fn integrations(&self, account: &AccountId) -> Result<Vec<Integration>, ApiError> {
        let path = integration::collection_path(account);
        let request = ApiRequest::new(Endpoint::ListIntegrations, path);
        let take = |page: &mut Vec<Integration>| items(page, |one| Some(one.id.to_string()));
        let list = (self.0).list(&request, Paging::Unpaged, Some(Vec::new), take);
        let list = list.await?;
        (self.0).check_account(&request, account, &list.items, &list.request_ids)?;
        Ok(list.items)
    }

    /// Reads one integration.
    pub async fn integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<Integration, ApiError> {
        let request = ApiRequest::new(Endpoint::ReadIntegration, integration::path(account, id));
        self.get_integration(&request, account, |live| live.id == id)
            .await
    }

    /// Reads the integration with a `reference_id`. Returns not found, without a request, if a path cannot contain the reference.
    pub async fn integration_by_reference(
        &self,
        account: &AccountId,
        reference: &ReferenceId,
    ) -> Result<Integration, ApiError> {
        let path = integration::reference_path(account, reference);
        let is_valid = path.is_some();
        let path = path.unwrap_or_else(|| integration::collection_path(account));
        let request = ApiRequest::new(Endpoint::ReadIntegrationByReference, path);
        if !is_valid {
            return Err(self.0.error(&request, ErrorKind::NotFound));
        }
        let has_reference = |live: &Integration| live.fields.reference_id() == Some(reference);
        self.get_integration(&request, account, has_reference).await
    }

    /// Sends a request for one integration, which must belong to the account.
    async fn get_integration(
        &self,
        request: &ApiRequest,
        account: &AccountId,
        is_expected: impl FnOnce(&Integration) -> bool,
    ) -> Result<Integration, ApiError> {
        let ApiResponse { value, request_ids } = self.get::<Integration>(request).await?;
        (self.0).check_account(request, account, std::slice::from_ref(&value), &request_ids)?;
        // A proxy may have rewritten the path, and adopting the wrong integration is worse than an error.
        if is_expected(&value) {
            return Ok(value);
        }
        let problem = format!("another integration, {}", value.id);
        Err((self.0).unexpected_response(request, problem, &request_ids))
    }

    /// Reads all users with a risk score.
    pub async fn users(&self, account: &AccountId) -> Result<Vec<UserRisk>, ApiError> {
        let request = ApiRequest::new(Endpoint::ListUsers, user::summary_path(account));
        let take = |page: &mut Summary| items(&mut page.users, |one| Some(one.user_id.to_string()));
        let list = (self.0).list(&request, Paging::Unpaged, Some(Summary::default), take);
        Ok(list.await?.items)
    }

    /// Reads a user's events and score.
    pub async fn user(&self, account: &AccountId, id: UserId) -> Result<UserEvents, ApiError> {
        let request = ApiRequest::new(Endpoint::ReadUser, user::path(account, id));
        let take = |page: &mut UserEvents| {
            items(&mut page.events, |one| {
                Some(one.id.clone()).filter(|id| !id.is_empty())
            })
        };
        let list = self.0.list(&request, Paging::Unpaged, None, take).await?;
        Ok(UserEvents {
            events: list.items,
            ..list.first
        })
    }

    /// Verifies the token as a user token, then as an account token, because each endpoint rejects the other kind. Returns the kind, too.
    ///
    /// # Errors
    /// [`Credentials`](super::ErrorKind::Credentials) if the API rejects the token.
    pub async fn verify_token(
        &self,
        account: &AccountId,
    ) -> Result<(&'static str, VerifiedToken), ApiError> {
        let verify = async |path| {
            let request = ApiRequest::new(Endpoint::VerifyToken, path);
            self.get::<VerifiedToken>(&request).await
        };
        let error = match verify("/user/tokens/verify".to_owned()).await {
            Ok(response) => return Ok(("user token", response.value)),
            Err(error) if error.concerns_all_requests() => return Err(error),
            Err(error) => error,
        };
        match verify(format!("/accounts/{account}/tokens/verify")).await {
            Ok(response) => Ok(("account token", response.value)),
            Err(_) => Err(error),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        self.0.result(request, self.0.read(request).await?)
    }
}

fn items<T>(page: &mut Vec<T>, id: fn(&T) -> Option<String>) -> Items<T> {
    let items = std::mem::take(page).into_iter();
    items.map(|item| (id(&item), item)).collect()
}

string_enum! {
    /// Status of an API token.
    TokenStatus {
        /// Usable.
        Active = "active",
        /// Disabled by its owner.
        Disabled = "disabled",
        /// Past its expiration date.
        Expired = "expired",
    }
}

/// Result of verifying a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedToken {
    /// ID of the token (not secret).
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub id: Option<String>,
    pub status: OpenEnum<TokenStatus>,
    /// End of validity; `None` if the token does not expire, or if it is unknown.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub expires_on: Option<Timestamp>,
}
