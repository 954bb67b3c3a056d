//! Risk scores of users. Personal data: values of this module are never logged.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::field::RiskLevel;
use super::id::AccountId;
use super::malformed_is_default;
use super::open_enum::OpenEnum;

pub use super::id::UserId;

/// Returns the path of the users with a risk score, relative to the base URL.
pub fn summary_path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/summary")
}

/// Returns the path of a user's events.
pub fn path(account: &AccountId, user: UserId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/{user}")
}

/// Returns the path that resets a user's risk score.
pub fn reset_path(account: &AccountId, user: UserId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/{user}/reset")
}

/// A user with a risk score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRisk {
    /// ID of the user.
    pub user_id: UserId,
    /// Name of the user.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub name: String,
    /// Email address of the user; several users may have the same one.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub email: String,
    /// Number of events, if known.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub event_count: Option<u64>,
    /// Time of the newest event, if known.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub last_event: Option<Timestamp>,
    /// Risk score: the highest level of the behaviors that the user triggered.
    pub max_risk_level: OpenEnum<RiskLevel>,
}

/// Events and risk score of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvents {
    /// Name of the user.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub name: String,
    /// Email address of the user.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub email: String,
    /// Events, in the order of the API.
    pub events: Vec<RiskEvent>,
    /// Time of the last reset.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub last_reset_time: Option<Timestamp>,
    /// Risk score; missing if the user has none.
    #[serde(default)]
    pub risk_level: Option<OpenEnum<RiskLevel>>,
}

/// A user's triggering of a behavior.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskEvent {
    /// ID of the event.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub id: String,
    /// Title of the behavior.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub name: String,
    /// Level assigned by the behavior.
    pub risk_level: OpenEnum<RiskLevel>,
    /// Time of the event, if known.
    #[serde(default, deserialize_with = "malformed_is_default")]
    pub timestamp: Option<Timestamp>,
    /// Additional data of unknown structure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_details: Option<Value>,
}
