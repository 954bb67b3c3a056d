//! Finds and opens desired-state files: only regular files of limited size inside the root directory.
//!
//! Authors of the files may have no access to the machine that loads them. A symlink or `extends` that leads outside the root would show
//! them lines of other files, and `fmt` would rewrite those files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::code::DiagnosticCode as Code;
use super::diagnostic::{Diagnostics, Problem};
use super::shape::{DOCUMENT, LIMITS};
use super::span::{SourceId, Span};
use super::yaml;
use crate::model::text::{escape_invisible, pluralize};

/// Maximum size of a file: twice the size needed for 100,000 integrations.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// Maximum total size of the files of one run.
pub(super) const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// Path that means standard input.
pub(super) const STDIN_PATH: &str = "-";

/// The files of one run.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Number of bytes read so far.
    total: u64,
}

/// Directory that all files of a run must be in.
#[derive(Clone, Debug, Default)]
pub struct AllowedRoot {
    /// The root directory. If unset, it is determined for each PATH.
    pub root: Option<PathBuf>,
    /// Home directory. It is not used as a root, even if it has a `.git`.
    pub home: Option<PathBuf>,
}

/// A file found for a PATH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundFile {
    /// Path as given by the user.
    pub(super) path: PathBuf,
    /// Path with all symlinks resolved.
    pub(super) canonical: PathBuf,
    /// Root directory of the file and its base files.
    pub(super) root: Arc<Path>,
}

impl AllowedRoot {
    /// Returns the root directory for a PATH: its Git repository, or the directory of PATH.
    ///
    /// Does not run Git, because Git follows variables and files that another user may have written.
    fn for_path(&self, path: &Path) -> Result<Arc<Path>, FileError> {
        if let Some(root) = &self.root {
            return match root.canonicalize() {
                Ok(root) if root.is_dir() => Ok(root.into()),
                Ok(_) | Err(_) => Err(FileError::RootNotFound(root.clone())),
            };
        }
        // An absolute path needs no working directory, which may no longer exist.
        let mut at = match path.is_absolute() {
            true => PathBuf::new(),
            false => working_directory()?,
        };
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
                    // A symlink inside a repository is untrusted and must not lead out of the repository.
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

    /// Returns standard input as a file in the working directory.
    pub(super) fn input(&self) -> Result<FoundFile, FileError> {
        let folder = Path::new(".");
        Ok(FoundFile {
            path: STDIN_PATH.into(),
            canonical: working_directory()?.join(STDIN_PATH),
            root: self.for_path(folder)?,
        })
    }

    /// Returns the path of a file relative to its Git repository, else to the root, as code hosts name it.
    pub fn repository_path(&self, file: &Path) -> String {
        let canonical = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let checkout = self.checkout(&canonical).map(Path::to_owned);
        let root = checkout.or_else(|| Some(self.for_path(file).ok()?.to_path_buf()));
        let relative = root
            .as_ref()
            .and_then(|root| canonical.strip_prefix(root).ok());
        relative.unwrap_or(file).display().to_string()
    }

    /// Returns the nearest parent directory with a `.git`. Home and root directories do not count, because they contain all files of a
    /// user.
    fn checkout<'p>(&self, folder: &'p Path) -> Option<&'p Path> {
        let home = self.home.as_ref().and_then(|home| home.canonicalize().ok());
        folder.ancestors().find(|folder| {
            folder.parent().is_some()
                && home.as_deref() != Some(*folder)
                && fs::symlink_metadata(folder.join(".git")).is_ok()
        })
    }
}

fn working_directory() -> Result<PathBuf, FileError> {
    let directory = Path::new(".").canonicalize();
    directory.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::NoWorkingDirectory,
        _ => FileError::Io(error),
    })
}

/// Checks that a file is inside the root and has the extension of a YAML or JSON file.
fn admit(canonical: &Path, root: &Path) -> Result<(), FileError> {
    within(canonical, root)?;
    if has_ending(canonical, &["yaml", "yml", "json"]) {
        Ok(())
    } else {
        Err(FileError::WrongExtension)
    }
}

/// Checks that a file or directory is inside the root, and not inside a `.git`.
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

/// Files to select in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSelection {
    /// Files that declare accounts.
    Accounts,
    /// All files, including fragments.
    Any,
}

/// Reason why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("file not found")]
    Missing,
    #[error("expected a file, found a directory")]
    Directory,
    #[error("not a regular file or directory")]
    NotRegularFile,
    #[error("not a .yaml, .yml or .json file")]
    WrongExtension,
    #[error("is outside {}", shown(.0))]
    Outside(PathBuf),
    #[error("is inside a .git directory")]
    InsideGitDir,
    #[error("{} is not a directory", shown(.0))]
    RootNotFound(PathBuf),
    #[error("the working directory no longer exists")]
    NoWorkingDirectory,
    #[error("larger than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLarge,
    #[error("the files of this run have more than {} MiB in total", MAX_TOTAL_BYTES >> 20)]
    TotalTooLarge,
    #[error("cannot read: {0}")]
    Io(io::Error),
}

/// Help for files outside the root.
pub(super) const OUTSIDE_ROOT_HELP: &str = "move the file into that directory or pass a parent directory with --root (symlinks are resolved)";

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::Missing,
            _ => FileError::Io(error),
        }
    }
}

impl FileError {
    /// Returns the diagnostic for a file given by the user or found in a directory.
    pub(super) fn of_file(&self, path: &Path) -> Problem {
        let (rule, help) = match self {
            FileError::Missing => (Code::Unreadable, "check the path (default: riskform.yaml)"),
            FileError::Io(_) => (
                Code::Unreadable,
                "check the permissions of the file and its parent directories",
            ),
            FileError::Directory | FileError::NotRegularFile => {
                (Code::NotAFile, "pass a YAML file or a directory")
            }
            FileError::WrongExtension => (
                Code::NotAFile,
                "pass a .yaml, .yml or .json file (symlinks are resolved)",
            ),
            FileError::Outside(_) | FileError::InsideGitDir => (Code::Confined, OUTSIDE_ROOT_HELP),
            FileError::NoWorkingDirectory => (
                Code::Unreadable,
                "use an absolute path, or change to another directory",
            ),
            FileError::RootNotFound(_) => (Code::Confined, "pass a directory with --root"),
            FileError::TooLarge => (Code::TooLarge, "split the file"),
            FileError::TotalTooLarge => (Code::TooLarge, "load fewer files in one run"),
        };
        let file = shown(path);
        Problem::at(file.as_str(), rule, format!("{file}: {self}"), help)
    }
}

impl Files {
    /// Returns the files for `paths`, in the given order and without duplicates. Files of a directory are sorted by path.
    pub(super) fn find(
        &self,
        paths: &[PathBuf],
        kind: FileSelection,
        confinement: &AllowedRoot,
        diagnostics: &mut Diagnostics,
    ) -> Vec<FoundFile> {
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for path in paths {
            let expanded = confinement
                .for_path(path)
                .and_then(|root| expand(path, &root, kind, diagnostics));
            match expanded {
                Ok(expanded) => files.extend(
                    expanded
                        .into_iter()
                        .filter(|file| seen.insert(file.canonical.clone())),
                ),
                Err(refused) => diagnostics.push(refused.of_file(path)),
            }
        }
        files
    }

    /// Reads a regular file, up to the size limits. The path is canonical, so that the file that was checked is the file that is read.
    pub(super) fn read(&mut self, canonical: &Path) -> Result<Vec<u8>, FileError> {
        let metadata = fs::metadata(canonical)?;
        if metadata.is_dir() {
            return Err(FileError::Directory);
        }
        // Opening a FIFO blocks until there is a writer.
        if !metadata.is_file() {
            return Err(FileError::NotRegularFile);
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(FileError::TooLarge);
        }
        // One more byte, so that a single read detects the end of the file.
        let room = usize::try_from(metadata.len() + 1).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        // The size may have changed, and some file systems do not report it.
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

    /// Returns the canonical path of a base file. `path` is `written` relative to the file `from`.
    pub(super) fn fragment(
        &self,
        path: &Path,
        from: &Path,
        written: &str,
        root: &Path,
    ) -> Result<PathBuf, FileError> {
        // The path as written is checked first, so that errors do not reveal which files exist outside the root.
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

/// Removes `.` and `..` from a path without reading the file system.
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
    diagnostics: &mut Diagnostics,
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
    let (mut files, mut json_files) = (Vec::new(), 0);
    let mut entered = HashSet::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        let canonical = directory.canonicalize()?;
        // Symlinks may lead to a parent directory, so every directory is visited only once.
        if !entered.insert(canonical.clone()) {
            continue;
        }
        let listed = within(&canonical, root)
            .and_then(|()| list(&directory, &canonical, root, kind, diagnostics));
        match listed {
            Ok(listed) => {
                directories.extend(listed.directories);
                files.extend(listed.files);
                json_files += listed.json_files;
            }
            Err(refused) => diagnostics.push(refused.of_file(&directory)),
        }
    }
    files.sort();
    let directory = shown(path);
    if json_files > 0 && kind == FileSelection::Accounts {
        let count = pluralize(json_files, ".json file");
        let message = format!("{directory}: {count} skipped");
        let help = "JSON files are loaded only if they are named: pass their paths";
        diagnostics.report(directory.as_str(), Code::JsonSkipped, message, help);
    }
    if files.is_empty() {
        let message = format!("{directory}: no desired-state files found");
        let help = "only *.yaml and *.yml files are loaded, except those starting with `_` or `.`";
        diagnostics.report(directory.as_str(), Code::NothingToLoad, message, help);
    }
    Ok(files)
}

/// Content of a directory.
#[derive(Default)]
struct DirectoryListing {
    /// Directories to list next.
    directories: Vec<PathBuf>,
    /// Files to load.
    files: Vec<FoundFile>,
    json_files: usize,
}

fn list(
    directory: &Path,
    canonical_directory: &Path,
    root: &Arc<Path>,
    kind: FileSelection,
    diagnostics: &mut Diagnostics,
) -> Result<DirectoryListing, FileError> {
    let mut listed = DirectoryListing::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Hidden directories belong to tools. Files and directories that start with `_` contain fragments.
        let name = entry.file_name();
        let begins_with = |mark| name.as_encoded_bytes().starts_with(mark);
        if begins_with(b".") || (kind == FileSelection::Accounts && begins_with(b"_")) {
            continue;
        }
        let path = entry.path();
        let file_type = entry.file_type()?;
        if file_type.is_symlink() {
            listed.follow(path, root, diagnostics);
        } else if file_type.is_dir() {
            listed.directories.push(path);
        } else if has_ending(&path, &["json"]) {
            listed.json_files += 1;
        } else if is_yaml(&path) {
            // Only symlinks need `canonicalize`, which takes longer for thousands of paths than reading the files.
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
    /// Adds the target of a symlink.
    fn follow(&mut self, link: PathBuf, root: &Arc<Path>, diagnostics: &mut Diagnostics) {
        let is_wanted = is_yaml(&link);
        let canonical = match link.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if is_wanted => {
                return diagnostics.push(FileError::from(error).of_file(&link));
            }
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
                Err(refused) => diagnostics.push(refused.of_file(&link)),
            }
        }
    }
}

/// Formats a path for messages.
pub(super) fn shown(path: &Path) -> String {
    escape_invisible(path.display().to_string())
}

/// Returns true if a file only serves `extends` and declares no account.
pub(super) fn is_fragment(path: &Path) -> bool {
    let name = path.file_name();
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"_"))
}

/// Returns true if a file in a directory is loaded.
fn is_yaml(path: &Path) -> bool {
    has_ending(path, &["yaml", "yml"])
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        endings
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
    })
}

/// Returns the path of a base file, as written in `extends` of `file`.
pub(super) fn beside(file: &Path, written: &str) -> PathBuf {
    let directory = file.parent().unwrap_or(Path::new(""));
    directory
        .join(written)
        .components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// Registers the text of a file: UTF-8 without control characters. Reports an error and returns `None` if it cannot be parsed.
pub(super) fn register(
    name: &str,
    bytes: Vec<u8>,
    diagnostics: &mut Diagnostics,
) -> Option<SourceId> {
    let (text, invalid_at) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            // The text before the first invalid byte is unchanged, so the offset is valid.
            let at = error.utf8_error().valid_up_to();
            (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                Some(at),
            )
        }
    };
    let text = match invalid_at {
        Some(_) => text.as_str(),
        None => text.strip_prefix('\u{FEFF}').unwrap_or(&text),
    };
    let is_unrelated = is_unrelated(text);
    let source = diagnostics.sources.add(name.into(), text, is_unrelated);
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some(at) = invalid_at {
        let (span, _) = character_at(source, text, at);
        let (message, help) = ("the file is not UTF-8", "save the file as UTF-8");
        diagnostics.report(span, Code::NotUtf8, message, help);
    } else if let Some(at) = text.find(is_control) {
        let (span, code) = character_at(source, text, at);
        let message = format!("the file contains the control character U+{code:04X}");
        let help = "remove the character";
        diagnostics.report(span, Code::ControlCharacter, message, help);
    } else if is_unrelated {
        let message = "not a desired-state file (unknown first key); its content is not shown";
        let help = "pass a desired-state file, or start the file with `version: 1`";
        diagnostics.report(name, Code::ForeignFile, message, help);
    } else if let Some(at) = conflict_markers(text).next() {
        let (span, _) = character_at(source, text, at);
        let end = span.start + 7;
        let message = "Git conflict markers: the file has an unresolved merge conflict";
        let help = "keep one version, and remove the lines that start with `<<<<<<<`, `=======` and `>>>>>>>`";
        diagnostics.report(span.until(end), Code::Syntax, message, help);
    } else {
        return Some(source);
    }
    None
}

/// Returns true if the first key of a text is unknown, or if it has values but no key. Such a file is never quoted.
fn is_unrelated(text: &str) -> bool {
    let first_key = match conflict_markers(text).next() {
        None => yaml::first_key(text),
        Some(_) => {
            let is_marker = |line: &&str| !CONFLICT_MARKERS.iter().any(|one| line.starts_with(one));
            let lines: Vec<&str> = text.lines().filter(is_marker).collect();
            yaml::first_key(&lines.join("\n"))
        }
    };
    first_key.is_some_and(|key| DOCUMENT.key(&key).or(LIMITS.key(&key)).is_none())
}

const CONFLICT_MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// Returns the offsets of the lines that start a version of a merge conflict.
fn conflict_markers(text: &str) -> impl Iterator<Item = usize> {
    let starts = text.match_indices("<<<<<<< ").map(|(at, _)| at);
    starts.filter(|at| *at == 0 || text[..*at].ends_with('\n'))
}

/// Returns the span and the code of a character.
fn character_at(source: SourceId, text: &str, at: usize) -> (Span, u32) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let character = text[at..].chars().next();
    let span = Span {
        source,
        start: number(at),
        end: number(at + character.map_or(0, char::len_utf8)),
        line: number(before.matches('\n').count() + 1),
        column: number(before[line_start..].chars().count() + 1),
    };
    (span, character.map_or(0, u32::from))
}

#[cfg(test)]
mod tests {
    use super::is_unrelated;

    #[test]
    fn file_is_recognized_by_its_first_key() {
        for text in [
            "version: 1\n",
            "# note\n\n--- # so\nname: x\n",
            "%YAML 1.2\n---\n'behaviors': {}\n",
            "{\n  \"version\": 1\n}\n",
            "{ \"$schema\": \"x\" }",
            "{extends: [a]}",
            "? version\n: 1\n",
            "&a version: &b 1\n",
            "--- &a\nversion: 1\n",
            "<<<<<<< HEAD\nversion: 1\n=======\nversion: 2\n>>>>>>> b\n",
            "",
            "# nothing\n---\n...\n",
        ] {
            assert!(!is_unrelated(text), "{text}");
        }
        for text in [
            "[core]\n\turl = https://me:secret@example.com\n",
            "apiVersion: v1\nversion: 1\n",
            "-----BEGIN PRIVATE KEY-----\n",
            "root:x:0:0\n",
            "- version: 1\n",
            "? [version]\n: 1\n",
            "{}",
            "versions: 1\n",
            "<<<<<<< HEAD\npassword: 1\n",
        ] {
            assert!(is_unrelated(text), "{text}");
        }
    }
}
