//! Finds and opens desired-state files, within bounds: nothing outside of the folder that the files of a PATH belong to, no device, no
//! FIFO, no loop of links, nothing of absurd size.
//!
//! Files may be changed by people who may not read the machine they are loaded on: a link or an `extends` that leads elsewhere would show
//! them lines of any file there, and `fmt` would rewrite it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::model::text::visible;

/// The largest file that is read, in bytes: twice what 100,000 integrations need.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// The most that all files of one run may hold together, in bytes.
pub(super) const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// What stands for standard input among paths.
pub(super) const STDIN_PATH: &str = "-";

/// The files of one run.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// How many bytes were read so far.
    total: u64,
}

/// What decides where the files of a run may stand.
#[derive(Clone, Debug, Default)]
pub struct AllowedRoot {
    /// The folder that holds all of them; without one it is found for each PATH.
    pub root: Option<PathBuf>,
    /// The home folder: a `.git` in it makes no root.
    pub home: Option<PathBuf>,
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundFile {
    /// As the user named it.
    pub(super) path: PathBuf,
    /// With every link followed.
    pub(super) canonical: PathBuf,
    /// The folder that neither it nor what it extends leads out of.
    pub(super) root: Arc<Path>,
}

impl AllowedRoot {
    /// The folder that the files of a PATH belong to: the nearest checkout, else the PATH's own folder. Git is not asked, since it obeys
    /// variables and files that somebody else may have written.
    fn for_path(&self, path: &Path) -> Result<Arc<Path>, FileError> {
        if let Some(root) = &self.root {
            return match root.canonicalize() {
                Ok(root) if root.is_dir() => Ok(root.into()),
                Ok(_) | Err(_) => Err(FileError::RootNotFound(root.clone())),
            };
        }
        let mut at = Path::new(".").canonicalize()?;
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    at.pop();
                }
                Component::Prefix(_) | Component::RootDir => at.push(component),
                Component::Normal(name) => {
                    let folder = at.clone();
                    at.push(name);
                    if !fs::symlink_metadata(&at)?.is_symlink() {
                        continue;
                    }
                    // Whoever may change a checkout may have put the link there: it must not lead out.
                    if let Some(root) = self.checkout(&folder) {
                        return Ok(root.into());
                    }
                    if components.peek().is_none() {
                        return Ok(folder.into());
                    }
                    at = at.canonicalize()?;
                }
            }
        }
        if !at.is_dir() {
            at.pop();
        }
        Ok(self.checkout(&at).unwrap_or(&at).into())
    }

    /// Standard input, as a file of the working folder.
    pub(super) fn input(&self) -> Result<FoundFile, FileError> {
        let folder = Path::new(".");
        Ok(FoundFile {
            path: STDIN_PATH.into(),
            canonical: folder.canonicalize()?.join(STDIN_PATH),
            root: self.for_path(folder)?,
        })
    }

    /// The nearest folder upwards that holds a `.git`. Home and root folders don't count: everything of a user would be beneath them.
    fn checkout<'p>(&self, folder: &'p Path) -> Option<&'p Path> {
        let home = self.home.as_ref().and_then(|home| home.canonicalize().ok());
        folder.ancestors().find(|folder| {
            folder.parent().is_some()
                && home.as_deref() != Some(*folder)
                && fs::symlink_metadata(folder.join(".git")).is_ok()
        })
    }
}

/// Says whether a file may be read, and written by `fmt`: beneath its root with every link followed, and YAML by its ending.
fn admit(canonical: &Path, root: &Path) -> Result<(), FileError> {
    within(canonical, root)?;
    if has_ending(canonical, &["yaml", "yml", "json"]) {
        Ok(())
    } else {
        Err(FileError::WrongExtension)
    }
}

/// Says whether a file or a folder stands beneath a root, and in no `.git`.
fn within(canonical: &Path, root: &Path) -> Result<(), FileError> {
    if !canonical.starts_with(root) {
        return Err(FileError::Outside(root.to_owned()));
    }
    let of_git = |component: Component<'_>| component.as_os_str().eq_ignore_ascii_case(".git");
    if canonical.components().any(of_git) {
        return Err(FileError::InsideGitDir);
    }
    Ok(())
}

/// Which files of a directory are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSelection {
    /// Those that declare accounts.
    Accounts,
    /// Fragments as well.
    Any,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("no such file")]
    Missing,
    #[error("a directory, where a file is meant")]
    Directory,
    #[error("neither a file nor a directory")]
    NotRegularFile,
    #[error("not a .yaml, .yml or .json file")]
    WrongExtension,
    #[error("leads out of {}", shown(.0))]
    Outside(PathBuf),
    #[error("belongs to git")]
    InsideGitDir,
    #[error("{} is not a folder", shown(.0))]
    RootNotFound(PathBuf),
    #[error("larger than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLarge,
    #[error("the files of this run hold more than {} MiB together", MAX_TOTAL_BYTES >> 20)]
    TotalTooLarge,
    #[error("can't be read: {0}")]
    Io(io::Error),
}

/// The way out of a confinement.
pub(super) const OUTSIDE_ROOT_HELP: &str =
    "put the file beneath that folder, or name a wider one with --root; links are followed first";

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::Missing,
            _ => FileError::Io(error),
        }
    }
}

impl FileError {
    /// The diagnostic for a file that the user named, or that was found in a directory.
    pub(super) fn of_file(&self, path: &Path) -> DiagnosticBuilder {
        let (rule, help) = match self {
            FileError::Missing => (
                DiagnosticCode::Unreadable,
                "check the path; it defaults to riskform.yaml",
            ),
            FileError::Io(_) => (
                DiagnosticCode::Unreadable,
                "check its permissions and those of the directories above",
            ),
            FileError::Directory | FileError::NotRegularFile => (
                DiagnosticCode::NotAFile,
                "name a YAML file, or a directory of them",
            ),
            FileError::WrongExtension => (
                DiagnosticCode::NotAFile,
                "name a YAML file; of a link, what it leads to counts",
            ),
            FileError::Outside(_) | FileError::InsideGitDir => {
                (DiagnosticCode::Confined, OUTSIDE_ROOT_HELP)
            }
            FileError::RootNotFound(_) => (DiagnosticCode::Confined, "name a folder with --root"),
            FileError::TooLarge => (DiagnosticCode::TooLarge, "declare less in one file"),
            FileError::TotalTooLarge => (DiagnosticCode::TooLarge, "load fewer files at once"),
        };
        let file = shown(path);
        DiagnosticBuilder::of_file(rule, file.as_str(), format!("{file}: {self}")).help(help)
    }
}

impl Files {
    /// The files that the user means, in the order given; those of a directory sorted by path. None twice.
    pub(super) fn find(
        &self,
        paths: &[PathBuf],
        kind: FileSelection,
        confinement: &AllowedRoot,
        found: &mut DiagnosticSink,
    ) -> Vec<FoundFile> {
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for path in paths {
            let expanded = confinement
                .for_path(path)
                .and_then(|root| expand(path, &root, kind, found));
            match expanded {
                Ok(expanded) => files.extend(
                    expanded
                        .into_iter()
                        .filter(|file| seen.insert(file.canonical.clone())),
                ),
                Err(refused) => found.push(refused.of_file(path)),
            }
        }
        files
    }

    /// Reads a regular file, within the bounds. It is named with every link followed, so that what was admitted is what is read.
    pub(super) fn read(&mut self, canonical: &Path) -> Result<Vec<u8>, FileError> {
        let metadata = fs::metadata(canonical)?;
        if metadata.is_dir() {
            return Err(FileError::Directory);
        }
        // Opening a FIFO waits for a writer, perhaps for ever.
        if !metadata.is_file() {
            return Err(FileError::NotRegularFile);
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(FileError::TooLarge);
        }
        // One byte more, so that a single read shows the end as well.
        let room = usize::try_from(metadata.len() + 1).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        // The size may have changed since, and some file systems don't tell it.
        File::open(canonical)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        let size = bytes.len() as u64;
        if size > MAX_FILE_BYTES {
            return Err(FileError::TooLarge);
        }
        self.total += size;
        if self.total > MAX_TOTAL_BYTES {
            return Err(FileError::TotalTooLarge);
        }
        Ok(bytes)
    }

    /// Follows a path in `extends` to the file itself. `path` is `written` beside the file `from`.
    pub(super) fn fragment(
        &self,
        path: &Path,
        from: &Path,
        written: &str,
        root: &Path,
    ) -> Result<PathBuf, FileError> {
        // Judged as it is written first, so that nobody learns what exists elsewhere.
        let folder = from
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
        within(&normalize_path(&folder.join(written)), root)?;
        let canonical = path.canonicalize()?;
        within(&canonical, root)?;
        if canonical.is_dir() {
            return Err(FileError::Directory);
        }
        admit(&canonical, root)?;
        Ok(canonical)
    }
}

/// A path with its `.` and `..` taken at their word.
fn normalize_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    plain
}

fn expand(
    path: &Path,
    root: &Arc<Path>,
    kind: FileSelection,
    found: &mut DiagnosticSink,
) -> Result<Vec<FoundFile>, FileError> {
    let canonical = path.canonicalize()?;
    within(&canonical, root)?;
    let metadata = fs::metadata(&canonical)?;
    if !metadata.is_dir() {
        if metadata.is_file() {
            admit(&canonical, root)?;
        }
        let (path, root) = (path.to_owned(), Arc::clone(root));
        return Ok(vec![FoundFile {
            path,
            canonical,
            root,
        }]);
    }
    let mut files = Vec::new();
    let mut entered = HashSet::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        let canonical = directory.canonicalize()?;
        // Links may lead back up: a directory that was entered before is not entered again.
        if !entered.insert(canonical.clone()) {
            continue;
        }
        let listed =
            within(&canonical, root).and_then(|()| list(&directory, &canonical, root, kind, found));
        match listed {
            Ok(listed) => {
                directories.extend(listed.directories);
                files.extend(listed.files);
            }
            Err(refused) => found.push(refused.of_file(&directory)),
        }
    }
    files.sort();
    if files.is_empty() {
        let directory = shown(path);
        found.push(
            DiagnosticBuilder::of_file(
                DiagnosticCode::NothingToLoad,
                directory.as_str(),
                format!("{directory}: no file in it declares an account"),
            )
            .help("files end in .yaml or .yml, and don't begin with `_` or `.`"),
        );
    }
    Ok(files)
}

/// What stands in one directory.
#[derive(Default)]
struct DirectoryListing {
    /// What is to be listed next.
    directories: Vec<PathBuf>,
    /// What is to be loaded.
    files: Vec<FoundFile>,
}

fn list(
    directory: &Path,
    canonical_directory: &Path,
    root: &Arc<Path>,
    kind: FileSelection,
    found: &mut DiagnosticSink,
) -> Result<DirectoryListing, FileError> {
    let mut listed = DirectoryListing::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Hidden directories belong to tools, and what begins with `_` is a fragment or holds nothing else.
        let name = entry.file_name();
        let begins_with = |mark| name.as_encoded_bytes().starts_with(mark);
        if begins_with(b".") || (kind == FileSelection::Accounts && begins_with(b"_")) {
            continue;
        }
        let path = entry.path();
        let file_type = entry.file_type()?;
        if file_type.is_symlink() {
            listed.follow(path, root, found);
        } else if file_type.is_dir() {
            listed.directories.push(path);
        } else if is_yaml(&path) {
            // Only a link could lead elsewhere, and asking the system for thousands of paths takes longer than reading the files.
            listed.files.push(FoundFile {
                path,
                canonical: canonical_directory.join(name),
                root: Arc::clone(root),
            });
        }
    }
    Ok(listed)
}

impl DirectoryListing {
    /// Adds what a link leads to.
    fn follow(&mut self, link: PathBuf, root: &Arc<Path>, found: &mut DiagnosticSink) {
        let is_wanted = is_yaml(&link);
        let canonical = match link.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if is_wanted => return found.push(FileError::from(error).of_file(&link)),
            Err(_) => return,
        };
        if canonical.is_dir() {
            self.directories.push(link);
        } else if is_wanted {
            match admit(&canonical, root) {
                Ok(()) => self.files.push(FoundFile {
                    path: link,
                    canonical,
                    root: Arc::clone(root),
                }),
                Err(refused) => found.push(refused.of_file(&link)),
            }
        }
    }
}

/// A path as messages name it.
pub(super) fn shown(path: &Path) -> String {
    visible(path.display().to_string())
}

/// Whether a file in a folder is meant to be loaded.
fn is_yaml(path: &Path) -> bool {
    has_ending(path, &["yaml", "yml"])
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.contains(&ending))
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
