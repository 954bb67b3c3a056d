//! Writing files.
//!
//! | path | action |
//! | --- | --- |
//! | `/dev/stdout`, `/dev/stderr`, `/dev/fd/N` | written to the open stream |
//! | a device or a pipe, also through a symbolic link | opened and written to |
//! | any other symbolic link | error, because its target may be chosen by someone else |
//! | a file, or nothing | written to a temporary file and renamed, so readers see the old or the new content |

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::cli::error::CommandError;

/// Permissions of a written file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileMode {
    /// Default permissions of the umask.
    Everybody,
    /// Readable and writable only by the owner.
    OwnerOnly,
    /// Permissions of the existing file.
    Preserve,
}

/// Writes a file.
pub(crate) fn write(
    path: &Path,
    content: impl AsRef<[u8]>,
    readable_by: FileMode,
) -> Result<(), CommandError> {
    let content = content.as_ref();
    place(path)
        .and_then(|place| match place {
            WriteTarget::Stdout => io::stdout().lock().write_all(content),
            WriteTarget::Stderr => io::stderr().lock().write_all(content),
            WriteTarget::Stream => open_stream(path)?.write_all(content),
            WriteTarget::File => write_atomic(path, content, readable_by),
        })
        .map_err(|error| write_error(path, error))
}

/// Returns true if a path is a terminal, pipe or device, such as the log of a CI job.
pub(crate) fn is_stream(path: &Path) -> bool {
    matches!(
        place(path),
        Ok(WriteTarget::Stdout | WriteTarget::Stderr | WriteTarget::Stream)
    )
}

/// Opens or creates a file for appending, readable only by its owner.
///
/// # Errors
///
/// Also returned for a symbolic link and for a file of another user.
pub(crate) fn append(path: &Path) -> Result<AppendTarget, CommandError> {
    let open = || {
        Ok(match place(path)? {
            WriteTarget::Stdout => AppendTarget::Stream(Box::new(io::stdout())),
            WriteTarget::Stderr => AppendTarget::Stream(Box::new(io::stderr())),
            WriteTarget::Stream => AppendTarget::Stream(Box::new(open_stream(path)?)),
            WriteTarget::File => AppendTarget::File(open_owned_append(path)?),
        })
    };
    open().map_err(|error| write_error(path, error))
}

/// Target of appended lines.
pub(crate) enum AppendTarget {
    /// A file, synced after each line.
    File(File),
    /// A terminal, pipe or device.
    Stream(Box<dyn Write + Send>),
}

impl AppendTarget {
    /// Writes a line in one call, so that lines of concurrent runs do not mix.
    pub(crate) fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            AppendTarget::File(file) => {
                file.write_all(line.as_bytes())?;
                file.sync_data()
            }
            AppendTarget::Stream(stream) => {
                stream.write_all(line.as_bytes())?;
                stream.flush()
            }
        }
    }
}

/// Kind of path to write to.
enum WriteTarget {
    Stdout,
    Stderr,
    Stream,
    File,
}

fn place(path: &Path) -> io::Result<WriteTarget> {
    if path == Path::new("/dev/stdout") || is_descriptor(path, "1") {
        return Ok(WriteTarget::Stdout);
    }
    if path == Path::new("/dev/stderr") || is_descriptor(path, "2") {
        return Ok(WriteTarget::Stderr);
    }
    if descriptor(path).is_some() {
        return Ok(WriteTarget::Stream);
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WriteTarget::File),
        Err(error) => return Err(error),
    };
    let is_link = found.is_symlink();
    // Includes a dangling link.
    let target = if is_link {
        fs::metadata(path).ok().map(|target| target.file_type())
    } else {
        Some(found.file_type())
    };
    match target {
        Some(kind) if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() => {
            Ok(WriteTarget::Stream)
        }
        _ if is_link => Err(io::Error::other(
            "it is a symbolic link; pass the target file",
        )),
        Some(kind) if kind.is_file() => Ok(WriteTarget::File),
        Some(kind) if kind.is_dir() => Err(io::Error::other("it is a directory")),
        Some(_) | None => Err(io::Error::other("it is not a file")),
    }
}

fn is_descriptor(path: &Path, number: &str) -> bool {
    descriptor(path).is_some_and(|name| name == number)
}

/// Returns N of a path such as `/dev/fd/N`.
fn descriptor(path: &Path) -> Option<&OsStr> {
    let folders = [Path::new("/dev/fd"), Path::new("/proc/self/fd")];
    let name = path.file_name()?;
    let is_number = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    (is_number && folders.contains(&path.parent()?)).then_some(name)
}

/// Opens a stream without truncating it.
fn open_stream(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Reads a file owned by the user. Symbolic links are not followed.
pub(crate) fn read_owned(path: &Path) -> io::Result<String> {
    const MOST: u64 = 1 << 20;
    let file = own(path, OpenOptions::new().read(true))?;
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens a file owned by the user for appending.
fn open_owned_append(path: &Path) -> io::Result<File> {
    own(
        path,
        OpenOptions::new().append(true).create(true).mode(0o600),
    )
}

/// Opens a file owned by the user, without following symbolic links or waiting for a pipe.
fn own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags =
        i32::try_from(flags.bits()).map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    let file = options.custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        Err(io::Error::other("it is not a file"))
    } else if found.uid() == rustix::process::geteuid().as_raw() {
        Ok(file)
    } else {
        Err(io::Error::other("it is owned by another user"))
    }
}

fn write_atomic(path: &Path, content: &[u8], readable_by: FileMode) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let permissions = match readable_by {
        FileMode::Everybody => Permissions::from_mode(0o666),
        FileMode::OwnerOnly => Permissions::from_mode(0o600),
        FileMode::Preserve => fs::metadata(path)?.permissions(),
    };
    if !folder.is_dir() {
        return Err(io::Error::other(format!(
            "directory {} does not exist",
            folder.display()
        )));
    }
    // Do not show the temporary name.
    let mut file = tempfile::Builder::new()
        .permissions(permissions.clone())
        .tempfile_in(folder)
        .map_err(without_path)?;
    file.write_all(content)?;
    if readable_by == FileMode::Preserve {
        // Restore the bits removed by the umask.
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((what, _)) => io::Error::new(error.kind(), what.to_owned()),
        None => error,
    }
}

fn write_error(path: &Path, error: io::Error) -> CommandError {
    CommandError::other(format!("cannot write {}", path.display()))(error)
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

    fn said(result: Result<(), CommandError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "written".to_owned())
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_with_the_mode_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(said(write(&path, "one", FileMode::OwnerOnly)), "written");
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut old = File::open(&path).unwrap();
        assert_eq!(said(write(&path, "two", FileMode::Preserve)), "written");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode()),
            ("two", 0o640)
        );
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        assert_eq!(said(write(&path, "three", FileMode::OwnerOnly)), "written");
        assert_eq!(mode(), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_refused_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &link).unwrap();
        let expected = format!(
            "cannot write {}: it is a symbolic link; pass the target file",
            link.display()
        );
        assert_eq!(said(write(&link, "x", FileMode::Everybody)), expected);
        assert_eq!(said(append(&link).map(drop)), expected);
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        fs::remove_file(&target).unwrap();
        assert_eq!(said(write(&link, "x", FileMode::Everybody)), expected);
        assert_eq!(said(append(&link).map(drop)), expected);
        assert!(!target.exists());
    }

    #[test]
    fn a_pipe_gets_what_is_written_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        assert!(node(&pipe, &["p"]));
        symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link] {
            let reader = {
                let pipe = pipe.clone();
                thread::spawn(move || fs::read_to_string(pipe).unwrap())
            };
            assert_eq!(said(write(path, "through", FileMode::OwnerOnly)), "written");
            assert_eq!(reader.join().unwrap(), "through");
            assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        }
    }

    #[test]
    fn a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (device, link) = (folder.path().join("null"), folder.path().join("link"));
        // Without root, link to the real device.
        let device = if node(&device, &["c", "1", "3"]) {
            device
        } else {
            "/dev/null".into()
        };
        symlink(&device, &link).unwrap();
        for path in [&device, &link] {
            assert_eq!(said(write(path, "x", FileMode::OwnerOnly)), "written");
            append(path).unwrap().write("x\n").unwrap();
            assert!(fs::metadata(&device).unwrap().file_type().is_char_device());
        }
        assert!(link.is_symlink());
        assert!(
            said(write(Path::new("/dev/full"), "x", FileMode::OwnerOnly)).contains("No space left")
        );
    }

    #[test]
    fn an_open_file_is_written_to_where_its_number_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        fs::write(&path, "before\n").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        for name in [
            format!("/dev/fd/{number}"),
            format!("/proc/self/fd/{number}"),
        ] {
            assert_eq!(
                said(write(Path::new(&name), "after\n", FileMode::OwnerOnly)),
                "written"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\nafter\n");
    }

    #[test]
    fn what_can_not_be_written_is_said_without_a_temporary_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let table = [
            (
                missing.join("file"),
                format!("directory {} does not exist", missing.display()),
            ),
            (folder.path().to_owned(), "it is a directory".to_owned()),
            (
                "/proc/riskform".into(),
                "No such file or directory (os error 2)".to_owned(),
            ),
        ];
        for (path, why) in table {
            let expected = format!("cannot write {}: {why}", path.display());
            assert_eq!(said(write(&path, "x", FileMode::Everybody)), expected);
        }
    }

    #[test]
    fn lines_go_to_a_file_of_ones_own_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for line in ["one\n", "two\n"] {
            append(&path).unwrap().write(line).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Only root can change the owner.
        if std::os::unix::fs::chown(&path, Some(65532), None).is_ok() {
            let expected = format!(
                "cannot write {}: it is owned by another user",
                path.display()
            );
            assert_eq!(said(append(&path).map(drop)), expected);
        }
    }
}
