//! Read-only checks of connectivity (doctor) and of the whole setup (audit).
//!
//! [`probe_account`] sends the requests of the doctor. [`account_findings`] and [`audit_findings`] evaluate what was read; each check is a
//! function and one row of a table. Evaluation is pure. This module does not write, read files or the environment, or print.

mod audit;
mod audit_files;
mod audit_policies;
mod checks;
mod permissions;
mod probe;

use std::sync::Arc;

use crate::api::ApiError;
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};

pub use audit::{
    AUDIT_CHECKS, AccountAudit, AuditCheck, AuditInput, AuditReport, AuditTotals, audit_findings,
};
pub use checks::{CREDENTIALS, FILES, PROXY, account_findings, is_auth_check};
pub use probe::{Probe, ProbeResults, ProxyInfo, probe_account};

/// Adds the check and the account to its findings.
fn complete(
    findings: Vec<Finding>,
    check: &'static str,
    account: Option<&Arc<CheckedAccount>>,
) -> impl Iterator<Item = Finding> {
    findings.into_iter().map(move |finding| Finding {
        check,
        account: account.cloned(),
        ..finding
    })
}

/// Returns the finding about an API error.
fn from_error(status: CheckStatus, error: &ApiError) -> Finding {
    Finding {
        help: error.help(),
        ..Finding::new(status, error.to_string())
    }
}
