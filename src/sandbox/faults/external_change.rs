//! What somebody else does to an account while riskform works on it: a person in the dashboard, another run, the vendor.

use serde::Deserialize;
use serde_json::Value;

use crate::model::account::AccountId;
use crate::model::behavior::{BehaviorKey, RiskLevel};
use crate::model::integration::{
    Integration, IntegrationId, IntegrationSettings, IntegrationType, ReferenceId, TenantUrl,
};
use crate::model::open_enum::OpenEnum;
use crate::sandbox::{Sandbox, StoreError};

/// A change behind the API's back, past all of its rules. What names something that is not there changes nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExternalChange {
    /// Configures a behavior.
    SetBehavior {
        /// Which.
        key: BehaviorKey,
        /// Whether it is detected; left out, it stays as it is.
        enabled: Option<bool>,
        /// Its level, any word; left out, it stays as it is.
        risk_level: Option<OpenEnum<RiskLevel>>,
    },
    /// Makes an integration.
    CreateIntegration {
        tenant_url: TenantUrl,
        reference_id: Option<ReferenceId>,
    },
    /// Makes the very integration that the request in hand is about to make. Without such a request it changes nothing.
    CreateTheSame,
    /// Changes an integration; what is left out stays as it is.
    EditIntegration {
        /// Which: its id, its reference or its tenant, letter for letter.
        integration: String,
        /// Its new tenant.
        tenant_url: Option<TenantUrl>,
        /// Its new reference.
        reference_id: Option<ReferenceId>,
        /// Whether it sends scores.
        active: Option<bool>,
    },
    /// Deletes an integration.
    DeleteIntegration {
        /// Which: its id, its reference or its tenant, letter for letter.
        integration: String,
    },
}

impl ExternalChange {
    /// Makes the change in the account that the request in hand is about; says which integration it made, if it made one.
    pub(super) fn apply(
        &self,
        sandbox: &Sandbox,
        account: &AccountId,
        body: &[u8],
    ) -> Result<Option<IntegrationId>, StoreError> {
        let edited = match self {
            ExternalChange::SetBehavior {
                key,
                enabled,
                risk_level,
            } => sandbox.edit(account, |account| {
                if let Some(behavior) = account.behaviors.get_mut(key) {
                    let settings = &mut behavior.settings;
                    settings.enabled = enabled.unwrap_or(settings.enabled);
                    settings.risk_level = risk_level
                        .clone()
                        .unwrap_or_else(|| settings.risk_level.clone());
                }
            }),
            ExternalChange::CreateIntegration {
                tenant_url,
                reference_id,
            } => return create(sandbox, account, tenant_url.clone(), reference_id.clone()),
            ExternalChange::CreateTheSame => match keys_from_body(body) {
                Some((tenant_url, reference_id)) => {
                    return create(sandbox, account, tenant_url, reference_id);
                }
                None => Ok(()),
            },
            ExternalChange::EditIntegration {
                integration,
                tenant_url,
                reference_id,
                active,
            } => sandbox.edit(account, |account| {
                for found in account
                    .integrations
                    .values_mut()
                    .filter(|one| is_named(one, integration))
                {
                    let settings = &mut found.settings;
                    settings.tenant_url = tenant_url
                        .clone()
                        .unwrap_or_else(|| settings.tenant_url.clone());
                    settings.reference_id = reference_id
                        .clone()
                        .or_else(|| settings.reference_id.take());
                    settings.active = active.unwrap_or(settings.active);
                }
            }),
            ExternalChange::DeleteIntegration { integration } => sandbox.edit(account, |account| {
                account
                    .integrations
                    .retain(|_, one| !is_named(one, integration));
            }),
        };
        edited.map(|()| None)
    }
}

fn create(
    sandbox: &Sandbox,
    account: &AccountId,
    tenant_url: TenantUrl,
    reference_id: Option<ReferenceId>,
) -> Result<Option<IntegrationId>, StoreError> {
    let settings = IntegrationSettings {
        integration_type: IntegrationType::Okta.into(),
        tenant_url,
        reference_id,
        active: true,
    };
    let created = sandbox.create_in_dashboard(account, settings)?;
    Ok(Some(created.id))
}

/// The keys of the integration that a body describes, if it does.
fn keys_from_body(body: &[u8]) -> Option<(TenantUrl, Option<ReferenceId>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // Only a creation says of what type it is.
    body.get("integration_type")?;
    let tenant_url = TenantUrl::from_live(body.get("tenant_url")?.as_str()?);
    let reference_id = body.get("reference_id").and_then(Value::as_str);
    Some((tenant_url, reference_id.and_then(ReferenceId::new)))
}

fn is_named(integration: &Integration, name: &str) -> bool {
    let IntegrationSettings {
        tenant_url,
        reference_id,
        ..
    } = &integration.settings;
    integration.id.to_string() == name
        || tenant_url.as_str() == name
        || reference_id
            .as_ref()
            .is_some_and(|reference| reference.as_str() == name)
}
