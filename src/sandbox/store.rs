//! All accounts, in memory or in a JSON file, which is locked while it is open.
//!
//! Each write replaces the file atomically. It is not synced to disk, because a simulation need not survive a power failure.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use jiff::Timestamp;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::account::{Account, Stamp};
use super::response::ApiError;
use crate::model::account::AccountId;

const FORMAT: &str = "riskform.sandbox/1";

/// Accounts that were written to. All others have the initial state and are not stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Store {
    format: String,
    /// Number of used serial numbers, so that IDs stay unique even after a restart.
    serials: u64,
    accounts: BTreeMap<AccountId, Account>,
    #[serde(skip)]
    file: Option<StateFile>,
}

/// An open sandbox file.
#[derive(Debug)]
struct StateFile {
    path: PathBuf,
    /// Lock, released when dropped. A separate file, because each write replaces the data file.
    _lock: File,
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

impl Store {
    /// Opens a file, which may not exist yet, and reads its state.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        refuse_linked_directory(path)?;
        fs::create_dir_all(directory(path)).map_err(failed)?;
        let mut found_or_made = OpenOptions::new();
        found_or_made.write(true).create(true).truncate(false);
        let lock = open_own(&lock_path(path), &mut found_or_made)?;
        let lock = lock.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse {
                path: path.to_owned(),
            },
            TryLockError::Error(error) => failed(error),
        })?;
        let mut store = match open_own(path, OpenOptions::new().read(true))? {
            Some(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                parse(path, &bytes)?
            }
            None => Store::default(),
        };
        store.format = FORMAT.to_owned();
        store.file = Some(StateFile {
            path: path.to_owned(),
            _lock: lock,
        });
        Ok(store)
    }

    /// Reads an account.
    pub(super) fn read<T>(&self, id: &AccountId, read: impl FnOnce(&Account) -> T) -> T {
        match self.accounts.get(id) {
            Some(account) => read(account),
            None => read(&Account::initial(id)),
        }
    }

    /// Changes an account and stores it. If the change fails or cannot be stored, the account stays unchanged.
    pub(super) fn write<T, E: From<StoreError>>(
        &mut self,
        id: &AccountId,
        now: Timestamp,
        change: impl FnOnce(&mut Account, Stamp) -> Result<T, E>,
    ) -> Result<T, E> {
        self.serials += 1;
        let serial = self.serials;
        let is_new = !self.accounts.contains_key(id);
        // Only a failed save leaves a changed account. A copy includes the audit log, so it takes longer with each write.
        let file = self.file.as_ref();
        let before = file.and_then(|_| self.accounts.get(id).cloned());
        let initial = || Account::initial(id);
        let account = self.accounts.entry(id.clone()).or_insert_with(initial);
        let done = change(account, Stamp { now, serial });
        let done = done.and_then(|done| Ok(self.save().map(|()| done)?));
        if done.is_err() {
            if let Some(before) = before {
                self.accounts.insert(id.clone(), before);
            } else if is_new {
                self.accounts.remove(id);
            }
        }
        done
    }

    fn save(&self) -> Result<(), StoreError> {
        let Some(StateFile { path, .. }) = &self.file else {
            return Ok(());
        };
        let write = || {
            let mut file = BufWriter::new(NamedTempFile::new_in(directory(path))?);
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        let path = path.clone();
        write().map_err(|source| StoreError::Io { path, source })
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Store, StoreError> {
    let damaged = |source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    };
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(StoreError::OtherFormat {
            path: path.to_owned(),
            format,
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Opens a file without following symlinks, which an untrusted checkout may contain. Returns `None` if it does not exist.
fn open_own(path: &Path, options: &mut OpenOptions) -> Result<Option<File>, StoreError> {
    let not_ours = || StoreError::NotRegularFile {
        path: path.to_owned(),
    };
    // Checked first, because opening a FIFO would block.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(not_ours());
    }
    match options
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
    {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(not_ours()),
        Err(source) => Err(StoreError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Rejects a directory that is a symlink if the path is relative, since an untrusted checkout may contain it.
fn refuse_linked_directory(path: &Path) -> Result<(), StoreError> {
    let links = directory(path).ancestors().filter(|directory| {
        directory.is_relative()
            && fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink())
    });
    match links.last() {
        Some(link) => Err(StoreError::NotRegularFile {
            path: link.to_owned(),
        }),
        None => Ok(()),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    path.with_file_name(name)
}

/// Error of a sandbox file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Open in another sandbox.
    #[error("{} is in use by another sandbox; stop that sandbox or choose another file", path.display())]
    InUse { path: PathBuf },
    /// The file, its lock or its directory is a symlink, or is not a regular file.
    #[error("{} is a symlink or not a regular file; remove it or choose another file with `riskform sandbox --data`", path.display())]
    NotRegularFile { path: PathBuf },
    /// Not a sandbox file, or truncated.
    #[error("{} is not a sandbox file: {source}; move it away to start with a new one", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// Written by a different version of riskform.
    #[error("{} has the unsupported format {format:?} (expected {FORMAT}); move it away to start with a new one", path.display())]
    OtherFormat { path: PathBuf, format: String },
    /// I/O error.
    #[error("cannot store the sandbox in {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, 40050, &error.to_string())
    }
}
