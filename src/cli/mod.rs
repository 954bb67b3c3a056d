//! The command line. Only this module reads the environment, prints and writes files.
//!
//! Start with a file in `commands`: load, read live state, plan, show, apply, report.
//!
//! | module | content |
//! | --- | --- |
//! | this one | parsing and dispatch of commands |
//! | `exit`, `error` | exit codes and errors |
//! | `flags`, `help` | shared flags and help texts |
//! | `habits` | hints for users of other tools |
//! | `commands` | one file per command |
//! | `session`, `load`, `planner`, `apply_flow` | steps shared by commands |
//! | `next_steps` | follow-up commands |
//! | `io` | standard streams, files, terminal, CI jobs |

mod apply_flow;
mod commands;
mod context;
mod error;
mod evidence;
#[cfg(test)]
mod example_tests;
mod exit;
mod flags;
mod habits;
mod help;
mod io;
mod load;
mod next_steps;
mod notify;
mod planner;
mod saved_plan;
mod session;
mod signals;
mod user_selection;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use commands::{
    about, apply, audit, doctor, drift, export, files, get, init, plan, reset, sandbox,
};
use error::CommandError;
use flags::GlobalArgs;
use io::output::Output;
use io::{ci, environment};

pub use exit::Exit;

/// Manage Cloudflare Zero Trust Risk Scoring as code
#[derive(Debug, Parser)]
#[command(name = "riskform", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create riskform.yaml from the live account
    ///
    /// Writes a template if no credentials are set.
    Init(init::InitArgs),
    /// Show the changes apply would make
    Plan(plan::PlanArgs),
    /// Make the changes, after you approve the plan
    Apply(apply::ApplyArgs),
    /// Show a saved plan
    Show(plan::ShowArgs),
    /// Delete integrations and disable behaviors in the files
    ///
    /// Unlisted resources are not changed.
    Destroy(apply::DestroyArgs),
    /// Report differences between live accounts and their files
    ///
    /// Read-only.
    Drift(drift::DriftArgs),
    /// Check behaviors, Access policies and Okta integrations
    ///
    /// Read-only.
    Audit(audit::AuditArguments),
    /// Print the live account as a desired-state file
    Export(export::ExportArgs),
    /// Check files for errors (offline)
    Validate(files::ValidateArgs),
    /// Format files (keeps comments)
    Fmt(files::FmtArgs),
    /// Print a JSON Schema
    #[command(mut_args(|arg| match arg.get_help_heading() {
        Some("Connection") => arg.requires("from_live"),
        _ => arg,
    }))]
    Schema(about::SchemaArgs),
    /// Show live behaviors, integrations or users
    Get(get::GetArgs),
    /// Reset users' risk scores
    Reset(reset::ResetArgs),
    /// Check credentials, permissions and connectivity
    ///
    /// Also checks entitlement, rate limit, clock and files. Read-only.
    Doctor(doctor::DoctorArguments),
    /// Run a simulated API on localhost
    ///
    /// Prints the variables to export, or runs a command with them and exits with its code.
    Sandbox(sandbox::SandboxArgs),
    /// Print shell completions
    Completions(about::CompletionsArgs),
    /// Print version and build information
    Version(about::VersionArgs),
}

impl Cli {
    /// Parses a command line. The help texts are built only after an error, or to show them.
    fn parse_words(words: &[OsString]) -> Result<(Self, ArgMatches), clap::Error> {
        let matches = Cli::command().try_get_matches_from(words);
        let matches = matches.or_else(|_| command_line().try_get_matches_from(words))?;
        Ok((Cli::from_arg_matches(&matches)?, matches))
    }
}

/// Returns the command line with all help texts.
pub fn command_line() -> clap::Command {
    help::with_help(Cli::command())
}

/// Runs the command line and returns the exit code.
pub fn main() -> Exit {
    let words: Vec<OsString> = std::env::args_os().collect();
    let json = wants_json(&words);
    let (cli, mut matches) = match Cli::parse_words(&words) {
        Ok(parsed) => parsed,
        Err(error) => {
            let output = Output::new(GlobalArgs::default(), json, ArgMatches::default());
            let habit = error.use_stderr().then(|| habits::explain(&words));
            return match habit.flatten() {
                Some(error) => output.error(&error),
                None => output.clap_error(&habits::without_value_tip(error)),
            };
        }
    };
    cli.common.set_color_choice();
    let (_, arguments) = matches.remove_subcommand().unwrap_or_default();
    let output = Output::new(cli.common, json, arguments);
    let result = dispatch(cli.command, &output);
    let exit = match &result {
        Ok(exit) => *exit,
        Err(error) => output.error(error),
    };
    let exit = output.final_exit(exit);
    ci::report_exit(&output, exit, result.as_ref().err());
    exit
}

/// Returns true if standard output must be one JSON document, even after an error, and even if the command line is invalid.
fn wants_json(words: &[OsString]) -> bool {
    let words = words.iter().take_while(|word| *word != "--");
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.iter().enumerate().any(|(index, word)| {
        // `-q` and `-v` may be in the same word.
        let short = || {
            word.strip_prefix('-')?
                .trim_start_matches(['q', 'v'])
                .strip_prefix('o')
        };
        match word.strip_prefix("--format").or_else(short) {
            Some("") => words.get(index + 1).is_some_and(|next| next == "json"),
            Some(value) => value.trim_start_matches('=') == "json",
            None => false,
        }
    })
}

/// Raises the soft limit of open files (256 on macOS) to the permitted maximum, because each account that is read has connections.
fn raise_open_files_limit() {
    const ENOUGH: u64 = 10_240;
    let limit = getrlimit(Resource::Nofile);
    let current = Some(limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH)));
    if limit.current.is_some() && limit.current < current {
        // If it fails, the old limit may still suffice.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    }
}

fn dispatch(command: Command, output: &Output) -> Result<Exit, CommandError> {
    environment::check_utf8()?;
    raise_open_files_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::other("cannot start the async runtime"))?;
    let run = async {
        match command {
            Command::Init(args) => init::run(args, output).await,
            Command::Show(args) => plan::show(&args, output),
            Command::Plan(args) => plan::plan(args, output).await,
            Command::Apply(args) => apply::apply(args, output).await,
            Command::Destroy(args) => apply::destroy(args, output).await,
            Command::Drift(args) => drift::run(args, output).await,
            Command::Audit(args) => audit::run(args, output).await,
            Command::Export(args) => export::run(args, output).await,
            Command::Validate(args) => files::validate(&args, output),
            Command::Fmt(args) => files::fmt(&args, output),
            Command::Schema(args) => about::schema(args, output).await,
            Command::Get(args) => get::run(args, output).await,
            Command::Doctor(args) => doctor::run(args, output).await,
            Command::Reset(args) => reset::run(args, output).await,
            Command::Sandbox(args) => sandbox::run(args, output).await,
            Command::Completions(args) => Ok(about::completions(&args, command_line(), output)),
            Command::Version(args) => about::version(&args, output),
        }
    };
    runtime.block_on(async {
        tokio::select! {
            biased;
            end = run => end,
            error = signals::ended() => Err(error),
        }
    })
}
