//! `riskform validate` and `riskform fmt`: check and format files offline.

use clap::Args;
use similar::TextDiff;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{DesiredStateArgs, PathArgs};
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::io::{ci, environment, files};
use crate::cli::load::{LoadContext, check_paths, expect, invalid_files};
use crate::cli::next_steps::{self, ACCOUNT, FILES, PATHS};
use crate::config::fmt::{Formatted, format};
use crate::config::load;
use crate::model::text::pluralize;
use crate::report;
use crate::report::OutputFormat::{Json, Sarif, Text, Yaml};

/// Flags of `validate`.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Text, Json, Sarif])))]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    desired: DesiredStateArgs,
    #[command(flatten)]
    formats: FormatArgs,
}

/// Flags of `fmt`.
#[derive(Args, Debug)]
pub(crate) struct FmtArgs {
    #[command(flatten)]
    paths: PathArgs,
    /// List unformatted files instead of formatting them
    ///
    /// Exits with code 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Show a diff instead of writing files
    #[arg(long)]
    diff: bool,
}

/// Reports all errors and warnings in the files.
pub(crate) fn validate(args: &ValidateArgs, output: &Output) -> Result<Exit, CommandError> {
    let formats = args.formats.read(output)?;
    let paths = &args.desired.paths.paths;
    check_paths(paths)?;
    let context = LoadContext::of(&args.desired, output)?;
    let request = context.options(paths, args.desired.who.account_id.as_ref())?;
    let input = files::read_stdin_if_requested(paths)?;
    let is_file = input.is_none();
    let checked = load::check(&request, input);
    for (file, _) in &checked.files {
        output.add_input(file)?;
    }
    let (accounts, diagnostics) = (checked.accounts, checked.diagnostics);
    let exit = match diagnostics.errors() {
        // The number of accounts is known only if the files are valid.
        0 => expect(&args.desired, accounts.len()).map(|()| Exit::Done),
        _ => Ok(Exit::Error),
    };
    ci::annotate_diagnostics(output, &diagnostics);
    let repository_path = |file: &str| context.allowed_root.repository_path(file.as_ref());
    formats.write(output, |format| {
        report::validation(&accounts, &diagnostics, format, &repository_path)
    });
    if is_file && matches!(exit, Ok(Exit::Done)) && !accounts.is_empty() {
        let plan = next_steps::follow_up(output, "plan", &[ACCOUNT, FILES, PATHS]);
        next_steps::print(output, &plan, "compare with the live account");
    }
    exit
}

/// Formats the files and prints the paths of changed ones, or formats standard input for editors and hooks. Invalid files are reported
/// and left unchanged.
pub(crate) fn fmt(args: &FmtArgs, output: &Output) -> Result<Exit, CommandError> {
    let FmtArgs { paths, check, diff } = args;
    let input = files::read_stdin_if_requested(&paths.paths)?;
    let is_input = input.is_some();
    let root = environment::allowed_root(paths.root.clone());
    let (files, diagnostics) = format(&paths.paths, &root, input);
    for file in &files {
        match file.is_changed() {
            _ if is_input && !check && !diff => output.rendered(Yaml, file.after.clone()),
            false => {}
            true if *diff => output.result(unified(file)),
            true if is_input => {}
            true => {
                output.result(format_args!("{}\n", file.path.display()));
                if !check {
                    files::write(&file.target, &file.after)?;
                }
            }
        }
    }
    if !diagnostics.is_empty() {
        return Err(invalid_files(&diagnostics, output));
    }
    let changed: Vec<&Formatted> = files.iter().filter(|file| file.is_changed()).collect();
    if !check || changed.is_empty() {
        return Ok(Exit::Done);
    }
    for file in &changed {
        ci::annotate_unformatted(output, &file.path);
    }
    let paths = paths.paths.iter().map(|path| path.to_string_lossy());
    output.status(format_args!(
        "{} not formatted; run `riskform fmt {}`",
        pluralize(changed.len(), "file"),
        paths.collect::<Vec<_>>().join(" ")
    ));
    Ok(Exit::Error)
}

fn unified(file: &Formatted) -> String {
    let name = file.path.display().to_string();
    TextDiff::from_lines(&file.before, &file.after)
        .unified_diff()
        .header(&name, &format!("{name} (formatted)"))
        .to_string()
}
