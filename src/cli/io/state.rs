//! State kept between runs in `$XDG_STATE_HOME/riskform`, else `~/.local/state/riskform`. It may be deleted at any time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::cli::io::environment;
use crate::cli::io::files;

/// Maximum size of a state file.
const MAX_STATE_BYTES: u64 = 1 << 20;
/// Maximum time to wait for another run that holds the lock.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(10);
/// Delay between attempts to lock a file.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the state directory. It is created for the first file.
pub(crate) fn directory() -> Option<PathBuf> {
    let absolute = |name| environment::path(name).filter(|path| path.is_absolute());
    let home = || Some(absolute("HOME")?.join(".local/state"));
    let state = absolute("XDG_STATE_HOME").or_else(home)?;
    Some(state.join("riskform"))
}

/// A state file, locked until it is dropped.
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens or creates a private file and locks it. If another run keeps the lock for too long, the file is used without it.
    pub(crate) async fn lock(directory: Option<&Path>, name: &str) -> Result<Self, String> {
        let directory = directory.ok_or("neither XDG_STATE_HOME nor HOME is an absolute path")?;
        if fs::symlink_metadata(directory).is_ok_and(|found| !found.is_dir()) {
            return Err(format!("{} is not a directory", directory.display()));
        }
        let created = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        created.map_err(|error| format!("{}: {error}", directory.display()))?;
        let path = directory.join(name);
        let open = || files::open_owned(&path, OpenOptions::new().write(true));
        let file = open().or_else(|error| {
            // Replaces a link and a file of another user. The error of a directory is more useful than that of its removal.
            fs::remove_file(&path).map_err(|_| error)?;
            open()
        });
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        let start = Instant::now();
        while let Err(TryLockError::WouldBlock) = file.try_lock()
            && start.elapsed() < MAX_LOCK_WAIT
        {
            sleep(LOCK_INTERVAL).await;
        }
        Ok(StateFile { file, path })
    }

    /// Reads the value. Returns `None` if the file is empty or damaged.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut bytes = Vec::new();
        let mut file = (&mut self.file).take(MAX_STATE_BYTES);
        file.read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces the value. A run that is killed here leaves a damaged file, which counts as empty.
    pub(crate) fn write(mut self, value: Option<&impl Serialize>) -> Result<(), String> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            match value {
                Some(value) => self.file.write_all(&serde_json::to_vec(value)?),
                None => Ok(()),
            }
        };
        write().map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lock_is_waited_for_at_most_ten_seconds() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("riskform");
        let state = Some(&*state);
        let mut first = StateFile::lock(state, "told.json").await.unwrap();
        assert_eq!(first.read::<String>(), None);
        let start = Instant::now();
        let second = StateFile::lock(state, "told.json").await.unwrap();
        assert_eq!(start.elapsed(), MAX_LOCK_WAIT);
        first.write(Some(&"once")).unwrap();
        drop(second);
        let start = Instant::now();
        let mut third = StateFile::lock(state, "told.json").await.unwrap();
        assert_eq!(third.read::<String>().as_deref(), Some("once"));
        third.write(None::<&String>).unwrap();
        let mut fourth = StateFile::lock(state, "told.json").await.unwrap();
        assert_eq!(fourth.read::<String>(), None);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
