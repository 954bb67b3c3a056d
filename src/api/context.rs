//! Reads what surrounds risk scoring: Access policies and groups, identity providers, and the account's audit log.
//!
//! All of it is lenient (`contract.md`, The lists): an item that can't be understood is skipped and counted, never an error. Nothing of
//! these answers is shown in an error, since rules and providers may hold secrets.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, TryStreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::audit_log::{self, AuditEntry, AuditLog};
use crate::model::context::{Access, AccessGroup, AccessPolicy, IdentityProvider};

use super::client::{Call, Opened};
use super::envelope::Content;
use super::error::ApiError;
use super::operation::Operation;
use super::reader::{Reader, read};
use super::transport_error::{Reach, TransportError, TransportFailure};

/// The largest page that Access gives out (`contract.md`, The lists), and the audit log's.
const PAGE: usize = 1_000;

/// Far more than any account has; a list that goes on has no end.
const MOST_PAGES: usize = 50;

/// How much of an audit log is read: the author of what is live stands among the newest entries, and a busy account writes many.
const MOST_LOG_PAGES: usize = 20;

/// Where the list of applications holds no policies, each must be asked for its own; of more than so many, nobody waits for the answers.
const MOST_APPLICATIONS: usize = 200;

const APPLICATIONS_AT_ONCE: usize = 10;

/// What could be understood of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    pub value: T,
    /// How many items could not, or were left unread.
    pub skipped: usize,
}

impl Reader {
    /// Everything that looks at users' levels: reusable policies, groups, and the policies of single applications.
    pub async fn access(&self, account: &AccountId) -> Result<Listed<Access>, ApiError> {
        let (policies, groups, apps) = tokio::join!(
            self.items(Operation::ListAccessPolicies, account, "policies"),
            self.items(Operation::ListAccessGroups, account, "groups"),
            self.items(Operation::ListAccessApps, account, "apps"),
        );
        let (policies, groups, apps) = (policies?, groups?, apps?);
        let mut access = Access::default();
        let mut skipped = 0;
        for item in &groups {
            match AccessGroup::read(item) {
                Some(group) => drop(access.groups.insert(group.id.clone(), group)),
                None => skipped += 1,
            }
        }
        let (own, unread) = self.policies_of_apps(account, &apps).await?;
        skipped += unread;
        // A reusable policy stands in both lists; its own says how many applications use it.
        for item in own.iter().chain(&policies) {
            match AccessPolicy::read(item) {
                Some(policy) => drop(access.policies.insert(policy.id.clone(), policy)),
                None => skipped += 1,
            }
        }
        Ok(Listed {
            value: access,
            skipped,
        })
    }

    /// The policies of applications. Whether the list of applications embeds them is unknown: where no application shows any, each is asked
    /// for its own.
    async fn policies_of_apps(
        &self,
        account: &AccountId,
        apps: &[Value],
    ) -> Result<(Vec<Value>, usize), ApiError> {
        let embedded = |app: &Value| app["policies"].as_array().cloned().unwrap_or_default();
        let own: Vec<Value> = apps.iter().flat_map(embedded).collect();
        if !own.is_empty() {
            return Ok((own, 0));
        }
        let ids: Vec<&str> = apps.iter().filter_map(|app| app["id"].as_str()).collect();
        let asked = stream::iter(ids.iter().take(MOST_APPLICATIONS)).map(|id| {
            let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
            let list = format!("apps/{id}/policies");
            async move {
                self.items(Operation::ListAccessAppPolicies, account, &list)
                    .await
            }
        });
        let own: Vec<Vec<Value>> = asked.buffered(APPLICATIONS_AT_ONCE).try_collect().await?;
        let unread = ids.len().saturating_sub(MOST_APPLICATIONS);
        Ok((own.into_iter().flatten().collect(), unread))
    }

    /// Every identity provider of the account.
    pub async fn identity_providers(
        &self,
        account: &AccountId,
    ) -> Result<Listed<Vec<IdentityProvider>>, ApiError> {
        let list = "identity_providers";
        let items = self.items(Operation::ListIdentityProviders, account, list);
        let items = items.await?;
        let value: Vec<IdentityProvider> =
            items.iter().filter_map(IdentityProvider::read).collect();
        Ok(Listed {
            skipped: items.len() - value.len(),
            value,
        })
    }

    /// Every item of one of Access's lists. The vendor's own clients read on to an empty page, so a page that says it is the last, or has
    /// room left, ends it as well.
    async fn items(
        &self,
        operation: Operation,
        account: &AccountId,
        list: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/accounts/{account}/access/{list}?page={page}&per_page={PAGE}");
            let call = read(operation, path);
            let Opened { content, pages, .. } = self.client().read(&call).await?;
            let held = items.len();
            items.extend(list_of(content));
            let more = pages.say_there_is_more(items.len(), page as u64);
            if items.len() == held || (pages.are_told() && !more) {
                return Ok(items);
            }
        }
        Ok(items)
    }

    /// The writes of risk scoring that the account's audit log shows from the day `since` on, up to and without the day `before`. Takes no
    /// longer than `patience`; what was read by then counts, from the moment on that it reaches back to.
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
            "/accounts/{account}/logs/audit?since={since}&before={before}&direction=desc&limit={PAGE}"
        );
        let first = read(Operation::SearchAuditLog, path);
        let reading = self.audit_pages(&first, account, &mut log, &mut reached);
        let ended = match tokio::time::timeout(patience, reading).await {
            Ok(ended) => ended?,
            // Half a log tells as much as it tells, and none is an error.
            Err(_) if reached.is_some() => false,
            Err(_) => {
                let error = TransportError {
                    failure: TransportFailure::Timeout,
                    reach: Reach::Possible,
                    detail: format!("no answer within {patience:?}"),
                };
                return Err(self.client().transport_error(&first, error));
            }
        };
        if let (false, Some(reached)) = (ended, reached) {
            log.since = reached;
        }
        Ok(log)
    }

    /// Reads page by page, the newest entry first; says whether it came to the end. `reached` is how far back it came.
    async fn audit_pages(
        &self,
        first: &Call,
        account: &AccountId,
        log: &mut AuditLog,
        reached: &mut Option<Timestamp>,
    ) -> Result<bool, ApiError> {
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_LOG_PAGES {
            let mut call = read(first.operation, first.path.clone());
            if let Some(cursor) = &cursor {
                let cursor = utf8_percent_encode(cursor, NON_ALPHANUMERIC);
                call.path.push_str(&format!("&cursor={cursor}"));
            }
            let Opened { content, pages, .. } = self.client().read(&call).await?;
            let items = list_of(content);
            for item in &items {
                if let Some(time) = audit_log::time(item) {
                    *reached = Some(time);
                }
                match AuditEntry::read(account, item) {
                    audit_log::Reading::Entry(entry) => log.entries.push(entry),
                    audit_log::Reading::Elsewhere => {}
                    audit_log::Reading::Unreadable => log.skipped += 1,
                }
            }
            match pages.cursor {
                // A cursor that leads to itself would never end.
                Some(next) if !items.is_empty() && cursor.as_ref() != Some(&next) => {
                    cursor = Some(next);
                }
                _ => return Ok(true),
            }
        }
        Ok(false)
    }
}

fn list_of(content: Content<Value>) -> Vec<Value> {
    match content {
        Content::Result(Value::Array(items)) => items,
        // What is no list has no item that could be understood.
        Content::Result(_) | Content::Null | Content::Absent => Vec::new(),
    }
}
