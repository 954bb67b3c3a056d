//! `riskform report merge`: several runs' JSON as one result, in any format of its kind.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::cli::commands::get::before_now;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::ExpectArgs;
use crate::cli::io::formats::FormatArgs;
use crate::cli::io::output::Output;
use crate::cli::run::exit_codes::of_run;
use crate::cli::run::fleet;
use crate::plan::{Format, MergeRules, Run, merge};
use crate::report::{self, ApplyFormat, DetailLevel, DriftFormat, MergeFormat, PlanFormat};

/// What `report` can do.
#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands below `report`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join several runs' JSON, such as the shards of a fleet, into one result
    Merge(MergeArguments),
}

/// Flags of `report merge`.
#[derive(Args, Debug)]
pub(crate) struct MergeArguments {
    /// What runs wrote with --format json=FILE; all of one kind
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<MergeFormat>,
    #[command(flatten)]
    expected: ExpectArgs,
    /// Merge what there is, although shards are missing
    #[arg(long)]
    allow_missing: bool,
    /// Refuse results that were written longer ago than this: 24h, 7d
    #[arg(long, value_name = "SPAN", value_parser = before_now)]
    max_age: Option<Timestamp>,
}

/// Joins what the shards of a fleet wrote, and ends as one run for all of them would have.
pub(crate) fn run(arguments: ReportArguments, output: &Output) -> Result<Exit, CommandError> {
    let Command::Merge(arguments) = arguments.command;
    let documents = arguments
        .files
        .iter()
        .map(|file| Ok((file.display().to_string(), read(file)?)))
        .collect::<Result<_, CommandError>>()?;
    let rules = MergeRules {
        allow_missing: arguments.allow_missing,
        not_before: arguments.max_age,
    };
    let merged = merge(documents, &rules).map_err(CommandError::Merge)?;
    fleet::expect(&arguments.expected, merged.accounts.len())?;
    let formats = arguments.formats.read(output)?;
    match merged.format {
        Format::Plan => formats.of::<PlanFormat>()?.write(output, |format| {
            report::plan(&merged, format, DetailLevel::Grouped)
        }),
        Format::Apply => formats
            .of::<ApplyFormat>()?
            .write(output, |format| report::apply(&merged, format)),
        Format::Drift => formats.of::<DriftFormat>()?.write(output, |format| {
            report::drift(&merged, format, DetailLevel::Grouped, None)
        }),
    }
    Ok(of_run(&merged))
}

fn read(file: &Path) -> Result<Run, CommandError> {
    let context = || format!("{} can't be read", file.display());
    let text = std::fs::read_to_string(file).map_err(CommandError::other(context()))?;
    let read = Run::read(&text, Format::ALL).map_err(CommandError::other(context()))?;
    Ok(read.run)
}
