//! Findings as JUnit XML: one suite per account, without times, so that equal results give equal bytes.

use std::fmt::Write;

use crate::model::finding::{CheckStatus, Finding};
use crate::model::text::{EscapeInvisible, one_line};

/// Result of a test case, in rising severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Success,
    Skipped,
    Error,
    Failure,
}

impl Outcome {
    /// Returns the outcome of a finding. An unknown result is an error if the account or a permission is missing.
    fn of(finding: &Finding) -> Self {
        match finding.status {
            CheckStatus::Pass | CheckStatus::Warn => Outcome::Success,
            CheckStatus::Info => Outcome::Skipped,
            CheckStatus::Unknown
                if finding.permission.is_some() || finding.check == Finding::READ =>
            {
                Outcome::Error
            }
            CheckStatus::Unknown => Outcome::Skipped,
            CheckStatus::Fail => Outcome::Failure,
        }
    }
}

/// Returns findings as JUnit XML. Adjacent findings of an account with the same case name are one test case.
pub(super) fn junit(name: &str, findings: &[Finding], case: fn(&Finding) -> &str) -> String {
    let mut all = Vec::new();
    let mut suites = String::new();
    for suite in findings.chunk_by(|a, b| a.account == b.account) {
        let account = suite[0].account.as_ref();
        let label = account.map_or("riskform", |account| account.label.as_str());
        let mut outcomes = Vec::new();
        let mut cases = String::new();
        for findings in suite.chunk_by(|a, b| case(a) == case(b)) {
            let name = case(&findings[0]);
            outcomes.push(write_case(&mut cases, label, name, findings));
        }
        let source = account.map_or("", |account| &account.source);
        let _ = write!(
            suites,
            "  <testsuite name=\"{}\"{}>\n    <properties>\n      <property name=\"source\" value=\"{}\"/>\n    </properties>\n{cases}  </testsuite>\n",
            escaped(label),
            counts(&outcomes),
            escaped(source)
        );
        all.extend(outcomes);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\"{}>\n{suites}</testsuites>\n",
        escaped(name),
        counts(&all)
    )
}

/// Writes a test case with the most severe outcome of its findings.
fn write_case(xml: &mut String, label: &str, name: &str, findings: &[Finding]) -> Outcome {
    let outcomes = findings.iter().map(Outcome::of);
    let outcome = outcomes.max().unwrap_or(Outcome::Success);
    let shown = findings.iter();
    let shown = shown.filter(|finding| Outcome::of(finding) == outcome);
    let shown: Vec<&Finding> = shown
        .filter(|finding| finding.status != CheckStatus::Pass)
        .collect();
    let mut lines: Vec<String> = shown.iter().flat_map(|finding| lines(finding)).collect();
    if shown.len() == 1 && outcome != Outcome::Success {
        // The attribute has the message.
        lines.remove(0);
    }
    let text = escaped(&lines.join("\n"));
    let _ = write!(
        xml,
        "    <testcase name=\"{}\" classname=\"{}\"",
        escaped(name),
        escaped(label)
    );
    let Some(first) = shown.first() else {
        xml.push_str("/>\n");
        return outcome;
    };
    let element = match outcome {
        Outcome::Success => {
            let _ = write!(
                xml,
                ">\n      <system-out>warn: {text}</system-out>\n    </testcase>\n"
            );
            return outcome;
        }
        Outcome::Skipped => "skipped",
        Outcome::Error => "error",
        Outcome::Failure => "failure",
    };
    let kind = match outcome {
        Outcome::Skipped => String::new(),
        _ => format!(" type=\"{}\"", first.check),
    };
    let _ = write!(
        xml,
        ">\n      <{element} message=\"{}\"{kind}>{text}</{element}>\n    </testcase>\n",
        escaped(&one_line(&first.message))
    );
    outcome
}

/// Returns message, details, location and help, one per line.
fn lines(finding: &Finding) -> Vec<String> {
    let location = finding.location.iter();
    let location = location.map(|location| format!("declared at {location}"));
    let help = finding.help.iter().map(|help| format!("help: {help}"));
    std::iter::once(finding.message.clone())
        .chain(finding.details.iter().cloned())
        .chain(location)
        .chain(help)
        .map(|line| one_line(&line))
        .collect()
}

fn counts(outcomes: &[Outcome]) -> String {
    let count = |which| outcomes.iter().filter(|outcome| **outcome == which).count();
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        outcomes.len(),
        count(Outcome::Failure),
        count(Outcome::Error),
        count(Outcome::Skipped)
    )
}

/// Returns text for an XML attribute or element. Characters that XML forbids are invisible ones.
fn escaped(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| EscapeInvisible(line).to_string())
        .collect();
    lines
        .join("\n")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
