//! Drift as JUnit XML: one suite per account, one case per address, without times, so that equal results give equal bytes.

use std::collections::BTreeSet;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::model::account_error::AccountError;
use crate::model::address::Address;
use crate::plan::{AccountPlan, Run};

use super::display_item::{ChangeMarker, DisplayItem, blocks};
use super::field_lines::FieldLine;
use crate::model::text::EscapeInvisible;

/// Returns drift as JUnit XML.
pub(super) fn junit(document: &Run) -> String {
    let suites = document.accounts.iter().map(|account| {
        let cases = || cases(document, account);
        suite(
            account.label(),
            &account.source,
            account.error.as_ref(),
            cases,
        )
    });
    xml("riskform drift", suites)
}

/// Returns suites as XML.
pub(super) fn xml(name: &str, suites: impl IntoIterator<Item = TestSuite>) -> String {
    let mut report = Report::new(name);
    report.add_test_suites(suites);
    report
        .to_string()
        .expect("what was added is text, and writing into memory does not fail")
}

/// Returns the suite of one account: its cases, or its error.
pub(super) fn suite(
    label: &str,
    source: &str,
    error: Option<&AccountError>,
    cases: impl FnOnce() -> Vec<TestCase>,
) -> TestSuite {
    let mut suite = TestSuite::new(label);
    suite.add_property(("source", EscapeInvisible(source).to_string().as_str()));
    match error {
        Some(error) => suite.add_test_case(unread(error)),
        None => suite.add_test_cases(cases()),
    };
    suite
}

fn unread(error: &AccountError) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(error.kind.as_str());
    status.set_message(EscapeInvisible(&error.message).to_string());
    if let Some(help) = &error.help {
        status.set_description(EscapeInvisible(help).to_string());
    }
    TestCase::new("read", status)
}

fn cases(document: &Run, account: &AccountPlan) -> Vec<TestCase> {
    let mut cases = Vec::new();
    let mut failed = BTreeSet::new();
    for block in blocks(document, account) {
        failed.insert(block.address);
        cases.push(failure(&block));
    }
    for address in &account.excluded {
        if failed.insert(address) {
            cases.push(case(address, TestCaseStatus::skipped()));
        }
    }
    for address in listed(account) {
        if !failed.contains(&address) {
            cases.push(case(&address, TestCaseStatus::success()));
        }
    }
    cases
}

fn failure(block: &DisplayItem<'_>) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(match block.weakening {
        Some(_) => "weaker",
        None if block.mark == ChangeMarker::Ambiguous => "ambiguous",
        None => "drift",
    });
    status.set_message(block.words);
    let declared = block
        .location
        .map(|location| format!("declared at {}", EscapeInvisible(&location.to_string())));
    let fields = block
        .fields
        .iter()
        .map(|line: &FieldLine| format!("{}: {}", line.field, line.as_drift()));
    let lines = block.lines.iter();
    let lines = lines.map(|line| EscapeInvisible(line).to_string());
    let lines: Vec<String> = lines.chain(fields).chain(declared).collect();
    status.set_description(lines.join("\n"));
    case(block.address, status)
}

fn case(address: &Address, status: TestCaseStatus) -> TestCase {
    TestCase::new(EscapeInvisible(&address.to_string()).to_string(), status)
}

/// Returns all addresses in the file of the account.
fn listed(account: &AccountPlan) -> impl Iterator<Item = Address> {
    account.desired.iter().flat_map(|desired| {
        let behaviors = desired.behaviors.keys().cloned().map(Address::Behavior);
        let integrations = desired.integrations.keys().cloned();
        behaviors.chain(integrations.map(Address::Integration))
    })
}
