//! The command line as clap reads it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};

use crate::cli::run::shard::Shard;
use crate::model::account::AccountId;
use crate::plan::{Glob, Overrides, Targets};

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Use the simulated API, in-process, kept in .riskform/sandbox.json; credentials and CLOUDFLARE_BASE_URL are ignored
    #[arg(long, global = true)]
    pub(crate) sandbox: bool,
    /// The API's base URL [default: CLOUDFLARE_BASE_URL, else https://api.cloudflare.com/client/v4]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "sandbox")]
    pub(crate) base_url: Option<String>,
    /// The account, where the file names none [default: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) account_id: Option<AccountId>,
    /// PEM file of certificate authorities to trust beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// How many accounts to work on at once
    #[arg(long, global = true, value_name = "N", default_value = "10")]
    pub(crate) parallelism: NonZeroUsize,
    /// How many requests to send in a second at most [default: as many as the API's limits permit]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) max_requests_per_second: Option<NonZeroU32>,
    /// Seconds that one request may take
    #[arg(long, global = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Handle only the accounts of shard I of N, I from 0; every account is in exactly one
    #[arg(long, global = true, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Tell the pipeline: GITHUB_STEP_SUMMARY and GITHUB_OUTPUT, or riskform.env on GitLab
    #[arg(long, global = true)]
    pub(crate) ci: bool,
    /// When to colour [NO_COLOR and CLICOLOR_FORCE are obeyed, too]
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Color,
    /// Say more on standard error; twice for every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Which files to load.
#[derive(Args, Debug)]
pub(crate) struct Paths {
    /// Desired-state files, or directories of them
    #[arg(value_name = "PATH", default_value = Paths::USUAL)]
    pub(crate) paths: Vec<PathBuf>,
}

impl Paths {
    /// The file of whoever names none.
    pub(crate) const USUAL: &str = "riskform.yaml";
}

/// Which addresses to look at.
#[derive(Args, Debug)]
pub(crate) struct TargetArguments {
    /// Narrow to the addresses that this glob names, e.g. 'behavior.*' (only * and ? are special); may be repeated
    #[arg(long = "target", value_name = "GLOB")]
    targets: Vec<String>,
}

impl TargetArguments {
    pub(crate) fn targets(&self) -> Targets {
        Targets {
            globs: self.targets.iter().map(|glob| Glob::new(glob)).collect(),
        }
    }
}

/// Which guards to override.
#[derive(Args, Debug)]
#[command(next_help_heading = "Overrides of guards")]
pub(crate) struct OverrideArguments {
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
    pub(crate) fn overrides(&self) -> Overrides {
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
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes it hold for everything that is printed.
    pub(crate) fn write_global(self) {
        match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Reads a length of time.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a number of seconds above 0".to_owned())
}
