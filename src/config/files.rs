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
            let error = FileError::new(Code::Confined, message, "pass a directory with --root");
            return canonical.map(Arc::from).ok_or(error);
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
                    let directory = at.clone();
                    at.push(name);
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
            }
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
            canonical: working_directory()?.join(STDIN_PATH),
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

fn working_directory() -> Result<PathBuf, FileError> {
    let directory = Path::new(".").canonicalize();
    directory.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::new(
            Code::Unreadable,
            "the working directory no longer exists",
            "use an absolute path, or change to another directory",
        ),
        _ => error.into(),
    })
}

/// Reason why a file is not read.
#[derive(Debug)]
pub(super) struct FileError {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: &'static str,
}

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
        FileError::new(Code::Unreadable, message, help)
    }
}

impl FileError {
    fn new(code: Code, message: impl Into<String>, help: &'static str) -> Self {
        let message = message.into();
        FileError {
            code,
            message,
            help,
        }
    }

    /// Reports the error for a file given by the user or found in a directory.
    pub(super) fn report(&self, path: &Path, diagnostics: &mut Diagnostics) {
        let file = shown(path);
        let message = format!("{file}: {}", self.message);
        diagnostics.report_file(&file, self.code, message, self.help);
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
    Err(FileError::new(Code::NotAFile, message, help))
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
    Err(FileError::new(Code::Confined, message, help))
}

/// Reads files of one run.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Number of bytes read so far.
    total: u64,
}

impl Files {
    /// Reads a regular file, up to the size limits. The path is canonical, so that the file that was checked is the file that is read.
    pub(super) fn read(&mut self, canonical: &Path) -> Result<Vec<u8>, FileError> {
        let metadata = fs::metadata(canonical)?;
        // Opening a FIFO blocks until there is a writer.
        if !metadata.is_file() {
            let message = "not a regular file or directory";
            let help = "pass a YAML file or a directory";
            return Err(FileError::new(Code::NotAFile, message, help));
        }
        // The size may have changed, and some file systems do not report it.
        let mut bytes = Vec::new();
        File::open(canonical)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        let size = bytes.len() as u64;
        self.total += size;
        for (size, limit, excess, help) in [
            (size, MAX_FILE_BYTES, "larger than", "split the file"),
            (
                self.total,
                MAX_TOTAL_BYTES,
                "all files of the run have more than",
                "load fewer files in one run",
            ),
        ] {
            if size > limit {
                let message = format!("{excess} {} MiB", limit >> 20);
                return Err(FileError::new(Code::TooLarge, message, help));
            }
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
        let root = allowed.for_path(path);
        match root.and_then(|root| expand(path, &root, kind, diagnostics)) {
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
    root: &Arc<Path>,
    kind: FileSelection,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<FoundFile>, FileError> {
    if !path.is_dir() {
        let canonical = canonical_file(path, root)?;
        let (path, root) = (path.to_owned(), Arc::clone(root));
        return Ok(vec![FoundFile {
            path,
            canonical,
            root,
        }]);
    }
    check_inside(&path.canonicalize()?, root)?;
    let mut listing = Listing {
        root,
        kind,
        directories: vec![path.to_owned()],
        entered: HashSet::new(),
        files: Vec::new(),
        json_files: 0,
    };
    while let Some(directory) = listing.directories.pop() {
        if let Err(error) = listing.list(&directory, diagnostics) {
            error.report(&directory, diagnostics);
        }
    }
    listing.files.sort();
    let directory = shown(path);
    if listing.json_files > 0 && kind == FileSelection::Accounts {
        let count = pluralize(listing.json_files, ".json file");
        let message = format!("{directory}: {count} skipped");
        let help = "JSON files are loaded only if they are named: pass their paths";
        diagnostics.report_file(&directory, Code::JsonSkipped, message, help);
    }
    if listing.files.is_empty() {
        let message = format!("{directory}: no desired-state files found");
        let help = "only *.yaml and *.yml files are loaded, except those starting with `_` or `.`";
        diagnostics.report_file(&directory, Code::NothingToLoad, message, help);
    }
    Ok(listing.files)
}

/// Files of a directory.
struct Listing<'a> {
    root: &'a Arc<Path>,
    kind: FileSelection,
    /// Directories to list.
    directories: Vec<PathBuf>,
    /// Listed directories. Symlinks may lead to a parent directory, so every directory is listed only once.
    entered: HashSet<PathBuf>,
    files: Vec<FoundFile>,
    json_files: usize,
}

impl Listing<'_> {
    fn list(&mut self, directory: &Path, diagnostics: &mut Diagnostics) -> Result<(), FileError> {
        let canonical_directory = directory.canonicalize()?;
        check_inside(&canonical_directory, self.root)?;
        if !self.entered.insert(canonical_directory.clone()) {
            return Ok(());
        }
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // Hidden directories belong to tools. Files and directories that start with `_` contain fragments.
            let name = entry.file_name();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            let path = entry.path();
            if is_hidden || self.kind == FileSelection::Accounts && is_fragment(&path) {
                continue;
            }
            let file_type = entry.file_type()?;
            let is_link = file_type.is_symlink();
            if file_type.is_dir() || is_link && path.is_dir() {
                self.directories.push(path);
            } else if has_extension(&path, &["json"]) {
                self.json_files += 1;
            } else if has_extension(&path, &["yaml", "yml"]) {
                // Only symlinks need `canonicalize`, which takes longer for thousands of paths than reading the files.
                let canonical = match is_link {
                    true => canonical_file(&path, self.root),
                    false => Ok(canonical_directory.join(name)),
                };
                let root = Arc::clone(self.root);
                match canonical {
                    Ok(canonical) => self.files.push(FoundFile {
                        path,
                        canonical,
                        root,
                    }),
                    Err(error) => error.report(&path, diagnostics),
                }
            }
        }
        Ok(())
    }
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
pub(super) fn beside(file: &Path, written: &str) -> PathBuf {
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
    let (text, invalid_at) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (
            String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Some(error.utf8_error().valid_up_to()),
        ),
    };
    let text = match invalid_at {
        Some(_) => text.as_str(),
        None => text.strip_prefix('\u{FEFF}').unwrap_or(&text),
    };
    let source = diagnostics.sources.add(name, text);
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    let mut lines = text.match_indices("<<<<<<< ").map(|(at, _)| at);
    let (at, code, message, help) = if let Some(at) = invalid_at {
        (
            at,
            Code::NotUtf8,
            "the file is not UTF-8".to_owned(),
            "save the file as UTF-8",
        )
    } else if let Some((at, control)) = text.char_indices().find(|(_, c)| is_control(*c)) {
        let code = u32::from(control);
        let message = format!("the file contains the control character U+{code:04X}");
        (at, Code::ControlCharacter, message, "remove the character")
    } else if let Some(at) = lines.find(|at| *at == 0 || text[..*at].ends_with('\n')) {
        let message = "Git conflict markers: the file has an unresolved merge conflict".to_owned();
        let help = "keep one version, and remove the lines that start with `<<<<<<<`, `=======` and `>>>>>>>`";
        (at, Code::Syntax, message, help)
    } else {
        return Some(source);
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
    diagnostics.report(span, code, message, help);
    None
}
