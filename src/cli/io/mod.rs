//! Input and output: standard streams, files, environment, terminal and CI jobs.

pub(crate) mod audit_log;
pub(crate) mod ci;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod formats;
pub(crate) mod output;
pub(crate) mod state;
pub(crate) mod terminal;
