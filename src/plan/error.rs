//! Errors of single entries. The rest of the account is planned and shown, but nothing is written to the account.

use std::fmt;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::address::Address;
use crate::model::field::Field;
use crate::model::integration::{Integration, IntegrationId};
use crate::model::location::Location;
use crate::model::open_enum::string_enum;

/// The reason why an entry cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct PlanError {
    /// Address of the entry.
    pub address: Address,
    pub kind: PlanErrorKind,
    pub message: String,
    /// Live integrations that match an ambiguous entry.
    pub candidates: Vec<Candidate>,
    /// Suggestion to fix the error.
    pub help: String,
    /// Location of the entry. Null for an unlisted integration.
    pub location: Option<Location>,
}

string_enum! {
    /// Kind of an error of an entry.
    PlanErrorKind {
        /// Several live integrations match the entry, or one matches several entries.
        Ambiguous = "ambiguous",
        /// The account does not offer the behavior.
        UnknownBehavior = "unknown_behavior",
        /// Another resource keeps a value that the entry declares.
        Conflict = "conflict",
        /// The identity provider of the entry is missing, ambiguous or not Okta.
        IdentityProvider = "identity_provider",
    }
}

impl PlanErrorKind {
    /// Returns the kind for people.
    pub fn words(self) -> &'static str {
        match self {
            PlanErrorKind::Ambiguous => "ambiguous",
            PlanErrorKind::UnknownBehavior => "unknown",
            PlanErrorKind::Conflict => "conflict",
            PlanErrorKind::IdentityProvider => "identity provider",
        }
    }
}

/// A live integration that matches an ambiguous entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Candidate {
    pub id: IntegrationId,
    pub active: bool,
    /// Creation time, as returned by the API.
    pub created_at: String,
}

impl From<&Integration> for Candidate {
    fn from(live: &Integration) -> Self {
        Candidate {
            id: live.id,
            active: live.fields.is_on(Field::Active),
            created_at: live.created_at.clone(),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = if self.active { "active" } else { "inactive" };
        write!(f, "{}  {active:8}", self.id)?;
        match self.created_at.parse::<Timestamp>() {
            Ok(created) => write!(f, "  created {}", created.strftime("%Y-%m-%d")),
            Err(_) => Ok(()),
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.message)
    }
}

impl PlanError {
    /// Returns the message, the candidates and the help, each on a line.
    pub fn lines(&self) -> Vec<String> {
        let mut message = self.message.clone();
        if let Some(location) = &self.location {
            message.push_str(&format!(" ({}:{})", location.file, location.line));
        }
        if !self.candidates.is_empty() {
            message.push(':');
        }
        let candidates = self.candidates.iter().map(|one| format!("  {one}"));
        let help = format!("help: {}", self.help);
        std::iter::once(message)
            .chain(candidates)
            .chain([help])
            .collect()
    }
}

/// Returns errors as text, each with its location and help.
pub fn describe(errors: &[PlanError]) -> String {
    let texts = errors.iter().map(|error| {
        let location = error
            .location
            .iter()
            .map(|location| format!("{location}: "));
        let location: String = location.collect();
        format!("{location}{error}\n  help: {}", error.help)
    });
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
