//! What moved in a live account between two reads: each field, from what, to what.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::model::account::LiveAccount;
use crate::model::address::Address;
use crate::model::behavior::BehaviorSettings;
use crate::model::integration::{IntegrationField, IntegrationSettings};

use super::behaviors::changed_fields;
use super::integrations::{same, value};
use super::outcome::Field;

/// One thing that moved. A thing that came or went has no field, and what it is or was stands in `to` or `from`.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// What moved.
    pub address: Address,
    /// Which of its fields.
    pub field: Option<Field>,
    /// What it was; `null` for nothing.
    pub from: Value,
    /// What it is; `null` for nothing.
    pub to: Value,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moved {
            address,
            field,
            from,
            to,
        } = self;
        match (field, from) {
            (Some(field), _) => write!(f, "{address}: {field} moved from {from} to {to}"),
            (None, Value::Null) => write!(f, "{address} appeared: {to}"),
            (None, _) => write!(f, "{address} is gone; it was {from}"),
        }
    }
}

/// Compares two reads of one account, in exactly what the live digest covers.
pub fn moved(before: &LiveAccount, after: &LiveAccount) -> Vec<Moved> {
    let behaviors = |live: &LiveAccount| -> BTreeMap<Address, BehaviorSettings> {
        live.behaviors
            .iter()
            .map(|(key, behavior)| (Address::Behavior(key.clone()), behavior.settings.clone()))
            .collect()
    };
    let mut moved = Vec::new();
    compare(&behaviors(before), &behaviors(after), &mut moved, |a, b| {
        changed_fields(a, b)
            .into_iter()
            .map(|change| (change.field, change.before, change.after))
            .collect()
    });

    let integrations = |live: &LiveAccount| -> BTreeMap<Address, IntegrationSettings> {
        live.integrations
            .iter()
            .map(|live| (Address::UnlistedIntegration(live.id), live.settings.clone()))
            .collect()
    };
    compare(
        &integrations(before),
        &integrations(after),
        &mut moved,
        |a, b| {
            let fields = IntegrationField::ALL
                .iter()
                .filter(|field| !same(a, b, **field));
            fields
                .map(|field| ((*field).into(), value(a, *field), value(b, *field)))
                .collect()
        },
    );
    moved
}

fn compare<T: serde::Serialize>(
    before: &BTreeMap<Address, T>,
    after: &BTreeMap<Address, T>,
    moved: &mut Vec<Moved>,
    fields: impl Fn(&T, &T) -> Vec<(Field, Value, Value)>,
) {
    for (address, was) in before {
        match after.get(address) {
            Some(is) => moved.extend(fields(was, is).into_iter().map(|(field, from, to)| Moved {
                address: address.clone(),
                field: Some(field),
                from,
                to,
            })),
            None => moved.push(Moved {
                address: address.clone(),
                field: None,
                from: json!(was),
                to: Value::Null,
            }),
        }
    }
    for (address, is) in after {
        if !before.contains_key(address) {
            moved.push(Moved {
                address: address.clone(),
                field: None,
                from: Value::Null,
                to: json!(is),
            });
        }
    }
}
