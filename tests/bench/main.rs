//! Benchmarks of loading and planning, and their growth: each runs at sizes a factor ten apart.
//!
//! `cargo bench --bench speed` measures all, `cargo bench --bench speed -- plan/` one group. At the end it prints the cost of
//! ten times the size. No benchmark uses the network; `wire.sh` measures whole runs.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod files;
mod growth;
mod inputs;
// Not all of it is used here.
#[allow(dead_code)]
#[path = "../../src/plan/tests/notation.rs"]
mod notation;
mod plan;

use std::time::{Duration, SystemTime};

use criterion::Criterion;
// The line notation of accounts is shared with the planner's own tests.
use riskform::model;

fn main() {
    let started = SystemTime::now();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    files::measure(&mut criterion);
    plan::measure(&mut criterion);
    criterion.final_summary();
    growth::print_ratios(started);
}
