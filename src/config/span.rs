//! The texts that diagnostics point into: spans, places, and the one line of source that is shown with a place.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::redact::redact_secrets;
use crate::model::location::Location;

/// Which text of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceId(u32);

/// A stretch of one text. Line and column stand in it because finding them again would mean reading the text again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) source: SourceId,
    /// Byte offsets.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Of the start, from 1; the column in characters.
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Span {
    /// Of what was never read.
    pub(super) const NOWHERE: Span = Span {
        source: SourceId(u32::MAX),
        start: 0,
        end: 0,
        line: 0,
        column: 0,
    };

    /// Whether nothing is written there, as for a key without a value.
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// What spans are sorted by: file by file in the order they were read, then from top to bottom.
    pub(super) fn order(self) -> (u32, u32) {
        (self.source.0, self.start)
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// The texts of one run.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Whether nothing of it is ever shown.
    is_foreign: bool,
}

impl Sources {
    /// Keeps a text. Nothing of a foreign one is ever shown.
    pub(super) fn add(&mut self, name: Arc<str>, text: Arc<str>, is_foreign: bool) -> SourceId {
        let id = u32::try_from(self.list.len()).expect("fewer files than u32 can count");
        self.list.push(Source {
            name,
            text,
            is_foreign,
        });
        SourceId(id)
    }

    fn get(&self, id: SourceId) -> &Source {
        &self.list[id.0 as usize]
    }

    pub(super) fn name(&self, id: SourceId) -> &Arc<str> {
        &self.get(id).name
    }

    pub(super) fn text(&self, id: SourceId) -> &Arc<str> {
        &self.get(id).text
    }

    /// What stands at a span, letter for letter.
    pub(super) fn written(&self, span: Span) -> &str {
        self.text(span.source)
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    pub(super) fn location(&self, span: Span) -> Location {
        Location {
            file: Arc::clone(self.name(span.source)),
            line: span.line,
            column: span.column,
        }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        let Source {
            name,
            text,
            is_foreign,
        } = self.get(span.source);
        let excerpt = match is_foreign {
            true => Excerpt::default(),
            false => Excerpt::cut(text, span.start as usize..span.end as usize),
        };
        let width = excerpt.text[excerpt.range()].chars().count();
        Place {
            file: Arc::clone(name),
            region: Some(Region {
                line: span.line,
                column: span.column,
                end_column: span.column + u32::try_from(width).unwrap_or(u32::MAX - span.column),
                excerpt,
            }),
        }
    }
}

/// A place as diagnostics name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Where in it; absent when the file as a whole is meant.
    #[serde(flatten)]
    pub region: Option<Region>,
}

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// The line, from 1.
    pub line: u32,
    /// The first column in characters, from 1.
    pub column: u32,
    /// The column behind the last.
    pub end_column: u32,
    /// The line itself.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// The source line of a place, cut to a readable length, with credentials blotted out. Empty where nothing may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, or the part of it around the place.
    pub text: String,
    start: usize,
    end: usize,
    from_line_start: bool,
}

/// How many bytes of a line are kept before a place. Renderers trim further; this is for lines that hold a whole file.
const MAX_BEFORE_BYTES: usize = 4_096;
/// How many bytes of a line are kept behind the beginning of a place.
const MAX_AFTER_BYTES: usize = 160;

impl Excerpt {
    /// The bytes of the text that the place covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether nothing is cut off in front.
    pub fn is_from_line_start(&self) -> bool {
        self.from_line_start
    }

    fn cut(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let line_break = |c| c == '\n' || c == '\r';
        let before = &text[ceil(text, start.saturating_sub(MAX_BEFORE_BYTES))..start];
        let (before, cut_before) = match before.rfind(line_break) {
            Some(at) => (&before[at + 1..], false),
            None => (before, before.len() < start),
        };
        let after = &text[start..floor(text, (start + MAX_AFTER_BYTES).min(text.len()))];
        let (after, cut_after) = match after.find(line_break) {
            Some(at) => (&after[..at], false),
            None => (after, start + after.len() < text.len()),
        };
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let mut line = format!(
            "{}{before}{after}{}",
            ellipsis(cut_before),
            ellipsis(cut_after)
        );
        let start_in_line = ellipsis(cut_before).len() + before.len();
        let length = (span.end.max(start) - start).min(after.len());
        let length = ceil(after, length);
        redact_secrets(&mut line, &text[..start - before.len()]);
        Excerpt {
            start: start_in_line,
            end: start_in_line + length,
            text: line,
            from_line_start: !cut_before,
        }
    }
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The nearest character boundary at or after an offset.
fn ceil(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, marked: &str) -> (String, String) {
        let at = text.find(marked).unwrap();
        let excerpt = Excerpt::cut(text, at..at + marked.len());
        (
            excerpt.text.clone(),
            excerpt.text[excerpt.range()].to_owned(),
        )
    }

    #[test]
    fn an_excerpt_is_the_line_of_the_place() {
        for (text, marked, line) in [
            ("a: 1\nbé: x\nc: 2", "x", "bé: x"),
            ("a: 1\r\nb: x\r\nc: 2", "x", "b: x"),
            ("x", "x", "x"),
            ("a:\n  first\n  second\n", "first\n  second", "  first"),
        ] {
            let (shown, covered) = excerpt(text, marked);
            assert_eq!(shown, line);
            assert!(marked.starts_with(&covered), "{covered}");
        }
    }

    #[test]
    fn a_long_line_is_cut_on_character_boundaries() {
        let text = format!("{}x{}", "é".repeat(5_000), "ü".repeat(5_000));
        let (shown, covered) = excerpt(&text, "x");
        assert!(shown.len() < 4_400, "{}", shown.len());
        assert!(shown.starts_with('…') && shown.ends_with('…'));
        assert_eq!(covered, "x");
    }
}
