//! Text for a terminal; legible without color and at any width.

mod apply;
mod grouped;
mod items;
mod own_ids;
mod parts;
mod reset;
mod run;

pub use crate::model::text::count;
pub use apply::ApplyText;
pub(super) use apply::WHERE_TO_PASTE;
pub use reset::ResetText;
pub use run::RunText;
