//! The report of the doctor.

use serde::Serialize;

use crate::model::account::AccountId;

use super::check::DoctorFinding;
use super::finding::CheckStatus;

/// Report of the doctor, serialized in its published format.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    format: &'static str,
    /// Base URL of the API.
    pub base_url: String,
    /// Findings not specific to an account.
    pub findings: Vec<DoctorFinding>,
    pub accounts: Vec<AccountDoctorReport>,
    /// What the checks of accounts lack, if no account could be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
}

/// Findings about one account.
#[derive(Debug, Serialize)]
pub struct AccountDoctorReport {
    pub account_id: AccountId,
    /// Label in output.
    #[serde(rename = "name")]
    pub label: String,
    pub findings: Vec<DoctorFinding>,
}

impl DoctorReport {
    pub fn new(
        base_url: String,
        findings: Vec<DoctorFinding>,
        accounts: Vec<AccountDoctorReport>,
    ) -> Self {
        DoctorReport {
            format: "riskform.doctor/1",
            base_url,
            findings,
            accounts,
            missing: None,
        }
    }

    /// Sets what the checks of accounts lack.
    pub fn skipped(self, missing: &'static str) -> Self {
        DoctorReport {
            missing: Some(missing),
            ..self
        }
    }

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
