//! Integration tests: the real program, real sockets and random accounts. One test binary, to link only once.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::unwrap_used,
    unreachable_pub
)]

mod api;
mod api_retries;
mod attribution;
mod audit;

mod checked_writes;
mod command_line;
mod concurrent;
mod config;
mod context;
mod convergence;
mod creates;
mod doctor;
mod entries;
mod environment;

mod attribution_output;
mod crash_recovery;
mod files;
mod get;
mod notify;
mod output;
mod plan_and_apply;
mod policy_impact;
mod readme;
mod refusals;
mod report;
mod reset;
mod rollback;
mod runner_commands;
mod sandbox;
mod saved_plans;
mod scenarios;
mod screens;
mod shell;
mod simulation;
mod stops;
mod support;
mod terminal;
mod untrusted;
mod use_graph;
mod wildcard;

// The line notation of accounts is shared with the planner's own tests.
pub(crate) use riskform::model;
