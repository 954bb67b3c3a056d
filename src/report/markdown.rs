//! Results as Markdown for a comment on a pull request: a line of totals, then each account folded, the gravest first.
//!
//! Whatever comes from files or from the API stands inside a fenced block or inside `<code>` with its special characters as references, so
//! that it can neither open HTML nor start Markdown nor mention anybody. A comment holds 65,536 characters, a job's summary 1 MiB; the limit
//! is kept in bytes. What weakens, deletes, failed or was refused is never cut, so that nobody can push it out of sight with much that is
//! harmless: where it does not fit as it is, it is told in a line each.

use std::fmt::Write;

use crate::plan::{AccountPlan, Format, OperationOutcome, Run, Status};

use super::display_item::{ChangeMarker, DisplayItem, Severity, blocks, gravest_first, refusal};
use super::field_lines;
use super::text::OKTA_CONSOLE_PATH;
use super::totals::RunSummary;
use crate::model::text::{EscapeInvisible, count};

/// The most that a comment may hold.
pub const MAX_COMMENT_BYTES: usize = 65_536;
/// The most that a job's summary may hold.
pub const MAX_JOB_SUMMARY_BYTES: usize = 1024 * 1024;
/// What is kept free for the sentences that say what was cut.
const RESERVE: usize = 1024;

/// A result as Markdown, no longer than `limit` bytes.
pub fn markdown(run: &Run, limit: usize) -> String {
    let mut text = format!("### {}\n\n", RunSummary::of(run).title());
    if let Some(oldest) = run.oldest {
        let times = [oldest, run.created_at].map(|time| time.strftime("%Y-%m-%d %H:%M UTC"));
        let _ = writeln!(text, "Written between {} and {}.\n", times[0], times[1]);
    }
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

/// Every account folded. What is harmless fills the room that is left, from the gravest account on; the first that does not fit ends it.
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
            "**Cut to fit:** {} and notes that weaken, delete and refuse nothing are not shown, {} not at all; the text and JSON formats hold everything.",
            count(cut_parts, "change"),
            count(cut_accounts, "account"),
        );
    }
}

/// What weakens, deletes, failed or was refused, in a line each, and nothing else.
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
            "**{missing} of {} that weaken, delete, failed or were refused do not fit. Read the text or JSON format before you approve.**\n",
            lines.len()
        );
    }
    let _ = writeln!(
        text,
        "**Cut to fit:** only what weakens, deletes, failed or was refused is shown, in a line each; the text and JSON formats hold everything.\n"
    );
    text.push_str(FENCE);
    lines
        .iter()
        .take(fitting)
        .for_each(|line| text.push_str(line));
    text.push_str("```\n");
}

/// What opens and closes the lines of an account.
const FENCE: &str = "```diff\n";
const CLOSING: &str = "```\n\n</details>\n\n";

/// One account: what stands above its parts, and the parts, at whose borders it can be cut.
struct Section {
    /// How a line of its own names the account.
    name: String,
    opening: String,
    parts: Vec<Part>,
}

/// A thing that is shown; ends with a line break, and is whole for itself.
struct Part {
    text: String,
    /// The same in a line, of what must not be cut.
    brief: Option<String>,
}

impl Part {
    fn harmless(text: String) -> Self {
        Part { text, brief: None }
    }

    /// Something that must not be cut; its first line tells what it is.
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
        // Every line inside begins with a word or a symbol of ours, so none of them can close the fence.
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

    /// How much of it must not be cut.
    fn grave_size(&self) -> usize {
        let grave = self.parts.iter().filter(|part| part.brief.is_some());
        match grave.map(|part| part.text.len()).sum() {
            0 => 0,
            parts => self.frame_size() + parts,
        }
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
        "<details{open}><summary><b>{}</b> {}{}: {what}{remarks}</summary>",
        code(account.label()),
        match &account.name {
            Some(_) => format!("({}) ", code(account.account_id.as_str())),
            None => String::new(),
        },
        code(&account.source),
    )
}

/// A foreign text in the midst of Markdown.
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

/// What an account has to show.
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
    for one in &account.refusals {
        let sentence = one_line(&refusal("", one));
        parts.push(Part::grave(format!(
            "! refused by {}: {sentence}\n",
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
    if !account.left_out.is_empty() {
        let noun = match format {
            Format::Plan | Format::Apply => "change",
            Format::Drift => "difference",
        };
        let left_out = count(account.left_out.len(), noun);
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
    // Symbols that readers of diffs color; the words beside them say the same.
    let symbol = match block.mark {
        ChangeMarker::Added => "+",
        ChangeMarker::Changed | ChangeMarker::Replaced => "!",
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

/// What became of an account's plan, beside its changes.
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
                    "- {address}: operation {id} may or may not have been carried out: {error}\n"
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

/// A foreign text on one line; what would break it is shown escaped.
fn one_line(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| EscapeInvisible(line.trim()).to_string())
        .collect();
    lines.join("; ")
}
