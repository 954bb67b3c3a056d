//! The report of the doctor.

use serde::Serialize;

use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;

use super::check::DoctorFinding;
use super::finding::CheckStatus;
use super::ssf::SsfFinding;

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
    /// SSF documents, if requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssf: Vec<SsfDocument>,
}

/// The SSF document of one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SsfDocument {
    pub integration_id: IntegrationId,
    pub tenant_url: String,
    pub findings: Vec<SsfFinding>,
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

    /// Returns all findings except those of SSF documents.
    pub fn all(&self) -> impl Iterator<Item = &DoctorFinding> {
        let of_accounts = self.accounts.iter().flat_map(|account| &account.findings);
        self.findings.iter().chain(of_accounts)
    }

    /// Returns the number of findings with this status, including SSF documents.
    pub fn count(&self, status: CheckStatus) -> usize {
        let documents = self.accounts.iter().flat_map(|account| &account.ssf);
        let documents = documents.flat_map(|document| &document.findings);
        self.all()
            .map(|finding| finding.status)
            .chain(documents.map(|finding| finding.status))
            .filter(|found| *found == status)
            .count()
    }
}
