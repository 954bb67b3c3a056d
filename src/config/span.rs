//! Texts of files: spans, locations, and the source line shown with a location.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::model::location::Location;

/// Index of a text in [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceId(u32);

/// Range in a text. It includes line and column, because computing them later would require reading the text again.
///
/// Spans are ordered by file in the order of reading, then by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Returns the span of a file as a whole, in line 0.
    pub(super) fn of_file(source: SourceId) -> Self {
        Span {
            source,
            ..Span::default()
        }
    }

    /// Returns the span extended to an end.
    pub(super) fn until(self, end: u32) -> Self {
        let end = end.max(self.start);
        Span { end, ..self }
    }
}

/// Texts of all files of a run.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// True if it is known to be a desired-state file. Others are not shown.
    is_known: bool,
    /// Number of bytes before the first line with a credential, for the first excerpt. Most texts have no diagnostic.
    shown_bytes: OnceLock<usize>,
}

impl Source {
    /// Returns the part that excerpts may show.
    fn shown(&self) -> &str {
        let shown_bytes = || first_credential(&self.text);
        match self.is_known {
            true => &self.text[..*self.shown_bytes.get_or_init(shown_bytes)],
            false => "",
        }
    }
}

impl Sources {
    /// Adds a text. It is not shown before [`Sources::mark_known`].
    pub(super) fn add(&mut self, name: &str, text: &str) -> SourceId {
        let id = u32::try_from(self.0.len()).expect("fewer files than u32 can count");
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
            is_known: false,
            shown_bytes: OnceLock::new(),
        });
        SourceId(id)
    }

    /// Marks a text as a desired-state file.
    pub(super) fn mark_known(&mut self, id: SourceId) {
        self.0[id.0 as usize].is_known = true;
    }

    fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0 as usize]
    }

    pub(super) fn name(&self, id: SourceId) -> &Arc<str> {
        &self.get(id).name
    }

    pub(super) fn text(&self, id: SourceId) -> &Arc<str> {
        &self.get(id).text
    }

    /// Returns the text of a span, as written.
    pub(super) fn written(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.text(span.source).get(range).unwrap_or_default()
    }

    pub(super) fn location(&self, span: Span) -> Location {
        Location {
            file: Arc::clone(self.name(span.source)),
            line: span.line,
            column: span.column,
        }
    }

    /// Returns the place of a span. A span in line 0 is a file as a whole.
    pub(super) fn place(&self, span: Span) -> Place {
        let source = self.get(span.source);
        let (name, line, column) = (Arc::clone(&source.name), span.line, span.column);
        let region = (line > 0).then(|| {
            let (excerpt, range) = excerpt(source.shown(), span);
            let width = excerpt[range.clone()].chars().count();
            Region {
                line,
                column,
                end_column: column + u32::try_from(width).unwrap_or_default(),
                excerpt,
                range,
            }
        });
        Place { file: name, region }
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
    /// Source line. Empty if it must not be shown or is very long.
    #[serde(skip)]
    pub excerpt: String,
    /// Byte range of the location in the excerpt.
    #[serde(skip)]
    pub range: Range<usize>,
}

/// Maximum number of bytes before a location. Renderers shorten lines; this limit is for files with a single long line.
const MAX_BEFORE_BYTES: usize = 4_096;
/// Maximum number of bytes kept after the start of a location.
const MAX_AFTER_BYTES: usize = 160;

/// Returns the line of a span, and the range of the span in it.
fn excerpt(text: &str, span: Span) -> (String, Range<usize>) {
    let start = span.start as usize;
    if !text.is_char_boundary(start) {
        return Default::default();
    }
    let line_break = ['\n', '\r'];
    let window = text.floor_char_boundary(start.saturating_sub(MAX_BEFORE_BYTES));
    let before = match text[window..start].rfind(line_break) {
        Some(at) => &text[window + at + 1..start],
        None if window > 0 => return Default::default(),
        None => &text[..start],
    };
    let after = &text[start..text.floor_char_boundary(start + MAX_AFTER_BYTES)];
    let (after, ellipsis) = match after.find(line_break) {
        Some(at) => (&after[..at], ""),
        None if start + after.len() < text.len() => (after, "…"),
        None => (after, ""),
    };
    let length = after.ceil_char_boundary((span.end as usize).max(start) - start);
    let range = before.len()..before.len() + length;
    (format!("{before}{after}{ellipsis}"), range)
}

/// Returns true if the name of a key suggests a credential.
pub(super) fn names_credential(key: &str) -> bool {
    const WORDS: [&str; 6] = ["TOKEN", "SECRET", "PASSW", "CREDENTIAL", "KEY", "WEBHOOK"];
    let key = key.to_ascii_uppercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// Returns true if a text looks like a token: long, with lower-case letters and digits. No variable has such a name.
pub(super) fn is_like_token(text: &str) -> bool {
    text.len() >= 32
        && text.contains(|c: char| c.is_ascii_lowercase())
        && text.contains(|c: char| c.is_ascii_digit())
}

/// Returns the start of the first line with a credential, or the length of the text. Later lines may continue the credential.
fn first_credential(text: &str) -> usize {
    let (mut at, mut is_open) = (0, false);
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.split(" #").next().unwrap_or_default().trim();
        if !content.is_empty() && !content.starts_with('#') {
            let is_pair = content.contains(": ") || content.ends_with(':');
            if has_credential(content) || is_open && !is_pair {
                break;
            }
            // The value may be in the next line.
            is_open = content.ends_with(':') && names_credential(content);
        }
        at += line.len();
    }
    at
}

/// Returns true if a line has the value of a key that names a credential, or the user information of a URL.
fn has_credential(line: &str) -> bool {
    let is_value = |(at, _): (usize, &str)| {
        let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let value = line[at + 1..].trim_start();
        let value = &value[..value.floor_char_boundary(64)];
        match key.rsplit(|c| !is_word(c)).next().unwrap_or_default() {
            "api_token_env" => is_like_token(value),
            key => names_credential(key) && !value.is_empty() && !value.starts_with(['{', '[']),
        }
    };
    let is_user_info = |rest: &str| {
        let authority = rest.split(['/', ' ', '"', '\'']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    };
    line.match_indices([':', '=']).any(is_value) || line.split("://").skip(1).any(is_user_info)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the excerpt of the last `marked` in a text, and the marked part.
    fn excerpt(text: &str, marked: &str) -> (String, String) {
        let mut sources = Sources::default();
        let source = sources.add("a.yaml", text);
        sources.mark_known(source);
        let start = text.rfind(marked).unwrap();
        let span = Span {
            source,
            start: u32::try_from(start).unwrap(),
            end: u32::try_from(start + marked.len()).unwrap(),
            line: 1,
            column: 1,
        };
        let region = sources.place(span).region.unwrap();
        let covered = region.excerpt[region.range].to_owned();
        (region.excerpt, covered)
    }

    #[test]
    fn excerpt_is_the_line_of_the_span() {
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
    fn excerpt_of_a_long_line_is_cut_or_omitted() {
        let (shown, covered) = excerpt(&format!("x{}", "ü".repeat(5_000)), "x");
        assert!(shown.len() < 200 && shown.ends_with('…'), "{shown}");
        assert_eq!(covered, "x");
        assert_eq!(excerpt(&format!("{}x", "é".repeat(5_000)), "x").0, "");
    }

    #[test]
    fn excerpts_end_before_the_first_credential() {
        let token = format!("api_token_env: {}", "a1B2".repeat(10));
        for credential in [
            "api_token: abc",
            "'API-Key' : abc",
            "{ password: abc, name: x }",
            "url: ${MY_TOKEN:-abc}",
            "url: https://me:abc@a.com/",
            "api_token: |\n  abc",
            "a:\n  - password: |2\n      abc\n        deeper",
            "a:\n  password: >-\n    very\n    abc \u{1b}",
            "{ name: x, password: 'abc\n second",
            "api_token:\n\n  # below\n  abc",
            "{ \"password\":\n  abc",
            &token,
        ] {
            let text = format!("version: 1\n{credential}\nname: x\n");
            assert_eq!(excerpt(&text, "version").0, "version: 1", "{credential}");
            let secret = if credential == token { "a1B2" } else { "abc" };
            for hidden in [secret, "name: x"] {
                assert_eq!(excerpt(&text, hidden).0, "", "{credential}");
            }
        }
    }

    #[test]
    fn excerpts_without_credentials_are_shown() {
        for text in [
            "api_token_env: CLOUDFLARE_API_TOKEN\nx",
            "okta-key: { active: yes }\nx",
            "integrations:\n  okta-key: # ours\n    active: yes\nx",
            "url: https://a.okta.com/@b\nx",
        ] {
            assert_eq!(excerpt(text, "x").0, "x", "{text}");
        }
    }
}
