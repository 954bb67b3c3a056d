//! `riskform fmt`: lays files out canonically.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Args;
use similar::TextDiff;

use crate::cli::flags::Paths;
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::cli::run::surroundings::confinement;
use crate::config::diagnostic::Color;
use crate::config::fmt::{Formatted, format};

/// Flags of `fmt`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    paths: Paths,
    /// Write nothing; name the files that are not formatted, and end with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change
    #[arg(long)]
    diff: bool,
}

/// Formats the files, and names those that it changes. A file that can't be formatted is left as it is and does not keep others from it.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Exit, Error> {
    let Arguments { paths, check, diff } = arguments;
    let (files, diagnostics) = format(&paths.paths, &confinement(paths.root.as_deref()));
    let changed: Vec<&Formatted> = files.iter().filter(|file| file.is_changed()).collect();
    for file in &changed {
        if *diff {
            output.result(unified(file))?;
        } else {
            output.result(format_args!("{}\n", file.path.display()))?;
        }
        if !check && !diff {
            write(&file.target, &file.after).map_err(Error::other(format!(
                "{} can't be written",
                file.path.display()
            )))?;
        }
    }
    if !diagnostics.is_empty() {
        return Err(Error::Files(diagnostics.render(Color::Ansi)));
    }
    let refused = *check && !changed.is_empty();
    Ok(if refused { Exit::Error } else { Exit::Done })
}

fn unified(file: &Formatted) -> String {
    let name = file.path.display().to_string();
    TextDiff::from_lines(&file.before, &file.after)
        .unified_diff()
        .header(&name, &format!("{name} (formatted)"))
        .to_string()
}

/// Writes a file so that a reader sees either the old content or the whole new one. Its mode stays, and what links to it still does.
fn write(target: &Path, content: &str) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file()
        .set_permissions(fs::metadata(target)?.permissions())?;
    file.persist(target)?;
    Ok(())
}
