//! Text for a terminal, readable without color at any width.

mod apply;
mod grouped;
mod items;
mod layout;
mod own_ids;
mod reset;
mod run;

pub use crate::model::text::pluralize;
pub use apply::ApplyText;
pub(super) use apply::OKTA_CONSOLE_PATH;
pub use reset::ResetText;
pub use run::RunText;
