//! Whether both halves of the control stand: scores are given as declared, Access policies act on them, and Okta hears of them.
//!
//! Each check is a function from what was read of an account to a finding, and one line in [`audit_findings`]. What could not be read makes
//! a check unknown, never the run fail.

mod access;
mod files;
mod integrations;

use std::collections::BTreeSet;

use crate::api::Providers;
use crate::model::context::{Access, Fetched};
use crate::model::open_enum::words;
use crate::plan::AccountPlan;

use super::finding::{CheckStatus, Detail, Finding};
use super::report::SsfDocument;

use access::{levels, policies};
use files::{behaviors, drift, unlisted};
use integrations::{providers, ssf};

/// What the audit's checks find.
pub type AuditFinding = Finding<AuditCheck>;

words! {
    /// The checks of an audit, by their stable ids.
    AuditCheck {
        /// Every behavior declared on is on.
        Behaviors = "behaviors",
        /// A policy acts on each level that an enabled behavior gives.
        Policies = "policies",
        /// No policy waits for a level that no enabled behavior gives.
        Levels = "levels",
        /// Each active integration bears the id of an Okta identity provider, and has its tenant.
        Providers = "providers",
        /// Nothing is live that no file lists, as far as files want to hear of it.
        Unlisted = "unlisted",
        /// Nothing else differs from the files.
        Drift = "drift",
        /// The SSF document of each active integration is sound.
        Ssf = "ssf",
    }
}

impl AuditCheck {
    /// What is looked at, as a sentence that holds where the check passes.
    pub fn sentence(self) -> &'static str {
        match self {
            AuditCheck::Behaviors => "Every behavior declared on is on.",
            AuditCheck::Policies => {
                "An Access policy acts on each level that an enabled behavior gives."
            }
            AuditCheck::Levels => {
                "No Access policy waits for a level that no enabled behavior gives."
            }
            AuditCheck::Providers => {
                "Each active integration bears the id of an Access identity provider for Okta, and its tenant is that provider's."
            }
            AuditCheck::Unlisted => {
                "Nothing unlisted is live that the files want reported, disabled or deleted."
            }
            AuditCheck::Drift => "Nothing else differs from the files.",
            AuditCheck::Ssf => "The SSF document of each active integration is sound.",
        }
    }
}

/// What was read of an account.
#[derive(Debug)]
pub struct AuditInput<'a> {
    /// How the account differs from its file.
    pub plan: &'a AccountPlan,
    /// Its Access policies and groups.
    pub access: Fetched<Access>,
    /// Its identity providers.
    pub identity_providers: Fetched<Providers>,
    /// The SSF documents of its active integrations; `None` where nobody asked for them.
    pub documents: Option<Vec<SsfDocument>>,
}

/// Judges an account that could be read by every check that is not ignored.
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
                known(*check, &evidence.access, |access| policies(plan, access))
            }
            AuditCheck::Levels => known(*check, &evidence.access, |access| levels(plan, access)),
            AuditCheck::Providers => known(*check, &evidence.identity_providers, |known| {
                providers(plan, known)
            }),
            AuditCheck::Unlisted => unlisted(plan),
            AuditCheck::Drift => drift(plan),
            AuditCheck::Ssf => ssf(plan, evidence.documents.as_deref()),
        })
        .collect()
}

/// Judges what could be read.
fn known<T>(
    check: AuditCheck,
    reading: &Fetched<T>,
    judge: impl FnOnce(&T) -> AuditFinding,
) -> AuditFinding {
    match reading {
        Fetched::Read(value) => judge(value),
        Fetched::Failed(unread) => Finding::unread(check, unread),
        Fetched::NotRead => Finding::new(check, CheckStatus::Unknown, "nobody asked"),
    }
}

/// A finding that is as grave as the gravest of its details.
fn finding_from_details(check: AuditCheck, message: String, details: Vec<Detail>) -> AuditFinding {
    let gravest = details.iter().map(|detail| detail.status).max();
    Finding::new(check, gravest.unwrap_or(CheckStatus::Pass), message).details(details)
}
