//! Access policies that use a risk level. A score has an effect only through them.
//!
//! A policy uses a level if it blocks a user of that level and might not block the same user at another one: a deny that matches the
//! first and not the second, or an allow that matches the second and not the first. Levels match exactly. Rules about anything but levels
//! and groups may or may not match, independently each time. A group that leads to itself may match
//! any user.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::model::account::LiveAccount;
use crate::model::address::Address;
use crate::model::behavior::RiskLevel;
use crate::model::context::{
    Access, AccessPolicy, Decision, Fetched, Level, PolicyRule, PolicyRules,
};
use crate::model::field::{Field, Fields};
use crate::model::open_enum::OpenEnum;
use crate::model::text::abbreviate_list;

use super::change::Change;
use super::note::{Note, NoteKind};
use super::options::Purpose;

/// A level and the Access policies that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelPolicies {
    pub level: Level,
    /// Policies, sorted by name.
    pub policies: Vec<PolicyName>,
}

/// Name and ID of an Access policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName {
    /// Name of the policy (untrusted text).
    pub name: String,
    pub id: String,
}

/// Returns the policies that use a level.
pub fn policies_for_level(level: &Level, access: &Access) -> LevelPolicies {
    let others = RiskLevel::ALL
        .iter()
        .map(|known| OpenEnum::Known(*known))
        .chain([OpenEnum::parse("unscored")])
        .filter(|other| other != level);
    let groups = in_order(access);
    let mut policies = BTreeSet::new();
    for other in others {
        let compared = LevelComparison::new(level, &other, access, &groups);
        for policy in access.policies.values() {
            if policy.app_count != Some(0) && compared.restricts(policy) {
                policies.insert(PolicyName {
                    name: policy.name.clone(),
                    id: policy.id.clone(),
                });
            }
        }
    }
    LevelPolicies {
        level: level.clone(),
        policies: policies.into_iter().collect(),
    }
}

impl LevelPolicies {
    /// Count and verb, e.g. `no policy uses`, `1 policy uses` or `3 policies use`.
    pub fn count(&self) -> String {
        match self.policies.len() {
            0 => "no policy uses".to_owned(),
            1 => "1 policy uses".to_owned(),
            many => format!("{many} policies use"),
        }
    }

    /// The first five policies and the number of the rest.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.policies.iter().map(PolicyName::shown).collect();
        abbreviate_list(&names)
    }

    /// Count and names, e.g. `2 policies use it (Finance, Payroll)`.
    pub(super) fn count_and_names(&self) -> String {
        format!("{} it ({})", self.count(), self.names())
    }

    /// A sentence, e.g. `2 policies use level high (declared) (Finance, Payroll)`.
    fn on(&self, said: &str) -> String {
        let (count, level) = (self.count(), &self.level);
        match self.policies.len() {
            0 => format!("{count} level {level}{said}"),
            _ => format!("{count} level {level}{said} ({})", self.names()),
        }
    }
}

impl PolicyName {
    /// Returns the name for a list, truncated. A name with separators is quoted.
    pub fn shown(&self) -> String {
        const MAX_CHARS: usize = 60;
        let mut name: String = self.name.chars().take(MAX_CHARS).collect();
        if name.len() < self.name.len() {
            name.push('…');
        }
        match name.contains([',', ';', '(', ')', '"']) {
            true => format!("{name:?}"),
            false => name,
        }
    }
}

/// Describes the policies on a level before and after a change, e.g. `2 policies use level high (Finance, Payroll); none uses level low`.
/// In drift, the declared level comes first.
fn describe(purpose: Purpose, [before, after]: [Option<&LevelPolicies>; 2]) -> String {
    let (levels, words) = match purpose {
        Purpose::Apply | Purpose::Destroy => ((before, after), ["", ""]),
        Purpose::Drift => ((after, before), [" (declared)", " (live)"]),
    };
    match levels {
        (Some(first), Some(second)) if first != second => {
            let second = match second.policies.is_empty() {
                true => format!("none uses level {}{}", second.level, words[1]),
                false => second.on(words[1]),
            };
            format!("{}; {second}", first.on(words[0]))
        }
        (Some(one), _) | (None, Some(one)) => one.on(""),
        (None, None) => String::new(),
    }
}

/// Returns the number of items that cannot be parsed.
pub(super) fn skipped_summary(skipped: usize) -> String {
    match skipped {
        1 => "1 Access policy, group or application cannot be parsed".to_owned(),
        _ => format!("{skipped} Access policies, groups or applications cannot be parsed"),
    }
}

/// Returns true if a change affects a level that a behavior assigns.
pub fn affects_levels(changes: &[Change]) -> bool {
    let mut states = changes
        .iter()
        .flat_map(|change| [&change.before, &change.after]);
    states.any(|fields| fields.as_ref().and_then(assigned_level).is_some())
}

/// Returns the level that a behavior with these fields assigns.
fn assigned_level(fields: &Fields) -> Option<&Level> {
    fields.level().filter(|_| fields.is_on(Field::Enabled))
}

/// Returns the levels that enabled behaviors assign now and none will assign after these changes.
pub fn unassigned_levels(live: &LiveAccount, changes: &[Change]) -> Vec<Level> {
    let [before, after] = assigned_levels(live, changes);
    before.difference(&after).cloned().collect()
}

/// Returns the levels that enabled behaviors assign before and after the changes.
fn assigned_levels(live: &LiveAccount, changes: &[Change]) -> [BTreeSet<Level>; 2] {
    let before = live.behaviors.values().map(|live| &live.fields);
    let changed: BTreeMap<&Address, &Fields> = changes
        .iter()
        .filter_map(|change| Some((&change.address, change.after.as_ref()?)))
        .collect();
    let after = live.behaviors.iter().map(|(key, live)| {
        let address = Address::Behavior(key.clone());
        changed.get(&address).copied().unwrap_or(&live.fields)
    });
    [
        before.filter_map(assigned_level).cloned().collect(),
        after.filter_map(assigned_level).cloned().collect(),
    ]
}

/// Returns a warning for each level that Access policies use and that no enabled behavior will assign. In drift, no enabled behavior
/// assigns it now.
fn unassigned_notes(
    access: &Access,
    live: &LiveAccount,
    changes: &[Change],
    purpose: Purpose,
) -> Vec<Note> {
    let [mut before, mut after] = assigned_levels(live, changes);
    let is_drift = purpose == Purpose::Drift;
    if is_drift {
        mem::swap(&mut before, &mut after);
    }
    let lost = before.difference(&after);
    let notes = lost.filter_map(|level| {
        let used = policies_for_level(level, access);
        let count = match used.policies.len() {
            0 => return None,
            1 => "1 Access policy uses it".to_owned(),
            many => format!("{many} Access policies use it"),
        };
        let assigns = |change: &&Change| {
            let before = if is_drift {
                &change.after
            } else {
                &change.before
            };
            before.as_ref().and_then(assigned_level) == Some(level)
        };
        let behavior = &changes.iter().find(assigns)?.address;
        let lost = match is_drift {
            true => format!("assigns {level};"),
            false => format!("will assign {level}."),
        };
        let message = format!("no enabled behavior {lost} {count}: {}", used.names());
        Some(Note::new(
            NoteKind::LevelUnassigned,
            behavior.clone(),
            message,
        ))
    });
    notes.collect()
}

/// Returns notes about the policies on the levels of changed behaviors, if they were read.
pub(super) fn notes(
    access: &Fetched<Access>,
    live: &LiveAccount,
    changes: &[Change],
    purpose: Purpose,
) -> Vec<Note> {
    if !affects_levels(changes) {
        return Vec::new();
    }
    let level_notes = changes
        .iter()
        .filter_map(|change| level_note(change, purpose));
    let access = match access {
        Fetched::Skipped => return level_notes.collect(),
        Fetched::Failed(unread) => {
            let message =
                format!("cannot determine which Access policies use these levels: {unread}");
            let unknown = Note::general(NoteKind::PoliciesUnknown, message);
            return level_notes.chain([unknown]).collect();
        }
        Fetched::Loaded(access) => access,
    };
    let mut used: BTreeMap<&Level, LevelPolicies> = BTreeMap::new();
    // One note for several behaviors with the same levels.
    let mut affected: BTreeMap<[Option<&Level>; 2], Vec<&Address>> = BTreeMap::new();
    for change in changes {
        let levels = [&change.before, &change.after];
        let levels = levels.map(|fields| fields.as_ref().and_then(assigned_level));
        if levels != [None, None] {
            affected.entry(levels).or_default().push(&change.address);
        }
        for level in levels.into_iter().flatten() {
            let policies = || policies_for_level(level, access);
            used.entry(level).or_insert_with(policies);
        }
    }
    let unassigned = unassigned_notes(access, live, changes, purpose);
    let mut notes = Vec::new();
    for (levels, addresses) in affected {
        let policies = levels.map(|level| used.get(level?));
        let named = policies.iter().flatten();
        let named = named.filter(|level| !level.policies.is_empty()).count();
        let mut warned = unassigned.iter().filter_map(|note| note.address.as_ref());
        // The warning names the policies of a level that is not assigned.
        if named < 2 && warned.any(|address| addresses.contains(&address)) {
            continue;
        }
        let (kind, message) = (NoteKind::PoliciesAffected, describe(purpose, policies));
        notes.push(match addresses.as_slice() {
            [address] => Note::new(kind, (*address).clone(), message),
            several => Note::general(kind, format!("{}: {message}", abbreviate_list(several))),
        });
    }
    notes.extend(unassigned);
    if access.skipped > 0 {
        let message = format!(
            "{}; more policies may use these levels",
            skipped_summary(access.skipped)
        );
        notes.push(Note::general(NoteKind::PoliciesSkipped, message));
    }
    notes
}

/// Returns a note if the level of an enabled behavior changes. Even a higher level can have less effect, because Access policies match
/// levels exactly (`schema/api.md`, Access policies).
fn level_note(change: &Change, purpose: Purpose) -> Option<Note> {
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let (from, to) = (assigned_level(before)?, assigned_level(after)?);
    if from == to {
        return None;
    }
    let effect = match purpose {
        Purpose::Drift => format!("policies on {to} do not match the live level {from}"),
        Purpose::Apply | Purpose::Destroy => format!("policies on {from} will not match {to}"),
    };
    let message = format!("Access policies match levels exactly; {effect}");
    Some(Note::new(
        NoteKind::LevelChanged,
        change.address.clone(),
        message,
    ))
}

/// Possible outcomes of a rule for two users who differ only in their level: a set of pairs, the level under test first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MatchOutcomes(u8);

impl MatchOutcomes {
    const NOBODY: MatchOutcomes = MatchOutcomes::of(false, false);
    const ANY: MatchOutcomes = MatchOutcomes(0b1111);
    /// Both users match, or none does.
    const MAYBE: MatchOutcomes = MatchOutcomes(0b1001);

    const fn of(level: bool, other: bool) -> MatchOutcomes {
        MatchOutcomes(1 << (level as u8 * 2 + other as u8))
    }

    fn holds(self, level: bool, other: bool) -> bool {
        self.0 & MatchOutcomes::of(level, other).0 != 0
    }

    /// Combines two sets of outcomes.
    fn with(self, with: MatchOutcomes, both: impl Fn(bool, bool) -> bool) -> MatchOutcomes {
        let pairs = [(false, false), (false, true), (true, false), (true, true)];
        let mut ways = 0;
        for a in pairs.iter().filter(|pair| self.holds(pair.0, pair.1)) {
            for b in pairs.iter().filter(|pair| with.holds(pair.0, pair.1)) {
                ways |= MatchOutcomes::of(both(a.0, b.0), both(a.1, b.1)).0;
            }
        }
        MatchOutcomes(ways)
    }
}

/// Two levels compared by the groups and policies of an account.
struct LevelComparison<'a> {
    level: &'a Level,
    other: &'a Level,
    groups: BTreeMap<&'a str, MatchOutcomes>,
}

impl<'a> LevelComparison<'a> {
    /// Evaluates the groups in this order. Any other group leads to a cycle and may match any user.
    fn new(level: &'a Level, other: &'a Level, access: &'a Access, in_order: &[&'a str]) -> Self {
        let groups = access.groups.keys();
        let groups = groups.map(|id| (id.as_str(), MatchOutcomes::ANY));
        let mut compared = LevelComparison {
            level,
            other,
            groups: groups.collect(),
        };
        for id in in_order {
            let outcomes = compared.rules(&access.groups[*id]);
            compared.groups.insert(id, outcomes);
        }
        compared
    }

    fn restricts(&self, policy: &AccessPolicy) -> bool {
        match policy.decision.known() {
            Some(Decision::Allow) => self.rules(&policy.rules).holds(false, true),
            Some(Decision::Deny) => self.rules(&policy.rules).holds(true, false),
            // These decisions ignore the user and so the level.
            Some(Decision::NonIdentity | Decision::Bypass) | None => false,
        }
    }

    fn rules(&self, rules: &PolicyRules) -> MatchOutcomes {
        let PolicyRules {
            include,
            exclude,
            require,
        } = rules;
        let mut ways = MatchOutcomes::NOBODY;
        for rule in include {
            ways = ways.with(self.rule(rule), |any, this| any || this);
        }
        for rule in exclude {
            ways = ways.with(self.rule(rule), |matched, this| matched && !this);
        }
        for rule in require {
            ways = ways.with(self.rule(rule), |matched, this| matched && this);
        }
        ways
    }

    fn rule(&self, rule: &PolicyRule) -> MatchOutcomes {
        match rule {
            PolicyRule::Levels(levels) => {
                MatchOutcomes::of(levels.contains(self.level), levels.contains(self.other))
            }
            PolicyRule::Other => MatchOutcomes::MAYBE,
            PolicyRule::Group(id) => {
                let group = self.groups.get(id.as_str()).copied();
                group.unwrap_or(MatchOutcomes::MAYBE)
            }
        }
    }
}

/// Returns the groups in dependency order, without the groups that lead to a cycle (Kahn's algorithm).
fn in_order(access: &Access) -> Vec<&str> {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    let mut used_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, rules) in &access.groups {
        let known = rules.groups();
        let known = known.filter(|other| access.groups.contains_key(*other));
        let count = known.map(|other| used_by.entry(other).or_default().push(id));
        missing.insert(id, count.count());
    }
    let first = missing.iter().filter(|(_, missing)| **missing == 0);
    let mut order: Vec<&str> = first.map(|(id, _)| *id).collect();
    let mut next = 0;
    while let Some(id) = order.get(next) {
        next += 1;
        for user in used_by.remove(id).unwrap_or_default() {
            let missing = missing.entry(user).or_default();
            *missing -= 1;
            if *missing == 0 {
                order.push(user);
            }
        }
    }
    order
}
