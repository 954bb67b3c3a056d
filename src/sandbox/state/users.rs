//! Users, their events and scores.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Account;
use crate::model::behavior::RiskLevel;
use crate::model::open_enum::OpenEnum;
use crate::model::user::{RiskEvent, UserId};
use crate::sandbox::envelope::ApiFailure;

/// A simulated user. The score is derived from the events since the last reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub email: String,
    /// Events triggered by the user.
    pub events: Vec<RiskEvent>,
    /// Time of the last score reset.
    #[serde(default)]
    pub last_reset_time: Option<Timestamp>,
}

impl User {
    /// Returns the events that count toward the score.
    fn counted(&self) -> impl Iterator<Item = &RiskEvent> {
        let counts = |event: &&RiskEvent| {
            self.last_reset_time
                .is_none_or(|reset| event.timestamp > reset)
        };
        self.events.iter().filter(counts)
    }

    /// Returns the highest level of the counted events. Unknown levels sort above `high`.
    fn score(&self) -> Option<&OpenEnum<RiskLevel>> {
        self.counted().map(|event| &event.risk_level).max()
    }
}

/// `{users: […]}`
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct Summary<'a> {
    pub(in crate::sandbox) users: Vec<ScoredUser<'a>>,
}

/// A user in the summary.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct ScoredUser<'a> {
    user_id: UserId,
    name: &'a str,
    email: &'a str,
    event_count: usize,
    last_event: Timestamp,
    max_risk_level: &'a OpenEnum<RiskLevel>,
}

/// Response for a single user.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct UserDetail<'a> {
    name: &'a str,
    email: &'a str,
    pub(in crate::sandbox) events: Vec<&'a RiskEvent>,
    last_reset_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_level: Option<&'a OpenEnum<RiskLevel>>,
}

impl Account {
    /// Returns all users with a score.
    pub(in crate::sandbox) fn scored_users(&self) -> Vec<ScoredUser<'_>> {
        let users = self.users.iter().filter_map(|(user_id, user)| {
            Some(ScoredUser {
                user_id: *user_id,
                name: &user.name,
                email: &user.email,
                event_count: user.counted().count(),
                last_event: user.counted().map(|event| event.timestamp).max()?,
                max_risk_level: user.score()?,
            })
        });
        users.collect()
    }

    /// Returns a user, with or without a score.
    pub(in crate::sandbox) fn user(&self, id: UserId) -> Result<UserDetail<'_>, ApiFailure> {
        let user = self.users.get(&id).ok_or(ApiFailure::NoUser)?;
        Ok(UserDetail {
            name: &user.name,
            email: &user.email,
            events: user.events.iter().collect(),
            last_reset_time: user.last_reset_time,
            risk_level: user.score(),
        })
    }

    /// Resets a user's score. The events are kept.
    pub(in crate::sandbox) fn reset_user(
        &mut self,
        id: UserId,
        now: Timestamp,
    ) -> Result<(), ApiFailure> {
        let user = self.users.get_mut(&id).ok_or(ApiFailure::NoUser)?;
        // The reset must cover all events, even if the clocks differ.
        let newest = user.events.iter().map(|event| event.timestamp).max();
        user.last_reset_time = Some(newest.map_or(now, |newest| newest.max(now)));
        Ok(())
    }
}
