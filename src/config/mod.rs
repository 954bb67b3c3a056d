//! Desired-state files: YAML text to what it declares, and back.
//!
//! # The code map
//!
//! From a file to an account, in the order of the work:
//!
//! | file | does |
//! | --- | --- |
//! | [`limits`], [`env_file`] | what the operator permits; credentials from a file |
//! | [`load`] | the whole way, for a fleet: every file, every mistake, in one go |
//! | `files` | finds and opens files; only here this room touches the file system |
//! | `text`, `foreign` | bytes to text, and which characters can't be seen; files of other programs |
//! | `yaml` | text to a tree whose nodes know their place, and back; only here are the parser and the canonical layout known |
//! | `interpolate` | `${NAME}` in scalars, and which names are secret |
//! | `kinds::decode` | nodes to values: types, words, known keys |
//! | `kinds` | the rules of one kind: its keys, how files lay over each other, what comes of it |
//! | `kinds::entries` | what behaviors and integrations have in common |
//! | [`revalidate`] | the rules once more, on an account from a saved plan |
//! | [`schema`], `json_schema` | the JSON Schema of it, for editors |
//! | `rule`, `diagnostic`, `source`, `suggest` | mistakes: their ids, their text, their place, the nearest right word |
//! | `bounds` | how much the files of one run may hold together |
//!
//! And back to a file:
//!
//! | file | does |
//! | --- | --- |
//! | [`export`] | a live account as the file that declares it |
//! | [`write`](mod@write) | a file in its canonical layout |
//! | [`fmt`] | files that people wrote, laid out anew |
//!
//! # What is deliberately absent
//!
//! Nothing here knows the network, the environment (it is handed in), a clock (the day is handed in) or the terminal.
//!
//! # Bounds
//!
//! A file may come from a stranger's pull request. One file is at most 32 MiB, all files of one run 64 MiB; one document holds at most
//! 800,000 values with its aliases written out, nested at most 32 deep, each at most 8 KiB; a list has at most 10,000 items, one account
//! extends at most 64 files. What all files of a run may hold together stands in `bounds`. What exceeds a bound is a diagnostic, and
//! nothing behind it is read; everything takes time in proportion to the files.

pub mod code;
pub mod diagnostic;
pub mod env_file;
pub mod export;
pub mod files;
pub mod fmt;
mod interpolate;
mod json_schema;
mod kinds;
pub mod limits;
pub mod load;
mod redact;
mod resource_limits;
pub mod revalidate;
pub mod schema;
pub mod span;
mod suggest;
mod text;
mod unrelated_file;
pub mod write;
mod yaml;
