//! Ctrl-C, SIGTERM and SIGHUP. A run that only reads stops at once. A run that writes finishes the requests in progress.
//!
//! Signals concern the whole process, so this module has global state.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::task::Poll;

use tokio::signal::unix::{self, SignalKind};

use crate::api::CancellationToken;
use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::io::files;
use crate::cli::io::output::Output;

/// A signal that stops the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) kind: SignalKind,
    name: &'static str,
    /// Exit code of a run without writes.
    pub(crate) exit: Exit,
}

impl Signal {
    const fn new(kind: SignalKind, name: &'static str, exit: Exit) -> Self {
        Signal { kind, name, exit }
    }
}

const SIGNALS: [Signal; 3] = [
    Signal::new(SignalKind::interrupt(), "Ctrl-C", Exit::Interrupted),
    Signal::new(SignalKind::terminate(), "SIGTERM", Exit::Terminated),
    Signal::new(SignalKind::hangup(), "SIGHUP", Exit::Terminated),
];

static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::default);
static RECEIVED: OnceLock<Signal> = OnceLock::new();
/// True if writes may be in progress.
static WRITES: AtomicBool = AtomicBool::new(false);

/// Starts listening for signals. Before [`enter_write_phase`], the first one stops the program ([`ended`]). After it, the first one
/// cancels the returned token, and the second one exits at once.
pub(crate) fn listen(output: &Output) -> Result<CancellationToken, CommandError> {
    let mut signals = SignalStreams::open()?;
    let output = output.clone();
    tokio::spawn(async move {
        let _ = RECEIVED.set(signals.next().await);
        STOP.cancel();
        if WRITES.load(Ordering::Relaxed) {
            output.status(
                "stopping after the requests in progress; press Ctrl-C again to exit immediately",
            );
        }
        loop {
            let second = signals.next().await;
            // A closing terminal may send SIGHUP in addition to another signal.
            if second.kind != SignalKind::hangup() {
                files::remove_temporary_files();
                std::process::exit(second.exit as i32)
            }
        }
    });
    Ok(STOP.clone())
}

/// Waits for a signal that stops a run without writes, and returns its error.
pub(crate) async fn ended() -> CommandError {
    STOP.run_until_cancelled(pending::<()>()).await;
    match received() {
        Some(signal) if !WRITES.load(Ordering::Relaxed) => interrupted(signal),
        _ => pending().await,
    }
}

fn interrupted(signal: Signal) -> CommandError {
    let message = format_args!("interrupted by {}; no changes were made", signal.name);
    CommandError::new(ErrorKind::Interrupted(signal.exit), message)
}

/// Returns the received signal.
pub(crate) fn received() -> Option<Signal> {
    RECEIVED.get().copied()
}

/// Lets requests in progress finish after a signal. Returns an error if a signal was already received.
pub(crate) fn enter_write_phase() -> Result<(), CommandError> {
    WRITES.store(true, Ordering::Relaxed);
    received().map_or(Ok(()), |signal| Err(interrupted(signal)))
}

/// Returns a future that waits for the next signal.
pub(crate) fn first_signal() -> Result<impl Future<Output = Signal>, CommandError> {
    let mut signals = SignalStreams::open()?;
    Ok(async move { signals.next().await })
}

/// Streams of the signals, without SIGHUP if it was ignored when the program started, as by `nohup`.
struct SignalStreams(Vec<(Signal, unix::Signal)>);

impl SignalStreams {
    fn open() -> Result<Self, CommandError> {
        let kept = |signal: &Signal| signal.kind != SignalKind::hangup() || !is_hangup_ignored();
        let open = |signal: Signal| Ok((signal, unix::signal(signal.kind)?));
        let streams = SIGNALS.into_iter().filter(kept).map(open);
        let streams = streams.collect::<io::Result<_>>().map(SignalStreams);
        streams.map_err(CommandError::other("cannot listen for signals"))
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Returns true if SIGHUP is ignored. The standard library cannot ask, so this is known only where `/proc` has the process.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}
