//! Resolution of `identity_provider`: the name of an Access identity provider to its id.

use std::collections::BTreeSet;

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
/// Fails for every name that is missing, ambiguous or not Okta.
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
        let all = providers.iter().filter(|provider| provider.is_okta());
        let okta = || all.clone().filter(|provider| provider.name == *name);
        let named = providers.iter().find(|provider| provider.name == *name);
        let resolved = match (okta().count(), named) {
            (1, _) => Ok(okta().next()),
            (0, None) if purpose == Purpose::Destroy => Ok(None),
            (0, None) => Err((
                format!("identity provider {name:?} not found"),
                list(all.clone()),
            )),
            (0, Some(other)) => {
                let kind = &other.kind;
                let message =
                    format!("identity provider {name:?} has type {kind:?}, expected okta");
                Err((message, list(all.clone())))
            }
            (found, _) => {
                let message = format!("{found} identity providers are named {name:?}");
                Err((message, list(okta())))
            }
        };
        let (message, candidates) = match resolved {
            Ok(provider) => {
                let reference = provider.map(|provider| FieldValue::Reference(provider.id.clone()));
                entry.fields.set(Field::ReferenceId, reference);
                entry.identity_provider_org =
                    provider.and_then(|provider| provider.okta_account.clone());
                continue;
            }
            Err(error) => error,
        };
        errors.push(PlanError {
            address: Address::Integration(entry_name.clone()),
            kind: PlanErrorKind::IdentityProvider,
            message,
            candidates: Vec::new(),
            help: match candidates.as_str() {
                "" => "the account has no Okta identity provider; use reference_id or remove identity_provider".to_owned(),
                candidates => format!(
                    "available: {candidates}; use one of these names, or set reference_id to its ID"
                ),
            },
            location: Some(entry.location.clone()),
        });
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors),
    }
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
            let named = providers
                .iter()
                .filter(|one| one.name == *name && one.is_okta());
            let ids: Vec<&ReferenceId> = named.map(|one| &one.id).collect();
            if ids.len() < 2 && ids.first().copied() == entry.fields.reference_id() {
                return None;
            }
            let described = |ids: Vec<&ReferenceId>| {
                let ids = ids.iter().map(|id| format!("{:?}", id.as_str()));
                let ids = Vec::from_iter(BTreeSet::from_iter(ids));
                match ids.is_empty() {
                    true => "no Okta identity provider".to_owned(),
                    false => ids.join(" or "),
                }
            };
            let address = Address::Integration(entry_name.clone());
            let was = entry.fields.reference_id().into_iter().collect();
            Some(format!(
                "{address}: identity_provider {name:?} changed from {} to {}",
                described(was),
                described(ids)
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
