//! One user: the score, and the events it comes from.

use jiff::Timestamp;
use serde::Serialize;

use super::Tabular;
use super::pseudonym::{Privacy, pseudonym};
use super::table::{Column, fields, grid};
use crate::model::behavior::RiskLevel;
use crate::model::open_enum::OpenEnum;
use crate::model::text::EscapeInvisible;
use crate::model::user::{RiskEvent, UserEvents, UserId};

/// One user's events and score.
#[derive(Debug, Serialize)]
pub struct User {
    user: Person,
    #[serde(skip)]
    privacy: Privacy,
}

#[derive(Debug, Serialize)]
struct Person {
    user_id: UserId,
    name: String,
    email: String,
    risk_level: Option<OpenEnum<RiskLevel>>,
    last_reset_time: Option<Timestamp>,
    events: Vec<RiskEvent>,
}

impl User {
    /// Sorts the events by time. Redacted, they go without their details, which may hold anything about anybody.
    pub fn new(user_id: UserId, user: UserEvents, privacy: Privacy) -> Self {
        let UserEvents {
            mut name,
            mut email,
            mut events,
            last_reset_time,
            risk_level,
        } = user;
        events.sort_by(|a, b| (a.timestamp, &a.id).cmp(&(b.timestamp, &b.id)));
        if privacy == Privacy::Redacted {
            name = pseudonym(user_id);
            email = name.clone();
            for event in &mut events {
                event.event_details = None;
            }
        }
        User {
            user: Person {
                user_id,
                name,
                email,
                risk_level,
                last_reset_time,
                events,
            },
            privacy,
        }
    }
}

impl Tabular for User {
    const FORMAT: &'static str = "riskform.user/1";

    fn table(&self) -> String {
        let mut text = fields(&self.head());
        text.push('\n');
        if self.user.events.is_empty() {
            text.push_str("No events.\n");
            return text;
        }
        let columns = [
            ("TIMESTAMP", Column::Words),
            ("LEVEL", Column::Words),
            ("EVENT", Column::Words),
        ];
        let rows = self.user.events.iter().map(|event| {
            vec![
                event
                    .timestamp
                    .map_or_else(|| "unknown".to_owned(), |at| at.to_string()),
                EscapeInvisible(&event.risk_level.to_string()).to_string(),
                told(event),
            ]
        });
        text.push_str(&grid(&columns, rows));
        text
    }
}

impl User {
    /// Returns the lines above the events.
    fn head(&self) -> Vec<(&'static str, String)> {
        let Person {
            user_id,
            name,
            email,
            risk_level,
            last_reset_time,
            events: _,
        } = &self.user;
        let or = |value: Option<String>, nothing: &str| {
            value.map_or_else(
                || nothing.to_owned(),
                |text| EscapeInvisible(&text).to_string(),
            )
        };
        let (name, email) = (
            EscapeInvisible(name).to_string(),
            EscapeInvisible(email).to_string(),
        );
        let level = risk_level.as_ref().map(ToString::to_string);
        let reset = last_reset_time.as_ref().map(ToString::to_string);
        let mut lines = match self.privacy {
            Privacy::Named => vec![("name", name), ("email", email)],
            Privacy::Redacted => vec![("user", name)],
        };
        lines.extend([
            ("user_id", user_id.to_string()),
            ("risk_level", or(level, "none")),
            ("last_reset_time", or(reset, "never")),
        ]);
        lines
    }
}

/// Returns the name of an event and its details, one line per member.
fn told(event: &RiskEvent) -> String {
    let mut lines = vec![EscapeInvisible(&event.name).to_string()];
    if let Some(details) = &event.event_details {
        let details = format!("{details:#}");
        lines.extend(
            details
                .lines()
                .map(|line| EscapeInvisible(line).to_string()),
        );
    }
    lines.join("\n")
}
