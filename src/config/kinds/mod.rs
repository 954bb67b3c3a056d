//! What a file may say of each kind of thing: its fields, their order, how they are read and laid over each other, and what comes of them.
//!
//! Knows no file and no YAML text: it is handed nodes.

pub(super) mod account;
pub(super) mod behavior;
pub(super) mod decode;
pub(super) mod entries;
pub(super) mod integration;
