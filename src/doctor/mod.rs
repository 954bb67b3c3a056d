//! Finds out whether everything stands as it should: asks what can be asked without writing, and turns the answers into findings.
//!
//! The doctor says why somebody can't get in: [`examine`] asks, and [`account_findings`] judges; each check is one function in `checks`,
//! and one line in the list there. The audit says whether both halves of the control stand: [`audit_findings`] judges what was read, and
//! [`AuditReport`] is its result. The judging is pure. Deliberately absent: writing, files, the environment, printing.

mod audit;
mod audit_report;
mod check;
mod checks;
mod finding;
mod permissions;
mod probe;
mod report;
mod ssf;

pub use audit::{AuditCheck, AuditFinding, AuditInput, audit_findings};
pub use audit_report::{AccountAudit, AuditReport, AuditTotals};
pub use check::{Check, DoctorFinding};
pub use checks::{account_findings, files_finding, invalid_proxy_finding, no_credentials_finding};
pub use finding::{CheckStatus, Detail, Finding};
pub use probe::{
    Access, ApiTransport, CredentialKind, Declared, Files, Owner, Probe, ProbeResults, ProxyInfo,
    examine,
};
pub use report::{AccountDoctorReport, DoctorReport, SsfDocument};
pub use ssf::{Destination, SsfFinding, SsfRule, inspect};
