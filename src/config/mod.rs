//! Desired-state files: parsing, validation, formatting and export. Start with [`load`].
//!
//! From a file to an account:
//!
//! 1. `files` finds and reads the files. It is the only module that uses the file system.
//! 2. `yaml` parses each file into trees of nodes with spans.
//! 3. `decode::check` checks each tree against the constant `shape::DOCUMENT`: keys, types, `scalar`s and their `variables`.
//! 4. `merge` merges the trees of an account by the same shape, base files first.
//! 5. `decode::account` decodes the merged tree.
//!
//! All mistakes are collected as [`diagnostic`]s, whose rules are in [`code`]. From an account to a file: [`export`] builds a document,
//! [`write`](mod@write) writes it. [`fmt`] formats existing files.
//!
//! This module does not use the network, the terminal, environment variables or a clock: variables and the date are parameters.
//!
//! Files are untrusted, for example in a pull request. A file has at most 32 MiB, all files of a run 64 MiB. Values are
//! nested at most 32 levels deep and have at most 8 KiB each. An account extends at most 64 files. `diagnostic::Resource` limits the totals
//! of a run, aliases expanded. Exceeding a limit is an error and ends reading. All steps are linear in the size of the files.

pub mod code;
mod decode;
pub mod diagnostic;
pub mod export;
pub mod files;
pub mod fmt;
pub mod load;
mod merge;
pub mod scalar;
pub mod shape;
pub mod span;
mod variables;
pub mod write;
mod yaml;
