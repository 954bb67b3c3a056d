//! Standard input in place of a file, for `fmt -` and `validate -` in editors and hooks.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::config::files::MAX_FILE_BYTES;

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
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(CommandError::other("cannot read standard input"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(CommandError::Other(anyhow::anyhow!(
            "standard input is larger than {} MiB",
            MAX_FILE_BYTES >> 20
        )));
    }
    Ok(Some(bytes))
}
