//! Parses YAML text into trees with spans. This is the only file that uses the parser.
//!
//! Scalars stay as written: what `12e10` or `no` means depends on the type that the shape expects, so that an account ID never becomes a
//! number. Nesting and the values of the run are limited, aliases expanded, because authors of files may be malicious.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, options};

use super::code::DiagnosticCode as Code;
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::shape::{DOCUMENT, LIMITS};
use super::span::{SourceId, Span};

/// Maximum nesting depth. A valid file needs six levels.
const MAX_NESTING: usize = 32;
/// Maximum length of a value, in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 8_192;

/// A value with its span.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Span of the value, or of its key if the key has no value.
    pub(super) span: Span,
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A scalar as written, escapes resolved.
    Scalar {
        text: Arc<str>,
        /// True if the value is unquoted, so that it may have another type than text.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An inherited value that `null` removed. Only merging creates it.
    Removed,
    /// A value with an error. The error is already reported.
    Invalid,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    /// False if a syntax error ended the document early, so that absent keys may follow the error.
    pub(super) is_complete: bool,
    /// Number of keys and values, aliases expanded.
    pub(super) values: usize,
}

impl Node {
    /// Returns true if the value is `null` in any notation.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns the entries of a map, or an empty slice for other values.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().find(|entry| &*entry.key == key);
        entry.map(|entry| &entry.node)
    }

    /// Returns the number of keys and values, plus one for each 8 bytes of text, and the nesting depth.
    fn size(&self) -> (usize, usize) {
        let inner = |own: usize, node: &Node| {
            let (values, depth) = node.size();
            (own + values, depth + 1)
        };
        let sizes: Vec<(usize, usize)> = match &self.value {
            Value::List(items) => items.iter().map(|item| inner(0, item)).collect(),
            Value::Map(entries) => {
                let size = |entry: &Entry| inner(1 + entry.key.len() / 8, &entry.node);
                entries.iter().map(size).collect()
            }
            Value::Scalar { text, .. } => vec![(text.len() / 8, 0)],
            Value::Removed | Value::Invalid => Vec::new(),
        };
        let values: usize = sizes.iter().map(|(values, _)| values).sum();
        let depth = sizes.iter().map(|(_, depth)| *depth).max();
        (1 + values, depth.unwrap_or_default())
    }
}

/// Spans are not compared.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Spans are not compared.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

/// Returns the documents of a text, or none if its first key is not one of a desired-state or limits file.
///
/// After a syntax error, the part before it is kept, and the next document is still parsed.
pub(super) fn parse(source: SourceId, diagnostics: &mut Diagnostics) -> Vec<Document> {
    let text = Arc::clone(diagnostics.sources.text(source));
    if !has_known_key(&text) {
        let name = Arc::clone(diagnostics.sources.name(source));
        let message = "not a desired-state file (unknown first key); its content is not shown";
        let help = "pass a desired-state file, or start the file with `version: 1`";
        diagnostics.report_file(&name, Code::ForeignFile, message, help);
        return Vec::new();
    }
    diagnostics.sources.mark_known(source);
    let limits = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(&text, limits),
        source,
        diagnostics,
        anchors: HashMap::new(),
        values: 0,
        depth: 0,
        state: State::Reading,
    };
    let mut documents: Vec<Document> = Vec::new();
    loop {
        while let Some((event, span)) = reader.next() {
            match event {
                Event::DocumentStart(..) => {
                    reader.anchors.clear();
                    reader.values = 0;
                    reader.spend(Resource::Documents, 1, span);
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                event => documents.push(Document {
                    root: reader.node(event, span),
                    is_complete: true,
                    values: reader.values,
                }),
            }
        }
        if let Some(document) = documents.last_mut() {
            document.is_complete = reader.state == State::Reading;
        }
        let is_broken = matches!(reader.state, State::Broken | State::Skipping);
        if !is_broken || !matches!(reader.parser.proceed_next_document(), Ok(true)) {
            return documents;
        }
        (reader.state, reader.depth) = (State::Reading, 0);
    }
}

/// Returns true if the first key of a text is known, or there is none. Other files are not read, because messages would quote them.
fn has_known_key(text: &str) -> bool {
    let mut is_in_map = false;
    for event in Parser::new_from_str(text) {
        match event.map(|(event, _)| event) {
            Ok(Event::MappingStart(..)) if !is_in_map => is_in_map = true,
            Ok(Event::MappingEnd) => is_in_map = false,
            Ok(Event::Scalar(key, ..)) if is_in_map => {
                return DOCUMENT.key(&key).or(LIMITS.key(&key)).is_some();
            }
            Ok(Event::Scalar(text, ScalarStyle::Plain, ..)) if matches!(&*text, "" | "~") => {}
            Ok(Event::StreamStart | Event::StreamEnd | Event::Comment(..)) => {}
            Ok(Event::DocumentStart(..) | Event::DocumentEnd) => {}
            _ => return false,
        }
    }
    true
}

/// Returns the comments of a text, sorted.
pub(super) fn comments(text: &str) -> Vec<String> {
    let limits = options! { max_buffered_comment_events: usize::MAX };
    let events = Parser::new_from_str_with_options(text, limits).map_while(Result::ok);
    let comment = |event| match event {
        Event::Comment(text, _) => Some(text.trim().to_owned()),
        _ => None,
    };
    let mut comments: Vec<String> = events.filter_map(|(event, _)| comment(event)).collect();
    comments.sort_unstable();
    comments
}

struct Reader<'t, 'd> {
    parser: Parser<'t, StrInput<'t>>,
    source: SourceId,
    diagnostics: &'d mut Diagnostics,
    /// Nodes that aliases may repeat, and their sizes.
    anchors: HashMap<usize, (Node, (usize, usize))>,
    values: usize,
    depth: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// A syntax error ends the document. The value read last may be incomplete: `${NAME}` without quotes ends at the brace.
    Broken,
    /// The incomplete value has been dropped.
    Skipping,
    /// The rest of the document is skipped.
    Stopped,
}

impl<'t> Reader<'t, '_> {
    /// Returns the next event, or `None` at the end and after an error.
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        if self.state != State::Reading {
            return None;
        }
        match self.parser.next_event()? {
            Ok((event, span)) => {
                if event.tag().is_some() {
                    let span = self.span(&span.tag_span().unwrap_or(span));
                    let message = "YAML tags are not supported";
                    self.diagnostics
                        .report(span, Code::Tag, message, "remove the tag");
                }
                Some((event, self.span(&span)))
            }
            Err(error) => {
                self.syntax_error(&error);
                None
            }
        }
    }

    /// Returns the next event of a list or map. After a syntax error, drops the item read last and returns `None`.
    fn next_in<T>(&mut self, items: &mut Vec<T>) -> Option<(Event<'t>, Span)> {
        let next = self.next();
        if next.is_none() && self.state == State::Broken {
            items.pop();
            self.state = State::Skipping;
        }
        next
    }

    /// Returns the node that starts with an event.
    fn node(&mut self, event: Event<'t>, span: Span) -> Node {
        let ((value, end), anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                ((self.scalar(&text, style, span), span.end), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(), anchor),
            Event::MappingStart(_, anchor, _) => (self.map(), anchor),
            Event::Alias(id) => return self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("alias `*{name}` has no anchor `&{name}` before it");
                let help = "define the anchor, or put text that starts with `*` in quotes";
                self.diagnostics.report(span, Code::Alias, &message, help);
                ((Value::Invalid, span.end), 0)
            }
            _ => ((Value::Invalid, span.end), 0),
        };
        let span = span.until(end);
        let node = Node { value, span };
        if self.count(1, span) && anchor != 0 {
            let size = node.size();
            if self.count(size.0, span) {
                self.anchors.insert(anchor, (node.clone(), size));
            }
        }
        node
    }

    fn invalid(&self, span: Span) -> Node {
        let value = Value::Invalid;
        Node { value, span }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Value {
        let length = text.len();
        if length > MAX_VALUE_BYTES {
            let message = format!("a value has {length} bytes; the maximum is {MAX_VALUE_BYTES}");
            self.diagnostics
                .report(span, Code::TooLarge, &message, "shorten the value");
            return Value::Invalid;
        }
        Value::Scalar {
            text: text.into(),
            plain: style == ScalarStyle::Plain,
        }
    }

    fn list(&mut self) -> (Value, u32) {
        let (mut items, mut end) = (Vec::new(), 0);
        self.depth += 1;
        while let Some((event, span)) = self.next_in(&mut items) {
            if event == Event::SequenceEnd {
                end = span.end;
                break;
            }
            items.push(self.node(event, span));
        }
        self.depth -= 1;
        (Value::List(items), end)
    }

    fn map(&mut self) -> (Value, u32) {
        let (mut entries, mut end) = (Vec::new(), 0);
        let mut first: HashMap<Arc<str>, Span> = HashMap::new();
        self.depth += 1;
        while let Some((event, span)) = self.next_in(&mut entries) {
            if event == Event::MappingEnd {
                end = span.end;
                break;
            }
            let key = self.node(event, span);
            let Some((event, span)) = self.next_in(&mut entries) else {
                break;
            };
            let mut node = self.node(event, span);
            let key_span = key.span;
            if node.span.start == node.span.end {
                node.span = key_span;
            }
            match key.value {
                Value::Scalar { text: key, .. } => match first.get(&key) {
                    Some(first) => {
                        let message = format!("duplicate key `{key}`");
                        let help = "remove one of them";
                        let problem = Problem::at(key_span, Code::DuplicateKey, &message, help);
                        self.diagnostics.push(problem.duplicates(*first));
                    }
                    None => {
                        first.insert(Arc::clone(&key), key_span);
                        entries.push(Entry {
                            key,
                            key_span,
                            node,
                        });
                    }
                },
                Value::List(_) | Value::Map(_) => {
                    let message = "a list or mapping cannot be a key";
                    let help = "put a value that starts with `{` or `[` in quotes";
                    self.diagnostics
                        .report(key_span, Code::KeyNotText, message, help);
                }
                Value::Removed | Value::Invalid => {}
            }
        }
        self.depth -= 1;
        (Value::Map(entries), end)
    }

    /// Returns a copy of the anchored node. It is counted before it is copied, because copies of copies grow exponentially.
    fn alias(&mut self, id: usize, span: Span) -> Node {
        let Some((_, (values, depth))) = self.anchors.get(&id) else {
            let message = "the alias is inside the value of its own anchor";
            self.diagnostics
                .report(span, Code::Alias, message, "repeat the value");
            return self.invalid(span);
        };
        let (values, depth) = (*values, *depth);
        if self.depth + depth > MAX_NESTING {
            self.report_nesting(span);
        } else if self.count(values, span) {
            return self.anchors[&id].0.clone();
        }
        self.invalid(span)
    }

    /// Counts values before they are kept. Stops reading and returns false if there are too many.
    fn count(&mut self, values: usize, span: Span) -> bool {
        self.values += values;
        self.spend(Resource::Values, values, span)
    }

    fn spend(&mut self, resource: Resource, amount: usize, span: Span) -> bool {
        if self.state != State::Stopped && !self.diagnostics.spend(resource, amount, span) {
            self.state = State::Stopped;
        }
        self.state != State::Stopped
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let bytes = span.byte_range().unwrap_or_default();
        let number = |number: usize| u32::try_from(number).expect("files have at most 32 MiB");
        Span {
            source: self.source,
            start: number(bytes.start),
            end: number(bytes.end),
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
        }
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let span = self.span(&granit_parser::Span::empty(*error.marker()));
        let before = &self.diagnostics.sources.text(self.source)[..span.start as usize];
        let help = match error.kind() {
            ErrorKind::RecursionLimitExceeded => return self.report_nesting(span),
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart => "indent with spaces, not tabs",
            ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
                "a key ends with a colon and a space, as in `key: value`"
            }
            ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator
                if before.ends_with('$') =>
            {
                "put variables in quotes inside braces or brackets: `\"${NAME}\"`"
            }
            ErrorKind::UnexpectedCharacter { .. } => {
                "put the value in quotes if it starts with this character"
            }
            _ => "the rest of this document was not checked",
        };
        let message = format!("invalid YAML: {}", error.info());
        self.diagnostics.report(span, Code::Syntax, &message, help);
        self.state = State::Broken;
    }

    fn report_nesting(&mut self, span: Span) {
        let message = format!("nested more than {MAX_NESTING} levels deep");
        let help = "a desired-state file needs at most 6 levels";
        self.diagnostics.report(span, Code::Nesting, &message, help);
        self.state = State::Stopped;
    }
}
