//! `plan(desired, live, today)`: a pure function from two states to an immutable plan.
//!
//! The same input gives the same bytes: no async code, no clock, no files, no API client. One file per stage: [`matching`] matches
//! entries and live integrations, [`behaviors`] and [`integrations`] compute the differences, [`target`] narrows them, [`conflict`] finds
//! contradictions, [`order`] creates the operations, and [`guards`] checks the plan. The result is in [`run`].

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
mod note;
mod operation;
mod order;
mod policies;
mod run;
mod saved_plan;
mod target;
#[cfg(test)]
mod tests;
mod totals;

use std::sync::Arc;

use jiff::civil::Date;
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{DesiredAccount, LiveAccount, PolicyGuardMode};
use crate::model::address::Address;
use crate::model::context::Context;
use crate::model::limits::Limits;
use crate::model::open_enum::string_enum;

pub use crate::model::account_error::{AccountError, FailureKind};
pub use crate::model::address::Glob;
pub use attribution::{AttributedAction, Attribution, FieldAttribution};
pub use change::{
    Action, Change, DeclaredBy, Field, FieldChange, FieldValue, Kind, LiveMatch, Policy,
    ResourceDiff, ResourceFields, UnlistedResource, UnlistedSettings, ValueSources, Weakening,
    field_changes,
};
pub use digest::{live_digest, sha256};
pub use drift::{Retention, Scope};
pub use effect::{Effect, effects};
pub use error::{Candidate, PlanError, PlanErrorKind, describe};
pub use guards::{Guard, GuardViolation, Overrides};
pub use identity_provider::{
    changed_identity_providers, needs_identity_providers, resolve_identity_providers,
};
pub use live_changes::{LiveChange, LiveChangeKind, moved};
pub use matching::{MatchedBy, MatchedEntry, Matches, matches};
pub use note::Note;
pub use operation::{
    IntegrationTarget, Method, Operation, OperationId, OperationKind, OperationOutcome,
    OperationResult, OperationStatus, Wave,
};
pub use policies::{
    LevelPolicies, PolicyName, affects_levels, policies_for_level, unassigned_levels,
};
pub use run::{
    AccountPlan, FailedAccount, Format, GlobMatch, NoteWithMessage, Run, Status, Unchanged,
};
pub use saved_plan::{MAX_SAVED_PLAN_BYTES, PlanInput, SavedPlan, SavedPlanError};
pub use target::Targets;
pub use totals::{ApplyTotals, RunWithTotals, Totals};

/// Options of a plan from the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Options {
    /// Purpose of the plan: apply or destroy.
    pub intent: Intent,
    /// Addresses to include (`--target`).
    pub targets: Targets,
    /// Guards overridden by flags.
    #[serde(flatten)]
    pub overrides: Overrides,
    /// Operator limits of the current command. They are not part of a saved plan.
    #[serde(skip)]
    pub limits: Arc<Limits>,
}

impl Options {
    /// Returns true if changes to an account need its Access policies: `policies: deny` holds, in the file or in the limits.
    pub fn denies_policies(&self, desired: &DesiredAccount) -> bool {
        let by_file = desired.guards.policies == PolicyGuardMode::Deny;
        self.limits.policies == PolicyGuardMode::Deny || (by_file && !self.overrides.allow_policies)
    }
}

string_enum! {
    /// Purpose of a plan.
    #[derive(Default)]
    Intent {
        /// Changes the account to the desired state.
        #[default]
        Apply = "apply",
        /// Deletes declared integrations and disables declared behaviors. Deletes an unlisted integration only if a target is its address.
        Destroy = "destroy",
    }
}

/// Plans the changes from `live` to `desired`. `today` is the UTC day for the end of `ignore_changes`.
///
/// It never fails: entries that cannot be planned are in `errors`.
pub fn plan(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    today: Date,
    options: &Options,
) -> AccountPlan {
    plan_within(desired, live, &Context::default(), today, options)
}

/// Like [`plan`], with the context of the account.
pub fn plan_within(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    context: &Context,
    today: Date,
    options: &Options,
) -> AccountPlan {
    let mut errors = Vec::new();
    let mut notes = Vec::new();

    let behaviors = behaviors::diff(desired, live, options.intent, &mut notes, &mut errors);
    let matches = matches(desired, live);
    errors.extend(matches.errors.iter().cloned());
    let integrations = integrations::diff(desired, live, &matches, today, options, &mut notes);
    notes.extend(guards::unmatched_protected_items(desired, &matches));
    notes.extend(match_notes::notes(
        desired,
        &live.integrations,
        &matches,
        &integrations,
        options.intent,
    ));

    let targeted = target::narrow(desired, behaviors, integrations, &options.targets);
    errors.extend(conflict::find(&targeted));
    errors.retain(|error| options.targets.includes(desired, &error.address));
    // `destroy` skips the entries with errors.
    let operations = if errors.is_empty() || options.intent == Intent::Destroy {
        order::operations(&desired.account_id, live, &targeted, &mut notes)
    } else {
        Vec::new()
    };
    let target::TargetedDiffs {
        behaviors,
        integrations,
        excluded,
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
    // A note about policies includes the note that policies match levels exactly.
    notes.retain(|note| match note {
        Note::LevelChanged { address, .. } => !is_known(address),
        _ => true,
    });
    notes.extend(acted_on);
    notes.extend(identity_provider::notes(desired, options.intent));
    let targeted = |address: &Address| options.targets.includes(desired, address);
    notes.retain_mut(|note| note.narrow(targeted));
    notes.sort_by(|a, b| a.address().cmp(&b.address()));
    let violations = guards::check_guards(desired, live, context, &changes, options);

    AccountPlan {
        account_id: desired.account_id.clone(),
        name: desired.name.clone(),
        source: Arc::clone(&desired.source),
        status: match errors.as_slice() {
            [] => Status::Ok,
            [_, ..] => Status::Ambiguous,
        },
        error: None,
        errors,
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
        excluded,
        violations,
        operations,
        problems: None,
    }
}
