//! Audit in every format: a list of checks for one account; for a fleet a table, then the findings.
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
use crate::model::text::{GROUPING_THRESHOLD, abbreviate_list, pluralize};

use super::{AuditFormat, json, sarif};

pub use markdown::markdown as audit_markdown;

/// Returns an audit in a format.
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

/// A finding shared by accounts.
struct Group<'a> {
    accounts: Vec<&'a AccountAudit>,
    finding: &'a AuditFinding,
}

/// Returns the findings of a check that do not pass, most severe first.
fn groups(audit: &AuditReport, check: AuditCheck) -> Vec<Group<'_>> {
    let mut alike: Vec<Group<'_>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for account in &audit.accounts {
        let findings = account.findings.iter();
        let findings = findings.filter(|one| one.check == check && one.status != CheckStatus::Pass);
        for finding in findings {
            let details = finding.details.iter();
            let details: Vec<_> = details
                .map(|one| (one.status, &one.subject, &one.message))
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
    /// Returns the first five names and the number of the rest.
    fn names(&self) -> String {
        abbreviate_list(self.accounts.iter().map(|account| account.label()))
    }

    /// Returns the details that do not pass.
    fn details(&self) -> impl Iterator<Item = (&Detail, Option<String>)> {
        failing_details(self.finding).map(|detail| (detail, self.location(detail)))
    }

    /// Returns the location of a detail, if the group has one account.
    fn location(&self, detail: &Detail) -> Option<String> {
        let location = detail.location.as_ref();
        let location = location.filter(|_| self.accounts.len() == 1)?;
        Some(location.to_string())
    }
}

/// Returns the details that do not pass.
fn failing_details(finding: &AuditFinding) -> impl Iterator<Item = &Detail> {
    let details = finding.details.iter();
    details.filter(|detail| detail.status != CheckStatus::Pass)
}

/// Returns accounts with findings: those that could not be checked, then by most severe finding.
fn accounts_with_findings(audit: &AuditReport) -> Vec<&AccountAudit> {
    let accounts = audit.accounts.iter();
    let mut accounts: Vec<&AccountAudit> = accounts.filter(|one| !one.is_clean()).collect();
    // A stable sort keeps the order of the audit.
    accounts.sort_by_key(|account| match account.worst_status() {
        None => (0, None),
        Some(status) => (1, Some(std::cmp::Reverse(status))),
    });
    accounts
}

/// Returns the status of a check in an account.
fn standing(account: &AccountAudit, check: AuditCheck) -> Option<CheckStatus> {
    let mut findings = account.findings.iter();
    Some(findings.find(|finding| finding.check == check)?.status)
}

/// Returns the totals, most severe first, without zeros.
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
        (warn, pluralize(warn, "warning")),
        (pass, format!("{pass} passed")),
    ];
    let counted = counted.into_iter().filter(|(number, _)| *number > 0);
    let counted: Vec<String> = counted.map(|(_, text)| text).collect();
    let checks = (!counted.is_empty()).then(|| counted.join(", "));
    let lost = (failed_accounts > 0).then(|| {
        format!(
            "{} could not be checked",
            pluralize(failed_accounts, "account")
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
