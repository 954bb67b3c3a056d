//! Text colors. Each repeats the meaning of a symbol or word.

use anstyle::{AnsiColor, Style};

use crate::model::text::EscapeInvisible;

/// A heading.
pub const HEADING: Style = Style::new().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Needs attention.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Failed or deleted.
pub const ERROR: Style = AnsiColor::Red.on_default();
/// Succeeded or created.
pub const SUCCESS: Style = AnsiColor::Green.on_default();

/// Returns a terminal hyperlink (OSC 8). The caller strips it like colors.
pub fn link(url: &str) -> String {
    let url = EscapeInvisible(url);
    format!("{LINK}{url}{END}{url}{LINK}{END}")
}

/// Start and end of a hyperlink.
pub const LINK: &str = "\u{1b}]8;;";
pub const END: &str = "\u{1b}\\";
