//! SHA-256 over canonical JSON: object keys sorted, no white space.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use crate::model::account::LiveAccount;
use crate::model::behavior::{Behavior, BehaviorKey, BehaviorSettings, RiskLevel};
use crate::model::integration::{
    Integration, IntegrationId, IntegrationSettings, IntegrationType, ReferenceId,
};
use crate::model::open_enum::OpenEnum;
use crate::model::text::hex;

/// Input of the digest of a live account. All members are in canonical order.
#[derive(Serialize)]
struct LiveDigestInput<'a> {
    behaviors: BTreeMap<&'a BehaviorKey, DigestedBehavior<'a>>,
    integrations: Vec<DigestedIntegration<'a>>,
}

#[derive(Serialize)]
struct DigestedBehavior<'a> {
    enabled: bool,
    risk_level: &'a OpenEnum<RiskLevel>,
}

#[derive(Serialize)]
struct DigestedIntegration<'a> {
    active: bool,
    id: IntegrationId,
    integration_type: &'a OpenEnum<IntegrationType>,
    reference_id: Option<Cow<'a, str>>,
    tenant_url: &'a str,
}

/// Returns the digest of every behavior and every integration. Unlisted ones are included, because the write of behaviors sends the
/// whole map and a new integration can change a match.
pub fn live_digest(live: &LiveAccount) -> String {
    let LiveAccount {
        behaviors,
        integrations,
    } = live;
    sha256(&LiveDigestInput {
        behaviors: behaviors
            .iter()
            .map(|(key, behavior)| (key, behavior.into()))
            .collect(),
        integrations: integrations.iter().map(Into::into).collect(),
    })
}

impl<'a> From<&'a Behavior> for DigestedBehavior<'a> {
    fn from(behavior: &'a Behavior) -> Self {
        let Behavior {
            name: _,
            description: _,
            settings:
                BehaviorSettings {
                    enabled,
                    risk_level,
                },
        } = behavior;
        DigestedBehavior {
            enabled: *enabled,
            risk_level,
        }
    }
}

impl<'a> From<&'a Integration> for DigestedIntegration<'a> {
    fn from(integration: &'a Integration) -> Self {
        let Integration {
            id,
            account_tag: _,
            created_at: _,
            well_known_url: _,
            settings:
                IntegrationSettings {
                    integration_type,
                    tenant_url,
                    reference_id,
                    active,
                },
        } = integration;
        DigestedIntegration {
            active: *active,
            id: *id,
            integration_type,
            reference_id: reference_id.as_ref().map(ReferenceId::normalized),
            tenant_url: tenant_url.normalized(),
        }
    }
}

/// Returns the digest of a value as JSON. Equal values have equal digests if their members are sorted, as in a [`serde_json::Value`].
pub fn sha256(value: &impl Serialize) -> String {
    let mut hash = BufWriter::new(Hashing(Context::new(&SHA256)));
    serde_json::to_writer(&mut hash, value)
        .expect("what is digested has string keys, and hashing does not fail");
    hash.flush().expect("hashing does not fail");
    let (Hashing(hash), _) = hash.into_parts();
    format!("sha256:{}", hex(hash.finish()))
}

/// Writer that feeds a SHA-256.
struct Hashing(Context);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
