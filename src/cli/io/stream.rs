//! Standard output and standard error. Every byte goes through [`Stream::write`].
//!
//! A failed write never stops a run and never panics: a closed pipe is ignored, a full non-blocking pipe is waited for, and any other
//! error is remembered until the exit code is chosen ([`first_error`]). The streams belong to the process, so the error is global.

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// A standard stream for output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

static FIRST_ERROR: OnceLock<(Stream, io::Error)> = OnceLock::new();

/// Returns the first error of a stream, other than a closed pipe.
pub(crate) fn first_error() -> Option<&'static (Stream, io::Error)> {
    FIRST_ERROR.get()
}

impl Stream {
    /// Writes a text, without its colors if the stream does not show them.
    pub(crate) fn write(self, text: &str) {
        let written = match self {
            Stream::Stdout => write_text(&io::stdout(), text),
            Stream::Stderr => write_text(&io::stderr(), text),
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                // Only the first error is reported.
                let _ = FIRST_ERROR.set((self, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Writes a text, without its colors if the terminal does not show them.
pub(crate) fn write_text(stream: &(impl RawStream + AsFd), text: &str) -> io::Result<()> {
    match AutoStream::choice(stream) {
        ColorChoice::Never => {
            let plain = anstream::adapter::strip_str(text).to_string();
            write_all(stream, plain.as_bytes())
        }
        ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => {
            write_all(stream, text.as_bytes())
        }
    }
}

/// Writes all bytes, and waits if a non-blocking pipe is full.
pub(crate) fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
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
