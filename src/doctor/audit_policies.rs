//! Audit checks of Access: every assigned level is used, every used level is assigned, and integrations reference their providers.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuditInput, CheckResult, fetched, none};
use crate::api::Providers;
use crate::model::account::LiveAccount;
use crate::model::address::Address;
use crate::model::behavior::RiskLevel;
use crate::model::context::{Access, Level, PolicyRule};
use crate::model::field::{Field, OKTA};
use crate::model::finding::{CheckStatus, Finding};
use crate::model::integration::Integration;
use crate::model::open_enum::OpenEnum;
use crate::model::text::{abbreviate_list, pluralize};
use crate::plan::{PolicyName, matches, policies_for_level};

/// Returns the levels assigned by enabled behaviors, with these behaviors.
fn behaviors_by_level(live: &LiveAccount) -> BTreeMap<&Level, Vec<&str>> {
    let mut assigned: BTreeMap<&Level, Vec<&str>> = BTreeMap::new();
    for (key, behavior) in &live.behaviors {
        if behavior.fields.is_on(Field::Enabled)
            && let Some(level) = behavior.fields.level()
        {
            assigned.entry(level).or_default().push(key.as_str());
        }
    }
    assigned
}

pub(super) fn policies(input: &AuditInput<'_>) -> CheckResult {
    let access = fetched(&input.access)?;
    let assigned = behaviors_by_level(input.plan.live());
    if assigned.is_empty() {
        let message = "no behavior is enabled, so no user gets a score";
        return Err(vec![Finding::warn(message)]);
    }
    let mut used = Vec::new();
    let mut findings = Vec::new();
    for (level, behaviors) in assigned {
        let number = policies_for_level(level, access).policies.len();
        if number > 0 {
            used.push(format!("{level} ({number})"));
            continue;
        }
        let verb = match behaviors.len() {
            1 => "assigns",
            _ => "assign",
        };
        let uses = format!(
            "Access policy uses {level}, which {} {verb}",
            abbreviate_list(behaviors)
        );
        // A skipped policy may use a level that no other policy uses.
        let finding = match access.skipped {
            0 => Finding::fail(format!("no {uses}")),
            skipped => {
                let skipped = pluralize(skipped, "item");
                let message = format!("no known {uses}; {skipped} of Access cannot be parsed");
                Finding::new(CheckStatus::Unknown, message)
            }
        };
        let help = "add the level to an Access policy, or change the behaviors' risk_level";
        findings.push(finding.about(level).help(help));
    }
    none(findings)?;
    Ok(format!("policies use {}", abbreviate_list(used)))
}

pub(super) fn levels(input: &AuditInput<'_>) -> CheckResult {
    let access = fetched(&input.access)?;
    let assigned = behaviors_by_level(input.plan.live());
    let assigned: BTreeSet<&Level> = assigned.into_keys().collect();
    // A policy that uses an assigned level has an effect, even if it also names other levels.
    let effective = assigned
        .iter()
        .flat_map(|level| policies_for_level(level, access).policies);
    let effective: BTreeSet<PolicyName> = effective.collect();
    let levels = candidate_levels(access);
    let mut findings = Vec::new();
    for level in levels.iter().filter(|level| !assigned.contains(level)) {
        let used = policies_for_level(level, access).policies.into_iter();
        let (effective, others): (Vec<_>, Vec<_>) = used.partition(|one| effective.contains(one));
        let (policies, status, also) = match others.is_empty() {
            true => (effective, CheckStatus::Warn, ", and also assigned levels"),
            false => (others, CheckStatus::Fail, ""),
        };
        let verb = match policies.len() {
            0 => continue,
            1 => "uses",
            _ => "use",
        };
        let message = format!(
            "no enabled behavior assigns {level}; {} {verb} it{also}: {}",
            pluralize(policies.len(), "Access policy"),
            abbreviate_list(policies.iter().map(PolicyName::shown))
        );
        findings.push(Finding::new(status, message).about(level));
    }
    none(findings)?;
    Ok("every level used by a policy is assigned".to_owned())
}

/// Returns the levels that policies may use: the known ones and a limited number of unknown ones, because each is compared with every
/// policy.
fn candidate_levels(access: &Access) -> BTreeSet<Level> {
    const MAX_UNKNOWN_LEVELS: usize = 10;
    /// Name for a user without a score in rules. No behavior assigns it, but users have it.
    const UNSCORED: &str = "unscored";
    let rules = access.policies.values().map(|policy| &policy.rules);
    let rules = rules.chain(access.groups.values());
    let named = rules
        .flat_map(|rules| rules.all())
        .flat_map(|rule| match rule {
            PolicyRule::Levels(levels) => levels.iter().collect(),
            PolicyRule::Group(_) | PolicyRule::Other => Vec::new(),
        });
    let unknown: BTreeSet<&Level> = named
        .filter(|level| level.known().is_none() && **level != OpenEnum::parse(UNSCORED))
        .collect();
    let known = RiskLevel::ALL.iter().map(|level| OpenEnum::Known(*level));
    known
        .chain(unknown.into_iter().take(MAX_UNKNOWN_LEVELS).cloned())
        .collect()
}

pub(super) fn providers(input: &AuditInput<'_>) -> CheckResult {
    let known = fetched(&input.identity_providers)?;
    let matches = matches(input.plan.desired(), input.plan.live());
    let entries = matches.entries.iter().filter_map(|entry| {
        let location = Some(&entry.declared.location);
        Some((entry.address(), location, entry.live()?))
    });
    let others = matches.candidates.iter().chain(&matches.unlisted);
    let others = others.map(|live| (Address::UnlistedIntegration(live.id), None, *live));
    let mut active: Vec<_> = entries.chain(others).collect();
    active.retain(|(_, _, Integration { fields, .. })| {
        fields.is_on(Field::Active) && fields.shown(Field::IntegrationType) == OKTA
    });
    let findings = active
        .iter()
        .filter_map(|(address, location, integration)| {
            let problem = provider_problem(integration, known)?;
            let message = format!("{address} {}", problem.message);
            let help = "identity_provider: NAME in the file looks up its ID";
            let finding = Finding { message, ..problem };
            Some(finding.about(address).at(*location).help(help))
        });
    none(findings.collect())?;
    Ok(match active.len() {
        0 => "no integration is active".to_owned(),
        1 => "the active integration references its Okta identity provider".to_owned(),
        all => format!("all {all} active integrations reference their Okta identity providers"),
    })
}

/// Compares an integration with the identity provider it references. The message of a finding goes without the address.
fn provider_problem(integration: &Integration, known: &Providers) -> Option<Finding> {
    let fields = &integration.fields;
    let Some(reference) = fields.reference_id() else {
        let message = "has no reference_id, so the dashboard does not show it";
        return Some(Finding::fail(message));
    };
    let mut providers = known.providers.iter();
    let Some(provider) = providers.find(|provider| provider.id == *reference) else {
        let message = "has a reference_id that is not the ID of";
        if known.skipped == 0 {
            return Some(Finding::fail(format!(
                "{message} an Okta identity provider"
            )));
        }
        let skipped = pluralize(known.skipped, "provider");
        let message = format!("{message} a known identity provider; {skipped} cannot be parsed");
        return Some(Finding::new(CheckStatus::Unknown, message));
    };
    let (name, kind) = (&provider.name, &provider.kind);
    match &provider.okta_account {
        _ if !provider.is_okta() => {
            let message =
                format!("has the reference_id of {name}, which has type {kind}, not okta");
            Some(Finding::fail(message))
        }
        None => Some(Finding::warn(format!(
            "references {name}, which does not name its Okta organization, so the tenant cannot be compared"
        ))),
        Some(tenant) if Some(tenant) != fields.tenant_url() => {
            let url = fields.shown(Field::TenantUrl);
            let message = format!("has the tenant_url {url}, but {name} is for {tenant}");
            Some(Finding::fail(message))
        }
        Some(_) => None,
    }
}
