//! Cancellation of a run. Every wait in the client ends when it is requested.

use std::sync::Arc;

use tokio::sync::watch;

/// A request to stop. Waits end at once, requests in flight are completed, and no new request is sent. Clones share the state.
#[derive(Clone, Debug)]
pub struct CancellationToken(Arc<watch::Sender<bool>>);

impl Default for CancellationToken {
    fn default() -> Self {
        CancellationToken(Arc::new(watch::Sender::new(false)))
    }
}

impl CancellationToken {
    /// Requests cancellation. Cannot be undone.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Returns true if cancellation was requested.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when cancellation is requested.
    pub async fn cancelled(&self) {
        let mut wish = self.0.subscribe();
        let _ = wish.wait_for(|wished| *wished).await;
    }

    /// Awaits a future unless cancellation is requested first. An earlier request always wins.
    pub async fn run_until_cancelled<T>(
        &self,
        waited: impl Future<Output = T>,
    ) -> Result<T, Cancelled> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(Cancelled),
            done = waited => Ok(done),
        }
    }
}

/// A wait ended by cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("canceled")]
pub struct Cancelled;
