//! How long the server may keep a run waiting for what the run can do without.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// What is left of the time that the server may take. Only its own time counts: what the run waits for its rate budget costs nothing.
#[derive(Clone, Debug)]
pub(super) struct TimeBudget(Duration);

/// The server took all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeBudgetExceeded;

impl TimeBudget {
    /// So much of it.
    pub(super) fn of(time: Duration) -> Self {
        TimeBudget(time)
    }

    /// For what the run can't do without: each request has a limit of its own, and together they have none.
    pub(super) fn endless() -> Self {
        TimeBudget(Duration::MAX)
    }

    /// Waits for the server, no longer than is left.
    pub(super) async fn wait<T>(
        &mut self,
        server: impl Future<Output = T>,
    ) -> Result<T, TimeBudgetExceeded> {
        let begun = Instant::now();
        let waited = timeout(self.0, server).await;
        self.0 = self.0.saturating_sub(begun.elapsed());
        waited.map_err(|_| TimeBudgetExceeded)
    }

    /// What is left after several waits side by side: the longest of them counts.
    pub(super) fn least(self, other: Self) -> Self {
        TimeBudget(self.0.min(other.0))
    }
}
