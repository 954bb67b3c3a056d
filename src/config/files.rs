//! Finds and opens desired-state files, within bounds: no device, no FIFO, no loop of links, nothing of absurd size.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::diagnostic::{Draft, Found};
use super::rule::Rule;
use crate::model::text::visible;

/// The largest file that is read, in bytes: twice what 100,000 integrations need.
pub(super) const LARGEST_FILE: u64 = 32 << 20;
/// The most that all files of one run may hold together, in bytes.
pub(super) const LARGEST_FLEET: u64 = 64 << 20;

/// The files of one run.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// How many bytes were read so far.
    total: u64,
}

/// Which files of a directory are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Those that declare accounts.
    Accounts,
    /// Fragments as well.
    Any,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("no such file")]
    Missing,
    #[error("a directory, where a file is meant")]
    Directory,
    #[error("neither a file nor a directory")]
    Special,
    #[error("a link to something that is no YAML file")]
    Disguised,
    #[error("larger than {} MiB", LARGEST_FILE >> 20)]
    TooLarge,
    #[error("the files of this run hold more than {} MiB together", LARGEST_FLEET >> 20)]
    FleetTooLarge,
    #[error("can't be read: {0}")]
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refused::Missing,
            _ => Refused::Io(error),
        }
    }
}

impl Refused {
    /// The diagnostic for a file that the user named, or that was found in a directory.
    pub(super) fn of_file(&self, path: &Path) -> Draft {
        let (rule, help) = match self {
            Refused::Missing => (
                Rule::Unreadable,
                "check the path; it defaults to riskform.yaml",
            ),
            Refused::Io(_) => (
                Rule::Unreadable,
                "check its permissions and those of the directories above",
            ),
            Refused::Directory | Refused::Special => {
                (Rule::NotAFile, "name a YAML file, or a directory of them")
            }
            Refused::Disguised => (Rule::NotAFile, "remove the link, or name the file itself"),
            Refused::TooLarge => (Rule::TooLarge, "declare less in one file"),
            Refused::FleetTooLarge => (Rule::TooLarge, "load fewer files at once"),
        };
        let file = shown(path);
        Draft::of_file(rule, file.as_str(), format!("{file}: {self}")).help(help)
    }
}

impl Files {
    /// The files that the user means, each with its canonical path, in the order given; those of a directory sorted by path. None twice.
    pub(super) fn find(
        &self,
        paths: &[PathBuf],
        kind: Kind,
        found: &mut Found,
    ) -> Vec<(PathBuf, PathBuf)> {
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for path in paths {
            match self.expand(path, kind, found) {
                Ok(expanded) => files.extend(
                    expanded
                        .into_iter()
                        .filter(|(_, canonical)| seen.insert(canonical.clone())),
                ),
                Err(refused) => found.push(refused.of_file(path)),
            }
        }
        files
    }

    fn expand(
        &self,
        path: &Path,
        kind: Kind,
        found: &mut Found,
    ) -> Result<Vec<(PathBuf, PathBuf)>, Refused> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(vec![(path.to_owned(), path.canonicalize()?)]);
        }
        let mut files = Vec::new();
        let mut entered = HashSet::new();
        let mut directories = vec![path.to_owned()];
        while let Some(directory) = directories.pop() {
            // Links may lead back up: a directory that was entered before is not entered again.
            let canonical = directory.canonicalize()?;
            if entered.contains(&canonical) {
                continue;
            }
            match list(&directory, &canonical, kind, found) {
                Ok(listed) => {
                    directories.extend(listed.directories);
                    files.extend(listed.files);
                }
                Err(refused) => found.push(refused.of_file(&directory)),
            }
            entered.insert(canonical);
        }
        files.sort();
        if files.is_empty() {
            let directory = shown(path);
            found.push(
                Draft::of_file(
                    Rule::NothingToLoad,
                    directory.as_str(),
                    format!("{directory}: no file in it declares an account"),
                )
                .help("files end in .yaml or .yml, and don't begin with `_` or `.`"),
            );
        }
        Ok(files)
    }

    /// Reads a regular file, within the bounds.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, Refused> {
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(Refused::Directory);
        }
        // Opening a FIFO waits for a writer, perhaps for ever.
        if !metadata.is_file() {
            return Err(Refused::Special);
        }
        if metadata.len() > LARGEST_FILE {
            return Err(Refused::TooLarge);
        }
        // One byte more, so that a single read shows the end as well.
        let room = usize::try_from(metadata.len() + 1).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        // The size may have changed since, and some file systems don't tell it.
        File::open(path)?
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)?;
        let size = bytes.len() as u64;
        if size > LARGEST_FILE {
            return Err(Refused::TooLarge);
        }
        self.total += size;
        if self.total > LARGEST_FLEET {
            return Err(Refused::FleetTooLarge);
        }
        Ok(bytes)
    }

    /// Follows a path in `extends` to the file itself.
    pub(super) fn fragment(&self, path: &Path) -> Result<PathBuf, Refused> {
        if fs::metadata(path)?.is_dir() {
            return Err(Refused::Directory);
        }
        let canonical = path.canonicalize()?;
        if is_yaml(&canonical) {
            Ok(canonical)
        } else {
            Err(Refused::Disguised)
        }
    }
}

/// What stands in one directory.
#[derive(Default)]
struct Listed {
    /// What is to be listed next.
    directories: Vec<PathBuf>,
    /// What is to be loaded, each with its canonical path.
    files: Vec<(PathBuf, PathBuf)>,
}

fn list(
    directory: &Path,
    canonical_directory: &Path,
    kind: Kind,
    found: &mut Found,
) -> Result<Listed, Refused> {
    let mut listed = Listed::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Hidden directories belong to tools, and what begins with `_` is a fragment or holds nothing else.
        let name = entry.file_name();
        let begins_with = |mark| name.as_encoded_bytes().starts_with(mark);
        if begins_with(b".") || (kind == Kind::Accounts && begins_with(b"_")) {
            continue;
        }
        let path = entry.path();
        let file_type = entry.file_type()?;
        if file_type.is_symlink() {
            listed.follow(path, found)?;
        } else if file_type.is_dir() {
            listed.directories.push(path);
        } else if is_yaml(&path) {
            // Only a link could lead elsewhere, and asking the system for thousands of paths takes longer than reading the files.
            listed.files.push((path, canonical_directory.join(name)));
        }
    }
    Ok(listed)
}

impl Listed {
    /// Adds what a link leads to.
    fn follow(&mut self, link: PathBuf, found: &mut Found) -> Result<(), Refused> {
        match fs::metadata(&link) {
            Ok(metadata) if metadata.is_dir() => self.directories.push(link),
            Ok(_) if is_yaml(&link) => {
                let canonical = link.canonicalize()?;
                // A diagnostic shows lines of the file. A link could make that any file of the machine.
                if is_yaml(&canonical) {
                    self.files.push((link, canonical));
                } else {
                    found.push(Refused::Disguised.of_file(&link));
                }
            }
            Ok(_) => {}
            Err(error) if is_yaml(&link) => found.push(Refused::from(error).of_file(&link)),
            Err(_) => {}
        }
        Ok(())
    }
}

/// A path as messages name it.
pub(super) fn shown(path: &Path) -> String {
    visible(path.display().to_string())
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The path that a file means by one in its `extends`.
pub(super) fn beside(file: &Path, written: &str) -> PathBuf {
    let directory = file.parent().unwrap_or(Path::new(""));
    directory
        .join(written)
        .components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}
