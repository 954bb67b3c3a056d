//! Plans and results in every format: values that display.
//!
//! Never prints. Text carries its colours as ANSI sequences that only repeat what symbols and words say; whoever prints it strips them
//! where they do not belong.

pub mod style;
pub mod text;
pub mod visible;
