//! Everything that the doctor found, as one document.

use serde::Serialize;

use crate::model::account::AccountId;
use crate::model::integration::IntegrationId;

use super::check::DoctorFinding;
use super::finding::CheckStatus;
use super::ssf::SsfFinding;

/// Everything that was found. It serializes as its published document.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    format: &'static str,
    /// The API that was asked.
    pub base_url: String,
    /// What is about no single account.
    pub findings: Vec<DoctorFinding>,
    pub accounts: Vec<AccountDoctorReport>,
}

/// What was found of one account.
#[derive(Debug, Serialize)]
pub struct AccountDoctorReport {
    pub account_id: AccountId,
    /// How it is called in output.
    #[serde(rename = "name")]
    pub label: String,
    pub findings: Vec<DoctorFinding>,
    /// Where they were asked for.
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
            format: "riskform.doctor/2",
            base_url,
            findings,
            accounts,
        }
    }

    /// Every finding but those of SSF documents.
    pub fn all(&self) -> impl Iterator<Item = &DoctorFinding> {
        let of_accounts = self.accounts.iter().flat_map(|account| &account.findings);
        self.findings.iter().chain(of_accounts)
    }

    /// How many findings stand so, those of SSF documents included.
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
