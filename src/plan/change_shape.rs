//! How a change is written as JSON.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::address::Address;
use crate::model::behavior::BehaviorSettings;
use crate::model::integration::{IntegrationId, IntegrationSettings};
use crate::model::location::Location;

use super::attribution::FieldAttribution;
use super::change::{Action, Change, DeclaredBy, FieldChange, Kind, Weakening};
use super::matching::MatchedBy;

/// A change of one resource.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[cfg_attr(test, schemars(rename = "Change"))]
pub(super) struct ChangeJson {
    address: Address,
    kind: Kind,
    action: Action,
    /// Reason why the change weakens protection. Null if it does not.
    weakens: bool,
    weakening: Option<Weakening>,
    /// Reason why the live state protects less than the desired state. Null if it does not.
    live_weaker: bool,
    live_weaker_reason: Option<Weakening>,
    /// Location of the entry. Null for unlisted resources.
    location: Option<Location>,
    /// Entry that declares the resource if it is not declared by name.
    declared_by: Option<DeclaredBy>,
    /// ID of the live integration.
    integration_id: Option<IntegrationId>,
    /// How the live integration was matched to its entry.
    matched_by: Option<MatchedBy>,
    /// Live settings. Null if the resource does not exist.
    before: Option<SettingsJson>,
    /// Settings after the change. Null if the resource is deleted.
    after: Option<SettingsJson>,
    /// Changed fields. All fields for a create or delete.
    fields: Vec<FieldChange>,
    /// Drift only: authors of the difference, from the audit log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attribution: Vec<FieldAttribution>,
}

/// Settings of a behavior or an integration.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
#[cfg_attr(test, schemars(rename = "Settings"))]
enum SettingsJson {
    Behavior(BehaviorSettings),
    Integration(IntegrationSettings),
}

impl From<Change> for ChangeJson {
    fn from(change: Change) -> Self {
        let (kind, action, fields) = (change.kind(), change.action(), change.fields());
        let (weakening, live_weaker_reason) = (change.weakens(), change.live_weaker());
        let declared_by = change.declared_by();
        let attribution = change.attribution().to_vec();
        let (address, location, found, before, after) = match change {
            Change::Behavior(diff) => (
                diff.address,
                diff.location,
                diff.found,
                diff.before.map(SettingsJson::Behavior),
                diff.after.map(SettingsJson::Behavior),
            ),
            Change::Integration(diff) => (
                diff.address,
                diff.location,
                diff.found,
                diff.before.map(SettingsJson::Integration),
                diff.after.map(SettingsJson::Integration),
            ),
        };
        ChangeJson {
            address,
            kind,
            action,
            weakens: weakening.is_some(),
            weakening,
            live_weaker: live_weaker_reason.is_some(),
            live_weaker_reason,
            location,
            declared_by,
            integration_id: found.map(|found| found.id),
            matched_by: found.and_then(|found| found.by),
            before,
            after,
            fields,
            attribution,
        }
    }
}
