//! Keeps a sandbox in one JSON file, locked for as long as it is open.
//!
//! The file is replaced in one step, so that whoever kills the program finds the old state or the new one. It is not flushed to the
//! medium each time: that would guard a simulation against loss of power, at the price of every write.

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

/// One open file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Held, never read: the lock goes when the handle does. It is a file of its own because the data file is replaced by each write.
    _lock: File,
    kept: Mutex<SavedState>,
}

/// What the file holds. Each account's text is remembered, so that a write costs the making of what changed and the copying of the rest.
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
    /// Opens a file, which may not exist yet, and reads what it holds.
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
                serials: world.serials(),
                accounts: BTreeMap::new(),
                audit_log: BTreeMap::new(),
            }),
        };
        Ok((store, world))
    }

    /// Sees to it that the file holds the change with this serial number. Changes that pile up while one write is on its way share
    /// the next: otherwise many at once would each write everything.
    pub(super) fn keep(&self, serial: u64, world: &RwLock<State>) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().expect("nobody panics while writing");
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
            world.serials()
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
    Ok(State::kept(serials, accounts, audit_log))
}

fn text(item: &impl Serialize) -> Box<RawValue> {
    to_raw_value(item).expect("accounts and log entries are plain data with string keys")
}

/// Opens a file of ours, never what a link points to: a checkout could have brought the link. `None` where there is no file.
fn open_own(path: &Path, options: &mut OpenOptions) -> Result<Option<File>, StoreError> {
    let not_ours = || StoreError::NotRegularFile {
        path: path.to_owned(),
    };
    // Asked first, for opening a pipe would wait for its other end.
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

/// Refuses a folder that is a link if the path is relative: then a checkout could have brought it.
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

/// Why a sandbox's file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another sandbox has it open.
    #[error("{} is in use by another sandbox; end that one, or name another file", path.display())]
    InUse { path: PathBuf },
    /// It, its lock or its folder is a link, or something else that is not the sandbox's own.
    #[error("{} is a link, or not a file: the sandbox keeps its data only in a place of its own; remove it, or name another file with `riskform sandbox --data`", path.display())]
    NotRegularFile {
        /// What is in the way.
        path: PathBuf,
    },
    /// It is no sandbox's file, or half of one.
    #[error("{} is not a sandbox's file: {source}; move it away to start anew", path.display())]
    Damaged {
        path: PathBuf,
        /// Where reading it failed.
        source: serde_json::Error,
    },
    /// It was written by another version of riskform.
    #[error("{} has the format {format:?}, and this riskform reads {FORMAT}; move it away to start anew", path.display())]
    OtherFormat { path: PathBuf, format: String },
    /// The file system refused.
    #[error("cannot keep the sandbox in {}: {source}", path.display())]
    Io {
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}
