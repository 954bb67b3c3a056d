//! Reading files completely, and writing them.
//!
//! | path | action |
//! | --- | --- |
//! | `/dev/stdout`, `/dev/stderr`, `/dev/fd/N` | written to the open stream |
//! | a device or a pipe, also through a symbolic link | opened and written to |
//! | any other symbolic link | error, because its target may be chosen by another user |
//! | a file, or nothing | written to a temporary file and renamed, so readers see the old or the new content |
//!
//! An [`OutputFile`] is opened before the first request, so that an error is found before a write. [`RunFiles`] finds files that are
//! two at once.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::cli::error::CommandError;
use crate::config::files::MAX_FILE_BYTES;

/// Reads input completely. `name` starts the message of an error.
fn read(input: impl Read, max: u64, name: impl fmt::Display) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    match input.take(max + 1).read_to_end(&mut bytes) {
        Err(error) => Err(CommandError::other(name)(error)),
        Ok(_) if bytes.len() as u64 > max => Err(CommandError::error(format_args!(
            "{name}: larger than {} MiB",
            max >> 20
        ))),
        Ok(_) => Ok(bytes),
    }
}

/// Reads a file of at most `max` bytes completely. `name` starts the message of an error.
pub(crate) fn read_file(
    path: &Path,
    max: u64,
    name: impl fmt::Display,
) -> Result<Vec<u8>, CommandError> {
    let file = File::open(path).map_err(CommandError::other(&name))?;
    read(file, max, name)
}

/// Reads standard input completely, up to [`MAX_FILE_BYTES`].
pub(crate) fn read_stdin(name: impl fmt::Display) -> Result<Vec<u8>, CommandError> {
    read(io::stdin().lock(), MAX_FILE_BYTES, name)
}

/// Reads standard input if the path is `-`, for `fmt -` and `validate -` in editors and hooks.
pub(crate) fn read_stdin_if_requested(paths: &[PathBuf]) -> Result<Option<Vec<u8>>, CommandError> {
    match paths {
        [path] if path == Path::new("-") => read_stdin("cannot read standard input").map(Some),
        paths if paths.iter().any(|path| path == Path::new("-")) => Err(CommandError::usage(
            "`-` (standard input) cannot be combined with files",
            "pass only `-`, or only files",
        )),
        _ => Ok(None),
    }
}

/// Files that a run reads and writes.
#[derive(Debug, Default)]
pub(crate) struct RunFiles {
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
}

impl RunFiles {
    /// Adds a file. It must not be an output in addition to anything else.
    pub(super) fn add(&mut self, path: &Path, is_output: bool) -> Result<(), CommandError> {
        let id = identity(path);
        let inputs = self.inputs.iter().filter(|_| is_output);
        let mut others = self.outputs.iter().chain(inputs);
        if let Some(other) = others.find(|other| id.is_some() && identity(other) == id) {
            let (other, path) = (other.display(), path.display());
            let message = format_args!("two files of this run are one file: {other} and {path}");
            return Err(CommandError::error(message).with_help("write to another file"));
        }
        let files = match is_output {
            true => &mut self.outputs,
            false => &mut self.inputs,
        };
        files.push(path.to_owned());
        Ok(())
    }
}

/// Returns the device and inode of a file, or the path of a new one with links resolved. Devices and pipes have no identity.
fn identity(path: &Path) -> Option<Result<(u64, u64), PathBuf>> {
    match fs::metadata(path) {
        Ok(found) => found.is_file().then(|| Ok((found.dev(), found.ino()))),
        Err(_) => {
            let directory = parent(path).canonicalize().ok()?;
            Some(Err(directory.join(path.file_name()?)))
        }
    }
}

/// Treatment of an existing file, and permissions of a written one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileMode {
    /// Replaces a file and keeps its permissions. The umask applies to a new one.
    Replace,
    /// Replaces a file. Only the owner can read the new one.
    ReplacePrivate,
    /// The file must not exist when it is opened and when it is complete. The umask applies.
    New,
    /// The same, and only the owner can read the file.
    NewPrivate,
}

impl FileMode {
    fn is_new(self) -> bool {
        matches!(self, FileMode::New | FileMode::NewPrivate)
    }
}

/// Temporary files of the process, including deleted ones. Signals concern the whole process, so this is global.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the temporary files before the process exits without dropping its values.
pub(crate) fn remove_temporary_files() {
    for path in &*TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner) {
        // The process is about to exit.
        let _ = fs::remove_file(path);
    }
}

/// A file that takes its name when it is complete. If it is dropped before, it is deleted.
#[derive(Debug)]
pub(crate) struct OutputFile {
    pub(crate) path: PathBuf,
    mode: FileMode,
    /// A temporary file in the same directory, or a terminal, pipe or device.
    content: Result<NamedTempFile, File>,
}

impl OutputFile {
    /// Opens a file to write later.
    pub(crate) fn create(path: &Path, mode: FileMode) -> Result<Self, CommandError> {
        let open = || {
            Ok(match open_stream(path)? {
                Some(stream) => Err(stream),
                None if mode.is_new() && path.symlink_metadata().is_ok() => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                None => Ok(temporary(path, mode)?),
            })
        };
        Ok(OutputFile {
            content: open().map_err(write_error(path))?,
            path: path.to_owned(),
            mode,
        })
    }

    /// Returns true for a terminal, pipe or device, such as the log of a CI job.
    pub(crate) fn is_stream(&self) -> bool {
        self.content.is_err()
    }

    /// Writes the content and gives the file its name.
    pub(crate) fn finish(self, content: impl AsRef<[u8]>) -> Result<(), CommandError> {
        let (path, mode) = (&self.path, self.mode);
        let finish = || match self.content {
            Err(stream) => match write_all(stream, content.as_ref()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
            Ok(mut file) => {
                file.write_all(content.as_ref())?;
                file.as_file().sync_all()?;
                let named = match mode.is_new() {
                    true => file.persist_noclobber(path),
                    false => file.persist(path),
                };
                named.map(drop).map_err(|error| error.error)
            }
        };
        finish().map_err(write_error(path))
    }
}

/// Writes a file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), CommandError> {
    OutputFile::create(path, FileMode::Replace)?.finish(content)
}

/// Target of appended lines.
#[derive(Debug)]
pub(crate) struct AppendTarget {
    file: File,
    /// True if the output is a terminal, pipe or device. A file is synced after each line.
    is_stream: bool,
    /// True if the last line has no line break.
    is_partial: bool,
}

impl AppendTarget {
    /// Opens or creates a file for appending, readable only by its owner.
    ///
    /// # Errors
    ///
    /// Also returned for a symbolic link and for a file of another user.
    pub(crate) fn open(path: &Path) -> Result<Self, CommandError> {
        let open = || {
            let stream = open_stream(path)?;
            let is_stream = stream.is_some();
            let mut file = match stream {
                Some(stream) => stream,
                None => open_owned(path, OpenOptions::new().append(true))?,
            };
            Ok(AppendTarget {
                is_partial: !is_stream && ends_in_partial_line(&mut file)?,
                file,
                is_stream,
            })
        };
        open().map_err(write_error(path))
    }

    /// Writes a line in one call, so that lines of concurrent runs do not mix. Ends a partial line first.
    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        if self.is_stream {
            return write_all(&self.file, line.as_bytes());
        }
        let end = if self.is_partial { "\n" } else { "" };
        // True until the line is complete.
        self.is_partial = true;
        self.file.write_all(format!("{end}{line}").as_bytes())?;
        self.is_partial = false;
        self.file.sync_data()
    }
}

fn ends_in_partial_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Writes all bytes, and waits if a non-blocking pipe is full.
pub(super) fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Opens a path that is a terminal, pipe or device, without truncating it. Returns `None` for a file, or if nothing exists.
fn open_stream(path: &Path) -> io::Result<Option<File>> {
    let open = || OpenOptions::new().append(true).open(path).map(Some);
    match path.to_str().unwrap_or_default() {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => {
            return Ok(Some(io::stdout().as_fd().try_clone_to_owned()?.into()));
        }
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => {
            return Ok(Some(io::stderr().as_fd().try_clone_to_owned()?.into()));
        }
        path if path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/") => {
            return open();
        }
        _ => {}
    }
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    // `None` for a dangling link.
    let target = fs::metadata(path).ok().map(|target| target.file_type());
    match target {
        Some(kind) if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() => open(),
        _ if found.is_symlink() => Err(io::Error::other(
            "it is a symbolic link; pass the target file",
        )),
        Some(kind) if kind.is_file() => Ok(None),
        Some(kind) if kind.is_dir() => Err(io::Error::other("it is a directory")),
        _ => Err(io::Error::other("it is not a file")),
    }
}

/// Opens or creates a private file owned by the user, without following symbolic links or waiting for a pipe.
pub(super) fn open_owned(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let options = options.read(true).create(true).mode(0o600);
    let options = options.custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        Err(io::Error::other("it is not a file"))
    } else if found.uid() == rustix::process::geteuid().as_raw() {
        Ok(file)
    } else {
        Err(io::Error::other("it is owned by another user"))
    }
}

/// Returns the directory of a path.
fn parent(path: &Path) -> &Path {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    directory.unwrap_or(Path::new("."))
}

fn temporary(path: &Path, mode: FileMode) -> io::Result<NamedTempFile> {
    let directory = parent(path);
    if !directory.is_dir() {
        let message = format!("directory {} does not exist", directory.display());
        return Err(io::Error::other(message));
    }
    let new = match mode {
        FileMode::Replace | FileMode::New => 0o666,
        FileMode::ReplacePrivate | FileMode::NewPrivate => 0o600,
    };
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(new))
        .tempfile_in(directory)
        // Without the temporary name.
        .map_err(|error| io::Error::from(error.kind()))?;
    let mut all = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(file.path().to_owned());
    if mode == FileMode::Replace
        && let Ok(existing) = fs::metadata(path)
    {
        file.as_file().set_permissions(existing.permissions())?;
    }
    Ok(file)
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    move |error| {
        let cannot_write = format!("cannot write {}", path.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                CommandError::error(format_args!("{cannot_write}: it already exists"))
            }
            _ => CommandError::other(cannot_write)(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use super::*;

    /// Creates a pipe (`p`) or a device (`c 1 3` is /dev/null). Devices need root.
    fn node(path: &Path, kind: &[&str]) -> bool {
        let made = Command::new("mknod").arg(path).args(kind).output();
        made.unwrap().status.success()
    }

    fn put(path: &Path, content: &str, mode: FileMode) -> Result<(), CommandError> {
        OutputFile::create(path, mode)?.finish(content)
    }

    fn said(result: Result<(), CommandError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "written".to_owned())
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_with_the_mode_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(said(put(&path, "one", FileMode::ReplacePrivate)), "written");
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut old = File::open(&path).unwrap();
        assert_eq!(said(put(&path, "two", FileMode::Replace)), "written");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode()),
            ("two", 0o640)
        );
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        assert_eq!(
            said(put(&path, "three", FileMode::ReplacePrivate)),
            "written"
        );
        assert_eq!(mode(), 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_refused_and_what_it_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        let expected = format!(
            "cannot write {}: it is a symbolic link; pass the target file",
            link.display()
        );
        assert_eq!(said(write(&link, "x")), expected);
        assert_eq!(said(AppendTarget::open(&link).map(drop)), expected);
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        fs::remove_file(&target).unwrap();
        assert_eq!(said(write(&link, "x")), expected);
        assert_eq!(said(AppendTarget::open(&link).map(drop)), expected);
        assert!(!target.exists());
    }

    #[test]
    fn a_pipe_gets_what_is_written_and_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, link) = (directory.path().join("pipe"), directory.path().join("link"));
        assert!(node(&pipe, &["p"]));
        symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link] {
            let reader = {
                let pipe = pipe.clone();
                thread::spawn(move || fs::read_to_string(pipe).unwrap())
            };
            assert_eq!(said(write(path, "through")), "written");
            assert_eq!(reader.join().unwrap(), "through");
            assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        }
    }

    #[test]
    fn a_device_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (device, link) = (directory.path().join("null"), directory.path().join("link"));
        // Without root, link to the real device.
        let device = if node(&device, &["c", "1", "3"]) {
            device
        } else {
            "/dev/null".into()
        };
        symlink(&device, &link).unwrap();
        for path in [&device, &link] {
            assert_eq!(said(write(path, "x")), "written");
            AppendTarget::open(path).unwrap().write("x\n").unwrap();
            assert!(fs::metadata(&device).unwrap().file_type().is_char_device());
        }
        assert!(link.is_symlink());
        assert!(said(write(Path::new("/dev/full"), "x")).contains("No space left"));
    }

    #[test]
    fn an_open_file_is_written_to_where_its_number_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("open");
        fs::write(&path, "before\n").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        for name in [
            format!("/dev/fd/{number}"),
            format!("/proc/self/fd/{number}"),
        ] {
            assert_eq!(said(write(Path::new(&name), "after\n")), "written");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\nafter\n");
    }

    #[test]
    fn write_error_names_the_target_not_the_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let table = [
            (
                missing.join("file"),
                format!("directory {} does not exist", missing.display()),
            ),
            (directory.path().to_owned(), "it is a directory".to_owned()),
            ("/proc/riskform".into(), "entity not found".to_owned()),
        ];
        for (path, why) in table {
            let expected = format!("cannot write {}: {why}", path.display());
            assert_eq!(said(write(&path, "x")), expected);
        }
    }

    #[test]
    fn lines_go_to_a_file_of_ones_own_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for line in ["one\n", "two\n"] {
            AppendTarget::open(&path).unwrap().write(line).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Only root can change the owner.
        if std::os::unix::fs::chown(&path, Some(65532), None).is_ok() {
            let expected = format!(
                "cannot write {}: it is owned by another user",
                path.display()
            );
            assert_eq!(said(AppendTarget::open(&path).map(drop)), expected);
        }
    }

    #[test]
    fn partial_line_is_ended_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for (before, after) in [
            ("", "one\ntwo\n"),
            ("cut", "cut\none\ntwo\n"),
            ("whole\n", "whole\none\ntwo\n"),
        ] {
            fs::write(&path, before).unwrap();
            let mut log = AppendTarget::open(&path).unwrap();
            for line in ["one\n", "two\n"] {
                log.write(line).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn unfinished_output_is_removed_and_new_output_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("back.yaml");
        drop(OutputFile::create(&path, FileMode::NewPrivate).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let late = OutputFile::create(&path, FileMode::NewPrivate).unwrap();
        let first = OutputFile::create(&path, FileMode::NewPrivate).unwrap();
        assert_eq!(said(first.finish("first")), "written");
        let exists = format!("cannot write {}: it already exists", path.display());
        assert_eq!(said(late.finish("late")), exists);
        let again = OutputFile::create(&path, FileMode::NewPrivate);
        assert_eq!(said(again.map(drop)), exists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_file_is_not_two_files_of_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        for name in ["input", "output"] {
            fs::write(at(name), "").unwrap();
        }
        symlink(at("input"), at("link")).unwrap();
        fs::hard_link(at("output"), at("hard")).unwrap();
        let mut files = RunFiles::default();
        for name in ["input", "link", "./input"] {
            files.add(&at(name), false).unwrap();
        }
        for name in ["output", "new", "sub/new"] {
            files.add(&at(name), true).unwrap();
        }
        for name in ["link", "sub/../input", "hard", "sub/../new", "./sub/new"] {
            let error = files.add(&at(name), true).unwrap_err().to_string();
            assert!(error.contains("of this run are one file: "), "{error}");
        }
        assert!(files.add(&at("hard"), false).is_err());
        for _ in 0..2 {
            files.add(Path::new("/dev/null"), true).unwrap();
        }
    }

    #[test]
    fn reading_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = read_file(&path, MAX_FILE_BYTES, "cannot read sparse").unwrap_err();
        assert_eq!(error.to_string(), "cannot read sparse: larger than 32 MiB");
        file.set_len(3).unwrap();
        assert_eq!(read_file(&path, 3, "").unwrap(), [0; 3]);
    }
}
