//! Texts of files: spans, locations, and the source line shown with a location.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::model::location::Location;

/// Index of a text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceId(u32);

/// Range in a text. It includes line and column, because computing them later would require another pass over the text.
///
/// Spans are ordered by file in the order of reading, then by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Whether the file is unrelated, so that its content is not shown.
    is_unrelated: bool,
}

impl Sources {
    /// Adds a text. The content of an unrelated file is not shown.
    pub(super) fn add(&mut self, name: Arc<str>, text: &str, is_unrelated: bool) -> SourceId {
        let id = u32::try_from(self.0.len()).expect("fewer files than u32 can count");
        self.0.push(Source {
            name,
            text: text.into(),
            is_unrelated,
        });
        SourceId(id)
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

    pub(super) fn place(&self, span: Span) -> Place {
        let source = self.get(span.source);
        let excerpt = match source.is_unrelated {
            true => Excerpt::default(),
            false => Excerpt::cut(&source.text, span.start as usize..span.end as usize),
        };
        let width = excerpt.text[excerpt.range()].chars().count();
        Place {
            file: Arc::clone(&source.name),
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

/// Source line of a location, shortened. Ends before a credential, and is empty if the content must not be shown.
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
/// Number of bytes before a location to search for a key that names a credential. A private key has about 3,000 bytes.
const LOOKBACK_BYTES: usize = 16 << 10;

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
        let line_break = |c| c == '\n' || c == '\r';
        let ellipsis = |is_cut: bool| if is_cut { "…" } else { "" };
        let start = text.floor_char_boundary(span.start);
        let above = &text[text.ceil_char_boundary(start.saturating_sub(LOOKBACK_BYTES))..start];
        let (above, line) = above.split_at(above.rfind(line_break).map_or(0, |at| at + 1));
        let before = &line[line.ceil_char_boundary(line.len().saturating_sub(MAX_BEFORE_BYTES))..];
        let from_line_start = before.len() == line.len();
        let after = &text[start..text.floor_char_boundary(start + MAX_AFTER_BYTES)];
        let (after, is_cut) = match after.find(line_break) {
            Some(at) => (&after[..at], false),
            None => (after, start + after.len() < text.len()),
        };
        let whole = format!("{line}{after}");
        let shown_end = credential_start(&whole).unwrap_or(whole.len());
        if shown_end < line.len() || continues_credential(above, &whole) {
            return Excerpt::default();
        }
        let (shown, is_cut) = match shown_end < whole.len() {
            true => (&after[..shown_end - line.len()], true),
            false => (after, is_cut),
        };
        let prefix = ellipsis(!from_line_start);
        let start_in_line = prefix.len() + before.len();
        let length = (span.end.max(start) - start).min(shown.len());
        Excerpt {
            start: start_in_line,
            end: start_in_line + shown.ceil_char_boundary(length),
            text: format!("{prefix}{before}{shown}{}", ellipsis(is_cut)),
            from_line_start,
        }
    }
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

/// Returns the start of the first credential in a line: the value of a key that names one, or the user information of a URL.
fn credential_start(line: &str) -> Option<usize> {
    let keys = line.match_indices([':', '=']).map(|(at, _)| at + 1);
    let value = keys.clone().find(|at| {
        let key = line[..at - 1].trim_end().trim_end_matches(['"', '\'']);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let value = line[*at..].trim_start();
        match key.rsplit(|c| !is_word(c)).next().unwrap_or_default() {
            "api_token_env" => is_like_token(value),
            key => {
                names_credential(key) && !value.is_empty() && !value.starts_with(['{', '[', '#'])
            }
        }
    });
    let mut authorities = line.match_indices("://").map(|(at, _)| at + 3);
    let user_info = authorities.find(|at| {
        let authority = line[*at..].split(['/', ' ', '"', '\'']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    });
    value.into_iter().chain(user_info).min()
}

/// Returns true if a line may continue a credential that starts above: a block scalar, or text on several lines.
fn continues_credential(above: &str, line: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let is_pair = line.contains(": ") || line.trim_end().ends_with(':');
    let mut outer = indent(line);
    let earlier = above.lines().rev().filter(|line| {
        let text = line.trim_start();
        !text.is_empty() && !text.starts_with('#')
    });
    for (at, earlier) in earlier.enumerate() {
        let is_outer = indent(earlier) < outer;
        let key = earlier.trim_end().trim_end_matches(['"', '\'', ':']);
        let is_open_key = at == 0 && earlier.contains(':') && names_credential(key);
        if (is_outer || !is_pair) && credential_start(earlier).is_some() || is_open_key && !is_pair
        {
            return true;
        }
        outer = outer.min(indent(earlier));
        if is_pair && outer == 0 {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, marked: &str) -> (String, String) {
        let at = text.rfind(marked).unwrap();
        let excerpt = Excerpt::cut(text, at..at + marked.len());
        let covered = excerpt.text[excerpt.range()].to_owned();
        (excerpt.text, covered)
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
    fn long_line_is_cut_on_character_boundaries() {
        let text = format!("{}x{}", "é".repeat(5_000), "ü".repeat(5_000));
        let (shown, covered) = excerpt(&text, "x");
        assert!(shown.len() < 4_400, "{}", shown.len());
        assert!(shown.starts_with('…') && shown.ends_with('…'));
        assert_eq!(covered, "x");
    }

    #[test]
    fn excerpt_ends_before_a_credential() {
        let token = format!("api_token_env: {}", "a1B2".repeat(10));
        for (line, marked, shown) in [
            ("api_token: abc", "api_token", "api_token:…"),
            ("'API-Key' : abc", "API", "'API-Key' :…"),
            ("{ password: abc, name: x }", "password", "{ password:…"),
            ("{ password: abc, name: x }", "name", ""),
            ("url: ${MY_TOKEN:-abc}", "url", "url: ${MY_TOKEN:…"),
            ("url: https://me:abc@a.com/", "url", "url: https://…"),
            ("url: https://a.com/@b", "url", "url: https://a.com/@b"),
            (
                "api_token_env: CLOUDFLARE_API_TOKEN",
                "CLOUD",
                "api_token_env: CLOUDFLARE_API_TOKEN",
            ),
            (&token, "a1B2", ""),
            (
                "okta-key: { active: yes }",
                "yes",
                "okta-key: { active: yes }",
            ),
        ] {
            assert_eq!(
                excerpt(&format!("version: 1\n{line}\n"), marked).0,
                shown,
                "{line}"
            );
        }
    }

    #[test]
    fn excerpt_of_later_lines_of_a_credential_is_empty() {
        for above in [
            "api_token: |\n",
            "api_token: |\n  first\n",
            "a:\n  password: >-\n\n      first\n    # no comment\n",
            "a:\n  - password: |2\n      first\n        deeper\n",
            "api_token: \"first\n",
            "{ name: x, password: 'first\n second\n",
            "api_token: first\n",
            "api_token:\n",
            "api_token: # below\n",
            "{ \"password\":\n",
            "version: 1\r\napi_token: |\r\n  first\r\n",
        ] {
            assert_eq!(
                excerpt(&format!("{above}    se}}cret"), "cret").0,
                "",
                "{above}"
            );
            let is_text = above.contains(['|', '>']) || above.contains("first");
            if is_text {
                assert_eq!(
                    excerpt(&format!("{above}    secret: 1, or"), "or").0,
                    "",
                    "{above}"
                );
            }
        }
        let long = format!("version: 1\napi_token: {}secret", "x".repeat(10_000));
        assert_eq!(excerpt(&long, "secret").0, "");
    }

    #[test]
    fn excerpt_next_to_a_credential_is_shown() {
        for (above, line) in [
            ("integrations:\n  okta-key:\n", "    active: yes"),
            (
                "integrations:\n  okta-key:\n    lifecycle:\n",
                "      - active",
            ),
            (
                "integrations:\n  okta-key: # ours\n    id: x\n",
                "    active: yes",
            ),
            ("api_token: |\n  first\n", "name: x"),
            ("a:\n  api_token: |\n    first\n", "  name: x"),
            ("a:\n  api_token: first\n", "  name: x"),
        ] {
            assert_eq!(excerpt(&format!("{above}{line}"), line).0, line, "{above}");
        }
    }
}
