//! Live changes between two reads of an account, field by field.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::account::LiveAccount;
use crate::model::address::Address;
use crate::model::behavior::BehaviorSettings;
use crate::model::integration::IntegrationSettings;

use super::change::{Field, FieldChange, FieldValue, ResourceFields, field_changes, quoted};

/// A live change of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveChange {
    pub address: Address,
    pub how: LiveChangeKind,
}

/// Kind of a live change.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveChangeKind {
    Changed {
        field: Field,
        from: Option<FieldValue>,
        to: Option<FieldValue>,
    },
    /// Added, with these fields.
    Added(Vec<FieldChange>),
    /// Removed; it had these fields.
    Removed(Vec<FieldChange>),
}

impl fmt::Display for LiveChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        let list = |fields: &[FieldChange]| {
            let fields: Vec<String> = fields
                .iter()
                .map(|change| {
                    let value = change.after.as_ref().or(change.before.as_ref());
                    format!("{} {}", change.field, quoted(value))
                })
                .collect();
            fields.join(", ")
        };
        match &self.how {
            LiveChangeKind::Changed { field, from, to } => {
                let (from, to) = (quoted(from.as_ref()), quoted(to.as_ref()));
                write!(f, "{address}: {field} changed from {from} to {to}")
            }
            LiveChangeKind::Added(fields) => write!(f, "{address} was added: {}", list(fields)),
            LiveChangeKind::Removed(fields) => {
                write!(f, "{address} was removed; it had {}", list(fields))
            }
        }
    }
}

/// Compares two reads of one account, in the fields of the live digest.
pub fn moved(before: &LiveAccount, after: &LiveAccount) -> Vec<LiveChange> {
    fn behaviors(live: &LiveAccount) -> BTreeMap<Address, &BehaviorSettings> {
        let behaviors = live.behaviors.iter();
        behaviors
            .map(|(key, behavior)| (Address::Behavior(key.clone()), &behavior.settings))
            .collect()
    }
    fn integrations(live: &LiveAccount) -> BTreeMap<Address, &IntegrationSettings> {
        let integrations = live.integrations.iter();
        integrations
            .map(|live| (Address::UnlistedIntegration(live.id), &live.settings))
            .collect()
    }
    let mut moved = Vec::new();
    compare(&behaviors(before), &behaviors(after), &mut moved);
    compare(&integrations(before), &integrations(after), &mut moved);
    moved
}

fn compare<T: ResourceFields>(
    before: &BTreeMap<Address, &T>,
    after: &BTreeMap<Address, &T>,
    moved: &mut Vec<LiveChange>,
) {
    let mut push = |address: &Address, how| {
        moved.push(LiveChange {
            address: address.clone(),
            how,
        });
    };
    for (address, was) in before {
        match after.get(address) {
            Some(is) => {
                for change in field_changes(Some(*was), Some(*is)) {
                    let FieldChange {
                        field,
                        before: from,
                        after: to,
                        ..
                    } = change;
                    push(address, LiveChangeKind::Changed { field, from, to });
                }
            }
            None => push(
                address,
                LiveChangeKind::Removed(field_changes(Some(*was), None)),
            ),
        }
    }
    for (address, is) in after {
        if !before.contains_key(address) {
            push(
                address,
                LiveChangeKind::Added(field_changes(None, Some(*is))),
            );
        }
    }
}
