//! Read-only checks of connectivity (doctor) and of the whole setup (audit).
//!
//! [`examine`] sends the requests of the doctor, and [`account_findings`] evaluates the responses; each check is one function in
//! `checks` and one line in the list there. [`audit_findings`] evaluates an account for the audit, and [`AuditReport`] is the result.
//! Evaluation is pure. This module does not write, read files or the environment, or print.

mod audit;
mod audit_report;
mod check;
mod checks;
mod finding;
mod permissions;
mod probe;
mod report;

pub use audit::{AuditCheck, AuditFinding, AuditInput, audit_findings};
pub use audit_report::{AccountAudit, AuditReport, AuditTotals};
pub use check::{Check, DoctorFinding};
pub use checks::{account_findings, files_finding, invalid_proxy_finding, no_credentials_finding};
pub use finding::{CheckStatus, Detail, Finding};
pub use probe::{
    Access, ApiTransport, CredentialKind, Declared, Files, Owner, Probe, ProbeResults, ProxyInfo,
    probe_account, verify_token,
};
pub use report::{AccountDoctorReport, DoctorReport};
