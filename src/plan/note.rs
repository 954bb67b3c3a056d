//! What the reader of a plan should know that is no change.

use std::fmt;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::address::Address;
use crate::model::behavior::RiskLevel;
use crate::model::integration::{IntegrationField, IntegrationId};
use crate::model::open_word::OpenWord;

/// One note; its display is the advice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Note {
    /// A field differs, and `ignore_changes` leaves it as it is.
    Ignored {
        /// The integration.
        address: Address,
        /// The field.
        field: IntegrationField,
        /// What it is and stays.
        live: Value,
        /// What the file says.
        declared: Value,
        /// The last day that it stays so.
        until: Option<Date>,
        /// Why, in the file's words.
        reason: Option<String>,
    },
    /// An `ignore_changes` has ended, so that the field counts again.
    Expired {
        /// The integration.
        address: Address,
        /// The field.
        field: IntegrationField,
        /// The last day that it was left alone.
        until: Date,
    },
    /// The live integration that an entry is pinned to is gone.
    PinGone {
        /// The integration.
        address: Address,
        /// The id that it is pinned to.
        id: IntegrationId,
    },
    /// An integration that is declared inactive can only be created active.
    ExportsForAMoment {
        /// The integration.
        address: Address,
    },
    /// A level rises: no weakening, but Access policies match a level exactly.
    LevelRaised {
        /// The behavior.
        address: Address,
        /// The level that policies may match today.
        from: OpenWord<RiskLevel>,
        /// The level that they would have to match.
        to: OpenWord<RiskLevel>,
    },
}

impl Note {
    /// What it is about.
    pub fn address(&self) -> &Address {
        match self {
            Note::Ignored { address, .. }
            | Note::Expired { address, .. }
            | Note::PinGone { address, .. }
            | Note::ExportsForAMoment { address }
            | Note::LevelRaised { address, .. } => address,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Ignored {
                address,
                field,
                live,
                declared,
                until,
                reason,
            } => {
                write!(
                    f,
                    "{address}: {field} stays {live} (declared {declared}), ignored"
                )?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                match reason {
                    Some(reason) => write!(f, ": {reason:?}"),
                    None => Ok(()),
                }
            }
            Note::Expired {
                address,
                field,
                until,
            } => write!(
                f,
                "{address}: ignoring {field} ended with {until}, so it counts again"
            ),
            Note::PinGone { address, id } => write!(
                f,
                "{address}: no live integration has the id {id} that it is pinned to, so it is matched by its other keys"
            ),
            Note::ExportsForAMoment { address } => write!(
                f,
                "{address}: a new integration is always active, so it exports scores for a moment before it is deactivated"
            ),
            Note::LevelRaised { address, from, to } => write!(
                f,
                "{address}: Access policies match a level exactly, so those that match {from} no longer match what is now {to}"
            ),
        }
    }
}
