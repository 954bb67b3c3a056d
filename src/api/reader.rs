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
use crate::model::user::{self, RiskEvent, UserEvents, UserId, UserRisk};

use super::client::{ApiRequest, ApiResponse, Client};
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::pages::{Page, Paging};

/// Sends read requests.
#[derive(Clone, Debug)]
pub struct Reader(Client);

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
        Ok(LiveAccount::new(behaviors?.value, integrations?.value))
    }

    /// Reads all behaviors of the account.
    pub async fn behaviors(
        &self,
        account: &AccountId,
    ) -> Result<ApiResponse<BTreeMap<BehaviorKey, Behavior>>, ApiError> {
        let request = ApiRequest::new(Endpoint::ReadBehaviors, behavior::path(account));
        let response = self.get::<BehaviorMap>(&request).await?;
        Ok(response.map(|result| result.behaviors))
    }

    /// Reads all integrations of the account, in the server's order.
    pub async fn integrations(
        &self,
        account: &AccountId,
    ) -> Result<ApiResponse<Vec<Integration>>, ApiError> {
        let path = integration::collection_path(account);
        let request = ApiRequest::new(Endpoint::ListIntegrations, path.clone());
        let response: ApiResponse<Vec<Integration>> =
            self.get_all_pages(Endpoint::ListIntegrations, path).await?;
        (self.0).check_account(&request, account, &response.value, &response.request_ids)?;
        Ok(response)
    }

    /// Reads one integration.
    pub async fn integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let request = ApiRequest::new(Endpoint::ReadIntegration, integration::path(account, id));
        self.get_integration(&request, account, |live| live.id == id)
            .await
    }

    /// Sends a request for one integration, which must belong to the account.
    async fn get_integration(
        &self,
        request: &ApiRequest,
        account: &AccountId,
        is_expected: impl FnOnce(&Integration) -> bool,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let response: ApiResponse<Integration> = self.get(request).await?;
        let integration = std::slice::from_ref(&response.value);
        (self.0).check_account(request, account, integration, &response.request_ids)?;
        // A proxy may have rewritten the path, and adopting the wrong integration is worse than an error.
        if is_expected(&response.value) {
            return Ok(response);
        }
        let problem = format!("another integration, {}", response.value.id);
        Err(self
            .0
            .unexpected_response(request, problem, response.request_ids))
    }

    /// Reads the integration with a `reference_id`. Returns not found, without a request, if a path cannot contain the reference.
    pub async fn integration_by_reference(
        &self,
        account: &AccountId,
        reference: &ReferenceId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        const OPERATION: Endpoint = Endpoint::ReadIntegrationByReference;
        let Some(path) = integration::reference_path(account, reference) else {
            let request = ApiRequest::new(OPERATION, integration::collection_path(account));
            return Err(self.0.not_found(&request));
        };
        let has_reference = |live: &Integration| live.fields.reference_id() == Some(reference);
        self.get_integration(&ApiRequest::new(OPERATION, path), account, has_reference)
            .await
    }

    /// Reads all users with a risk score.
    pub async fn users(&self, account: &AccountId) -> Result<ApiResponse<Vec<UserRisk>>, ApiError> {
        let path = user::summary_path(account);
        let response = self
            .get_all_pages::<Summary>(Endpoint::ListUsers, path)
            .await?;
        Ok(response.map(|result| result.users))
    }

    /// Reads a user's events and score.
    pub async fn user(
        &self,
        account: &AccountId,
        id: UserId,
    ) -> Result<ApiResponse<UserEvents>, ApiError> {
        self.get_all_pages(Endpoint::ReadUser, user::path(account, id))
            .await
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

    pub(super) fn client(&self) -> &Client {
        &self.0
    }

    async fn get<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let decoded = self.0.send_read(request).await?;
        self.0.result(request, decoded)
    }

    /// Reads an integration list or an object that contains a list.
    async fn get_all_pages<P: Page>(
        &self,
        operation: Endpoint,
        path: String,
    ) -> Result<ApiResponse<P>, ApiError> {
        let request = ApiRequest::new(operation, path);
        let list = self
            .list::<P, P::Item>(&request, Paging::Unpaged, |item| item)
            .await?;
        let mut value = list.first;
        *value.items() = list.items;
        Ok(ApiResponse {
            value,
            request_ids: list.request_ids,
        })
    }
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

impl Page for Vec<Integration> {
    type Item = Integration;
    const EMPTY: Option<fn() -> Self> = Some(Vec::new);

    fn items(&mut self) -> &mut Vec<Integration> {
        self
    }

    fn key(item: &Integration) -> Option<String> {
        Some(item.id.to_string())
    }
}

impl Page for Summary {
    type Item = UserRisk;
    const EMPTY: Option<fn() -> Self> = Some(Summary::default);

    fn items(&mut self) -> &mut Vec<UserRisk> {
        &mut self.users
    }

    fn key(item: &UserRisk) -> Option<String> {
        Some(item.user_id.to_string())
    }
}

impl Page for UserEvents {
    type Item = RiskEvent;
    const EMPTY: Option<fn() -> Self> = None;

    fn items(&mut self) -> &mut Vec<RiskEvent> {
        &mut self.events
    }

    fn key(item: &RiskEvent) -> Option<String> {
        (!item.id.is_empty()).then(|| item.id.clone())
    }
}
