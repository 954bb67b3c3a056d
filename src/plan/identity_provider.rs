//! `identity_provider`: an entry's reference by the name of the Access identity provider whose id it is.

use crate::model::account::DesiredAccount;
use crate::model::address::Address;
use crate::model::context::IdentityProvider;

use super::error::{PlanErrors, Problem};
use super::note::Note;

/// Says whether any entry names an identity provider, so that the account's have to be read.
pub fn needs_identity_providers(desired: &DesiredAccount) -> bool {
    let mut entries = desired.integrations.values();
    entries.any(|entry| entry.identity_provider.is_some())
}

/// Gives each entry that names an identity provider that one's id as its reference, with a warning where the provider belongs to another
/// Okta org than the entry's tenant.
///
/// # Errors
///
/// Every name that none has, or several, or one that is not Okta.
pub fn resolve_identity_providers(
    desired: &mut DesiredAccount,
    providers: &[IdentityProvider],
) -> Result<Vec<Note>, PlanErrors> {
    let mut notes = Vec::new();
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
            problems.push(Problem::IdentityProvider {
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
        if let Some(org) = &provider.okta_account
            && *org != entry.tenant_url
        {
            notes.push(Note::OtherOrg {
                address,
                identity_provider: name.clone(),
                tenant_url: entry.tenant_url.clone(),
                org: org.clone(),
            });
        }
    }
    if problems.is_empty() {
        Ok(notes)
    } else {
        Err(PlanErrors::new(problems))
    }
}
