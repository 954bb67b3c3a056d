//! Text for a terminal; legible without colour and at any width.

mod apply;
mod plan;

pub use apply::ApplyText;
pub use plan::{PlanText, count};
