//! What Access does with the scores: a policy acts on each level that is given, and none waits for one that is not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::account::LiveAccount;
use crate::model::behavior::RiskLevel;
use crate::model::context::{Access, Level, Rule};
use crate::model::open_word::OpenWord;
use crate::model::text::{count, few};
use crate::plan::{AccountPlan, ActedOn, PolicyName, acting_on};

use super::super::finding::{Detail, Finding, Standing};
use super::{AuditCheck, AuditFinding, of_details};

/// The levels that enabled behaviors give, and which do.
fn given(live: &LiveAccount) -> BTreeMap<&Level, Vec<&str>> {
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
    let given = given(plan.live());
    if given.is_empty() {
        return Finding::warn(CHECK, "no behavior is on, so that nobody is given a level");
    }
    // What was skipped may act on a level on which nothing else does.
    let missing = match access.skipped {
        0 => Standing::Fail,
        _ => Standing::Unknown,
    };
    let acted_on: Vec<ActedOn> = given.keys().map(|level| acting_on(level, access)).collect();
    let details = given
        .iter()
        .zip(&acted_on)
        .map(|((level, behaviors), acted_on)| {
            let (status, message) = match acted_on.policies.is_empty() {
                false => (Standing::Pass, acts(acted_on)),
                true => (
                    missing,
                    format!(
                        "no policy acts on it, and it is given by {}",
                        few(behaviors)
                    ),
                ),
            };
            Detail {
                status,
                about: level.to_string(),
                message,
                location: None,
            }
        });
    let details: Vec<Detail> = details.collect();
    let lacking: Vec<&str> = details
        .iter()
        .filter(|detail| detail.status != Standing::Pass)
        .map(|detail| detail.about.as_str())
        .collect();
    if lacking.is_empty() {
        let levels = acted_on
            .iter()
            .map(|one| format!("{} ({})", one.level, one.policies.len()));
        let levels: Vec<String> = levels.collect();
        let message = format!("policies act on {}", few(&levels));
        return of_details(CHECK, message, details);
    }
    let levels = few(&lacking);
    let message = match access.skipped {
        0 => format!("no policy acts on {levels}, which enabled behaviors give"),
        skipped => format!(
            "no policy acts on {levels}, as far as can be told: {} of Access could not be read",
            count(skipped, "item")
        ),
    };
    of_details(CHECK, message, details)
        .help("let a policy name it, or give those behaviors a level that one names")
}

/// Who acts on a level.
fn acts(acted_on: &ActedOn) -> String {
    format!("{} on it: {}", acted_on.count(), acted_on.names())
}

pub(super) fn levels(plan: &AccountPlan, access: &Access) -> AuditFinding {
    const CHECK: AuditCheck = AuditCheck::Levels;
    let given: BTreeSet<&Level> = given(plan.live()).into_keys().collect();
    // A policy that acts on a level that is given does its work, even if it names others as well.
    let busy = given
        .iter()
        .flat_map(|level| acting_on(level, access).policies);
    let busy: BTreeSet<PolicyName> = busy.collect();
    let details: Vec<Detail> = levels_to_wait_for(access)
        .iter()
        .filter(|level| !given.contains(level))
        .filter_map(|level| waited_for(acting_on(level, access), &busy))
        .collect();
    let in_vain = |status| {
        let levels = details.iter().filter(|detail| detail.status == status);
        let levels: Vec<&str> = levels.map(|detail| detail.about.as_str()).collect();
        (!levels.is_empty()).then(|| few(&levels))
    };
    let message = match (in_vain(Standing::Fail), in_vain(Standing::Warn)) {
        (Some(levels), _) => {
            format!("policies wait for {levels}, which no enabled behavior gives")
        }
        (None, Some(levels)) => format!(
            "no enabled behavior gives {levels}; the policies that act on it act on given levels, too"
        ),
        (None, None) => return Finding::pass(CHECK, "no policy waits for a level that none gives"),
    };
    of_details(CHECK, message, details)
        .help("give it to a behavior, or let the policies name a level that is given")
}

/// A level that no enabled behavior gives, if a policy acts on it.
fn waited_for(acted_on: ActedOn, busy: &BTreeSet<PolicyName>) -> Option<Detail> {
    let ActedOn { level, policies } = acted_on;
    let (busy, idle): (Vec<_>, Vec<_>) = policies
        .into_iter()
        .partition(|policy| busy.contains(policy));
    let names = |policies: &[PolicyName]| {
        let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        few(&names)
    };
    let (status, message) = match (idle.as_slice(), busy.as_slice()) {
        ([], []) => return None,
        ([], busy) => (
            Standing::Warn,
            format!(
                "no enabled behavior gives it; acting on it and on levels that are given: {}",
                names(busy)
            ),
        ),
        (idle, _) => (
            Standing::Fail,
            format!(
                "no enabled behavior gives it; waiting for it: {}",
                names(idle)
            ),
        ),
    };
    Some(Detail {
        status,
        about: level.to_string(),
        message,
        location: None,
    })
}

/// The levels that policies may wait for: those that behaviors can give, and words of theirs that nobody knows. Of the latter only the
/// first ones, since each costs a look at every policy.
fn levels_to_wait_for(access: &Access) -> BTreeSet<Level> {
    const MOST_UNKNOWN: usize = 10;
    let rules = access.policies.values().map(|policy| &policy.rules);
    let rules = rules.chain(access.groups.values().map(|group| &group.rules));
    let named = rules
        .flat_map(|rules| rules.all())
        .flat_map(|rule| match rule {
            Rule::Levels(levels) => levels.iter().collect(),
            Rule::Group(_) | Rule::Other => Vec::new(),
        });
    let unknown: BTreeSet<&Level> = named
        .filter(|level| level.known().is_none() && **level != OpenWord::read(UNSCORED))
        .collect();
    let known = RiskLevel::ALL.iter().map(|level| OpenWord::Known(*level));
    known
        .chain(unknown.into_iter().take(MOST_UNKNOWN).cloned())
        .collect()
}

/// What rules call a user without a score. No behavior gives it, and users have it all the same.
const UNSCORED: &str = "unscored";
