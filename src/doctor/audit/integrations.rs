//! Checks of the identity providers of the integrations.

use std::collections::BTreeMap;

use crate::api::Providers;
use crate::model::address::Address;
use crate::model::integration::{Integration, IntegrationId, IntegrationType};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;
use crate::model::text::pluralize;
use crate::plan::{AccountPlan, matches};

use super::super::finding::{CheckStatus, Detail, Finding};
use super::{AuditCheck, AuditFinding, finding_from_details};

/// Returns the active integrations with their addresses.
fn active(plan: &AccountPlan) -> Vec<(Address, &Integration)> {
    let (live, desired) = (plan.live(), plan.desired());
    let listed: BTreeMap<IntegrationId, Address> = matches(desired, live)
        .entries()
        .iter()
        .filter_map(|entry| {
            let (found, _) = entry.found?;
            Some((found.id, Address::Integration(entry.declared.name.clone())))
        })
        .collect();
    let active = live.integrations.iter().filter(|one| one.settings.active);
    active
        .map(|one| {
            let address = listed.get(&one.id).cloned();
            let unlisted = Address::UnlistedIntegration(one.id);
            (address.unwrap_or(unlisted), one)
        })
        .collect()
}

/// Returns the location of an entry.
fn location(plan: &AccountPlan, address: &Address) -> Option<Location> {
    match address {
        Address::Integration(name) => Some(plan.desired().integrations.get(name)?.location.clone()),
        Address::Behavior(_) | Address::UnlistedIntegration(_) => None,
    }
}

pub(super) fn providers(plan: &AccountPlan, known: &Providers) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Providers;
    let okta = |one: &&(Address, &Integration)| {
        one.1.settings.integration_type == OpenEnum::Known(IntegrationType::Okta)
    };
    let active = active(plan);
    let active: Vec<&(Address, &Integration)> = active.iter().filter(okta).collect();
    if active.is_empty() {
        return Finding::pass(CHECK, "no integration is active");
    }
    let details: Vec<Detail> = active
        .iter()
        .map(|(address, integration)| {
            let (status, message) = provider(integration, known);
            Detail {
                status,
                subject: address.to_string(),
                message,
                location: location(plan, address),
            }
        })
        .collect();
    let others = details
        .iter()
        .filter(|detail| detail.status != CheckStatus::Pass);
    let others = others.count();
    let whole = match active.len() {
        1 => "the active integration".to_owned(),
        all if others == 0 => format!("all {all} active integrations"),
        all => format!("{others} of {all} active integrations"),
    };
    let gravest = details.iter().map(|detail| detail.status).max();
    let stands = match (gravest, others) {
        (Some(CheckStatus::Fail), 1) => "does not reference its Okta identity provider",
        (Some(CheckStatus::Fail), _) => "do not reference their Okta identity providers",
        (Some(CheckStatus::Unknown | CheckStatus::Warn), 1) => {
            "may not reference its Okta identity provider"
        }
        (Some(CheckStatus::Unknown | CheckStatus::Warn), _) => {
            "may not reference their Okta identity providers"
        }
        _ if active.len() == 1 => "references its Okta identity provider",
        _ => "reference their Okta identity providers",
    };
    let message = format!("{whole} {stands}");
    let finding = finding_from_details(CHECK, message, details);
    match others {
        0 => finding,
        _ => finding.help("identity_provider: NAME in the file looks up its ID"),
    }
}

/// Compares an integration with the identity provider it references.
fn provider(integration: &Integration, known: &Providers) -> (CheckStatus, String) {
    let settings = &integration.settings;
    let Some(reference) = &settings.reference_id else {
        let message = "no reference_id, so the dashboard does not show it";
        return (CheckStatus::Fail, message.to_owned());
    };
    let Some(provider) = known
        .providers
        .iter()
        .find(|provider| provider.id == *reference)
    else {
        let message = format!("reference_id {reference} is not the ID of an identity provider");
        return match known.skipped {
            0 => (CheckStatus::Fail, message),
            skipped => (
                CheckStatus::Unknown,
                format!(
                    "{message} in the list; {} cannot be parsed",
                    pluralize(skipped, "provider")
                ),
            ),
        };
    };
    let name = &provider.name;
    match &provider.okta_account {
        _ if !provider.is_okta() => (
            CheckStatus::Fail,
            format!(
                "reference_id is the ID of {name}, which has type {}, expected okta",
                provider.kind
            ),
        ),
        None => (
            CheckStatus::Warn,
            format!("{name} does not name its Okta organization, so the tenant cannot be compared"),
        ),
        Some(org) if *org != settings.tenant_url => (
            CheckStatus::Fail,
            format!(
                "tenant_url is {}, but {name} is for {org}",
                settings.tenant_url
            ),
        ),
        Some(_) => (
            CheckStatus::Pass,
            format!("reference_id and tenant_url match {name}"),
        ),
    }
}
