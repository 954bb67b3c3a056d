//! Output of `get`: a table, or JSON with every field as returned by the API.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::Serialize;

use crate::model::account::AccountId;
use crate::model::behavior::{Behavior, BehaviorKey, RiskLevel};
use crate::model::field::{FIELDS, Field, Kind};
use crate::model::integration::Integration;
use crate::model::open_enum::OpenEnum;
use crate::model::text::{hex, pluralize};
use crate::model::user::{UserEvents, UserId, UserRisk};

use super::format::OutputFormat;
use super::json;
use super::table::table;

/// Display of users in output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// With name and email address.
    Named,
    /// Users are shown by pseudonym.
    Redacted,
}

/// Returns `user-` and twelve digits of the id's SHA-256. The id is random and cannot be recovered; twelve digits are enough for
/// 100,000 users.
pub fn pseudonym(id: UserId) -> String {
    let digest = digest(&SHA256, id.to_string().as_bytes());
    format!("user-{}", hex(&digest.as_ref()[..6]))
}

/// Returns data in a format. The name is that of the JSON document.
fn render(
    account_id: &AccountId,
    name: &str,
    members: impl Serialize,
    table: impl FnOnce() -> String,
    format: OutputFormat,
) -> String {
    #[derive(Serialize)]
    struct Document<'a, M> {
        format: String,
        account_id: &'a AccountId,
        #[serde(flatten)]
        members: M,
    }
    match format {
        OutputFormat::Json => json::document(&Document {
            format: format!("riskform.{name}/1"),
            account_id,
            members,
        }),
        _ => table(),
    }
}

/// Returns all behaviors of an account.
pub fn behaviors(
    account: &AccountId,
    behaviors: &BTreeMap<BehaviorKey, Behavior>,
    format: OutputFormat,
) -> String {
    let table = || {
        let rows = behaviors.iter().map(|(key, behavior)| {
            let (name, description) = (behavior.name.clone(), behavior.description.clone());
            let [enabled, level] =
                [Field::Enabled, Field::RiskLevel].map(|one| behavior.fields.shown(one));
            vec![key.to_string(), enabled, level, name, description]
        });
        table("KEY  ENABLED  LEVEL  NAME  DESCRIPTION", &[], rows)
    };
    let members = BTreeMap::from([("behaviors", behaviors)]);
    render(account, "behaviors", members, table, format)
}

/// Returns all integrations of an account, one line each.
pub fn integrations(
    account: &AccountId,
    integrations: &[Integration],
    format: OutputFormat,
) -> String {
    let table = || {
        let Some(first) = integrations.first() else {
            return "No integrations.\n".to_owned();
        };
        let titles = cells(first).map(|(name, _)| name.to_uppercase());
        let titles = titles.collect::<Vec<_>>().join("  ");
        let rows = integrations.iter();
        let rows = rows.map(|one| cells(one).map(|(_, value)| value).collect());
        table(&titles, &[], rows)
    };
    let members = BTreeMap::from([("integrations", integrations)]);
    render(account, "integrations", members, table, format)
}

/// Returns one integration, one line per field.
pub fn integration(account: &AccountId, integration: &Integration, format: OutputFormat) -> String {
    let members = BTreeMap::from([("integration", integration)]);
    let table = || pairs(cells(integration));
    render(account, "integration", members, table, format)
}

/// Returns the names and values of an integration.
fn cells(integration: &Integration) -> impl Iterator<Item = (&'static str, String)> {
    let fields = FIELDS.iter().filter(|spec| spec.kind == Kind::Integration);
    let fields = fields.map(|spec| (spec.field.as_str(), integration.fields.shown(spec.field)));
    let others = [
        ("created_at", &integration.created_at),
        ("account_tag", &integration.account_tag),
        ("well_known_url", &integration.well_known_url),
    ];
    let others = others.map(|(name, value)| match value.as_str() {
        "" => (name, "(unset)".to_owned()),
        value => (name, value.to_owned()),
    });
    let id = ("id", integration.id.to_string());
    std::iter::once(id).chain(fields).chain(others)
}

/// Returns one line per name and value.
fn pairs(lines: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let lines = lines.into_iter();
    let rows = lines.map(|(name, value)| vec![name.to_owned(), value]);
    table("", &[], rows)
}

/// Filter of users; by default all.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// This level or higher. Unknown levels sort above `high`, so that no user is missed.
    pub min_level: Option<RiskLevel>,
    /// With an event since then.
    pub since: Option<Timestamp>,
    /// With this text in name, email address, id or pseudonym, ignoring case.
    pub search: Option<String>,
}

impl UserFilter {
    fn wants(&self, user: &UserRisk) -> bool {
        let mentions = |text: &String| {
            let text = text.to_lowercase();
            user.email.to_lowercase().contains(&text)
                || user.name.to_lowercase().contains(&text)
                || user.user_id.to_string().contains(&text)
                || pseudonym(user.user_id).contains(&text)
        };
        let has_level = |level| user.max_risk_level >= OpenEnum::Known(level);
        self.min_level.is_none_or(has_level)
            && (self.since).is_none_or(|since| user.last_event.is_none_or(|at| at >= since))
            && self.search.as_ref().is_none_or(mentions)
    }
}

/// Users with a score, highest level first, and totals per level.
#[derive(Debug, Serialize)]
pub struct Users {
    users: Vec<UserRisk>,
    totals: BTreeMap<OpenEnum<RiskLevel>, usize>,
    /// Number of users before filtering.
    #[serde(skip)]
    all: usize,
    #[serde(skip)]
    privacy: Privacy,
}

impl Users {
    /// Filters and sorts users by level, then events, and counts them.
    pub fn new(mut users: Vec<UserRisk>, filter: &UserFilter, privacy: Privacy) -> Self {
        let all = users.len();
        users.retain(|user| filter.wants(user));
        users.sort_by_key(|user| user.user_id);
        let risk = |user: &UserRisk| {
            (
                user.max_risk_level.clone(),
                user.event_count,
                user.last_event,
            )
        };
        users.sort_by_cached_key(|user| Reverse(risk(user)));
        let known = RiskLevel::ALL.iter();
        let known = known.map(|level| (OpenEnum::Known(*level), 0));
        let mut totals = BTreeMap::from_iter(known);
        for user in &mut users {
            *totals.entry(user.max_risk_level.clone()).or_default() += 1;
            if privacy == Privacy::Redacted {
                user.name = pseudonym(user.user_id);
                user.email = user.name.clone();
            }
        }
        Users {
            users,
            totals,
            all,
            privacy,
        }
    }

    /// Returns the users in a format.
    pub fn render(&self, account: &AccountId, format: OutputFormat) -> String {
        let table = || {
            let mut text = String::new();
            if !self.users.is_empty() {
                text = users_table(&self.users, self.privacy) + "\n" + &self.chart();
            }
            text.push_str(&pluralize(self.users.len(), "user"));
            if self.users.len() < self.all {
                text.push_str(&format!(" of {}", self.all));
            }
            text + "\n"
        };
        render(account, "users", self, table, format)
    }

    /// Returns the number of users per level, highest first, with a bar.
    fn chart(&self) -> String {
        const MAX_BAR_WIDTH: usize = 40;
        let most = self
            .totals
            .values()
            .copied()
            .max()
            .unwrap_or_default()
            .max(1);
        let rows = self.totals.iter().rev().map(|(level, users)| {
            // Rounded up, so that a single user is visible.
            let bar = "█".repeat((users * MAX_BAR_WIDTH).div_ceil(most));
            vec![level.to_string(), users.to_string(), bar]
        });
        table("LEVEL  USERS  ", &["USERS"], rows)
    }
}

/// Returns one line per user, without the id.
pub fn users_table(users: &[UserRisk], privacy: Privacy) -> String {
    let titles = match privacy {
        Privacy::Named => "LEVEL  EVENTS  LAST EVENT (UTC)  E-MAIL  NAME",
        Privacy::Redacted => "LEVEL  EVENTS  LAST EVENT (UTC)  USER",
    };
    let unknown = || "unknown".to_owned();
    let rows = users.iter().map(|user| {
        let time = user.last_event;
        let mut row = vec![
            user.max_risk_level.to_string(),
            user.event_count
                .map_or_else(unknown, |count| count.to_string()),
            time.map_or_else(unknown, |at| at.strftime("%Y-%m-%d %H:%M").to_string()),
        ];
        match privacy {
            Privacy::Named => row.extend([user.email.clone(), user.name.clone()]),
            Privacy::Redacted => row.push(pseudonym(user.user_id)),
        }
        row
    });
    table(titles, &["EVENTS"], rows)
}

/// Returns one user: the score, and the events it comes from, sorted by time. Redacted events have no details, because details may
/// contain personal data.
pub fn user(
    account: &AccountId,
    user_id: UserId,
    mut user: UserEvents,
    privacy: Privacy,
    format: OutputFormat,
) -> String {
    #[derive(Serialize)]
    struct Person<'a> {
        user_id: UserId,
        #[serde(flatten)]
        user: &'a UserEvents,
    }
    (user.events).sort_by(|a, b| (a.timestamp, &a.id).cmp(&(b.timestamp, &b.id)));
    if privacy == Privacy::Redacted {
        user.name = pseudonym(user_id);
        user.email = user.name.clone();
        for event in &mut user.events {
            event.event_details = None;
        }
    }
    let user = &user;
    let members = BTreeMap::from([("user", Person { user_id, user })]);
    render(
        account,
        "user",
        members,
        || user_table(user_id, user, privacy),
        format,
    )
}

fn user_table(user_id: UserId, user: &UserEvents, privacy: Privacy) -> String {
    let mut lines = match privacy {
        Privacy::Named => vec![("name", user.name.clone()), ("email", user.email.clone())],
        Privacy::Redacted => vec![("user", user.name.clone())],
    };
    let level = user.risk_level.as_ref().map(ToString::to_string);
    let reset = user.last_reset_time.as_ref().map(ToString::to_string);
    lines.extend([
        ("user_id", user_id.to_string()),
        ("risk_level", level.unwrap_or_else(|| "none".to_owned())),
        (
            "last_reset_time",
            reset.unwrap_or_else(|| "never".to_owned()),
        ),
    ]);
    let mut rows = Vec::new();
    for event in &user.events {
        let time = event.timestamp.as_ref();
        let time = time.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        rows.push(vec![time, event.risk_level.to_string(), event.name.clone()]);
        if let Some(details) = &event.event_details {
            let details = format!("{details:#}");
            rows.extend(
                details
                    .lines()
                    .map(|line| vec![String::new(), String::new(), line.to_owned()]),
            );
        }
    }
    let events = match user.events.is_empty() {
        true => "No events.\n".to_owned(),
        false => table("TIMESTAMP  LEVEL  EVENT", &[], rows),
    };
    format!("{}\n{events}", pairs(lines))
}
