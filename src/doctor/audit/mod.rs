//! Audit checks: scores are assigned as declared, Access policies use them, and Okta receives them.
//!
//! Each check is a function from the data of an account to a finding, and one line in [`audit_findings`]. Failed reads make a check
//! unknown but do not fail the run.

mod access;
mod files;
mod integrations;

use std::collections::BTreeSet;

use crate::api::Providers;
use crate::model::context::{Access, Fetched};
use crate::model::open_enum::string_enum;
use crate::plan::AccountPlan;

use super::finding::{CheckStatus, Detail, Finding};

use access::{levels, policies};
use files::{ambiguous, behaviors, drift, unlisted};
use integrations::providers;

/// Finding of the audit.
pub type AuditFinding = Finding<AuditCheck>;

string_enum! {
    /// Checks of an audit, with stable ids.
    AuditCheck {
        /// Behaviors declared as enabled are enabled.
        Behaviors = "behaviors",
        /// Every level assigned by an enabled behavior is used by an Access policy.
        Policies = "policies",
        /// Every level used by an Access policy is assigned by an enabled behavior.
        Levels = "levels",
        /// Every active integration references an Okta identity provider with the same tenant.
        Providers = "providers",
        /// No unlisted resources that the files report, disable or delete.
        Unlisted = "unlisted",
        /// No entry is ambiguous.
        Ambiguous = "ambiguous",
        /// No other drift.
        Drift = "drift",
    }
}

impl AuditCheck {
    /// Description of the passing check, as a sentence.
    pub fn description(self) -> &'static str {
        match self {
            AuditCheck::Behaviors => "Behaviors declared as enabled are enabled.",
            AuditCheck::Policies => {
                "Every level assigned by an enabled behavior is used by an Access policy."
            }
            AuditCheck::Levels => {
                "Every level used by an Access policy is assigned by an enabled behavior."
            }
            AuditCheck::Providers => {
                "Every active integration references an Okta identity provider with the same tenant."
            }
            AuditCheck::Unlisted => {
                "No unlisted resources that the files report, disable or delete."
            }
            AuditCheck::Ambiguous => "No entry is ambiguous.",
            AuditCheck::Drift => "No other drift.",
        }
    }
}

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

/// Runs all checks that are not ignored.
pub fn audit_findings(
    evidence: &AuditInput<'_>,
    ignored: &BTreeSet<AuditCheck>,
) -> Vec<AuditFinding> {
    let AuditInput { plan, .. } = evidence;
    let wanted = AuditCheck::ALL
        .iter()
        .filter(|check| !ignored.contains(check));
    wanted
        .map(|check| match check {
            AuditCheck::Behaviors => behaviors(plan),
            AuditCheck::Policies => {
                check_fetched(*check, &evidence.access, |access| policies(plan, access))
            }
            AuditCheck::Levels => {
                check_fetched(*check, &evidence.access, |access| levels(plan, access))
            }
            AuditCheck::Providers => check_fetched(*check, &evidence.identity_providers, |known| {
                providers(plan, known)
            }),
            AuditCheck::Unlisted => unlisted(plan),
            AuditCheck::Ambiguous => ambiguous(plan),
            AuditCheck::Drift => drift(plan),
        })
        .collect()
}

/// Runs a check if its data was read.
fn check_fetched<T>(
    check: AuditCheck,
    reading: &Fetched<T>,
    judge: impl FnOnce(&T) -> AuditFinding,
) -> AuditFinding {
    match reading {
        Fetched::Loaded(value) => judge(value),
        Fetched::Failed(unread) => Finding::unavailable(check, unread),
        Fetched::Skipped => Finding::new(check, CheckStatus::Unknown, "not requested"),
    }
}

/// Returns a finding with the status of its most severe detail.
fn finding_from_details(check: AuditCheck, message: String, details: Vec<Detail>) -> AuditFinding {
    let gravest = details.iter().map(|detail| detail.status).max();
    Finding::new(check, gravest.unwrap_or(CheckStatus::Pass), message).details(details)
}
