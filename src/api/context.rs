//! Reads the context of risk scoring: Access policies and groups, identity providers, and the account's audit log.
//!
//! Parsing is lenient (`schema/api.md`, Access lists): items in an unknown format are skipped and counted. Errors never show these responses,
//! since rules and providers may contain secrets. Lists are read sequentially, so a missing permission costs one request.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::audit_log::{self, AuditEntry, AuditLog};
use crate::model::context::{Access, AccessGroup, AccessPolicy, IdentityProvider};

use super::client::{ApiRequest, DecodedResponse};
use super::endpoint::Endpoint;
use super::envelope::ResultField;
use super::error::{ApiError, ErrorKind};
use super::reader::{Reader, read};
use super::time_budget::TimeBudget;
use super::transport_error::TransportErrorKind;

/// Maximum page size of Access lists (`schema/api.md`, Access lists) and of the audit log.
const PAGE_SIZE: usize = 1_000;

/// Maximum number of pages of an Access list; more are treated as endless.
const MAX_PAGES: usize = 50;

/// Maximum number of audit log pages. The author of the live state is among the newest entries.
const MAX_AUDIT_LOG_PAGES: usize = 20;

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

/// Items of a list.
struct Items {
    items: Vec<Value>,
    /// Number of items not read.
    skipped: usize,
}

/// A list for which the read permission can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextProbe {
    /// Reusable Access policies.
    Policies,
    /// Access groups.
    Groups,
    /// The account's audit log.
    AuditLog {
        /// Last day to search.
        today: Date,
    },
}

impl Reader {
    /// Requests the smallest page of a list to test the permission to read it.
    pub async fn probe(
        &self,
        surroundings: ContextProbe,
        account: &AccountId,
    ) -> Result<(), ApiError> {
        let (operation, list) = match surroundings {
            ContextProbe::Policies => {
                let list = "access/policies?page=1&per_page=1".to_owned();
                (Endpoint::ListAccessPolicies, list)
            }
            ContextProbe::Groups => {
                let list = "access/groups?page=1&per_page=1".to_owned();
                (Endpoint::ListAccessGroups, list)
            }
            ContextProbe::AuditLog { today } => {
                let yesterday = today.yesterday().unwrap_or(today);
                let list = format!("logs/audit?since={yesterday}&before={today}&limit=1");
                (Endpoint::SearchAuditLog, list)
            }
        };
        let call = read(operation, format!("/accounts/{account}/{list}"));
        self.client().send_read::<Value>(&call).await.map(|_| ())
    }

    /// Reads everything that can use a risk level: reusable policies, application policies, and groups, if a policy refers to one.
    /// Stops with a timeout error after `patience`.
    pub async fn access(
        &self,
        account: &AccountId,
        patience: Duration,
    ) -> Result<Access, ApiError> {
        let patience = &mut TimeBudget::of(patience);
        let reusable = Endpoint::ListAccessPolicies;
        let reusable = self.items(reusable, account, "policies", patience).await?;
        let apps = Endpoint::ListAccessApps;
        let apps = self.items(apps, account, "apps", patience).await?;
        let known = reusable.items.iter().filter_map(id).collect();
        let own = AppPolicies::of(&apps.items, &known);
        let asked = self
            .app_policies(account, &own.apps_to_query, patience)
            .await?;

        let mut access = Access {
            skipped: reusable.skipped + apps.skipped + asked.skipped,
            ..Access::default()
        };
        // A reusable policy can appear in several lists. Only the list of reusable policies has its number of applications.
        let embedded = own.embedded.into_iter();
        for item in embedded.chain(&asked.items).chain(&reusable.items) {
            match AccessPolicy::from_json(item) {
                Some(policy) => drop(access.policies.insert(policy.id.clone(), policy)),
                None => access.skipped += 1,
            }
        }
        if access.references_groups() {
            let groups = Endpoint::ListAccessGroups;
            let groups = self.items(groups, account, "groups", patience).await?;
            access.skipped += groups.skipped;
            for item in &groups.items {
                match AccessGroup::read(item) {
                    Some(group) => drop(access.groups.insert(group.id.clone(), group)),
                    None => access.skipped += 1,
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
        patience: &mut TimeBudget,
    ) -> Result<Items, ApiError> {
        let mut policies = Items {
            items: Vec::new(),
            skipped: ids.len().saturating_sub(MAX_APP_LOOKUPS),
        };
        let ids = &ids[..ids.len().min(MAX_APP_LOOKUPS)];
        for ids in ids.chunks(APP_LOOKUP_CONCURRENCY) {
            let asked = ids.iter().map(|id| {
                let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
                let list = format!("apps/{id}/policies");
                let mut patience = patience.clone();
                async move {
                    let operation = Endpoint::ListAccessAppPolicies;
                    let answer = self.items(operation, account, &list, &mut patience).await;
                    (answer, patience)
                }
            });
            for (answer, left) in join_all(asked).await {
                *patience = patience.clone().least(left);
                match answer {
                    Ok(answer) => {
                        policies.items.extend(answer.items);
                        policies.skipped += answer.skipped;
                    }
                    // The application was deleted after it was listed.
                    Err(error) if *error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(policies)
    }

    /// Reads all identity providers of the account.
    pub async fn identity_providers(&self, account: &AccountId) -> Result<Providers, ApiError> {
        let operation = Endpoint::ListIdentityProviders;
        let patience = &mut TimeBudget::endless();
        let Items {
            items,
            skipped: unread,
        } = self
            .items(operation, account, "identity_providers", patience)
            .await?;
        let providers: Vec<IdentityProvider> = items
            .iter()
            .filter_map(IdentityProvider::from_json)
            .collect();
        Ok(Providers {
            skipped: items.len() - providers.len() + unread,
            providers,
        })
    }

    /// Reads all items of an Access list, until an empty page or until the totals are reached.
    async fn items(
        &self,
        operation: Endpoint,
        account: &AccountId,
        list: &str,
        patience: &mut TimeBudget,
    ) -> Result<Items, ApiError> {
        let mut items = Vec::new();
        for page in 1..=MAX_PAGES {
            let path =
                format!("/accounts/{account}/access/{list}?page={page}&per_page={PAGE_SIZE}");
            let call = read(operation, path);
            let DecodedResponse { content, pages, .. } =
                self.client().send_read_within(&call, patience).await?;
            let held = items.len();
            let Items {
                items: read,
                skipped: unread,
            } = items_from(content);
            if unread > 0 {
                return Ok(Items {
                    items,
                    skipped: unread,
                });
            }
            // A server without paging returns the same items for every page.
            if !read.is_empty() && items.ends_with(&read) {
                return Ok(Items { items, skipped: 0 });
            }
            items.extend(read);
            let more = pages.has_more(items.len(), page as u64);
            if items.len() == held || (pages.has_totals() && !more) {
                return Ok(Items { items, skipped: 0 });
            }
        }
        // The number of remaining items is unknown.
        Ok(Items { items, skipped: 1 })
    }

    /// Reads the risk-scoring writes in the account's audit log from the day `since` until the day before `before`. After `patience`, returns
    /// the entries read so far, with the time that they reach back to.
    pub async fn audit_log(
        &self,
        account: &AccountId,
        since: Date,
        before: Date,
        patience: Duration,
    ) -> Result<AuditLog, ApiError> {
        let mut log = AuditLog {
            since: since
                .to_zoned(TimeZone::UTC)
                .map_or(Timestamp::MIN, |day| day.timestamp()),
            entries: Vec::new(),
            skipped: 0,
        };
        let mut reached = None;
        let path = format!(
            "/accounts/{account}/logs/audit?since={since}&before={before}&direction=desc&limit={PAGE_SIZE}"
        );
        let first = read(Endpoint::SearchAuditLog, path);
        let mut patience = TimeBudget::of(patience);
        let reading = self.audit_pages(&first, account, &mut patience, &mut log, &mut reached);
        let ended = match reading.await {
            // An incomplete log is useful; none at all is an error.
            Err(error) if is_timeout(&error) && reached.is_some() => false,
            ended => ended?,
        };
        if let (false, Some(reached)) = (ended, reached) {
            log.since = reached;
        }
        Ok(log)
    }

    /// Reads page by page, newest entry first, and returns true if the log is complete. `reached` is the time of the oldest entry read.
    async fn audit_pages(
        &self,
        first: &ApiRequest,
        account: &AccountId,
        patience: &mut TimeBudget,
        log: &mut AuditLog,
        reached: &mut Option<Timestamp>,
    ) -> Result<bool, ApiError> {
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_AUDIT_LOG_PAGES {
            let mut call = read(first.operation, first.path.clone());
            if let Some(cursor) = &cursor {
                let cursor = utf8_percent_encode(cursor, NON_ALPHANUMERIC);
                call.path.push_str(&format!("&cursor={cursor}"));
            }
            let DecodedResponse { content, pages, .. } =
                self.client().send_read_within(&call, patience).await?;
            let Items {
                items,
                skipped: unread,
            } = items_from(content);
            log.skipped += unread;
            for item in &items {
                if let Some(time) = audit_log::time(item) {
                    *reached = Some(time);
                }
                match AuditEntry::read(account, item) {
                    audit_log::ParsedEntry::Entry(entry) => log.entries.push(entry),
                    audit_log::ParsedEntry::Irrelevant => {}
                    audit_log::ParsedEntry::Unreadable => log.skipped += 1,
                }
            }
            match pages.cursor {
                // Stop if the cursor does not advance.
                Some(next) if !items.is_empty() && cursor.as_ref() != Some(&next) => {
                    cursor = Some(next);
                }
                _ => return Ok(true),
            }
        }
        Ok(false)
    }
}

fn items_from(content: ResultField<Value>) -> Items {
    let (items, unread) = match content {
        ResultField::Result(Value::Array(items)) => (items, 0),
        ResultField::Null => (Vec::new(), 0),
        // Unknown format.
        ResultField::Result(_) | ResultField::Missing => (Vec::new(), 1),
    };
    Items {
        items,
        skipped: unread,
    }
}

fn is_timeout(error: &ApiError) -> bool {
    let timeout = TransportErrorKind::Timeout;
    matches!(error.kind(), ErrorKind::Transport { failure, .. } if *failure == timeout)
}

/// Policies in the list of applications. It is unknown whether the list includes them completely (`schema/api.md`, Access lists).
struct AppPolicies<'a> {
    /// Policies with rules.
    embedded: Vec<&'a Value>,
    /// IDs of applications whose policies must be read separately.
    apps_to_query: Vec<&'a str>,
}

impl<'a> AppPolicies<'a> {
    /// Collects the policies. `reusable` are the IDs of policies with known rules.
    fn of(apps: &'a [Value], reusable: &HashSet<&str>) -> Self {
        let policies = |app: &'a Value| app["policies"].as_array();
        // If no application has policies, the list may never include them.
        let embeds = apps.iter().filter_map(policies).any(|own| !own.is_empty());
        let mut found = AppPolicies {
            embedded: Vec::new(),
            apps_to_query: Vec::new(),
        };
        for app in apps {
            let own = policies(app).filter(|_| embeds);
            let (whole, bare): (Vec<&Value>, Vec<&Value>) = own
                .into_iter()
                .flatten()
                .partition(|one| includes_rules(one));
            found.embedded.extend(whole);
            let is_known = |one: &&Value| id(one).is_some_and(|id| reusable.contains(id));
            if own.is_none() || !bare.iter().all(is_known) {
                found.apps_to_query.extend(id(app));
            }
        }
        found
    }
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
