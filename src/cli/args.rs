//! The command line as clap reads it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::model::account::AccountId;
use crate::plan::{Glob, Overrides, Targets};

use super::shard::Shard;

/// Keeps Cloudflare Zero Trust Risk Scoring the way a YAML file says it should be.
#[derive(Debug, Parser)]
#[command(name = "riskform", version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What riskform can do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what apply would do
    Plan(super::plan::Arguments),
    /// Carry out what plan shows, once it is approved
    Apply(super::apply::ApplyArguments),
    /// Show a saved plan
    Show(super::saved_plan::Arguments),
    /// Delete the listed integrations and disable the listed behaviors; nothing unlisted is touched
    Destroy(super::apply::Arguments),
    /// Say how live accounts differ from their files; nothing is written
    Drift(super::drift::Arguments),
    /// Work with what runs wrote as JSON
    Report(super::report::Arguments),
    /// Write the live account as a desired-state file
    Export(super::export::Arguments),
    /// Check files without the network
    Validate(super::validate::Arguments),
    /// Lay files out canonically; comments are kept
    Fmt(super::fmt::Arguments),
    /// Print a JSON Schema
    Schema(super::schema::Arguments),
    /// Read live things: behaviors, integrations, and the users who have a score
    Get(super::get::Arguments),
    /// Clear users' risk scores
    Reset(super::reset::Arguments),
    /// Find out why riskform can't get in: credentials, permissions, entitlement, rate limit, clock, files; writes nothing
    Doctor(super::doctor::Arguments),
    /// Serve the simulated API on a loopback port, and print the variables that point to it
    Sandbox(super::sandbox::Arguments),
    /// Print a shell's completions
    Completions(super::completions::Arguments),
    /// Print the manual page, or write all of them
    Man(super::man::Arguments),
}

impl Command {
    /// Says whether standard output must be one JSON document, whatever happens.
    pub(super) fn prints_json(&self) -> bool {
        match self {
            Command::Plan(arguments) => arguments.formats.prints_json(),
            Command::Apply(arguments) => arguments.common.formats.prints_json(),
            Command::Destroy(arguments) => arguments.formats.prints_json(),
            Command::Show(arguments) => arguments.formats.prints_json(),
            Command::Drift(arguments) => arguments.formats.prints_json(),
            Command::Report(arguments) => {
                let super::report::Command::Merge(arguments) = &arguments.command;
                arguments.formats.prints_json()
            }
            Command::Get(arguments) => arguments.prints_json(),
            Command::Doctor(arguments) => arguments.formats.prints_json(),
            Command::Export(arguments) => arguments.formats.prints_json(),
            Command::Validate(arguments) => arguments.formats.prints_json(),
            Command::Fmt(_)
            | Command::Reset(_)
            | Command::Schema(_)
            | Command::Sandbox(_)
            | Command::Completions(_)
            | Command::Man(_) => false,
        }
    }
}

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Use the simulated API, in-process, kept in .riskform/sandbox.json; credentials and CLOUDFLARE_BASE_URL are ignored
    #[arg(long, global = true)]
    pub(super) sandbox: bool,
    /// The API's base URL [default: CLOUDFLARE_BASE_URL, else https://api.cloudflare.com/client/v4]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "sandbox")]
    pub(super) base_url: Option<String>,
    /// The account, where the file names none [default: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(super) account_id: Option<AccountId>,
    /// PEM file of certificate authorities to trust beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca_bundle: Option<PathBuf>,
    /// How many accounts to work on at once
    #[arg(long, global = true, value_name = "N", default_value = "10")]
    pub(super) parallelism: NonZeroUsize,
    /// How many requests to send in a second at most [default: as many as the API's limits permit]
    #[arg(long, global = true, value_name = "N")]
    pub(super) max_requests_per_second: Option<NonZeroU32>,
    /// Seconds that one request may take
    #[arg(long, global = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) timeout: Duration,
    /// Handle only the accounts of shard I of N, I from 0; every account is in exactly one
    #[arg(long, global = true, value_name = "I/N")]
    pub(super) shard: Option<Shard>,
    /// Tell the pipeline: GITHUB_STEP_SUMMARY and GITHUB_OUTPUT, or riskform.env on GitLab
    #[arg(long, global = true)]
    pub(super) ci: bool,
    /// When to colour [NO_COLOR and CLICOLOR_FORCE are obeyed, too]
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) color: Color,
    /// Say more on standard error; twice for every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

/// Which files to load.
#[derive(Args, Debug)]
pub(super) struct Paths {
    /// Desired-state files, or directories of them
    #[arg(value_name = "PATH", default_value = Paths::USUAL)]
    pub(super) paths: Vec<PathBuf>,
}

impl Paths {
    /// The file of whoever names none.
    pub(super) const USUAL: &str = "riskform.yaml";
}

/// Which addresses to look at.
#[derive(Args, Debug)]
pub(super) struct TargetArguments {
    /// Narrow to the addresses that this glob names, e.g. 'behavior.*' (only * and ? are special); may be repeated
    #[arg(long = "target", value_name = "GLOB")]
    targets: Vec<String>,
}

impl TargetArguments {
    pub(super) fn targets(&self) -> Targets {
        Targets {
            globs: self.targets.iter().map(|glob| Glob::new(glob)).collect(),
        }
    }
}

/// Which guards to override.
#[derive(Args, Debug)]
#[command(next_help_heading = "Overrides of guards")]
pub(super) struct OverrideArguments {
    /// The most integrations that may be deleted or replaced, in each account, whatever the file says
    #[arg(long, value_name = "N")]
    max_deletes: Option<u32>,
    /// Permit a plan that leaves none of several live integrations
    #[arg(long)]
    allow_delete_all: bool,
    /// Permit what weakens protection where the file denies it
    #[arg(long)]
    allow_weakening: bool,
}

impl OverrideArguments {
    pub(super) fn overrides(&self) -> Overrides {
        let OverrideArguments {
            max_deletes,
            allow_delete_all,
            allow_weakening,
        } = *self;
        Overrides {
            max_deletes,
            allow_delete_all,
            allow_weakening,
        }
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes it hold for everything that is printed.
    pub(super) fn write_global(self) {
        match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Reads a length of time.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a number of seconds above 0".to_owned())
}
