//! Ctrl-C and SIGTERM while something is being written.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::apply::Stop;

use super::error::Error;
use super::output::Output;

/// From now on the first signal wishes a stop (the call in flight is finished, no other started), and a second one ends at once.
pub(super) fn stop_on_signals(output: Output) -> Result<Stop, Error> {
    let listen = |kind| signal(kind).map_err(Error::other("signals can't be listened for"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let stop = Stop::default();
    let wished = stop.clone();
    tokio::spawn(async move {
        first_of(&mut interrupt, &mut terminate).await;
        wished.request();
        output.say("stopping after the call in flight; once more to end at once");
        first_of(&mut interrupt, &mut terminate).await;
        // 128 + SIGINT, as a shell would report it.
        std::process::exit(130);
    });
    Ok(stop)
}

async fn first_of(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
