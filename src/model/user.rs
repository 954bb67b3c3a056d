//! Users' risk: what the API tells about people. Personal data, so nothing here is ever logged.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::account::AccountId;
use super::behavior::RiskLevel;
use super::null_is_default;
use super::open_enum::OpenEnum;

/// The id of a Zero Trust user: always a UUID, which tells it from the literal path segments that share its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Uuid);

impl From<Uuid> for UserId {
    fn from(id: Uuid) -> Self {
        UserId(id)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(UserId)
    }
}

/// The path, below the base URL, of the account's users who have a score.
pub fn summary_path(account: &AccountId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/summary")
}

/// The path of one user's events.
pub fn path(account: &AccountId, user: UserId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/{user}")
}

/// The path that clears one user's score.
pub fn reset_path(account: &AccountId, user: UserId) -> String {
    format!("/accounts/{account}/zt_risk_scoring/{user}/reset")
}

/// One line of the account's summary: a user who has a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRisk {
    /// The user's id.
    pub user_id: UserId,
    /// The user's name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The user's e-mail address; several users may share one.
    #[serde(default, deserialize_with = "null_is_default")]
    pub email: String,
    /// How many events stand against the user.
    #[serde(default, deserialize_with = "null_is_default")]
    pub event_count: u64,
    /// When the newest of them happened.
    #[serde(default)]
    pub last_event: Option<Timestamp>,
    /// The score: the highest level among the behaviors that the user triggered.
    pub max_risk_level: OpenEnum<RiskLevel>,
}

/// One user's events and score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvents {
    /// The user's name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The user's e-mail address.
    #[serde(default, deserialize_with = "null_is_default")]
    pub email: String,
    /// What the user triggered, in the API's order.
    pub events: Vec<RiskEvent>,
    /// When the score was last cleared.
    #[serde(default)]
    pub last_reset_time: Option<Timestamp>,
    /// The score; absent for a user without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<OpenEnum<RiskLevel>>,
}

/// One time that a user triggered a behavior.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskEvent {
    /// The event's id; a plain string, by the vendor's schema.
    pub id: String,
    /// The behavior's title.
    pub name: String,
    /// The level it gave.
    pub risk_level: OpenEnum<RiskLevel>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Whatever the vendor adds; of no known shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_details: Option<Value>,
}
