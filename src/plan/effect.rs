//! What each operation of a plan changes, field by field, for whoever writes down what is sent. A change may take several operations, such
//! as a field that is parked first, so this says more than the changes do.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::model::address::Address;
use crate::model::integration::IntegrationSettings;

use super::change::{FieldChange, field_changes};
use super::operation::{IntegrationTarget, Operation, OperationId, OperationKind};
use super::run::AccountPlan;

/// What one operation does to one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    pub address: Address,
    pub fields: Vec<FieldChange>,
}

/// What every operation does, in their order: each begins where those before it end.
pub fn effects(account: &AccountPlan) -> BTreeMap<OperationId, Vec<Effect>> {
    let live = account.live();
    let mut integrations: HashMap<IntegrationTarget, IntegrationSettings> = live
        .integrations
        .iter()
        .map(|live| (IntegrationTarget::Existing(live.id), live.settings.clone()))
        .collect();
    let mut of = |operation: &Operation| match &operation.call {
        OperationKind::WriteBehaviors {
            declared: _,
            complete,
        } => {
            let covers = operation.covers.iter().filter_map(|address| match address {
                Address::Behavior(key) => Some((address, key)),
                Address::Integration(_) | Address::UnlistedIntegration(_) => None,
            });
            let effects = covers.map(|(address, key)| {
                let before = live.behaviors.get(key).map(|behavior| &behavior.settings);
                Effect {
                    address: address.clone(),
                    fields: field_changes(before, complete.get(key)),
                }
            });
            effects.collect()
        }
        OperationKind::Create { settings } => {
            // It is active, whatever the settings say.
            let made = IntegrationSettings {
                active: true,
                ..settings.clone()
            };
            let fields = field_changes(None, Some(&made));
            integrations.insert(IntegrationTarget::CreatedBy(operation.id), made);
            one(operation, fields)
        }
        OperationKind::Update { subject, settings } => {
            let before = integrations.insert(*subject, settings.clone());
            one(operation, field_changes(before.as_ref(), Some(settings)))
        }
        OperationKind::Delete { id } => {
            let before = integrations.remove(&IntegrationTarget::Existing(*id));
            one(operation, field_changes(before.as_ref(), None))
        }
    };
    let operations = account.operations.iter();
    operations
        .map(|operation| (operation.id, of(operation)))
        .collect()
}

fn one(operation: &Operation, fields: Vec<FieldChange>) -> Vec<Effect> {
    vec![Effect {
        address: operation.address.clone(),
        fields,
    }]
}
