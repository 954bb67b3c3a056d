//! Checks of Access policies: every assigned level is used, and every used level is assigned.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::account::LiveAccount;
use crate::model::behavior::RiskLevel;
use crate::model::context::{Access, Level, PolicyRule};
use crate::model::open_enum::OpenEnum;
use crate::model::text::{abbreviate_list, pluralize};
use crate::plan::{AccountPlan, LevelPolicies, PolicyName, policies_for_level};

use super::super::finding::{CheckStatus, Detail, Finding};
use super::{AuditCheck, AuditFinding, finding_from_details};

/// Returns the levels assigned by enabled behaviors, with these behaviors.
fn levels_by_behavior(live: &LiveAccount) -> BTreeMap<&Level, Vec<&str>> {
    let mut given: BTreeMap<&Level, Vec<&str>> = BTreeMap::new();
    for (key, behavior) in &live.behaviors {
        if behavior.settings.enabled {
            let level = &behavior.settings.risk_level;
            given.entry(level).or_default().push(key.as_str());
        }
    }
    given
}

pub(super) fn policies(plan: &AccountPlan, access: &Access) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Policies;
    let given = levels_by_behavior(plan.live());
    if given.is_empty() {
        return Finding::warn(CHECK, "no behavior is enabled, so no user gets a score");
    }
    // A skipped policy may use a level that no other policy uses.
    let missing = match access.skipped {
        0 => CheckStatus::Fail,
        _ => CheckStatus::Unknown,
    };
    let acted_on: Vec<LevelPolicies> = given
        .keys()
        .map(|level| policies_for_level(level, access))
        .collect();
    let details = given
        .iter()
        .zip(&acted_on)
        .map(|((level, behaviors), acted_on)| {
            let (status, message) = match acted_on.policies.is_empty() {
                false => (CheckStatus::Pass, describe_policies(acted_on)),
                true => (
                    missing,
                    format!(
                        "no policy uses it; assigned by {}",
                        abbreviate_list(behaviors)
                    ),
                ),
            };
            Detail {
                status,
                subject: level.to_string(),
                message,
                location: None,
            }
        });
    let details: Vec<Detail> = details.collect();
    let lacking: Vec<&str> = details
        .iter()
        .filter(|detail| detail.status != CheckStatus::Pass)
        .map(|detail| detail.subject.as_str())
        .collect();
    if lacking.is_empty() {
        let levels = acted_on
            .iter()
            .map(|one| format!("{} ({})", one.level, one.policies.len()));
        let levels: Vec<String> = levels.collect();
        let message = format!("policies use {}", abbreviate_list(&levels));
        return finding_from_details(CHECK, message, details);
    }
    let levels = abbreviate_list(&lacking);
    let message = match access.skipped {
        0 => format!("no policy uses {levels}, which enabled behaviors assign"),
        skipped => format!(
            "no known policy uses {levels}; {} of Access cannot be parsed",
            pluralize(skipped, "item")
        ),
    };
    finding_from_details(CHECK, message, details)
        .help("add the level to an Access policy, or change the behaviors' risk_level")
}

/// Describes the policies that use a level.
fn describe_policies(acted_on: &LevelPolicies) -> String {
    format!("{} it: {}", acted_on.count(), acted_on.names())
}

pub(super) fn levels(plan: &AccountPlan, access: &Access) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Levels;
    let given: BTreeSet<&Level> = levels_by_behavior(plan.live()).into_keys().collect();
    // A policy that uses an assigned level has an effect, even if it also names other levels.
    let busy = given
        .iter()
        .flat_map(|level| policies_for_level(level, access).policies);
    let busy: BTreeSet<PolicyName> = busy.collect();
    let details: Vec<Detail> = candidate_levels(access)
        .iter()
        .filter(|level| !given.contains(level))
        .filter_map(|level| unused_level(policies_for_level(level, access), &busy))
        .collect();
    let in_vain = |status| {
        let levels = details.iter().filter(|detail| detail.status == status);
        let levels: Vec<&str> = levels.map(|detail| detail.subject.as_str()).collect();
        (!levels.is_empty()).then(|| abbreviate_list(&levels))
    };
    let message = match (in_vain(CheckStatus::Fail), in_vain(CheckStatus::Warn)) {
        (Some(levels), _) => {
            format!("policies use {levels}, which no enabled behavior assigns")
        }
        (None, Some(levels)) => {
            format!("no enabled behavior assigns {levels}; its policies also use assigned levels")
        }
        (None, None) => return Finding::pass(CHECK, "every level used by a policy is assigned"),
    };
    finding_from_details(CHECK, message, details)
        .help("assign the level to a behavior, or change the level in the policies")
}

/// Returns a detail for an unassigned level if a policy uses it.
fn unused_level(acted_on: LevelPolicies, busy: &BTreeSet<PolicyName>) -> Option<Detail> {
    let LevelPolicies { level, policies } = acted_on;
    let (busy, idle): (Vec<_>, Vec<_>) = policies
        .into_iter()
        .partition(|policy| busy.contains(policy));
    let names = |policies: &[PolicyName]| {
        let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        abbreviate_list(&names)
    };
    let (status, message) = match (idle.as_slice(), busy.as_slice()) {
        ([], []) => return None,
        ([], busy) => (
            CheckStatus::Warn,
            format!(
                "no enabled behavior assigns it; policies that use it and assigned levels: {}",
                names(busy)
            ),
        ),
        (idle, _) => (
            CheckStatus::Fail,
            format!(
                "no enabled behavior assigns it; policies that use it: {}",
                names(idle)
            ),
        ),
    };
    Some(Detail {
        status,
        subject: level.to_string(),
        message,
        location: None,
    })
}

/// Returns the levels that policies may use: the known ones and a limited number of unknown ones, because each is compared with every
/// policy.
fn candidate_levels(access: &Access) -> BTreeSet<Level> {
    const MAX_UNKNOWN_LEVELS: usize = 10;
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

/// Name for a user without a score in rules. No behavior assigns it, but users have it.
const UNSCORED: &str = "unscored";
