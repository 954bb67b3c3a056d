//! The few colours that text uses. Each repeats what a symbol or word beside it says.

use anstyle::{AnsiColor, Style};

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
