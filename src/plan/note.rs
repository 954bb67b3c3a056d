//! Notes are facts about a plan that are not changes. Plan errors concern single entries: the rest of the account is planned and shown,
//! but the account is not changed.

use std::fmt;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::address::Address;
use crate::model::field::Field;
use crate::model::finding::{AccountError, FailureKind};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::location::Location;
use crate::model::open_enum::string_enum;
use crate::model::text::abbreviate_list;

/// A note. The code that finds the fact writes the message; formats only print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Note {
    pub kind: NoteKind,
    /// Whether the note needs attention.
    pub warning: bool,
    /// Address of the resource. Null for several resources or the account.
    pub address: Option<Address>,
    /// Text of the note, without the address.
    pub message: String,
}

string_enum! {
    /// Kind of a note.
    NoteKind {
        Ignored = "ignored",
        IgnoreExpired = "ignore_expired",
        PinnedIdNotFound = "pinned_id_not_found",
        BrieflyActive = "briefly_active",
        LevelChanged = "level_changed",
        PoliciesAffected = "policies_affected",
        LevelUnassigned = "level_unassigned",
        PoliciesUnknown = "policies_unknown",
        PoliciesSkipped = "policies_skipped",
        AttributionUnavailable = "attribution_unavailable",
        UnmatchedProtectedItem = "unmatched_protected_item",
        WildcardBehaviorKept = "wildcard_behavior_kept",
        DuplicatesFound = "duplicates_found",
        MatchedByGeneratedReference = "matched_by_generated_reference",
        ConflictingMatches = "conflicting_matches",
        UnlistedAlternatives = "unlisted_alternatives",
        TenantMismatch = "tenant_mismatch",
        IdentityProviderNotFound = "identity_provider_not_found",
        OtherReferenceKept = "other_reference_kept",
        WouldMatchUnlisted = "would_match_unlisted",
        PlaceholderValue = "placeholder_value",
        BecameUnlisted = "became_unlisted",
        CreatedWithoutReference = "created_without_reference",
        ChangedSincePlan = "changed_since_plan",
    }
}

impl NoteKind {
    fn is_warning(self) -> bool {
        !matches!(
            self,
            NoteKind::Ignored
                | NoteKind::BrieflyActive
                | NoteKind::LevelChanged
                | NoteKind::PoliciesAffected
                | NoteKind::AttributionUnavailable
                | NoteKind::WildcardBehaviorKept
                | NoteKind::UnlistedAlternatives
                | NoteKind::PlaceholderValue
        )
    }

    /// Returns true if an apply adds such notes, so that the plan may not have shown them.
    pub fn is_added_by_apply(self) -> bool {
        matches!(
            self,
            NoteKind::DuplicatesFound
                | NoteKind::BecameUnlisted
                | NoteKind::CreatedWithoutReference
                | NoteKind::ChangedSincePlan
        )
    }
}

impl Note {
    /// Creates a note about one resource.
    pub fn new(kind: NoteKind, address: Address, message: impl Into<String>) -> Self {
        Note {
            address: Some(address),
            ..Note::general(kind, message)
        }
    }

    /// Creates a note about several resources or the account.
    pub fn general(kind: NoteKind, message: impl Into<String>) -> Self {
        Note {
            kind,
            warning: kind.is_warning(),
            address: None,
            message: message.into(),
        }
    }

    /// Creates the note on duplicates, of which the oldest one matches the entry.
    pub(crate) fn duplicates_found(
        address: Address,
        oldest: IntegrationId,
        duplicates: impl IntoIterator<Item = IntegrationId>,
    ) -> Self {
        let duplicates = abbreviate_list(duplicates);
        let message = format!(
            "several identical integrations exist; using the oldest, {oldest}; duplicates: {duplicates}"
        );
        Note::new(NoteKind::DuplicatesFound, address, message)
    }

    /// Creates the note on an integration that is written without its generated reference.
    pub(crate) fn created_without_reference(address: Address, error: impl fmt::Display) -> Self {
        let message = format!(
            "the API rejected the generated reference_id, so it was sent without one and is matched by tenant_url: {error}"
        );
        Note::new(NoteKind::CreatedWithoutReference, address, message)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) => write!(f, "{address}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

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

impl From<Vec<PlanError>> for AccountError {
    fn from(errors: Vec<PlanError>) -> Self {
        AccountError::new(FailureKind::Plan, describe(&errors))
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
