//! Standard input in place of a file: what editors and hooks pass through `fmt -` and `validate -`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::config::files::MAX_FILE_BYTES;

/// Reads standard input, where that is what the paths name.
///
/// # Errors
///
/// Files beside it, and more than a file may hold.
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
