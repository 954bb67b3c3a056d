//! The wish that nothing more is sent, which every wait listens to.

use std::sync::Arc;

use tokio::sync::watch;

/// A wish to stop. Whatever waits ends at once, calls in flight are finished, no other leaves. Clones share it.
#[derive(Clone, Debug)]
pub struct CancellationToken(Arc<watch::Sender<bool>>);

impl Default for CancellationToken {
    fn default() -> Self {
        CancellationToken(Arc::new(watch::Sender::new(false)))
    }
}

impl CancellationToken {
    /// Wishes it; there is no way back.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Says whether it is wished.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Ready once it is wished.
    pub async fn requested(&self) {
        let mut wish = self.0.subscribe();
        let _ = wish.wait_for(|wished| *wished).await;
    }

    /// Waits for something, unless a stop comes first; one that has come already always does.
    pub async fn or<T>(&self, waited: impl Future<Output = T>) -> Result<T, Cancelled> {
        tokio::select! {
            biased;
            () = self.requested() => Err(Cancelled),
            done = waited => Ok(done),
        }
    }
}

/// A wait that a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Cancelled;
