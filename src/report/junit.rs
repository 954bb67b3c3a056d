//! Drift as JUnit XML: a suite for each account, a case for each address. Without times, so that equal results give equal bytes.

use std::collections::BTreeSet;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::model::address::Address;
use crate::plan::{AccountPlan, Run};

use super::block::{Block, blocks};
use super::fields::FieldLine;
use crate::model::text::Visible;

/// Drift as JUnit XML.
pub(super) fn junit(document: &Run) -> String {
    let mut report = Report::new("riskform drift");
    for account in &document.accounts {
        report.add_test_suite(suite(document, account));
    }
    report
        .to_string()
        .expect("what was added is text, and writing into memory does not fail")
}

fn suite(document: &Run, account: &AccountPlan) -> TestSuite {
    let mut suite = TestSuite::new(account.label());
    suite.add_property(("source", Visible(&account.source).to_string().as_str()));
    if let Some(error) = &account.error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(error.kind.as_str());
        status.set_message(Visible(&error.message).to_string());
        if let Some(help) = &error.help {
            status.set_description(Visible(help).to_string());
        }
        suite.add_test_case(TestCase::new("read", status));
        return suite;
    }
    let mut failed = BTreeSet::new();
    for block in blocks(document, account) {
        failed.insert(block.address);
        suite.add_test_case(failure(&block));
    }
    for address in &account.left_out {
        if failed.insert(address) {
            suite.add_test_case(case(address, TestCaseStatus::skipped()));
        }
    }
    for address in listed(account) {
        if !failed.contains(&address) {
            suite.add_test_case(case(&address, TestCaseStatus::success()));
        }
    }
    suite
}

fn failure(block: &Block<'_>) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(if block.weakening.is_some() {
        "weaker"
    } else {
        "drift"
    });
    status.set_message(block.words);
    let declared = block
        .location
        .map(|location| format!("declared at {}", Visible(&location.to_string())));
    let fields = block
        .fields
        .iter()
        .map(|line: &FieldLine| format!("{}: {}", line.field, line.as_found()));
    let lines: Vec<String> = fields.chain(declared).collect();
    status.set_description(lines.join("\n"));
    case(block.address, status)
}

fn case(address: &Address, status: TestCaseStatus) -> TestCase {
    TestCase::new(Visible(&address.to_string()).to_string(), status)
}

/// Everything that the account's file lists.
fn listed(account: &AccountPlan) -> impl Iterator<Item = Address> {
    account.desired.iter().flat_map(|desired| {
        let behaviors = desired.behaviors.keys().cloned().map(Address::Behavior);
        let integrations = desired.integrations.keys().cloned();
        behaviors.chain(integrations.map(Address::Integration))
    })
}
