//! Foreign text made safe to show; it lives in [`crate::model::text`].

pub use crate::model::text::{Visible, visible_json};
