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
use super::complete;
use crate::api::Providers;
use crate::model::account::AccountId;
use crate::model::address::Name;
use crate::model::context::{Access, Fetched};
use crate::model::evidence::Evidence;
use crate::model::finding::{AccountError, CheckStatus, CheckedAccount, Finding};
use crate::plan::{self, AccountPlan};

/// A check of the audit.
pub struct AuditCheck {
    /// Stable ID.
    pub id: &'static str,
    /// Description of the passing check, as a sentence.
    pub title: &'static str,
    run: fn(&AuditInput<'_>) -> Vec<Finding>,
}

/// All checks, in the order of output.
pub const AUDIT_CHECKS: [AuditCheck; 7] = [
    AuditCheck {
        id: "behaviors",
        title: "Behaviors declared as enabled are enabled.",
        run: |input| behaviors(input.plan),
    },
    AuditCheck {
        id: "policies",
        title: "Every level assigned by an enabled behavior is used by an Access policy.",
        run: |input| fetched(&input.access, |access| policies(input.plan, access)),
    },
    AuditCheck {
        id: "levels",
        title: "Every level used by an Access policy is assigned by an enabled behavior.",
        run: |input| fetched(&input.access, |access| levels(input.plan, access)),
    },
    AuditCheck {
        id: "providers",
        title: "Every active integration references an Okta identity provider with the same tenant.",
        run: |input| {
            fetched(&input.identity_providers, |known| {
                providers(input.plan, known)
            })
        },
    },
    AuditCheck {
        id: "unlisted",
        title: "No unlisted resources that the files report, disable or delete.",
        run: |input| unlisted(input.plan),
    },
    AuditCheck {
        id: "drift",
        title: "No other drift.",
        run: |input| drift(input.plan),
    },
    AuditCheck {
        id: "ambiguous",
        title: "No entry is ambiguous.",
        run: |input| ambiguous(input.plan),
    },
];

/// Data of an account.
#[derive(Debug)]
pub struct AuditInput<'a> {
    /// Differences between the account and its file.
    pub plan: &'a AccountPlan,
    /// Access policies and groups.
    pub access: Fetched<Access>,
    /// Identity providers.
    pub identity_providers: Fetched<Providers>,
}

/// Runs all checks that are not ignored. Each has at least one finding.
pub fn audit_findings(input: &AuditInput<'_>, ignored: &BTreeSet<&'static str>) -> Vec<Finding> {
    let account = Arc::new(input.plan.checked_account());
    let checks = AUDIT_CHECKS.iter();
    checks
        .filter(|check| !ignored.contains(check.id))
        .flat_map(|check| complete((check.run)(input), check.id, Some(&account)))
        .collect()
}

/// Runs a check if its data was read.
fn fetched<T>(data: &Fetched<T>, check: impl FnOnce(&T) -> Vec<Finding>) -> Vec<Finding> {
    let unknown = |message: String| Finding::new(CheckStatus::Unknown, message);
    match data {
        Fetched::Loaded(data) => check(data),
        Fetched::Failed(error) => vec![Finding {
            permission: error.permission.clone(),
            ..unknown(format!("cannot be determined: {error}"))
        }],
        Fetched::Skipped => vec![unknown("not requested".to_owned())],
    }
}

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
    pub ignored: BTreeSet<&'static str>,
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
    /// The name of the document's format.
    pub const FORMAT: &'static str = "riskform.audit/1";

    pub fn new(
        base_url: String,
        ignored: BTreeSet<&'static str>,
        accounts: Vec<AccountAudit>,
        created_at: Timestamp,
        evidence: Evidence,
    ) -> Self {
        let mut summary = AuditTotals::default();
        for account in &accounts {
            summary.failed_accounts += usize::from(account.error.is_some());
            account
                .statuses()
                .values()
                .for_each(|status| summary.add(*status));
        }
        AuditReport {
            format: AuditReport::FORMAT,
            riskform_version: env!("CARGO_PKG_VERSION"),
            base_url,
            created_at,
            evidence,
            ignored,
            accounts,
            summary,
        }
    }

    /// Returns all findings. An account that could not be read has a single one.
    pub fn findings(&self) -> impl Iterator<Item = Finding> {
        self.accounts.iter().flat_map(|account| {
            let unread = account.error.iter().map(|error| {
                let account = CheckedAccount {
                    id: account.account_id.clone(),
                    label: account.label().to_owned(),
                    source: Arc::clone(&account.source),
                };
                Finding::unread(Arc::new(account), error)
            });
            unread.chain(account.findings.iter().cloned())
        })
    }

    /// Returns true if every check of every account passes.
    pub fn is_clean(&self) -> bool {
        let AuditTotals {
            pass: _,
            warn,
            fail,
            unknown,
            failed_accounts,
        } = self.summary;
        warn + fail + unknown + failed_accounts == 0
    }
}

impl AccountAudit {
    /// Creates the result of an account. An account that could not be read has no findings.
    pub fn new(plan: &AccountPlan, findings: Vec<Finding>) -> Self {
        AccountAudit {
            account_id: plan.account_id.clone(),
            name: plan.name.clone(),
            source: Arc::clone(&plan.source),
            status: plan.status,
            error: plan.error.clone(),
            findings,
        }
    }

    /// Returns the name in output: the name of the account, else its ID.
    pub fn label(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.account_id.as_str(),
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

    /// Returns true if a check failed.
    pub fn has_failed(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.status == CheckStatus::Fail)
    }

    /// Returns true if a result is unknown because of a missing permission.
    pub fn lacks_permission(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.permission.is_some())
    }
}

impl AuditTotals {
    pub fn add(&mut self, status: CheckStatus) {
        match status {
            // No check of an audit is information alone.
            CheckStatus::Pass | CheckStatus::Info => self.pass += 1,
            CheckStatus::Warn => self.warn += 1,
            CheckStatus::Fail => self.fail += 1,
            CheckStatus::Unknown => self.unknown += 1,
        }
    }
}
