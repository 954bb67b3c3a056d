//! Attribution of differences by the account's audit log: a pure function from a log and the live state to an [`Attribution`].
//!
//! Every write of behaviors sends the whole map, and every write of an integration all of its fields, so the newest entry may only
//! repeat a value. The author is that of the **earliest entry of the unbroken run**, backwards from now, of entries with the live value.
//! The run ends at an entry with another value.

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::audit_log::{AuditEntry, AuditLog, Author, LoggedFields, LoggedWrite};
use crate::model::behavior::BehaviorKey;
use crate::model::field::{Field, Fields};
use crate::model::integration::IntegrationId;
use crate::model::open_enum::string_enum;

/// Author of a value, from the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Attribution {
    /// Set by this entry: the previous entry has another value, or this entry created the integration.
    Set { author: Author },
    /// All entries have the value. It was set before this time or by the first entry.
    UnchangedSinceBefore {
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
        first: Author,
    },
    /// Set or repeated by this entry. The log has no request to decide.
    LastWritten { author: Author },
    /// No entry since this time has the value.
    Unknown {
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
}

/// Author of a change to a resource, from the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct FieldAttribution {
    pub action: AttributedAction,
    /// Fields that were set. Empty if the resource was created or deleted.
    pub fields: Vec<Field>,
    #[serde(flatten)]
    pub attribution: Attribution,
}

string_enum! {
    /// Action of an author.
    AttributedAction {
        /// Set fields to their live values.
        Set = "set",
        /// Created an unlisted resource.
        Created = "created",
        /// Deleted a declared resource.
        Deleted = "deleted",
    }
}

/// Resource whose author is searched.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    Behavior(&'a BehaviorKey),
    Integration(IntegrationId),
}

/// Returns the author of a whole resource.
pub(super) fn of_resource(
    action: AttributedAction,
    attribution: Attribution,
) -> Vec<FieldAttribution> {
    vec![FieldAttribution {
        action,
        fields: Vec::new(),
        attribution,
    }]
}

/// Returns the authors of the live values of these fields. Fields with the same author are in one item.
pub(super) fn of_fields(
    log: &AuditLog,
    subject: Subject<'_>,
    fields: impl Iterator<Item = Field>,
    live: &Fields,
) -> Vec<FieldAttribution> {
    let mut found: Vec<FieldAttribution> = Vec::new();
    for field in fields {
        let attribution = of_field(log, subject, field, live);
        match found.iter_mut().find(|one| one.attribution == attribution) {
            Some(same) => same.fields.push(field),
            None => found.push(FieldAttribution {
                action: AttributedAction::Set,
                fields: vec![field],
                attribution,
            }),
        }
    }
    found
}

/// Returns the author of the live value of a field.
pub fn of_field(log: &AuditLog, subject: Subject<'_>, field: Field, live: &Fields) -> Attribution {
    let same = |logged: &LoggedFields| Some(logged.get(&field)?.as_ref() == live.get(field));
    attribute(log, |entry| match (&entry.write, subject) {
        (LoggedWrite::Behaviors(None), Subject::Behavior(_)) => EntryEvidence::Unknown,
        (LoggedWrite::Behaviors(Some(logged)), Subject::Behavior(key)) => {
            EntryEvidence::of(logged.get(key).and_then(same))
        }
        (LoggedWrite::Created(Some(created), logged), Subject::Integration(id))
            if *created == id =>
        {
            match logged.as_ref().map(same) {
                // A create sets every field that it sends. There is no earlier write.
                Some(Some(true) | None) | None => EntryEvidence::Origin,
                Some(Some(false)) => EntryEvidence::Differs,
            }
        }
        (LoggedWrite::Updated(updated, logged), Subject::Integration(id)) if *updated == id => {
            let evidence = |logged| EntryEvidence::of(same(logged));
            logged.as_ref().map_or(EntryEvidence::Unknown, evidence)
        }
        _ => EntryEvidence::Irrelevant,
    })
}

/// Returns the author who created an integration.
pub fn creation(log: &AuditLog, id: IntegrationId) -> Attribution {
    attribute(log, |entry| match entry.write {
        LoggedWrite::Created(Some(created), _) if created == id => EntryEvidence::Origin,
        _ => EntryEvidence::Irrelevant,
    })
}

/// Returns the author who deleted the integration of an entry: the integration with the pinned ID, or else the last logged integration
/// with the reference or tenant of the entry.
pub fn deletion(log: &AuditLog, pinned: Option<IntegrationId>, declared: &Fields) -> Attribution {
    let is_meant = |logged: &LoggedFields| {
        let logged = |field| logged.get(&field).and_then(Option::as_ref);
        match (logged(Field::ReferenceId), declared.get(Field::ReferenceId)) {
            (Some(logged), Some(declared)) => logged == declared,
            _ => logged(Field::TenantUrl) == declared.get(Field::TenantUrl),
        }
    };
    let was_meant = |id: IntegrationId| match pinned {
        Some(pinned) => pinned == id,
        None => {
            let last = log.entries.iter().find_map(|entry| match &entry.write {
                LoggedWrite::Created(Some(seen), Some(logged)) if *seen == id => Some(logged),
                LoggedWrite::Updated(seen, Some(logged)) if *seen == id => Some(logged),
                _ => None,
            });
            last.is_some_and(is_meant)
        }
    };
    attribute(log, |entry| match entry.write {
        LoggedWrite::Deleted(deleted) if was_meant(deleted) => EntryEvidence::Origin,
        _ => EntryEvidence::Irrelevant,
    })
}

/// Evidence of a log entry about the current value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryEvidence {
    /// The entry is about something else.
    Irrelevant,
    /// The entry wrote the resource, but the log has no request.
    Unknown,
    /// The entry wrote the live value.
    Matches,
    /// The entry wrote the live value, and no earlier one can have written it.
    Origin,
    /// The entry wrote another value.
    Differs,
}

impl EntryEvidence {
    fn of(same: Option<bool>) -> Self {
        match same {
            Some(true) => EntryEvidence::Matches,
            Some(false) => EntryEvidence::Differs,
            None => EntryEvidence::Irrelevant,
        }
    }
}

fn attribute(log: &AuditLog, evidence: impl Fn(&AuditEntry) -> EntryEvidence) -> Attribution {
    let mut newest: Option<&AuditEntry> = None;
    let mut earliest: Option<&AuditEntry> = None;
    let set_by = |entry: &AuditEntry| Attribution::Set {
        author: entry.author.clone(),
    };
    for entry in &log.entries {
        let found = evidence(entry);
        if found != EntryEvidence::Irrelevant {
            newest = newest.or(Some(entry));
        }
        match found {
            EntryEvidence::Irrelevant => {}
            EntryEvidence::Matches => earliest = Some(entry),
            EntryEvidence::Origin => return set_by(entry),
            EntryEvidence::Differs => {
                return earliest.map_or(Attribution::Unknown { since: log.since }, set_by);
            }
            EntryEvidence::Unknown => {
                let newest = newest.unwrap_or(entry);
                return Attribution::LastWritten {
                    author: newest.author.clone(),
                };
            }
        }
    }
    match earliest {
        Some(first) => Attribution::UnchangedSinceBefore {
            since: log.since,
            first: first.author.clone(),
        },
        None => Attribution::Unknown { since: log.since },
    }
}
