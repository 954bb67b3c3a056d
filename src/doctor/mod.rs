//! Finds out why somebody can't get in: asks what can be asked without writing, and turns the answers into findings.
//!
//! [`examine`] asks, and [`account_findings`] judges; the judging is pure. Each check is one function in `checks`, and one line in the list
//! there. Deliberately absent: writing, files, the environment, printing.

mod checks;
mod evidence;
mod finding;
mod ssf;

pub use checks::{account_findings, files_finding, no_credentials_finding};
pub use evidence::{Access, Asked, Declared, Evidence, Files, Means, Owner, Way, examine};
pub use finding::{Check, Finding, Status};
pub use ssf::{Destination, SsfFinding, SsfRule, inspect};
