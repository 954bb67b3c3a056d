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
//! | `run` | steps shared by commands: session, planning, applying, exit codes |
//! | `io` | standard streams, files, terminal, CI jobs |

mod commands;
mod error;
#[cfg(test)]
mod example_tests;
mod exit;
mod flags;
mod habits;
mod help;
mod io;
mod run;

use std::ffi::OsString;
use std::time::SystemTime;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::Timestamp;

use commands::{
    apply, audit, completions, doctor, drift, export, fmt, get, init, plan, reset, sandbox, schema,
    show, validate, version,
};
use error::CommandError;
use flags::GlobalArgs;
use io::output::{self, Output};
use io::{ci, environment};
use run::signals;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    Init(init::InitArguments),
    /// Show the changes apply would make
    Plan(plan::PlanArguments),
    /// Make the changes, after you approve the plan
    Apply(apply::ApplyArgs),
    /// Show a saved plan
    Show(show::ShowArguments),
    /// Delete the integrations and disable the behaviors in the files
    ///
    /// Unlisted resources are not changed.
    Destroy(apply::DestroyArgs),
    /// Report differences between live accounts and their files
    ///
    /// Read-only.
    Drift(drift::DriftArguments),
    /// Check behaviors, Access policies and Okta integrations
    ///
    /// Read-only.
    Audit(audit::AuditArguments),
    /// Print the live account as a desired-state file
    Export(export::ExportArguments),
    /// Check files for errors (offline)
    Validate(validate::ValidateArguments),
    /// Format files (keeps comments)
    Fmt(fmt::FmtArguments),
    /// Print a JSON Schema
    #[command(mut_args(|arg| match arg.get_help_heading() {
        Some("Connection") => arg.requires("from_live"),
        _ => arg,
    }))]
    Schema(schema::SchemaArguments),
    /// Show live behaviors, integrations or users
    Get(get::GetArguments),
    /// Reset users' risk scores
    Reset(reset::ResetArguments),
    /// Check credentials, permissions and connectivity
    ///
    /// Also checks entitlement, rate limit, clock and files. Read-only.
    Doctor(doctor::DoctorArguments),
    /// Run a simulated API on localhost
    ///
    /// Prints the variables to export, or runs a command with them and exits with its code.
    Sandbox(sandbox::SandboxArguments),
    /// Print shell completions
    Completions(completions::CompletionsArguments),
    /// Print version and build information
    Version(version::VersionArguments),
}

impl Cli {
    /// Parses a command line.
    fn read(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut riskform = command_line();
        let matches = riskform.try_get_matches_from_mut(words)?;
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut riskform))
    }
}

/// Returns the command line with all help texts.
pub fn command_line() -> clap::Command {
    help::with_help(Cli::command())
}

impl Command {
    /// Returns true if standard output must be one JSON document, even after an error.
    pub(crate) fn prints_json(&self) -> bool {
        match self {
            Command::Plan(arguments) => arguments.formats.prints_json(),
            Command::Apply(arguments) => arguments.common.formats.prints_json(),
            Command::Destroy(arguments) => arguments.formats.prints_json(),
            Command::Show(arguments) => arguments.formats.prints_json(),
            Command::Drift(arguments) => arguments.formats.prints_json(),
            Command::Audit(arguments) => arguments.formats.prints_json(),
            Command::Get(arguments) => arguments.prints_json(),
            Command::Export(arguments) => arguments.formats.prints_json(),
            Command::Validate(arguments) => arguments.formats.prints_json(),
            Command::Version(arguments) => arguments.formats.prints_json(),
            Command::Init(_)
            | Command::Fmt(_)
            | Command::Reset(_)
            | Command::Schema(_)
            | Command::Doctor(_)
            | Command::Sandbox(_)
            | Command::Completions(_) => false,
        }
    }
}

/// Runs the command line and returns the exit code.
pub fn main() -> Exit {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::read(words.clone()) {
        Ok(cli) => cli,
        Err(error) => {
            let habit = habits::explain(&command_line(), &words);
            return match habit.filter(|_| error.use_stderr()) {
                Some(error) => Output::before_parsing(&words).error(&error),
                None => Output::command_line(&habits::without_value_tip(error)),
            };
        }
    };
    cli.common.color.write_global();
    output::trace(cli.common.verbose);
    let output = Output::new(&cli.common, cli.command.prints_json());
    let end = dispatch(cli, &output);
    let exit = match &end {
        Ok(exit) => *exit,
        Err(error) => output.error(error),
    };
    let exit = output.final_exit(exit);
    ci::end(&output, exit, end.as_ref().err());
    exit
}

/// Raises the soft limit of open files (256 on macOS) as far as permitted, because each account read at once has connections.
fn raise_open_files_limit() {
    const ENOUGH: u64 = 10_240;
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_some_and(|current| current < enough) {
        let raised = Rlimit {
            current: Some(enough),
            ..limit
        };
        // If it fails, the old limit may still suffice.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Returns an error if dates cannot represent the time, because [`Timestamp::now`] would panic.
fn check_clock(now: SystemTime) -> Result<(), CommandError> {
    match Timestamp::try_from(now) {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = "the system clock is not before the year 10000";
            Err(CommandError::Other(anyhow::anyhow!(message)).with_help("set the clock"))
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<Exit, CommandError> {
    environment::check_utf8().map_err(|error| CommandError::Other(error.into()))?;
    check_clock(SystemTime::now())?;
    raise_open_files_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::other("cannot start the async runtime"))?;
    let Cli { common: _, command } = cli;
    let run = async {
        match command {
            Command::Init(args) => init::run(args, output).await,
            Command::Show(args) => show::run(&args, output),
            Command::Plan(args) => plan::run(args, output).await,
            Command::Apply(args) => apply::apply(args, output).await,
            Command::Destroy(args) => apply::destroy(args, output).await,
            Command::Drift(args) => drift::run(args, output).await,
            Command::Audit(args) => audit::run(args, output).await,
            Command::Export(args) => export::run(args, output).await,
            Command::Validate(args) => validate::run(&args, output),
            Command::Fmt(args) => fmt::run(&args, output),
            Command::Schema(args) => schema::run(args, output).await,
            Command::Get(args) => get::run(args, output).await,
            Command::Doctor(args) => doctor::run(args, output).await,
            Command::Reset(args) => reset::run(args, output).await,
            Command::Sandbox(args) => sandbox::run(args, output).await,
            Command::Completions(args) => completions::run(&args, command_line(), output),
            Command::Version(args) => version::run(&args, output),
        }
    };
    runtime.block_on(async {
        tokio::select! {
            biased;
            end = run => end,
            signal = signals::ended() => Err(CommandError::Interrupted(signal)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clock_beyond_the_last_year_is_an_error() {
        let after = |years: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(years * 31_556_952);
        assert!(check_clock(after(100)).is_ok());
        assert!(check_clock(after(8_100)).is_err());
    }
}
