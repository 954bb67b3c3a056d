//! `riskform validate`: checks files without the network.

use clap::Args;

use crate::cli::flags::Desired;
use crate::cli::io::ci;
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::cli::run::fleet;
use crate::cli::run::surroundings::Surroundings;
use crate::config::load;
use crate::report::{self, CheckedFiles, FilesFormat};

/// Flags of `validate`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    desired: Desired,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<FilesFormat>,
}

/// Says everything that is wrong with the files.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    fleet::look_at_paths(&arguments.desired.paths.paths)?;
    let surroundings = Surroundings::of(&arguments.desired)?;
    let (accounts, diagnostics) = load::check(&surroundings.request(&arguments.desired)?);
    let end = match diagnostics.errors() {
        // How many accounts there are is only known of files that are right.
        0 => fleet::expect(&arguments.desired.expected, accounts.len()).map(|()| Exit::Done),
        _ => Ok(Exit::Error),
    };
    ci::diagnose(output, &diagnostics);
    let checked = CheckedFiles {
        accounts,
        diagnostics,
    };
    formats.write(output, |format| report::files(&checked, format))?;
    end
}
