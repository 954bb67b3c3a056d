//! What commands are made of: the way to the API, loading and planning a fleet, applying plans, and how a run ends.

pub(crate) mod application;
pub(crate) mod audit;
pub(crate) mod context;
pub(crate) mod documents;
pub(crate) mod ending;
pub(crate) mod fleet;
pub(crate) mod next;
pub(crate) mod planning;
pub(crate) mod saved_plan;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod surroundings;
pub(crate) mod users;
