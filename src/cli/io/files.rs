//! The one way to write a file.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cli::run::ending::Error;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever the umask permits.
    Everybody,
    /// Its owner alone.
    Owner,
}

/// Writes a file so that a reader sees either the old content or the whole new one.
pub(crate) fn write_atomically(path: &Path, content: &str, access: Access) -> Result<(), Error> {
    let mode = match access {
        Access::Everybody => 0o666,
        Access::Owner => 0o600,
    };
    let write = || -> std::io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        file.write_all(content.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::other(format!("{} can't be written", path.display())))
}
