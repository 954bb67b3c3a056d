//! Guards: a plan that one of them refuses is still shown in full, and never applied. Of what the file and the operator's limits say the
//! stricter holds, and no flag overrides the limits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{
    DesiredAccount, GuardMode, LiveAccount, PolicyGuardMode, ProtectedItem,
};
use crate::model::address::Address;
use crate::model::context::{Access, Context, Fetched, Level};
use crate::model::integration::{Integration, IntegrationId};
use crate::model::limits::{DeleteAllPolicy, Limits};
use crate::model::open_enum::words;

use super::change::{Action, Change, ResourceDiff};
use super::matching::Matches;
use super::note::Note;
use super::policies::{self, policies_for_level, unassigned_levels};
use super::{Intent, Options};

words! {
    /// A rule that blocks a plan.
    Guard {
        /// Blocks plans with more deletes than allowed.
        MaxDeletes = "max_deletes",
        /// Blocks plans that delete every live integration.
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

/// Guard overrides from the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// `--max-deletes N`; overrides the files.
    pub max_deletes: Option<u32>,
    /// `--allow-delete-all`
    pub allow_delete_all: bool,
    /// `--allow-weakening`
    pub allow_weakening: bool,
    /// `--allow-policies`
    #[serde(default)]
    pub allow_policies: bool,
}

/// A guard that blocks the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardViolation {
    /// Name of the guard.
    pub guard: Guard,
    /// Address of the change. Null for the plan as a whole.
    pub address: Option<Address>,
    /// Reason why the plan is blocked.
    pub reason: String,
    /// Flag that overrides the guard. Null if it cannot be overridden.
    #[serde(rename = "override")]
    pub way_past: Option<String>,
}

/// Asks every guard.
pub(super) fn refusals(
    desired: &DesiredAccount,
    live: &LiveAccount,
    context: &Context,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let gone: Vec<&Change> = changes
        .iter()
        .filter(|change| matches!(change.action(), Action::Delete | Action::Replace))
        .collect();
    let mut refusals = Vec::new();
    refusals.extend(max_deletes(desired, gone.len(), options));
    refusals.extend(delete_all(live, gone.len(), options));
    refusals.extend(
        gone.iter()
            .filter_map(|change| prevent_destroy(desired, change)),
    );
    refusals.extend(protected(desired, live, changes, &options.limits));
    refusals.extend(weakening(desired, changes, options));
    refusals.extend(check_policies(desired, live, context, changes, options));
    refusals.extend(
        changes
            .iter()
            .filter_map(|change| disallowed_tenant(change, &options.limits)),
    );
    refusals
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
        let whose = by_limits.map_or("are permitted", |_| "are within the limits");
        GuardViolation {
            guard: Guard::MaxDeletes,
            address: None,
            reason: format!(
                "it deletes or replaces {deletes} integrations, and no more than {most} {whose}"
            ),
            way_past: by_limits
                .is_none()
                .then(|| format!("--max-deletes {deletes}")),
        }
    })
}

fn delete_all(live: &LiveAccount, deletes: usize, options: &Options) -> Option<GuardViolation> {
    let several = live.integrations.len() > 1;
    let all = several && deletes == live.integrations.len() && options.intent == Intent::Apply;
    let by_limits = options.limits.delete_all == Some(DeleteAllPolicy::Deny);
    (all && (by_limits || !options.overrides.allow_delete_all)).then(|| GuardViolation {
        guard: Guard::DeleteAll,
        address: None,
        reason: format!(
            "it leaves none of the {deletes} live integrations{}",
            if by_limits {
                ", and the limits deny that"
            } else {
                ""
            }
        ),
        way_past: (!by_limits).then(|| "--allow-delete-all".to_owned()),
    })
}

fn prevent_destroy(desired: &DesiredAccount, change: &Change) -> Option<GuardViolation> {
    let Address::Integration(name) = change.address() else {
        return None;
    };
    let entry = desired.integrations.get(name)?;
    entry.lifecycle.prevent_destroy.then(|| GuardViolation {
        guard: Guard::PreventDestroy,
        address: Some(change.address().clone()),
        reason: format!(
            "it would be {}d, and lifecycle.prevent_destroy forbids that",
            change.action()
        ),
        way_past: None,
    })
}

fn protected(
    desired: &DesiredAccount,
    live: &LiveAccount,
    changes: &[Change],
    limits: &Limits,
) -> Vec<GuardViolation> {
    let (by_file, by_limits) = (&desired.guards.protected, &limits.protected);
    if by_file.is_empty() && by_limits.is_empty() {
        return Vec::new();
    }
    let by_id: BTreeMap<IntegrationId, &Integration> = live
        .integrations
        .iter()
        .map(|integration| (integration.id, integration))
        .collect();
    let refusal = |change: &Change| {
        let harm = harm(change)?;
        let integration = by_id.get(&change.found()?.id)?;
        let covers =
            |item: &&ProtectedItem| item.covers(desired.label(), change.address(), integration);
        let (item, whose) = match by_limits.iter().find(covers) {
            Some(item) => (item, "the limits protect"),
            None => (by_file.iter().find(covers)?, "guards.protected lists"),
        };
        Some(GuardViolation {
            guard: Guard::Protected,
            address: Some(change.address().clone()),
            reason: format!("it {harm}, and {whose} {}", item.text),
            way_past: None,
        })
    };
    changes.iter().filter_map(refusal).collect()
}

/// A warning for each item of the file that matches nothing: most likely a slip, and then it protects nothing. The limits' items are for all
/// accounts, so that each may match in another.
pub(super) fn unmatched_protected_items(
    desired: &DesiredAccount,
    matches: &Matches<'_>,
) -> Vec<Note> {
    let label = desired.label();
    let covers = |item: &ProtectedItem| {
        let live = matches.entries().iter().any(|entry| {
            let (address, found) = (entry.address(), entry.found);
            found.is_some_and(|(live, _)| item.covers(label, &address, live))
                || item.matches_entry(label, entry.declared)
        });
        live || matches.unlisted.iter().any(|live| {
            let address = Address::UnlistedIntegration(live.id);
            item.covers(label, &address, live)
        })
    };
    let items = desired.guards.protected.iter();
    items
        .filter(|item| !covers(item))
        .map(|item| Note::ProtectsNothing {
            item: item.text.clone(),
            location: item.location.clone(),
        })
        .collect()
}

/// What a change does that a protected integration must not suffer. Renaming it first, so that the list no longer fits, is harm itself.
fn harm(change: &Change) -> Option<&'static str> {
    let Change::Integration(ResourceDiff { before, after, .. }) = change else {
        return None;
    };
    match (change.action(), before, after) {
        (Action::Delete, _, _) => Some("would be deleted"),
        (Action::Replace, _, _) => Some("would be replaced"),
        (Action::Update, Some(before), Some(after)) => {
            if before.tenant_url != after.tenant_url {
                Some("would get another tenant_url")
            } else if before.reference_id.is_some() && before.reference_id != after.reference_id {
                Some("would get another reference_id")
            } else if before.active && !after.active {
                Some("would be deactivated")
            } else {
                None
            }
        }
        (Action::Create | Action::Update, _, _) => None,
    }
}

fn weakening(
    desired: &DesiredAccount,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let by_limits = options.limits.weakening == GuardMode::Deny;
    let by_file = desired.guards.weakening == GuardMode::Deny;
    if !by_limits && (!by_file || options.overrides.allow_weakening) {
        return Vec::new();
    }
    let refusal = |change: &Change| {
        let weakening = change.weakens()?;
        let whose = if by_limits {
            "the limits deny that"
        } else {
            "guards.weakening is deny"
        };
        Some(GuardViolation {
            guard: Guard::Weakening,
            address: Some(change.address().clone()),
            reason: format!("it weakens protection ({weakening}), and {whose}"),
            way_past: (!by_limits).then(|| "--allow-weakening".to_owned()),
        })
    };
    changes.iter().filter_map(refusal).collect()
}

/// Levels that enabled behaviors no longer give although policies act on them. Where nobody knows what acts on a level, each may be one.
fn check_policies(
    desired: &DesiredAccount,
    live: &LiveAccount,
    context: &Context,
    changes: &[Change],
    options: &Options,
) -> Vec<GuardViolation> {
    let by_limits = options.limits.policies == PolicyGuardMode::Deny;
    let by_file = desired.guards.policies == PolicyGuardMode::Deny;
    if !by_limits && (!by_file || options.overrides.allow_policies) {
        return Vec::new();
    }
    let whose = if by_limits {
        "the limits deny that"
    } else {
        "guards.policies is deny"
    };
    let refusal = |reason: String| GuardViolation {
        guard: Guard::Policies,
        address: None,
        reason: format!("{reason}, and {whose}"),
        way_past: (!by_limits).then(|| "--allow-policies".to_owned()),
    };
    unassigned_levels(live, changes)
        .into_iter()
        .filter_map(|level| policy_violation(level, &context.access))
        .map(refusal)
        .collect()
}

/// Why a level must not be lost that no enabled behavior gives any longer; `None` where nothing acts on it for certain.
fn policy_violation(level: Level, access: &Fetched<Access>) -> Option<String> {
    let lost = format!("no enabled behavior gives {level} any longer");
    let unknown = match access {
        Fetched::Read(access) => {
            let acted_on = policies_for_level(&level, access);
            if !acted_on.policies.is_empty() {
                return Some(format!("{lost}, on which {}", acted_on.count_and_names()));
            }
            if access.skipped == 0 {
                return None;
            }
            format!(" ({})", policies::skipped_summary(access.skipped))
        }
        Fetched::Failed(unread) => format!(" ({unread})"),
        Fetched::NotRead => String::new(),
    };
    Some(format!("{lost}, and what acts on it is not known{unknown}"))
}

/// Whether a change begins to send scores to a host that the limits don't allow. One that receives them already may go on.
fn disallowed_tenant(change: &Change, limits: &Limits) -> Option<GuardViolation> {
    let Change::Integration(ResourceDiff { before, after, .. }) = change else {
        return None;
    };
    let after = after.as_ref()?;
    let goes_on = change.action() == Action::Update
        && before.as_ref().is_some_and(|before| {
            before.tenant_url == after.tenant_url && (before.active || !after.active)
        });
    (!goes_on && !limits.allows(&after.tenant_url)).then(|| GuardViolation {
        guard: Guard::AllowedTenants,
        address: Some(change.address().clone()),
        reason: format!(
            "scores would go to {}, and the limits allow no such tenant",
            after.tenant_url
        ),
        way_past: None,
    })
}
