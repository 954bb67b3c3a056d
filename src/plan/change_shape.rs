//! How a change is written as JSON and read back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::behavior::BehaviorSettings;
use crate::model::integration::{IntegrationId, IntegrationSettings};
use crate::model::location::Location;

use super::attribution::FieldAttribution;
use super::change::{
    Action, Change, DeclaredBy, FieldChange, Kind, LiveMatch, ResourceDiff, ValueSources, Weakening,
};
use super::matching::MatchedBy;

/// A change of one resource.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Change")]
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
    #[serde(default)]
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attribution: Vec<FieldAttribution>,
}

/// Settings of a behavior or an integration.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Settings")]
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

impl ValueSources {
    fn of(fields: Vec<FieldChange>) -> Self {
        let mut sources = ValueSources::default();
        for field in fields {
            sources.identity_provider = sources.identity_provider.or(field.identity_provider);
            if !field.variables.is_empty() {
                let name = field.field.as_str().to_owned();
                sources.variables.insert(name, field.variables);
            }
        }
        sources
    }
}

impl TryFrom<ChangeJson> for Change {
    type Error = &'static str;

    fn try_from(shape: ChangeJson) -> Result<Self, Self::Error> {
        let ChangeJson {
            address,
            weakening: weakens,
            live_weaker_reason: live_weaker,
            location,
            declared_by,
            before,
            after,
            integration_id,
            matched_by,
            fields,
            attribution,
            ..
        } = shape;
        let sources = ValueSources::of(fields);
        let found = integration_id.map(|id| LiveMatch { id, by: matched_by });
        use SettingsJson::{Behavior, Integration};
        match (Kind::from(&address), before, after) {
            (Kind::Behavior, Some(Behavior(before)), Some(Behavior(after))) => {
                Ok(Change::Behavior(ResourceDiff {
                    address,
                    before: Some(before),
                    after: Some(after),
                    weakens,
                    live_weaker,
                    location,
                    declared_by,
                    found,
                    sources,
                    attribution,
                }))
            }
            (Kind::Integration, before, after) => {
                let settings = |shape| match shape {
                    None => Ok(None),
                    Some(Integration(settings)) => Ok(Some(settings)),
                    Some(Behavior(_)) => Err("a change of an integration holds a behavior"),
                };
                let (before, after) = (settings(before)?, settings(after)?);
                if before.is_none() && after.is_none() {
                    return Err("a change holds neither before nor after");
                }
                Ok(Change::Integration(ResourceDiff {
                    address,
                    before,
                    after,
                    weakens,
                    live_weaker,
                    location,
                    declared_by,
                    found,
                    sources,
                    attribution,
                }))
            }
            (Kind::Behavior, _, _) => Err("a behavior is neither created nor deleted"),
        }
    }
}
