//! Resolution of `identity_provider`: the name of an Access identity provider to its id.

use crate::model::account::DesiredAccount;
use crate::model::address::Address;
use crate::model::context::IdentityProvider;
use crate::model::integration::ReferenceId;

use super::Intent;
use super::error::{PlanError, PlanErrors};
use super::note::Note;

/// Returns true if an entry has `identity_provider`, so that the providers of the account must be read.
pub fn needs_identity_providers(desired: &DesiredAccount) -> bool {
    let mut entries = desired.integrations.values();
    entries.any(|entry| entry.identity_provider.is_some())
}

/// Sets reference_id and organization of each entry with `identity_provider`.
///
/// # Errors
///
/// Fails for every name that is missing, ambiguous or not Okta.
pub fn resolve_identity_providers(
    desired: &mut DesiredAccount,
    providers: &[IdentityProvider],
) -> Result<(), PlanErrors> {
    let mut problems = Vec::new();
    for entry in desired.integrations.values_mut() {
        let Some(name) = &entry.identity_provider else {
            continue;
        };
        let address = Address::Integration(entry.name.clone());
        let named: Vec<&IdentityProvider> = providers
            .iter()
            .filter(|provider| provider.name == *name)
            .collect();
        let okta: Vec<&IdentityProvider> = named
            .iter()
            .copied()
            .filter(|provider| provider.is_okta())
            .collect();
        let [provider] = okta.as_slice() else {
            let candidates = match okta.as_slice() {
                [] => providers.iter().filter(|one| one.is_okta()).collect(),
                _ => okta.clone(),
            };
            problems.push(PlanError::IdentityProvider {
                entry: address,
                name: name.clone(),
                found: okta.len(),
                other_kind: named.first().map(|provider| provider.kind.clone()),
                candidates: candidates
                    .into_iter()
                    .map(|provider| format!("{} ({})", provider.name, provider.id))
                    .collect(),
                location: entry.location.clone(),
            });
            continue;
        };
        entry.reference_id = Some(provider.id.clone());
        entry.identity_provider_org = provider.okta_account.clone();
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(PlanErrors::new(problems))
    }
}

/// Returns a line for each entry whose provider has a different id than in the saved plan.
pub fn changed_identity_providers(
    desired: &DesiredAccount,
    providers: &[IdentityProvider],
) -> Vec<String> {
    let entries = desired.integrations.values();
    entries
        .filter_map(|entry| {
            let name = entry.identity_provider.as_ref()?;
            let named = providers.iter().filter(|one| one.name == *name);
            let mut ids: Vec<&ReferenceId> = named
                .filter(|one| one.is_okta())
                .map(|one| &one.id)
                .collect();
            ids.sort();
            if ids.len() == 1 && ids.first().copied() == entry.reference_id.as_ref() {
                return None;
            }
            let now: Vec<String> = ids.iter().map(|id| format!("{:?}", id.as_str())).collect();
            let now = match now.as_slice() {
                [] => "no Okta identity provider".to_owned(),
                ids => ids.join(" or "),
            };
            let address = Address::Integration(entry.name.clone());
            let was = entry.reference_id.as_ref().map_or("", ReferenceId::as_str);
            Some(format!(
                "{address}: identity_provider {name:?} changed from {was:?} to {now}"
            ))
        })
        .collect()
}

/// Returns a warning for each provider of another Okta organization than the entry's tenant.
pub(super) fn notes(desired: &DesiredAccount, intent: Intent) -> Vec<Note> {
    let entries = desired.integrations.values();
    let entries = entries.filter(|_| intent == Intent::Apply);
    entries
        .filter_map(|entry| {
            let org = entry.identity_provider_org.as_ref()?;
            (*org != entry.tenant_url).then(|| Note::TenantMismatch {
                address: Address::Integration(entry.name.clone()),
                identity_provider: entry.identity_provider.clone().unwrap_or_default(),
                tenant_url: entry.tenant_url.clone(),
                org: org.clone(),
            })
        })
        .collect()
}
