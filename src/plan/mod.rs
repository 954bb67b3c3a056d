//! `plan(desired, live, today)`: a pure function from two states to an immutable plan.
//!
//! Same input, same bytes: nothing here is async, reads a clock or a file, or knows the API's client. The stages, one file each:
//! [`matching`] finds which live integration is which entry; [`behaviors`] and [`integrations`] say what differs; [`target`] narrows;
//! [`conflict`] refuses what can't come true; [`order`] turns the work into calls; [`guards`] says no. [`run`] is the result of it all.

pub mod attribution;
mod behaviors;
mod change;
mod change_shape;
mod conflict;
mod digest;
mod drift;
mod effect;
mod error;
mod fast_map;
mod guards;
mod identity_provider;
mod integrations;
mod live_changes;
mod match_notes;
mod matching;
mod merge;
mod note;
mod operation;
mod order;
mod policies;
mod read;
mod run;
mod target;
#[cfg(test)]
mod tests;
mod totals;

use std::sync::Arc;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::context::Context;
use crate::model::limits::Limits;
use crate::model::open_enum::words;

pub use crate::model::account_error::{AccountError, FailureKind};
pub use attribution::{AttributedAction, Attribution, FieldAttribution};
pub use change::{
    Action, Change, DeclaredBy, Field, FieldChange, FieldValue, Kind, LiveMatch, Policy,
    ResourceDiff, UnlistedResource, UnlistedSettings, ValueSources, Weakening,
};
pub use digest::{live_digest, sha256};
pub use drift::{Retention, Scope};
pub use effect::{Effect, effects};
pub use error::{PlanError, PlanErrors};
pub use guards::{Guard, GuardViolation, Overrides};
pub use identity_provider::{
    changed_identity_providers, needs_identity_providers, resolve_identity_providers,
};
pub use live_changes::{LiveChange, moved};
pub use matching::{MatchedBy, MatchedEntry, Matches, matches};
pub use merge::{InvalidMerge, MergeRules, merge};
pub use note::Note;
pub use operation::{
    IntegrationTarget, Method, Operation, OperationId, OperationKind, OperationOutcome,
    OperationResult, OperationStatus, Wave,
};
pub use policies::{
    LevelPolicies, PolicyName, affects_levels, policies_for_level, unassigned_levels,
};
pub use read::{ParseRunError, ParsedRun, RunWithDigest};
pub use run::{AccountPlan, Format, GlobMatch, NoteWithMessage, Run, Status, Unchanged};
pub use target::{Glob, Targets};
pub use totals::{ApplyTotals, Totals};

/// Options of a plan from the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Purpose of the plan: apply or destroy.
    pub intent: Intent,
    /// Addresses to include (`--target`).
    pub targets: Targets,
    /// Guards overridden by flags.
    #[serde(flatten)]
    pub overrides: Overrides,
    /// What the operator permits. It is the running command's, so no saved plan holds it.
    #[serde(skip)]
    pub limits: Arc<Limits>,
}

words! {
    /// Purpose of a plan.
    #[derive(Default)]
    Intent {
        /// Changes the account to the desired state.
        #[default]
        Apply = "apply",
        /// Deletes declared integrations and disables declared behaviors. Unlisted resources are not changed.
        Destroy = "destroy",
    }
}

/// Plans how `live` becomes `desired`. `today` is the day, in UTC, that ends `ignore_changes` are measured by.
///
/// # Errors
///
/// Everything at once that keeps the files from coming true: behaviors that the account does not offer, entries that fit several live
/// integrations, keys that something else holds and keeps.
pub fn plan(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    today: Date,
    options: &Options,
) -> Result<AccountPlan, PlanErrors> {
    plan_within(desired, live, &Context::default(), today, options)
}

/// As [`plan`], knowing what surrounds risk scoring in the account.
///
/// # Errors
///
/// As [`plan`].
pub fn plan_within(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    context: &Context,
    today: Date,
    options: &Options,
) -> Result<AccountPlan, PlanErrors> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();

    let behaviors = behaviors::diff(desired, live, options.intent, &mut notes, &mut problems);
    let matches = match matches(desired, live) {
        Ok(matches) => matches,
        Err(ambiguous) => {
            problems.extend(ambiguous);
            return Err(PlanErrors::new(problems));
        }
    };
    let integrations =
        integrations::diff(desired, live, &matches, today, options.intent, &mut notes);
    notes.extend(guards::unmatched_protected_items(desired, &matches));
    notes.extend(match_notes::notes(
        desired,
        &live.integrations,
        &matches,
        &integrations,
        options.intent,
    ));

    let targeted = target::narrow(desired, behaviors, integrations, &options.targets);
    problems.extend(conflict::find(&targeted));
    if !problems.is_empty() {
        return Err(PlanErrors::new(problems));
    }

    let operations = order::operations(&desired.account_id, live, &targeted, &mut notes);
    let target::TargetedDiffs {
        behaviors,
        integrations,
        left_out,
    } = targeted;
    let unchanged = Unchanged {
        behaviors: behaviors.unchanged.len(),
        integrations: integrations.unchanged,
    };
    let changes: Vec<Change> = behaviors
        .changes
        .into_iter()
        .chain(
            integrations
                .courses
                .into_iter()
                .filter_map(|course| course.change),
        )
        .collect();
    let mut unlisted = behaviors.unlisted;
    unlisted.extend(integrations.unlisted);
    let acted_on = policies::notes(&context.access, &changes);
    let is_known = |address: &Address| acted_on.iter().any(|note| note.concerns(address));
    // Who acts on a level says more than that policies match it exactly.
    notes.retain(|note| match note {
        Note::LevelChanged { address, .. } => !is_known(address),
        _ => true,
    });
    notes.extend(acted_on);
    notes.extend(identity_provider::notes(desired, options.intent));
    let targeted = |address: &Address| options.targets.includes(desired, address);
    notes.retain_mut(|note| note.narrow(targeted));
    notes.sort_by(|a, b| a.address().cmp(&b.address()));
    let refusals = guards::refusals(desired, live, context, &changes, options);

    Ok(AccountPlan {
        account_id: desired.account_id.clone(),
        name: desired.name.clone(),
        source: Arc::clone(&desired.source),
        status: Status::Ok,
        error: None,
        today: Some(today),
        options: Some(options.clone()),
        live_digest: Some(live_digest(live)),
        live: Some(Arc::clone(live)),
        desired: Some(Arc::clone(desired)),
        context: Some(context.clone()),
        changes,
        unchanged,
        unlisted,
        notes,
        left_out,
        refusals,
        operations,
        problems: None,
    })
}
