//! The account's audit log as far as it tells of risk scoring (`schema/api.md`, Audit log): who wrote what, when and by what means.
//!
//! Every field of an entry is optional and every word open, so an entry is read leniently, and one that can't be read is only counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::account::AccountId;
use super::behavior::{BehaviorKey, RiskLevel};
use super::integration::{IntegrationId, IntegrationType, ReferenceId, TenantUrl};
use super::open_enum::OpenEnum;

/// The successful writes of one account's risk scoring that its audit log shows.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLog {
    /// From when on everything that the log shows was read.
    pub since: Timestamp,
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// How many entries could not be read.
    pub skipped: usize,
}

/// One successful write.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub author: Author,
    pub wrote: LoggedWrite,
}

/// Who wrote, when, and by what means. All texts are somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// The person's address, or what else is known of who it was.
    pub actor: Option<String>,
    /// `dash`, `api_token`, `api_key` or another word of the vendor's.
    pub means: Option<String>,
    /// The name of the token that was used.
    pub token_name: Option<String>,
    /// Whether the caller said it was riskform, which anyone can say.
    pub through_riskform: bool,
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// The entry's id.
    pub entry_id: Option<String>,
    /// The request's id at the edge.
    pub ray: Option<String>,
}

/// What a write left behind, as far as its entry tells: what was sent, and where that is silent, what was answered. `None` where the
/// log keeps no request.
#[derive(Clone, Debug, PartialEq)]
pub enum LoggedWrite {
    Behaviors(Option<BTreeMap<BehaviorKey, LoggedBehavior>>),
    /// The integration's id is not known where the log keeps no answer.
    Created(Option<IntegrationId>, Option<LoggedIntegration>),
    Updated(IntegrationId, Option<LoggedIntegration>),
    Deleted(IntegrationId),
}

/// What an entry tells of one behavior.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoggedBehavior {
    pub enabled: Option<bool>,
    pub risk_level: Option<OpenEnum<RiskLevel>>,
}

/// What an entry tells of one integration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoggedIntegration {
    pub integration_type: Option<OpenEnum<IntegrationType>>,
    pub tenant_url: Option<TenantUrl>,
    /// The inner `None` is an unset one.
    pub reference_id: Option<Option<ReferenceId>>,
    pub active: Option<bool>,
}

/// What an item of the log turned out to be.
#[expect(
    clippy::large_enum_variant,
    reason = "a reading lives for a moment; entries are what is kept"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedEntry {
    Entry(AuditEntry),
    /// It is about something else, or changed nothing.
    Elsewhere,
    Unreadable,
}

impl AuditEntry {
    /// Reads one item of an account's log.
    pub fn read(account: &AccountId, item: &Value) -> ParsedEntry {
        let Some(uri) = text(item, "/raw/uri") else {
            // Another product may log without a request; what is not even an object is no entry.
            return match item.pointer("/action").is_some_and(Value::is_object) {
                true => ParsedEntry::Elsewhere,
                false => ParsedEntry::Unreadable,
            };
        };
        let scoring = format!("/accounts/{account}/zt_risk_scoring/");
        let Some((_, place)) = uri.split_once(&scoring) else {
            return ParsedEntry::Elsewhere;
        };
        let status = item.pointer("/raw/status_code").and_then(Value::as_u64);
        let failed = text(item, "/action/result") == Some("failure");
        if failed || status.is_some_and(|status| !(200..300).contains(&status)) {
            return ParsedEntry::Elsewhere;
        }
        let Some(time) = time(item) else {
            return ParsedEntry::Unreadable;
        };
        let place = place.split(['?', '#']).next().unwrap_or_default();
        match LoggedWrite::read(item, place.trim_end_matches('/')) {
            Some(wrote) => ParsedEntry::Entry(AuditEntry {
                author: Author::read(item, time),
                wrote,
            }),
            None => ParsedEntry::Elsewhere,
        }
    }
}

/// When an item of the log happened, if it can be told.
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
            means: owned("/actor/context"),
            token_name: owned("/actor/token_name"),
            through_riskform: user_agent.starts_with("riskform/"),
            time,
            entry_id: owned("/id"),
            ray: owned("/raw/cf_ray_id"),
        }
    }
}

impl LoggedWrite {
    /// What a write of this place below `zt_risk_scoring/` left behind; `None` for a place or a method that writes nothing of ours.
    fn read(item: &Value, place: &str) -> Option<Self> {
        let method = text(item, "/raw/method").or(match text(item, "/action/type") {
            Some("create") => Some("POST"),
            Some("update") => Some("PUT"),
            Some("delete") => Some("DELETE"),
            _ => None,
        })?;
        let integration = || place.strip_prefix("integrations/")?.parse().ok();
        match method {
            "PUT" if place == "behaviors" => Some(LoggedWrite::Behaviors(behaviors(item))),
            "POST" if place == "integrations" => {
                let answered = answer(item, "/id").and_then(Value::as_str);
                let id = answered.or_else(|| text(item, "/resource/id"));
                let trace = LoggedIntegration::read(item).map(|trace| LoggedIntegration {
                    // A new integration always is.
                    active: Some(true),
                    ..trace
                });
                Some(LoggedWrite::Created(
                    id.and_then(|id| id.parse().ok()),
                    trace,
                ))
            }
            "PUT" => Some(LoggedWrite::Updated(
                integration()?,
                LoggedIntegration::read(item),
            )),
            "DELETE" => Some(LoggedWrite::Deleted(integration()?)),
            _ => None,
        }
    }
}

fn behaviors(item: &Value) -> Option<BTreeMap<BehaviorKey, LoggedBehavior>> {
    let sent = item.pointer("/resource/request/behaviors")?.as_object()?;
    let answered = answer(item, "/behaviors").and_then(Value::as_object);
    let mut traces: BTreeMap<BehaviorKey, LoggedBehavior> = BTreeMap::new();
    // What was sent wins; the answer tells the rest, such as keys that were left out.
    for (key, settings) in sent.iter().chain(answered.into_iter().flatten()) {
        let trace = traces.entry(BehaviorKey::new(key.as_str())).or_default();
        trace.enabled = trace.enabled.or(settings["enabled"].as_bool());
        if trace.risk_level.is_none() {
            trace.risk_level = settings["risk_level"].as_str().map(OpenEnum::read);
        }
    }
    Some(traces)
}

impl LoggedIntegration {
    fn read(item: &Value) -> Option<Self> {
        let sent = item.pointer("/resource/request")?;
        // A write of an integration always names its tenant: a request without is one that was not kept.
        sent.get("tenant_url")?;
        let told = |name: &str| {
            let sent = sent.get(name).filter(|value| !is_unset(value));
            sent.or_else(|| answer(item, &format!("/{name}")))
        };
        let told_text = |name| told(name).and_then(Value::as_str);
        Some(LoggedIntegration {
            integration_type: told_text("integration_type").map(OpenEnum::read),
            tenant_url: told_text("tenant_url").map(TenantUrl::from_live),
            reference_id: match told("reference_id") {
                Some(Value::String(reference)) => Some(ReferenceId::new(reference.as_str())),
                Some(_) => Some(None),
                // The server may have made one up, and no answer tells it.
                None => None,
            },
            active: told("active").and_then(Value::as_bool),
        })
    }
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// A place in the answer, whether the log keeps its `result` alone or the whole envelope.
fn answer<'a>(item: &'a Value, pointer: &str) -> Option<&'a Value> {
    let answer = item.pointer("/resource/response")?;
    let result = answer.get("result").unwrap_or(answer);
    result.pointer(pointer)
}

fn text<'a>(item: &'a Value, pointer: &str) -> Option<&'a str> {
    let text = item.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then_some(text)
}
