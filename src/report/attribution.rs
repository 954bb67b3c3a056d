//! Attribution in words: author, time and means of a change.
//!
//! Names, addresses and rays are untrusted: invisible characters are escaped here, the rest by each format.

use jiff::{SignedDuration, Timestamp};

use crate::model::audit_log::Author;
use crate::model::text::EscapeInvisible;
use crate::plan::{AttributedAction, Attribution, Field, FieldAttribution};

/// Returns a sentence per author of a difference, e.g. `set by alice@example.com in the dashboard, 3 h ago (ray 8f…, 2026-11-25 01:12
/// UTC)`.
pub fn who(attributed: &[FieldAttribution], now: Timestamp) -> Vec<String> {
    let several = attributed.len() > 1;
    let sentences = attributed.iter().map(|one| {
        let sentence = sentence(one.action, &one.attribution, now);
        match several {
            true => format!("{} {sentence}", fields(&one.fields)),
            false => sentence,
        }
    });
    sentences.collect()
}

fn fields(fields: &[Field]) -> String {
    let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
    fields.join(" and ")
}

fn sentence(deed: AttributedAction, attribution: &Attribution, now: Timestamp) -> String {
    match attribution {
        Attribution::Set { author } => format!("{deed} by {}", by(author, now)),
        Attribution::UnchangedSinceBefore { since, first } => format!(
            "unchanged since before {}, or {deed} by {}",
            moment(*since),
            by(first, now)
        ),
        Attribution::LastWritten { author } => format!(
            "last written by {} (the audit log has no request body)",
            by(author, now)
        ),
        Attribution::Unknown { since } => format!("no audit log entry since {}", moment(*since)),
    }
}

fn by(author: &Author, now: Timestamp) -> String {
    let Author {
        actor,
        method,
        token_name,
        tool,
        time,
        entry_id,
        cf_ray,
    } = author;
    let actor = actor.as_deref().map_or("an unknown user".to_owned(), shown);
    let through = tool.iter().map(|tool| format!(" through {}", shown(tool)));
    let through: String = through.collect();
    let token = token_name.as_deref().map(shown);
    let means = match (method.as_deref(), token) {
        (Some("dash"), _) => " in the dashboard".to_owned(),
        (_, Some(token)) => format!(" with the API token {token}"),
        (Some("api_token"), None) => " with an API token".to_owned(),
        (Some("api_key"), None) => " with an API key".to_owned(),
        (Some("oauth"), None) => " through OAuth".to_owned(),
        (Some("api"), None) => " through the API".to_owned(),
        (Some(other), None) => format!(" by {}", shown(other)),
        (None, None) => String::new(),
    };
    let id = match (cf_ray, entry_id) {
        (Some(cf_ray), _) => format!("ray {}, ", shown(cf_ray)),
        (None, Some(id)) => format!("entry {}, ", shown(id)),
        (None, None) => String::new(),
    };
    let when = time.strftime("%Y-%m-%d %H:%M UTC");
    let ago = ago(now.duration_since(*time));
    format!("{actor}{through}{means}, {ago} ({id}{when})")
}

/// Escapes and truncates untrusted text.
fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", EscapeInvisible(&cut))
}

/// Returns e.g. `3 h ago`. Times in the future, due to clock differences, are just now.
fn ago(since: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match since.as_secs() {
        ..MINUTE => "just now".to_owned(),
        seconds @ MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h ago", seconds / HOUR),
        seconds => format!("{} d ago", seconds / DAY),
    }
}

/// Returns a day, with the time if it is not midnight.
fn moment(moment: Timestamp) -> String {
    let whole = moment.strftime("%H:%M:%S").to_string() == "00:00:00";
    let form = if whole {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    moment.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "alice@example.com in the dashboard, 3 h ago (ray 8f00ba4c1d2e3f40, 2026-11-25 01:12 UTC)",
            ),
            (
                Author {
                    method: text("api_token"),
                    token_name: text("ci\u{202e}"),
                    tool: text("Terraform"),
                    cf_ray: None,
                    ..author()
                },
                "alice@example.com through Terraform with the API token ci\\u{202e}, 3 h ago (entry e1, 2026-11-25 01:12 UTC)",
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
                "alice@example.com by carrier pigeon, 3 h ago (ray 8f00ba4c1d2e3f40, 2026-11-25 01:12 UTC)",
            ),
            (
                Author {
                    method: None,
                    time: at("2026-11-25T04:12:00Z"),
                    ..author()
                },
                "alice@example.com, just now (ray 8f00ba4c1d2e3f40, 2026-11-25 04:12 UTC)",
            ),
            (
                Author {
                    method: text("oauth"),
                    time: at("2026-11-25T03:42:00Z"),
                    ..author()
                },
                "alice@example.com through OAuth, 30 min ago (ray 8f00ba4c1d2e3f40, 2026-11-25 03:42 UTC)",
            ),
            (
                Author {
                    method: text("api"),
                    time: at("2026-11-12T03:42:00Z"),
                    ..author()
                },
                "alice@example.com through the API, 13 d ago (ray 8f00ba4c1d2e3f40, 2026-11-12 03:42 UTC)",
            ),
        ];
        for (author, said) in table {
            assert_eq!(by(&author, at("2026-11-25T04:12:30Z")), said);
        }
        let endless = Author {
            actor: Some("x".repeat(10_000)),
            ..author()
        };
        assert!(by(&endless, at("2026-11-25T04:12:30Z")).len() < 250);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let since = at("2026-10-24T00:00:00Z");
        let told = |action, fields: &[Field], attribution| FieldAttribution {
            action,
            fields: fields.to_vec(),
            attribution,
        };
        let said = |attributed: &[FieldAttribution]| {
            who(attributed, at("2026-11-25T04:12:30Z")).join("\n")
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
        enabled unchanged since before 2026-10-24, or set by alice@example.com in the dashboard, 3 h ago (ray 8f00ba4c1d2e3f40, 2026-11-25 01:12 UTC)
        risk_level last written by alice@example.com in the dashboard, 3 h ago (ray 8f00ba4c1d2e3f40, 2026-11-25 01:12 UTC) (the audit log has no request body)
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
