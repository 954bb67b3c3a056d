//! Doctor report as a table.

use crate::doctor::{CheckStatus, DoctorReport, Finding};
use crate::model::text::{EscapeInvisible, pluralize};

use super::get::table::{Column, grid};

/// Returns the findings if no account was checked. All advice is in the last line.
fn without_accounts(diagnosis: &DoctorReport) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let (status, title) = (finding.status.as_str(), finding.check.as_str());
        let message = EscapeInvisible(&finding.message);
        text.push_str(&format!("{status:<4}  {title:<11}  {message}\n"));
    }
    if let Some(missing) = diagnosis.missing {
        text.push_str(&format!(
            "skip  API, token, permissions, entitlement, rate limit, clock: they need {missing}\n"
        ));
    }
    let helps = diagnosis.findings.iter().rev();
    let helps: Vec<&str> = helps
        .filter_map(|finding| finding.help.as_deref())
        .collect();
    let failed = diagnosis.count(CheckStatus::Fail);
    let help = EscapeInvisible(&helps.join("; ")).to_string();
    text.push_str(&format!("\n{failed} failed. help: {help}\n"));
    text
}

/// Returns the report as a table.
pub fn doctor(diagnosis: &DoctorReport) -> String {
    if diagnosis.accounts.is_empty() {
        return without_accounts(diagnosis);
    }
    let general = || {
        diagnosis
            .findings
            .iter()
            .map(|one| row(one.check.as_str(), one))
    };
    let mut text = match diagnosis.accounts.as_slice() {
        [_] => String::new(),
        _ => rows("CHECK", general()),
    };
    for account in &diagnosis.accounts {
        let separator = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{separator}{}\n\n", account.label));
        let own = account
            .findings
            .iter()
            .map(|one| row(one.check.as_str(), one));
        text.push_str(&match diagnosis.accounts.as_slice() {
            [_] => rows("CHECK", general().chain(own)),
            _ => rows("CHECK", own),
        });
    }
    let counted = |status, noun| pluralize(diagnosis.count(status), noun);
    let (failures, warnings) = (
        counted(CheckStatus::Fail, "failure"),
        counted(CheckStatus::Warn, "warning"),
    );
    let unknown = match diagnosis.count(CheckStatus::Unknown) {
        0 => String::new(),
        unknown => format!(", {unknown} unknown"),
    };
    text.push_str(&format!("\n{failures}, {warnings}{unknown}.\n"));
    text
}

fn rows(what: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let columns = [
        ("", Column::Words),
        (what, Column::Words),
        ("FINDING", Column::Words),
    ];
    grid(&columns, rows)
}

fn row<C>(title: &str, finding: &Finding<C>) -> Vec<String> {
    let mut text = EscapeInvisible(&finding.message).to_string();
    if let Some(help) = &finding.help {
        text.push_str(&format!("\nhelp: {}", EscapeInvisible(help)));
    }
    vec![finding.status.to_string(), title.to_owned(), text]
}
