//! Integration tests: the real program, real sockets and random accounts. One test binary, to link only once.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::unwrap_used,
    unreachable_pub
)]

mod api;
mod api_conduct;
mod attribution;
mod audit;
mod blast_radius;
mod checked_writes;
mod command_line;
mod concurrent;
mod config;
mod context;
mod convergence;
mod creates;
mod doctor;
mod documents;
mod entries;
mod environment;
mod every_behavior;
mod files;
mod get;
mod killed;
mod notify;
mod output;
mod plan_and_apply;
mod readme;
mod refusals;
mod report;
mod reset;
mod riskform;
mod runner_commands;
mod sandbox;
mod saved_plans;
mod screens;
mod shell;
mod simulation;
mod stops;
mod terminal;
mod untrusted;
mod way_back;
mod who;
mod worlds;
