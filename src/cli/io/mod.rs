//! What goes in and out: standard streams, files, the environment, the person at the terminal and the pipeline around it.

pub(crate) mod audit_log;
pub(crate) mod ci;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod formats;
pub(crate) mod input;
pub(crate) mod links;
pub(crate) mod notifications;
pub(crate) mod output;
mod pipeline;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod state;
mod wrap;
