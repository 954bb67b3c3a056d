//! Results as Markdown for a pull request comment: totals, then each account folded, most severe first.
//!
//! Untrusted text is in a fenced block or escaped in `<code>`, so it cannot add HTML, Markdown or mentions. A comment has at most
//! 65,536 characters, a job summary 1 MiB; the limit is in bytes. Weakening changes, deletes, failures and blocked plans are never
//! truncated by less important content; if they do not fit, each is one line.

use std::fmt::Write;

use crate::plan::{AccountPlan, Format, OperationOutcome, Run, Status};

use super::display_item::{ChangeMarker, DisplayItem, Severity, blocks, gravest_first, refusal};
use super::field_lines;
use super::text::OKTA_CONSOLE_PATH;
use super::totals::RunSummary;
use crate::model::text::{EscapeInvisible, pluralize};

/// Maximum size of a comment.
pub const MAX_COMMENT_BYTES: usize = 65_536;
/// Maximum size of a job summary.
pub const MAX_JOB_SUMMARY_BYTES: usize = 1024 * 1024;
/// Bytes reserved for truncation notices.
const RESERVE: usize = 1024;

/// Returns a result as Markdown of at most `limit` bytes.
pub fn markdown(run: &Run, limit: usize) -> String {
    let mut text = format!("### {}\n\n", RunSummary::of(run).title());
    let mut operations = run.accounts.iter().flat_map(|account| &account.operations);
    if operations.any(|operation| {
        operation
            .end
            .as_ref()
            .is_some_and(|end| end.result.is_some())
    }) {
        let _ = writeln!(
            text,
            "Paste each `well_known_url` into Okta: {OKTA_CONSOLE_PATH}.\n"
        );
    }
    let sections: Vec<Section> = gravest_first(run)
        .into_iter()
        .filter(|(gravity, _)| *gravity != Severity::Nothing)
        .map(|(_, account)| Section::of(run, account))
        .collect();
    let budget = limit.saturating_sub(RESERVE + text.len());
    let grave: usize = sections.iter().map(Section::grave_size).sum();
    if grave <= budget {
        folded(&mut text, sections, budget - grave);
    } else {
        one_line_per_item(&mut text, &sections, budget);
    }
    text
}

/// Writes every account folded. Less important parts fill the remaining space, most severe account first, until one does not fit.
fn folded(text: &mut String, sections: Vec<Section>, mut room: usize) {
    let (mut cut_parts, mut cut_accounts) = (0, 0);
    for section in sections {
        let frame = if section.grave_size() == 0 {
            section.frame_size()
        } else {
            0
        };
        let mut body = String::new();
        let mut harmless = 0;
        for part in &section.parts {
            if part.brief.is_some() {
                body.push_str(&part.text);
                continue;
            }
            let needed = part.text.len() + if body.is_empty() { frame } else { 0 };
            match room.checked_sub(needed) {
                Some(left) if cut_parts == 0 => {
                    room = left;
                    body.push_str(&part.text);
                }
                Some(_) | None => {
                    cut_parts += 1;
                    harmless += 1;
                }
            }
        }
        if body.is_empty() && harmless > 0 {
            cut_accounts += 1;
        } else {
            let _ = write!(text, "{}{body}{CLOSING}", section.opening);
        }
    }
    if cut_parts > 0 {
        let _ = writeln!(
            text,
            "**Truncated:** {} left out ({} omitted completely). See the text or JSON output.",
            pluralize(cut_parts, "less important item"),
            pluralize(cut_accounts, "account"),
        );
    }
}

/// Writes only weakening changes, deletes, failures and blocked plans, one line each.
fn one_line_per_item(text: &mut String, sections: &[Section], budget: usize) {
    let lines: Vec<String> = sections
        .iter()
        .flat_map(|section| {
            let briefs = section.parts.iter().filter_map(|part| part.brief.as_ref());
            briefs.map(|brief| match brief.split_once(' ') {
                Some((symbol, rest)) => format!("{symbol} {}: {rest}", section.name),
                None => format!("{}: {brief}", section.name),
            })
        })
        .collect();
    let mut room = budget.saturating_sub(FENCE.len() + CLOSING.len());
    let fitting = lines
        .iter()
        .take_while(|line| match room.checked_sub(line.len()) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        })
        .count();
    if fitting < lines.len() {
        let missing = lines.len() - fitting;
        let _ = writeln!(
            text,
            "**{missing} of {} with weakening changes, deletes, failures or blocked plans do not fit. Read the text or JSON output before you approve.**\n",
            lines.len()
        );
    }
    let _ = writeln!(
        text,
        "**Truncated:** only weakening changes, deletes, failures and blocked plans are shown. See the text or JSON output.\n"
    );
    text.push_str(FENCE);
    lines
        .iter()
        .take(fitting)
        .for_each(|line| text.push_str(line));
    text.push_str("```\n");
}

/// Opening and closing of a section.
const FENCE: &str = "```diff\n";
const CLOSING: &str = "```\n\n</details>\n\n";

/// One account: heading and parts, which can be truncated between parts.
struct Section {
    /// Label of the account in a separate line.
    name: String,
    opening: String,
    parts: Vec<Part>,
}

/// A part, complete and with a final line break.
struct Part {
    text: String,
    /// Short form of a part that must be shown.
    brief: Option<String>,
}

impl Part {
    fn harmless(text: String) -> Self {
        Part { text, brief: None }
    }

    /// Returns a part that must be shown. Its first line is the short form.
    fn grave(text: String) -> Self {
        let brief = text.lines().next().map(|line| {
            let short: String = line.chars().take(240).collect();
            format!("{short}\n")
        });
        Part { text, brief }
    }
}

impl Section {
    fn of(run: &Run, account: &AccountPlan) -> Self {
        // Every line inside starts with fixed text, so none can close the fence.
        let mut parts = parts(run, account);
        parts.sort_by_key(|part| part.brief.is_none());
        Section {
            name: match &account.name {
                Some(name) => format!("{name} ({})", account.account_id),
                None => account.account_id.to_string(),
            },
            opening: format!("{}\n\n{FENCE}", summary(run, account)),
            parts,
        }
    }

    fn frame_size(&self) -> usize {
        self.opening.len() + CLOSING.len()
    }

    /// Returns the number of bytes that must be shown.
    fn grave_size(&self) -> usize {
        let grave = self.parts.iter().filter(|part| part.brief.is_some());
        match grave.map(|part| part.text.len()).sum() {
            0 => 0,
            parts => self.frame_size() + parts,
        }
    }
}

/// Returns the summary line of a folded account.
fn summary(document: &Run, account: &AccountPlan) -> String {
    // A single account is open; several are folded.
    let open = if document.accounts.len() == 1 {
        " open"
    } else {
        ""
    };
    let what = match (account.status, document.format) {
        (Status::Error, _) => "failed".to_owned(),
        (_, Format::Plan | Format::Apply) => pluralize(account.changes.len(), "change"),
        (_, Format::Drift) => {
            let found = account.changes.len() + account.reported().count();
            pluralize(found, "difference")
        }
    };
    let mut remarks = String::new();
    if !account.errors.is_empty() {
        let _ = write!(remarks, ", <b>{} ambiguous</b>", account.errors.len());
    }
    if !account.violations.is_empty() {
        remarks.push_str(", <b>blocked</b>");
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
        "<details{open}><summary><b>{}</b> {}{}: {what}{remarks}</summary>",
        code(account.label()),
        match &account.name {
            Some(_) => format!("({}) ", code(account.account_id.as_str())),
            None => String::new(),
        },
        code(&account.source),
    )
}

/// Escapes untrusted text within Markdown.
pub(super) fn code(text: &str) -> String {
    let mut html = String::from("<code>");
    for c in EscapeInvisible(text).to_string().chars() {
        if c.is_ascii_punctuation() {
            let _ = write!(html, "&#{};", u32::from(c));
        } else {
            html.push(c);
        }
    }
    html.push_str("</code>");
    html
}

/// Returns the parts of an account.
fn parts(run: &Run, account: &AccountPlan) -> Vec<Part> {
    let format = run.format;
    let mut parts = Vec::new();
    if let Some(error) = &account.error {
        let mut part = format!("- error: {}\n", one_line(&error.message));
        if let Some(help) = &error.help {
            let _ = writeln!(part, "  help: {}", one_line(help));
        }
        parts.push(Part::grave(part));
    }
    for one in &account.violations {
        let sentence = one_line(&refusal("", one));
        parts.push(Part::grave(format!(
            "! blocked by {}: {sentence}\n",
            one.guard
        )));
    }
    parts.extend(blocks(run, account).map(|block| {
        let text = block_part(format, &block);
        match block.gravity().must_show() {
            true => Part::grave(text),
            false => Part::harmless(text),
        }
    }));
    if format == Format::Apply {
        parts.extend(outcomes(account));
    }
    for note in &account.notes {
        let note = one_line(&note.to_string());
        parts.push(Part::harmless(format!("# note: {note}\n")));
    }
    if !account.excluded.is_empty() {
        let noun = match format {
            Format::Plan | Format::Apply => "change",
            Format::Drift => "difference",
        };
        let left_out = pluralize(account.excluded.len(), noun);
        parts.push(Part::harmless(format!(
            "# note: {left_out} left out by choice\n"
        )));
    }
    if parts.is_empty() {
        parts.push(Part::harmless("  nothing differs\n".to_owned()));
    }
    parts
}

fn block_part(format: Format, block: &DisplayItem<'_>) -> String {
    // Diff symbols, for color only; the text says the same.
    let symbol = match block.mark {
        ChangeMarker::Added => "+",
        ChangeMarker::Changed | ChangeMarker::Replaced | ChangeMarker::Ambiguous => "!",
        ChangeMarker::Removed => "-",
        ChangeMarker::Unlisted => "#",
    };
    let address = block.address.to_string();
    let mut part = format!("{symbol} {}", EscapeInvisible(&address));
    if let Some(origin) = &block.origin {
        let _ = write!(part, " ({origin})");
    }
    let _ = write!(part, ": {}", block.words);
    match (format, block.weakening) {
        (Format::Plan | Format::Apply, Some(reason)) => {
            let _ = write!(part, ", weakens ({reason})");
        }
        (Format::Drift, Some(_)) => part.push_str(", weaker than declared"),
        (_, None) => {}
    }
    part.push('\n');
    for line in &block.lines {
        let _ = writeln!(part, "      {}", EscapeInvisible(line));
    }
    let width = field_lines::width(&block.fields);
    for line in &block.fields {
        let text = match format {
            Format::Plan | Format::Apply => line.as_planned(),
            Format::Drift => line.as_drift(),
        };
        let _ = writeln!(part, "      {:width$}{text}", line.field);
    }
    for sentence in &block.who {
        let _ = writeln!(part, "      {sentence}");
    }
    part
}

/// Adds the results of an account.
fn outcomes(account: &AccountPlan) -> Vec<Part> {
    let mut parts = Vec::new();
    for operation in &account.operations {
        let Some(end) = &operation.end else {
            continue;
        };
        let address = operation.address.to_string();
        let address = EscapeInvisible(&address);
        let id = operation.id;
        let error = one_line(end.error.as_deref().unwrap_or_default());
        match end.outcome {
            OperationOutcome::Done => {
                if let Some(made) = &end.result {
                    let url = one_line(&made.well_known_url);
                    parts.push(Part::harmless(format!(
                        "+ {address}: created\n      well_known_url  {url}\n"
                    )));
                }
            }
            OperationOutcome::Failed => {
                parts.push(Part::grave(format!(
                    "- {address}: operation {id} failed: {error}\n"
                )));
            }
            OperationOutcome::Unknown => {
                parts.push(Part::grave(format!(
                    "- {address}: operation {id} may have been applied: {error}\n"
                )));
            }
            OperationOutcome::NotAttempted => {
                parts.push(Part::grave(format!(
                    "! {address}: operation {id} not attempted: {error}\n"
                )));
            }
        }
    }
    let problems = account.problems.iter().flatten();
    parts.extend(problems.map(|problem| Part::grave(format!("- {}\n", one_line(problem)))));
    parts
}

/// Escapes untrusted text on one line.
fn one_line(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| EscapeInvisible(line.trim()).to_string())
        .collect();
    lines.join("; ")
}
