//! `plan(desired, live, today)`: a pure function from two states to an immutable plan.
//!
//! The same input gives the same bytes: no async code, no clock, no files, no API client. One file per stage: [`matching`] matches
//! entries and live integrations, [`behaviors`] and [`integrations`] compute the differences, [`conflict`] finds contradictions,
//! [`order`] creates the operations, and [`guards`] checks the plan. The result is in [`run`].

pub mod attribution;
mod behaviors;
mod change;
mod conflict;
mod digest;
mod error;
mod guards;
mod identity_provider;
mod integrations;
mod matching;
mod note;
mod operation;
mod order;
mod policies;
mod run;
mod saved_plan;
#[cfg(test)]
mod tests;
mod totals;

use std::sync::Arc;

use jiff::civil::Date;
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::account::{DesiredAccount, GuardMode, LiveAccount};
use crate::model::address::Address;
use crate::model::context::Context;
use crate::model::limits::Limits;
use crate::model::open_enum::string_enum;
use behaviors::BehaviorDiff;
use integrations::IntegrationDiff;

pub use crate::model::address::Glob;
pub use crate::model::field::{Field, FieldValue, Fields, Kind};
pub use crate::model::finding::{AccountError, FailureKind};
pub use attribution::{AttributedAction, Attribution, FieldAttribution};
pub use change::{
    Action, Change, DeclaredBy, FieldChange, Origin, UnlistedResource, Weakening, changes_since,
    field_changes,
};
pub use digest::{live_digest, sha256};
pub use error::{Candidate, PlanError, PlanErrorKind, describe};
pub use guards::{Guard, GuardViolation, Overrides};
pub use identity_provider::{
    changed_identity_providers, needs_identity_providers, resolve_identity_providers,
};
pub use matching::{MatchedBy, MatchedEntry, Matches, matches};
pub use note::{Note, NoteKind};
pub use operation::{
    IntegrationTarget, Method, Operation, OperationId, OperationKind, OperationOutcome,
    OperationResult, OperationStatus, Wave,
};
pub use policies::{
    LevelPolicies, PolicyName, affects_levels, policies_for_level, unassigned_levels,
    unassigned_policies,
};
pub use run::{AccountPlan, Commands, FailedAccount, Format, GlobMatch, Run, Status, Unchanged};
pub use saved_plan::{MAX_SAVED_PLAN_BYTES, PlanInput, SavedPlan, SavedPlanError};
pub use totals::{ApplyTotals, RunWithTotals, Totals};

/// Options of a plan from the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct Options {
    #[serde(rename = "intent")]
    pub purpose: Purpose,
    /// Addresses to include (`--target`). All if empty.
    pub targets: Vec<Glob>,
    /// Addresses to exclude from drift (`--ignore`).
    #[serde(skip)]
    pub ignored: Vec<Glob>,
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
        let by_file = desired.guards.policies == GuardMode::Deny;
        self.limits.policies == GuardMode::Deny || (by_file && !self.overrides.allow_policies)
    }

    /// Returns true if a target is exactly this address.
    fn names(&self, desired: &DesiredAccount, address: &Address) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|glob| glob.is_address(desired.label(), address))
    }

    /// Returns true if the plan of an account includes the address.
    fn includes(&self, desired: &DesiredAccount, address: &Address) -> bool {
        let matches = |globs: &[Glob]| {
            let mut globs = globs.iter();
            globs.any(|glob| glob.matches(desired.label(), address))
        };
        (self.targets.is_empty() || matches(&self.targets)) && !matches(&self.ignored)
    }
}

string_enum! {
    /// Purpose of a comparison. It affects the wording of notes, never the differences between declared and live state.
    #[derive(Default)]
    Purpose {
        /// Changes the account to the desired state.
        #[default]
        Apply = "apply",
        /// Deletes declared integrations and disables declared behaviors. Deletes an unlisted integration only if a target is its address.
        Destroy = "destroy",
        /// Reports the differences. There are no operations and no guard violations.
        Drift = "drift",
    }
}

/// Plans the changes from `live` to `desired`. `today` is the UTC day for the end of `ignore_changes`.
///
/// It never fails: entries that cannot be planned are in `errors`.
pub fn plan(
    desired: &Arc<DesiredAccount>,
    live: &Arc<LiveAccount>,
    context: &Context,
    today: Date,
    options: &Options,
) -> AccountPlan {
    let purpose = options.purpose;
    let includes = |address: &Address| options.includes(desired, address);
    let (mut errors, mut notes, mut excluded) = (Vec::new(), Vec::new(), Vec::new());

    let mut behaviors = behaviors::diff(desired, live, purpose, &mut notes, &mut errors);
    let matches = matches(desired, live);
    errors.extend(matches.errors.iter().cloned());
    let mut integrations = integrations::diff(desired, live, &matches, today, options, &mut notes);
    notes.extend(integrations::match_notes(
        desired,
        live,
        &matches,
        &integrations,
        purpose,
    ));
    notes.extend(identity_provider::notes(desired, purpose));

    // Drift of a target counts even if applying it would need another address.
    if purpose == Purpose::Drift {
        errors.extend(conflict::find(&integrations.planned, &excluded));
        let unlisted = behaviors.unlisted.iter().chain(&integrations.unlisted);
        let reported = unlisted.filter(|thing| thing.is_reported());
        let addresses = reported.map(|thing| thing.address.clone());
        excluded.extend(addresses.filter(|address| !includes(address)));
    }
    behaviors.narrow(includes, &mut excluded);
    integrations.narrow(includes, &mut excluded);
    if purpose != Purpose::Drift {
        errors.extend(conflict::find(&integrations.planned, &excluded));
    }
    errors.retain(|error| includes(&error.address));

    // `destroy` skips the entries with errors.
    let has_operations = match purpose {
        Purpose::Apply => errors.is_empty(),
        Purpose::Destroy => true,
        Purpose::Drift => false,
    };
    let operations = match has_operations {
        true => order::operations(
            &desired.account_id,
            live,
            &behaviors,
            &integrations.planned,
            &mut notes,
        ),
        false => Vec::new(),
    };
    let BehaviorDiff {
        mut changes,
        unchanged,
        mut unlisted,
        declared: _,
    } = behaviors;
    let IntegrationDiff {
        planned,
        unchanged: unchanged_integrations,
        unlisted: unlisted_integrations,
    } = integrations;
    let unchanged = Unchanged {
        behaviors: unchanged.len(),
        integrations: unchanged_integrations,
    };
    changes.extend(planned.into_iter().filter_map(|planned| planned.change));
    unlisted.extend(unlisted_integrations);
    notes.retain(|note| note.address.as_ref().is_none_or(includes));
    notes.extend(guards::unmatched_protected_items(desired, &matches));
    notes.extend(policies::notes(&context.access, live, &changes, purpose));
    let mut violations = Vec::new();
    if purpose == Purpose::Drift {
        notes.retain(|note| note.kind.applies_to_drift());
        // Weaker resources come first. A stable sort keeps the order of the plan.
        changes.sort_by_key(|change| change.live_weaker.is_none());
    } else {
        violations = guards::check_guards(desired, live, context, &changes, options);
    }
    notes.sort_by(|a, b| a.address.cmp(&b.address));

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
