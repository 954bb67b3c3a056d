//! An audit as JUnit XML: a suite for each account, a case for each check. Without times, so that equal results give equal bytes.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus};

use crate::doctor::{Audit, AuditFinding, Standing};
use crate::model::text::Visible;

use super::not_passing;
use crate::report::junit::{suite, xml};

/// An audit as JUnit XML.
pub(super) fn junit(audit: &Audit) -> String {
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

/// A warning is a success that says something; what can't be told is an error where a permission would tell, else left out.
fn case(finding: &AuditFinding) -> TestCase {
    let message = Visible(&finding.message).to_string();
    let text = details(finding);
    let mut status = match finding.status {
        Standing::Pass | Standing::Info | Standing::Warn => TestCaseStatus::success(),
        Standing::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Standing::Unknown if finding.permission.is_some() => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
        Standing::Unknown => TestCaseStatus::skipped(),
    };
    if let TestCaseStatus::NonSuccess { .. } = &status {
        status.set_type(finding.status.as_str());
    }
    match &status {
        TestCaseStatus::Success { .. } => {
            let mut case = TestCase::new(finding.check.as_str(), status);
            if finding.status == Standing::Warn {
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
    let details = not_passing(finding).map(|detail| {
        let (about, message) = (Visible(&detail.about), Visible(&detail.message));
        match &detail.location {
            Some(location) => {
                let location = location.to_string();
                format!("{about}: {message} (declared at {})", Visible(&location))
            }
            None => format!("{about}: {message}"),
        }
    });
    let help = finding
        .help
        .iter()
        .map(|help| format!("help: {}", Visible(help)));
    details.chain(help).collect::<Vec<_>>().join("\n")
}
