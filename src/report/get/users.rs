//! Users with a score, highest level first, and totals per level.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Tabular;
use super::pseudonym::{Privacy, pseudonym};
use super::table::{Column, grid};
use crate::model::behavior::RiskLevel;
use crate::model::open_enum::OpenEnum;
use crate::model::text::EscapeInvisible;
use crate::model::text::pluralize;
use crate::model::user::UserRisk;

/// Maximum length of a bar.
const MAX_BAR_WIDTH: usize = 40;

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
        let UserFilter {
            min_level,
            since,
            search,
        } = self;
        min_level.is_none_or(|level| user.max_risk_level >= OpenEnum::Known(level))
            && since.is_none_or(|since| user.last_event.is_none_or(|at| at >= since))
            && search
                .as_ref()
                .is_none_or(|text| mentions(user, &text.to_lowercase()))
    }
}

fn mentions(user: &UserRisk, lower_case: &str) -> bool {
    user.email.to_lowercase().contains(lower_case)
        || user.name.to_lowercase().contains(lower_case)
        || user.user_id.to_string().contains(lower_case)
        || pseudonym(user.user_id).contains(lower_case)
}

/// Users of the summary.
#[derive(Debug, Serialize)]
pub struct Users {
    users: Vec<UserRisk>,
    totals: BTreeMap<OpenEnum<RiskLevel>, usize>,
    #[serde(skip)]
    left_out: usize,
    #[serde(skip)]
    privacy: Privacy,
}

impl Users {
    /// Filters and sorts users by level, then events, and counts them.
    pub fn new(mut users: Vec<UserRisk>, filter: &UserFilter, privacy: Privacy) -> Self {
        let all = users.len();
        users.retain(|user| filter.wants(user));
        let left_out = all - users.len();
        users.sort_by(|a, b| by_risk(a).cmp(&by_risk(b)));
        let known = RiskLevel::ALL
            .iter()
            .map(|level| (OpenEnum::Known(*level), 0));
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
            left_out,
            privacy,
        }
    }
}

fn by_risk(user: &UserRisk) -> impl Ord + '_ {
    (
        Reverse((&user.max_risk_level, user.event_count, user.last_event)),
        user.user_id,
    )
}

impl Tabular for Users {
    const FORMAT: &'static str = "riskform.users/1";

    fn table(&self) -> String {
        let mut text = String::new();
        if !self.users.is_empty() {
            text.push_str(&users_table(&self.users, self.privacy));
            text.push('\n');
            text.push_str(&chart(&self.totals));
        }
        text.push_str(&pluralize(self.users.len(), "user"));
        if self.left_out > 0 {
            text.push_str(&format!(" of {}", self.users.len() + self.left_out));
        }
        text.push('\n');
        text
    }
}

/// Returns one line per user, without the id.
pub fn users_table(users: &[UserRisk], privacy: Privacy) -> String {
    let common = [
        ("LEVEL", Column::Words),
        ("EVENTS", Column::Number),
        ("LAST EVENT (UTC)", Column::Words),
    ];
    let who = match privacy {
        Privacy::Named => &[("E-MAIL", Column::Words), ("NAME", Column::Words)][..],
        Privacy::Redacted => &[("USER", Column::Words)],
    };
    let unknown = || "unknown".to_owned();
    let rows = users.iter().map(|user| {
        let mut row = vec![
            EscapeInvisible(&user.max_risk_level.to_string()).to_string(),
            user.event_count
                .map_or_else(unknown, |count| count.to_string()),
            user.last_event
                .map_or_else(unknown, |at| at.strftime("%Y-%m-%d %H:%M").to_string()),
        ];
        match privacy {
            Privacy::Named => row.extend([
                EscapeInvisible(&user.email).to_string(),
                EscapeInvisible(&user.name).to_string(),
            ]),
            Privacy::Redacted => row.push(pseudonym(user.user_id)),
        }
        row
    });
    grid(&[&common, who].concat(), rows)
}

/// Returns the number of users per level, highest first, with a bar.
fn chart(totals: &BTreeMap<OpenEnum<RiskLevel>, usize>) -> String {
    let most = totals.values().copied().max().unwrap_or_default().max(1);
    let columns = [
        ("LEVEL", Column::Words),
        ("USERS", Column::Number),
        ("", Column::Words),
    ];
    let rows = totals.iter().rev().map(|(level, users)| {
        // Rounded up, so that a single user is visible.
        let bar = (users * MAX_BAR_WIDTH).div_ceil(most);
        vec![
            EscapeInvisible(&level.to_string()).to_string(),
            users.to_string(),
            "█".repeat(bar),
        ]
    });
    grid(&columns, rows)
}
