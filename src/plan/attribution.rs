//! Attribution of differences by the account's audit log: a pure function from a log and the live state to an [`Attribution`].
//!
//! Every write of behaviors sends the whole map, and every write of an integration all of its fields, so the newest entry may only
//! repeat a value. The author is that of the **earliest entry of the unbroken run**, backwards from now, of entries with the live value.
//! The run ends at an entry with another value.

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::account::DesiredAccount;
use crate::model::address::Address;
use crate::model::audit_log::{
    AuditEntry, AuditLog, Author, LoggedBehavior, LoggedIntegration, LoggedWrite,
};
use crate::model::behavior::{BehaviorKey, BehaviorSettings};
use crate::model::context::{AuditLogWindow, Fetched};
use crate::model::integration::{
    DesiredIntegration, IntegrationField, IntegrationId, IntegrationSettings, ReferenceId,
    TenantUrl,
};
use crate::model::open_enum::string_enum;

use super::change::{Change, Field, FieldChange, ResourceDiff, UnlistedSettings};
use super::run::AccountPlan;

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

impl AccountPlan {
    /// Says of each difference who made it, as far as the log tells.
    ///
    /// Needs what was declared, so states must still be there.
    pub fn attribute(&mut self, log: &AuditLog) {
        let desired = self.desired.clone();
        for change in &mut self.changes {
            let attribution = match change {
                Change::Behavior(diff) => {
                    behavior(log, &diff.address, diff.before.as_ref(), &diff.fields())
                }
                Change::Integration(diff) => {
                    let pinned =
                        entry(desired.as_deref(), &diff.address).and_then(|entry| entry.id);
                    integration(log, diff, pinned)
                }
            };
            change.attribute(attribution);
        }
        for thing in &mut self.unlisted {
            thing.attribution = match (&thing.address, &thing.settings) {
                (address, UnlistedSettings::Behavior(live)) => {
                    behavior(log, address, Some(live), &thing.settings.fields())
                }
                (Address::UnlistedIntegration(id), UnlistedSettings::Integration(_)) => {
                    vec![whole(AttributedAction::Created, creation(log, *id))]
                }
                (
                    Address::Behavior(_) | Address::Integration(_),
                    UnlistedSettings::Integration(_),
                ) => Vec::new(),
            };
        }
        let context = self.context.get_or_insert_default();
        context.audit_log = Fetched::Loaded(AuditLogWindow {
            since: log.since,
            skipped: log.skipped,
        });
    }
}

fn entry<'a>(
    desired: Option<&'a DesiredAccount>,
    address: &Address,
) -> Option<&'a DesiredIntegration> {
    match address {
        Address::Integration(name) => desired?.integrations.get(name),
        Address::Behavior(_) | Address::UnlistedIntegration(_) => None,
    }
}

fn behavior(
    log: &AuditLog,
    address: &Address,
    live: Option<&BehaviorSettings>,
    fields: &[FieldChange],
) -> Vec<FieldAttribution> {
    let (Address::Behavior(key), Some(live)) = (address, live) else {
        return Vec::new();
    };
    let fields = fields.iter().filter_map(|change| {
        let field = match change.field {
            Field::Enabled => BehaviorField::Enabled,
            Field::RiskLevel => BehaviorField::RiskLevel,
            Field::IntegrationType | Field::TenantUrl | Field::ReferenceId | Field::Active => {
                return None;
            }
        };
        Some((change.field, behavior_field(log, key, field, live)))
    });
    together(fields)
}

fn integration(
    log: &AuditLog,
    diff: &ResourceDiff<IntegrationSettings>,
    pinned: Option<IntegrationId>,
) -> Vec<FieldAttribution> {
    match (&diff.before, diff.found, &diff.after) {
        (Some(_), Some(found), None) => {
            vec![whole(AttributedAction::Created, creation(log, found.id))]
        }
        (Some(live), Some(found), Some(_)) => {
            let fields = diff.fields().into_iter().filter_map(|change| {
                let field = match change.field {
                    Field::IntegrationType => IntegrationField::IntegrationType,
                    Field::TenantUrl => IntegrationField::TenantUrl,
                    Field::ReferenceId => IntegrationField::ReferenceId,
                    Field::Active => IntegrationField::Active,
                    Field::Enabled | Field::RiskLevel => return None,
                };
                Some((change.field, integration_field(log, found.id, field, live)))
            });
            together(fields)
        }
        (_, _, Some(declared)) => {
            let reference = declared.reference_id.as_ref();
            let deletion = deletion(log, pinned, reference, &declared.tenant_url);
            vec![whole(AttributedAction::Deleted, deletion)]
        }
        (_, _, None) => Vec::new(),
    }
}

fn whole(action: AttributedAction, attribution: Attribution) -> FieldAttribution {
    FieldAttribution {
        action,
        fields: Vec::new(),
        attribution,
    }
}

/// What is said of several fields alike is said once.
fn together(fields: impl Iterator<Item = (Field, Attribution)>) -> Vec<FieldAttribution> {
    let mut told: Vec<FieldAttribution> = Vec::new();
    for (field, attribution) in fields {
        match told.iter_mut().find(|told| told.attribution == attribution) {
            Some(told) => told.fields.push(field),
            None => told.push(FieldAttribution {
                action: AttributedAction::Set,
                fields: vec![field],
                attribution,
            }),
        }
    }
    told
}

/// A field of a behavior that a change names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BehaviorField {
    Enabled,
    RiskLevel,
}

/// Who set a field of a behavior to what it is live.
pub fn behavior_field(
    log: &AuditLog,
    key: &BehaviorKey,
    field: BehaviorField,
    live: &BehaviorSettings,
) -> Attribution {
    let same = |trace: &LoggedBehavior| match field {
        BehaviorField::Enabled => Some(trace.enabled? == live.enabled),
        BehaviorField::RiskLevel => Some(*trace.risk_level.as_ref()? == live.risk_level),
    };
    attribute(log, |entry| match &entry.write {
        LoggedWrite::Behaviors(None) => EntryEvidence::Unknown,
        LoggedWrite::Behaviors(Some(traces)) => EntryEvidence::of(traces.get(key).and_then(same)),
        LoggedWrite::Created(..) | LoggedWrite::Updated(..) | LoggedWrite::Deleted(_) => {
            EntryEvidence::Irrelevant
        }
    })
}

/// Who set a field of an integration to what it is live.
pub fn integration_field(
    log: &AuditLog,
    id: IntegrationId,
    field: IntegrationField,
    live: &IntegrationSettings,
) -> Attribution {
    let same = |trace: &LoggedIntegration| match field {
        IntegrationField::IntegrationType => {
            Some(*trace.integration_type.as_ref()? == live.integration_type)
        }
        IntegrationField::TenantUrl => Some(*trace.tenant_url.as_ref()? == live.tenant_url),
        IntegrationField::ReferenceId => Some(*trace.reference_id.as_ref()? == live.reference_id),
        IntegrationField::Active => Some(trace.active? == live.active),
    };
    attribute(log, |entry| match &entry.write {
        LoggedWrite::Created(Some(created), trace) if *created == id => {
            match trace.as_ref().map(same) {
                // A create sets every field that it sends; no earlier write exists.
                Some(Some(true) | None) | None => EntryEvidence::Origin,
                Some(Some(false)) => EntryEvidence::Differs,
            }
        }
        LoggedWrite::Updated(updated, None) if *updated == id => EntryEvidence::Unknown,
        LoggedWrite::Updated(updated, Some(trace)) if *updated == id => {
            EntryEvidence::of(same(trace))
        }
        _ => EntryEvidence::Irrelevant,
    })
}

/// Who made an integration.
pub fn creation(log: &AuditLog, id: IntegrationId) -> Attribution {
    attribute(log, |entry| match entry.write {
        LoggedWrite::Created(Some(created), _) if created == id => EntryEvidence::Origin,
        _ => EntryEvidence::Irrelevant,
    })
}

/// Who deleted the integration that an entry of a file means: the one of this id, or else the one that the log last saw with its
/// reference or tenant.
pub fn deletion(
    log: &AuditLog,
    pinned: Option<IntegrationId>,
    reference_id: Option<&ReferenceId>,
    tenant_url: &TenantUrl,
) -> Attribution {
    let is_meant = |trace: &LoggedIntegration| match (&trace.reference_id, reference_id) {
        (Some(Some(held)), Some(wanted)) => held == wanted,
        _ => trace.tenant_url.as_ref() == Some(tenant_url),
    };
    let was_meant = |id: IntegrationId| match pinned {
        Some(pinned) => pinned == id,
        None => {
            let last = log.entries.iter().find_map(|entry| match &entry.write {
                LoggedWrite::Created(Some(seen), Some(trace)) if *seen == id => Some(trace),
                LoggedWrite::Updated(seen, Some(trace)) if *seen == id => Some(trace),
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

/// What an entry tells of the value in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryEvidence {
    /// It is about something else.
    Irrelevant,
    /// It wrote what the value belongs to, and what it wrote is not kept.
    Unknown,
    /// The live value.
    Matches,
    /// The live value, and nothing can have held it before.
    Origin,
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

fn attribute(log: &AuditLog, holds: impl Fn(&AuditEntry) -> EntryEvidence) -> Attribution {
    let mut newest: Option<&AuditEntry> = None;
    let mut earliest: Option<&AuditEntry> = None;
    for entry in &log.entries {
        let held = holds(entry);
        if held != EntryEvidence::Irrelevant {
            newest = newest.or(Some(entry));
        }
        match held {
            EntryEvidence::Irrelevant => {}
            EntryEvidence::Matches => earliest = Some(entry),
            EntryEvidence::Origin => {
                return Attribution::Set {
                    author: entry.author.clone(),
                };
            }
            EntryEvidence::Differs => {
                return match earliest {
                    Some(entry) => Attribution::Set {
                        author: entry.author.clone(),
                    },
                    None => Attribution::Unknown { since: log.since },
                };
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
