//! Audit as Markdown: totals, the table, and findings by check.
//!
//! Untrusted text is inside a fenced block, where every line starts with fixed text, or inside `<code>`. Output over the limit is
//! truncated at the least severe end, with a notice.

use std::fmt::Write;

use crate::doctor::{AuditReport, CheckStatus};
use crate::model::text::{one_line, pluralize};
use crate::report::markdown::code;

use super::{Group, accounts_with_findings, groups, standing, totals};

/// Bytes reserved for the truncation notice.
const TRUNCATION_NOTICE_BYTES: usize = 512;

/// Returns an audit as Markdown of at most `limit` bytes.
pub fn markdown(audit: &AuditReport, limit: usize) -> String {
    let mut text = format!("### riskform audit: {}\n\n", totals(audit));
    let room = limit.saturating_sub(TRUNCATION_NOTICE_BYTES);
    let cut_rows = table(&mut text, audit, room);
    let mut cut = 0;
    for status in [CheckStatus::Fail, CheckStatus::Unknown, CheckStatus::Warn] {
        for section in sections(audit, status) {
            if cut == 0 && text.len() + section.len() <= room {
                text.push_str(&section);
            } else {
                cut += 1;
            }
        }
    }
    if cut_rows + cut > 0 {
        let _ = writeln!(
            text,
            "**Truncated:** {} of the table and {} with less severe findings are not shown. See the text or JSON output.",
            pluralize(cut_rows, "row"),
            pluralize(cut, "section")
        );
    }
    text
}

/// Writes the table of accounts with findings. Returns the number of omitted rows.
fn table(text: &mut String, audit: &AuditReport, room: usize) -> usize {
    let rows = accounts_with_findings(audit);
    let clean = audit.accounts.len() - rows.len();
    if clean > 0 {
        let verb = if clean == 1 { "passes" } else { "pass" };
        let _ = writeln!(
            text,
            "{} {verb} every check.\n",
            pluralize(clean, "account")
        );
    }
    if rows.is_empty() {
        return 0;
    }
    let checks: Vec<&str> = audit.checks().map(|check| check.as_str()).collect();
    let _ = writeln!(text, "| account | {} |", checks.join(" | "));
    let _ = writeln!(text, "| --- |{}", " --- |".repeat(checks.len()));
    let mut cut = 0;
    for account in rows {
        let mut row = format!("| {}", code(account.label()));
        if account.name.is_some() {
            let _ = write!(row, " ({})", code(account.account_id.as_str()));
        }
        match &account.error {
            Some(_) => {
                let empty = " |".repeat(checks.len().saturating_sub(1));
                let _ = writeln!(row, " | **could not be checked** |{empty}");
            }
            None => {
                for check in audit.checks() {
                    let _ = match standing(account, check) {
                        Some(CheckStatus::Fail) => write!(row, " | **fail**"),
                        Some(status) => write!(row, " | {status}"),
                        None => write!(row, " |"),
                    };
                }
                row.push_str(" |\n");
            }
        }
        if cut == 0 && text.len() + row.len() <= room {
            text.push_str(&row);
        } else {
            cut += 1;
        }
    }
    text.push('\n');
    cut
}

/// Returns one section per check. The first includes the accounts that could not be checked.
fn sections(audit: &AuditReport, status: CheckStatus) -> Vec<String> {
    let mut sections = Vec::new();
    if status == CheckStatus::Fail {
        let failed = audit.accounts.iter().filter_map(|account| {
            let error = account.error.as_ref()?;
            let mut lines = format!(
                "- {}: error: {}\n",
                account.label(),
                one_line(&error.message)
            );
            if let Some(help) = &error.help {
                let _ = writeln!(lines, "      help: {}", one_line(help));
            }
            Some(lines)
        });
        let failed: String = failed.collect();
        if !failed.is_empty() {
            sections.push(fenced("Accounts that could not be checked", &failed));
        }
    }
    for check in audit.checks() {
        let groups = groups(audit, check);
        let groups: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.finding.status == status)
            .collect();
        if !groups.is_empty() {
            let lines: String = groups.iter().map(|group| lines(audit, group)).collect();
            let title = format!("<b>{check}</b>: {}", check.description());
            sections.push(fenced(&title, &lines));
        }
    }
    sections
}

fn fenced(title: &str, lines: &str) -> String {
    format!("<details open><summary>{title}</summary>\n\n```diff\n{lines}```\n\n</details>\n\n")
}

fn lines(audit: &AuditReport, group: &Group<'_>) -> String {
    // Diff symbols, for color only; the text says the same.
    let symbol = match group.finding.status {
        CheckStatus::Fail => "-",
        CheckStatus::Unknown | CheckStatus::Warn => "!",
        CheckStatus::Info | CheckStatus::Pass => "#",
    };
    let whose = match audit.accounts.as_slice() {
        [_] => String::new(),
        _ => format!("{}: ", group.names()),
    };
    let status = group.finding.status;
    let mut lines = format!(
        "{symbol} {status}: {whose}{}\n",
        one_line(&group.finding.message)
    );
    for (detail, location) in group.details() {
        let (subject, message) = (one_line(&detail.subject), one_line(&detail.message));
        let _ = write!(lines, "      {} {subject}: {message}", detail.status);
        if let Some(location) = location {
            let _ = write!(lines, " ({})", one_line(&location));
        }
        lines.push('\n');
    }
    if let Some(help) = &group.finding.help {
        let _ = writeln!(lines, "      help: {}", one_line(help));
    }
    lines
}
