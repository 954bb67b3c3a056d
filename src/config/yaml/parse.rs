//! YAML text to trees, one document after the other, each mistake with its place. Only here and in `builder` is the parser known.

use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Options, Parser, ScanError, options};

use super::Document;
use super::builder::{Builder, MAX_NESTING, NextStep, ParseMode, too_deep};
use super::comments::{self, Comment};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::span::{SourceId, Span};

/// Hands over every document of a text, each before the next is read, so that no more than one is held. Mistakes in the syntax are
/// reported; whatever could be read is handed over.
pub(in crate::config) fn each(
    source: SourceId,
    found: &mut DiagnosticSink,
    mut take: impl FnMut(Document, &mut DiagnosticSink),
) {
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    read(source, options, ParseMode::Values, found, &mut take);
}

/// Every document of a text with its comments, blank lines, quotes and anchors, and aliases as they are written; and all comments, in
/// their order. `None` when the text holds something that has no canonical layout.
pub(in crate::config) fn with_comments(
    source: SourceId,
    found: &mut DiagnosticSink,
) -> Option<(Vec<Document>, Vec<String>)> {
    let options = options! {
        disallow_directives: true,
        emit_anchor_events: true,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
        max_buffered_comment_events: usize::MAX,
    };
    let errors = found.errors();
    let mut documents = Vec::new();
    let comments = read(
        source,
        options,
        ParseMode::Lossless,
        found,
        &mut |document, _| {
            documents.push(document);
        },
    )?;
    if found.errors() > errors {
        return None;
    }
    let text = Arc::clone(found.sources.text(source));
    let all = comments.iter().map(|one| one.text.to_string()).collect();
    comments::attach(&text, &mut documents, comments)?;
    Some((documents, all))
}

/// Returns the comments; `None` where something was read that has no canonical layout.
fn read(
    source: SourceId,
    options: Options,
    reader: ParseMode,
    found: &mut DiagnosticSink,
    take: &mut dyn FnMut(Document, &mut DiagnosticSink),
) -> Option<Vec<Comment>> {
    let text = Arc::clone(found.sources.text(source));
    let mut parser = Parser::new_from_str_with_options(&text, options);
    let mut builder = Builder::new(source, reader, found);
    while let Some(next) = parser.next_event() {
        let after = match next {
            Ok((event, span)) => {
                if matches!(event, Event::DocumentStart(..) | Event::StreamEnd) {
                    builder.flush_document(take);
                }
                builder.tag(&event, &span);
                if reader == ParseMode::Lossless && anchor(&event) != 0 {
                    // The name follows right behind.
                    if let Some(Ok((Event::Anchor(_, name), _))) = parser.next_event() {
                        builder.anchor = Some(name.into());
                    }
                }
                builder.take(event, &span, &text)
            }
            Err(error) => builder.syntax_error(&error),
        };
        let goes_on = match after {
            NextStep::Next => true,
            // The next document has a beginning of its own, so its mistakes can be reported in the same go.
            NextStep::NextDocument => matches!(parser.proceed_next_document(), Ok(true)),
            NextStep::Nothing => false,
        };
        if after != NextStep::Next {
            builder.cut_short();
            builder.flush_document(take);
        }
        if !goes_on {
            break;
        }
    }
    builder.flush_document(take);
    builder.has_layout.then_some(builder.comments)
}

/// The anchor that an event defines; 0 for none.
fn anchor(event: &Event<'_>) -> usize {
    match event {
        Event::Scalar(_, _, anchor, _)
        | Event::SequenceStart(_, anchor, _)
        | Event::MappingStart(_, anchor, _) => *anchor,
        _ => 0,
    }
}

impl Builder<'_> {
    fn syntax_error(&mut self, error: &ScanError) -> NextStep {
        let mark = error.marker();
        let end = granit_parser::Span::empty(*mark);
        let span = self.span(&end);
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            self.found.push(too_deep(span));
            return NextStep::Nothing;
        }
        let help = match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart => Some("indent with spaces, not tabs"),
            ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
                Some("a key ends with a colon and a space, as in `key: value`")
            }
            ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator
                if self.follows_dollar(span) =>
            {
                Some("put variables in quotes inside braces or brackets: `\"${NAME}\"`")
            }
            ErrorKind::UnexpectedCharacter { .. } => {
                Some("put the value in quotes if it starts with this character")
            }
            _ => Some("the rest of this document was not checked"),
        };
        let draft = DiagnosticBuilder::new(
            DiagnosticCode::Syntax,
            span,
            format!("invalid YAML: {}", error.info()),
        );
        self.found.push(draft.help_opt(help.map(str::to_owned)));
        NextStep::NextDocument
    }

    /// Whether a place stands right behind the `$` of a variable.
    fn follows_dollar(&self, span: Span) -> bool {
        let text = self.found.sources.text(self.source);
        text[..span.start as usize].ends_with('$')
    }
}
