//! `riskform man`: the manual pages, made from what `--help` says.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};

/// Flags of `man`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Write a page for every command into this directory, instead of printing the one of riskform itself
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub(crate) fn run(arguments: Arguments, riskform: Command, output: &Output) -> Result<Exit, Error> {
    match arguments.out {
        Some(directory) => {
            let failed = |error| {
                Error::other(format!(
                    "the manual pages can't be written to {}",
                    directory.display()
                ))(error)
            };
            std::fs::create_dir_all(&directory).map_err(failed)?;
            clap_mangen::generate_to(riskform, &directory).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(riskform)
                .render(&mut page)
                .map_err(Error::other("the manual page can't be made"))?;
            output.result(String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}
