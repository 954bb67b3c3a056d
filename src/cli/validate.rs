//! `riskform validate`: checks files without the network.

use clap::Args;

use crate::config::load;
use crate::report::{self, CheckedFiles, FilesFormat};

use super::args::{Global, Paths};
use super::error::Error;
use super::exit::Exit;
use super::fleet;
use super::format::FormatArguments;
use super::output::Output;

/// Flags of `validate`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    pub(super) formats: FormatArguments,
}

/// Says everything that is wrong with the files.
pub(super) fn run(arguments: &Arguments, global: &Global, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(FilesFormat::ALL)?;
    let (accounts, diagnostics) = load::check(&fleet::request(&arguments.paths, global)?);
    let exit = match diagnostics.errors() {
        0 => Exit::Done,
        _ => Exit::Error,
    };
    let checked = CheckedFiles {
        accounts,
        diagnostics,
    };
    formats.write(output, |format| report::files(&checked, format))?;
    Ok(exit)
}
