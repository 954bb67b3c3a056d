//! Plans and results in every format: values that display.
//!
//! Never prints. Text carries its colours as ANSI sequences that only repeat what symbols and words say; whoever prints it strips them
//! where they do not belong.

pub mod json;
pub mod read;
pub mod style;
pub mod text;
pub mod visible;

use jiff::Timestamp;

use crate::apply::Applied;
use crate::model::open_word::words;
use crate::plan::Plan;
use crate::plan::document::Document;

use text::{ApplyText, PlanText};

words! {
    /// The formats of a plan.
    PlanFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts, and for `apply --plan`.
        Json = "json",
    }
}

words! {
    /// The formats of an application's result.
    ApplyFormat {
        /// For a terminal.
        Text = "text",
        /// For scripts.
        Json = "json",
    }
}

words! {
    /// The formats of what the doctor finds.
    DoctorFormat {
        /// For a terminal.
        Table = "table",
        /// For scripts.
        Json = "json",
    }
}

/// A plan in a format. `now` is stamped where the format has a place for it.
pub fn plan(plan: &Plan, format: PlanFormat, now: Timestamp) -> String {
    match format {
        PlanFormat::Text => PlanText(plan).to_string(),
        PlanFormat::Json => Document::of_plan(plan, now).to_json(),
    }
}

/// The result of an application in a format.
pub fn apply(
    plan: &Plan,
    applied: &[Option<Applied>],
    format: ApplyFormat,
    now: Timestamp,
) -> String {
    match format {
        ApplyFormat::Text => ApplyText { plan, applied }.to_string(),
        ApplyFormat::Json => json::apply_document(plan, applied, now).to_json(),
    }
}
