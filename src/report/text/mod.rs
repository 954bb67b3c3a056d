//! Text for a terminal; legible without colour and at any width.

mod apply;
mod drift;
mod parts;
mod plan;
mod reset;

pub use apply::ApplyText;
pub use apply::Outcomes;
pub(super) use apply::WHERE_TO_PASTE;
pub use drift::DriftText;
pub use parts::count;
pub use plan::PlanText;
pub use reset::ResetText;
