//! `riskform fmt`: formats files.

use clap::Args;
use similar::TextDiff;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::PathArgs;
use crate::cli::io::output::Output;
use crate::cli::io::{ci, files};
use crate::cli::load::{allowed_root, invalid_files};
use crate::config::fmt::{Formatted, format, format_input};
use crate::model::text::pluralize;
use crate::report::OutputFormat;

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

/// Formats the files and prints the paths of changed ones. Invalid files are reported and left unchanged.
pub(crate) fn run(arguments: &FmtArgs, output: &Output) -> Result<Exit, CommandError> {
    let FmtArgs { paths, check, diff } = arguments;
    if let Some(input) = files::read_stdin_if_requested(&paths.paths)? {
        return format_one(input, *check, *diff, output);
    }
    let (files, diagnostics) = format(&paths.paths, &allowed_root(paths.root.as_deref()));
    let changed: Vec<&Formatted> = files.iter().filter(|file| file.is_changed()).collect();
    for file in &changed {
        if *diff {
            output.result(unified(file));
        } else {
            output.result(format_args!("{}\n", file.path.display()));
        }
        if !check && !diff {
            files::write(&file.target, &file.after)?;
        }
    }
    if !diagnostics.is_empty() {
        return Err(invalid_files(&diagnostics, output));
    }
    let is_rejected = *check && !changed.is_empty();
    if is_rejected {
        for file in &changed {
            ci::annotate_unformatted(output, &file.path);
        }
        let paths = paths.paths.iter().map(|path| path.to_string_lossy());
        output.status(format_args!(
            "{} not formatted; run `riskform fmt {}`",
            pluralize(changed.len(), "file"),
            paths.collect::<Vec<_>>().join(" ")
        ));
    }
    Ok(if is_rejected { Exit::Error } else { Exit::Done })
}

/// Formats standard input, for editors and hooks.
fn format_one(
    input: Vec<u8>,
    check: bool,
    diff: bool,
    output: &Output,
) -> Result<Exit, CommandError> {
    let (formatted, diagnostics) = format_input(input);
    let Some(file) = formatted else {
        return Err(invalid_files(&diagnostics, output));
    };
    if diff {
        output.result(unified(&file));
    } else if !check {
        output.rendered(OutputFormat::Yaml, file.after.clone());
    }
    let is_rejected = check && file.is_changed();
    Ok(if is_rejected { Exit::Error } else { Exit::Done })
}

fn unified(file: &Formatted) -> String {
    let name = file.path.display().to_string();
    TextDiff::from_lines(&file.before, &file.after)
        .unified_diff()
        .header(&name, &format!("{name} (formatted)"))
        .to_string()
}
