//! `riskform fmt`: formats files.

use clap::Args;
use similar::TextDiff;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::PathArgs;
use crate::cli::io::files;
use crate::cli::io::output::Output;
use crate::cli::io::stdin;
use crate::cli::run::load_context::confinement;
use crate::config::fmt::{Formatted, format, format_input};
use crate::model::text::pluralize;

/// Flags of `fmt`.
#[derive(Args, Debug)]
pub(crate) struct FmtArguments {
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
pub(crate) fn run(arguments: &FmtArguments, output: &Output) -> Result<Exit, CommandError> {
    let FmtArguments { paths, check, diff } = arguments;
    if let Some(input) = stdin::named_by(&paths.paths)? {
        return format_one(input, *check, *diff, output);
    }
    let (files, diagnostics) = format(&paths.paths, &confinement(paths.root.as_deref()));
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
        return Err(CommandError::Files(Box::new(diagnostics)));
    }
    let refused = *check && !changed.is_empty();
    if refused {
        let paths = paths.paths.iter().map(|path| path.to_string_lossy());
        output.say(format_args!(
            "{} not formatted; run `riskform fmt {}`",
            pluralize(changed.len(), "file"),
            paths.collect::<Vec<_>>().join(" ")
        ));
    }
    Ok(if refused { Exit::Error } else { Exit::Done })
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
        return Err(CommandError::Files(Box::new(diagnostics)));
    };
    if diff {
        output.result(unified(&file));
    } else if !check {
        output.rendered("yaml", file.after.clone());
    }
    let refused = check && file.is_changed();
    Ok(if refused { Exit::Error } else { Exit::Done })
}

fn unified(file: &Formatted) -> String {
    let name = file.path.display().to_string();
    TextDiff::from_lines(&file.before, &file.after)
        .unified_diff()
        .header(&name, &format!("{name} (formatted)"))
        .to_string()
}
