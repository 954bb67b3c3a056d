//! Finds out whether everything stands as it should: asks what can be asked without writing, and turns the answers into findings.
//!
//! The doctor says why somebody can't get in: [`examine`] asks, and [`account_findings`] judges; each check is one function in `checks`,
//! and one line in the list there. The audit says whether both halves of the control stand: [`audit_findings`] judges what was read, and
//! [`Audit`] is its result. The judging is pure. Deliberately absent: writing, files, the environment, printing.

mod audit;
mod audited;
mod check;
mod checks;
mod diagnosis;
mod evidence;
mod finding;
mod permissions;
mod ssf;

pub use audit::{AuditCheck, AuditEvidence, AuditFinding, audit_findings};
pub use audited::{Audit, AuditedAccount, Totals};
pub use check::{Check, DoctorFinding};
pub use checks::{account_findings, files_finding, no_credentials_finding, wrong_proxy_finding};
pub use diagnosis::{AccountDiagnosis, Diagnosis, SsfDocument};
pub use evidence::{
    Access, Asked, Declared, Evidence, Files, Means, Owner, ProxyOnTheWay, Way, examine,
};
pub use finding::{Detail, Finding, Standing};
pub use ssf::{Destination, SsfFinding, SsfRule, inspect};
