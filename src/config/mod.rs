//! Desired-state files: YAML text to what it declares, and back.
//!
//! # The code map
//!
//! From a file to an account, in the order of the work:
//!
//! | file | does |
//! | --- | --- |
//! | [`load`] | the whole way, for a fleet: every file, every mistake, in one go |
//! | `files` | finds and opens files; with it alone this room touches the file system |
//! | `text` | bytes to text |
//! | `yaml` | text to a tree whose nodes know their place; the only file that knows the parser |
//! | `interpolation` | `${NAME}` in scalars, and which names are secret |
//! | `decode` | nodes to values: types, words, known keys |
//! | `account`, `behavior`, `integration` | the rules of one kind: its keys, how files lay over each other, what comes of it |
//! | `entries` | what behaviors and integrations have in common |
//! | `rule`, `diagnostic`, `source`, `suggest` | mistakes: their ids, their text, their place, the nearest right word |
//!
//! # What is deliberately absent
//!
//! Nothing here knows the network, the environment (it is handed in), a clock (the day is handed in) or the terminal.
//!
//! # Bounds
//!
//! A file may come from a stranger's pull request. One file is at most 64 MiB, one run 256 MiB; one document holds at most 2,000,000
//! values with its aliases written out, nested at most 32 deep, each at most 8 KiB. Memory stays below ten times the largest file
//! plus 400 MiB. What exceeds a bound is a diagnostic.

mod account;
mod behavior;
mod decode;
pub mod diagnostic;
mod entries;
pub mod export;
mod files;
pub mod fmt;
mod integration;
mod interpolation;
mod layout;
pub mod load;
pub mod rule;
pub mod schema;
pub mod source;
mod suggest;
mod text;
pub mod write;
mod yaml;
