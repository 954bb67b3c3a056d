//! Guards. A blocked plan is still shown in full but never applied. The stricter of the file and the operator limits applies, and no
//! flag overrides the limits.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::account::{Declared, DesiredAccount, GuardMode, LiveAccount, ProtectedItem};
use crate::model::address::Address;
use crate::model::context::{Access, Context, Fetched, Level};
use crate::model::field::{Field, FieldValue, Fields, Kind};
use crate::model::integration::Integration;
use crate::model::limits::Limits;
use crate::model::open_enum::string_enum;
use crate::model::text::pluralize;

use super::change::{self, Action, Change, Weakening};
use super::matching::Matches;
use super::note::{Note, NoteKind};
use super::options::{Options, Purpose};
use super::policies::{self, policies_for_level, unassigned_levels};

string_enum! {
    /// A rule that blocks a plan.
    Guard {
        /// Blocks plans with more deletes than allowed.
        MaxDeletes = "max_deletes",
        /// Blocks plans that leave none of several active integrations active.
        DeleteAll = "delete_all",
        /// Blocks plans that delete or replace an entry with `prevent_destroy`.
        PreventDestroy = "prevent_destroy",
        /// Blocks plans that delete, replace, deactivate or redirect a protected integration.
        Protected = "protected",
        /// Blocks plans that weaken protection.
        Weakening = "weakening",
        /// Blocks plans after which no enabled behavior assigns a level that an Access policy uses.
        Policies = "policies",
        /// Blocks plans that send scores to a tenant outside the limits.
        AllowedTenants = "allowed_tenants",
    }
}

/// A guard that blocks the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct GuardViolation {
    /// Name of the guard.
    pub guard: Guard,
    /// Address of the change. Null for the plan as a whole.
    pub address: Option<Address>,
    /// Reason why the plan is blocked.
    pub reason: String,
    /// Flag that overrides the guard. Null if it cannot be overridden.
    #[serde(rename = "override")]
    pub override_flag: Option<String>,
}

impl GuardViolation {
    fn of(change: &Change, guard: Guard, reason: String) -> Self {
        GuardViolation {
            guard,
            address: Some(change.address.clone()),
            reason,
            override_flag: None,
        }
    }
}

/// Checks all guards.
pub(super) fn check_guards(
    desired: &DesiredAccount,
    live: &LiveAccount,
    context: &Context,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let gone = changes.iter().filter(|change| change.action.deletes());
    let prevented = gone.clone();
    let prevented = prevented.filter_map(|change| prevent_destroy(desired, change));
    let deletes = gone.clone().count();
    let mut violations = Vec::new();
    violations.extend(max_deletes(desired, deletes, options));
    violations.extend(delete_all(live, changes, options));
    violations.extend(prevented);
    violations.extend(protected(desired, changes, &options.limits));
    violations.extend(weakening(desired, changes, options));
    violations.extend(check_policies(desired, live, context, changes, options));
    let disallowed = |change| disallowed_tenant(change, &options.limits);
    violations.extend(changes.iter().filter_map(disallowed));
    violations
}

/// Returns the reason and the override flag if the limits or the file deny; `None` if both allow.
fn denial(
    limits: GuardMode,
    file: GuardMode,
    is_overridden: bool,
    name: &str,
) -> Option<(String, Option<String>)> {
    match (limits, file) {
        (GuardMode::Deny, _) => Some(("the limits deny that".to_owned(), None)),
        (GuardMode::Warn, GuardMode::Deny) if !is_overridden => {
            let flag = format!("--allow-{name}");
            Some((format!("guards.{name} is deny"), Some(flag)))
        }
        (GuardMode::Warn, _) => None,
    }
}

fn max_deletes(
    desired: &DesiredAccount,
    deletes: usize,
    options: &Options,
) -> Option<GuardViolation> {
    let overridden = options.overrides.max_deletes;
    let permitted = overridden.unwrap_or(desired.guards.max_deletes);
    let by_limits = options
        .limits
        .max_deletes
        .filter(|most| deletes > *most as usize);
    let most = by_limits.unwrap_or(permitted);
    (deletes > most as usize).then(|| {
        let limit = by_limits.map_or("limit", |_| "operator limit");
        GuardViolation {
            guard: Guard::MaxDeletes,
            address: None,
            reason: format!(
                "deletes or replaces {}; the {limit} is {most}",
                pluralize(deletes, "integration")
            ),
            override_flag: by_limits
                .is_none()
                .then(|| format!("--max-deletes {deletes}")),
        }
    })
}

/// Returns a violation if several integrations are active and none would be, deleted or not.
fn delete_all(live: &LiveAccount, changes: &[Change], options: &Options) -> Option<GuardViolation> {
    let is_active = |fields: &&Fields| fields.get(Field::Active) != Some(&FieldValue::Bool(false));
    let integrations = live.integrations.iter().map(|live| &live.fields);
    let active = integrations.filter(is_active).count();
    let changed = || {
        changes
            .iter()
            .filter(|change| change.kind == Kind::Integration)
    };
    let lost = changed().filter_map(|change| change.before.as_ref());
    let gained = changed().filter_map(|change| change.after.as_ref());
    let remaining = active - lost.filter(is_active).count() + gained.filter(is_active).count();
    let all = active > 1 && remaining == 0;
    let is_overridden = options.overrides.allow_delete_all;
    let denial = denial(
        options.limits.delete_all,
        GuardMode::Deny,
        is_overridden,
        "delete-all",
    );
    let (denied, override_flag) = denial.filter(|_| all && options.purpose == Purpose::Apply)?;
    let denied = match override_flag {
        Some(_) => String::new(),
        None => format!(", and {denied}"),
    };
    Some(GuardViolation {
        guard: Guard::DeleteAll,
        address: None,
        reason: format!("leaves none of {active} active integrations active{denied}"),
        override_flag,
    })
}

fn prevent_destroy(desired: &DesiredAccount, change: &Change) -> Option<GuardViolation> {
    let Address::Integration(name) = &change.address else {
        return None;
    };
    let entry = desired.integrations.get(name)?;
    entry.lifecycle.prevent_destroy.then(|| {
        let action = change.action;
        let reason = format!("cannot be {action}d: lifecycle.prevent_destroy is set");
        GuardViolation::of(change, Guard::PreventDestroy, reason)
    })
}

fn protected(desired: &DesiredAccount, changes: &[Change], limits: &Limits) -> Vec<GuardViolation> {
    let (by_file, by_limits) = (&desired.guards.protected, &limits.protected);
    if by_file.is_empty() && by_limits.is_empty() {
        return Vec::new();
    }
    let refusal = |change: &Change| {
        let (effect, before) = (effect(change)?, change.before.as_ref()?);
        let id = change.origin.integration_id?;
        let addresses = [change.address.clone(), Address::UnlistedIntegration(id)];
        let covers =
            |item: &&ProtectedItem| item.matches(desired.label(), &addresses, before, Some(id));
        let (item, whose) = match by_limits.iter().find(covers) {
            Some(item) => (item, "by the limits"),
            None => (by_file.iter().find(covers)?, "guards.protected"),
        };
        let reason = format!("{effect}, but {} is protected ({whose})", item.text);
        Some(GuardViolation::of(change, Guard::Protected, reason))
    };
    changes.iter().filter_map(refusal).collect()
}

/// Returns a warning for each item of `guards.protected` that matches nothing, most likely a typo. Items of the limits apply to all
/// accounts, so they may match in another.
pub(super) fn unmatched_protected_items(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
) -> Vec<Note> {
    let covers = |item: &ProtectedItem| {
        let live_covered = |address: Address, live: &Integration| {
            let addresses = [address, Address::UnlistedIntegration(live.id)];
            item.matches(desired.label(), &addresses, &live.fields, Some(live.id))
        };
        let entries = matches.entries.iter().any(|entry| {
            let live = entry
                .live()
                .is_some_and(|live| live_covered(entry.address(), live));
            let Declared { fields, id, .. } = entry.declared;
            live || item.matches(desired.label(), &[entry.address()], fields, *id)
        });
        let mut others = matches.unlisted.iter().chain(&matches.candidates);
        entries || others.any(|live| live_covered(Address::UnlistedIntegration(live.id), live))
    };
    let items = desired.guards.protected.iter();
    items
        .filter(|item| !covers(item))
        .map(unmatched_protected_item)
        .collect()
}

pub(super) fn unmatched_protected_item(item: &ProtectedItem) -> Note {
    let ProtectedItem { text, location } = item;
    let message = format!("{location}: guards.protected: {text:?} matches no integration");
    Note::general(NoteKind::UnmatchedProtectedItem, message)
}

/// Returns the forbidden effect of a change on a protected integration. A new tenant_url or reference_id is one, because the item might
/// not match afterwards.
fn effect(change: &Change) -> Option<&'static str> {
    match change::weakening(change.kind, change.before.as_ref(), change.after.as_ref())? {
        Weakening::Deleted => Some("would be deleted"),
        Weakening::Replaced => Some("would be replaced"),
        Weakening::Deactivated => Some("would be deactivated"),
        Weakening::TenantUrlChanged => Some("would get another tenant_url"),
        Weakening::ReferenceIdChanged => Some("would get another reference_id"),
        Weakening::Disabled | Weakening::Lowered | Weakening::UnknownLevel => None,
    }
}

fn weakening(
    desired: &DesiredAccount,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let (limits, file) = (options.limits.weakening, desired.guards.weakening);
    let denial = denial(limits, file, options.overrides.allow_weakening, "weakening");
    let Some((denied, override_flag)) = denial else {
        return Vec::new();
    };
    let violation = |change: &Change| {
        let weakening = change.weakens?;
        let reason = format!("weakens protection ({weakening}), and {denied}");
        Some(GuardViolation {
            override_flag: override_flag.clone(),
            ..GuardViolation::of(change, Guard::Weakening, reason)
        })
    };
    changes.iter().filter_map(violation).collect()
}

/// Returns a violation for each level that no enabled behavior would assign and a policy uses. If the policies are unknown, every such
/// level counts.
fn check_policies(
    desired: &DesiredAccount,
    live: &LiveAccount,
    context: &Context,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let (limits, file) = (options.limits.policies, desired.guards.policies);
    let denial = denial(limits, file, options.overrides.allow_policies, "policies");
    let Some((denied, override_flag)) = denial else {
        return Vec::new();
    };
    unassigned_levels(live, changes)
        .into_iter()
        .filter_map(|level| policy_violation(level, &context.access))
        .map(|reason| GuardViolation {
            guard: Guard::Policies,
            address: None,
            reason: format!("{reason}, and {denied}"),
            override_flag: override_flag.clone(),
        })
        .collect()
}

/// Returns the reason against losing a level; `None` if certainly no policy uses it.
fn policy_violation(level: Level, access: &Fetched<Access>) -> Option<String> {
    let lost = format!("no enabled behavior would assign level {level}");
    let unknown = match access {
        Fetched::Loaded(access) => {
            let acted_on = policies_for_level(&level, access);
            if !acted_on.policies.is_empty() {
                return Some(format!("{lost}; {}", acted_on.count_and_names()));
            }
            if access.skipped == 0 {
                return None;
            }
            format!(" ({})", policies::skipped_summary(access.skipped))
        }
        Fetched::Failed(unread) => format!(" ({unread})"),
        Fetched::Skipped => String::new(),
    };
    Some(format!(
        "{lost}, and the Access policies cannot be read{unknown}"
    ))
}

/// Returns a violation if a change starts sending scores to a host that the limits do not allow. An integration that already sends
/// scores there may stay.
fn disallowed_tenant(change: &Change, limits: &Limits) -> Option<GuardViolation> {
    let after = change.after.as_ref()?;
    let tenant_url = after.tenant_url()?;
    let goes_on = change.action == Action::Update
        && change.before.as_ref().is_some_and(|before| {
            let is_active = before.is_on(Field::Active) || !after.is_on(Field::Active);
            before.tenant_url() == Some(tenant_url) && is_active
        });
    (!goes_on && !limits.allows_tenant(tenant_url)).then(|| {
        let reason = format!("would send scores to {tenant_url}, which --limits does not allow");
        GuardViolation::of(change, Guard::AllowedTenants, reason)
    })
}
