//! `riskform validate`: checks files offline.

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::DesiredStateArgs;
use crate::cli::io::ci;
use crate::cli::io::formats::FormatArgs;
use crate::cli::io::output::Output;
use crate::cli::io::stdin;
use crate::cli::run::fleet;
use crate::cli::run::load_context::LoadContext;
use crate::cli::run::next_steps::{self, NextStep, ShellCommand};
use crate::config::load::{self, Checked};
use crate::report::{self, ValidateFormat, ValidationResult};

/// Flags of `validate`.
#[derive(Args, Debug)]
pub(crate) struct ValidateArguments {
    #[command(flatten)]
    desired: DesiredStateArgs,
    #[command(flatten)]
    pub(crate) formats: FormatArgs<ValidateFormat>,
}

/// Reports all errors and warnings in the files.
pub(crate) fn run(arguments: &ValidateArguments, output: &Output) -> Result<Exit, CommandError> {
    let formats = arguments.formats.read(output)?;
    let paths = &arguments.desired.paths.paths;
    fleet::check_paths(paths)?;
    let surroundings = LoadContext::of(&arguments.desired)?;
    let request = surroundings.request(&arguments.desired)?;
    let input = stdin::named_by(paths)?;
    let is_file = input.is_none();
    let Checked {
        accounts,
        diagnostics,
        files,
    } = match input {
        Some(input) => load::validate_stdin(&request, input),
        None => load::check(&request),
    };
    surroundings.add_input(output)?;
    files.iter().try_for_each(|file| output.add_input(file))?;
    let end = match diagnostics.errors() {
        // The number of accounts is known only if the files are valid.
        0 => fleet::expect(&arguments.desired.expected, accounts.len()).map(|()| Exit::Done),
        _ => Ok(Exit::Error),
    };
    ci::diagnose(output, &diagnostics);
    let checked = ValidationResult {
        accounts,
        diagnostics,
    };
    formats.write(output, |format| report::files(&checked, format));
    if is_file && matches!(end, Ok(Exit::Done)) && !checked.accounts.is_empty() {
        let step = NextStep {
            line: next_steps::line("plan", &ShellCommand::of_desired(&arguments.desired)),
            what: "compare with the live account",
        };
        next_steps::say(output, &[step]);
    }
    end
}
