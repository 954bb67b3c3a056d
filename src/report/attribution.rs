//! Attribution in words: author, time and means of a change.
//!
//! Names, addresses and rays are untrusted: invisible characters are escaped here, the rest by each format.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::audit_log::Author;
use crate::model::text::EscapeInvisible;
use crate::plan::{AttributedAction, Attribution, FieldAttribution};

/// A statement about a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fact {
    pub text: String,
    /// Exact time and request ID.
    pub detail: Option<String>,
    /// True if the fact differs between the accounts of a group.
    pub varies: bool,
}

impl Fact {
    pub(super) fn new(text: String) -> Self {
        Fact {
            text,
            detail: None,
            varies: false,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{} ({detail})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Returns a statement per author of a difference, e.g. `set by alice@example.com in the dashboard, 3 h ago`.
pub fn facts(attributed: &[FieldAttribution], now: Timestamp) -> Vec<Fact> {
    let several = attributed.len() > 1;
    let facts = attributed.iter().map(|one| {
        let mut fact = fact(one.action, &one.attribution, now);
        if several {
            let fields: Vec<&str> = one.fields.iter().map(|field| field.as_str()).collect();
            fact.text = format!("{} {}", fields.join(" and "), fact.text);
        }
        fact
    });
    facts.collect()
}

fn fact(action: AttributedAction, attribution: &Attribution, now: Timestamp) -> Fact {
    let (text, author) = match attribution {
        Attribution::Set { author } => (format!("{action} by {}", by(author, now)), author),
        Attribution::UnchangedSinceBefore { since, first } => {
            let (since, by) = (moment(*since), by(first, now));
            let text = format!("unchanged since before {since}, or {action} by {by}");
            (text, first)
        }
        Attribution::LastWritten { author } => {
            let by = by(author, now);
            let text =
                format!("last written by {by}, in a request that the audit log does not hold");
            (text, author)
        }
        Attribution::Unknown { since } => {
            return Fact::new(format!("no audit log entry since {}", moment(*since)));
        }
    };
    Fact {
        detail: Some(detail(author)),
        ..Fact::new(text)
    }
}

fn by(author: &Author, now: Timestamp) -> String {
    let actor = author.actor.as_deref();
    let actor = actor.map_or("an unknown user".to_owned(), shown);
    let through = author.tool.iter();
    let through: String = through
        .map(|tool| format!(" through {}", shown(tool)))
        .collect();
    let means = match (author.method.as_deref(), &author.token_name) {
        (Some("dash"), _) => " in the dashboard".to_owned(),
        (_, Some(token)) => format!(" with the API token {}", shown(token)),
        (Some("api_token"), None) => " with an API token".to_owned(),
        (Some("api_key"), None) => " with an API key".to_owned(),
        (Some("oauth"), None) => " through OAuth".to_owned(),
        (Some("api"), None) => " through the API".to_owned(),
        (Some(other), None) => format!(" by {}", shown(other)),
        (None, None) => String::new(),
    };
    let ago = ago(now.duration_since(author.time));
    format!("{actor}{through}{means}, {ago}")
}

/// Returns the exact time and the ID of the request.
fn detail(author: &Author) -> String {
    let time = author.time.strftime("%Y-%m-%d %H:%M UTC");
    match (&author.cf_ray, &author.entry_id) {
        (Some(cf_ray), _) => format!("{time}, ray {}", shown(cf_ray)),
        (None, Some(id)) => format!("{time}, entry {}", shown(id)),
        (None, None) => time.to_string(),
    }
}

/// Escapes and truncates untrusted text.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", EscapeInvisible(&cut))
}

/// Returns e.g. `3 h ago`. Times in the future, due to clock differences, are just now.
fn ago(since: SignedDuration) -> String {
    match (since.as_mins(), since.as_hours()) {
        (..1, _) => "just now".to_owned(),
        (minutes, 0) => format!("{minutes} min ago"),
        (_, hours @ ..48) => format!("{hours} h ago"),
        (_, hours) => format!("{} d ago", hours / 24),
    }
}

/// Returns a day, with the time if it is not midnight.
fn moment(moment: Timestamp) -> String {
    let text = moment.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let day = text.strip_suffix(" 00:00 UTC");
    day.map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Field;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn author() -> Author {
        Author {
            actor: Some("alice@example.com".to_owned()),
            method: Some("dash".to_owned()),
            token_name: None,
            tool: None,
            time: at("2026-11-25T01:12:30Z"),
            entry_id: Some("e1".to_owned()),
            cf_ray: Some("8f00ba4c1d2e3f40".to_owned()),
        }
    }

    #[test]
    fn authors_in_words() {
        let text = |text: &str| Some(text.to_owned());
        let table: [(Author, &str); 7] = [
            (
                author(),
                "alice@example.com in the dashboard, 3 h ago (2026-11-25 01:12 UTC, ray 8f00ba4c1d2e3f40)",
            ),
            (
                Author {
                    method: text("api_token"),
                    token_name: text("ci\u{202e}"),
                    tool: text("Terraform"),
                    cf_ray: None,
                    ..author()
                },
                "alice@example.com through Terraform with the API token ci\\u{202e}, 3 h ago (2026-11-25 01:12 UTC, entry e1)",
            ),
            (
                Author {
                    actor: None,
                    method: text("api_key"),
                    cf_ray: None,
                    entry_id: None,
                    ..author()
                },
                "an unknown user with an API key, 3 h ago (2026-11-25 01:12 UTC)",
            ),
            (
                Author {
                    method: text("carrier pigeon"),
                    ..author()
                },
                "alice@example.com by carrier pigeon, 3 h ago (2026-11-25 01:12 UTC, ray 8f00ba4c1d2e3f40)",
            ),
            (
                Author {
                    method: None,
                    time: at("2026-11-25T04:12:00Z"),
                    ..author()
                },
                "alice@example.com, just now (2026-11-25 04:12 UTC, ray 8f00ba4c1d2e3f40)",
            ),
            (
                Author {
                    method: text("oauth"),
                    time: at("2026-11-25T03:42:00Z"),
                    ..author()
                },
                "alice@example.com through OAuth, 30 min ago (2026-11-25 03:42 UTC, ray 8f00ba4c1d2e3f40)",
            ),
            (
                Author {
                    method: text("api"),
                    time: at("2026-11-12T03:42:00Z"),
                    ..author()
                },
                "alice@example.com through the API, 13 d ago (2026-11-12 03:42 UTC, ray 8f00ba4c1d2e3f40)",
            ),
        ];
        for (author, said) in table {
            let by = by(&author, at("2026-11-25T04:12:30Z"));
            assert_eq!(format!("{by} ({})", detail(&author)), said);
        }
        let endless = Author {
            actor: Some("x".repeat(10_000)),
            ..author()
        };
        assert!(by(&endless, at("2026-11-25T04:12:30Z")).len() < 250);
    }

    #[test]
    fn unknown_author_is_mentioned() {
        let since = at("2026-10-24T00:00:00Z");
        let told = |action, fields: &[Field], attribution| FieldAttribution {
            action,
            fields: fields.to_vec(),
            attribution,
        };
        let said = |attributed: &[FieldAttribution]| {
            let facts = facts(attributed, at("2026-11-25T04:12:30Z"));
            let facts: Vec<String> = facts.iter().map(ToString::to_string).collect();
            facts.join("\n")
        };
        let both = [
            told(
                AttributedAction::Set,
                &[Field::Enabled],
                Attribution::UnchangedSinceBefore {
                    since,
                    first: author(),
                },
            ),
            told(
                AttributedAction::Set,
                &[Field::RiskLevel],
                Attribution::LastWritten { author: author() },
            ),
        ];
        insta::assert_snapshot!(said(&both), @"
        enabled unchanged since before 2026-10-24, or set by alice@example.com in the dashboard, 3 h ago (2026-11-25 01:12 UTC, ray 8f00ba4c1d2e3f40)
        risk_level last written by alice@example.com in the dashboard, 3 h ago, in a request that the audit log does not hold (2026-11-25 01:12 UTC, ray 8f00ba4c1d2e3f40)
        ");
        let since = at("2026-11-24T22:01:00Z");
        let untold = [told(
            AttributedAction::Deleted,
            &[],
            Attribution::Unknown { since },
        )];
        insta::assert_snapshot!(said(&untold), @"no audit log entry since 2026-11-24 22:01 UTC");
        let made = [told(
            AttributedAction::Created,
            &[],
            Attribution::Set { author: author() },
        )];
        assert!(said(&made).starts_with("created by alice@example.com in the dashboard, 3 h ago"));
    }
}
