//! Standard input in place of a file, for `fmt -` and `validate -` in editors and hooks.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::cli::io::files;

/// Reads standard input if the path is `-`.
///
/// # Errors
///
/// `-` together with files, or input that is too large.
pub(crate) fn named_by(paths: &[PathBuf]) -> Result<Option<Vec<u8>>, CommandError> {
    let is_input = |path: &PathBuf| path == Path::new("-");
    if !paths.iter().any(is_input) {
        return Ok(None);
    }
    if paths.len() > 1 {
        let message = "`-` (standard input) cannot be combined with files";
        return Err(CommandError::Usage(message.to_owned()));
    }
    files::read(io::stdin().lock(), "cannot read standard input").map(Some)
}
