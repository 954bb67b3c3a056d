//! An account's integrations, each with every field.

use serde::Serialize;

use super::Shown;
use super::table::fields;
use crate::model::integration::{Integration, IntegrationSettings, ReferenceId};
use crate::model::text::Visible;

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

/// Every integration of an account.
#[derive(Debug, Serialize)]
pub struct Integrations {
    /// In the order of their ids.
    pub integrations: Vec<Integration>,
}

impl Shown for Integrations {
    const FORMAT: &'static str = "riskform.integrations/1";
    const COLUMNS: &'static [&'static str] = COLUMNS;

    fn table(&self, width: u16) -> String {
        if self.integrations.is_empty() {
            return "No integrations.\n".to_owned();
        }
        let blocks: Vec<String> = self
            .integrations
            .iter()
            .map(|integration| block(integration, width))
            .collect();
        blocks.join("\n")
    }

    fn records(&self) -> impl Iterator<Item = Vec<String>> {
        self.integrations.iter().map(record)
    }
}

/// One integration.
#[derive(Debug, Serialize)]
pub struct OneIntegration {
    /// The one that was asked for.
    pub integration: Integration,
}

impl Shown for OneIntegration {
    const FORMAT: &'static str = "riskform.integration/1";
    const COLUMNS: &'static [&'static str] = COLUMNS;

    fn table(&self, width: u16) -> String {
        block(&self.integration, width)
    }

    fn records(&self) -> impl Iterator<Item = Vec<String>> {
        std::iter::once(record(&self.integration))
    }
}

/// A line a field: side by side they would not fit any terminal.
fn block(integration: &Integration, width: u16) -> String {
    let lines: Vec<(&str, String)> = COLUMNS
        .iter()
        .copied()
        .zip(record(integration))
        .map(|(name, value)| match value.as_str() {
            "" => (name, "(unset)".to_owned()),
            value => (name, Visible(value).to_string()),
        })
        .collect();
    fields(width, &lines)
}

/// The fields in the order of [`COLUMNS`].
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
