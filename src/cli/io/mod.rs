//! Input and output: standard streams, files, environment, prompts and CI jobs.

pub(crate) mod audit_log;
pub(crate) mod ci;
mod ci_state;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod formats;
pub(crate) mod notify;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod state;
pub(crate) mod stdin;
pub(crate) mod stream;
