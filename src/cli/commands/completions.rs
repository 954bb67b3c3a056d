//! `riskform completions`: what makes a shell complete riskform's commands and flags.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};

/// Flags of `completions`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The shell to write them for
    shell: Shell,
}

/// Prints the completions.
pub(crate) fn run(
    arguments: Arguments,
    mut riskform: Command,
    output: &Output,
) -> Result<Exit, Error> {
    let Arguments { shell } = arguments;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut riskform, "riskform", &mut script);
    output.result(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
