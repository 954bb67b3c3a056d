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

/// A change as JSON: what follows from `before` and `after` is written for whoever reads it, and computed anew when it is read back.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(super) struct ChangeJson {
    address: Address,
    kind: Kind,
    action: Action,
    /// Whether carrying it out weakens protection.
    weakens: bool,
    weakening: Option<Weakening>,
    /// Whether what is live protects less than what is declared.
    live_weaker: bool,
    live_weakening: Option<Weakening>,
    /// Where it is declared; `null` for an unlisted thing.
    location: Option<Location>,
    /// What declares it, where the file does not name it.
    #[serde(default)]
    covered_by: Option<DeclaredBy>,
    /// The live integration that it is about.
    integration_id: Option<IntegrationId>,
    /// What that integration was recognized by.
    matched_by: Option<MatchedBy>,
    /// Everything that it is; `null` where it is not there.
    before: Option<SettingsJson>,
    /// Everything that it will be, or is declared to be.
    after: Option<SettingsJson>,
    /// The fields that differ; all of them, where it comes or goes.
    fields: Vec<FieldChange>,
    /// In drift: who made it differ, as far as the audit log was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attribution: Vec<FieldAttribution>,
}

/// The settings of any kind; their members tell them apart.
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
        let (weakening, live_weakening) = (change.weakens(), change.live_weaker());
        let covered_by = change.covered_by();
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
            live_weaker: live_weakening.is_some(),
            live_weakening,
            location,
            covered_by,
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
            live_weakening: live_weaker,
            location,
            covered_by,
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
                    covered_by,
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
                    covered_by,
                    found,
                    sources,
                    attribution,
                }))
            }
            (Kind::Behavior, _, _) => Err("a behavior is neither created nor deleted"),
        }
    }
}
