//! Access policies that use a risk level. A score has an effect only through them.
//!
//! A policy uses a level if it blocks a user of that level and might not block the same user at another one: a deny that matches the
//! first and not the second, or an allow that matches the second and not the first. Levels match exactly. Rules about anything but levels
//! and groups may or may not match, independently each time. A group in a cycle has the members that its rules and those of the other
//! groups in the cycle add; if that is not defined, it may match any user.

use std::collections::{BTreeMap, BTreeSet};

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
        const LONGEST: usize = 60;
        let mut name: String = self.name.chars().take(LONGEST).collect();
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
fn describe(
    purpose: Purpose,
    before: Option<&LevelPolicies>,
    after: Option<&LevelPolicies>,
) -> String {
    match (purpose, before, after) {
        (Purpose::Apply | Purpose::Destroy, _, _) => in_words([(before, ""), (after, "")]),
        (Purpose::Drift, Some(_), Some(_)) if before != after => {
            in_words([(after, " (declared)"), (before, " (live)")])
        }
        (Purpose::Drift, _, _) => in_words([(after, ""), (before, "")]),
    }
}

fn in_words(said: [(Option<&LevelPolicies>, &str); 2]) -> String {
    match said {
        [(Some(first), words), (Some(second), more)] if first != second => {
            let second = match second.policies.is_empty() {
                true => format!("none uses level {}{more}", second.level),
                false => second.on(more),
            };
            format!("{}; {second}", first.on(words))
        }
        [(Some(one), words), _] | [_, (Some(one), words)] => one.on(words),
        [(None, _), (None, _)] => String::new(),
    }
}

/// Returns the number of items that cannot be parsed.
pub(super) fn skipped_summary(skipped: usize) -> String {
    let things = match skipped {
        1 => "1 Access policy, group or application",
        _ => "Access policies, groups or applications",
    };
    match skipped {
        1 => format!("{things} cannot be parsed"),
        _ => format!("{skipped} {things} cannot be parsed"),
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
    let [before, after] = assigned_levels(live, changes);
    let (lost, verb) = match purpose {
        Purpose::Drift => (after.difference(&before), "assigns"),
        Purpose::Apply | Purpose::Destroy => (before.difference(&after), "will assign"),
    };
    let notes = lost.filter_map(|level| {
        let used = policies_for_level(level, access);
        let count = match used.policies.len() {
            0 => return None,
            1 => "1 Access policy uses it".to_owned(),
            many => format!("{many} Access policies use it"),
        };
        let assigns = |change: &&Change| {
            let fields = match purpose {
                Purpose::Drift => &change.after,
                Purpose::Apply | Purpose::Destroy => &change.before,
            };
            fields.as_ref().and_then(assigned_level) == Some(level)
        };
        let behavior = &changes.iter().find(assigns)?.address;
        let gap = if purpose == Purpose::Drift { ";" } else { "." };
        let message = format!(
            "no enabled behavior {verb} {level}{gap} {count}: {}",
            used.names()
        );
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
    let mut known: BTreeMap<Level, LevelPolicies> = BTreeMap::new();
    let mut acted_on = |fields: &Option<Fields>| {
        let level = fields.as_ref().and_then(assigned_level)?;
        let known = known.entry(level.clone());
        let policies = known.or_insert_with(|| policies_for_level(level, access));
        Some(policies.clone())
    };
    // One note for several behaviors with the same levels.
    let mut said: Vec<(Option<LevelPolicies>, Option<LevelPolicies>, Vec<Address>)> = Vec::new();
    for change in changes {
        let (before, after) = (acted_on(&change.before), acted_on(&change.after));
        if before.is_none() && after.is_none() {
            continue;
        }
        let mut same = said
            .iter_mut()
            .filter(|said| said.0 == before && said.1 == after);
        match same.next() {
            Some((_, _, addresses)) => addresses.push(change.address.clone()),
            None => said.push((before, after, vec![change.address.clone()])),
        }
    }
    let unassigned = unassigned_notes(access, live, changes, purpose);
    // The warning names the policies of a level that is not assigned.
    let is_told = |(before, after, addresses): &(
        Option<LevelPolicies>,
        Option<LevelPolicies>,
        Vec<Address>,
    )| {
        [before, after]
            .into_iter()
            .flatten()
            .filter(|level| !level.policies.is_empty())
            .count()
            < 2
            && unassigned.iter().any(|note| {
                note.address
                    .as_ref()
                    .is_some_and(|address| addresses.contains(address))
            })
    };
    let mut notes: Vec<Note> = said
        .into_iter()
        .filter(|said| !is_told(said))
        .map(|(before, after, addresses)| {
            let message = describe(purpose, before.as_ref(), after.as_ref());
            match addresses.as_slice() {
                [address] => Note::new(NoteKind::PoliciesAffected, address.clone(), message),
                several => Note::general(
                    NoteKind::PoliciesAffected,
                    format!("{}: {message}", abbreviate_list(several)),
                ),
            }
        })
        .collect();
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
    const EVERYBODY: MatchOutcomes = MatchOutcomes::of(true, true);
    const ANY: MatchOutcomes = MatchOutcomes(0b1111);
    /// Both or neither user matches.
    const MAYBE: MatchOutcomes =
        MatchOutcomes(MatchOutcomes::NOBODY.0 | MatchOutcomes::EVERYBODY.0);

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
    fn new(
        level: &'a Level,
        other: &'a Level,
        access: &'a Access,
        in_order: &[(&'a str, usize)],
    ) -> Self {
        let mut compared = LevelComparison {
            level,
            other,
            groups: BTreeMap::new(),
        };
        for circle in in_order.chunk_by(|one, next| one.1 == next.1) {
            compared.add_circle(circle, access);
        }
        compared
    }

    /// Adds groups that refer to each other, or a single group. Repeats their rules, starting without members, until nothing changes.
    fn add_circle(&mut self, circle: &[(&'a str, usize)], access: &'a Access) {
        /// More are needed only by circles within circles.
        const MAX_SWEEPS: usize = 10;
        let ids: BTreeSet<&str> = circle.iter().map(|(id, _)| *id).collect();
        let rules = || {
            circle
                .iter()
                .map(|(id, _)| (*id, &access.groups[*id].rules))
        };
        let is_member =
            |rule: &PolicyRule| matches!(rule, PolicyRule::Group(id) if ids.contains(id.as_str()));
        let is_cycle = rules().any(|(_, rules)| rules.all().any(is_member));
        let differs = |rule: &PolicyRule| {
            let ways = self.rule(rule);
            !is_member(rule) && (ways.holds(true, false) || ways.holds(false, true))
        };
        let undefined = match rules().any(|(_, rules)| rules.all().any(differs)) {
            true => MatchOutcomes::ANY,
            false => MatchOutcomes::MAYBE,
        };
        // A group that excludes its own members is undefined.
        let excludes_itself = rules().any(|(_, rules)| rules.exclude.iter().any(is_member));
        self.groups
            .extend(rules().map(|(id, _)| (id, MatchOutcomes::NOBODY)));
        for _ in 0..MAX_SWEEPS {
            if excludes_itself {
                break;
            }
            let mut has_changed = false;
            for (id, rules) in rules().rev() {
                let ways = self.rules(rules);
                has_changed |= self.groups.insert(id, ways) != Some(ways);
            }
            if !has_changed || !is_cycle {
                return;
            }
        }
        self.groups.extend(rules().map(|(id, _)| (id, undefined)));
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

/// Returns the groups in dependency order, with the number of their strongly connected component.
///
/// Uses Tarjan's algorithm without recursion, because a chain may be as long as the list.
fn in_order(access: &Access) -> Vec<(&str, usize)> {
    struct Visit<'a> {
        id: &'a str,
        leads_to: Vec<&'a str>,
        next: usize,
    }
    let leads_to = |id: &str| -> Vec<&str> {
        let groups = access.groups[id].rules.groups();
        groups
            .filter_map(|id| access.groups.get_key_value(id))
            .map(|(id, _)| id.as_str())
            .collect()
    };
    let mut done = Vec::with_capacity(access.groups.len());
    let mut entered: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lowest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    let mut is_open: BTreeSet<&str> = BTreeSet::new();
    for root in access.groups.keys() {
        let mut visits: Vec<Visit<'_>> = Vec::new();
        let mut enter = (!entered.contains_key(root.as_str())).then_some(root.as_str());
        loop {
            if let Some(id) = enter.take() {
                lowest.insert(id, entered.len());
                entered.insert(id, entered.len());
                open.push(id);
                is_open.insert(id);
                let leads_to = leads_to(id);
                let next = 0;
                visits.push(Visit { id, leads_to, next });
            }
            let Some(visit) = visits.last_mut() else {
                break;
            };
            let id = visit.id;
            if let Some(next) = visit.leads_to.get(visit.next).copied() {
                visit.next += 1;
                match entered.get(next) {
                    None => enter = Some(next),
                    Some(at) if is_open.contains(next) => {
                        lowest.insert(id, lowest[id].min(*at));
                    }
                    Some(_) => {}
                }
                continue;
            }
            visits.pop();
            let low = lowest[id];
            if let Some(Visit { id: parent, .. }) = visits.last() {
                lowest.insert(parent, lowest[parent].min(low));
            }
            if low == entered[id] {
                let start = open.iter().rposition(|one| *one == id);
                let start = start.expect("a group is open until its circle is done");
                for member in open.split_off(start) {
                    is_open.remove(member);
                    done.push((member, low));
                }
            }
        }
    }
    done
}
