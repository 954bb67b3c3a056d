//! Stores a sandbox in a JSON file, which is locked while it is open.
//!
//! Each write replaces the file atomically. It is not synced to disk, because a simulation need not survive a power failure.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tempfile::NamedTempFile;

use super::LOCK_POISONED;
use super::state::audit_log::{LoggedEntry, MAX_AUDIT_ENTRIES};
use super::state::{Account, State};
use crate::model::account::AccountId;

const FORMAT: &str = "riskform.sandbox/1";

/// An open sandbox file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Lock, released when dropped. A separate file, because each write replaces the data file.
    _lock: File,
    kept: Mutex<SavedState>,
}

/// Content of the file. Caches the JSON of each account, so that a write serializes only changed accounts.
#[derive(Debug)]
struct SavedState {
    serials: u64,
    accounts: BTreeMap<AccountId, Box<RawValue>>,
    audit_log: BTreeMap<AccountId, VecDeque<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

#[derive(Deserialize)]
struct StoredDocument {
    serials: u64,
    accounts: BTreeMap<AccountId, Account>,
    #[serde(default)]
    audit_log: BTreeMap<AccountId, VecDeque<LoggedEntry>>,
}

#[derive(Serialize)]
struct DocumentText<'a> {
    format: &'a str,
    serials: u64,
    accounts: &'a BTreeMap<AccountId, Box<RawValue>>,
    audit_log: &'a BTreeMap<AccountId, VecDeque<Box<RawValue>>>,
}

impl Store {
    /// Opens a file, which may not exist yet, and reads its state.
    pub(super) fn open(path: &Path) -> Result<(Self, State), StoreError> {
        let failed = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        refuse_linked_folder(path)?;
        fs::create_dir_all(folder(path)).map_err(failed)?;
        let mut found_or_made = OpenOptions::new();
        found_or_made.write(true).create(true).truncate(false);
        let lock = open_own(&lock_path(path), &mut found_or_made)?;
        let lock = lock.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let world = match open_own(path, OpenOptions::new().read(true))? {
            Some(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                parse(path, &bytes)?
            }
            None => State::default(),
        };
        let store = Store {
            path: path.to_owned(),
            _lock: lock,
            kept: Mutex::new(SavedState {
                serials: world.last_serial(),
                accounts: BTreeMap::new(),
                audit_log: BTreeMap::new(),
            }),
        };
        Ok((store, world))
    }

    /// Returns once the file contains the change with this serial number. Changes made during a write are saved together by the next one.
    pub(super) fn save(&self, serial: u64, world: &RwLock<State>) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().expect("no panic while writing");
        if serial <= kept.serials {
            return Ok(());
        }
        let serials = {
            let mut world = world.write().expect(LOCK_POISONED);
            for (id, account) in world.take_changed() {
                kept.accounts.insert(id, text(account));
            }
            for (id, entries) in world.take_logged() {
                let log = kept.audit_log.entry(id).or_default();
                log.extend(entries.map(text));
                let elder = log.len().saturating_sub(MAX_AUDIT_ENTRIES);
                log.drain(..elder);
            }
            world.last_serial()
        };
        self.replace(&DocumentText {
            format: FORMAT,
            serials,
            accounts: &kept.accounts,
            audit_log: &kept.audit_log,
        })
        .map_err(|source| StoreError::Io {
            path: self.path.clone(),
            source,
        })?;
        kept.serials = serials;
        Ok(())
    }

    fn replace(&self, document: &DocumentText<'_>) -> io::Result<()> {
        let mut file = BufWriter::new(NamedTempFile::new_in(folder(&self.path))?);
        serde_json::to_writer(&mut file, document)?;
        file.write_all(b"\n")?;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .persist(&self.path)
            .map_err(|error| error.error)?;
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<State, StoreError> {
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
    let StoredDocument {
        serials,
        accounts,
        audit_log,
    } = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(State::from_saved(serials, accounts, audit_log))
}

fn text(item: &impl Serialize) -> Box<RawValue> {
    to_raw_value(item).expect("accounts and log entries are plain data with string keys")
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
    match options.custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Err(not_ours()),
        Err(source) => Err(StoreError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Rejects a directory that is a symlink if the path is relative, since an untrusted checkout may contain it.
fn refuse_linked_folder(path: &Path) -> Result<(), StoreError> {
    let links = folder(path).ancestors().filter(|folder| {
        folder.is_relative() && fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink())
    });
    match links.last() {
        Some(link) => Err(StoreError::NotRegularFile {
            path: link.to_owned(),
        }),
        None => Ok(()),
    }
}

fn folder(path: &Path) -> &Path {
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
