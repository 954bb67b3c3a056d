//! Bytes to text: UTF-8 without control characters, or a diagnostic that says where.

use std::sync::Arc;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use super::span::{SourceId, Span};
use super::unrelated_file::is_foreign;

/// Registers a file's text; `None`, and a diagnostic, when it is no text.
pub(super) fn register(
    name: Arc<str>,
    bytes: Vec<u8>,
    found: &mut DiagnosticSink,
) -> Option<SourceId> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // Up to the first bad byte the replaced text is the same, so the offset holds.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let draft = |span| {
                DiagnosticBuilder::new(DiagnosticCode::NotUtf8, span, "the file is not UTF-8")
                    .help("save it as UTF-8")
            };
            refuse(name, &text, at, found, draft);
            return None;
        }
    };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let unseen = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| unseen(*c)) {
        let draft = |span| {
            let message = format!("the control character U+{:04X} in the file", u32::from(c));
            DiagnosticBuilder::new(DiagnosticCode::ControlCharacter, span, message)
                .help("take the character out")
        };
        refuse(name, text, at, found, draft);
        return None;
    }
    let foreign = is_foreign(text);
    let source = found.sources.add(Arc::clone(&name), text.into(), foreign);
    if foreign {
        let message = "not a desired-state file: its first key is none of riskform's, so nothing of it is shown";
        let draft = DiagnosticBuilder::of_file(DiagnosticCode::ForeignFile, name, message);
        found.push(draft.help("name a desired-state file, or begin this one with `version: 1`"));
        return None;
    }
    Some(source)
}

/// Reports one character of a text that is refused for it.
fn refuse(
    name: Arc<str>,
    text: &str,
    at: usize,
    found: &mut DiagnosticSink,
    draft: impl FnOnce(Span) -> DiagnosticBuilder,
) {
    let before = &text[..at];
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    let span = Span {
        source: found.sources.add(name, text.into(), is_foreign(text)),
        start: count(at),
        end: count(at + length),
        line: count(before.matches('\n').count() + 1),
        column: count(before[line_start..].chars().count() + 1),
    };
    found.push(draft(span));
}
