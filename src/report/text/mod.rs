//! Text for a terminal; legible without colour and at any width.

mod apply;
mod plan;
mod reset;

pub use apply::ApplyText;
pub use plan::{PlanText, count};
pub use reset::{ResetEnd, ResetText};
