//! `riskform completions`: what makes a shell complete riskform's commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::args::Cli;
use super::error::Error;
use super::exit::Exit;
use super::output::Output;

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The shell to write them for
    shell: Shell,
}

/// Prints the completions.
pub(super) fn run(arguments: Arguments, output: &Output) -> Result<Exit, Error> {
    let Arguments { shell } = arguments;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "riskform", &mut script);
    output.result(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
