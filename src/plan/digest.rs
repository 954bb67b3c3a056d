//! SHA-256 over canonical JSON: object keys sorted, no white space.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::account::LiveAccount;
use crate::model::behavior::Behavior;
use crate::model::integration::Integration;

/// Digests everything that a plan rests on: every behavior and every integration, unlisted ones included, because the write of behaviors
/// sends the whole map and a new integration can change a match.
pub fn live_digest(live: &LiveAccount) -> String {
    let LiveAccount {
        behaviors,
        integrations,
    } = live;
    let behaviors: serde_json::Map<String, Value> = behaviors
        .iter()
        .map(|(key, behavior)| {
            let Behavior {
                name: _,
                description: _,
                settings,
            } = behavior;
            (key.as_str().to_owned(), json!(settings))
        })
        .collect();
    let integrations: Vec<Value> = integrations
        .iter()
        .map(|integration| {
            let Integration {
                id,
                account_tag: _,
                created_at: _,
                well_known_url: _,
                settings,
            } = integration;
            json!({
                "id": id,
                "integration_type": settings.integration_type,
                "tenant_url": settings.tenant_url.normalised(),
                "reference_id": settings.reference_id,
                "active": settings.active,
            })
        })
        .collect();
    sha256(&json!({ "behaviors": behaviors, "integrations": integrations }))
}

/// Digests a JSON value; `serde_json` keeps objects sorted by key, so equal values give equal bytes.
pub fn sha256(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
