//! Plans: the changes from the live to the desired state, and the operations that make them. Start with [`planner`].
//!
//! One file per stage: [`matching`] matches entries and live integrations, [`behaviors`] and [`integrations`] compute the differences,
//! [`conflict`] finds contradictions, [`order`] creates the operations, and [`guards`] checks the plan. The result is in [`run`].

pub mod attribution;
mod behaviors;
mod change;
mod conflict;
mod digest;
mod guards;
mod identity_provider;
mod integrations;
mod matching;
mod note;
mod operation;
mod options;
mod order;
mod planner;
mod policies;
mod run;
mod saved_plan;
#[cfg(test)]
mod tests;

pub use crate::model::address::Glob;
pub use crate::model::field::{Field, FieldValue, Fields, Kind};
pub use crate::model::finding::{AccountError, FailureKind};
pub use attribution::{AttributedAction, Attribution, FieldAttribution};
pub use change::{
    Action, Change, FieldChange, Origin, UnlistedResource, Weakening, changes_since, field_changes,
};
pub use digest::sha256;
pub use guards::{Guard, GuardViolation};
pub use identity_provider::{
    changed_identity_providers, needs_identity_providers, resolve_identity_providers,
};
pub use matching::{MatchedBy, MatchedEntry, Matches, matches};
pub use note::{Candidate, Note, NoteKind, PlanError, PlanErrorKind, describe};
pub use operation::{
    IntegrationTarget, Operation, OperationId, OperationKind, OperationOutcome, OperationResult,
    OperationStatus, Wave,
};
pub use options::{Options, Overrides, Purpose};
pub use planner::plan;
pub use policies::{
    LevelPolicies, PolicyName, affects_levels, policies_for_level, unassigned_levels,
};
pub use run::{
    AccountPlan, Commands, Format, GlobMatch, Run, RunWithTotals, Status, Totals, Unchanged,
};
pub use saved_plan::{MAX_SAVED_PLAN_BYTES, PlanInput, SavedPlan, SavedPlanError};
