//! An audit in every format: a list of checks for one account; for a fleet a table of accounts and checks, then what does not pass.
//!
//! | file | is for |
//! | --- | --- |
//! | `text` | terminals |
//! | `markdown` | comments and job summaries |
//! | `html` | people, as a page |
//! | `junit` | dashboards of tests; SARIF stands beside the others in `sarif` |

mod html;
mod junit;
mod markdown;
mod text;

use crate::doctor::{
    AccountAudit, AuditCheck, AuditFinding, AuditReport, AuditTotals, CheckStatus, Detail,
};
use crate::model::text::{GROUPING_THRESHOLD, count, few};

use super::{AuditFormat, json, sarif};

pub use markdown::markdown as audit_markdown;

/// An audit in a format.
pub fn audit(audit: &AuditReport, format: AuditFormat) -> String {
    match format {
        AuditFormat::Text => text::text(audit),
        AuditFormat::Json => json::document(audit),
        AuditFormat::Markdown => markdown::markdown(audit, super::MAX_COMMENT_BYTES),
        AuditFormat::Html => html::page(audit),
        AuditFormat::Junit => junit::junit(audit),
        AuditFormat::Sarif => sarif::audit(audit),
    }
}

/// What does not pass, told once for all accounts in which it is the same.
struct Group<'a> {
    accounts: Vec<&'a AccountAudit>,
    finding: &'a AuditFinding,
}

/// What does not pass a check, the gravest first.
fn groups(audit: &AuditReport, check: AuditCheck) -> Vec<Group<'_>> {
    let mut alike: Vec<Group<'_>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for account in &audit.accounts {
        let findings = account.findings.iter();
        let findings = findings.filter(|one| one.check == check && one.status != CheckStatus::Pass);
        for finding in findings {
            let details = finding.details.iter();
            let details: Vec<_> = details
                .map(|one| (one.status, &one.about, &one.message))
                .collect();
            let key = (finding.status, &finding.message, details);
            let place = *places.entry(key).or_insert(alike.len());
            match alike.get_mut(place) {
                Some(group) => group.accounts.push(account),
                None => alike.push(Group {
                    accounts: vec![account],
                    finding,
                }),
            }
        }
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    for group in alike {
        if group.accounts.len() >= GROUPING_THRESHOLD {
            groups.push(group);
            continue;
        }
        groups.extend(group.accounts.into_iter().filter_map(|account| {
            let finding = account.findings.iter().find(|one| one.check == check)?;
            let accounts = vec![account];
            Some(Group { accounts, finding })
        }));
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.finding.status));
    groups
}

impl Group<'_> {
    /// The accounts by their names: five, and how many more.
    fn names(&self) -> String {
        few(self.accounts.iter().map(|account| account.label()))
    }

    /// What is to be said one by one.
    fn details(&self) -> impl Iterator<Item = (&Detail, Option<String>)> {
        failing_details(self.finding).map(|detail| (detail, self.location(detail)))
    }

    /// Where something is declared; that differs from account to account.
    fn location(&self, detail: &Detail) -> Option<String> {
        let location = detail.location.as_ref();
        let location = location.filter(|_| self.accounts.len() == 1)?;
        Some(location.to_string())
    }
}

/// What of a finding has to be told one by one.
fn failing_details(finding: &AuditFinding) -> impl Iterator<Item = &Detail> {
    let details = finding.details.iter();
    details.filter(|detail| detail.status != CheckStatus::Pass)
}

/// The accounts of which there is something to tell: those that could not be looked at, then by their gravest finding.
fn accounts_with_findings(audit: &AuditReport) -> Vec<&AccountAudit> {
    let accounts = audit.accounts.iter();
    let mut accounts: Vec<&AccountAudit> = accounts.filter(|one| !one.is_clean()).collect();
    // A stable sort: among equals, the order of the audit stays.
    accounts.sort_by_key(|account| match account.gravest() {
        None => (0, None),
        Some(status) => (1, Some(std::cmp::Reverse(status))),
    });
    accounts
}

/// How an account stands to a check, in a word.
fn standing(account: &AccountAudit, check: AuditCheck) -> Option<CheckStatus> {
    let mut findings = account.findings.iter();
    Some(findings.find(|finding| finding.check == check)?.status)
}

/// The totals, the gravest first; what there is none of is not said.
fn totals(audit: &AuditReport) -> String {
    let AuditTotals {
        pass,
        warn,
        fail,
        unknown,
        failed_accounts,
    } = audit.summary;
    let counted = [
        (fail, format!("{fail} failed")),
        (unknown, format!("{unknown} unknown")),
        (warn, count(warn, "warning")),
        (pass, format!("{pass} passed")),
    ];
    let counted = counted.into_iter().filter(|(number, _)| *number > 0);
    let counted: Vec<String> = counted.map(|(_, text)| text).collect();
    let checks = (!counted.is_empty()).then(|| counted.join(", "));
    let lost = (failed_accounts > 0).then(|| {
        format!(
            "{} could not be looked at",
            count(failed_accounts, "account")
        )
    });
    let ignored: Vec<&str> = audit.ignored.iter().map(|check| check.as_str()).collect();
    let ignored = (!ignored.is_empty()).then(|| format!("ignored: {}", ignored.join(", ")));
    let parts: Vec<String> = [checks, lost, ignored].into_iter().flatten().collect();
    match parts.is_empty() {
        true => "no accounts".to_owned(),
        false => parts.join("; "),
    }
}
