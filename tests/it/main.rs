//! Everything that is tested from outside the crate: whole binaries, real sockets, random worlds. One test binary, so that it links once.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::unwrap_used,
    unreachable_pub
)]

mod api;
mod api_conduct;
mod concurrent;
mod config;
mod convergence;
mod killed;
mod plan_and_apply;
mod riskform;
mod sandbox;
mod saved_plans;
mod simulation;
mod worlds;
