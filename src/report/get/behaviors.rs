//! Behaviors of an account.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Tabular;
use super::table::{Column, grid};
use crate::model::behavior::{Behavior, BehaviorKey};
use crate::model::field::Field;
use crate::model::text::EscapeInvisible;

/// All behaviors of an account.
#[derive(Debug, Serialize)]
pub struct Behaviors {
    /// By key.
    pub behaviors: BTreeMap<BehaviorKey, Behavior>,
}

impl Tabular for Behaviors {
    const FORMAT: &'static str = "riskform.behaviors/1";

    fn table(&self) -> String {
        let columns = [
            ("KEY", Column::Words),
            ("ENABLED", Column::Words),
            ("LEVEL", Column::Words),
            ("NAME", Column::Words),
            ("DESCRIPTION", Column::Words),
        ];
        let rows = self.behaviors.iter().map(|(key, behavior)| {
            let Behavior {
                name,
                description,
                fields,
            } = behavior;
            vec![
                EscapeInvisible(key.as_str()).to_string(),
                fields.shown(Field::Enabled),
                EscapeInvisible(&fields.shown(Field::RiskLevel)).to_string(),
                EscapeInvisible(name).to_string(),
                EscapeInvisible(description).to_string(),
            ]
        });
        grid(&columns, rows)
    }
}
