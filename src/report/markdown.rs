//! Results as Markdown for a comment on a pull request: a line of totals, then each account folded.
//!
//! Whatever comes from files or from the API stands inside a fenced block or inside `<code>` with its special characters as references, so
//! that it can neither open HTML nor start Markdown nor mention anybody. A comment holds 65,536 characters; the limit is kept in bytes,
//! and what does not fit is cut between two changes or two accounts, and said.

use std::fmt::Write;

use crate::plan::{AccountPlan, Format, OperationOutcome, Run, Status};

use super::block::{Block, DriftTotals, Mark, blocks, refusal};
use super::text::{Outcomes, WHERE_TO_PASTE, count};
use super::visible::Visible;

/// The most that a comment may hold.
pub(super) const LIMIT: usize = 65_536;
/// What is kept free for the sentence that says what was cut.
const RESERVE: usize = 512;

/// A result as Markdown, no longer than [`LIMIT`].
pub fn markdown(document: &Run) -> String {
    let mut text = format!("### {}\n\n", title(document));
    // What failed comes first: it must not fall victim to the cut.
    let (failed, fine): (Vec<_>, Vec<_>) = document
        .accounts
        .iter()
        .filter(|account| has_something(account))
        .partition(|account| account.status == Status::Error);
    let sections: Vec<_> = failed.into_iter().chain(fine).collect();
    let mut budget = LIMIT - RESERVE - text.len();
    let mut shown = 0;
    let mut cut_changes = 0;
    for account in &sections {
        let Some(section) = Section::of(document, account).fitted(budget) else {
            break;
        };
        budget -= section.text.len();
        text.push_str(&section.text);
        shown += 1;
        cut_changes = section.cut;
        if cut_changes > 0 {
            break;
        }
    }
    let cut_accounts = sections.len() - shown;
    if cut_accounts + cut_changes > 0 {
        let _ = writeln!(
            text,
            "**Cut to fit a comment:** {} of the last account and {} are not shown; the text and JSON formats hold everything.",
            count(cut_changes, "change"),
            count(cut_accounts, "more account"),
        );
    }
    text
}

/// The line of totals.
fn title(document: &Run) -> String {
    let summary = document.summary();
    let mut title = match document.format {
        Format::Plan
            if document
                .accounts
                .iter()
                .all(|account| account.changes.is_empty()) =>
        {
            format!("riskform plan: no changes, {} match", summary.unchanged)
        }
        Format::Plan => {
            let mut title = format!(
                "riskform plan: {} to create, {} to update, {} to replace, {} to delete",
                summary.create, summary.update, summary.replace, summary.delete
            );
            if summary.weakening > 0 {
                let _ = write!(
                    title,
                    "; {} weakening protection",
                    count(summary.weakening, "change")
                );
            }
            title
        }
        Format::Apply => {
            let outcomes = Outcomes::of(document);
            let heading = if outcomes.incomplete {
                "incomplete"
            } else {
                "complete"
            };
            format!(
                "riskform apply {heading}: {}",
                outcomes.to_string().trim_end_matches('.')
            )
        }
        Format::Drift => {
            let totals = DriftTotals::of(document);
            if totals.is_clean() {
                format!("riskform drift: none, {} as declared", totals.as_declared)
            } else {
                let mut title = format!(
                    "riskform drift: {} differ, {} unlisted",
                    totals.differ, totals.unlisted
                );
                if totals.weaker > 0 {
                    let _ = write!(title, "; {} weaker than declared", totals.weaker);
                }
                title
            }
        }
    };
    let refused = document
        .accounts
        .iter()
        .filter(|account| !account.refusals.is_empty());
    let refused = refused.count();
    if refused > 0 {
        let _ = write!(title, "; {} refused by guards", count(refused, "account"));
    }
    if summary.failed_accounts > 0 {
        let _ = write!(
            title,
            "; {} failed",
            count(summary.failed_accounts, "account")
        );
    }
    title
}

/// Says whether there is anything to show of an account beside that it is as declared.
fn has_something(account: &AccountPlan) -> bool {
    account.status == Status::Error
        || account.has_drift()
        || !account.notes.is_empty()
        || !account.left_out.is_empty()
}

/// One account: what stands above and below, and between them the parts at whose borders it can be cut.
struct Section {
    opening: String,
    parts: Vec<String>,
    closing: &'static str,
}

/// A section, cut to size.
struct Fitted {
    text: String,
    /// How many of its parts are missing.
    cut: usize,
}

impl Section {
    fn of(document: &Run, account: &AccountPlan) -> Self {
        // Every line inside begins with a word or a symbol of ours, so none of them can close the fence.
        Section {
            opening: format!("{}\n\n```diff\n", summary(document, account)),
            parts: parts(document.format, account),
            closing: "```\n\n</details>\n\n",
        }
    }

    /// As much of the section as fits; `None` where not even its frame does.
    fn fitted(self, budget: usize) -> Option<Fitted> {
        let Section {
            opening: mut text,
            parts,
            closing,
        } = self;
        let mut room = budget.checked_sub(text.len() + closing.len())?;
        let mut cut = parts.len();
        for part in &parts {
            let Some(less) = room.checked_sub(part.len()) else {
                break;
            };
            room = less;
            cut -= 1;
            text.push_str(part);
        }
        text.push_str(closing);
        Some(Fitted { text, cut })
    }
}

/// The line that stays visible when an account is folded.
fn summary(document: &Run, account: &AccountPlan) -> String {
    // A reader of one account wants to see it, and of many to choose.
    let open = if document.accounts.len() == 1 {
        " open"
    } else {
        ""
    };
    let what = match (account.status, document.format) {
        (Status::Error, _) => "failed".to_owned(),
        (Status::Ok, Format::Plan | Format::Apply) => count(account.changes.len(), "change"),
        (Status::Ok, Format::Drift) => {
            let found = account.changes.len() + account.reported().count();
            count(found, "difference")
        }
    };
    let mut remarks = String::new();
    if !account.refusals.is_empty() {
        remarks.push_str(", <b>refused</b>");
    }
    let (weaker, word) = match document.format {
        Format::Plan | Format::Apply => (
            account
                .changes
                .iter()
                .any(|change| change.weakens().is_some()),
            "weakens protection",
        ),
        Format::Drift => (
            account
                .changes
                .iter()
                .any(|change| change.live_weaker().is_some()),
            "weaker than declared",
        ),
    };
    if weaker {
        let _ = write!(remarks, ", <b>{word}</b>");
    }
    format!(
        "<details{open}><summary><b>{}</b> {}: {what}{remarks}</summary>",
        code(account.label()),
        code(&account.source),
    )
}

/// A foreign text in the midst of Markdown.
fn code(text: &str) -> String {
    let mut html = String::from("<code>");
    for c in Visible(text).to_string().chars() {
        if c.is_ascii_punctuation() {
            let _ = write!(html, "&#{};", u32::from(c));
        } else {
            html.push(c);
        }
    }
    html.push_str("</code>");
    html
}

/// What an account has to show. Each part ends with a line break, and is whole for itself.
fn parts(format: Format, account: &AccountPlan) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(error) = &account.error {
        let mut part = format!("- error: {}\n", one_line(&error.message));
        if let Some(help) = &error.help {
            let _ = writeln!(part, "  help: {}", one_line(help));
        }
        parts.push(part);
    }
    for one in &account.refusals {
        let sentence = one_line(&refusal("", one));
        parts.push(format!("! refused by {}: {sentence}\n", one.guard));
    }
    parts.extend(blocks(format, account).map(|block| block_part(format, &block)));
    if format == Format::Apply {
        parts.extend(outcomes(account));
    }
    for note in &account.notes {
        parts.push(format!("# note: {}\n", one_line(&note.to_string())));
    }
    if !account.left_out.is_empty() {
        let left_out = count(account.left_out.len(), "change");
        parts.push(format!("# note: {left_out} left out by choice\n"));
    }
    if parts.is_empty() {
        parts.push("  nothing differs\n".to_owned());
    }
    parts
}

fn block_part(format: Format, block: &Block<'_>) -> String {
    // Symbols that readers of diffs colour; the words beside them say the same.
    let symbol = match block.mark {
        Mark::Added => "+",
        Mark::Changed | Mark::Replaced => "!",
        Mark::Removed => "-",
        Mark::Unlisted => "#",
    };
    let address = block.address.to_string();
    let mut part = format!("{symbol} {}: {}", Visible(&address), block.words);
    match (format, block.weakening) {
        (Format::Plan | Format::Apply, Some(reason)) => {
            let _ = write!(part, ", weakens ({reason})");
        }
        (Format::Drift, Some(_)) => part.push_str(", weaker than declared"),
        (_, None) => {}
    }
    part.push('\n');
    for line in &block.fields {
        let text = match format {
            Format::Plan | Format::Apply => line.as_planned(),
            Format::Drift => line.as_found(),
        };
        let _ = writeln!(part, "      {:16}{text}", line.field);
    }
    part
}

/// What became of an account's plan, beside its changes.
fn outcomes(account: &AccountPlan) -> Vec<String> {
    let mut parts = Vec::new();
    for operation in &account.operations {
        let Some(end) = &operation.end else {
            continue;
        };
        let address = operation.address.to_string();
        let address = Visible(&address);
        let id = operation.id;
        let error = one_line(end.error.as_deref().unwrap_or_default());
        match end.outcome {
            OperationOutcome::Done => {
                if let Some(made) = &end.result {
                    let url = one_line(&made.well_known_url);
                    parts.push(format!(
                        "+ {address} is created; into Okta ({WHERE_TO_PASTE}) goes\n      {url}\n"
                    ));
                }
            }
            OperationOutcome::Failed => {
                parts.push(format!("- {address}: operation {id} failed: {error}\n"));
            }
            OperationOutcome::Unknown => {
                parts.push(format!(
                    "- {address}: operation {id} may or may not have been carried out: {error}\n"
                ));
            }
            OperationOutcome::NotAttempted => {
                parts.push(format!(
                    "! {address}: operation {id} not attempted: {error}\n"
                ));
            }
        }
    }
    let problems = account.problems.iter().flatten();
    parts.extend(problems.map(|problem| format!("- {}\n", one_line(problem))));
    parts
}

/// A foreign text on one line; what would break it is shown escaped.
fn one_line(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| Visible(line.trim()).to_string())
        .collect();
    lines.join("; ")
}
