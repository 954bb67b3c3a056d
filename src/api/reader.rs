//! Read requests. Code with only a [`Reader`] cannot change an account.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::account::{AccountId, LiveAccount};
use crate::model::behavior::{self, Behavior, BehaviorKey};
use crate::model::integration::{self, Integration, IntegrationId, ReferenceId};
use crate::model::user::{self, RiskEvent, UserEvents, UserId, UserRisk};

use super::client::{ApiRequest, ApiResponse, Client, DecodedResponse};
use super::endpoint::Endpoint;
use super::envelope::ResultField;
use super::error::ApiError;
use super::token::{TokenOwner, VerifiedToken};

/// Maximum number of pages of a list. Longer lists are treated as endless.
const MOST_PAGES: u64 = 1_000;

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
        let call = read(Endpoint::ReadBehaviors, behavior::path(account));
        let answer = self.get::<BehaviorMap>(&call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Reads all integrations of the account, in the server's order.
    pub async fn integrations(
        &self,
        account: &AccountId,
    ) -> Result<ApiResponse<Vec<Integration>>, ApiError> {
        let path = integration::collection_path(account);
        self.get_all_pages(Endpoint::ListIntegrations, path).await
    }

    /// Reads one integration.
    pub async fn integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let call = read(Endpoint::ReadIntegration, integration::path(account, id));
        let answer: ApiResponse<Integration> = self.get(&call).await?;
        if answer.value.id == id {
            Ok(answer)
        } else {
            let problem = format!("the integration {}", answer.value.id);
            Err(self.0.unexpected_response(&call, problem, answer.trace))
        }
    }

    /// Reads the integration with a `reference_id`. Returns not found, without a request, if a path cannot contain the reference.
    pub async fn integration_by_reference(
        &self,
        account: &AccountId,
        reference: &ReferenceId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        const OPERATION: Endpoint = Endpoint::ReadIntegrationByReference;
        let Some(path) = integration::reference_path(account, reference) else {
            let call = read(OPERATION, integration::collection_path(account));
            return Err(self.0.not_found(&call));
        };
        let call = read(OPERATION, path);
        let answer: ApiResponse<Integration> = self.get(&call).await?;
        // A proxy may have rewritten the path, and adopting the wrong integration is worse than an error.
        if answer.value.settings.reference_id.as_ref() == Some(reference) {
            Ok(answer)
        } else {
            let problem = format!(
                "the integration {} with a different reference_id",
                answer.value.id
            );
            Err(self.0.unexpected_response(&call, problem, answer.trace))
        }
    }

    /// Reads all users with a risk score.
    pub async fn users(&self, account: &AccountId) -> Result<ApiResponse<Vec<UserRisk>>, ApiError> {
        let path = user::summary_path(account);
        let answer = self
            .get_all_pages::<Summary>(Endpoint::ListUsers, path)
            .await?;
        Ok(answer.map(|result| result.users))
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

    /// Verifies the token of this reader.
    ///
    /// # Errors
    /// [`Credentials`](super::ErrorKind::Credentials) if the API rejects the token.
    pub async fn verify_token(
        &self,
        owner: TokenOwner<'_>,
    ) -> Result<ApiResponse<VerifiedToken>, ApiError> {
        self.get(&read(Endpoint::VerifyToken, owner.verify_path()))
            .await
    }

    pub(super) fn client(&self) -> &Client {
        &self.0
    }

    async fn get<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let opened = self.0.send_read(call).await?;
        self.0.result(call, opened)
    }

    /// Reads all pages of a list. An incomplete list is an error, because missing items would look like deleted ones.
    async fn get_all_pages<P: PagedList>(
        &self,
        operation: Endpoint,
        path: String,
    ) -> Result<ApiResponse<P>, ApiError> {
        let call = read(operation, path);
        let opened = self.0.send_read::<P>(&call).await?;
        let (mut pages, trace) = (opened.pages.clone(), opened.trace.clone());
        let ApiResponse { mut value, .. } = match (opened.content, P::EMPTY) {
            (ResultField::Null, Some(empty)) => ApiResponse {
                value: empty(),
                trace: opened.trace,
            },
            (content, _) => self
                .0
                .result(&call, DecodedResponse { content, ..opened })?,
        };
        let incomplete = |held: usize, what: &str| {
            let problem = format!("an incomplete list of {held} items: {what}");
            self.0.unexpected_response(&call, problem, trace.clone())
        };
        let mut seen = HashSet::new();
        for item in value.items() {
            if !seen.insert(P::key(item)) && P::UNIQUE_KEYS {
                let problem = match operation.has_sensitive_response() {
                    true => "a duplicate item".to_owned(),
                    false => format!("{} twice", P::key(item)),
                };
                return Err(self.0.unexpected_response(&call, problem, trace));
            }
        }
        let mut number = 1;
        while pages.has_more(value.items().len(), number) {
            number += 1;
            let held = value.items().len();
            if number > MOST_PAGES {
                return Err(incomplete(held, "the list does not end"));
            }
            let mut next = read(operation, format!("{}?page={number}", call.path));
            if let Some(size) = pages.per_page {
                next.path.push_str(&format!("&per_page={size}"));
            }
            let opened = self.0.send_read::<P>(&next).await?;
            pages = opened.pages.clone();
            let mut page: ApiResponse<P> = self.0.result(&next, opened)?;
            let new: Vec<P::Item> = std::mem::take(page.value.items());
            if pages.page.is_some_and(|page| page != number)
                || new.is_empty()
                || new.iter().any(|item| !seen.insert(P::key(item)))
            {
                return Err(incomplete(
                    held,
                    &format!("page {number} is missing or repeats items"),
                ));
            }
            value.items().extend(new);
        }
        Ok(ApiResponse { value, trace })
    }
}

/// A list that may have several pages.
trait PagedList: DeserializeOwned {
    type Item;
    /// Value for `result: null` if that means an empty list.
    const EMPTY: Option<fn() -> Self>;
    /// Whether a duplicate key makes the list invalid.
    const UNIQUE_KEYS: bool;
    fn items(&mut self) -> &mut Vec<Self::Item>;
    /// Returns the unique key of an item.
    fn key(item: &Self::Item) -> String;
}

impl PagedList for Vec<Integration> {
    type Item = Integration;
    const EMPTY: Option<fn() -> Self> = Some(Vec::new);
    const UNIQUE_KEYS: bool = true;

    fn items(&mut self) -> &mut Vec<Integration> {
        self
    }

    fn key(item: &Integration) -> String {
        item.id.to_string()
    }
}

impl PagedList for Summary {
    type Item = UserRisk;
    const EMPTY: Option<fn() -> Self> = Some(Summary::default);
    const UNIQUE_KEYS: bool = true;

    fn items(&mut self) -> &mut Vec<UserRisk> {
        &mut self.users
    }

    fn key(item: &UserRisk) -> String {
        item.user_id.to_string()
    }
}

impl PagedList for UserEvents {
    type Item = RiskEvent;
    const EMPTY: Option<fn() -> Self> = None;
    const UNIQUE_KEYS: bool = false;

    fn items(&mut self) -> &mut Vec<RiskEvent> {
        &mut self.events
    }

    fn key(item: &RiskEvent) -> String {
        item.id.clone()
    }
}

pub(super) fn read(operation: Endpoint, path: String) -> ApiRequest {
    ApiRequest {
        operation,
        path,
        body: None,
    }
}
