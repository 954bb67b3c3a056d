//! Finds and opens desired-state files: only regular files of limited size inside the root directory.
//!
//! Authors of the files may have no access to the machine that loads them. A symlink or `extends` that leads outside the root would show
//! them lines of other files, and `fmt` would rewrite those files.

use std::collections::HashSet;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::code::DiagnosticCode as Code;
use super::diagnostic::Diagnostics;
use super::span::{SourceId, Span};
use crate::model::text::{EscapeInvisible, pluralize};

/// Maximum size of a file: twice the size needed for 100,000 integrations.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// Maximum total size of all files of a run.
const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// Path that means standard input.
pub(super) const STDIN_PATH: &str = "-";

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
            let canonical = root.canonicalize().ok().filter(|root| root.is_dir());
            let message = format!("{} is not a directory", shown(root));
            let error = FileError(Code::Confined, message, "pass a directory with --root");
            return canonical.map(Arc::from).ok_or(error);
        }
        let path = absolute(path)?;
        let mut at = PathBuf::new();
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            if component == Component::ParentDir {
                at.pop();
                continue;
            }
            let directory = at.clone();
            at.push(component);
            if !fs::symlink_metadata(&at)?.is_symlink() {
                continue;
            }
            // A symlink inside a repository is untrusted and must not lead out of the repository.
            let repository = self.repository(&directory);
            if repository.is_some() || components.peek().is_none() {
                return Ok(repository.unwrap_or(&directory).into());
            }
            at = at.canonicalize()?;
        }
        if !at.is_dir() {
            at.pop();
        }
        Ok(self.repository(&at).unwrap_or(&at).into())
    }

    /// Returns standard input as a file in the working directory.
    pub(super) fn input(&self) -> Result<FoundFile, FileError> {
        Ok(FoundFile {
            path: STDIN_PATH.into(),
            canonical: absolute(Path::new(STDIN_PATH))?,
            root: self.for_path(Path::new("."))?,
        })
    }

    /// Returns the path of a file relative to its Git repository, else to the root, as code hosts name it.
    pub fn repository_path(&self, file: &Path) -> String {
        let canonical = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let repository = self.repository(&canonical).map(Arc::from);
        let root = repository.or_else(|| self.for_path(file).ok());
        let relative = root.and_then(|root| Some(canonical.strip_prefix(&root).ok()?.to_owned()));
        let relative = relative.as_deref().unwrap_or(file);
        relative.display().to_string()
    }

    /// Returns the nearest parent directory with a `.git`. Home and root directories do not count, because they contain all files of a
    /// user.
    fn repository<'p>(&self, directory: &'p Path) -> Option<&'p Path> {
        let home = self.home.as_ref().and_then(|home| home.canonicalize().ok());
        directory.ancestors().find(|directory| {
            directory.parent().is_some()
                && home.as_deref() != Some(*directory)
                && fs::symlink_metadata(directory.join(".git")).is_ok()
        })
    }
}

/// Returns the absolute path, symlinks not resolved.
fn absolute(path: &Path) -> Result<PathBuf, FileError> {
    std::path::absolute(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let message = "the working directory no longer exists".to_owned();
            let help = "use an absolute path, or change to another directory";
            FileError(Code::Unreadable, message, help)
        }
        _ => error.into(),
    })
}

/// Rule, message and help for a file that is not read.
#[derive(Debug)]
pub(super) struct FileError(pub(super) Code, pub(super) String, pub(super) &'static str);

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        let (message, help) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
                "file not found".to_owned(),
                "check the path (default: riskform.yaml)",
            ),
            _ => (
                format!("cannot read: {error}"),
                "check the permissions of the file and its parent directories",
            ),
        };
        FileError(Code::Unreadable, message, help)
    }
}

impl FileError {
    /// Reports the error for a file given by the user or found in a directory.
    pub(super) fn report(&self, path: &Path, diagnostics: &mut Diagnostics) {
        let file = shown(path);
        let FileError(code, message, help) = self;
        diagnostics.report_file(&file, *code, &format!("{file}: {message}"), help);
    }
}

/// Returns the canonical path of a file inside the root that has the extension of a YAML or JSON file.
fn canonical_file(path: &Path, root: &Path) -> Result<PathBuf, FileError> {
    let canonical = path.canonicalize()?;
    check_inside(&canonical, root)?;
    let message = if canonical.is_dir() {
        "expected a file, found a directory"
    } else if canonical.is_file() && !has_extension(&canonical, &["yaml", "yml", "json"]) {
        "not a .yaml, .yml or .json file"
    } else {
        return Ok(canonical);
    };
    let help = "pass a .yaml, .yml or .json file (symlinks are resolved)";
    Err(FileError(Code::NotAFile, message.to_owned(), help))
}

/// Checks that a file or directory is inside the root, and not inside a `.git`.
fn check_inside(canonical: &Path, root: &Path) -> Result<(), FileError> {
    let is_git = |component: Component<'_>| component.as_os_str().eq_ignore_ascii_case(".git");
    let message = if !canonical.starts_with(root) {
        format!("is outside {}", shown(root))
    } else if canonical.components().any(is_git) {
        "is inside a .git directory".to_owned()
    } else {
        return Ok(());
    };
    let help = "move the file into that directory or pass a parent directory with --root (symlinks are resolved)";
    Err(FileError(Code::Confined, message, help))
}

/// Reads files of one run.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Number of bytes read so far.
    total: u64,
    /// Content of standard input.
    pub(super) stdin: Option<Vec<u8>>,
}

impl Files {
    /// Reads a regular file, up to the size limits. The path is canonical, so that the file that was checked is the file that is read.
    pub(super) fn read(&mut self, canonical: &Path) -> Result<Vec<u8>, FileError> {
        if canonical.ends_with(STDIN_PATH)
            && let Some(bytes) = self.stdin.take()
        {
            return Ok(bytes);
        }
        let metadata = fs::metadata(canonical)?;
        // Opening a FIFO blocks until there is a writer.
        if !metadata.is_file() {
            let message = "not a regular file or directory".to_owned();
            let help = "pass a YAML file or a directory";
            return Err(FileError(Code::NotAFile, message, help));
        }
        // The size may have changed, and some file systems do not report it.
        let mut bytes = Vec::new();
        File::open(canonical)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        self.total += bytes.len() as u64;
        let too_large = |what: &str, limit: u64, help| {
            let message = format!("{what} {} MiB", limit >> 20);
            Err(FileError(Code::TooLarge, message, help))
        };
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return too_large("larger than", MAX_FILE_BYTES, "split the file");
        }
        if self.total > MAX_TOTAL_BYTES {
            let help = "load fewer files in one run";
            return too_large("all files of the run have more than", MAX_TOTAL_BYTES, help);
        }
        Ok(bytes)
    }
}

/// Files to select in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSelection {
    /// Files that declare accounts.
    Accounts,
    /// All files, including fragments.
    Any,
}

/// Returns the files for `paths`, in the given order and without duplicates. Files of a directory are sorted by path.
pub(super) fn find(
    paths: &[PathBuf],
    kind: FileSelection,
    allowed: &AllowedRoot,
    diagnostics: &mut Diagnostics,
) -> Vec<FoundFile> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for path in paths {
        let found = match path == Path::new(STDIN_PATH) {
            true => allowed.input().map(|file| vec![file]),
            false => expand(path, allowed, kind, diagnostics),
        };
        match found {
            Ok(found) => files.extend(found),
            Err(error) => error.report(path, diagnostics),
        }
    }
    files.retain(|file| seen.insert(file.canonical.clone()));
    files
}

/// Returns the files of a path: itself, or the files of a directory and its subdirectories.
fn expand(
    path: &Path,
    allowed: &AllowedRoot,
    kind: FileSelection,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<FoundFile>, FileError> {
    let root = &allowed.for_path(path)?;
    let found = |path, canonical| FoundFile {
        path,
        canonical,
        root: Arc::clone(root),
    };
    if !path.is_dir() {
        return Ok(vec![found(path.to_owned(), canonical_file(path, root)?)]);
    }
    let (mut files, mut json_files) = (Vec::new(), 0);
    let mut directories = vec![path.to_owned()];
    let mut entered = HashSet::new();
    check_inside(&path.canonicalize()?, root)?;
    while let Some(directory) = directories.pop() {
        let entries = list(&directory, root, &mut entered).unwrap_or_else(|error| {
            error.report(&directory, diagnostics);
            Vec::new()
        });
        for (entry, canonical) in entries {
            let path = entry.path();
            // Hidden directories belong to tools. Files and directories that start with `_` contain fragments.
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden || kind == FileSelection::Accounts && is_fragment(&path) {
                continue;
            }
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory || is_link && path.is_dir() {
                directories.push(path);
            } else if has_extension(&path, &["json"]) {
                json_files += 1;
            } else if has_extension(&path, &["yaml", "yml"]) {
                // Only symlinks need `canonicalize`, which takes longer for thousands of paths than reading the files.
                let canonical = match is_link {
                    true => canonical_file(&path, root),
                    false => Ok(canonical),
                };
                match canonical {
                    Ok(canonical) => files.push(found(path, canonical)),
                    Err(error) => error.report(&path, diagnostics),
                }
            }
        }
    }
    files.sort();
    let directory = shown(path);
    if json_files > 0 && kind == FileSelection::Accounts {
        let count = pluralize(json_files, ".json file");
        let message = format!("{directory}: {count} skipped");
        let help = "JSON files are loaded only if they are named: pass their paths";
        diagnostics.report_file(&directory, Code::JsonSkipped, &message, help);
    }
    if files.is_empty() {
        let message = format!("{directory}: no desired-state files found");
        let help = "only *.yaml and *.yml files are loaded, except those starting with `_` or `.`";
        diagnostics.report_file(&directory, Code::NothingToLoad, &message, help);
    }
    Ok(files)
}

/// Returns the entries of a directory with their canonical paths, symlinks not resolved.
///
/// Symlinks may lead to a parent directory, so a directory that has been entered has no entries.
fn list(
    directory: &Path,
    root: &Path,
    entered: &mut HashSet<PathBuf>,
) -> Result<Vec<(DirEntry, PathBuf)>, FileError> {
    let canonical = directory.canonicalize()?;
    check_inside(&canonical, root)?;
    let entries = match entered.insert(canonical.clone()) {
        true => fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?,
        false => Vec::new(),
    };
    let entries = entries.into_iter().map(|entry| {
        let canonical = canonical.join(entry.file_name());
        (entry, canonical)
    });
    Ok(entries.collect())
}

/// Returns the canonical path of a base file. `path` is `written` relative to the file `from`.
pub(super) fn base(
    path: &Path,
    from: &Path,
    written: &str,
    root: &Path,
) -> Result<PathBuf, FileError> {
    // The path as written is checked first, so that errors do not reveal which files exist outside the root.
    let directory = from.parent().unwrap_or(Path::new(""));
    let directory = Path::new(".").join(directory).canonicalize()?;
    let mut plain = PathBuf::new();
    for component in directory.join(written).components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            component => plain.push(component),
        }
    }
    check_inside(&plain, root)?;
    canonical_file(path, root)
}

/// Formats a path for messages.
pub(super) fn shown(path: &Path) -> String {
    EscapeInvisible(&path.display().to_string()).to_string()
}

/// Returns true if a file only serves `extends` and declares no account.
pub(super) fn is_fragment(path: &Path) -> bool {
    let name = path.file_name();
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"_"))
}

pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is = |known: &&str| extension.is_some_and(|one| one.eq_ignore_ascii_case(known));
    extensions.iter().any(is)
}

/// Returns the path of a base file, as written in `extends` of `file`.
pub(super) fn base_path(file: &Path, written: &str) -> PathBuf {
    let path = file.with_file_name(written);
    let components = path.components();
    components
        .filter(|component| *component != Component::CurDir)
        .collect()
}

/// Registers the text of a file: UTF-8 without control characters and conflict markers. Reports an error and returns `None` if it cannot be
/// parsed.
pub(super) fn register(
    name: &str,
    bytes: Vec<u8>,
    diagnostics: &mut Diagnostics,
) -> Option<SourceId> {
    // The text before the first invalid byte is unchanged, so the offset is valid.
    let invalid = str::from_utf8(&bytes).map_err(|error| error.valid_up_to());
    let text = String::from_utf8_lossy(&bytes);
    let text = match invalid {
        Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
        Err(_) => &text,
    };
    let source = diagnostics.sources.add(name, text);
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    let control = text.char_indices().find(|(_, c)| is_control(*c));
    let mut conflicts = text.match_indices("<<<<<<< ").map(|(at, _)| at);
    let conflict = conflicts.find(|at| *at == 0 || text[..*at].ends_with('\n'));
    let (at, code, message, help) = match (invalid, control, conflict) {
        (Err(at), ..) => {
            let message = "the file is not UTF-8".to_owned();
            (at, Code::NotUtf8, message, "save the file as UTF-8")
        }
        (_, Some((at, control)), _) => {
            let code = u32::from(control);
            let message = format!("the file contains the control character U+{code:04X}");
            (at, Code::ControlCharacter, message, "remove the character")
        }
        (.., Some(at)) => {
            let message = "Git conflict markers: the file has an unresolved merge conflict";
            let help = "keep one version, and remove the lines that start with `<<<<<<<`, `=======` and `>>>>>>>`";
            (at, Code::Syntax, message.to_owned(), help)
        }
        _ => return Some(source),
    };
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let span = Span {
        source,
        start: number(at),
        end: number(at),
        line: number(before.matches('\n').count() + 1),
        column: number(before[line_start..].chars().count() + 1),
    };
    diagnostics.report(span, code, &message, help);
    None
}
