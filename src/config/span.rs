//! Texts of files: spans, locations, and the source line shown with a location.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::redact::redact_secrets;
use crate::model::location::Location;

/// Index of a text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceId(u32);

/// Range in a text. It includes line and column, because computing them later would require another pass over the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) source: SourceId,
    /// Byte offsets of start and end.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Line and column of the start, starting at 1. The column counts characters.
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Span {
    /// Span of values that were not read from a file.
    pub(super) const NOWHERE: Span = Span {
        source: SourceId(u32::MAX),
        start: 0,
        end: 0,
        line: 0,
        column: 0,
    };

    /// Returns true if the span is empty, such as the value of a key without a value.
    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the sort key of a span: by file in the order of reading, then by position.
    pub(super) fn order(self) -> (u32, u32) {
        (self.source.0, self.start)
    }
}

/// A value and its span.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// Texts of all files of a run.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Whether the file is unrelated, so that its content is not shown.
    is_foreign: bool,
}

impl Sources {
    /// Adds a text. The content of an unrelated file is not shown.
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

    /// Returns the text of a span, as written.
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

/// Location of a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// File, as given by the user.
    pub file: Arc<str>,
    /// Region in the file; missing if the diagnostic is about the whole file.
    #[serde(flatten)]
    pub region: Option<Region>,
}

/// Region of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Line, starting at 1.
    pub line: u32,
    /// First column in characters, starting at 1.
    pub column: u32,
    /// Column after the last character.
    pub end_column: u32,
    /// Excerpt of the line.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// Source line of a location: shortened, with credentials redacted. Empty if the content must not be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, or the part around the location.
    pub text: String,
    start: usize,
    end: usize,
    from_line_start: bool,
}

/// Maximum number of bytes kept before a location. Renderers shorten further; this limit is for files with a single long line.
const MAX_BEFORE_BYTES: usize = 4_096;
/// Maximum number of bytes kept after the start of a location.
const MAX_AFTER_BYTES: usize = 160;

impl Excerpt {
    /// Returns the byte range of the location in the excerpt.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Returns true if the start of the line is not cut.
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

/// Returns the nearest character boundary at or before an offset.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns the nearest character boundary at or after an offset.
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
