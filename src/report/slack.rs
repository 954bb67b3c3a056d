//! The view as a Slack message: the title, one line per item, and the next command.

use std::fmt::{self, Write};

use crate::model::text::{abbreviate_list, one_line};
use crate::plan::Run;

use super::view::{DetailLevel, Item, Section, Severity, View};

/// Maximum number of items in a message.
pub const MAX_ITEMS: usize = 20;
/// Maximum length of a text.
const MAX_TEXT_CHARS: usize = 400;

/// Returns the lines of a run, the most severe first.
pub fn lines(run: &Run) -> Vec<String> {
    let view = View::new(run, DetailLevel::Grouped);
    let items = view.sections.iter().flat_map(|section| {
        let items = section
            .items
            .iter()
            .filter(|item| !item.sentence.is_empty());
        items.map(move |item| line(section, item))
    });
    items.collect()
}

/// Returns the text of a message.
pub fn text(
    symbol: &str,
    title: &str,
    lines: &[String],
    next: Option<&str>,
    url: Option<&str>,
) -> String {
    // The number of accounts is less important than the findings.
    let (title, accounts) = match title.rsplit_once(" (") {
        Some((title, accounts)) if accounts.ends_with(')') => (title, format!("({accounts}")),
        _ => (title, String::new()),
    };
    let mut text = format!("{symbol} *{}*", SlackEscaped(title));
    if !accounts.is_empty() {
        let _ = write!(text, " {}", SlackEscaped(&accounts));
    }
    for line in lines.iter().take(MAX_ITEMS) {
        let _ = write!(text, "\n• {line}");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_ITEMS) {
        let _ = write!(text, "\n… and {more} more");
    }
    if let Some(next) = next {
        let _ = write!(text, "\nNext: `{}`", SlackEscaped(next));
    }
    if let Some(url) = url {
        // A vertical bar would end the URL and start the label.
        let url = SlackEscaped(url).to_string().replace('|', "%7C");
        let _ = write!(text, "\n<{url}|View run>");
    }
    text
}

fn line(section: &Section, item: &Item) -> String {
    let names = section
        .accounts
        .iter()
        .map(|name| format!("`{}`", SlackEscaped(name)));
    let (names, number) = (abbreviate_list(names), section.accounts.len());
    let is_about_accounts = item.severity == Severity::Failed;
    let accounts = match number {
        1 if is_about_accounts => format!("1 account failed: {names}: "),
        _ if is_about_accounts => format!("{number} accounts failed: {names}: "),
        1 => format!("{names} "),
        _ => format!("{number} accounts: {names}: "),
    };
    let label = match item.label {
        "" | "failed" => String::new(),
        label => format!("*{label}* "),
    };
    let mut what = String::new();
    if !item.title.is_empty() && item.resolution.is_none() {
        let _ = write!(what, "`{}` ", SlackEscaped(&item.title));
    }
    match item.lines.first().filter(|_| item.resolution.is_some()) {
        Some(tenant) => {
            let _ = write!(what, "`{}`, active", SlackEscaped(tenant));
        }
        None => what.push_str(&SlackEscaped(&item.sentence).to_string()),
    }
    for fact in &item.facts {
        let _ = write!(what, "; {}", SlackEscaped(&fact.text));
    }
    if let (Severity::Ambiguous, Some(help)) = (item.severity, &item.help) {
        let _ = write!(what, "; {}", SlackEscaped(help));
    }
    format!("{label}{accounts}{what}")
}

/// Displays a text without mentions, links or formatting.
pub struct SlackEscaped<'a>(pub &'a str);

impl fmt::Display for SlackEscaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = one_line(self.0);
        for c in text.chars().take(MAX_TEXT_CHARS) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                // A backtick would end the code span.
                '`' => f.write_char('\'')?,
                // Replaced by look-alikes, because they start bold or struck-through text outside of code.
                '*' => f.write_char('∗')?,
                '~' => f.write_char('∼')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
