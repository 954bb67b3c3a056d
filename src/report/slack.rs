//! The view as a Slack message: the title, one line per item, and the next command.

use std::fmt::Write;

use crate::model::text::one_line;

use super::item::{Item, Severity};
use super::prose::{Markup, sentence};
use super::view::{Section, View};

/// Maximum number of items in a message.
pub const MAX_ITEMS: usize = 20;
/// Maximum length of a text.
const MAX_TEXT_CHARS: usize = 400;

/// Returns the lines of a view, the most severe first.
pub fn lines(view: &View) -> Vec<String> {
    let items = view.items().filter(|(_, item)| !item.sentence.is_empty());
    items.map(|(section, item)| line(section, item)).collect()
}

fn line(section: &Section, item: &Item) -> String {
    let markup = Markup {
        code: |text| format!("`{}`", escaped(text)),
        text: escaped,
    };
    let [kind, names, sentence] = sentence(section, item, &markup);
    let kind = match item.label {
        _ if kind.is_empty() => kind,
        "" | "failed" => format!("{kind}: "),
        _ => format!("*{kind}* "),
    };
    let mut line = format!("{kind}{names}{sentence}");
    for fact in &item.facts {
        let _ = write!(line, "; {}", escaped(&fact.text));
    }
    if let (Severity::Ambiguous, Some(help)) = (item.severity, &item.help) {
        let _ = write!(line, "; {}", escaped(help));
    }
    line
}

/// Returns the text of a message. The accounts are in parentheses.
pub fn text(
    [symbol, title, accounts]: [&str; 3],
    lines: &[String],
    next: Option<&str>,
    url: Option<&str>,
) -> String {
    let mut text = format!("{symbol} *{}*{accounts}", escaped(title));
    for line in lines.iter().take(MAX_ITEMS) {
        let _ = write!(text, "\n• {line}");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_ITEMS) {
        let _ = write!(text, "\n… and {more} more");
    }
    if let Some(next) = next {
        let _ = write!(text, "\nNext: `{}`", escaped(next));
    }
    if let Some(url) = url {
        // A vertical bar would end the URL and start the label.
        let url = escaped(url).replace('|', "%7C");
        let _ = write!(text, "\n<{url}|View run>");
    }
    text
}

/// Returns text without mentions, links or formatting.
pub fn escaped(text: &str) -> String {
    let text = one_line(text);
    let characters = text.chars().take(MAX_TEXT_CHARS);
    let escaped = characters.map(|c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        // A backtick would end the code span.
        '`' => "'".to_owned(),
        // Look-alikes, because these start bold or struck-through text outside of code.
        '*' => "∗".to_owned(),
        '~' => "∼".to_owned(),
        c => c.to_string(),
    });
    escaped.collect()
}
