//! Findings for people: the list of a doctor, and an audit as text, Markdown and HTML. Equal findings of several accounts are shown once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anstyle::Style;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use crate::doctor::{AUDIT_CHECKS, AuditReport, AuditTotals};
use crate::model::finding::{CheckStatus, Finding};
use crate::model::text::{
    EscapeInvisible, GROUPING_THRESHOLD, abbreviate_list, one_line, pluralize,
};

use super::html::{STYLE, render};
use super::markdown::code;
use super::style;
use super::table::table;

/// A finding of one account, or of several that share it.
#[derive(Serialize)]
struct Item {
    status: CheckStatus,
    check: &'static str,
    /// Message with the names of the accounts and the location.
    sentence: String,
    /// Details and help.
    lines: Vec<String>,
}

/// Returns the findings in the order of the checks, the most severe first if they are `sorted`. Findings that at least three accounts
/// share are one item. The error of two accounts is one item, too. `accounts` is the number of accounts of the run.
fn items(findings: &[Finding], accounts: usize, sorted: bool) -> Vec<Item> {
    let mut shared: BTreeMap<_, Vec<(usize, &Finding)>> = BTreeMap::new();
    let mut checks = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        if !checks.contains(&finding.check) {
            checks.push(finding.check);
        }
        // IDs of unlisted integrations differ between accounts.
        let message = match finding.subject.starts_with("integration[") {
            true => (finding.message).replace(&finding.subject, "integration[ID]"),
            false => finding.message.clone(),
        };
        let key = (finding.check, finding.status, message, &finding.help);
        shared.entry(key).or_default().push((index, finding));
    }
    let mut items = Vec::new();
    for ((check, status, message, help), members) in &shared {
        let threshold = match *check {
            Finding::READ => 2,
            _ => GROUPING_THRESHOLD,
        };
        let is_shared = members.len() >= threshold;
        let size = if is_shared { members.len() } else { 1 };
        for members in members.chunks(size) {
            let (index, finding) = members[0];
            let names: Vec<&str> = members.iter().filter_map(|(_, one)| label(one)).collect();
            let is_listed = sorted && *check != Finding::READ;
            let names = match names.len() {
                0 => String::new(),
                _ if accounts < 2 => String::new(),
                number if number > 5 && (is_listed || number == accounts) => {
                    format!("{number} accounts: ")
                }
                _ => format!("{}: ", abbreviate_list(names)),
            };
            let location = finding.location.as_ref().filter(|_| !is_shared);
            let location = location.map(|at| format!(" ({}:{})", one_line(&at.file), at.line));
            let message = if is_shared { message } else { &finding.message };
            let (message, location) = (one_line(message), location.unwrap_or_default());
            let help = help.iter().map(|help| format!("help: {help}"));
            let lines = finding.details.iter().cloned().chain(help);
            let item = Item {
                status: *status,
                check,
                sentence: format!("{names}{message}{location}"),
                lines: lines.map(|line| one_line(&line)).collect(),
            };
            let position = checks.iter().position(|other| other == check);
            items.push(((sorted.then_some(Reverse(*status)), position, index), item));
        }
    }
    items.sort_by_key(|(rank, _)| *rank);
    items.into_iter().map(|(_, item)| item).collect()
}

/// Returns the label of the account.
fn label(finding: &Finding) -> Option<&str> {
    Some(finding.account.as_ref()?.label())
}

/// Returns one block of lines per item: status, check and sentence, then details and help.
fn blocks(items: &[Item]) -> impl Iterator<Item = String> {
    let widest = |text: fn(&Item) -> &str| items.iter().map(|item| text(item).len()).max();
    let status_width = widest(|item| item.status.as_str()).unwrap_or_default();
    let check_width = widest(|item| item.check).unwrap_or_default();
    items.iter().map(move |item| {
        let (status, check, sentence) = (item.status, item.check, &item.sentence);
        let color = color(status);
        let mut block =
            format!("{color}{status:status_width$}{color:#}  {check:check_width$}  {sentence}\n");
        for line in &item.lines {
            let _ = writeln!(block, "{:status_width$}  {line}", "");
        }
        block
    })
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
    let unknown = match counts.unknown {
        0 => String::new(),
        unknown => format!(", {unknown} unknown"),
    };
    let (fail, warnings) = (counts.fail, pluralize(counts.warn, "warning"));
    format!("{fail} failed{unknown}, {warnings}, {} passed", counts.pass)
}

/// Returns the findings of the doctor as a list. If no account was checked, `missing` is the reason, and all advice is in the last line.
pub fn doctor(findings: &[Finding], missing: Option<&str>) -> String {
    let counts: AuditTotals = findings.iter().map(|finding| finding.status).collect();
    let Some(missing) = missing else {
        let labels: BTreeSet<&str> = findings.iter().filter_map(label).collect();
        let heading = match labels.first() {
            Some(label) if labels.len() == 1 => format!("{label}\n\n"),
            _ => String::new(),
        };
        let list: String = blocks(&items(findings, labels.len(), false)).collect();
        return format!("{heading}{list}\n{}.\n", totals(counts));
    };
    let mut findings = findings.to_vec();
    let helps = findings
        .iter_mut()
        .rev()
        .filter_map(|finding| finding.help.take());
    let helps = one_line(&helps.collect::<Vec<_>>().join("; "));
    let list: String = blocks(&items(&findings, 0, false)).collect();
    format!(
        "{list}skip  API, token, permissions, entitlement, rate limit, clock: they need {missing}\n\n{} failed. help: {helps}\n",
        counts.fail,
    )
}

/// Texts and rows of an audit for display.
#[derive(Serialize)]
struct AuditView {
    /// Totals as sentences.
    totals: String,
    /// Titles and rows of the table of checks.
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Accounts with read errors.
    unread: Vec<Item>,
    /// All findings of a single account. For several accounts, only findings that do not pass, the most severe first.
    items: Vec<Item>,
    evidence: [String; 2],
}

impl AuditView {
    fn new(audit: &AuditReport) -> Self {
        let accounts = audit.accounts.len();
        let (unread, findings): (Vec<_>, Vec<_>) =
            (audit.findings().into_iter()).partition(|finding| finding.check == Finding::READ);
        let unread = items(&unread, accounts, true);
        let mut items = items(&findings, accounts, accounts > 1);
        items.retain(|item| accounts == 1 || item.status != CheckStatus::Pass);
        let failed = audit.summary.failed_accounts;
        let mut text = format!("{}.", totals(audit.summary));
        if failed > 0 {
            let accounts = pluralize(accounts, "account");
            let _ = write!(text, " {failed} of {accounts} could not be read.");
        }
        if !audit.ignored.is_empty() {
            let ignored: Vec<&str> = audit.ignored.iter().copied().collect();
            let _ = write!(text, " Ignored: {}.", ignored.join(", "));
        }
        let mut titles = vec!["CHECK", "PASS", "WARN", "FAIL", ""];
        if audit.summary.unknown > 0 {
            titles.insert(3, "UNKNOWN");
        }
        AuditView {
            totals: text,
            rows: rows(audit, &titles),
            titles,
            unread,
            items,
            evidence: audit.evidence.lines(audit.created_at, &audit.base_url),
        }
    }

    /// Returns the table of checks and the accounts with read errors.
    fn overview(&self, shows_help: bool) -> String {
        let numbers = ["PASS", "WARN", "UNKNOWN", "FAIL"];
        let mut text = table(&self.titles.join("  "), &numbers, self.rows.clone());
        for item in &self.unread {
            let _ = writeln!(text, "not read: {}", item.sentence);
            for line in item.lines.iter().filter(|_| shows_help) {
                let _ = writeln!(text, "      {line}");
            }
        }
        text
    }
}

/// Returns the number of accounts by check and status, and the accounts in which the check does not pass, the most severe first.
fn rows(audit: &AuditReport, titles: &[&str]) -> Vec<Vec<String>> {
    let accounts = audit.accounts.iter();
    let statuses: Vec<_> = accounts
        .map(|one| (one.account.label(), one.statuses()))
        .collect();
    let checks = AUDIT_CHECKS.iter();
    let checks = checks.filter(|(id, ..)| !audit.ignored.contains(id));
    let rows = checks.map(|(check, ..)| {
        let found = statuses.iter();
        let found = found.filter_map(|(label, statuses)| Some((statuses.get(check)?, label)));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(status, _)| Reverse(*status));
        let others = found
            .iter()
            .filter(|(status, _)| **status != CheckStatus::Pass);
        let others = abbreviate_list(others.map(|(_, label)| label));
        let cell = |title: &&str| match *title {
            "CHECK" => (*check).to_owned(),
            "" => others.clone(),
            title => {
                let same = found
                    .iter()
                    .filter(|(one, _)| one.as_str() == title.to_lowercase());
                same.count().to_string()
            }
        };
        titles.iter().map(cell).collect()
    });
    rows.collect()
}

/// Returns an audit as text. The error of a single account is the error of the run, so the text is empty.
pub(super) fn audit_text(audit: &AuditReport) -> String {
    let view = AuditView::new(audit);
    let bold = style::HEADING;
    let overview = match audit.accounts.as_slice() {
        [one] if one.error.is_some() => return String::new(),
        [one] => {
            let account = &one.account;
            let id = account
                .name
                .iter()
                .map(|_| format!(" ({})", account.account_id.abbreviated()));
            let (id, source): (String, _) = (id.collect(), EscapeInvisible(&account.source));
            format!("{bold}{}{bold:#}{id}  {source}\n", account.label())
        }
        _ => view.overview(false),
    };
    let list: String = blocks(&view.items).collect();
    let gap = if list.is_empty() { "" } else { "\n" };
    let (totals, [checked, facts]) = (&view.totals, &view.evidence);
    format!("{overview}\n{list}{gap}{bold}Audit:{bold:#} {totals}\n{checked}\n{facts}\n")
}

/// Returns an audit as Markdown of at most `limit` bytes. Findings are cut from the least severe end.
///
/// Text from outside is in `<code>`, or in a fenced block in which each line starts with text from riskform.
pub fn audit_markdown(audit: &AuditReport, limit: usize) -> String {
    /// Bytes for the notice about cut findings, the fence and the evidence.
    const RESERVE: usize = 2048;
    let view = AuditView::new(audit);
    let totals = view.totals.trim_end_matches('.');
    let mut text = format!(
        "### riskform audit: {totals}\n\n```\n{}",
        view.overview(true)
    );
    let mut shown = 0;
    for block in blocks(&view.items) {
        let block = anstream::adapter::strip_str(&block).to_string();
        if text.len() + block.len() + RESERVE > limit {
            break;
        }
        text.push_str(&block);
        shown += 1;
    }
    text.push_str("```\n");
    if shown < view.items.len() {
        let cut = pluralize(view.items.len() - shown, "less severe finding");
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
    let view = Value::from(Serde(AuditView::new(audit)));
    render(
        include_str!("audit.html"),
        context! { style => STYLE, audit => view },
    )
}
