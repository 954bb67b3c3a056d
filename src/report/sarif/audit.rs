//! Audit as SARIF: one rule per check, each finding at the line of the declaration, else at the file.
//!
//! Unknown results and failed accounts are notifications, not findings (SARIF, section 3.58).

use serde_json::json;

use crate::doctor::{AccountAudit, AuditCheck, AuditFinding, AuditReport, CheckStatus, Detail};
use crate::plan::sha256;

use super::{
    Configuration, Finding, Notification, Region, ReportingDescriptor, location, log, message,
};

/// Returns an audit as SARIF.
pub(in crate::report) fn sarif(audit: &AuditReport) -> String {
    let findings = || {
        let accounts = audit.accounts.iter();
        accounts.flat_map(|account| account.findings.iter().map(move |one| (account, one)))
    };
    let failed = audit.accounts.iter().filter_map(|account| {
        let error = account.error.as_ref()?;
        let text = format!(
            "{} could not be checked: {}",
            account.label(),
            error.message
        );
        Some(notification(account, "error", &text))
    });
    let unknown = findings().filter(|(_, finding)| finding.status == CheckStatus::Unknown);
    let unknown = unknown.map(|(account, finding)| {
        let text = format!(
            "{}: {}: {}",
            account.label(),
            finding.check,
            finding.message
        );
        notification(account, "warning", &text)
    });
    log(
        audit.riskform_version,
        AuditCheck::ALL.iter().copied().map(descriptor).collect(),
        findings()
            .flat_map(|(account, finding)| results(account, finding))
            .collect(),
        failed.chain(unknown).collect(),
    )
}

fn descriptor(check: AuditCheck) -> ReportingDescriptor {
    ReportingDescriptor {
        id: check.as_str(),
        short_description: message(check.description()),
        help: None,
        default_configuration: Configuration { level: "error" },
    }
}

/// Returns one result per detail of a finding, or one for the finding.
fn results(account: &AccountAudit, finding: &AuditFinding) -> Vec<Finding> {
    let details = finding.details.iter();
    let results: Vec<Finding> = details
        .filter_map(|detail| result(account, finding, detail.status, Some(detail)))
        .collect();
    if results.is_empty() {
        result(account, finding, finding.status, None)
            .into_iter()
            .collect()
    } else {
        results
    }
}

fn result(
    account: &AccountAudit,
    finding: &AuditFinding,
    status: CheckStatus,
    detail: Option<&Detail>,
) -> Option<Finding> {
    let level = match status {
        CheckStatus::Fail => "error",
        CheckStatus::Warn => "warning",
        CheckStatus::Pass | CheckStatus::Info | CheckStatus::Unknown => return None,
    };
    let subject = detail.map_or("", |detail| &detail.subject);
    let text = match detail {
        Some(detail) => format!("{}/{subject}: {}", account.label(), detail.message),
        None => format!("{}: {}", account.label(), finding.message),
    };
    let place = detail.and_then(|detail| detail.location.as_ref());
    let region = place.map(|place| Region {
        start_line: place.line,
        start_column: place.column,
        end_column: None,
    });
    let file = place.map_or(&account.source, |place| &place.file);
    // The fingerprint is stable between runs, even if the line moves.
    let identity = json!([account.account_id, finding.check, subject]);
    Some(Finding {
        rule_id: finding.check.as_str(),
        rule_index: finding.check as usize,
        level,
        message: message(&text),
        locations: [location(file, region)],
        related_locations: Vec::new(),
        partial_fingerprints: Some(json!({ "riskform/v1": sha256(&identity) })),
    })
}

fn notification(account: &AccountAudit, level: &'static str, text: &str) -> Notification {
    Notification {
        level,
        message: message(text),
        locations: [location(&account.source, None)],
    }
}
