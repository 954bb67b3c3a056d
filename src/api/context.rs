//! Reads what surrounds risk scoring: Access policies and groups, identity providers, and the account's audit log.
//!
//! All of it is lenient (`schema/api.md`, Access lists): an item that can't be understood is skipped and counted, never an error. Nothing of
//! these answers is shown in an error, since rules and providers may hold secrets. Lists are read one after the other, so that a missing
//! permission costs one request.

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

/// The largest page that Access gives out (`schema/api.md`, Access lists), and the audit log's.
const PAGE_SIZE: usize = 1_000;

/// Far more than any account has; a list that goes on has no end.
const MAX_PAGES: usize = 50;

/// How much of an audit log is read: the author of what is live stands among the newest entries, and a busy account writes many.
const MAX_AUDIT_LOG_PAGES: usize = 20;

/// Where the list of applications does not hold their policies, each must be asked for its own; of more than so many, nobody waits for the
/// answers.
const MAX_APP_LOOKUPS: usize = 200;

const APP_LOOKUP_CONCURRENCY: usize = 10;

/// The identity providers that could be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Providers {
    pub providers: Vec<IdentityProvider>,
    /// How many could not, or were left unread.
    pub skipped: usize,
}

/// The items of a list.
struct Items {
    items: Vec<Value>,
    /// How many were left unread.
    unread: usize,
}

/// What can be asked whether it may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextProbe {
    /// Reusable Access policies.
    Policies,
    /// Access groups.
    Groups,
    /// The account's audit log.
    AuditLog {
        /// A day that the log reaches to.
        today: Date,
    },
}

impl Reader {
    /// Asks for the smallest page of a list, to see whether it may be read.
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
        self.client().read::<Value>(&call).await.map(|_| ())
    }

    /// Everything that looks at users' levels: reusable policies, the policies of single applications, and the groups that they lead to,
    /// which are not asked for where no policy leads to one. Takes no more of the server's time than `patience`.
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
        let asked = self.app_policies(account, &own.to_ask, patience).await?;

        let mut access = Access {
            skipped: reusable.unread + apps.unread + asked.unread,
            ..Access::default()
        };
        // A reusable policy stands in several lists; its own says how many applications use it.
        let embedded = own.embedded.into_iter();
        for item in embedded.chain(&asked.items).chain(&reusable.items) {
            match AccessPolicy::read(item) {
                Some(policy) => drop(access.policies.insert(policy.id.clone(), policy)),
                None => access.skipped += 1,
            }
        }
        if access.references_groups() {
            let groups = Endpoint::ListAccessGroups;
            let groups = self.items(groups, account, "groups", patience).await?;
            access.skipped += groups.unread;
            for item in &groups.items {
                match AccessGroup::read(item) {
                    Some(group) => drop(access.groups.insert(group.id.clone(), group)),
                    None => access.skipped += 1,
                }
            }
        }
        Ok(access.retain_level_policies())
    }

    /// Asks applications for their policies, the first of them where there are many.
    async fn app_policies(
        &self,
        account: &AccountId,
        ids: &[&str],
        patience: &mut TimeBudget,
    ) -> Result<Items, ApiError> {
        let mut policies = Items {
            items: Vec::new(),
            unread: ids.len().saturating_sub(MAX_APP_LOOKUPS),
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
                        policies.unread += answer.unread;
                    }
                    // It was deleted since it was listed.
                    Err(error) if *error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(policies)
    }

    /// Every identity provider of the account.
    pub async fn identity_providers(&self, account: &AccountId) -> Result<Providers, ApiError> {
        let operation = Endpoint::ListIdentityProviders;
        let patience = &mut TimeBudget::endless();
        let Items { items, unread } = self
            .items(operation, account, "identity_providers", patience)
            .await?;
        let providers: Vec<IdentityProvider> =
            items.iter().filter_map(IdentityProvider::read).collect();
        Ok(Providers {
            skipped: items.len() - providers.len() + unread,
            providers,
        })
    }

    /// Every item of one of Access's lists. The vendor's own clients read on to an empty page, so a page that says it is the last, or has
    /// room left, ends it as well.
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
                unread,
            } = items_from(content);
            if unread > 0 {
                return Ok(Items { items, unread });
            }
            // A server that knows no pages says the same on every one.
            if !read.is_empty() && items.ends_with(&read) {
                return Ok(Items { items, unread: 0 });
            }
            items.extend(read);
            let more = pages.has_more(items.len(), page as u64);
            if items.len() == held || (pages.has_totals() && !more) {
                return Ok(Items { items, unread: 0 });
            }
        }
        // How many more there are is not known.
        Ok(Items { items, unread: 1 })
    }

    /// The writes of risk scoring that the account's audit log shows from the day `since` on, up to and without the day `before`. Takes no
    /// more of the server's time than `patience`; what was read by then counts, from the moment on that it reaches back to.
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
            // Half a log tells as much as it tells, and none is an error.
            Err(error) if is_timeout(&error) && reached.is_some() => false,
            ended => ended?,
        };
        if let (false, Some(reached)) = (ended, reached) {
            log.since = reached;
        }
        Ok(log)
    }

    /// Reads page by page, the newest entry first; says whether it came to the end. `reached` is how far back it came.
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
            let Items { items, unread } = items_from(content);
            log.skipped += unread;
            for item in &items {
                if let Some(time) = audit_log::time(item) {
                    *reached = Some(time);
                }
                match AuditEntry::read(account, item) {
                    audit_log::ParsedEntry::Entry(entry) => log.entries.push(entry),
                    audit_log::ParsedEntry::Elsewhere => {}
                    audit_log::ParsedEntry::Unreadable => log.skipped += 1,
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

fn items_from(content: ResultField<Value>) -> Items {
    let (items, unread) = match content {
        ResultField::Result(Value::Array(items)) => (items, 0),
        ResultField::Null => (Vec::new(), 0),
        // Whatever is in there could not be understood.
        ResultField::Result(_) | ResultField::Absent => (Vec::new(), 1),
    };
    Items { items, unread }
}

fn is_timeout(error: &ApiError) -> bool {
    let timeout = TransportErrorKind::Timeout;
    matches!(error.kind(), ErrorKind::Transport { failure, .. } if *failure == timeout)
}

/// What the list of applications tells of their policies. Whether it embeds them, and whole, is not known (`schema/api.md`, Access lists).
struct AppPolicies<'a> {
    /// Those that it holds with their rules.
    embedded: Vec<&'a Value>,
    /// The applications that have to be asked, since they may have others.
    to_ask: Vec<&'a str>,
}

impl<'a> AppPolicies<'a> {
    /// `reusable` are the ids of the policies whose rules are known already.
    fn of(apps: &'a [Value], reusable: &HashSet<&str>) -> Self {
        let policies = |app: &'a Value| app["policies"].as_array();
        // A list that shows no policy at all may be one that never does.
        let embeds = apps.iter().filter_map(policies).any(|own| !own.is_empty());
        let mut found = AppPolicies {
            embedded: Vec::new(),
            to_ask: Vec::new(),
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
                found.to_ask.extend(id(app));
            }
        }
        found
    }
}

/// The id of an item, or of a mere reference to one.
fn id(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item["id"].as_str())
}

fn includes_rules(policy: &Value) -> bool {
    ["include", "exclude", "require"]
        .iter()
        .any(|list| policy.get(list).is_some_and(Value::is_array))
}
