//! One file per command: its flags and its steps.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod export;
pub(crate) mod fmt;
pub(crate) mod get;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod reset;
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod validate;
pub(crate) mod version;
