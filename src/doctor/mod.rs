//! Read-only checks of connectivity (doctor) and of the whole setup (audit).
//!
//! [`probe_account`] sends the requests of the doctor. [`account_findings`] and [`audit_findings`] evaluate the responses. Each check is a
//! function and one row of a table. Evaluation is pure. This module does not write, read files or the environment, or print.

mod audit;
mod audit_files;
mod audit_policies;
mod checks;
mod permissions;
mod probe;

use std::sync::Arc;

use crate::api::{ApiError, Providers};
use crate::model::context::{Access, Fetched};
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};
use crate::plan::AccountPlan;

pub use audit::{AUDIT_CHECKS, AccountAudit, AuditCheck, AuditReport, AuditTotals, audit_findings};
pub use audit_files::differences;
pub use checks::{CREDENTIALS, FILES, PROXY, account_findings, is_auth_check};
pub use probe::{Probe, ProbeResults, probe_account};

/// Data of an account.
#[derive(Debug)]
pub struct AuditInput<'a> {
    /// Differences between the account and its file.
    pub plan: &'a AccountPlan,
    /// Access policies and groups.
    pub access: Fetched<Access>,
    /// Identity providers.
    pub identity_providers: Fetched<Providers>,
}

/// Message of a check of the audit that passes, or its findings.
pub type CheckResult = Result<String, Vec<Finding>>;

/// Returns data that was read.
///
/// # Errors
///
/// The unknown result of a check that needs it.
fn fetched<T>(data: &Fetched<T>) -> Result<&T, Vec<Finding>> {
    let unknown = |message: String| Finding::new(CheckStatus::Unknown, message);
    match data {
        Fetched::Loaded(data) => Ok(data),
        Fetched::Failed(error) => Err(vec![Finding {
            permission: error.permission.clone(),
            ..unknown(format!("cannot be determined: {error}"))
        }]),
        Fetched::Skipped => Err(vec![unknown("not requested".to_owned())]),
    }
}

/// Returns the findings of a check, if it has any, as its result.
fn none(findings: Vec<Finding>) -> Result<(), Vec<Finding>> {
    match findings.is_empty() {
        true => Ok(()),
        false => Err(findings),
    }
}

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
