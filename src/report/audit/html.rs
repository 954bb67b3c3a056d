//! Audit as a self-contained HTML page.

use serde::Serialize;

use crate::doctor::{AccountAudit, AuditFinding, AuditReport, CheckStatus};
use crate::model::text::EscapeInvisible;
use crate::report::html::{STYLE, moment, render};

use super::{Group, accounts_with_findings, groups, standing, totals};

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    /// Totals as a sentence.
    sentence: String,
    base_url: &'a str,
    created_at: String,
    version: &'a str,
    checks: Vec<Check>,
    /// Accounts with findings, or the only account.
    accounts: Vec<Account<'a>>,
    /// Number of accounts that pass every check and are not in the table.
    clean: usize,
    failures: Vec<Failure>,
    sections: Vec<Section>,
}

#[derive(Serialize)]
struct Check {
    id: &'static str,
    /// Anchor of its section; `None` if empty.
    anchor: Option<String>,
}

#[derive(Serialize)]
struct Account<'a> {
    label: &'a str,
    /// Abbreviated id, if the label is a name.
    short_id: Option<String>,
    source: String,
    /// Status of each check; `None` if the account could not be checked.
    standings: Option<Vec<Word>>,
}

/// Text and its CSS class.
#[derive(Serialize)]
struct Word {
    word: &'static str,
    class: &'static str,
}

#[derive(Serialize)]
struct Failure {
    label: String,
    lines: Vec<String>,
    help: Option<String>,
}

/// Findings of a check that do not pass; for a single account, all.
#[derive(Serialize)]
struct Section {
    anchor: String,
    check: &'static str,
    sentence: &'static str,
    articles: Vec<Article>,
}

#[derive(Serialize)]
struct Article {
    class: &'static str,
    status: Word,
    /// Accounts, if there are several.
    whose: Option<String>,
    message: String,
    details: Vec<Detail>,
    help: Option<String>,
}

#[derive(Serialize)]
struct Detail {
    status: Word,
    subject: String,
    message: String,
    location: Option<String>,
}

/// Returns an audit as a page.
pub(super) fn page(audit: &AuditReport) -> String {
    render(include_str!("page.html"), view(audit))
}

fn view(audit: &AuditReport) -> Page<'_> {
    let alone = audit.accounts.len() == 1;
    let rows = if alone {
        audit.accounts.iter().collect()
    } else {
        accounts_with_findings(audit)
    };
    let sections: Vec<Section> = audit
        .checks()
        .filter_map(|check| {
            let articles: Vec<Article> = match audit.accounts.as_slice() {
                [account] => account
                    .findings
                    .iter()
                    .filter(|finding| finding.check == check)
                    .map(|finding| {
                        article(
                            &Group {
                                accounts: vec![account],
                                finding,
                            },
                            None,
                        )
                    })
                    .collect(),
                _ => groups(audit, check)
                    .iter()
                    .map(|group| article(group, Some(group.names())))
                    .collect(),
            };
            (!articles.is_empty()).then(|| Section {
                anchor: format!("check-{check}"),
                check: check.as_str(),
                sentence: check.description(),
                articles,
            })
        })
        .collect();
    let has_section = |check: &str| sections.iter().any(|section| section.check == check);
    let checks = audit.checks().map(|check| Check {
        id: check.as_str(),
        anchor: has_section(check.as_str()).then(|| format!("check-{check}")),
    });
    Page {
        style: STYLE,
        sentence: totals(audit),
        base_url: &audit.base_url,
        created_at: moment(audit.created_at),
        version: audit.riskform_version,
        checks: checks.collect(),
        clean: audit.accounts.len() - rows.len(),
        accounts: rows.iter().map(|account| row(audit, account)).collect(),
        failures: rows.iter().filter_map(|account| failure(account)).collect(),
        sections,
    }
}

fn row<'a>(audit: &AuditReport, account: &'a AccountAudit) -> Account<'a> {
    let standings = audit
        .checks()
        .map(|check| word(standing(account, check).unwrap_or(CheckStatus::Pass)));
    Account {
        label: account.label(),
        short_id: (account.name.as_ref()).map(|_| account.account_id.abbreviated()),
        source: shown(&account.source),
        standings: account.error.is_none().then(|| standings.collect()),
    }
}

fn failure(account: &AccountAudit) -> Option<Failure> {
    let error = account.error.as_ref()?;
    Some(Failure {
        label: account.label().to_owned(),
        lines: error.message.lines().map(shown).collect(),
        help: error.help.as_deref().map(shown),
    })
}

fn article(group: &Group<'_>, whose: Option<String>) -> Article {
    let AuditFinding {
        status,
        message,
        help,
        ..
    } = group.finding;
    // For a single account, all findings are shown.
    let everything = whose.is_none();
    let details = group.finding.details.iter();
    let details = details
        .filter(|detail| everything || detail.status != CheckStatus::Pass)
        .map(|detail| Detail {
            status: word(detail.status),
            subject: shown(&detail.subject),
            message: shown(&detail.message),
            location: group.location(detail).as_deref().map(shown),
        });
    Article {
        class: match status {
            CheckStatus::Pass => "added",
            CheckStatus::Info | CheckStatus::Unknown => "unlisted",
            CheckStatus::Warn => "changed",
            CheckStatus::Fail => "removed",
        },
        status: word(*status),
        whose,
        message: shown(message),
        details: details.collect(),
        help: help.as_deref().map(shown),
    }
}

fn word(status: CheckStatus) -> Word {
    Word {
        word: status.as_str(),
        class: match status {
            CheckStatus::Pass => "ok",
            CheckStatus::Info => "",
            CheckStatus::Warn | CheckStatus::Unknown => "changed",
            CheckStatus::Fail => "failed",
        },
    }
}

fn shown(text: &str) -> String {
    EscapeInvisible(text).to_string()
}
