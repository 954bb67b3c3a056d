//! The audit: its checks, and the result that every format shows, in the shape that `schema/audit.schema.json` publishes.
//!
//! Failed reads of the context make a check unknown but do not fail the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::audit_files::{ambiguous, behaviors, drift, unlisted};
use super::audit_policies::{levels, policies, providers};
use super::{AuditInput, CheckResult, complete};
use crate::model::evidence::Evidence;
use crate::model::finding::{AccountError, CheckStatus, CheckedAccount, Finding};
use crate::plan::{self, AccountPlan};

/// Stable ID of a check, the description of the passing check as a sentence, and its function.
pub type AuditCheck = (
    &'static str,
    &'static str,
    fn(&AuditInput<'_>) -> CheckResult,
);

/// All checks, in the order of output.
pub const AUDIT_CHECKS: [AuditCheck; 7] = [
    (
        "behaviors",
        "Behaviors declared as enabled are enabled.",
        behaviors,
    ),
    (
        "policies",
        "Every level assigned by an enabled behavior is used by an Access policy.",
        policies,
    ),
    (
        "levels",
        "Every level used by an Access policy is assigned by an enabled behavior.",
        levels,
    ),
    (
        "providers",
        "Every active integration references an Okta identity provider with the same tenant.",
        providers,
    ),
    (
        "unlisted",
        "No unlisted resources that the files report, disable or delete.",
        unlisted,
    ),
    ("drift", "No other drift.", drift),
    ("ambiguous", "No entry is ambiguous.", ambiguous),
];

/// Runs all checks that are not ignored. Each has at least one finding.
pub fn audit_findings(input: &AuditInput<'_>, ignored: &BTreeSet<&'static str>) -> Vec<Finding> {
    let account = Arc::new(input.plan.checked_account());
    let checks = AUDIT_CHECKS.iter();
    let findings = checks
        .filter(|(id, ..)| !ignored.contains(id))
        .flat_map(|(id, _, run)| {
            let result = run(input).map(|message| vec![Finding::pass(message)]);
            complete(
                result.unwrap_or_else(|findings| findings),
                id,
                Some(&account),
            )
        });
    findings.collect()
}

/// Result of an audit.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AuditReport {
    #[cfg_attr(test, schemars(extend("const" = "riskform.audit/1")))]
    pub format: &'static str,
    /// Version of riskform that wrote the document.
    pub riskform_version: &'static str,
    /// Base URL of the API.
    pub base_url: String,
    /// Time of writing.
    pub created_at: Timestamp,
    pub evidence: Evidence,
    /// Skipped checks.
    pub ignored: BTreeSet<&'static str>,
    /// Accounts, sorted by source, then by ID.
    pub accounts: Vec<AccountAudit>,
    pub summary: AuditTotals,
}

/// Result of an audit for one account.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AccountAudit {
    #[serde(flatten)]
    pub account: Arc<CheckedAccount>,
    pub status: plan::Status,
    /// Error of the account. If set, there are no findings.
    pub error: Option<AccountError>,
    /// Findings: one per check that passes, else one per problem.
    pub findings: Vec<Finding>,
}

/// Number of checks by their most severe finding, in all accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub struct AuditTotals {
    pub pass: usize,
    pub warn: usize,
    pub fail: usize,
    pub unknown: usize,
    /// Number of accounts that could not be read.
    pub failed_accounts: usize,
}

impl AuditReport {
    pub fn new(
        base_url: String,
        ignored: BTreeSet<&'static str>,
        accounts: Vec<AccountAudit>,
        created_at: Timestamp,
        evidence: Evidence,
    ) -> Self {
        let statuses = accounts.iter().flat_map(|one| one.statuses().into_values());
        let failed = accounts.iter().filter(|account| account.error.is_some());
        AuditReport {
            format: "riskform.audit/1",
            riskform_version: env!("CARGO_PKG_VERSION"),
            base_url,
            created_at,
            evidence,
            ignored,
            summary: AuditTotals {
                failed_accounts: failed.count(),
                ..statuses.collect()
            },
            accounts,
        }
    }

    /// Returns all findings. An account with a read error has a single finding.
    pub fn findings(&self) -> Vec<Finding> {
        let accounts = self.accounts.iter().flat_map(
            |AccountAudit {
                 account,
                 error,
                 findings,
                 ..
             }| {
                let unread = error
                    .iter()
                    .map(|error| Finding::unread(Arc::clone(account), error));
                unread.chain(findings.iter().cloned())
            },
        );
        accounts.collect()
    }
}

impl AccountAudit {
    /// Creates the result of an account. An account with a read error has no findings.
    pub fn new(plan: &AccountPlan, findings: Vec<Finding>) -> Self {
        AccountAudit {
            account: Arc::new(plan.checked_account()),
            status: plan.status,
            error: plan.error.clone(),
            findings,
        }
    }

    /// Returns the status of each check: that of its most severe finding.
    pub fn statuses(&self) -> BTreeMap<&'static str, CheckStatus> {
        let mut statuses = BTreeMap::new();
        for Finding { check, status, .. } in &self.findings {
            let most_severe = statuses.entry(*check).or_insert(*status);
            *most_severe = (*most_severe).max(*status);
        }
        statuses
    }
}

impl FromIterator<CheckStatus> for AuditTotals {
    fn from_iter<I: IntoIterator<Item = CheckStatus>>(statuses: I) -> Self {
        let mut totals = AuditTotals::default();
        for status in statuses {
            match status {
                CheckStatus::Pass | CheckStatus::Info => totals.pass += 1,
                CheckStatus::Warn => totals.warn += 1,
                CheckStatus::Fail => totals.fail += 1,
                CheckStatus::Unknown => totals.unknown += 1,
            }
        }
        totals
    }
}
