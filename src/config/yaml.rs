//! Parses YAML text into trees with spans. This is the only file that uses the parser.
//!
//! Scalars stay as written: what `12e10` or `no` means depends on the type that the shape expects, so that an account ID never becomes a
//! number. Limits hold here, because the authors of files may be malicious: nesting, the values of a document with all aliases expanded,
//! and the totals of the run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, options};

use super::code::DiagnosticCode as Code;
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::span::{SourceId, Span};

/// Maximum nesting depth; a valid file needs six levels.
const MAX_NESTING: usize = 32;
/// Maximum values of one document, aliases expanded: as many as 100,000 integrations with all their fields.
const MAX_NODES: usize = 800_000;
/// Maximum length of a value, in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 8_192;

/// A value with its span.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Span of the value, or of its key if nothing is written after the key.
    pub(super) span: Span,
}

/// A value of a document.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A scalar as written, escapes resolved.
    Scalar {
        text: Arc<str>,
        /// Whether it is unquoted, so that it may be something else than text.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An inherited value that `null` removed. Only merging creates it.
    Removed,
    /// A value that could not be read; this has been reported.
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
    /// False if a syntax error cut it short: what it lacks may only be unread.
    pub(super) is_complete: bool,
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

    /// Returns true if both have the same values, regardless of their spans.
    pub(super) fn is_same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar { text: a, plain: p }, Value::Scalar { text: b, plain: q }) => {
                a == b && p == q
            }
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                let is_same = |(a, b): (&Entry, &Entry)| a.key == b.key && a.node.is_same(&b.node);
                a.len() == b.len() && a.iter().zip(b).all(is_same)
            }
            _ => false,
        }
    }

    /// Returns the number of values, the bytes of text, and the nesting depth.
    pub(super) fn size(&self) -> Size {
        let mut size = Size {
            nodes: 1,
            bytes: 0,
            depth: 0,
        };
        let mut add = |key: &str, node: &Node| {
            let inner = node.size();
            size.nodes += inner.nodes;
            size.bytes += inner.bytes + key.len();
            size.depth = size.depth.max(inner.depth + 1);
        };
        match &self.value {
            Value::Scalar { text, .. } => size.bytes = text.len(),
            Value::List(items) => items.iter().for_each(|item| add("", item)),
            Value::Map(entries) => entries
                .iter()
                .for_each(|entry| add(&entry.key, &entry.node)),
            Value::Removed | Value::Invalid => {}
        }
        size
    }
}

/// Amount of data in a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) nodes: usize,
    bytes: usize,
    depth: usize,
}

/// Returns the documents of a text. After a syntax error, the part before it is kept, and the next document is still parsed.
pub(super) fn parse(source: SourceId, diagnostics: &mut Diagnostics) -> Vec<Document> {
    let text = Arc::clone(diagnostics.sources.text(source));
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
        texts: HashSet::new(),
        nodes: 0,
        depth: 0,
        state: State::Reading,
    };
    let mut documents: Vec<Document> = Vec::new();
    let mut is_open = false;
    loop {
        match reader.next() {
            Some((Event::DocumentStart(..), span)) => {
                (reader.nodes, is_open) = (0, false);
                reader.anchors.clear();
                if !reader.diagnostics.spend(Resource::Documents, 1, span) {
                    break;
                }
            }
            Some((Event::StreamStart | Event::StreamEnd | Event::DocumentEnd, _)) => {}
            Some((event, span)) => {
                let root = reader.node(event, span, 1);
                is_open = true;
                documents.push(Document {
                    root,
                    is_complete: true,
                });
            }
            None => {
                // Text after a complete root that cannot be read belonged to the root.
                if let (Some(last), true) = (documents.last_mut(), is_open) {
                    last.is_complete = matches!(reader.state, State::Reading);
                }
                if !reader.skips_to_next_document() {
                    break;
                }
            }
        }
    }
    documents
}

/// Returns the comments of a text, sorted.
pub(super) fn comments(text: &str) -> Vec<String> {
    let limits = options! { max_buffered_comment_events: usize::MAX };
    let events = Parser::new_from_str_with_options(text, limits).map_while(Result::ok);
    let mut comments: Vec<String> = events
        .filter_map(|(event, _)| match event {
            Event::Comment(text, _) => Some(text.trim().to_owned()),
            _ => None,
        })
        .collect();
    comments.sort_unstable();
    comments
}

/// Returns the first key of a text: `None` if it has no value, an empty key if it does not start with a map.
pub(super) fn first_key(text: &str) -> Option<String> {
    let limits = options! { emit_comments: false };
    let mut events = Parser::new_from_str_with_options(text, limits);
    let mut is_in_map = false;
    loop {
        match events.next_event()? {
            Ok((Event::MappingStart(..), _)) if !is_in_map => is_in_map = true,
            Ok((Event::Scalar(key, ..), _)) if is_in_map => return Some(key.into_owned()),
            Ok((Event::Scalar(text, ScalarStyle::Plain, ..), _)) if matches!(&*text, "" | "~") => {}
            Ok((
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd,
                _,
            )) => {}
            Ok(_) | Err(_) => return Some(String::new()),
        }
    }
}

struct Reader<'t, 'd> {
    parser: Parser<'t, StrInput<'t>>,
    source: SourceId,
    diagnostics: &'d mut Diagnostics,
    /// Nodes that aliases may repeat.
    anchors: HashMap<usize, (Node, Size)>,
    /// Short texts, so that equal ones share their memory.
    texts: HashSet<Arc<str>>,
    nodes: usize,
    depth: usize,
    state: State,
}

enum State {
    Reading,
    /// A syntax error ends the document. The value read last may be incomplete until the innermost collection has ended.
    Broken {
        is_innermost: bool,
    },
    /// A limit is exceeded, so nothing else is read.
    Stopped,
}

impl<'t> Reader<'t, '_> {
    /// Returns the next event, or `None` at the end and after an error.
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        if !matches!(self.state, State::Reading) {
            return None;
        }
        match self.parser.next_event()? {
            Ok((event, span)) => {
                if event.tag().is_some() {
                    let span = self.span(&span.tag_span().unwrap_or(span));
                    self.report(
                        span,
                        Code::Tag,
                        "YAML tags are not supported",
                        "remove the tag",
                    );
                }
                Some((event, self.span(&span)))
            }
            Err(error) => {
                self.syntax_error(&error);
                None
            }
        }
    }

    /// Goes to the next document after a syntax error. Returns false if there is none.
    fn skips_to_next_document(&mut self) -> bool {
        let is_broken = matches!(self.state, State::Broken { .. });
        let goes_on = is_broken && matches!(self.parser.proceed_next_document(), Ok(true));
        if goes_on {
            (self.state, self.depth) = (State::Reading, 0);
        }
        goes_on
    }

    /// Returns the node that starts with an event. `count` is 0 for a key, which counts with its value.
    fn node(&mut self, event: Event<'t>, span: Span, count: usize) -> Node {
        let (value, span, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (self.scalar(&text, style, span), span, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let (items, end) = self.list();
                (Value::List(items), span.until(end), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, end) = self.map();
                (Value::Map(entries), span.until(end), anchor)
            }
            Event::Alias(id) => return self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("alias `*{name}` has no anchor `&{name}` before it");
                let help = "define the anchor, or put text that starts with `*` in quotes";
                self.report(span, Code::Alias, message, help);
                (Value::Invalid, span, 0)
            }
            _ => (Value::Invalid, span, 0),
        };
        let node = Node { value, span };
        if !self.count(count, span) || anchor == 0 {
            return node;
        }
        let size = node.size();
        if self.count(size.nodes, span) {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        node
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Value {
        if text.len() > MAX_VALUE_BYTES {
            let message = format!(
                "a value has {} bytes; the maximum is {MAX_VALUE_BYTES}",
                text.len()
            );
            self.report(span, Code::TooLarge, message, "shorten the value");
            return Value::Invalid;
        }
        Value::Scalar {
            text: self.shared(text),
            plain: style == ScalarStyle::Plain,
        }
    }

    /// Returns the text in memory that equal texts share.
    fn shared(&mut self, text: &str) -> Arc<str> {
        const MAX_SHARED_TEXTS: usize = 1_024;
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        if self.texts.len() < MAX_SHARED_TEXTS {
            self.texts.insert(Arc::clone(&shared));
        }
        shared
    }

    fn list(&mut self) -> (Vec<Node>, u32) {
        let mut items = Vec::new();
        self.depth += 1;
        let end = loop {
            match self.next() {
                Some((Event::SequenceEnd, span)) => break span.end,
                Some((event, span)) => {
                    let item = self.node(event, span, 1);
                    items.push(item);
                }
                None => {
                    self.invalidate(items.last_mut());
                    break 0;
                }
            }
        };
        self.depth -= 1;
        (items, end)
    }

    fn map(&mut self) -> (Vec<Entry>, u32) {
        let mut entries: Vec<Entry> = Vec::new();
        self.depth += 1;
        let end = loop {
            let Some((event, key_span)) = self.next() else {
                self.invalidate(entries.last_mut().map(|entry| &mut entry.node));
                break 0;
            };
            if event == Event::MappingEnd {
                break key_span.end;
            }
            let key = self.node(event, key_span, 0);
            let key_span = key.span;
            let Some((event, span)) = self.next() else {
                self.invalidate(entries.last_mut().map(|entry| &mut entry.node));
                break 0;
            };
            let mut node = self.node(event, span, 1);
            if node.span.start == node.span.end {
                node.span = key_span;
            }
            match key.value {
                Value::Scalar { text: key, .. } => entries.push(Entry {
                    key,
                    key_span,
                    node,
                }),
                Value::List(_) | Value::Map(_) => {
                    let message = "a list or mapping cannot be a key";
                    let help = "put a value that starts with `{` or `[` in quotes";
                    self.report(key_span, Code::KeyNotText, message, help);
                }
                Value::Removed | Value::Invalid => {}
            }
        };
        self.depth -= 1;
        self.drop_duplicates(&mut entries);
        (entries, end)
    }

    /// Marks the value read last as invalid after a syntax error, once: `${NAME}` without quotes ends at the brace.
    fn invalidate(&mut self, last: Option<&mut Node>) {
        if let State::Broken { is_innermost } = &mut self.state
            && std::mem::take(is_innermost)
            && let Some(last) = last
        {
            last.value = Value::Invalid;
        }
    }

    /// Reports duplicate keys and keeps the first of each.
    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|at| (&entries[*at].key, *at));
        let mut duplicates: Vec<(usize, Span)> = Vec::new();
        for same in order.chunk_by(|a, b| entries[*a].key == entries[*b].key) {
            let first = entries[same[0]].key_span;
            duplicates.extend(same[1..].iter().map(|at| (*at, first)));
        }
        duplicates.sort_unstable();
        for (at, first) in &duplicates {
            let Entry { key, key_span, .. } = &entries[*at];
            let message = format!("duplicate key `{key}`");
            let problem = Problem::at(*key_span, Code::DuplicateKey, message, "remove one of them");
            self.diagnostics.push(problem.duplicates(*first));
        }
        if !duplicates.is_empty() {
            let mut at = 0..;
            entries.retain(|_| {
                let at = at.next().unwrap_or_default();
                duplicates.binary_search_by_key(&at, |(at, _)| *at).is_err()
            });
        }
    }

    /// Returns a copy of the anchored node. It is counted before it is copied, because copies of copies grow exponentially.
    fn alias(&mut self, id: usize, span: Span) -> Node {
        let unread = Node {
            value: Value::Invalid,
            span,
        };
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            let message = "the alias is inside the value of its own anchor";
            self.report(span, Code::Alias, message, "repeat the value");
            return unread;
        };
        if self.depth + size.depth > MAX_NESTING {
            self.report_nesting(span);
            return unread;
        }
        let fits = self.count(size.nodes, span)
            && self
                .diagnostics
                .spend(Resource::RepeatedBytes, size.bytes, span);
        if !fits {
            self.state = State::Stopped;
            return unread;
        }
        self.anchors[&id].0.clone()
    }

    /// Counts nodes before they are kept. Stops reading and returns false if there are too many.
    fn count(&mut self, nodes: usize, span: Span) -> bool {
        if matches!(self.state, State::Stopped) {
            return false;
        }
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message =
                format!("more than {MAX_NODES} values in one document (aliases expanded)");
            let help = "split the document, or use fewer aliases";
            self.report(span, Code::TooLarge, message, help);
            self.state = State::Stopped;
        } else if !self.diagnostics.spend(Resource::Values, nodes, span) {
            self.state = State::Stopped;
        }
        !matches!(self.state, State::Stopped)
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
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return self.report_nesting(span);
        }
        let before = &self.diagnostics.sources.text(self.source)[..span.start as usize];
        let help = match error.kind() {
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
        self.report(span, Code::Syntax, message, help);
        self.state = State::Broken { is_innermost: true };
    }

    fn report_nesting(&mut self, span: Span) {
        let message = format!("nested more than {MAX_NESTING} levels deep");
        let help = "a desired-state file needs at most 6 levels";
        self.report(span, Code::Nesting, message, help);
        self.state = State::Stopped;
    }

    fn report(&mut self, span: Span, code: Code, message: impl Into<String>, help: &str) {
        self.diagnostics.report(span, code, message, help);
    }
}
