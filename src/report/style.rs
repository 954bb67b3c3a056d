//! The few colors that text uses. Each repeats what a symbol or word beside it says.

use anstyle::{AnsiColor, Style};

use crate::model::text::EscapeInvisible;

/// A heading.
pub const HEADING: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What asks for attention.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What went wrong, or goes away.
pub const ERROR: Style = AnsiColor::Red.on_default();
/// What went well, or comes into being.
pub const SUCCESS: Style = AnsiColor::Green.on_default();

/// A URL that a terminal follows as a whole, even where its lines are too short for it (OSC 8). Whoever prints it removes what is around it
/// where it does not belong, as with colors.
pub fn link(url: &str) -> String {
    let url = EscapeInvisible(url);
    format!("{LINK}{url}{END}{url}{LINK}{END}")
}

/// What begins and ends where a link leads to.
pub const LINK: &str = "\u{1b}]8;;";
pub const END: &str = "\u{1b}\\";
