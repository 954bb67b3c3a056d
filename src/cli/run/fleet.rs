//! Loads the desired-state files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::cli::flags::{ExpectArgs, FleetArgs, PathArgs};
use crate::cli::io::ci;
use crate::cli::io::output::Output;
use crate::cli::run::load_context::LoadContext;
use crate::config::diagnostic::Color;
use crate::config::load;
use crate::model::account::DesiredAccount;
use crate::model::text::pluralize;

/// Declared accounts, and the files that declare them.
pub(crate) struct LoadedFiles {
    pub(crate) accounts: Vec<DesiredAccount>,
    /// Canonical paths.
    pub(crate) files: Vec<PathBuf>,
}

/// Loads the files and shows warnings. An error in one file fails the whole run.
pub(crate) fn load(
    fleet: &FleetArgs,
    surroundings: &LoadContext,
    output: &Output,
) -> Result<LoadedFiles, CommandError> {
    check_paths(&fleet.desired.paths.paths)?;
    let loaded = load::load(&surroundings.request(&fleet.desired)?).map_err(CommandError::Files)?;
    surroundings.add_input(output)?;
    let mut files = loaded.files.iter();
    files.try_for_each(|file| output.add_input(file))?;
    if !loaded.warnings.is_empty() {
        output.say(loaded.warnings.render(Color::Ansi).trim_end());
        ci::diagnose(output, &loaded.warnings);
    }
    let accounts = loaded.accounts;
    expect(&fleet.desired.expected, accounts.len())?;
    tracing::info!(accounts = accounts.len(), "loaded the files");
    Ok(LoadedFiles {
        accounts,
        files: loaded.files,
    })
}

/// Returns an error for a missing `riskform.yaml` and for a saved plan.
pub(crate) fn check_paths(paths: &[PathBuf]) -> Result<(), CommandError> {
    for path in paths {
        if path == Path::new(PathArgs::USUAL) && fs::symlink_metadata(path).is_err() {
            return Err(CommandError::NoFile);
        }
        if is_saved_plan(path) {
            let path = path.display();
            return Err(CommandError::usage(
                format_args!("{path} is a saved plan, not a desired-state file"),
                format!("run `riskform apply --plan {path}` or `riskform show {path}`"),
            ));
        }
    }
    Ok(())
}

/// Returns true if the file starts like a saved plan.
fn is_saved_plan(path: &Path) -> bool {
    const BEGINNING: u64 = 4096;
    let mut text = Vec::new();
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let mut read = || File::open(path)?.take(BEGINNING).read_to_end(&mut text);
    let text = match is_file && read().is_ok() {
        true => String::from_utf8_lossy(&text),
        false => return false,
    };
    text.trim_start().starts_with('{') && text.contains("\"riskform.saved-plan/")
}

/// Checks the number of accounts against `--expect-accounts`.
///
/// This finds files that are missing, such as a directory that was not mounted.
pub(crate) fn expect(expected: &ExpectArgs, found: usize) -> Result<(), CommandError> {
    match expected.expect_accounts {
        Some(expected) if expected != found => Err(CommandError::Other(anyhow::anyhow!(
            "the files declare {}, but --expect-accounts is {expected}",
            pluralize(found, "account")
        ))),
        Some(_) | None => Ok(()),
    }
}
