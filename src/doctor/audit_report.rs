//! An audit's result: one document that every format shows, in the shape that `schema/audit.schema.json` publishes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::account::AccountId;
use crate::model::account_error::AccountError;
use crate::model::address::Name;
use crate::model::evidence::Evidence;
use crate::plan::{self, AccountPlan};

use super::audit::{AuditCheck, AuditFinding};
use super::finding::CheckStatus;

/// Result of an audit.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AuditReport {
    #[cfg_attr(test, schemars(extend("const" = AuditReport::FORMAT)))]
    pub format: &'static str,
    /// Version of riskform that wrote the document.
    pub riskform_version: &'static str,
    /// Base URL of the API.
    pub base_url: String,
    /// Time of writing.
    pub created_at: Timestamp,
    pub evidence: Evidence,
    /// Skipped checks.
    pub ignored: BTreeSet<AuditCheck>,
    /// Accounts, sorted by source, then by ID.
    pub accounts: Vec<AccountAudit>,
    pub summary: AuditTotals,
}

/// Result of an audit for one account.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AccountAudit {
    pub account_id: AccountId,
    pub name: Option<Name>,
    /// File that declares the account.
    pub source: Arc<str>,
    pub status: plan::Status,
    /// Error of the account. If set, there are no findings.
    pub error: Option<AccountError>,
    /// Findings: one per check.
    pub findings: Vec<AuditFinding>,
}

/// Number of findings by status, in all accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AuditTotals {
    pub pass: usize,
    pub warn: usize,
    pub fail: usize,
    pub unknown: usize,
    /// Number of accounts that failed.
    pub failed_accounts: usize,
}

impl AuditReport {
    /// The name of the document's format.
    pub const FORMAT: &'static str = "riskform.audit/1";

    pub fn new(
        base_url: String,
        ignored: BTreeSet<AuditCheck>,
        accounts: Vec<AccountAudit>,
        created_at: Timestamp,
        evidence: Evidence,
    ) -> Self {
        AuditReport {
            format: AuditReport::FORMAT,
            riskform_version: env!("CARGO_PKG_VERSION"),
            base_url,
            created_at,
            evidence,
            ignored,
            summary: AuditTotals::of(&accounts),
            accounts,
        }
    }

    /// The checks that were made.
    pub fn checks(&self) -> impl Iterator<Item = AuditCheck> {
        let checks = AuditCheck::ALL.iter().copied();
        checks.filter(|check| !self.ignored.contains(check))
    }

    /// Says whether every check of every account passes.
    pub fn is_clean(&self) -> bool {
        self.accounts.iter().all(AccountAudit::is_clean)
    }
}

impl AccountAudit {
    /// An account with what the checks found; none where it could not be looked at.
    pub fn new(plan: &AccountPlan, findings: Vec<AuditFinding>) -> Self {
        AccountAudit {
            account_id: plan.account_id.clone(),
            name: plan.name.clone(),
            source: Arc::clone(&plan.source),
            status: plan.status,
            error: plan.error.clone(),
            findings,
        }
    }

    /// How the account is called in output: its name, else its id.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
        }
    }

    /// How it stands as a whole; `None` where it could not be looked at.
    pub fn worst_status(&self) -> Option<CheckStatus> {
        let statuses = self.findings.iter().map(|finding| finding.status);
        let gravest = statuses.max().unwrap_or(CheckStatus::Pass);
        self.error.is_none().then_some(gravest)
    }

    /// Says whether every check passes.
    pub fn is_clean(&self) -> bool {
        self.worst_status() == Some(CheckStatus::Pass)
    }

    /// Says whether something can't be told for want of a permission.
    pub fn lacks_permission(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.permission.is_some())
    }
}

impl AuditTotals {
    fn of(accounts: &[AccountAudit]) -> Self {
        let mut totals = AuditTotals::default();
        for account in accounts {
            totals.failed_accounts += usize::from(account.error.is_some());
            for finding in &account.findings {
                match finding.status {
                    // No check of an audit is information alone.
                    CheckStatus::Pass | CheckStatus::Info => totals.pass += 1,
                    CheckStatus::Warn => totals.warn += 1,
                    CheckStatus::Fail => totals.fail += 1,
                    CheckStatus::Unknown => totals.unknown += 1,
                }
            }
        }
        totals
    }
}
