//! Doctor report as a table and as JSON.

use crate::doctor::{CheckStatus, DoctorReport, Finding, SsfDocument};
use crate::model::text::{EscapeInvisible, pluralize};

use super::DoctorFormat;
use super::get::json;
use super::get::table::{Column, grid};

/// Returns the report in a format.
pub fn doctor(diagnosis: &DoctorReport, format: DoctorFormat) -> String {
    match format {
        DoctorFormat::Table => table(diagnosis),
        DoctorFormat::Json => json(diagnosis),
    }
}

fn table(diagnosis: &DoctorReport) -> String {
    let general = || {
        diagnosis
            .findings
            .iter()
            .map(|one| row(one.check.title(), one))
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
            .map(|one| row(one.check.title(), one));
        text.push_str(&match diagnosis.accounts.as_slice() {
            [_] => rows("CHECK", general().chain(own)),
            _ => rows("CHECK", own),
        });
        for one in &account.ssf {
            text.push_str(&document(one));
        }
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

fn document(document: &SsfDocument) -> String {
    let SsfDocument {
        integration_id,
        tenant_url,
        findings,
    } = document;
    let findings = findings.iter().map(|one| row(one.check.as_str(), one));
    format!(
        "\nSSF document of integration {integration_id} ({})\n\n{}",
        EscapeInvisible(tenant_url),
        rows("RULE", findings)
    )
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
