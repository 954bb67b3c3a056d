//! Effects of each operation on the fields of resources, for the audit log. A change may take several operations, e.g. with a
//! placeholder value, so the effects can contain more than the changes.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::model::address::Address;
use crate::model::integration::IntegrationSettings;

use super::change::{FieldChange, field_changes};
use super::operation::{IntegrationTarget, Operation, OperationId, OperationKind};
use super::run::AccountPlan;

/// Effect of an operation on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    pub address: Address,
    pub fields: Vec<FieldChange>,
}

/// Returns the effects of all operations, in order. Each starts from the result of the operations before it.
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
            let addresses = operation
                .addresses
                .iter()
                .filter_map(|address| match address {
                    Address::Behavior(key) => Some((address, key)),
                    Address::Integration(_) | Address::UnlistedIntegration(_) => None,
                });
            let effects = addresses.map(|(address, key)| {
                let before = live.behaviors.get(key).map(|behavior| &behavior.settings);
                Effect {
                    address: address.clone(),
                    fields: field_changes(before, complete.get(key)),
                }
            });
            effects.collect()
        }
        OperationKind::Create { settings } => {
            // The API creates active integrations only.
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
