//! One user: the score, and the events it comes from.

use jiff::Timestamp;
use serde::Serialize;

use super::Tabular;
use super::pseudonym::{Privacy, pseudonym};
use super::table::{Column, Width, fields, grid};
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
    const COLUMNS: &'static [&'static str] = &[
        "user_id",
        "name",
        "email",
        "risk_level",
        "last_reset_time",
        "event_id",
        "event_name",
        "event_risk_level",
        "event_timestamp",
        "event_details",
    ];

    fn table(&self, width: Width) -> String {
        let mut text = fields(width, &self.head());
        text.push('\n');
        if self.user.events.is_empty() {
            text.push_str("No events.\n");
            return text;
        }
        let columns = [
            ("TIMESTAMP", Column::Words),
            ("LEVEL", Column::Words),
            ("EVENT", Column::Lines),
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
        text.push_str(&grid(width, &columns, rows));
        text
    }

    /// Returns one row per event, at least one.
    fn records(&self) -> impl Iterator<Item = Vec<String>> {
        let person = self.person();
        let events: Vec<[String; 5]> = match self.user.events.as_slice() {
            [] => vec![Default::default()],
            events => events.iter().map(record).collect(),
        };
        events
            .into_iter()
            .map(move |event| person.iter().cloned().chain(event).collect())
    }
}

impl User {
    /// Returns the lines above the events.
    fn head(&self) -> Vec<(&'static str, String)> {
        let [user_id, name, email, risk_level, last_reset_time] =
            self.person().map(|text| EscapeInvisible(&text).to_string());
        let or = |text: String, nothing: &str| match text.as_str() {
            "" => nothing.to_owned(),
            _ => text,
        };
        let mut lines = match self.privacy {
            Privacy::Named => vec![("name", name), ("email", email)],
            Privacy::Redacted => vec![("user", name)],
        };
        lines.extend([
            ("user_id", user_id),
            ("risk_level", or(risk_level, "none")),
            ("last_reset_time", or(last_reset_time, "never")),
        ]);
        lines
    }

    /// Returns the columns without the events.
    fn person(&self) -> [String; 5] {
        let Person {
            user_id,
            name,
            email,
            risk_level,
            last_reset_time,
            events: _,
        } = &self.user;
        [
            user_id.to_string(),
            name.clone(),
            email.clone(),
            risk_level
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            last_reset_time
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ]
    }
}

fn record(event: &RiskEvent) -> [String; 5] {
    let RiskEvent {
        id,
        name,
        risk_level,
        timestamp,
        event_details,
    } = event;
    [
        id.clone(),
        name.clone(),
        risk_level.to_string(),
        timestamp.map_or_else(String::new, |at| at.to_string()),
        event_details
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
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
