//! Audit checks of Access: every assigned level is used, every used level is assigned, and integrations reference their providers.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Providers;
use crate::model::account::LiveAccount;
use crate::model::address::Address;
use crate::model::behavior::RiskLevel;
use crate::model::context::{Access, Level, PolicyRule};
use crate::model::field::{Field, OKTA};
use crate::model::finding::{CheckStatus, Finding};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::location::Location;
use crate::model::open_enum::OpenEnum;
use crate::model::text::{abbreviate_list, pluralize};
use crate::plan::{AccountPlan, LevelPolicies, PolicyName, matches, policies_for_level};

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

pub(super) fn policies(plan: &AccountPlan, access: &Access) -> Vec<Finding> {
    let assigned = behaviors_by_level(plan.live());
    if assigned.is_empty() {
        let message = "no behavior is enabled, so no user gets a score";
        return vec![Finding::warn(message)];
    }
    let mut used = Vec::new();
    let mut findings = Vec::new();
    for (level, behaviors) in assigned {
        let number = policies_for_level(level, access).policies.len();
        let verb = if behaviors.len() == 1 {
            "assigns"
        } else {
            "assign"
        };
        let behaviors = format!("{} {verb}", abbreviate_list(behaviors));
        let finding = match (number, access.skipped) {
            (0, 0) => Finding::fail(format!("no Access policy uses {level}, which {behaviors}")),
            // A skipped policy may use a level that no other policy uses.
            (0, skipped) => Finding::new(
                CheckStatus::Unknown,
                format!(
                    "no known Access policy uses {level}, which {behaviors}; {} of Access cannot be parsed",
                    pluralize(skipped, "item")
                ),
            ),
            (number, _) => {
                used.push(format!("{level} ({number})"));
                continue;
            }
        };
        let help = "add the level to an Access policy, or change the behaviors' risk_level";
        findings.push(finding.about(level).help(help));
    }
    match findings.is_empty() {
        true => vec![Finding::pass(format!(
            "policies use {}",
            abbreviate_list(used)
        ))],
        false => findings,
    }
}

pub(super) fn levels(plan: &AccountPlan, access: &Access) -> Vec<Finding> {
    let assigned: BTreeSet<&Level> = behaviors_by_level(plan.live()).into_keys().collect();
    // A policy that uses an assigned level has an effect, even if it also names other levels.
    let effective = assigned
        .iter()
        .flat_map(|level| policies_for_level(level, access).policies);
    let effective: BTreeSet<PolicyName> = effective.collect();
    let levels = candidate_levels(access);
    let levels = levels.iter().filter(|level| !assigned.contains(level));
    let findings: Vec<Finding> = levels
        .filter_map(|level| unassigned(policies_for_level(level, access), &effective))
        .collect();
    match findings.is_empty() {
        true => vec![Finding::pass("every level used by a policy is assigned")],
        false => findings,
    }
}

/// Returns the finding about a level that no enabled behavior assigns, if a policy uses it.
fn unassigned(used: LevelPolicies, effective: &BTreeSet<PolicyName>) -> Option<Finding> {
    let LevelPolicies { level, policies } = used;
    if policies.is_empty() {
        return None;
    }
    let (effective, others): (Vec<_>, Vec<_>) = policies
        .into_iter()
        .partition(|policy| effective.contains(policy));
    let uses = |policies: &[PolicyName], also: &str| {
        let verb = if policies.len() == 1 { "uses" } else { "use" };
        format!(
            "no enabled behavior assigns {level}; {} {verb} it{also}: {}",
            pluralize(policies.len(), "Access policy"),
            abbreviate_list(policies.iter().map(PolicyName::shown))
        )
    };
    let finding = match others.is_empty() {
        false => Finding::fail(uses(&others, "")),
        true => Finding::warn(uses(&effective, ", and also assigned levels")),
    };
    Some(finding.about(&level))
}

/// Returns the levels that policies may use: the known ones and a limited number of unknown ones, because each is compared with every
/// policy.
fn candidate_levels(access: &Access) -> BTreeSet<Level> {
    const MAX_UNKNOWN_LEVELS: usize = 10;
    /// Name for a user without a score in rules. No behavior assigns it, but users have it.
    const UNSCORED: &str = "unscored";
    let rules = access.policies.values().map(|policy| &policy.rules);
    let rules = rules.chain(access.groups.values().map(|group| &group.rules));
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

pub(super) fn providers(plan: &AccountPlan, known: &Providers) -> Vec<Finding> {
    let active = active_okta_integrations(plan);
    let number = active.len();
    let findings: Vec<Finding> = active
        .into_iter()
        .filter_map(|(address, location, integration)| {
            let (status, problem) = provider_problem(integration, known)?;
            let help = "identity_provider: NAME in the file looks up its ID";
            let finding = Finding::new(status, format!("{address} {problem}"));
            Some(finding.about(&address).at(location).help(help))
        })
        .collect();
    if !findings.is_empty() {
        return findings;
    }
    vec![Finding::pass(match number {
        0 => "no integration is active".to_owned(),
        1 => "the active integration references its Okta identity provider".to_owned(),
        all => format!("all {all} active integrations reference their Okta identity providers"),
    })]
}

/// Returns the active Okta integrations with their addresses and locations.
fn active_okta_integrations(plan: &AccountPlan) -> Vec<(Address, Option<&Location>, &Integration)> {
    let matches = matches(plan.desired(), plan.live());
    let declared: BTreeMap<IntegrationId, _> = matches
        .entries
        .iter()
        .filter_map(|entry| Some((entry.live()?.id, entry)))
        .collect();
    let integrations = plan.live().integrations.iter();
    integrations
        .filter(|live| {
            live.fields.is_on(Field::Active) && live.fields.shown(Field::IntegrationType) == OKTA
        })
        .map(|live| match declared.get(&live.id) {
            Some(entry) => (entry.address(), Some(&entry.declared.location), live),
            None => (Address::UnlistedIntegration(live.id), None, live),
        })
        .collect()
}

/// Compares an integration with the identity provider it references. Returns `None` if they match.
fn provider_problem(integration: &Integration, known: &Providers) -> Option<(CheckStatus, String)> {
    let fields = &integration.fields;
    let Some(reference) = fields.reference_id() else {
        let message = "has no reference_id, so the dashboard does not show it";
        return Some((CheckStatus::Fail, message.to_owned()));
    };
    let mut providers = known.providers.iter();
    let Some(provider) = providers.find(|provider| provider.id == *reference) else {
        return Some(match known.skipped {
            0 => (
                CheckStatus::Fail,
                "has a reference_id that is not the ID of an Okta identity provider".to_owned(),
            ),
            skipped => (
                CheckStatus::Unknown,
                format!(
                    "has a reference_id that is not the ID of a known identity provider; {} cannot be parsed",
                    pluralize(skipped, "provider")
                ),
            ),
        });
    };
    let name = &provider.name;
    match &provider.okta_account {
        _ if !provider.is_okta() => {
            let message = format!(
                "has the reference_id of {name}, which has type {}, not okta",
                provider.kind
            );
            Some((CheckStatus::Fail, message))
        }
        None => {
            let message = format!(
                "references {name}, which does not name its Okta organization, so the tenant cannot be compared"
            );
            Some((CheckStatus::Warn, message))
        }
        Some(tenant) if Some(tenant) != fields.tenant_url() => {
            let message = format!(
                "has the tenant_url {}, but {name} is for {tenant}",
                fields.shown(Field::TenantUrl)
            );
            Some((CheckStatus::Fail, message))
        }
        Some(_) => None,
    }
}
