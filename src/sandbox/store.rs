//! Keeps a sandbox in one JSON file, locked for as long as it is open.
//!
//! The file is replaced in one step, so that whoever kills the program finds the old state or the new one. It is not flushed to the
//! medium each time: that would guard a simulation against loss of power, at the price of every write.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::world::World;

const FORMAT: &str = "riskform.sandbox/1";

/// One open file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Held, never read: the lock goes when the handle does. It is a file of its own because the data file is replaced by each write.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Document<W> {
    format: String,
    #[serde(flatten)]
    world: W,
}

impl Store {
    /// Opens a file, which may not exist yet, and reads what it holds.
    pub(super) fn open(path: &Path) -> Result<(Self, World), StoreError> {
        let failed = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(folder(path)).map_err(failed)?;
        let lock = File::create(lock_path(path)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let store = Store {
            path: path.to_owned(),
            _lock: lock,
        };
        let world = match fs::read(path) {
            Ok(bytes) => store.parse(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => World::default(),
            Err(error) => return Err(failed(error)),
        };
        Ok((store, world))
    }

    fn parse(&self, bytes: &[u8]) -> Result<World, StoreError> {
        let document: Document<World> =
            serde_json::from_slice(bytes).map_err(|source| StoreError::Damaged {
                path: self.path.clone(),
                source,
            })?;
        if document.format != FORMAT {
            return Err(StoreError::OtherFormat {
                path: self.path.clone(),
                format: document.format,
            });
        }
        Ok(document.world)
    }

    /// Replaces what the file holds.
    pub(super) fn write(&self, world: &World) -> Result<(), StoreError> {
        self.replace(world).map_err(|source| StoreError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn replace(&self, world: &World) -> io::Result<()> {
        let mut file = BufWriter::new(NamedTempFile::new_in(folder(&self.path))?);
        let document = Document {
            format: FORMAT.to_owned(),
            world,
        };
        serde_json::to_writer(&mut file, &document)?;
        file.write_all(b"\n")?;
        file.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .persist(&self.path)
            .map_err(|error| error.error)?;
        Ok(())
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
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no sandbox's file, or half of one.
    #[error("{} is not a sandbox's file: {source}; move it away to start anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where reading it failed.
        source: serde_json::Error,
    },
    /// It was written by another version of riskform.
    #[error("{} has the format {format:?}, and this riskform reads {FORMAT}; move it away to start anew", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: String,
    },
    /// The file system refused.
    #[error("cannot keep the sandbox in {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}
