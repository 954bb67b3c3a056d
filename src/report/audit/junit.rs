//! Audit as JUnit XML: one suite per account, one case per check, without times, so that equal results give equal bytes.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus};

use crate::doctor::{AuditFinding, AuditReport, CheckStatus};
use crate::model::text::EscapeInvisible;

use super::failing_details;
use crate::report::junit::{suite, xml};

/// Returns an audit as JUnit XML.
pub(super) fn junit(audit: &AuditReport) -> String {
    let suites = audit.accounts.iter().map(|account| {
        let cases = || account.findings.iter().map(case).collect();
        suite(
            account.label(),
            &account.source,
            account.error.as_ref(),
            cases,
        )
    });
    xml("riskform audit", suites)
}

/// Maps a warning to a success with output, and an unknown result to an error if a permission is missing. Other unknown results are
/// omitted.
fn case(finding: &AuditFinding) -> TestCase {
    let message = EscapeInvisible(&finding.message).to_string();
    let text = details(finding);
    let mut status = match finding.status {
        CheckStatus::Pass | CheckStatus::Info | CheckStatus::Warn => TestCaseStatus::success(),
        CheckStatus::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        CheckStatus::Unknown if finding.permission.is_some() => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
        CheckStatus::Unknown => TestCaseStatus::skipped(),
    };
    if let TestCaseStatus::NonSuccess { .. } = &status {
        status.set_type(finding.status.as_str());
    }
    match &status {
        TestCaseStatus::Success { .. } => {
            let mut case = TestCase::new(finding.check.as_str(), status);
            if finding.status == CheckStatus::Warn {
                case.set_system_out(format!("warn: {message}\n{text}"));
            }
            case
        }
        TestCaseStatus::NonSuccess { .. } | TestCaseStatus::Skipped { .. } => {
            status.set_message(message);
            if !text.is_empty() {
                status.set_description(text);
            }
            TestCase::new(finding.check.as_str(), status)
        }
    }
}

fn details(finding: &AuditFinding) -> String {
    let details = failing_details(finding).map(|detail| {
        let (subject, message) = (
            EscapeInvisible(&detail.subject),
            EscapeInvisible(&detail.message),
        );
        match &detail.location {
            Some(location) => {
                let location = location.to_string();
                format!(
                    "{subject}: {message} (declared at {})",
                    EscapeInvisible(&location)
                )
            }
            None => format!("{subject}: {message}"),
        }
    });
    let help = finding
        .help
        .iter()
        .map(|help| format!("help: {}", EscapeInvisible(help)));
    details.chain(help).collect::<Vec<_>>().join("\n")
}
