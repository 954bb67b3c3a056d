//! Steps shared by commands: session, loading, planning, applying, exit codes.

pub(crate) mod apply_flow;
pub(crate) mod audit;
pub(crate) mod context;
pub(crate) mod evidence;
pub(crate) mod exit_codes;
pub(crate) mod fleet;
pub(crate) mod load_context;
pub(crate) mod next_steps;
pub(crate) mod planner;
pub(crate) mod saved_plan;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod user_selection;
