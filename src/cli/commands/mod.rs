//! One file per command or pair of commands: flags and steps.

pub(crate) mod about;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod get;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod reset;
pub(crate) mod sandbox;
