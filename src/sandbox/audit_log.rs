//! The account's audit log (`schema/api.md`, Audit log): one entry for every write that succeeded.

use std::collections::VecDeque;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::response::{ApiError, json_response};

/// Request header with the email address that the audit log shows as author.
pub const ACTOR_HEADER: &str = "sandbox-actor";

/// Request header with the interface that the audit log shows, such as `dash`.
pub const CONTEXT_HEADER: &str = "sandbox-context";

/// Maximum number of entries per account. The oldest are dropped.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Increasing number, which is also the cursor after this entry.
    pub serial: u64,
    pub time: Timestamp,
    /// The entry as the API shows it.
    pub shown: Value,
}

/// Returns a page of the log.
pub(super) fn search(
    log: &VecDeque<LogEntry>,
    parameters: &[(String, String)],
) -> Result<Response, ApiError> {
    let query = Query::read(parameters).map_err(|message| ApiError::invalid_query(&message))?;
    let mut entries: Vec<&LogEntry> = log.iter().filter(|entry| query.matches(entry)).collect();
    entries.sort_by_key(|entry| (entry.time, entry.serial));
    if !query.ascending {
        entries.reverse();
    }
    if let Some(last) = query.cursor {
        let position = entries.iter().position(|entry| entry.serial == last);
        let position = position.ok_or_else(|| ApiError::invalid_query("cursor is not known"))?;
        entries.drain(..=position);
    }
    let more = entries.len() > query.limit;
    entries.truncate(query.limit);
    let next = entries.last().filter(|_| more);
    let next = next.map_or_else(String::new, |entry| entry.serial.to_string());
    let result: Vec<&Value> = entries.iter().map(|entry| &entry.shown).collect();
    let info = json!({ "count": entries.len(), "cursor": next });
    // Successes have no `messages`.
    let page = json!({ "success": true, "errors": [], "result": result, "result_info": info });
    Ok(json_response(StatusCode::OK, page.to_string()))
}

/// A query of the audit log.
#[derive(Debug)]
struct Query<'a> {
    since: Timestamp,
    before: Timestamp,
    ascending: bool,
    limit: usize,
    cursor: Option<u64>,
    /// Name, excluded or not, and value of each filter.
    filters: Vec<(&'a str, bool, &'a str)>,
}

impl<'a> Query<'a> {
    fn read(parameters: &'a [(String, String)]) -> Result<Self, String> {
        let one = |name: &str| {
            let value = parameters.iter().find(|(key, _)| key == name);
            value.map(|(_, value)| value.as_str())
        };
        let moment = |name: &str| {
            let text = one(name).ok_or_else(|| format!("{name} is required"))?;
            read_moment(text).ok_or_else(|| format!("{name} must be a date or a timestamp"))
        };
        let limit = one("limit").map_or(Ok(100), str::parse);
        let limit = limit.ok().filter(|limit| (1..=1_000).contains(limit));
        let cursor = one("cursor").filter(|cursor| !cursor.is_empty());
        let mut filters = Vec::new();
        for (key, value) in parameters {
            let name = key.strip_suffix(".not").unwrap_or(key);
            let kind = name.split('_').next().unwrap_or_default();
            if ["id", "raw", "action", "actor", "resource", "account"].contains(&kind) {
                check_word(name, value)?;
                filters.push((name, name != key, value.as_str()));
            }
        }
        Ok(Query {
            since: moment("since")?,
            before: moment("before")?,
            ascending: match one("direction") {
                None | Some("desc") => false,
                Some("asc") => true,
                Some(_) => return Err("direction must be asc or desc".to_owned()),
            },
            limit: limit.ok_or("limit is not a number from 1 to 1000")?,
            cursor: match cursor.map(str::parse) {
                Some(Err(_)) => return Err("cursor is not known".to_owned()),
                Some(Ok(serial)) => Some(serial),
                None => None,
            },
            filters,
        })
    }

    /// Returns true if the entry has one of the values of each filter, and no excluded value.
    fn matches(&self, entry: &LogEntry) -> bool {
        let has = |name: &str, value: &str| {
            let pointer = format!("/{}", name.replacen('_', "/", 1));
            match entry.shown.pointer(&pointer) {
                Some(Value::String(text)) => text == value,
                Some(Value::Number(number)) => number.to_string() == value,
                _ => false,
            }
        };
        let matches = |(name, excluded, _): &(&str, bool, &str)| {
            let mut same = self.filters.iter();
            let any = same
                .any(|(other, not, value)| other == name && not == excluded && has(name, value));
            any != *excluded
        };
        (self.since..self.before).contains(&entry.time) && self.filters.iter().all(matches)
    }
}

fn read_moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// Checks the value of filters with a closed set of values.
fn check_word(name: &str, value: &str) -> Result<(), String> {
    let allowed: &[&str] = match name {
        "action_type" => &["create", "delete", "view", "update"],
        "action_result" => &["success", "failure"],
        "actor_email" if !value.contains('@') => {
            return Err(format!("{name} is not an email address"));
        }
        _ => return Ok(()),
    };
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} is none of {}", allowed.join(", ")))
    }
}
