//! `riskform man`: the manual pages, made from what `--help` says.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::args::Cli;
use super::error::Error;
use super::exit::Exit;
use super::output::Output;

/// Flags of `man`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Write a page for every command into this directory, instead of printing the one of riskform itself
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub(super) fn run(arguments: Arguments, output: &Output) -> Result<Exit, Error> {
    match arguments.out {
        Some(directory) => {
            let failed = |error| {
                Error::other(format!(
                    "the manual pages can't be written to {}",
                    directory.display()
                ))(error)
            };
            std::fs::create_dir_all(&directory).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), &directory).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(Error::other("the manual page can't be made"))?;
            output.result(String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}
