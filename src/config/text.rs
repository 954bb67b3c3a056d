//! Decodes files to text: UTF-8 without control characters.

use std::sync::Arc;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use super::span::{SourceId, Span};
use super::unrelated_file::is_foreign;

/// Registers the text of a file. Reports an error and returns `None` if it is not valid text.
pub(super) fn register(
    name: Arc<str>,
    bytes: Vec<u8>,
    found: &mut DiagnosticSink,
) -> Option<SourceId> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // The text before the first invalid byte is unchanged, so the offset is valid.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let draft = |span| {
                DiagnosticBuilder::new(DiagnosticCode::NotUtf8, span, "the file is not UTF-8")
                    .help("save the file as UTF-8")
            };
            refuse(name, &text, at, found, draft);
            return None;
        }
    };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let unseen = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| unseen(*c)) {
        let draft = |span| {
            let message = format!(
                "the file contains the control character U+{:04X}",
                u32::from(c)
            );
            DiagnosticBuilder::new(DiagnosticCode::ControlCharacter, span, message)
                .help("remove the character")
        };
        refuse(name, text, at, found, draft);
        return None;
    }
    let foreign = is_foreign(text);
    let source = found.sources.add(Arc::clone(&name), text.into(), foreign);
    if foreign {
        let message = "not a desired-state file (unknown first key); its content is not shown";
        let draft = DiagnosticBuilder::of_file(DiagnosticCode::ForeignFile, name, message);
        found.push(draft.help("pass a desired-state file, or start the file with `version: 1`"));
        return None;
    }
    Some(source)
}

/// Reports an invalid character.
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
