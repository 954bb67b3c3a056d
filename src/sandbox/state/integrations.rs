//! Integrations, which are created, overwritten and deleted one at a time.

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{Account, WriteContext};
use crate::model::account::AccountId;
use crate::model::integration::{
    Integration, IntegrationId, IntegrationSettings, IntegrationType, ReferenceId, TenantUrl,
};
use crate::model::open_enum::OpenEnum;
use crate::sandbox::body::{self, FieldErrors};
use crate::sandbox::envelope::{ApiFailure, FieldError};
use crate::sandbox::settings::{
    AcceptedReferences, OmittedReference, Settings, TenantUrlForm, UniqueKey, UnsetReference,
};

/// An integration as the API shows it.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct IntegrationView<'a> {
    id: IntegrationId,
    account_tag: &'a str,
    active: bool,
    created_at: &'a str,
    integration_type: &'a OpenEnum<IntegrationType>,
    // The outer `None` leaves the field out, the inner one is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<Option<&'a str>>,
    tenant_url: &'a str,
    well_known_url: &'a str,
}

/// Returns an integration as the API shows it with these settings.
pub(in crate::sandbox) fn to_view<'a>(
    integration: &'a Integration,
    settings: &Settings,
) -> IntegrationView<'a> {
    let Integration {
        id,
        account_tag,
        created_at,
        well_known_url,
        settings: configured,
    } = integration;
    let unset = match settings.unset_reference {
        // Unset by a direct change: shown as a string, as in the schema.
        UnsetReference::Random | UnsetReference::Empty => Some(Some("")),
        UnsetReference::Null => Some(None),
        UnsetReference::Absent => None,
    };
    IntegrationView {
        id: *id,
        account_tag,
        active: configured.active,
        created_at,
        integration_type: &configured.integration_type,
        reference_id: configured
            .reference_id
            .as_ref()
            .map_or(unset, |reference| Some(Some(reference.as_str()))),
        tenant_url: configured.tenant_url.as_str(),
        well_known_url,
    }
}

impl Account {
    /// Finds an integration by its id.
    pub(in crate::sandbox) fn integration(
        &self,
        id: IntegrationId,
    ) -> Result<&Integration, ApiFailure> {
        self.integrations.get(&id).ok_or(ApiFailure::NoIntegration)
    }

    /// Finds an integration by its reference; if several match, the one with the lowest ID.
    pub(in crate::sandbox) fn integration_with(
        &self,
        reference: &str,
    ) -> Result<&Integration, ApiFailure> {
        self.integrations
            .values()
            .find(|integration| {
                let held = integration.settings.reference_id.as_ref();
                held.is_some_and(|held| held.as_str() == reference)
            })
            .ok_or(ApiFailure::NoIntegration)
    }

    /// Creates an integration from a body. It is always active.
    pub(in crate::sandbox) fn create_integration(
        &mut self,
        account_id: &AccountId,
        bytes: &[u8],
        stamp: WriteContext,
        settings: &Settings,
    ) -> Result<&Integration, ApiFailure> {
        let configured = body::read(bytes, |body, mistakes| {
            let body = mistakes.object(body, "")?;
            let integration_type = decode_type(body, mistakes);
            let keys = self.decode_keys(body, mistakes, None, stamp, settings);
            let (tenant_url, reference_id) = keys?;
            Some(IntegrationSettings {
                integration_type: integration_type?,
                tenant_url,
                reference_id,
                active: true,
            })
        })?;
        self.check_unique_keys(&configured, None, settings)?;
        Ok(self.add_integration(account_id, configured, stamp))
    }

    /// Adds an integration without checking any rule.
    pub(in crate::sandbox) fn add_integration(
        &mut self,
        account_id: &AccountId,
        settings: IntegrationSettings,
        stamp: WriteContext,
    ) -> &Integration {
        let id = IntegrationId::from(stamp.id);
        self.integrations.entry(id).or_insert_with(|| Integration {
            id,
            account_tag: account_id.to_string(),
            created_at: stamp.now.to_string(),
            well_known_url: well_known_url(id),
            settings,
        })
    }

    /// Overwrites an integration, except its type. Omitted fields are reset.
    pub(in crate::sandbox) fn put_integration(
        &mut self,
        id: IntegrationId,
        bytes: &[u8],
        stamp: WriteContext,
        settings: &Settings,
    ) -> Result<&Integration, ApiFailure> {
        let held = &self.integration(id)?.settings;
        let configured = body::read(bytes, |body, mistakes| {
            let body = mistakes.object(body, "")?;
            let active = mistakes.boolean(body, "", "active");
            let keys = self.decode_keys(body, mistakes, Some(held), stamp, settings);
            let (tenant_url, reference_id) = keys?;
            Some(IntegrationSettings {
                integration_type: held.integration_type.clone(),
                tenant_url,
                reference_id,
                active: active?,
            })
        })?;
        self.check_unique_keys(&configured, Some(id), settings)?;
        let integration = self
            .integrations
            .get_mut(&id)
            .ok_or(ApiFailure::NoIntegration)?;
        integration.settings = configured;
        Ok(integration)
    }

    /// Deletes an integration.
    pub(in crate::sandbox) fn delete_integration(
        &mut self,
        id: IntegrationId,
    ) -> Result<(), ApiFailure> {
        self.integrations
            .remove(&id)
            .map(drop)
            .ok_or(ApiFailure::NoIntegration)
    }

    /// Parses the fields that creating and overwriting have in common.
    fn decode_keys(
        &self,
        body: &Map<String, Value>,
        mistakes: &mut FieldErrors,
        held: Option<&IntegrationSettings>,
        stamp: WriteContext,
        settings: &Settings,
    ) -> Option<(TenantUrl, Option<ReferenceId>)> {
        let reference_id = mistakes
            .optional_text(body, "", "reference_id")
            .map(|sent| sent.and_then(ReferenceId::new));
        if let Some(Some(sent)) = &reference_id
            && settings.references == AcceptedReferences::Providers
            && !self.context.offers_identity_provider(sent.as_str())
            && held.is_none_or(|held| held.reference_id.as_ref() != Some(sent))
        {
            let _: Option<()> =
                mistakes.add("/reference_id", "must be the id of an identity provider");
        }
        let tenant_url = mistakes.text(body, "", "tenant_url")?;
        // The schema requires a URI. That it must be an https base URL is riskform's rule, not the API's.
        if !is_uri(tenant_url) {
            return mistakes.add("/tenant_url", "must be a URI");
        }
        let tenant_url = TenantUrl::from_live(tenant_url);
        let tenant_url = match settings.tenant_url {
            TenantUrlForm::Verbatim => tenant_url,
            TenantUrlForm::Normalized => TenantUrl::from_live(tenant_url.normalized()),
        };
        let kept = match settings.omitted_reference {
            OmittedReference::Cleared => None,
            OmittedReference::Kept => held.and_then(|held| held.reference_id.clone()),
        };
        let made_up = || match settings.unset_reference {
            UnsetReference::Random => ReferenceId::new(stamp.reference.to_string()),
            UnsetReference::Empty | UnsetReference::Null | UnsetReference::Absent => None,
        };
        let reference_id = reference_id?.or(kept).or_else(made_up);
        Some((tenant_url, reference_id))
    }

    fn check_unique_keys(
        &self,
        wanted: &IntegrationSettings,
        except: Option<IntegrationId>,
        settings: &Settings,
    ) -> Result<(), Vec<FieldError>> {
        let taken = |key: &UniqueKey| {
            let others = self
                .integrations
                .values()
                .filter(|other| Some(other.id) != except);
            let mut others = others.map(|other| &other.settings);
            match key {
                UniqueKey::ReferenceId => others.any(|other| {
                    wanted.reference_id.is_some() && other.reference_id == wanted.reference_id
                }),
                UniqueKey::TenantUrl => others.any(|other| other.tenant_url == wanted.tenant_url),
            }
        };
        let complaints: Vec<_> = settings
            .unique
            .iter()
            .filter(|key| taken(key))
            .map(|key| FieldError {
                pointer: format!("/{key}"),
                message: "is taken by another integration of this account".to_owned(),
            })
            .collect();
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints)
        }
    }
}

/// Returns the `well_known_url`, in the recorded format.
pub(in crate::sandbox) fn well_known_url(id: IntegrationId) -> String {
    format!("https://ssf.risk-score.teams.cloudflare.com/.well-known/sse-configuration/{id}")
}

fn decode_type(
    body: &Map<String, Value>,
    mistakes: &mut FieldErrors,
) -> Option<OpenEnum<IntegrationType>> {
    let word = mistakes.text(body, "", "integration_type")?;
    match OpenEnum::parse(word) {
        known @ OpenEnum::Known(_) => Some(known),
        OpenEnum::Unknown(_) => mistakes.add("/integration_type", "must be Okta"),
    }
}

/// Returns true for a URL with only the characters that RFC 3986 allows.
fn is_uri(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    text.bytes().all(allowed) && Url::parse(text).is_ok()
}
