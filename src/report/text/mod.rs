//! Text for a terminal; legible without colour and at any width.

mod plan;

pub use plan::{PlanText, count};
