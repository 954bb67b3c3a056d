//! What a run keeps for the pipeline around it, until its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::diagnostic::Diagnostic;

/// What a run has to tell its pipeline in the end. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CiReport(Arc<Mutex<CiState>>);

#[derive(Debug, Default)]
pub(super) struct CiState {
    pub(super) outputs: Vec<(String, String)>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether the summary holds the result already, errors of accounts included.
    pub(super) has_summary: bool,
}

impl CiReport {
    pub(super) fn told(&self) -> MutexGuard<'_, CiState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
