//! What Okta hears of: each active integration belongs to an identity provider, and its SSF document is sound.

use std::collections::BTreeMap;

use crate::api::Providers;
use crate::model::address::Address;
use crate::model::integration::{Integration, IntegrationId, IntegrationType};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;
use crate::model::text::count;
use crate::plan::{AccountPlan, matches};

use super::super::finding::{CheckStatus, Detail, Finding};
use super::super::report::SsfDocument;
use super::{AuditCheck, AuditFinding, finding_from_details};

/// The active integrations, each by its address.
fn active(plan: &AccountPlan) -> Vec<(Address, &Integration)> {
    let (live, desired) = (plan.live(), plan.desired());
    // What was planned could be matched.
    let listed: BTreeMap<IntegrationId, Address> = matches(desired, live)
        .iter()
        .flat_map(|matches| matches.entries())
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

/// Where an entry is declared.
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
                about: address.to_string(),
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
        (Some(CheckStatus::Fail), 1) => "lacks its Okta identity provider",
        (Some(CheckStatus::Fail), _) => "lack their Okta identity providers",
        (Some(CheckStatus::Unknown | CheckStatus::Warn), 1) => {
            "may lack its Okta identity provider"
        }
        (Some(CheckStatus::Unknown | CheckStatus::Warn), _) => {
            "may lack their Okta identity providers"
        }
        _ if active.len() == 1 => "has its Okta identity provider",
        _ => "have their Okta identity providers",
    };
    let message = format!("{whole} {stands}");
    let finding = finding_from_details(CHECK, message, details);
    match others {
        0 => finding,
        _ => finding.help("identity_provider: NAME in the file finds the id of the right one"),
    }
}

/// How an integration stands to the identity provider whose id it should bear.
fn provider(integration: &Integration, known: &Providers) -> (CheckStatus, String) {
    let settings = &integration.settings;
    let Some(reference) = &settings.reference_id else {
        let message = "it has no reference_id, so the dashboard does not show it";
        return (CheckStatus::Fail, message.to_owned());
    };
    let Some(provider) = known
        .providers
        .iter()
        .find(|provider| provider.id == *reference)
    else {
        let message = format!("its reference_id {reference} is not the id of an identity provider");
        return match known.skipped {
            0 => (CheckStatus::Fail, message),
            skipped => (
                CheckStatus::Unknown,
                format!(
                    "{message}, as far as can be told: {} could not be read",
                    count(skipped, "provider")
                ),
            ),
        };
    };
    let name = &provider.name;
    match &provider.okta_account {
        _ if !provider.is_okta() => (
            CheckStatus::Fail,
            format!(
                "its reference_id is the id of {name}, which is of the type {}, not okta",
                provider.kind
            ),
        ),
        None => (
            CheckStatus::Warn,
            format!(
                "{name} does not say which Okta org it is for, so its tenant can not be compared"
            ),
        ),
        Some(org) if *org != settings.tenant_url => (
            CheckStatus::Fail,
            format!(
                "its tenant is {}, and {name} is for {org}",
                settings.tenant_url
            ),
        ),
        Some(_) => (
            CheckStatus::Pass,
            format!("it bears the id of {name}, and has its tenant"),
        ),
    }
}

/// Nobody published what these documents hold, so that a broken rule is a warning at most.
pub(super) fn ssf(plan: &AccountPlan, documents: Option<&[SsfDocument]>) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Ssf;
    let Some(documents) = documents else {
        return Finding::new(CHECK, CheckStatus::Unknown, "nobody asked");
    };
    if documents.is_empty() {
        return Finding::pass(CHECK, "no integration is active");
    }
    let addresses: BTreeMap<IntegrationId, Address> = active(plan)
        .into_iter()
        .map(|(address, integration)| (integration.id, address))
        .collect();
    let details: Vec<Detail> = documents
        .iter()
        .flat_map(|document| {
            let id = document.integration_id;
            let address = addresses.get(&id).cloned();
            let address = address.unwrap_or(Address::UnlistedIntegration(id));
            let broken = document
                .findings
                .iter()
                .filter(|finding| finding.status != CheckStatus::Pass);
            broken.map(move |finding| Detail {
                status: CheckStatus::Warn,
                about: address.to_string(),
                message: format!("{}: {}", finding.check, finding.message),
                location: None,
            })
        })
        .collect();
    match (details.len(), documents.len()) {
        (0, 1) => Finding::pass(CHECK, "the SSF document keeps every rule"),
        (0, all) => Finding::pass(CHECK, format!("all {all} SSF documents keep every rule")),
        (broken, _) => {
            let verb = if broken == 1 { "is" } else { "are" };
            let message = format!("{} of the standard {verb} not kept", count(broken, "rule"));
            finding_from_details(CHECK, message, details)
                .help("riskform doctor --ssf says more; what Okta says counts most")
        }
    }
}
