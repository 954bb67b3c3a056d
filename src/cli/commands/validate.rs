//! `riskform validate`: checks files without the network.

use clap::Args;

use crate::cli::flags::{Global, Paths};
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::cli::run::fleet;
use crate::config::load;
use crate::report::{self, CheckedFiles, FilesFormat};

/// Flags of `validate`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    pub(crate) formats: FormatArguments,
}

/// Says everything that is wrong with the files.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &Output) -> Result<Exit, Error> {
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
