//! Integrations of an account, with every field.

use serde::Serialize;

use super::Tabular;
use super::table::{Column, Width, fields, grid};
use crate::model::integration::{Integration, IntegrationSettings, ReferenceId};
use crate::model::text::EscapeInvisible;
use crate::report::style::link;

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
    const COLUMNS: &'static [&'static str] = COLUMNS;

    /// One line per integration. Columns that do not fit are omitted from the right, with a notice.
    fn table(&self, width: Width) -> String {
        const HEADINGS: &[&str] = &[
            "ID",
            "TENANT_URL",
            "ACTIVE",
            "TYPE",
            "REFERENCE_ID",
            "WELL_KNOWN_URL",
        ];
        const LEAST: usize = 2;
        if self.integrations.is_empty() {
            return "No integrations.\n".to_owned();
        }
        let columns: Vec<(&str, Column)> = HEADINGS
            .iter()
            .map(|heading| (*heading, Column::Words))
            .collect();
        let rows: Vec<Vec<String>> = self.integrations.iter().map(row).collect();
        let table = |shown: usize| {
            let rows = rows.iter().map(|row| row[..shown].to_vec());
            grid(None, &columns[..shown], rows)
        };
        let fits = |table: &str| {
            let table = anstream::adapter::strip_str(table).to_string();
            let longest = table.lines().map(|line| line.chars().count()).max();
            width.is_none_or(|width| longest <= Some(usize::from(width)))
        };
        let shown = (LEAST..=HEADINGS.len())
            .rev()
            .find(|shown| fits(&table(*shown)))
            .unwrap_or(LEAST);
        let mut text = table(shown);
        if shown < HEADINGS.len() {
            let rest = HEADINGS[shown..].join(", ");
            text.push_str(&format!(
                "\nriskform get integration ID shows {}\n",
                rest.to_lowercase()
            ));
        }
        text
    }

    fn records(&self) -> impl Iterator<Item = Vec<String>> {
        self.integrations.iter().map(record)
    }
}

/// One integration.
#[derive(Debug, Serialize)]
pub struct OneIntegration {
    pub integration: Integration,
}

impl Tabular for OneIntegration {
    const FORMAT: &'static str = "riskform.integration/1";
    const COLUMNS: &'static [&'static str] = COLUMNS;

    /// One line per field, unwrapped.
    fn table(&self, _: Width) -> String {
        let lines: Vec<(&str, String)> = COLUMNS
            .iter()
            .copied()
            .zip(record(&self.integration))
            .map(|(name, value)| (name, shown(name, &value)))
            .collect();
        fields(None, &lines)
    }

    fn records(&self) -> impl Iterator<Item = Vec<String>> {
        std::iter::once(record(&self.integration))
    }
}

/// Returns the cells of a table row.
fn row(integration: &Integration) -> Vec<String> {
    let settings = &integration.settings;
    let reference = settings.reference_id.as_ref();
    let well_known_url = &integration.well_known_url;
    vec![
        integration.id.to_string(),
        shown("tenant_url", settings.tenant_url.as_str()),
        settings.active.to_string(),
        shown("type", &settings.integration_type.to_string()),
        shown("reference_id", reference.map_or("", ReferenceId::as_str)),
        shown("well_known_url", well_known_url),
    ]
}

fn shown(name: &str, value: &str) -> String {
    match (name, value) {
        (_, "") => "(unset)".to_owned(),
        ("well_known_url", url) => link(url),
        (_, value) => EscapeInvisible(value).to_string(),
    }
}

/// Returns the fields in the order of [`COLUMNS`].
fn record(integration: &Integration) -> Vec<String> {
    let Integration {
        id,
        account_tag,
        created_at,
        well_known_url,
        settings:
            IntegrationSettings {
                integration_type,
                tenant_url,
                reference_id,
                active,
            },
    } = integration;
    vec![
        id.to_string(),
        integration_type.to_string(),
        tenant_url.as_str().to_owned(),
        reference_id
            .as_ref()
            .map_or("", ReferenceId::as_str)
            .to_owned(),
        active.to_string(),
        created_at.clone(),
        account_tag.clone(),
        well_known_url.clone(),
    ]
}
