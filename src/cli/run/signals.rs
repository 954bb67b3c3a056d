//! Ctrl-C and SIGTERM. A run that only reads stops at once. A run that writes finishes the requests in progress.
//!
//! Signals concern the whole process, so this module has global state.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::Notify;

use crate::api::CancellationToken;
use crate::cli::error::CommandError;
use crate::cli::exit::Signal;
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
    let (mut interrupt, mut terminate) = streams()?;
    let output = output.clone();
    tokio::spawn(async move {
        let first = first_of(&mut interrupt, &mut terminate).await;
        let _ = PROCESS.received.set(first);
        PROCESS.stop.cancel();
        if PROCESS.writes.load(Ordering::Relaxed) {
            output.say(
                "stopping after the requests in progress; press Ctrl-C again to exit immediately",
            );
        } else {
            PROCESS.ended.notify_one();
        }
        let second = first_of(&mut interrupt, &mut terminate).await;
        std::process::exit(second.exit() as i32);
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
    received().map_or(Ok(()), |signal| Err(CommandError::Interrupted(signal)))
}

/// Returns a future that waits for the next signal.
pub(crate) fn first_signal() -> Result<impl Future<Output = Signal>, CommandError> {
    let (mut interrupt, mut terminate) = streams()?;
    Ok(async move { first_of(&mut interrupt, &mut terminate).await })
}

fn streams() -> Result<(unix::Signal, unix::Signal), CommandError> {
    let listen =
        |kind| unix::signal(kind).map_err(CommandError::other("cannot listen for signals"));
    Ok((
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    ))
}

async fn first_of(interrupt: &mut unix::Signal, terminate: &mut unix::Signal) -> Signal {
    tokio::select! {
        _ = interrupt.recv() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
    }
}
