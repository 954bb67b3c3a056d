//! Integrations of an account, with every field.

use serde::Serialize;

use super::Tabular;
use super::table::{Column, fields, grid};
use crate::model::field::Field;
use crate::model::integration::Integration;
use crate::model::text::EscapeInvisible;

const COLUMNS: &[&str] = &[
    "id",
    "integration_type",
    "tenant_url",
    "reference_id",
    "active",
    "created_at",
    "account_tag",
    "well_known_url",
];

/// All integrations of an account.
#[derive(Debug, Serialize)]
pub struct Integrations {
    /// In order of ids.
    pub integrations: Vec<Integration>,
}

impl Tabular for Integrations {
    const FORMAT: &'static str = "riskform.integrations/1";

    /// One line per integration.
    fn table(&self) -> String {
        const COLUMNS: [(&str, Column); 6] = [
            ("ID", Column::Words),
            ("TENANT_URL", Column::Words),
            ("ACTIVE", Column::Words),
            ("TYPE", Column::Words),
            ("REFERENCE_ID", Column::Words),
            ("WELL_KNOWN_URL", Column::Words),
        ];
        if self.integrations.is_empty() {
            return "No integrations.
"
            .to_owned();
        }
        grid(&COLUMNS, self.integrations.iter().map(row))
    }
}

/// One integration.
#[derive(Debug, Serialize)]
pub struct OneIntegration {
    pub integration: Integration,
}

impl Tabular for OneIntegration {
    const FORMAT: &'static str = "riskform.integration/1";

    /// One line per field.
    fn table(&self) -> String {
        let lines: Vec<(&str, String)> = COLUMNS
            .iter()
            .copied()
            .zip(record(&self.integration))
            .map(|(name, value)| (name, shown(&value)))
            .collect();
        fields(&lines)
    }
}

/// Returns the cells of a table row.
fn row(integration: &Integration) -> Vec<String> {
    let value = |field| EscapeInvisible(&integration.fields.shown(field)).to_string();
    vec![
        integration.id.to_string(),
        value(Field::TenantUrl),
        value(Field::Active),
        value(Field::IntegrationType),
        value(Field::ReferenceId),
        shown(&integration.well_known_url),
    ]
}

fn shown(value: &str) -> String {
    match value {
        "" => "(unset)".to_owned(),
        value => EscapeInvisible(value).to_string(),
    }
}

/// Returns the fields in the order of [`COLUMNS`].
fn record(integration: &Integration) -> Vec<String> {
    let Integration {
        id,
        account_tag,
        created_at,
        well_known_url,
        fields,
    } = integration;
    vec![
        id.to_string(),
        fields.shown(Field::IntegrationType),
        fields.shown(Field::TenantUrl),
        fields.shown(Field::ReferenceId),
        fields.shown(Field::Active),
        created_at.clone(),
        account_tag.clone(),
        well_known_url.clone(),
    ]
}
