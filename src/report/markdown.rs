//! The view as Markdown for a comment on a pull request.
//!
//! Untrusted text is in code or has only characters without a meaning in Markdown, so it cannot add HTML, links or mentions.

use std::fmt::Write;

use crate::model::text::pluralize;
use crate::plan::Run;

use super::item::{Item, Severity, shown};
use super::prose::{Markup, sentence};
use super::view::{DetailLevel, Section, URL_HEADING, View};

/// Maximum size of a comment in bytes, so also in characters.
pub const MAX_COMMENT_BYTES: usize = 65_536;
/// Maximum size of a job summary.
pub const MAX_JOB_SUMMARY_BYTES: usize = 1024 * 1024;
/// Bytes reserved for the notices about cut items and the footer.
const RESERVE: usize = 2048;
/// Maximum number of minor differences that are not folded.
const MAX_OPEN_ITEMS: usize = 10;

/// Returns a run as Markdown of at most `limit` bytes. Items are cut from the least severe end.
pub fn markdown(run: &Run, limit: usize) -> String {
    let view = View::new(run, DetailLevel::Grouped);
    let mut room = limit.saturating_sub(RESERVE + view.summary.title.len());
    let (severe, minor): (Vec<_>, Vec<_>) = view
        .items()
        .partition(|(_, item)| item.severity <= Severity::Integration);
    let is_open = minor.len() <= MAX_OPEN_ITEMS;
    let (open, folded): (Vec<_>, Vec<_>) = minor
        .into_iter()
        .partition(|(_, item)| item.severity == Severity::Change && is_open);
    let [severe, open, folded] = [severe, open, folded].map(|items| -> Vec<String> {
        let items = items.into_iter();
        items
            .map(|(section, item)| paragraph(section, item))
            .collect()
    });
    let mut urls = String::new();
    if !view.well_known_urls.is_empty() {
        urls = format!("{}\n\n", prose(URL_HEADING));
        for (name, url) in &view.well_known_urls {
            let _ = writeln!(urls, "- {} {}", code_span(name), code_span(url));
        }
        urls.push('\n');
    }
    let title = format!("{}{}", view.summary.title, view.summary.in_accounts);
    let mut text = format!("### {}\n\n", prose(&title));
    let all = severe.len();
    let severe = fitting(severe, &mut room);
    let missing = all - severe.len();
    if missing > 0 {
        let _ = writeln!(
            text,
            "**{missing} of {all} items that weaken protection, delete, failed or are blocked do not fit. Read the text or JSON output before you approve.**\n"
        );
    }
    let all = open.len() + folded.len();
    text.extend(severe);
    text.extend(fitting(vec![urls], &mut room));
    let open = fitting(open, &mut room);
    let folded = fitting(folded, &mut room);
    let cut = all - open.len() - folded.len();
    text.extend(open);
    if !folded.is_empty() {
        let summary = format!("Less severe: {}", pluralize(folded.len(), "item"));
        text.push_str(&details(&summary, &folded.concat()));
    }
    match view.unchanged.len() {
        0 => {}
        _ if view.accounts == 1 => {
            let line = format!("{}{}", view.summary.headline, view.summary.totals);
            let _ = writeln!(text, "{}\n", prose(&line));
        }
        number => {
            let names: Vec<String> = view.unchanged.iter().map(|name| code_span(name)).collect();
            let names = fitting(vec![names.join(", ")], &mut room).concat();
            let summary = format!("{} {}", pluralize(number, "account"), view.unchanged_words);
            text.push_str(&details(&summary, &format!("{names}\n\n")));
        }
    }
    if cut > 0 {
        let cut = pluralize(cut, "less severe item");
        let _ = writeln!(
            text,
            "**Cut to fit:** {cut} not shown. See the text or JSON output.\n"
        );
    }
    let evidence: Vec<String> = view.evidence.split(" · ").map(prose).collect();
    let _ = writeln!(text, "<sub>{}</sub>", evidence.join(" · "));
    text
}

/// Returns the items that fit, and reduces the room.
fn fitting(items: Vec<String>, room: &mut usize) -> Vec<String> {
    let fits = |item: &String| match room.checked_sub(item.len()) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    };
    items.into_iter().take_while(fits).collect()
}

fn details(summary: &str, content: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{content}</details>\n\n")
}

/// Returns an item as a paragraph.
fn paragraph(section: &Section, item: &Item) -> String {
    let markup = Markup {
        code: code_span,
        text: prose,
    };
    let [kind, names, sentence] = sentence(section, item, &markup);
    let mut text = String::new();
    if !kind.is_empty() && !sentence.is_empty() {
        let _ = write!(text, "**{}:** ", capitalized(&kind));
    }
    let is_account_error = item.is_account_error();
    if !sentence.is_empty() {
        let end = if is_account_error { "" } else { "." };
        let _ = write!(text, "{names}{sentence}{end}");
    }
    for fact in &item.facts {
        let _ = write!(text, " {}.", prose(&capitalized(&fact.text)));
    }
    if item.severity == Severity::Ambiguous {
        for line in item.lines.iter().skip(1) {
            let _ = write!(text, "\n- {}", code_span(line.trim()));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    if let Some(resolution) = &item.resolution {
        let file = match resolution.file.as_str() {
            "its file" => "its file".to_owned(),
            file => code_span(file),
        };
        let delete = code_span(&resolution.delete);
        let _ = writeln!(text, "Delete it with {delete}, or add it to {file}.");
    }
    if let Some(help) = item.help.as_ref().filter(|_| !is_account_error) {
        let help = match item.severity {
            Severity::Blocked if help.starts_with("riskform ") => {
                format!("Allow it with {}", code_span(help))
            }
            _ => prose(&capitalized(help)),
        };
        let _ = writeln!(text, "{help}.");
    }
    text.push('\n');
    text
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Returns text as a code span.
fn code_span(text: &str) -> String {
    format!("`{}`", shown(text).replace('`', "'"))
}

/// Returns text as code that is safe within HTML.
pub(super) fn code(text: &str) -> String {
    let escaped = shown(text)
        .chars()
        .map(|c| match c.is_ascii_punctuation() {
            true => format!("&#{};", u32::from(c)),
            false => c.to_string(),
        })
        .collect::<String>();
    format!("<code>{escaped}</code>")
}

/// Returns text unchanged if it has no Markdown syntax, else as code.
fn prose(text: &str) -> String {
    let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
    let chars: Vec<char> = text.chars().collect();
    let is_plain = chars.iter().enumerate().all(|(at, c)| match c {
        '@' | '_' | '.' | ':'
            if at > 0 && is_word(chars.get(at - 1)) && is_word(chars.get(at + 1)) =>
        {
            true
        }
        '.' | ':' => !matches!(chars.get(at + 1), Some('/')),
        c => c.is_alphanumeric() || " ,;()'/-\"→…%=±?{}$".contains(*c),
    });
    match is_plain {
        true => text.to_owned(),
        false => code_span(text),
    }
}
