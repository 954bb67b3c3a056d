//! The view as Markdown for a comment on a pull request.
//!
//! Untrusted text is in code or has only characters without a meaning in Markdown, so it cannot add HTML, links or mentions.

use std::fmt::Write;

use crate::model::text::pluralize;
use crate::plan::{Format, Run};

use super::apply::WellKnownUrls;
use super::view::{DetailLevel, Item, Section, Severity, UNLISTED_INTEGRATION, View};

/// Maximum size of a comment in bytes, so also in characters.
pub const MAX_COMMENT_BYTES: usize = 65_536;
/// Maximum size of a job summary.
pub const MAX_JOB_SUMMARY_BYTES: usize = 1024 * 1024;
/// Bytes reserved for the notices about cut items and the footer.
const RESERVE: usize = 2048;
/// Maximum length of an item that must be shown but does not fit.
const MAX_BRIEF_CHARS: usize = 240;
/// Maximum number of harmless differences that are not folded.
const MAX_OPEN_ITEMS: usize = 10;

/// Returns a run as Markdown of at most `limit` bytes. Items are cut from the least severe end.
pub fn markdown(run: &Run, limit: usize) -> String {
    let view = View::new(run, DetailLevel::Grouped);
    let items = || {
        view.sections
            .iter()
            .flat_map(|section| section.items.iter().map(move |item| (section, item)))
    };
    let (severe, harmless): (Vec<_>, Vec<_>) =
        items().partition(|(_, item)| item.severity.is_severe());
    let mut severe: Vec<String> = severe
        .into_iter()
        .map(|(section, item)| paragraph(section, item))
        .collect();
    let mut room = limit.saturating_sub(RESERVE + view.summary.title.len());
    if severe.iter().map(String::len).sum::<usize>() > room {
        severe = severe.into_iter().map(brief).collect();
    }
    let mut text = format!("### {}\n\n", prose(&view.summary.title));
    let all = severe.len();
    let severe = fitting(severe, &mut room);
    if severe.len() < all {
        let missing = all - severe.len();
        let _ = writeln!(
            text,
            "**{missing} of {all} items that weaken protection, delete, failed or are blocked do not fit. Read the text or JSON output before you approve.**\n"
        );
    }
    text.extend(severe);
    let urls = WellKnownUrls(run).list();
    if run.format == Format::Apply && !urls.is_empty() {
        let lines = urls
            .iter()
            .map(|(name, url)| format!("- {} {}\n", code_span(name), code_span(url)));
        let urls = format!(
            "{}\n\n{}\n",
            prose(&WellKnownUrls::heading(urls.len())),
            lines.collect::<String>()
        );
        text.extend(fitting(vec![urls], &mut room));
    }
    let is_open = harmless.len() <= MAX_OPEN_ITEMS;
    let (open, folded): (Vec<_>, Vec<_>) = harmless
        .into_iter()
        .partition(|(_, item)| item.severity == Severity::Change && is_open);
    let mut cut = 0;
    for (heading, items) in [("", open), ("Less severe", folded)] {
        let all = items.len();
        let items = items
            .into_iter()
            .map(|(section, item)| paragraph(section, item));
        let items = fitting(items.collect(), &mut room);
        cut += all - items.len();
        text.push_str(&details(heading, &items));
    }
    text.push_str(&unchanged(&view, run, room));
    if cut > 0 {
        let cut = pluralize(cut, "less severe item");
        let _ = writeln!(
            text,
            "**Cut to fit:** {cut} not shown. See the text or JSON output.\n"
        );
    }
    text.push_str(&footer(run));
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

fn details(heading: &str, items: &[String]) -> String {
    match (heading, items.len()) {
        (_, 0) => String::new(),
        ("", _) => items.concat(),
        (heading, number) => {
            let items_text = items.concat();
            let number = pluralize(number, "item");
            format!("<details><summary>{heading}: {number}</summary>\n\n{items_text}</details>\n\n")
        }
    }
}

fn unchanged(view: &View, run: &Run, room: usize) -> String {
    let words = match run.format {
        Format::Drift => "as declared",
        Format::Plan | Format::Apply => "without changes",
    };
    let (number, accounts) = (view.unchanged.len(), view.accounts);
    let names: Vec<String> = view.unchanged.iter().map(|name| code_span(name)).collect();
    let names = names.join(", ");
    match number {
        0 => String::new(),
        _ if accounts == 1 => format!("{}\n\n", prose(&view.summary.line())),
        _ => {
            let names = if names.len() < room {
                names
            } else {
                String::new()
            };
            format!(
                "<details><summary>{} {words}</summary>\n\n{names}\n\n</details>\n\n",
                pluralize(number, "account")
            )
        }
    }
}

fn footer(run: &Run) -> String {
    let evidence = run.evidence.clone().unwrap_or_default();
    let line = evidence.line(run.created_at, &run.base_url);
    let parts: Vec<String> = line.split(" · ").map(prose).collect();
    format!("<sub>{}</sub>\n", parts.join(" · "))
}

/// Returns an item as a paragraph.
fn paragraph(section: &Section, item: &Item) -> String {
    let resolution = item
        .resolution
        .as_ref()
        .map_or(String::new(), |resolution| {
            let file = match resolution.file.as_str() {
                "its file" => "its file".to_owned(),
                file => code_span(file),
            };
            format!(
                "Delete it with {}, or add it to {file}.\n",
                code_span(&resolution.delete)
            )
        });
    if item.sentence.is_empty() && item.resolution.is_some() {
        return format!("{resolution}\n");
    }
    let names: Vec<String> = section
        .accounts
        .iter()
        .take(5)
        .map(|name| code_span(name))
        .collect();
    let mut names = names.join(", ");
    let number = section.accounts.len();
    if number > 5 {
        let _ = write!(names, " and {} more", number - 5);
    }
    let label = capitalized(item.label);
    let lead = match (label.as_str(), number) {
        ("Failed", _) if item.symbol == "!" => {
            format!("**{} failed:** {names}: ", pluralize(number, "account"))
        }
        // One integration among several names its account.
        (label, _)
            if section.account.is_none()
                && number > 1
                && item.severity == Severity::Integration
                && item.symbol == "?" =>
        {
            format!("**{label}:** ")
        }
        ("", 1) => format!("{names}: "),
        ("", _) => format!("**{number} accounts:** {names}: "),
        (label, 1) => format!("**{label}:** {names} "),
        (label, _) => format!("**{label} in {number} accounts:** {names}: "),
    };
    let title = match item.title.as_str() {
        "" => String::new(),
        // The tenant is enough: the command has the ID.
        _ if item.label == UNLISTED_INTEGRATION && !item.lines.is_empty() => String::new(),
        title => format!("{} ", code_span(title)),
    };
    let origin = item
        .origin
        .as_ref()
        .map_or(String::new(), |origin| format!("({}) ", prose(origin)));
    let is_account_error = item.severity == Severity::Failed && item.symbol == "!";
    let end = if is_account_error { "" } else { "." };
    let mut text = format!("{lead}{title}{origin}{}{end}", tenant_in_code(item));
    for fact in &item.facts {
        let _ = write!(text, " {}.", prose(&capitalized(&fact.text)));
    }
    if item.severity == Severity::Ambiguous {
        for line in item.lines.iter().skip(1) {
            let _ = write!(text, "\n- {}", code_span(line.trim()));
        }
    }
    text.push('\n');
    text.push_str(&resolution);
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

/// Returns the sentence of an item, with the tenant of an unlisted integration as code.
fn tenant_in_code(item: &Item) -> String {
    let tenant = item
        .lines
        .first()
        .filter(|_| item.label == UNLISTED_INTEGRATION);
    match tenant.and_then(|tenant| Some((tenant, item.sentence.strip_prefix(tenant.as_str())?))) {
        Some((tenant, rest)) => format!("{}{}", code_span(tenant), prose(rest)),
        None => prose(&item.sentence),
    }
}

/// Shortens an item that must be shown.
fn brief(paragraph: String) -> String {
    let line = paragraph.lines().next().unwrap_or_default();
    // A cut within code would leave it open.
    match line.char_indices().nth(MAX_BRIEF_CHARS) {
        None => format!("{line}\n\n"),
        Some((at, _)) => {
            let mut line = line[..at].to_owned();
            if line.matches('`').count() % 2 == 1 {
                line.push('`');
            }
            format!("{line}…\n\n")
        }
    }
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
    format!("`{}`", super::view::shown(text).replace('`', "'"))
}

/// Returns text as code that is safe within HTML.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", entities(&super::view::shown(text)))
}

fn entities(text: &str) -> String {
    let mut html = String::new();
    for c in text.chars() {
        match c.is_ascii_punctuation() {
            true => {
                let _ = write!(html, "&#{};", u32::from(c));
            }
            false => html.push(c),
        }
    }
    html
}

/// Returns text as it is if nothing in it has a meaning in Markdown, else as code.
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
        ' ' | ',' | ';' | '(' | ')' | '\'' | '/' | '-' | '"' | '→' | '…' | '%' | '=' | '±'
        | '?' | '{' | '}' | '$' => true,
        c => c.is_alphanumeric(),
    });
    match is_plain {
        true => text.to_owned(),
        false => code_span(text),
    }
}
