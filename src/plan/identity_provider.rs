//! Resolution of `identity_provider`: the name of an Access identity provider to its id.

use std::collections::HashMap;

use crate::model::account::{Declared, DesiredAccount};
use crate::model::address::{Address, Name};
use crate::model::context::IdentityProvider;
use crate::model::field::{Field, FieldValue};
use crate::model::integration::ReferenceId;

use super::note::{Note, NoteKind, PlanError, PlanErrorKind, list};
use super::options::Purpose;

/// Returns true if an entry has `identity_provider`, so that the providers of the account must be read.
pub fn needs_identity_providers(desired: &DesiredAccount) -> bool {
    let mut entries = desired.integrations.values();
    entries.any(|entry| entry.identity_provider.is_some())
}

/// Sets reference_id and organization of each entry with `identity_provider`. `destroy` continues without a provider that no longer
/// exists.
///
/// # Errors
///
/// Fails for every name that is missing, ambiguous or not Okta, and for every provider that two entries share.
pub fn resolve_identity_providers(
    desired: &mut DesiredAccount,
    providers: &[IdentityProvider],
    purpose: Purpose,
) -> Result<(), Vec<PlanError>> {
    let mut errors = Vec::new();
    for (entry_name, entry) in &mut desired.integrations {
        let Some(name) = &entry.identity_provider else {
            continue;
        };
        let named: Vec<&IdentityProvider> = providers
            .iter()
            .filter(|provider| provider.name == *name)
            .collect();
        let okta: Vec<&IdentityProvider> = named
            .iter()
            .copied()
            .filter(|provider| provider.is_okta())
            .collect();
        let provider = match okta.as_slice() {
            [provider] => Some(*provider),
            [] if named.is_empty() && purpose == Purpose::Destroy => None,
            _ => {
                let candidates = match okta.as_slice() {
                    [] => providers.iter().filter(|one| one.is_okta()).collect(),
                    _ => okta.clone(),
                };
                let candidates: Vec<String> = candidates
                    .into_iter()
                    .map(|provider| format!("{} ({})", provider.name, provider.id))
                    .collect();
                errors.push(PlanError {
                    address: Address::Integration(entry_name.clone()),
                    kind: PlanErrorKind::IdentityProvider,
                    message: match (okta.len(), named.first()) {
                        (0, None) => format!("identity provider {name:?} not found"),
                        (0, Some(other)) => format!(
                            "identity provider {name:?} has type {:?}, expected okta",
                            other.kind
                        ),
                        (found, _) => format!("{found} identity providers are named {name:?}"),
                    },
                    candidates: Vec::new(),
                    help: match candidates.as_slice() {
                        [] => "the account has no Okta identity provider; use reference_id or remove identity_provider".to_owned(),
                        candidates => format!(
                            "available: {}; use one of these names, or set reference_id to its ID",
                            list(candidates)
                        ),
                    },
                    location: Some(entry.location.clone()),
                });
                continue;
            }
        };
        let reference = provider.map(|provider| FieldValue::Reference(provider.id.clone()));
        entry.fields.set(Field::ReferenceId, reference);
        entry.identity_provider_org = provider.and_then(|provider| provider.okta_account.clone());
    }
    errors.extend(shared_providers(desired));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Finds entries with one provider, by name or by ID, that are not both pinned. Files with two equal `reference_id`s are invalid, too.
fn shared_providers(desired: &DesiredAccount) -> Vec<PlanError> {
    let mut first: HashMap<&ReferenceId, (&Name, &Declared)> = HashMap::new();
    let mut errors = Vec::new();
    for (entry_name, entry) in &desired.integrations {
        let Some(reference) = entry.fields.reference_id() else {
            continue;
        };
        let (other_name, other) = *first.entry(reference).or_insert((entry_name, entry));
        let (both_pinned, name) = (
            entry.id.is_some() && other.id.is_some(),
            entry
                .identity_provider
                .as_ref()
                .or(other.identity_provider.as_ref()),
        );
        if let Some(name) = name
            && other_name != entry_name
            && !both_pinned
        {
            errors.push(PlanError {
                address: Address::Integration(entry_name.clone()),
                kind: PlanErrorKind::Conflict,
                message: format!(
                    "identity provider {name:?} ({reference}) is already used by integration.{other_name}"
                ),
                candidates: Vec::new(),
                help: "use different identity providers, or pin both entries with `id`".to_owned(),
                location: Some(entry.location.clone()),
            });
        }
    }
    errors
}

/// Returns a line for each entry whose provider has a different id than when it was resolved.
pub fn changed_identity_providers(
    desired: &DesiredAccount,
    providers: &[IdentityProvider],
) -> Vec<String> {
    let entries = desired.integrations.iter();
    entries
        .filter_map(|(entry_name, entry)| {
            let name = entry.identity_provider.as_ref()?;
            let named = providers.iter().filter(|one| one.name == *name);
            let mut ids: Vec<&ReferenceId> = named
                .filter(|one| one.is_okta())
                .map(|one| &one.id)
                .collect();
            ids.sort_by_key(|id| id.normalized().to_owned());
            if ids.len() < 2 && ids.first().copied() == entry.fields.reference_id() {
                return None;
            }
            let described = |ids: &[&ReferenceId]| match ids {
                [] => "no Okta identity provider".to_owned(),
                ids => {
                    let ids: Vec<String> =
                        ids.iter().map(|id| format!("{:?}", id.as_str())).collect();
                    ids.join(" or ")
                }
            };
            let address = Address::Integration(entry_name.clone());
            let was: Vec<&ReferenceId> = entry.fields.reference_id().into_iter().collect();
            Some(format!(
                "{address}: identity_provider {name:?} changed from {} to {}",
                described(&was),
                described(&ids)
            ))
        })
        .collect()
}

/// Returns a warning for each provider of another Okta organization than the entry's tenant. For `destroy`, returns one for each provider
/// that no longer exists.
pub(super) fn notes(desired: &DesiredAccount, purpose: Purpose) -> Vec<Note> {
    let note = |(entry_name, entry): (&Name, &Declared)| {
        let name = entry.identity_provider.as_ref()?;
        let tenant_url = entry.fields.tenant_url()?;
        let (kind, message) = match (purpose, &entry.identity_provider_org) {
            (Purpose::Destroy, _) if entry.fields.reference_id().is_none() => (
                NoteKind::IdentityProviderNotFound,
                format!("identity provider {name:?} not found; matching by tenant_url instead"),
            ),
            (Purpose::Apply | Purpose::Drift, Some(org)) if org != tenant_url => (
                NoteKind::TenantMismatch,
                format!("identity provider {name:?} is for {org}, but tenant_url is {tenant_url}"),
            ),
            _ => return None,
        };
        let address = Address::Integration(entry_name.clone());
        Some(Note::new(kind, address, message))
    };
    desired.integrations.iter().filter_map(note).collect()
}
