//! Ctrl-C, SIGTERM and SIGHUP. A run that only reads stops at once. A run that writes finishes the requests in progress.
//!
//! Signals concern the whole process, so this module has global state.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::task::Poll;

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::Notify;

use crate::api::CancellationToken;
use crate::cli::error::CommandError;
use crate::cli::exit::Signal;
use crate::cli::io::files;
use crate::cli::io::output::Output;

#[derive(Default)]
struct Process {
    stop: CancellationToken,
    writes: AtomicBool,
    received: OnceLock<Signal>,
    ended: Notify,
}

static PROCESS: LazyLock<Process> = LazyLock::new(Process::default);

/// Starts listening for signals. Before [`enter_write_phase`], the first one stops the program ([`ended`]). After it, the first one
/// cancels the returned token, and the second one exits at once.
pub(crate) fn listen(output: &Output) -> Result<CancellationToken, CommandError> {
    let mut signals = SignalStreams::open()?;
    let output = output.clone();
    tokio::spawn(async move {
        let _ = PROCESS.received.set(signals.next().await);
        PROCESS.stop.cancel();
        if PROCESS.writes.load(Ordering::Relaxed) {
            output.status(
                "stopping after the requests in progress; press Ctrl-C again to exit immediately",
            );
        } else {
            PROCESS.ended.notify_one();
        }
        loop {
            match signals.next().await {
                // A closing terminal may send it in addition to another signal.
                Signal::Hangup => {}
                second => {
                    files::remove_temporary_files();
                    std::process::exit(second.exit() as i32)
                }
            }
        }
    });
    Ok(PROCESS.stop.clone())
}

/// Waits for a signal that stops a run without writes.
pub(crate) async fn ended() -> Signal {
    loop {
        PROCESS.ended.notified().await;
        if let Some(signal) = received() {
            return signal;
        }
    }
}

/// Returns the received signal.
pub(crate) fn received() -> Option<Signal> {
    PROCESS.received.get().copied()
}

/// Lets requests in progress finish after a signal. Returns an error if a signal was already received.
pub(crate) fn enter_write_phase() -> Result<(), CommandError> {
    PROCESS.writes.store(true, Ordering::Relaxed);
    received().map_or(Ok(()), |signal| Err(CommandError::interrupted(signal)))
}

/// Returns a future that waits for the next signal.
pub(crate) fn first_signal() -> Result<impl Future<Output = Signal>, CommandError> {
    let mut signals = SignalStreams::open()?;
    Ok(async move { signals.next().await })
}

/// The signals that stop the program. SIGHUP is not among them if it was ignored when the program started, as by `nohup`.
struct SignalStreams(Vec<(Signal, unix::Signal)>);

impl SignalStreams {
    fn open() -> Result<Self, CommandError> {
        let kinds = [
            (Signal::Interrupt, SignalKind::interrupt()),
            (Signal::Terminate, SignalKind::terminate()),
            (Signal::Hangup, SignalKind::hangup()),
        ];
        let kinds = kinds.into_iter();
        let heard = kinds.filter(|(signal, _)| *signal != Signal::Hangup || !is_hangup_ignored());
        let open = |(signal, kind)| Ok((signal, unix::signal(kind)?));
        let streams = heard.map(open).collect::<io::Result<_>>();
        streams
            .map(SignalStreams)
            .map_err(CommandError::other("cannot listen for signals"))
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
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
