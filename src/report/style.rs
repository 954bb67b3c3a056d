//! Text colors. Each repeats the meaning of a symbol or word.

use anstyle::{AnsiColor, Style};

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
