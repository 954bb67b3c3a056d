//! Audit as text: most severe first, totals last; readable without color at any width.

use std::fmt::Write;

use anstyle::Style;

use crate::doctor::{AccountAudit, AuditCheck, AuditFinding, AuditReport, CheckStatus, Detail};
use crate::model::text::{EscapeInvisible, pluralize};
use crate::report::style;

use super::{accounts_with_findings, failing_details, groups, standing, totals};

/// Maximum details shown per finding. Other formats have all.
const MAX_DETAILS: usize = 10;

/// Returns an audit as text.
pub(super) fn text(audit: &AuditReport) -> String {
    let mut text = String::new();
    let bold = style::HEADING;
    match audit.accounts.as_slice() {
        // The error of a single account is reported as the error of the run.
        [account] if account.error.is_some() => return text,
        [account] => {
            heading(&mut text, account);
            account
                .findings
                .iter()
                .for_each(|one| write_finding(&mut text, one));
        }
        _ => write_fleet(&mut text, audit),
    }
    let _ = writeln!(text, "\n{bold}Audit:{bold:#} {}.", totals(audit));
    text
}

fn heading(text: &mut String, account: &AccountAudit) {
    let bold = style::HEADING;
    let _ = match &account.name {
        Some(name) => write!(
            text,
            "{bold}{name}{bold:#} ({})",
            account.account_id.abbreviated()
        ),
        None => write!(text, "{bold}{}{bold:#}", account.account_id),
    };
    let _ = writeln!(text, "  {}\n", EscapeInvisible(&account.source));
}

/// Writes a finding of a single account.
fn write_finding(text: &mut String, finding: &AuditFinding) {
    let message = EscapeInvisible(&finding.message);
    let _ = writeln!(
        text,
        "  {}  {}: {message}",
        word(finding.status),
        finding.check
    );
    let details = failing_details(finding).map(|detail| {
        let location = detail.location.as_ref().map(ToString::to_string);
        (detail, location)
    });
    below(text, details, finding.help.as_deref());
}

fn write_fleet(text: &mut String, audit: &AuditReport) {
    let bold = style::HEADING;
    let rows = accounts_with_findings(audit);
    if !rows.is_empty() {
        table(text, audit, &rows);
    }
    let clean = audit.accounts.len() - rows.len();
    if clean > 0 {
        let verb = if clean == 1 { "passes" } else { "pass" };
        let _ = writeln!(text, "{} {verb} every check.", pluralize(clean, "account"));
    }
    for account in rows {
        let Some(error) = &account.error else {
            continue;
        };
        text.push('\n');
        heading(text, account);
        let red = style::ERROR;
        let lines: Vec<String> = error
            .message
            .lines()
            .map(|line| EscapeInvisible(line).to_string())
            .collect();
        let _ = writeln!(text, "  {red}error{red:#}: {}", lines.join("\n    "));
        if let Some(help) = &error.help {
            let _ = writeln!(text, "  help: {}", EscapeInvisible(help));
        }
    }
    for check in audit.checks() {
        let groups = groups(audit, check);
        if groups.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{bold}{check}{bold:#}: {}\n", check.description());
        for group in groups {
            let message = EscapeInvisible(&group.finding.message);
            let status = word(group.finding.status);
            let _ = writeln!(text, "  {status}  {}: {message}", group.names());
            below(text, group.details(), group.finding.help.as_deref());
        }
    }
}

/// Writes the table of accounts with findings: one row per account, one column per check.
fn table(text: &mut String, audit: &AuditReport, rows: &[&AccountAudit]) {
    let label = |account: &AccountAudit| match &account.name {
        Some(name) => name.to_string(),
        None => account.account_id.abbreviated(),
    };
    let width = rows.iter().map(|account| label(account).chars().count());
    let width = width.chain(["ACCOUNT".len()]).max().unwrap_or_default();
    // Padding is written before the next column, so that no line ends with spaces.
    let mut gap = width - "ACCOUNT".len() + GAP;
    text.push_str("ACCOUNT");
    for check in audit.checks() {
        let title = check.as_str().to_uppercase();
        let _ = write!(text, "{:gap$}{title}", "");
        gap = column(check) - title.len() + GAP;
    }
    text.push('\n');
    for account in rows {
        let label = label(account);
        let mut gap = width - label.chars().count() + GAP;
        text.push_str(&label);
        if account.error.is_some() {
            let red = style::ERROR;
            let _ = write!(text, "{:gap$}{red}could not be checked{red:#}", "");
        } else {
            for check in audit.checks() {
                let status = standing(account, check).unwrap_or(CheckStatus::Pass);
                let color = color(status);
                let _ = write!(text, "{:gap$}{color}{status}{color:#}", "");
                gap = column(check) - status.as_str().len() + GAP;
            }
        }
        text.push('\n');
    }
}

/// Spaces between columns.
const GAP: usize = 2;

/// Returns the width of a column: its title or the longest status.
fn column(check: AuditCheck) -> usize {
    check
        .as_str()
        .len()
        .max(CheckStatus::Unknown.as_str().len())
}

/// Returns a status, padded.
fn word(status: CheckStatus) -> String {
    let color = color(status);
    format!("{color}{status:7}{color:#}")
}

fn color(status: CheckStatus) -> Style {
    match status {
        CheckStatus::Pass => style::SUCCESS,
        CheckStatus::Info => style::DIM,
        CheckStatus::Warn | CheckStatus::Unknown => style::WARNING,
        CheckStatus::Fail => style::ERROR,
    }
}

/// Writes the details and the help of a finding.
fn below<'a>(
    text: &mut String,
    details: impl Iterator<Item = (&'a Detail, Option<String>)>,
    help: Option<&str>,
) {
    let details: Vec<_> = details.collect();
    for (detail, location) in details.iter().take(MAX_DETAILS) {
        let (subject, message) = (
            EscapeInvisible(&detail.subject),
            EscapeInvisible(&detail.message),
        );
        let _ = write!(text, "           {subject}: {message}");
        if let Some(location) = location {
            let _ = write!(text, "  {}", EscapeInvisible(location));
        }
        text.push('\n');
    }
    let more = details.len().saturating_sub(MAX_DETAILS);
    if more > 0 {
        let _ = writeln!(text, "           and {more} more (see --format json)");
    }
    if let Some(help) = help {
        let _ = writeln!(text, "           help: {}", EscapeInvisible(help));
    }
}
