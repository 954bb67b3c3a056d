//! The only emitter: trees to text in their canonical layout. `fmt`, `export`, the saved previous state and the diff view all come of it.
//!
//! Linear in the tree: what may stand on one line is tried for the width of a line and no further, and padding is bounded as well.

use std::borrow::Cow;

use super::{Document, Node, Scalar, Trivia, Value};
use crate::model::text::{escape_invisible_json, is_invisible};

/// How wide a mapping or list may be that stands on one line.
const WIDTH: usize = 120;
/// How wide a key may be that others are aligned with.
const MAX_ALIGNED_KEY: usize = 64;

/// Documents as YAML.
pub(in crate::config) fn yaml(documents: &[Document]) -> String {
    let mut lines = Lines::default();
    for (at, document) in documents.iter().enumerate() {
        if document.is_marked || at > 0 {
            lines.push("---", None);
        }
        let root = &document.root;
        lines.push_above("", trimmed(&root.style().above));
        match inline(root, 0) {
            Some(inline) if inline.is_empty() => {}
            Some(inline) => lines.push(inline, None),
            None => lines.push_members(root, 0),
        }
    }
    lines.render()
}

/// A tree as JSON, which has no comments.
pub(in crate::config) fn json(root: &Node) -> String {
    let mut text = String::new();
    push_json(&mut text, root, 0);
    text.push('\n');
    text
}

/// Lines of a file, each with the comment beside it.
#[derive(Default)]
struct Lines {
    lines: Vec<(String, Option<String>)>,
}

/// An entry of a mapping or an item of a list.
struct Member<'t> {
    /// Without its colon; `None` in a list.
    key: Option<Cow<'t, str>>,
    value: &'t Node,
}

impl Lines {
    fn push(&mut self, line: impl Into<String>, beside: Option<&String>) {
        self.lines.push((line.into(), beside.cloned()));
    }

    fn push_above(&mut self, margin: &str, above: &[Trivia]) {
        for one in above {
            match one {
                Trivia::Blank => self.push("", None),
                Trivia::Comment(comment) => self.push(format!("{margin}{comment}"), None),
            }
        }
    }

    /// A collection with a line for each member.
    fn push_members(&mut self, node: &Node, indent: usize) {
        let margin = " ".repeat(indent);
        let members = members(node);
        // The one-line mappings, whose keys are padded where they follow each other.
        let tabular: Vec<Option<String>> = members
            .iter()
            .map(|member| {
                let behind = indent + width(member.key.as_deref()?) + 2;
                let is_table =
                    matches!(&member.value.value, Value::Mapping(entries) if !entries.is_empty());
                let fits = is_table && member.value.style().anchor.is_none();
                fits.then(|| inline(member.value, behind)).flatten()
            })
            .collect();
        let mut at = 0;
        while let Some(member) = members.get(at) {
            let above = &member.value.style().above;
            let above = if at == 0 { leading(above) } else { above };
            if tabular[at].is_none() {
                let head = match &member.key {
                    Some(key) => format!("{margin}{key}:"),
                    None => format!("{margin}-"),
                };
                let inline = inline(member.value, width(&head) + 1);
                let is_section = indent == 0 && at > 0 && member.key.is_some() && inline.is_none();
                if is_section && above.first() != Some(&Trivia::Blank) {
                    self.push("", None);
                }
                self.push_above(&margin, above);
                self.push_member(head, member, inline, indent);
                at += 1;
                continue;
            }
            self.push_above(&margin, above);
            let ends =
                |at: &usize| tabular[*at].is_none() || !members[*at].value.style().above.is_empty();
            let end = (at + 1..members.len()).find(ends).unwrap_or(members.len());
            let run = || members[at..end].iter().zip(&tabular[at..end]);
            let widths = run().map(|(member, _)| width(member.key.as_deref().unwrap_or_default()));
            let widest = widths.filter(|width| *width <= MAX_ALIGNED_KEY).max();
            for (member, value) in run() {
                let key = member.key.as_deref().unwrap_or_default();
                let gap = widest.unwrap_or_default().saturating_sub(width(key)) + 1;
                let value = value.as_deref().unwrap_or_default();
                let line = format!("{margin}{key}:{}{value}", " ".repeat(gap));
                self.push(line, member.value.style().beside.as_ref());
            }
            at = end;
        }
        let below = match node.style().below.split_last() {
            Some((Trivia::Blank, rest)) => rest,
            _ => &node.style().below,
        };
        self.push_above(&margin, below);
    }

    /// A member behind its key or dash.
    fn push_member(
        &mut self,
        mut head: String,
        Member { key, value }: &Member<'_>,
        inline: Option<String>,
        indent: usize,
    ) {
        let margin = " ".repeat(indent);
        let beside = value.style().beside.as_ref();
        if let Some(inline) = inline {
            if !inline.is_empty() {
                head = format!("{head} {inline}");
            }
            self.push(head, beside);
            return;
        }
        let starts_with_comment = members(value)
            .first()
            .is_some_and(|first| !trimmed(&first.value.style().above).is_empty());
        if key.is_none() && value.style().anchor.is_none() && !starts_with_comment {
            // The first line of an item's collection stands behind its dash.
            if let Some(beside) = beside {
                self.push(format!("{margin}{beside}"), None);
            }
            let first = self.lines.len();
            self.push_members(value, indent + 2);
            if let Some((line, _)) = self.lines.get_mut(first) {
                line.replace_range(..indent + 2, &format!("{head} "));
            }
        } else {
            if let Some(anchor) = &value.style().anchor {
                head = format!("{head} &{anchor}");
            }
            self.push(head, beside);
            self.push_members(value, indent + 2);
        }
    }

    /// The text. Comments beside lines that follow each other are aligned.
    fn render(&self) -> String {
        let mut text = String::new();
        for run in self.lines.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
            let widths = run.iter().map(|(line, _)| width(line));
            let widest = widths.filter(|width| *width <= WIDTH).max();
            for (line, beside) in run {
                text.push_str(line);
                if let Some(beside) = beside {
                    let gap = widest.unwrap_or_default().saturating_sub(width(line)) + 2;
                    text.push_str(&" ".repeat(gap));
                    text.push_str(beside);
                }
                text.push('\n');
            }
        }
        text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn members(node: &Node) -> Vec<Member<'_>> {
    match &node.value {
        Value::Scalar(_) | Value::Invalid => Vec::new(),
        Value::Sequence(items) => items
            .iter()
            .map(|value| Member { key: None, value })
            .collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| Member {
                key: Some(key(entry.value.style().key.as_deref(), &entry.key)),
                value: &entry.value,
            })
            .collect(),
    }
}

fn key<'t>(spelling: Option<&'t str>, text: &'t str) -> Cow<'t, str> {
    spelling.map_or_else(|| quoted(text), Cow::Borrowed)
}

/// A node on one line, if it may stand there behind so many characters. A scalar always may.
fn inline(node: &Node, behind: usize) -> Option<String> {
    let mut line = Line {
        text: String::new(),
        room: match &node.value {
            Value::Scalar(_) | Value::Invalid => usize::MAX,
            Value::Sequence(_) | Value::Mapping(_) => WIDTH.checked_sub(behind)?,
        },
    };
    line.push_node(node)?;
    Some(line.text)
}

/// A line that is being tried.
struct Line {
    text: String,
    /// How many characters still fit.
    room: usize,
}

impl Line {
    fn push(&mut self, text: &str) -> Option<()> {
        self.room = self.room.checked_sub(width(text))?;
        self.text.push_str(text);
        Some(())
    }

    fn push_node(&mut self, node: &Node) -> Option<()> {
        let style = node.style();
        if let Some(anchor) = &style.anchor {
            self.push(&format!("&{anchor}"))?;
        }
        let is_empty = match &node.value {
            Value::Scalar(scalar) => {
                let text = spelled(style.spelling.as_deref(), scalar);
                if style.anchor.is_some() && !text.is_empty() {
                    self.push(" ")?;
                }
                return self.push(&text);
            }
            Value::Invalid => return None,
            Value::Sequence(items) => items.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
        };
        if !(style.flow || is_empty) || style.below.iter().any(|below| *below != Trivia::Blank) {
            return None;
        }
        if style.anchor.is_some() {
            self.push(" ")?;
        }
        let (open, close) = match (&node.value, is_empty) {
            (Value::Mapping(_), true) => ("{}", ""),
            (Value::Mapping(_), false) => ("{ ", " }"),
            (_, true) => ("[]", ""),
            (_, false) => ("[", "]"),
        };
        self.push(open)?;
        match &node.value {
            Value::Scalar(_) | Value::Invalid => {}
            Value::Sequence(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.push_inner(at, None, item)?;
                }
            }
            Value::Mapping(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    let spelling = entry.value.style().key.as_deref();
                    self.push_inner(at, Some(&key(spelling, &entry.key)), &entry.value)?;
                }
            }
        }
        self.push(close)
    }

    fn push_inner(&mut self, at: usize, key: Option<&str>, value: &Node) -> Option<()> {
        let style = value.style();
        if style.beside.is_some() || style.above.iter().any(|above| *above != Trivia::Blank) {
            return None;
        }
        if at > 0 {
            self.push(", ")?;
        }
        if let Some(key) = key {
            self.push(key)?;
            self.push(": ")?;
        }
        let before = self.text.len();
        self.push_node(value)?;
        if self.text.len() == before {
            // Nothing before a comma or a brace is easily misread.
            self.push("null")?;
        }
        Some(())
    }
}

/// Without blank lines at either end.
fn trimmed(above: &[Trivia]) -> &[Trivia] {
    let end = above.iter().rposition(|one| *one != Trivia::Blank);
    leading(&above[..end.map_or(0, |end| end + 1)])
}

/// Without blank lines at the beginning.
fn leading(above: &[Trivia]) -> &[Trivia] {
    let blank = above.iter().take_while(|one| **one == Trivia::Blank);
    &above[blank.count()..]
}

fn spelled<'t>(spelling: Option<&'t str>, scalar: &'t Scalar) -> Cow<'t, str> {
    match spelling {
        Some(spelling) => Cow::Borrowed(spelling),
        None if scalar.plain => Cow::Borrowed(&scalar.text),
        None => quoted(&scalar.text),
    }
}

/// A text as a YAML scalar: bare where every reader takes it for text, in double quotes otherwise.
pub(in crate::config) fn quoted(text: &str) -> Cow<'_, str> {
    if is_bare(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(in_quotes(text))
    }
}

/// A text in double quotes. A JSON string is one; what JSON leaves alone and a reader can't see is escaped in addition, and what a CI runner
/// takes for a command.
fn in_quotes(text: &str) -> String {
    let json = serde_json::Value::from(text)
        .to_string()
        .replace("##[", "\\u0023#[");
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        match u32::from(c) {
            _ if !is_invisible(c) => quoted.push(c),
            code if code <= 0xFFFF => quoted.push_str(&format!("\\u{code:04X}")),
            code => quoted.push_str(&format!("\\U{code:08X}")),
        }
    }
    quoted
}

/// Whether every reader takes a bare scalar for text, those of YAML 1.1 as well, to whom `no`, `1_000` or a date is something else.
pub(in crate::config) fn is_bare(text: &str) -> bool {
    const WORDS: [&str; 15] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "o", "x", "t",
        "f",
    ];
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    let safe = first.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:".contains(byte))
        && !text.ends_with(':');
    if !safe || WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return false;
    }
    if first.is_ascii_alphabetic() {
        return true;
    }
    // What begins with a digit may be a number of some base, a date or, in YAML 1.1, a time of sixty-fold digits.
    let based = bytes.len() > 1 && first == &b'0' && b"xXoObB".contains(&bytes[1]);
    let dated = bytes.get(4) == Some(&b'-');
    let lettered = bytes
        .iter()
        .any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e'));
    lettered && !based && !dated
}

/// What is quoted back, or read from the API, as a comment: on one line, with nothing that can't be seen.
pub(in crate::config) fn comment(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if is_invisible(c) { '\u{FFFD}' } else { c })
        .collect();
    format!("# {visible}").replace("##[", "#\u{FFFD}[")
}

fn push_json(text: &mut String, node: &Node, indent: usize) {
    let string = |text: &str| escape_invisible_json(serde_json::Value::from(text).to_string());
    let (members, open, close): (Vec<(Option<&str>, &Node)>, _, _) = match &node.value {
        Value::Scalar(scalar) if scalar.is_null() => return text.push_str("null"),
        // What is bare in JSON is bare here.
        Value::Scalar(scalar) if scalar.plain => return text.push_str(&scalar.text),
        Value::Scalar(scalar) => return text.push_str(&string(&scalar.text)),
        Value::Invalid => return text.push_str("null"),
        Value::Sequence(items) => (items.iter().map(|item| (None, item)).collect(), '[', ']'),
        Value::Mapping(entries) => {
            let entries = entries.iter().map(|one| (Some(&*one.key), &one.value));
            (entries.collect(), '{', '}')
        }
    };
    text.push(open);
    for (at, (key, value)) in members.iter().enumerate() {
        text.push_str(if at > 0 { ",\n" } else { "\n" });
        text.push_str(&" ".repeat(indent + 2));
        if let Some(key) = key {
            text.push_str(&string(key));
            text.push_str(": ");
        }
        push_json(text, value, indent + 2);
    }
    if !members.is_empty() {
        text.push('\n');
        text.push_str(&" ".repeat(indent));
    }
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_bare_only_where_every_reader_takes_them_for_text() {
        for (text, written) in [
            ("high", "high"),
            ("https://corp.okta.com", "https://corp.okta.com"),
            ("https://corp.okta.com:8443/", "https://corp.okta.com:8443/"),
            (
                "3701e70b-5de4-4d9d-8972-f5aa994d9057",
                "3701e70b-5de4-4d9d-8972-f5aa994d9057",
            ),
            (
                "023e105f4ecef8ad9ca31a8372d0c353",
                "023e105f4ecef8ad9ca31a8372d0c353",
            ),
            (
                "00000000000000000000000000000123",
                "\"00000000000000000000000000000123\"",
            ),
            (
                "123456789012345678901234567890e1",
                "\"123456789012345678901234567890e1\"",
            ),
            ("0x1f", "\"0x1f\""),
            ("2026-12-31", "\"2026-12-31\""),
            ("2026-12-31t10:00:00z", "\"2026-12-31t10:00:00z\""),
            ("1_000", "\"1_000\""),
            ("12:30:45", "\"12:30:45\""),
            ("No", "\"No\""),
            ("~", "\"~\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("-", "\"-\""),
            ("##[add-mask]e", "\"\\u0023#[add-mask]e\""),
            (
                "é\"\n\u{7f}\u{2028}\u{e0041}",
                "\"é\\\"\\n\\u007F\\u2028\\U000E0041\"",
            ),
        ] {
            assert_eq!(quoted(text), written);
            let yaml: String = serde_yaml::from_str(written).expect("it is YAML");
            assert_eq!(yaml, text);
            let json: String = serde_json::from_str(&json(&Node::text(text))).expect("it is JSON");
            assert_eq!(json, text);
        }
    }
}
