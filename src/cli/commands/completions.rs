//! `riskform completions`: shell completion of commands, flags and values.
//!
//! The script calls riskform itself for each completion, so it offers the addresses in the current files. It asks through
//! a variable, see [`answer`].

use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, EnvCompleter, Shells};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::PathArgs;
use crate::cli::io::output::Output;
use crate::cli::run::fleet;
use crate::model::behavior::RiskLevel;

/// Variable set by the completion script.
const COMPLETE_ENV: &str = "RISKFORM_COMPLETE";

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Supported shells.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Prints the completion script.
pub(crate) fn run(arguments: &CompletionsArguments, output: &Output) -> Result<Exit, CommandError> {
    let name = arguments.shell.to_possible_value();
    let name = name.as_ref().map_or("", |value| value.get_name());
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter = shells
        .completer(name)
        .expect("every shell that can be named is among the built-in ones");
    let mut script = Vec::new();
    shell
        .write_registration(
            COMPLETE_ENV,
            "riskform",
            "riskform",
            "riskform",
            &mut script,
        )
        .map_err(CommandError::other("cannot write the completions"))?;
    output.result(String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// Prints completions and returns true if a shell asked for them.
pub(crate) fn answer(riskform: impl Fn() -> Command) -> bool {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(|| with_values(riskform()))
        .var(COMPLETE_ENV)
        .try_complete(std::env::args_os(), folder.as_deref())
        .unwrap_or(false)
}

/// Adds the candidates for values of flags.
fn with_values(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_long() {
            // clap completes enumerated values.
            Some(_) if !argument.get_possible_values().is_empty() => argument,
            Some("target" | "ignore") => argument.add(ArgValueCandidates::new(addresses)),
            Some("level" | "min-level") => argument.add(ArgValueCandidates::new(levels)),
            Some(_) | None => argument,
        })
        .mut_subcommands(with_values)
}

/// Returns the addresses declared in the paths on the command line, else in `riskform.yaml`, else in the directory.
/// Errors in the files are ignored.
fn addresses() -> Vec<CompletionCandidate> {
    let is_file = |path: &PathBuf| {
        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        path.is_dir() || (is_yaml && path.is_file())
    };
    // The command line to complete follows `--` and starts with the program name.
    let words = std::env::args_os().skip_while(|word| word != "--").skip(2);
    let mut paths: Vec<PathBuf> = words.map(PathBuf::from).filter(is_file).collect();
    if paths.is_empty() {
        let usual = PathBuf::from(PathArgs::USUAL);
        paths.push(if usual.is_file() { usual } else { ".".into() });
    }
    let addresses = fleet::addresses(&paths);
    addresses
        .into_iter()
        .map(CompletionCandidate::new)
        .collect()
}

fn levels() -> Vec<CompletionCandidate> {
    let levels = RiskLevel::ALL.iter();
    levels
        .map(|level| CompletionCandidate::new(level.as_str()))
        .collect()
}
