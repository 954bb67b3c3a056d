//! Findings for people: the list of a doctor, and an audit as text, Markdown and HTML. Equal findings of several accounts are shown once.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};

use crate::doctor::{AUDIT_CHECKS, AuditReport, AuditTotals};
use crate::model::finding::{AccountError, CheckStatus, Finding};
use crate::model::text::{
    EscapeInvisible, GROUPING_THRESHOLD, abbreviate_list, one_line, pluralize,
};

use super::html::{STYLE, render};
use super::markdown::code;
use super::style;

/// A finding and the accounts that share it.
struct Group<'a> {
    accounts: Vec<&'a str>,
    finding: &'a Finding,
    message: String,
}

/// Groups findings that at least three accounts share. The groups are in the order of the checks.
fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    const MASKED: &str = "integration[ID]";
    let mut shared: Vec<(String, Vec<&Finding>)> = Vec::new();
    let mut places = HashMap::new();
    let mut checks: Vec<&str> = Vec::new();
    for finding in findings {
        if !checks.contains(&finding.check) {
            checks.push(finding.check);
        }
        // IDs of unlisted integrations differ between accounts.
        let message = match finding.subject.starts_with("integration[") {
            true => finding.message.replace(&finding.subject, MASKED),
            false => finding.message.clone(),
        };
        let key = (
            finding.check,
            finding.status,
            message.clone(),
            &finding.help,
        );
        let place = *places.entry(key).or_insert(shared.len());
        match shared.get_mut(place) {
            Some((_, findings)) => findings.push(finding),
            None => shared.push((message, vec![finding])),
        }
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (message, findings) in shared {
        if findings.len() >= GROUPING_THRESHOLD {
            groups.push(Group {
                accounts: findings
                    .iter()
                    .filter_map(|finding| label(finding))
                    .collect(),
                finding: findings[0],
                message,
            });
        } else {
            groups.extend(findings.into_iter().map(|finding| Group {
                accounts: label(finding).into_iter().collect(),
                finding,
                message: finding.message.clone(),
            }));
        }
    }
    groups.sort_by_key(|group| {
        checks
            .iter()
            .position(|check| *check == group.finding.check)
    });
    groups
}

/// Returns the label of the account.
fn label(finding: &Finding) -> Option<&str> {
    Some(&finding.account.as_ref()?.label)
}

impl Group<'_> {
    /// Returns the message with the names of the accounts and the location. A run of one account needs no names.
    fn sentence(&self, accounts: usize, is_listed: bool) -> String {
        let names = match self.accounts.as_slice() {
            [] => String::new(),
            _ if accounts < 2 => String::new(),
            names if names.len() > 5 && (is_listed || names.len() == accounts) => {
                format!("{} accounts: ", names.len())
            }
            names => format!("{}: ", abbreviate_list(names)),
        };
        let location = self.finding.location.iter();
        let location = location.filter(|_| self.accounts.len() < GROUPING_THRESHOLD);
        let location: String = location
            .map(|location| format!(" ({}:{})", one_line(&location.file), location.line))
            .collect();
        format!("{names}{}{location}", one_line(&self.message))
    }
}

/// Returns one block of lines per group: status, check and sentence, then details and help.
fn blocks(groups: &[Group<'_>], accounts: usize, is_listed: bool) -> Vec<String> {
    let widest = |text: fn(&Finding) -> &str| {
        let texts = groups.iter().map(|group| text(group.finding).len());
        texts.max().unwrap_or_default()
    };
    let status_width = widest(|finding| finding.status.as_str());
    let check_width = widest(|finding| finding.check);
    let block = |group: &Group<'_>| {
        let Finding { status, check, .. } = group.finding;
        let color = color(*status);
        let sentence = group.sentence(accounts, is_listed);
        let mut block =
            format!("{color}{status:status_width$}{color:#}  {check:check_width$}  {sentence}\n");
        let help = group.finding.help.iter();
        let help = help.map(|help| format!("help: {help}"));
        for line in group.finding.details.iter().cloned().chain(help) {
            let _ = writeln!(block, "{:status_width$}  {}", "", one_line(&line));
        }
        block
    };
    groups.iter().map(block).collect()
}

fn color(status: CheckStatus) -> Style {
    match status {
        CheckStatus::Pass => style::SUCCESS,
        CheckStatus::Info => style::DIM,
        CheckStatus::Warn | CheckStatus::Unknown => style::WARNING,
        CheckStatus::Fail => style::ERROR,
    }
}

/// Returns the counts, such as `1 failed, 0 warnings, 6 passed`.
fn totals(counts: AuditTotals) -> String {
    let AuditTotals {
        pass,
        warn,
        fail,
        unknown,
        failed_accounts: _,
    } = counts;
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(", {unknown} unknown"),
    };
    format!(
        "{fail} failed{unknown}, {}, {pass} passed",
        pluralize(warn, "warning")
    )
}

/// Returns the findings of the doctor as a list. If no account was checked, `missing` says what it lacks, and all advice is in the last line.
pub fn doctor(findings: &[Finding], missing: Option<&str>) -> String {
    let mut counts = AuditTotals::default();
    findings
        .iter()
        .for_each(|finding| counts.add(finding.status));
    let Some(missing) = missing else {
        let groups = groups(findings);
        let mut labels: Vec<&str> = groups
            .iter()
            .flat_map(|group| group.accounts.clone())
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let heading = match labels.as_slice() {
            [label] => format!("{label}\n\n"),
            _ => String::new(),
        };
        let list = blocks(&groups, labels.len(), false).concat();
        return format!("{heading}{list}\n{}.\n", totals(counts));
    };
    let mut helps = Vec::new();
    let mut findings = findings.to_vec();
    for finding in &mut findings {
        helps.splice(0..0, finding.help.take());
    }
    let list = blocks(&groups(&findings), 0, false).concat();
    format!(
        "{list}skip  API, token, permissions, entitlement, rate limit, clock: they need {missing}\n\n{} failed. help: {}\n",
        counts.fail,
        one_line(&helps.join("; "))
    )
}

/// An audit, ready to be shown.
struct AuditView<'a> {
    audit: &'a AuditReport,
    /// All findings of a single account; of several accounts, those that do not pass. The most severe first.
    findings: Vec<Finding>,
}

/// Result of a check in all accounts.
#[derive(Serialize)]
struct Row {
    check: &'static str,
    title: &'static str,
    pass: usize,
    warn: usize,
    unknown: usize,
    fail: usize,
    /// Accounts in which the check does not pass, the most severe first.
    accounts: String,
}

impl<'a> AuditView<'a> {
    fn new(audit: &'a AuditReport) -> Self {
        let is_single = audit.accounts.len() == 1;
        let findings = audit.accounts.iter().flat_map(|account| &account.findings);
        let mut findings: Vec<Finding> = findings
            .filter(|finding| is_single || finding.status != CheckStatus::Pass)
            .cloned()
            .collect();
        if !is_single {
            findings.sort_by_key(|finding| {
                let check = AUDIT_CHECKS
                    .iter()
                    .position(|check| check.id == finding.check);
                (Reverse(finding.status), check)
            });
        }
        AuditView { audit, findings }
    }

    /// Returns the groups, the most severe first. Those of a single account are in the order of the checks.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups = groups(&self.findings);
        if self.audit.accounts.len() > 1 {
            groups.sort_by_key(|group| Reverse(group.finding.status));
        }
        groups
    }

    fn blocks(&self) -> Vec<String> {
        blocks(&self.groups(), self.audit.accounts.len(), true)
    }

    fn rows(&self) -> Vec<Row> {
        let statuses: Vec<_> = self
            .audit
            .accounts
            .iter()
            .map(|account| (account.label(), account.statuses()))
            .collect();
        let checks = AUDIT_CHECKS
            .iter()
            .filter(|check| !self.audit.ignored.contains(check.id));
        checks
            .map(|check| {
                let mut counts = AuditTotals::default();
                let mut others = Vec::new();
                for (label, statuses) in &statuses {
                    let Some(status) = statuses.get(check.id) else {
                        continue;
                    };
                    counts.add(*status);
                    if *status != CheckStatus::Pass {
                        others.push((Reverse(*status), *label));
                    }
                }
                others.sort_by_key(|(status, _)| *status);
                let AuditTotals {
                    pass,
                    warn,
                    fail,
                    unknown,
                    failed_accounts: _,
                } = counts;
                let accounts = abbreviate_list(others.iter().map(|(_, label)| label));
                Row {
                    check: check.id,
                    title: check.title,
                    pass,
                    warn,
                    unknown,
                    fail,
                    accounts,
                }
            })
            .collect()
    }

    /// Returns the accounts that could not be read with the reason, one entry per reason.
    fn unread(&self) -> Vec<(String, &'a str, Option<&'a str>)> {
        let mut reasons: Vec<(&AccountError, Vec<&str>)> = Vec::new();
        for account in &self.audit.accounts {
            let Some(error) = &account.error else {
                continue;
            };
            match reasons
                .iter_mut()
                .find(|(known, _)| known.message == error.message)
            {
                Some((_, labels)) => labels.push(account.label()),
                None => reasons.push((error, vec![account.label()])),
            }
        }
        let reasons = reasons.into_iter();
        reasons
            .map(|(error, labels)| {
                (
                    abbreviate_list(labels),
                    error.message.as_str(),
                    error.help.as_deref(),
                )
            })
            .collect()
    }

    /// Returns the totals as sentences.
    fn totals(&self) -> String {
        let failed = self.audit.summary.failed_accounts;
        let mut text = format!("{}.", totals(self.audit.summary));
        if failed > 0 {
            let accounts = pluralize(self.audit.accounts.len(), "account");
            let _ = write!(text, " {failed} of {accounts} could not be read.");
        }
        if !self.audit.ignored.is_empty() {
            let ignored: Vec<&str> = self.audit.ignored.iter().copied().collect();
            let _ = write!(text, " Ignored: {}.", ignored.join(", "));
        }
        text
    }
}

/// Returns an audit as text. The error of a single account is the error of the run, so nothing is returned.
pub(super) fn audit_text(audit: &AuditReport) -> String {
    let view = AuditView::new(audit);
    let bold = style::HEADING;
    let mut text = String::new();
    match audit.accounts.as_slice() {
        [account] if account.error.is_some() => return text,
        [account] => {
            let id = match &account.name {
                Some(_) => format!(" ({})", account.account_id.abbreviated()),
                None => String::new(),
            };
            let source = EscapeInvisible(&account.source);
            let _ = writeln!(text, "{bold}{}{bold:#}{id}  {source}\n", account.label());
        }
        _ => {
            table(&mut text, &view.rows());
            for (labels, message, _) in view.unread() {
                let _ = writeln!(text, "not read: {labels}: {}", one_line(message));
            }
            text.push('\n');
        }
    }
    let list = view.blocks().concat();
    let gap = if list.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{list}{gap}{bold}Audit:{bold:#} {}", view.totals());
    for line in audit.evidence.lines(audit.created_at, &audit.base_url) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn table(text: &mut String, rows: &[Row]) {
    let width = rows
        .iter()
        .map(|row| row.check.len())
        .max()
        .unwrap_or_default()
        .max(5);
    let has_unknown = rows.iter().any(|row| row.unknown > 0);
    let unknown = if has_unknown { "  UNKNOWN" } else { "" };
    let _ = writeln!(text, "{:width$}  PASS  WARN{unknown}  FAIL", "CHECK");
    for Row {
        check,
        title: _,
        pass,
        warn,
        unknown,
        fail,
        accounts,
    } in rows
    {
        let _ = write!(text, "{check:width$}  {pass:4}  {warn:4}");
        if has_unknown {
            let _ = write!(text, "  {unknown:7}");
        }
        let _ = writeln!(text, "{}", format!("  {fail:4}  {accounts}").trim_end());
    }
}

/// Returns an audit as Markdown of at most `limit` bytes. Findings are cut from the least severe end.
///
/// Text from outside is in `<code>`, or in a fenced block in which each line starts with text from riskform.
pub fn audit_markdown(audit: &AuditReport, limit: usize) -> String {
    /// Bytes for the notice about cut findings, the fence and the evidence.
    const RESERVE: usize = 2048;
    let view = AuditView::new(audit);
    let mut text = format!(
        "### riskform audit: {}\n\n",
        view.totals().trim_end_matches('.')
    );
    text.push_str("| check | pass | warn | unknown | fail | accounts |\n| --- | --: | --: | --: | --: | --- |\n");
    for Row {
        check,
        title: _,
        pass,
        warn,
        unknown,
        fail,
        accounts,
    } in view.rows()
    {
        let accounts = if accounts.is_empty() {
            String::new()
        } else {
            code(&accounts)
        };
        let _ = writeln!(
            text,
            "| {check} | {pass} | {warn} | {unknown} | {fail} | {accounts} |"
        );
    }
    let unread = view.unread().into_iter().map(|(labels, message, help)| {
        let help = help.map(|help| format!("      help: {}\n", one_line(help)));
        format!(
            "not read: {labels}: {}\n{}",
            one_line(message),
            help.unwrap_or_default()
        )
    });
    let blocks: Vec<String> = unread
        .chain(view.blocks())
        .map(|block| anstream::adapter::strip_str(&block).to_string())
        .collect();
    text.push_str("\n```\n");
    let mut shown = 0;
    for block in &blocks {
        if text.len() + block.len() + RESERVE > limit {
            break;
        }
        text.push_str(block);
        shown += 1;
    }
    text.push_str("```\n");
    if shown < blocks.len() {
        let cut = pluralize(blocks.len() - shown, "less severe finding");
        let _ = writeln!(
            text,
            "\n**Truncated:** {cut} not shown. See the text or JSON output."
        );
    }
    let evidence = audit.evidence.line(audit.created_at, &audit.base_url);
    let evidence: String = evidence.chars().take(RESERVE / 8).collect();
    let _ = writeln!(text, "\n<sub>{}</sub>", code(&evidence));
    text
}

/// Returns an audit as a page.
pub(super) fn audit_page(audit: &AuditReport) -> String {
    let view = AuditView::new(audit);
    let groups = view.groups();
    let articles = groups.iter().map(|group| {
        let finding = group.finding;
        json!({
            "class": match finding.status {
                CheckStatus::Fail => "severe",
                CheckStatus::Pass => "fold",
                CheckStatus::Info | CheckStatus::Warn | CheckStatus::Unknown => "",
            },
            "check": finding.check,
            "status": finding.status,
            "sentence": group.sentence(audit.accounts.len(), true),
            "details": finding.details.iter().map(|line| one_line(line)).collect::<Vec<_>>(),
            "help": finding.help.as_deref().map(one_line),
        })
    });
    let articles: Vec<Value> = articles.collect();
    let unread = view.unread().into_iter().map(|(labels, message, help)| {
        json!({ "labels": labels, "message": one_line(message), "help": help.map(one_line) })
    });
    let page = json!({
        "style": STYLE,
        "totals": view.totals(),
        "rows": view.rows(),
        "unread": unread.collect::<Vec<_>>(),
        "articles": articles,
        "evidence": audit.evidence.lines(audit.created_at, &audit.base_url),
    });
    render(include_str!("audit.html"), page)
}
