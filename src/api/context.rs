//! Reads the context of risk scoring: Access policies and groups, identity providers, and the account's audit log.
//!
//! Parsing is lenient (`schema/api.md`, Access lists): items in an unknown format are skipped and counted. Errors never show these responses,
//! since rules and providers may contain secrets. Lists are read sequentially, so a missing permission costs one request.

use std::collections::HashSet;

use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::audit_log::{self, AuditEntry, AuditLog};
use crate::model::context::{Access, AccessPolicy, IdentityProvider, PolicyRules};

use super::client::ApiRequest;
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorKind};
use super::pages::{List, Paging};
use super::reader::Reader;

/// Maximum page size of Access lists (`schema/api.md`, Access lists) and of the audit log.
const PAGE_SIZE: usize = 1_000;

/// Maximum number of audit log pages. The author of the live state is among the newest entries.
const MAX_AUDIT_LOG_PAGES: u64 = 20;

/// Maximum number of applications whose policies are read one by one, if the list of applications does not include them.
const MAX_APP_LOOKUPS: usize = 200;

const APP_LOOKUP_CONCURRENCY: usize = 10;

/// The account's identity providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Providers {
    pub providers: Vec<IdentityProvider>,
    /// Number of providers in an unknown format or not read.
    pub skipped: usize,
}

impl Reader {
    /// Requests the smallest page of the Access policies, the Access groups and the audit log to test the permissions to read them.
    pub async fn probe_context(
        &self,
        account: &AccountId,
        today: Date,
    ) -> [Result<(), ApiError>; 3] {
        let probe = async |endpoint, list: &str| {
            let request = ApiRequest::new(endpoint, format!("/accounts/{account}/{list}"));
            self.0.read::<Value>(&request).await.map(drop)
        };
        let yesterday = today.yesterday().unwrap_or(today);
        let log = format!("logs/audit?since={yesterday}&before={today}&limit=1");
        let (policies, groups) = (
            "access/policies?page=1&per_page=1",
            "access/groups?page=1&per_page=1",
        );
        tokio::join!(
            probe(Endpoint::ListAccessPolicies, policies),
            probe(Endpoint::ListAccessGroups, groups),
            probe(Endpoint::SearchAuditLog, &log),
        )
        .into()
    }

    /// Reads everything that can use a risk level: reusable policies, application policies, and groups, if a policy refers to one.
    pub async fn access(&self, account: &AccountId) -> Result<Access, ApiError> {
        let reusable = self.items(Endpoint::ListAccessPolicies, account, "policies");
        let reusable = reusable.await?;
        let apps = self
            .items(Endpoint::ListAccessApps, account, "apps")
            .await?;
        let mut access = Access::default();
        let (embedded, apps_to_query) = app_policies(&apps, &reusable, &mut access.skipped);
        access.skipped += apps_to_query.len().saturating_sub(MAX_APP_LOOKUPS);
        let asked = self.app_policies(account, &apps_to_query).await?;
        // A reusable policy can appear in several lists. Only the list of reusable policies has its number of applications.
        for item in embedded.into_iter().chain(&asked).chain(&reusable) {
            match AccessPolicy::from_json(item) {
                Some(policy) => drop(access.policies.insert(policy.id.clone(), policy)),
                None => access.skipped += 1,
            }
        }
        if access.references_groups() {
            let groups = self.items(Endpoint::ListAccessGroups, account, "groups");
            for item in groups.await? {
                match (id(&item), PolicyRules::from_json(&item)) {
                    (Some(id), Some(rules)) => drop(access.groups.insert(id.to_owned(), rules)),
                    _ => access.skipped += 1,
                }
            }
        }
        Ok(access.retain_level_policies())
    }

    /// Reads the policies of the first [`MAX_APP_LOOKUPS`] applications.
    async fn app_policies(
        &self,
        account: &AccountId,
        ids: &[&str],
    ) -> Result<Vec<Value>, ApiError> {
        let mut policies = Vec::new();
        let ids = &ids[..ids.len().min(MAX_APP_LOOKUPS)];
        for ids in ids.chunks(APP_LOOKUP_CONCURRENCY) {
            let asked = ids.iter().map(|id| async move {
                let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
                let list = format!("apps/{id}/policies");
                let operation = Endpoint::ListAccessAppPolicies;
                self.items(operation, account, &list).await
            });
            for response in join_all(asked).await {
                match response {
                    Ok(response) => policies.extend(response),
                    // The application was deleted after it was listed.
                    Err(error) if error.kind == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(policies)
    }

    /// Reads all identity providers of the account.
    pub async fn identity_providers(&self, account: &AccountId) -> Result<Providers, ApiError> {
        let operation = Endpoint::ListIdentityProviders;
        let items = self.items(operation, account, "identity_providers").await?;
        let providers: Vec<IdentityProvider> = items
            .iter()
            .filter_map(IdentityProvider::from_json)
            .collect();
        Ok(Providers {
            skipped: items.len() - providers.len(),
            providers,
        })
    }

    /// Reads all items of an Access list.
    async fn items(
        &self,
        endpoint: Endpoint,
        account: &AccountId,
        list: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let request = ApiRequest::new(endpoint, format!("/accounts/{account}/access/{list}"));
        let list = self.values(&request, Paging::Numbered(PAGE_SIZE), |item| item);
        Ok(list.await?.items)
    }

    /// Reads a list and converts its items, page by page.
    async fn values<T>(
        &self,
        request: &ApiRequest,
        paging: Paging,
        convert: impl Fn(Value) -> T,
    ) -> Result<List<Vec<Value>, T>, ApiError> {
        let take = |page: &mut Vec<Value>| {
            let items = std::mem::take(page).into_iter();
            items
                .map(|item| (item["id"].as_str().map(str::to_owned), convert(item)))
                .collect()
        };
        self.0.list(request, paging, Some(Vec::new), take).await
    }

    /// Reads the risk-scoring writes in the account's audit log from the day `since` until the day before `before`. Of a very long log,
    /// only the newest pages are read, and `since` of the result is the time that they reach back to.
    pub async fn audit_log(
        &self,
        account: &AccountId,
        since: Date,
        before: Date,
    ) -> Result<AuditLog, ApiError> {
        let path = format!(
            "/accounts/{account}/logs/audit?since={since}&before={before}&direction=desc&limit={PAGE_SIZE}"
        );
        let request = ApiRequest::new(Endpoint::SearchAuditLog, path);
        let paging = Paging::Cursor(MAX_AUDIT_LOG_PAGES);
        let list = self.values(&request, paging, |item| {
            (audit_log::time(&item), AuditEntry::read(account, &item))
        });
        let list = list.await?;
        let mut log = AuditLog {
            since: since
                .to_zoned(TimeZone::UTC)
                .map_or(Timestamp::MIN, |day| day.timestamp()),
            entries: Vec::new(),
            skipped: 0,
        };
        for (time, entry) in list.items {
            if let (false, Some(time)) = (list.is_complete, time) {
                log.since = time;
            }
            match entry {
                audit_log::ParsedEntry::Entry(entry) => log.entries.push(entry),
                audit_log::ParsedEntry::Irrelevant => {}
                audit_log::ParsedEntry::Unreadable => log.skipped += 1,
            }
        }
        Ok(log)
    }
}

/// Returns the policies with rules in the list of applications, and the IDs of applications whose policies must be read separately. It is
/// unknown whether the list includes them completely (`schema/api.md`, Access lists). Counts applications without an ID in `skipped`.
fn app_policies<'a>(
    apps: &'a [Value],
    reusable: &[Value],
    skipped: &mut usize,
) -> (Vec<&'a Value>, Vec<&'a str>) {
    let reusable: HashSet<&str> = reusable.iter().filter_map(id).collect();
    let policies = |app: &'a Value| app["policies"].as_array();
    // If no application has policies, the list may never include them.
    let embeds = apps.iter().filter_map(policies).any(|own| !own.is_empty());
    let (mut embedded, mut apps_to_query) = (Vec::new(), Vec::new());
    for app in apps {
        let own = policies(app).filter(|_| embeds);
        let items = own.into_iter().flatten();
        let (whole, bare): (Vec<&Value>, Vec<&Value>) = items.partition(|one| includes_rules(one));
        embedded.extend(whole);
        let is_known = |one: &&Value| id(one).is_some_and(|id| reusable.contains(id));
        if own.is_none() || !bare.iter().all(is_known) {
            match app["id"].as_str() {
                Some(id) => apps_to_query.push(id),
                None => *skipped += 1,
            }
        }
    }
    (embedded, apps_to_query)
}

/// Returns the ID of an item or of a reference to one.
fn id(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item["id"].as_str())
}

fn includes_rules(policy: &Value) -> bool {
    ["include", "exclude", "require"]
        .iter()
        .any(|list| policy.get(list).is_some_and(Value::is_array))
}
