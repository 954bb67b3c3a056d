//! What may be read. A reader has no way to write, so code that is given one cannot either.

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

/// No list has more pages; one that goes on has no end.
const MOST_PAGES: u64 = 1_000;

/// The reading half of a client.
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
    /// What may only read.
    pub fn reader(&self) -> Reader {
        Reader(self.clone())
    }
}

impl Reader {
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
    ) -> Result<ApiResponse<BTreeMap<BehaviorKey, Behavior>>, ApiError> {
        let call = read(Endpoint::ReadBehaviors, behavior::path(account));
        let answer = self.one::<BehaviorMap>(&call).await?;
        Ok(answer.map(|result| result.behaviors))
    }

    /// Every integration of the account, in the server's order.
    pub async fn integrations(
        &self,
        account: &AccountId,
    ) -> Result<ApiResponse<Vec<Integration>>, ApiError> {
        let path = integration::collection_path(account);
        self.whole(Endpoint::ListIntegrations, path).await
    }

    /// One integration.
    pub async fn integration(
        &self,
        account: &AccountId,
        id: IntegrationId,
    ) -> Result<ApiResponse<Integration>, ApiError> {
        let call = read(Endpoint::ReadIntegration, integration::path(account, id));
        let answer: ApiResponse<Integration> = self.one(&call).await?;
        if answer.value.id == id {
            Ok(answer)
        } else {
            let problem = format!("the integration {}", answer.value.id);
            Err(self.0.unexpected(&call, problem, answer.trace))
        }
    }

    /// The integration that holds a reference. One that no path can carry is not found, without a call.
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
        let answer: ApiResponse<Integration> = self.one(&call).await?;
        // Whatever stands between might have rewritten the path, and a wrong integration adopted is worse than none.
        if answer.value.settings.reference_id.as_ref() == Some(reference) {
            Ok(answer)
        } else {
            let problem = format!(
                "the integration {}, which holds another reference_id",
                answer.value.id
            );
            Err(self.0.unexpected(&call, problem, answer.trace))
        }
    }

    /// Every user who has a score.
    pub async fn users(&self, account: &AccountId) -> Result<ApiResponse<Vec<UserRisk>>, ApiError> {
        let path = user::summary_path(account);
        let answer = self.whole::<Summary>(Endpoint::ListUsers, path).await?;
        Ok(answer.map(|result| result.users))
    }

    /// One user's events and score.
    pub async fn user(
        &self,
        account: &AccountId,
        id: UserId,
    ) -> Result<ApiResponse<UserEvents>, ApiError> {
        self.whole(Endpoint::ReadUser, user::path(account, id))
            .await
    }

    /// What the API says about the token that this reader uses. One that it does not accept is a
    /// [`Credentials`](super::ErrorKind::Credentials) error.
    pub async fn verify_token(
        &self,
        owner: TokenOwner<'_>,
    ) -> Result<ApiResponse<VerifiedToken>, ApiError> {
        self.one(&read(Endpoint::VerifyToken, owner.verify_path()))
            .await
    }

    pub(super) fn client(&self) -> &Client {
        &self.0
    }

    async fn one<T: DeserializeOwned>(
        &self,
        call: &ApiRequest,
    ) -> Result<ApiResponse<T>, ApiError> {
        let opened = self.0.read(call).await?;
        self.0.result(call, opened)
    }

    /// Reads a list to its end. One whose answer says that there is more than can be had is an error: what was left out would be taken
    /// for what is not there.
    async fn whole<P: PagedList>(
        &self,
        operation: Endpoint,
        path: String,
    ) -> Result<ApiResponse<P>, ApiError> {
        let call = read(operation, path);
        let opened = self.0.read::<P>(&call).await?;
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
            let problem = format!("{held} of them, and not the rest: {what}");
            self.0.unexpected(&call, problem, trace.clone())
        };
        let mut seen = HashSet::new();
        for item in value.items() {
            if !seen.insert(P::key(item)) && P::UNIQUE_KEYS {
                let problem = match operation.has_sensitive_response() {
                    true => "one of them twice".to_owned(),
                    false => format!("{} twice", P::key(item)),
                };
                return Err(self.0.unexpected(&call, problem, trace));
            }
        }
        let mut number = 1;
        while pages.has_more(value.items().len(), number) {
            number += 1;
            let held = value.items().len();
            if number > MOST_PAGES {
                return Err(incomplete(held, "the pages have no end"));
            }
            let mut next = read(operation, format!("{}?page={number}", call.path));
            if let Some(size) = pages.per_page {
                next.path.push_str(&format!("&per_page={size}"));
            }
            let opened = self.0.read::<P>(&next).await?;
            pages = opened.pages.clone();
            let mut page: ApiResponse<P> = self.0.result(&next, opened)?;
            let new: Vec<P::Item> = std::mem::take(page.value.items());
            if pages.page.is_some_and(|page| page != number)
                || new.is_empty()
                || new.iter().any(|item| !seen.insert(P::key(item)))
            {
                return Err(incomplete(held, &format!("page {number} could not be had")));
            }
            value.items().extend(new);
        }
        Ok(ApiResponse { value, trace })
    }
}

/// An answer that may be one page of several.
trait PagedList: DeserializeOwned {
    type Item;
    /// What `result: null` means, where it can mean an empty list.
    const EMPTY: Option<fn() -> Self>;
    /// Whether two items of one key mean that nothing of it can be trusted.
    const UNIQUE_KEYS: bool;
    fn items(&mut self) -> &mut Vec<Self::Item>;
    /// What tells an item from every other.
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
