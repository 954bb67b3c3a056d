//! Ctrl-C and SIGTERM: who only reads ends at once, who writes lets the calls in flight finish, a server closes.
//!
//! What a process does about a signal is the whole process's affair, so this is the one place with state of its own.

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

/// From now on signals are listened for. While the program only reads, one ends it ([`ended`]); once it [writes](begin_to_write), the
/// first wishes the stop that this returns, and a second ends it at once.
pub(crate) fn listen(output: &Output) -> Result<CancellationToken, CommandError> {
    let (mut interrupt, mut terminate) = streams()?;
    let output = output.clone();
    tokio::spawn(async move {
        let first = first_of(&mut interrupt, &mut terminate).await;
        let _ = PROCESS.received.set(first);
        PROCESS.stop.request();
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

/// Ready once a signal ends a program that only reads.
pub(crate) async fn ended() -> Signal {
    loop {
        PROCESS.ended.notified().await;
        if let Some(signal) = received() {
            return signal;
        }
    }
}

/// The signal that came, if one did.
pub(crate) fn received() -> Option<Signal> {
    PROCESS.received.get().copied()
}

/// From now on a signal lets calls in flight finish. Refused where one came already.
pub(crate) fn enter_write_phase() -> Result<(), CommandError> {
    PROCESS.writes.store(true, Ordering::Relaxed);
    received().map_or(Ok(()), |signal| Err(CommandError::Interrupted(signal)))
}

/// Ready with the first signal from now on.
pub(crate) fn first_signal() -> Result<impl Future<Output = ()>, CommandError> {
    let (mut interrupt, mut terminate) = streams()?;
    Ok(async move {
        first_of(&mut interrupt, &mut terminate).await;
    })
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
