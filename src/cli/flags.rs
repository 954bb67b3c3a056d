//! Flags shared by several commands. A command takes only the groups that it uses, so no flag is accepted and ignored.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args};

use crate::model::account::AccountId;
use crate::model::address::Name;
use crate::model::behavior::RiskLevel;
use crate::model::limits::Limits;
use crate::plan::{Glob, Options, Overrides, Purpose};

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
#[command(mut_args(|arg| arg.global(true).hide_short_help(true)))]
pub(crate) struct GlobalArgs {
    /// Write the result to the CI job
    ///
    /// Writes the step summary and outputs on GitHub, or riskform.env on GitLab.
    #[arg(long)]
    pub(crate) ci: bool,
    /// Use colors
    ///
    /// NO_COLOR and CLICOLOR_FORCE are honored.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: clap::ColorChoice,
    /// Print progress details to stderr (-vv: every request)
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

impl GlobalArgs {
    /// Sets the color choice of the process.
    pub(crate) fn set_color_choice(&self) {
        match self.color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Connection to the API.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Use a simulated account instead of Cloudflare
    ///
    /// The account is stored in .riskform/sandbox.json. Credentials and CLOUDFLARE_BASE_URL are ignored.
    #[arg(long, conflicts_with = "base_url")]
    pub(crate) sandbox: bool,
    /// API base URL [env: CLOUDFLARE_BASE_URL] [default: https://api.cloudflare.com/client/v4]
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// PEM file with additional CA certificates to trust
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Limit requests per second [default: the API's own rate limit]
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub(crate) max_requests_per_second: Option<NonZeroU32>,
    /// Timeout per request, in seconds
    #[arg(long, hide_short_help = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// Selected account.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct AccountArgs {
    /// Account ID [env: CLOUDFLARE_ACCOUNT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) account_id: Option<AccountId>,
}

/// Selected account of a command that takes no files.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct OneAccountArgs {
    /// Account ID or name [env: CLOUDFLARE_ACCOUNT_ID]
    ///
    /// NAME is the name of an account in the files. The default is the only account in riskform.yaml.
    #[arg(long, value_name = "ID|NAME", value_parser = account_ref)]
    pub(crate) account_id: Option<AccountRef>,
}

/// An account's ID, or its name in the files.
#[derive(Clone, Debug)]
pub(crate) enum AccountRef {
    Id(AccountId),
    Name(Name),
}

fn account_ref(text: &str) -> Result<AccountRef, &'static str> {
    let id = text.parse().map(AccountRef::Id);
    id.or_else(|_| text.parse().map(AccountRef::Name))
        .map_err(|_| "expected an account ID (32 hexadecimal digits) or an account's name")
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Fleet")]
pub(crate) struct ParallelismArgs {
    /// Number of accounts to process at once
    #[arg(long, hide_short_help = true, value_name = "N", default_value = "10", value_parser = accounts_at_once)]
    pub(crate) parallelism: NonZeroUsize,
}

const FILES: &str = "Files";

/// Desired-state files.
#[derive(Args, Debug)]
#[command(next_help_heading = FILES)]
pub(crate) struct PathArgs {
    /// Desired-state files or directories
    #[arg(value_name = "PATH", default_value = PathArgs::DEFAULT, hide_short_help = true, help_heading = "Arguments")]
    pub(crate) paths: Vec<PathBuf>,
    /// Directory all files must be in [default: the Git repository of PATH, or PATH's directory]
    #[arg(long, hide_short_help = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

impl PathArgs {
    /// Default desired-state file.
    pub(crate) const DEFAULT: &str = "riskform.yaml";
}

/// Desired-state files, account and limits.
#[derive(Args, Debug)]
pub(crate) struct DesiredStateArgs {
    #[command(flatten)]
    pub(crate) paths: PathArgs,
    #[command(flatten)]
    pub(crate) who: AccountArgs,
    /// Operator limits file [env: RISKFORM_LIMITS]
    ///
    /// Files and flags cannot exceed the limits.
    #[arg(long, hide_short_help = true, value_name = "FILE", help_heading = FILES)]
    pub(crate) limits: Option<PathBuf>,
    /// Fail if the files do not declare exactly N accounts
    #[arg(long, hide_short_help = true, value_name = "N", help_heading = "Fleet")]
    pub(crate) expect_accounts: Option<usize>,
}

/// Desired state of all accounts, and the connection to them.
#[derive(Args, Debug)]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    pub(crate) desired: DesiredStateArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectionArgs,
    #[command(flatten)]
    pub(crate) parallelism: ParallelismArgs,
}

impl FleetArgs {
    pub(crate) fn parallelism(&self) -> usize {
        self.parallelism.parallelism.get()
    }
}

/// Selected addresses.
#[derive(Args, Debug)]
pub(crate) struct TargetArgs {
    /// Limit to matching addresses, e.g. 'behavior.*'
    ///
    /// Wildcards are * and ?. Repeatable.
    #[arg(long, value_name = "GLOB")]
    pub(crate) target: Vec<Glob>,
}

const OVERRIDES: &str = "Guard overrides";

/// Selected addresses and guard overrides.
#[derive(Args, Debug)]
pub(crate) struct PlanningArgs {
    #[command(flatten)]
    targets: TargetArgs,
    /// Allow N deletes or replacements per account
    ///
    /// Overrides `guards.max_deletes`.
    #[arg(long, hide_short_help = true, value_name = "N", help_heading = OVERRIDES)]
    max_deletes: Option<u32>,
    /// Allow a plan that leaves no integration active
    #[arg(long, hide_short_help = true, help_heading = OVERRIDES)]
    allow_delete_all: bool,
    /// Allow changes that weaken protection
    ///
    /// Overrides `guards.weakening: deny`.
    #[arg(long, hide_short_help = true, help_heading = OVERRIDES)]
    allow_weakening: bool,
    /// Allow removing a level that an Access policy uses
    ///
    /// Overrides `guards.policies: deny`.
    #[arg(long, hide_short_help = true, help_heading = OVERRIDES)]
    allow_policies: bool,
}

impl PlanningArgs {
    /// Returns the options of a plan.
    pub(crate) fn options(&self, purpose: Purpose, limits: &Arc<Limits>) -> Options {
        Options {
            purpose,
            targets: self.targets.target.clone(),
            ignored: Vec::new(),
            overrides: Overrides {
                max_deletes: self.max_deletes,
                allow_delete_all: self.allow_delete_all,
                allow_weakening: self.allow_weakening,
                allow_policies: self.allow_policies,
            },
            limits: Arc::clone(limits),
        }
    }
}

/// Parses a duration in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a number of seconds greater than 0".to_owned())
}

/// Parses a risk level.
pub(crate) fn level(text: &str) -> Result<RiskLevel, String> {
    let expected = |_| format!("expected one of: {}", RiskLevel::WORDS.join(", "));
    text.parse().map_err(expected)
}

fn accounts_at_once(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "expected a number of at least 1")
}
