//! `riskform validate`: checks files offline.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::DesiredStateArgs;
use crate::cli::io::ci;
use crate::cli::io::files;
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::load::{LoadContext, check_paths, expect};
use crate::cli::next_steps::{self, ShellCommand};
use crate::config::load::{self, Checked};
use crate::report;
use crate::report::OutputFormat::{Json, Sarif, Text};

/// Flags of `validate`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Sarif])))]
pub(crate) struct ValidateArguments {
    #[command(flatten)]
    desired: DesiredStateArgs,
    #[command(flatten)]
    pub(crate) formats: FormatArgs,
}

/// Reports all errors and warnings in the files.
pub(crate) fn run(arguments: &ValidateArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let paths = &arguments.desired.paths.paths;
    check_paths(paths)?;
    let context = LoadContext::of(&arguments.desired, output)?;
    let request = context.request(&arguments.desired)?;
    let input = files::read_stdin_if_requested(paths)?;
    let is_file = input.is_none();
    let Checked {
        accounts,
        diagnostics,
        files: inputs,
    } = match input {
        Some(input) => load::validate_stdin(&request, input),
        None => load::check(&request),
    };
    inputs.iter().try_for_each(|file| output.add_input(file))?;
    let end = match diagnostics.errors() {
        // The number of accounts is known only if the files are valid.
        0 => expect(&arguments.desired, accounts.len()).map(|()| Exit::Done),
        _ => Ok(Exit::Error),
    };
    ci::annotate_diagnostics(output, &diagnostics);
    let repository_path = |file: &str| context.allowed_root.repository_path(file.as_ref());
    formats.write(output, |format| {
        report::validation(&accounts, &diagnostics, format, &repository_path)
    });
    if is_file && matches!(end, Ok(Exit::Done)) && !accounts.is_empty() {
        let plan = ShellCommand::of_desired(&arguments.desired).line("plan");
        next_steps::print(output, &plan, "compare with the live account");
    }
    end
}
