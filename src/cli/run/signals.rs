//! Ctrl-C and SIGTERM: what is being written is finished, a server ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::apply::Stop;
use crate::cli::io::output::Output;
use crate::cli::run::ending::Error;

/// From now on the first signal wishes a stop (the call in flight is finished, no other started), and a second one ends at once.
pub(crate) fn stop_on_signals(output: Output) -> Result<Stop, Error> {
    let (mut interrupt, mut terminate) = listen()?;
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

/// Ready with the first signal from now on.
pub(crate) fn first_signal() -> Result<impl Future<Output = ()>, Error> {
    let (mut interrupt, mut terminate) = listen()?;
    Ok(async move { first_of(&mut interrupt, &mut terminate).await })
}

fn listen() -> Result<(Signal, Signal), Error> {
    let listen = |kind| signal(kind).map_err(Error::other("signals can't be listened for"));
    Ok((
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    ))
}

async fn first_of(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
