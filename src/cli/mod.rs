//! The command line: one file per command, exit codes, prompts, progress.
//!
//! The only room that reads the environment, prints, and writes files. Each command reads as the pipeline: load, read live, plan, show,
//! apply, report.

mod account;
mod application;
mod apply;
mod args;
mod audit_log;
mod ci;
mod completions;
mod doctor;
mod drift;
mod environment;
mod error;
#[cfg(test)]
mod examples;
mod exit;
mod export;
mod fleet;
mod fmt;
mod format;
mod get;
mod man;
mod notifications;
mod output;
mod plan;
mod progress;
mod prompt;
mod report;
mod reset;
mod sandbox;
mod saved_plan;
mod schema;
mod session;
mod shard;
mod signals;
mod user;
mod validate;
mod verbosity;

use clap::Parser;

use args::{Cli, Command};
use error::Error;
use output::Output;

pub use exit::Exit;

/// Parses the command line, runs the command, reports its error, and says how it ended.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors as well, and belong on standard output.
            let _ = error.print();
            return if error.use_stderr() {
                Output::usage_error(&error);
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    cli.global.color.write_global();
    verbosity::show(cli.global.verbose);
    let output = Output::new(&cli);
    run(cli, &output).unwrap_or_else(|error| output.error(&error))
}

fn run(cli: Cli, output: &Output) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::other("the asynchronous runtime can't be started"))?;
    let Cli { global, command } = cli;
    runtime.block_on(async {
        match command {
            Command::Show(args) => saved_plan::show(&args, output),
            Command::Plan(args) => plan::run(args, &global, output).await,
            Command::Apply(args) => apply::apply(args, &global, output).await,
            Command::Destroy(args) => apply::destroy(args, &global, output).await,
            Command::Drift(args) => drift::run(args, &global, output).await,
            Command::Report(args) => report::run(args, output),
            Command::Export(args) => export::run(args, &global, output).await,
            Command::Validate(args) => validate::run(&args, &global, output),
            Command::Fmt(args) => fmt::run(&args, output),
            Command::Schema(args) => schema::run(&args, output),
            Command::Get(args) => get::run(args, &global, output).await,
            Command::Doctor(args) => doctor::run(args, &global, output).await,
            Command::Reset(args) => reset::run(args, &global, output).await,
            Command::Sandbox(args) => sandbox::run(args, output).await,
            Command::Completions(args) => completions::run(args, output),
            Command::Man(args) => man::run(args, output),
        }
    })
}
