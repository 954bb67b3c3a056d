//! Entries of the account's audit log about risk scoring: who changed what, when and how (`schema/api.md`, Audit log).
//!
//! Every field of an entry is optional and its values may be unknown. Entries that cannot be parsed are only counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::field::{FIELDS, Field, FieldValue, Kind};
use super::id::{AccountId, BehaviorKey, IntegrationId};

/// Successful writes to the risk scoring of one account, from its audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLog {
    /// Start of the period that was read completely.
    pub since: Timestamp,
    /// Entries, newest first.
    pub entries: Vec<AuditEntry>,
    /// Number of entries that could not be parsed.
    pub skipped: usize,
}

/// A successful write.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub author: Author,
    pub write: LoggedWrite,
}

/// Author of a change: who made it, when and how. All texts are untrusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Author {
    /// Email address of the user, or another description of the author.
    pub actor: Option<String>,
    /// Means of access, such as `dash`, `api_token` or `api_key`.
    pub method: Option<String>,
    /// Name of the API token.
    pub token_name: Option<String>,
    /// Tool that the user agent names, such as `Terraform`. Other programs can send the same user agent.
    pub tool: Option<String>,
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: Timestamp,
    /// ID of the audit-log entry.
    pub entry_id: Option<String>,
    /// `CF-Ray` of the request.
    pub cf_ray: Option<String>,
}

/// State after a write, from the logged request and, for fields it lacks, the logged response. `None` if the log has no request.
#[derive(Clone, Debug, PartialEq)]
pub enum LoggedWrite {
    Behaviors(Option<BTreeMap<BehaviorKey, LoggedFields>>),
    /// The ID is `None` if the log has no response.
    Created(Option<IntegrationId>, Option<LoggedFields>),
    Updated(IntegrationId, Option<LoggedFields>),
    Deleted(IntegrationId),
}

/// Logged fields. `None` is a reference that was unset; fields that are not logged are missing.
pub type LoggedFields = BTreeMap<Field, Option<FieldValue>>;

/// A parsed item of the audit log.
#[expect(
    clippy::large_enum_variant,
    reason = "the value is short-lived; only entries are kept"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedEntry {
    Entry(AuditEntry),
    /// An entry about another product, or one that changed nothing.
    Irrelevant,
    Unreadable,
}

impl AuditEntry {
    /// Parses an item of an account's audit log.
    pub fn read(account: &AccountId, item: &Value) -> ParsedEntry {
        let Some(uri) = text(item, "/raw/uri") else {
            // Other products may log without a request.
            return match item.pointer("/action").is_some_and(Value::is_object) {
                true => ParsedEntry::Irrelevant,
                false => ParsedEntry::Unreadable,
            };
        };
        let scoring = format!("/accounts/{account}/zt_risk_scoring/");
        let Some((_, place)) = uri.split_once(&scoring) else {
            return ParsedEntry::Irrelevant;
        };
        let status = item.pointer("/raw/status_code").and_then(Value::as_u64);
        let failed = text(item, "/action/result") == Some("failure");
        if failed || status.is_some_and(|status| !(200..300).contains(&status)) {
            return ParsedEntry::Irrelevant;
        }
        let Some(time) = time(item) else {
            return ParsedEntry::Unreadable;
        };
        let place = place.split(['?', '#']).next().unwrap_or_default();
        match LoggedWrite::read(item, place.trim_end_matches('/')) {
            Some(wrote) => ParsedEntry::Entry(AuditEntry {
                author: Author::read(item, time),
                write: wrote,
            }),
            None => ParsedEntry::Irrelevant,
        }
    }
}

/// Returns the time of an item of the audit log.
pub fn time(item: &Value) -> Option<Timestamp> {
    text(item, "/action/time")?.parse().ok()
}

impl Author {
    fn read(item: &Value, time: Timestamp) -> Self {
        let owned = |pointer| text(item, pointer).map(str::to_owned);
        let kind = match text(item, "/actor/type") {
            Some("account") => Some("the account itself".to_owned()),
            Some("system") => Some("Cloudflare's own systems".to_owned()),
            Some("cloudflare_admin") => Some("a Cloudflare administrator".to_owned()),
            _ => None,
        };
        let user_agent = text(item, "/raw/user_agent").unwrap_or_default();
        Author {
            actor: owned("/actor/email")
                .or(kind)
                .or_else(|| owned("/actor/id")),
            method: owned("/actor/context"),
            token_name: owned("/actor/token_name"),
            tool: tool(user_agent).map(str::to_owned),
            time,
            entry_id: owned("/id"),
            cf_ray: owned("/raw/cf_ray_id"),
        }
    }
}

/// Returns the tool that a user agent names. Browsers and libraries are not tools.
fn tool(user_agent: &str) -> Option<&'static str> {
    const TOOLS: [(&str, &str); 4] = [
        ("riskform/", "riskform"),
        ("opentofu", "OpenTofu"),
        ("pulumi", "Pulumi"),
        ("terraform", "Terraform"),
    ];
    let user_agent = user_agent.to_ascii_lowercase();
    let mut tools = TOOLS.into_iter();
    tools.find_map(|(part, name)| user_agent.contains(part).then_some(name))
}

impl LoggedWrite {
    /// Parses a write to `place`, a path below `zt_risk_scoring/`. Returns `None` for other paths and methods.
    fn read(item: &Value, place: &str) -> Option<Self> {
        let method = text(item, "/raw/method").or(match text(item, "/action/type") {
            Some("create") => Some("POST"),
            Some("update") => Some("PUT"),
            Some("delete") => Some("DELETE"),
            _ => None,
        })?;
        let id = || place.strip_prefix("integrations/")?.parse().ok();
        match method {
            "PUT" if place == "behaviors" => Some(LoggedWrite::Behaviors(behaviors(item))),
            "POST" if place == "integrations" => {
                let answered = response_field(item, "/id").and_then(Value::as_str);
                let id = answered.or_else(|| text(item, "/resource/id"));
                let fields = integration(item).map(|mut fields| {
                    // New integrations are always active.
                    fields.insert(Field::Active, Some(FieldValue::Bool(true)));
                    fields
                });
                Some(LoggedWrite::Created(
                    id.and_then(|id| id.parse().ok()),
                    fields,
                ))
            }
            "PUT" => Some(LoggedWrite::Updated(id()?, integration(item))),
            "DELETE" => Some(LoggedWrite::Deleted(id()?)),
            _ => None,
        }
    }
}

fn behaviors(item: &Value) -> Option<BTreeMap<BehaviorKey, LoggedFields>> {
    let sent = item.pointer("/resource/request/behaviors")?.as_object()?;
    let answered = response_field(item, "/behaviors").and_then(Value::as_object);
    let mut behaviors: BTreeMap<BehaviorKey, LoggedFields> = BTreeMap::new();
    // The request takes precedence. The response adds keys that the request lacks.
    for (key, fields) in sent.iter().chain(answered.into_iter().flatten()) {
        let logged = behaviors.entry(BehaviorKey::new(key.as_str())).or_default();
        for spec in FIELDS.iter().filter(|spec| spec.kind == Kind::Behavior) {
            // A logged value may have any type.
            if let Ok(Some(value)) = spec.value_type.parse(&fields[spec.field.as_str()]) {
                logged.entry(spec.field).or_insert(Some(value));
            }
        }
    }
    Some(behaviors)
}

/// Returns the fields of a write of an integration. A missing reference is unknown, because the server may have generated a reference
/// without logging it.
fn integration(item: &Value) -> Option<LoggedFields> {
    let sent = item.pointer("/resource/request")?;
    // Writes of integrations always contain tenant_url. Without it, the log has no request.
    sent.get("tenant_url")?;
    let mut logged = LoggedFields::new();
    for spec in FIELDS.iter().filter(|spec| spec.kind == Kind::Integration) {
        let name = spec.field.as_str();
        let sent = sent.get(name).filter(|value| !is_unset(value));
        let Some(value) = sent.or_else(|| response_field(item, &format!("/{name}"))) else {
            continue;
        };
        let value = spec.value_type.parse(value).ok().flatten();
        if value.is_some() || spec.field == Field::ReferenceId {
            logged.insert(spec.field, value);
        }
    }
    Some(logged)
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// Returns a value of the logged response, which is either the `result` or the whole envelope.
fn response_field<'a>(item: &'a Value, pointer: &str) -> Option<&'a Value> {
    let answer = item.pointer("/resource/response")?;
    let result = answer.get("result").unwrap_or(answer);
    result.pointer(pointer)
}

fn text<'a>(item: &'a Value, pointer: &str) -> Option<&'a str> {
    let text = item.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then_some(text)
}
