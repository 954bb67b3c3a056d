//! Desired-state files: parsing, validation, formatting and export. Start with [`load`].
//!
//! # The code map
//!
//! From a file to an account, in order of processing:
//!
//! | file | does |
//! | --- | --- |
//! | [`limits`], [`env_file`] | operator limits; credentials from a file |
//! | [`load`] | loads all files of a fleet and reports all mistakes together |
//! | `files` | finds and opens files; the only file that uses the file system |
//! | `text`, `unrelated_file` | bytes to text; detection of unrelated files |
//! | `yaml` | text to a tree with spans, and back; the only module that knows the parser and the canonical format |
//! | `interpolate` | `${NAME}` in scalars |
//! | `kinds::decode` | nodes to values: types, words, known keys |
//! | `kinds` | keys, validation and merging of each kind of resource |
//! | `kinds::entries` | named entries of behaviors and integrations |
//! | [`schema`], `json_schema` | JSON Schema for editors |
//! | `code`, `diagnostic`, `span`, `suggest` | diagnostics: ids, texts, locations, suggestions |
//! | `resource_limits` | limits for all files of one run together |
//!
//! From an account to a file:
//!
//! | file | does |
//! | --- | --- |
//! | [`export`] | a live account as a desired-state file |
//! | [`write`](mod@write) | a file in canonical format |
//! | [`fmt`] | formats existing files |
//!
//! # Invariants
//!
//! This module does not use the network, the terminal, environment variables or a clock: variables and the date are parameters.
//!
//! # Limits
//!
//! Files are untrusted, for example in a pull request. A file has at most 32 MiB, all files of a run 64 MiB. A document has at most 800,000
//! values with aliases expanded, nested at most 32 levels deep, each at most 8 KiB. A list has at most 10,000 items. An account extends at
//! most 64 files. `resource_limits` has the limits for a run. Exceeding a limit is an error and ends reading. All steps are linear in the size of
//! the files.

pub mod code;
pub mod diagnostic;
pub mod env_file;
pub mod export;
pub mod files;
pub mod fmt;
mod interpolate;
pub(crate) mod json_schema;
mod kinds;
pub mod limits;
pub mod load;
mod redact;
mod resource_limits;
pub mod schema;
pub mod span;
mod suggest;
mod text;
mod unrelated_file;
pub mod write;
mod yaml;
