//! `riskform completions`: shell completion of commands and flags.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::io::output::Output;

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script.
pub(crate) fn run(
    arguments: &CompletionsArguments,
    mut riskform: Command,
    output: &Output,
) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut riskform, "riskform", &mut script);
    output.result(String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
