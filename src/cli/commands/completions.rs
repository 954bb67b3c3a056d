//! `riskform completions`: what makes a shell complete riskform's commands, flags and values.
//!
//! The script asks riskform itself each time, so that it offers what there is: the addresses of the files at hand, kinds of formats,
//! levels. It asks through a variable, see [`answer`].

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

/// The variable through which a shell asks.
const COMPLETE_ENV: &str = "RISKFORM_COMPLETE";

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that can be answered.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Prints the script.
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
    output.result(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Answers a shell that asks for completions, and says whether one did.
pub(crate) fn answer(riskform: impl Fn() -> Command) -> bool {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(|| with_values(riskform()))
        .var(COMPLETE_ENV)
        .try_complete(std::env::args_os(), folder.as_deref())
        .unwrap_or(false)
}

/// Adds what the values of flags may be.
fn with_values(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_long() {
            // What is one of a few words offers them itself.
            Some(_) if !argument.get_possible_values().is_empty() => argument,
            Some("target" | "ignore") => argument.add(ArgValueCandidates::new(addresses)),
            Some("level" | "min-level") => argument.add(ArgValueCandidates::new(levels)),
            Some(_) | None => argument,
        })
        .mut_subcommands(with_values)
}

/// The addresses that the files at hand declare: those that stand on the line already, else the usual one, else what is in the folder.
/// Whatever is wrong with them, nobody wants to hear it while pressing Tab.
fn addresses() -> Vec<CompletionCandidate> {
    let is_file = |path: &PathBuf| {
        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        path.is_dir() || (is_yaml && path.is_file())
    };
    // The shell's own line stands behind `--`, the program's name first.
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
