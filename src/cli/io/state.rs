//! State kept between runs in `$XDG_STATE_HOME/riskform`, else `~/.local/state/riskform`. It may be deleted at any time.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::io::environment::variable;
use crate::cli::io::files::{self, FileMode};

/// The state directory.
pub(crate) struct State(Option<PathBuf>);

impl State {
    /// Finds the directory. It is created by the first write.
    pub(crate) fn open() -> Self {
        let absolute = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = || Some(absolute("HOME")?.join(".local/state"));
        State(
            absolute("XDG_STATE_HOME")
                .or_else(home)
                .map(|state| state.join("riskform")),
        )
    }

    fn folder(&self) -> Result<&PathBuf, String> {
        let Some(folder) = &self.0 else {
            return Err("neither XDG_STATE_HOME nor HOME is an absolute path".to_owned());
        };
        match fs::symlink_metadata(folder) {
            Ok(found) if !found.is_dir() => Err(format!("{} is not a directory", folder.display())),
            Ok(_) | Err(_) => Ok(folder),
        }
    }

    /// Reads a value. Returns `None` if the file is missing or invalid.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let path = self.folder()?.join(name);
        match files::read_owned(&path) {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Writes a value to a file that only the owner can read.
    pub(crate) fn write(&self, name: &str, kept: &impl Serialize) -> Result<(), String> {
        let folder = self.folder()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let text = serde_json::to_string(kept).map_err(|error| error.to_string())?;
        files::write(&folder.join(name), text, FileMode::OwnerOnly)
            .map_err(|error| error.to_string())
    }

    /// Removes a value.
    pub(crate) fn remove(&self, name: &str) -> Result<(), String> {
        let path = self.folder()?.join(name);
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}
