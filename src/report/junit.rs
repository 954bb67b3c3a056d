//! Findings as JUnit XML: one suite per account, without times, so that equal results give equal bytes.

use std::fmt::Write;

use crate::model::finding::{CheckStatus, Finding};
use crate::model::text::{escape_lines, one_line};

/// Elements of the outcomes of a test case, in rising severity.
const ELEMENTS: [&str; 4] = ["system-out", "skipped", "error", "failure"];

/// Returns the index of the outcome. An unknown result is an error if the account or a permission is missing.
fn outcome(finding: &Finding) -> usize {
    let is_missing = finding.permission.is_some() || finding.check == Finding::READ;
    match finding.status {
        CheckStatus::Pass | CheckStatus::Warn => 0,
        CheckStatus::Unknown if is_missing => 2,
        CheckStatus::Info | CheckStatus::Unknown => 1,
        CheckStatus::Fail => 3,
    }
}

/// Returns findings as JUnit XML. Adjacent findings of an account with the same case name are one test case.
pub(super) fn junit(name: &str, findings: &[Finding], case: fn(&Finding) -> &str) -> String {
    let mut all = Vec::new();
    let mut suites = String::new();
    for suite in findings.chunk_by(|a, b| a.account == b.account) {
        let account = suite[0].account.as_ref();
        let label = escaped(account.map_or("riskform", |account| account.label()));
        let mut outcomes = Vec::new();
        let mut cases = String::new();
        for findings in suite.chunk_by(|a, b| case(a) == case(b)) {
            let outcome = findings.iter().map(outcome).max().unwrap_or_default();
            let name = escaped(case(&findings[0]));
            let result = result(findings, outcome);
            let _ = writeln!(
                cases,
                "    <testcase name=\"{name}\" classname=\"{label}\"{result}"
            );
            outcomes.push(outcome);
        }
        let counts = counts(&outcomes);
        let source = escaped(account.map_or("", |account| &account.source));
        let _ = write!(
            suites,
            "  <testsuite name=\"{label}\"{counts}>\n    <properties>\n      <property name=\"source\" value=\"{source}\"/>\n    </properties>\n{cases}  </testsuite>\n"
        );
        all.extend(outcomes);
    }
    let (name, counts) = (escaped(name), counts(&all));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\"{counts}>\n{suites}</testsuites>\n"
    )
}

/// Returns the rest of a test case: the findings that have the outcome.
fn result(findings: &[Finding], outcome: usize) -> String {
    let shown = findings.iter();
    let shown =
        shown.filter(|one| self::outcome(one) == outcome && one.status != CheckStatus::Pass);
    let shown: Vec<&Finding> = shown.collect();
    let Some(first) = shown.first() else {
        return "/>".to_owned();
    };
    let mut lines: Vec<String> = shown.iter().flat_map(|finding| lines(finding)).collect();
    let message = escaped(&one_line(&first.message));
    let attributes = match ELEMENTS[outcome] {
        "system-out" => {
            lines[0].insert_str(0, "warn: ");
            String::new()
        }
        "skipped" => format!(" message=\"{message}\""),
        _ => format!(" message=\"{message}\" type=\"{}\"", first.check),
    };
    if shown.len() == 1 && !attributes.is_empty() {
        // The attribute has the message.
        lines.remove(0);
    }
    let (element, text) = (ELEMENTS[outcome], escaped(&lines.join("\n")));
    format!(">\n      <{element}{attributes}>{text}</{element}>\n    </testcase>")
}

/// Returns message, details, location and help, one per line.
fn lines(finding: &Finding) -> Vec<String> {
    let location = finding.location.iter();
    let location = location.map(|location| format!("declared at {location}"));
    let help = finding.help.iter().map(|help| format!("help: {help}"));
    let message = std::iter::once(finding.message.clone());
    let lines = message.chain(finding.details.iter().cloned());
    let lines = lines.chain(location).chain(help);
    lines.map(|line| one_line(&line)).collect()
}

fn counts(outcomes: &[usize]) -> String {
    let count = |element: &str| {
        let same = outcomes.iter().filter(|one| ELEMENTS[**one] == element);
        same.count()
    };
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        outcomes.len(),
        count("failure"),
        count("error"),
        count("skipped")
    )
}

/// Returns text for an XML attribute or element. Characters that XML forbids are invisible ones.
fn escaped(text: &str) -> String {
    escape_lines(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
