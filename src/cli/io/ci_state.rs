//! Result for the CI job, collected during the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::diagnostic::Diagnostic;

/// Result for the CI job. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CiReport(Arc<Mutex<CiState>>);

#[derive(Debug, Default)]
pub(super) struct CiState {
    pub(super) outputs: Vec<(String, String)>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether the summary is already written, including errors of accounts.
    pub(super) has_summary: bool,
}

impl CiReport {
    pub(super) fn told(&self) -> MutexGuard<'_, CiState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
