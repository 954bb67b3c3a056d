//! `riskform show`: a saved plan in any of a plan's formats.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::io::formats::{DetailArgs, FormatArgs};
use crate::cli::io::output::Output;
use crate::cli::run::saved_plan;
use crate::report::{self, PlanFormat};

/// Flags of `show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// File written by `plan --out`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<PlanFormat>,
    #[command(flatten)]
    detail: DetailArgs,
}

/// Shows a saved plan in any of a plan's formats.
pub(crate) fn run(arguments: &ShowArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let detail = arguments.detail.read(&formats)?;
    let file = &arguments.file;
    output.add_input(file)?;
    let saved = saved_plan::read(file)?.plan(&Arc::default());
    let saved = saved.map_err(saved_plan::unusable(file))?;
    formats.write(output, |format| report::plan(&saved, format, detail));
    Ok(Exit::Done)
}
