//! The report of the doctor.

use super::check::DoctorFinding;
use super::finding::CheckStatus;

/// Report of the doctor.
#[derive(Debug)]
pub struct DoctorReport {
    /// Findings not specific to an account.
    pub findings: Vec<DoctorFinding>,
    pub accounts: Vec<AccountDoctorReport>,
    /// What the checks of accounts lack, if no account could be checked.
    pub missing: Option<&'static str>,
}

/// Findings about one account.
#[derive(Debug)]
pub struct AccountDoctorReport {
    /// Label in output.
    pub label: String,
    pub findings: Vec<DoctorFinding>,
}

impl DoctorReport {
    /// Returns all findings.
    pub fn all(&self) -> impl Iterator<Item = &DoctorFinding> {
        let of_accounts = self.accounts.iter().flat_map(|account| &account.findings);
        self.findings.iter().chain(of_accounts)
    }

    /// Returns the number of findings with this status.
    pub fn count(&self, status: CheckStatus) -> usize {
        self.all()
            .filter(|finding| finding.status == status)
            .count()
    }
}
