//! Trees from the events of the parser.
//!
//! Bounds hold here, for whoever writes files may mean harm: [`MAX_NESTING`] levels, [`MAX_NODES`] values in one document with every
//! alias written out, and those of the run (`bounds`).

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, StructureStyle};

use super::comments::Comment;
use super::emit::quoted;
use super::{Document, Entry, Node, Scalar, Value};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::resource_limits::Resource;
use crate::config::span::{SourceId, Span};

/// How deep collections may nest. Nothing that a file can declare goes deeper than six.
pub(super) const MAX_NESTING: usize = 32;
/// How many values one document may hold, aliases written out: as many as 100,000 integrations with all their fields.
const MAX_NODES: usize = 800_000;
/// How long a value may be, in bytes.
pub(in crate::config) const MAX_VALUE_BYTES: usize = 8_192;

/// Who the tree is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParseMode {
    /// Aliases are written out, and what means nothing is left out.
    Values,
    /// Everything is kept as it is written.
    Lossless,
}

/// What to read after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// The next event.
    Next,
    /// What follows the document, which is broken.
    NextDocument,
    /// Nothing: whoever exceeds a bound gets no more time.
    Nothing,
}

/// Builds trees from events.
pub(super) struct Builder<'f> {
    pub(super) source: SourceId,
    reader: ParseMode,
    pub(super) found: &'f mut DiagnosticSink,
    /// What is read, and handed over when what follows it is known to be another document.
    document: Option<Document>,
    is_marked: bool,
    line: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    /// The name of the anchor of the node that is taken next.
    pub(super) anchor: Option<Box<str>>,
    nodes: usize,
    pub(super) comments: Vec<Comment>,
    pub(super) has_layout: bool,
}

/// A collection that is not closed yet.
struct Open {
    span: Span,
    anchor: usize,
    name: Option<Box<str>>,
    flow: bool,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Key },
}

/// The state of a mapping between a key and its value.
enum Key {
    Awaited,
    Read(Arc<str>, Span, Option<Box<str>>),
    /// Reported as unusable; its value is read and dropped.
    Unusable,
}

/// A node that aliases may repeat.
struct Anchor {
    node: Node,
    size: Size,
}

impl<'f> Builder<'f> {
    pub(super) fn new(source: SourceId, reader: ParseMode, found: &'f mut DiagnosticSink) -> Self {
        Builder {
            source,
            reader,
            found,
            document: None,
            is_marked: false,
            line: 1,
            open: Vec::new(),
            anchors: HashMap::new(),
            anchor: None,
            nodes: 0,
            comments: Vec::new(),
            has_layout: true,
        }
    }

    pub(super) fn flush_document(&mut self, take: &mut dyn FnMut(Document, &mut DiagnosticSink)) {
        // Dropped before the next document is read, as everything is that was kept for its aliases.
        self.anchors = HashMap::new();
        if let Some(document) = self.document.take() {
            take(document, self.found);
        }
    }

    pub(super) fn span(&self, span: &granit_parser::Span) -> Span {
        let offset = |at: usize| u32::try_from(at).expect("the loader refuses files of 4 GiB");
        let bytes = span.byte_range().unwrap_or_default();
        Span {
            source: self.source,
            start: offset(bytes.start),
            end: offset(bytes.end),
            line: offset(span.start.line()),
            column: offset(span.start.col() + 1),
        }
    }

    pub(super) fn tag(&mut self, event: &Event<'_>, span: &granit_parser::Span) {
        if event.tag().is_some() {
            let span = self.span(&span.tag_span().unwrap_or(*span));
            let draft =
                DiagnosticBuilder::new(DiagnosticCode::Tag, span, "YAML tags are not supported");
            self.found.push(draft.help("remove the tag"));
        }
    }

    /// Takes one event.
    pub(super) fn take(
        &mut self,
        event: Event<'_>,
        at: &granit_parser::Span,
        text: &str,
    ) -> NextStep {
        let span = self.span(at);
        let name = self.anchor.take();
        match event {
            Event::DocumentStart(is_marked, _) => {
                self.nodes = 0;
                if !self.found.spend(Resource::Documents, 1, span) {
                    return NextStep::Nothing;
                }
                (self.is_marked, self.line) = (is_marked, at.start.line());
                NextStep::Next
            }
            Event::Scalar(decoded, style, anchor, _) => {
                let written = at.slice(text).unwrap_or_default().trim_end();
                let node = self.scalar(&decoded, style, span, written);
                self.complete(node, anchor, name)
            }
            Event::SequenceStart(style, anchor, _) => {
                let content = Content::Sequence(Vec::new());
                self.open(span, anchor, name, style, content)
            }
            Event::MappingStart(style, anchor, _) => {
                let (entries, key) = (Vec::new(), Key::Awaited);
                let content = Content::Mapping { entries, key };
                self.open(span, anchor, name, style, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(_) if self.reader == ParseMode::Lossless => {
                let (text, plain) = (Arc::from(""), true);
                let mut node = Node::new(Value::Scalar(Scalar { text, plain }), span);
                node.style_mut().spelling = Some(self.found.sources.written(span).into());
                self.complete(node, 0, None)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("alias `*{name}` has no anchor `&{name}` before it");
                let draft = DiagnosticBuilder::new(DiagnosticCode::Alias, span, message);
                self.found.push(
                    draft.help("define the anchor, or put text that starts with `*` in quotes"),
                );
                self.complete(Node::new(Value::Invalid, span), 0, None)
            }
            Event::Comment(..) => {
                self.comments.push(Comment {
                    line: at.start.line(),
                    column: at.start.col(),
                    text: self.found.sources.written(span).trim_end().to_owned(),
                });
                NextStep::Next
            }
            // The parser's enum may grow; what is no node means nothing to a tree.
            _ => NextStep::Next,
        }
    }

    fn scalar(&mut self, decoded: &str, style: ScalarStyle, span: Span, written: &str) -> Node {
        if decoded.len() > MAX_VALUE_BYTES {
            let message = format!(
                "a value has {} bytes; the maximum is {MAX_VALUE_BYTES}",
                decoded.len()
            );
            self.found.push(DiagnosticBuilder::new(
                DiagnosticCode::TooLarge,
                span,
                message,
            ));
            return Node::new(Value::Invalid, span);
        }
        let scalar = Scalar {
            text: decoded.into(),
            plain: style == ScalarStyle::Plain,
        };
        let mut node = Node::new(Value::Scalar(scalar), span);
        if self.reader == ParseMode::Lossless {
            let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            node.style_mut().spelling = Some(if is_block || written.contains(['\n', '\r']) {
                quoted(decoded).as_ref().into()
            } else {
                written.into()
            });
        }
        node
    }

    fn open(
        &mut self,
        span: Span,
        anchor: usize,
        name: Option<Box<str>>,
        style: StructureStyle,
        content: Content,
    ) -> NextStep {
        self.open.push(Open {
            span,
            anchor,
            name,
            flow: style == StructureStyle::Flow,
            content,
        });
        NextStep::Next
    }

    fn close(&mut self, end: Span) -> NextStep {
        let Some(mut open) = self.open.pop() else {
            return NextStep::Next;
        };
        let (anchor, name) = (open.anchor, open.name.take());
        let node = self.finish(open, end.end);
        self.complete(node, anchor, name)
    }

    /// Turns an open collection into a node.
    fn finish(&mut self, open: Open, end: u32) -> Node {
        let Open {
            mut span,
            anchor: _,
            name: _,
            flow,
            content,
        } = open;
        span.end = end.max(span.start);
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping {
                mut entries,
                key: _,
            } => {
                self.drop_duplicates(&mut entries);
                Value::Mapping(entries)
            }
        };
        let node = Node::new(value, span);
        match self.reader {
            ParseMode::Lossless if flow => node.flow(),
            ParseMode::Lossless | ParseMode::Values => node,
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> NextStep {
        let Some(Anchor { node: _, size }) = self.anchors.get(&id) else {
            let message = "the alias is inside the value of its own anchor";
            let draft = DiagnosticBuilder::new(DiagnosticCode::Alias, span, message);
            self.found.push(draft.help("repeat the value"));
            return self.complete(Node::new(Value::Invalid, span), 0, None);
        };
        let Size {
            nodes,
            bytes,
            depth,
        } = *size;
        if self.open.len() + depth > MAX_NESTING {
            self.found.push(too_deep(span));
            return NextStep::Nothing;
        }
        // Counted before it is copied: the copies are what multiplies.
        if !self.count(nodes, span) || !self.found.spend(Resource::RepeatedBytes, bytes, span) {
            return NextStep::Nothing;
        }
        let node = self.anchors[&id].node.clone();
        self.attach(node);
        NextStep::Next
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, mut node: Node, anchor: usize, name: Option<Box<str>>) -> NextStep {
        // A key counts with its value.
        let innermost = self.open.last().map(|open| &open.content);
        let is_key = matches!(
            innermost,
            Some(Content::Mapping {
                key: Key::Awaited,
                ..
            })
        );
        if !is_key && !self.count(1, node.span) {
            return NextStep::Nothing;
        }
        if self.reader == ParseMode::Lossless {
            if name.is_some() {
                node.style_mut().anchor = name;
            }
        } else if anchor != 0 {
            let size = measure(&node);
            if !self.count(size.nodes, node.span) {
                return NextStep::Nothing;
            }
            let node = node.clone();
            self.anchors.insert(anchor, Anchor { node, size });
        }
        self.attach(node);
        NextStep::Next
    }

    /// Counts nodes that are about to be kept; false once there are too many.
    fn count(&mut self, nodes: usize, span: Span) -> bool {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message =
                format!("more than {MAX_NODES} values in one document (aliases expanded)");
            let draft = DiagnosticBuilder::new(DiagnosticCode::TooLarge, span, message);
            self.found
                .push(draft.help("split the document, or use fewer aliases"));
            return false;
        }
        self.found.spend(Resource::Values, nodes, span)
    }

    fn attach(&mut self, mut node: Node) {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                self.document = Some(Document {
                    root: node,
                    whole: true,
                    is_marked: self.is_marked,
                    line: self.line,
                });
            }
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => {
                    self.has_layout &= node.style().anchor.is_none();
                    *key = self.found.key(node);
                }
                Key::Read(key, key_span, spelling) => {
                    if spelling.is_some() {
                        node.style_mut().key = spelling;
                    }
                    entries.push(Entry {
                        key,
                        key_span,
                        value: node,
                    });
                }
                Key::Unusable => {}
            },
        }
    }

    /// Reports keys that stand twice, and keeps the first of each.
    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|at| (&*entries[*at].key, *at));
        let mut twice = Vec::new();
        for run in order.chunk_by(|a, b| entries[*a].key == entries[*b].key) {
            if let Some((first, again)) = run.split_first() {
                twice.extend(again.iter().map(|again| (*again, *first)));
            }
        }
        if twice.is_empty() {
            return;
        }
        twice.sort_unstable();
        for (again, first) in &twice {
            let (entry, first) = (&entries[*again], &entries[*first]);
            self.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::DuplicateKey,
                    entry.key_span,
                    format!("duplicate key `{}`", entry.key),
                )
                .label("duplicate")
                .also(first.key_span, "first occurrence")
                .help("remove one of them"),
            );
        }
        let mut twice = twice.iter().map(|(again, _)| *again).peekable();
        let mut at = 0;
        entries.retain(|_| {
            let drop = twice.next_if_eq(&at).is_some();
            at += 1;
            !drop
        });
    }

    /// Ends the document that was being read, keeping what is complete of it.
    pub(super) fn cut_short(&mut self) {
        // What was read last may be a stump: `${NAME}` without its quotes ends at the brace.
        if let Some(open) = self.open.last_mut() {
            let last = match &mut open.content {
                Content::Sequence(items) => items.last_mut(),
                Content::Mapping { entries, key: _ } => {
                    entries.last_mut().map(|entry| &mut entry.value)
                }
            };
            if let Some(node) = last {
                node.value = Value::Invalid;
            }
        }
        let mut inner: Option<Node> = None;
        while let Some(mut open) = self.open.pop() {
            if let Some(node) = inner {
                match &mut open.content {
                    Content::Sequence(items) => items.push(node),
                    Content::Mapping { entries, key } => {
                        if let Key::Read(key, key_span, _) = std::mem::replace(key, Key::Awaited) {
                            let value = node;
                            entries.push(Entry {
                                key,
                                key_span,
                                value,
                            });
                        }
                    }
                }
            }
            let end = open.span.end;
            inner = Some(self.finish(open, end));
        }
        if let Some(root) = inner {
            self.document = Some(Document::of(root));
        }
        // What follows a complete root and can't be read belonged to it.
        if let Some(document) = &mut self.document {
            document.whole = false;
        }
    }
}

impl DiagnosticSink {
    /// Reads a node as the key of a mapping.
    fn key(&mut self, node: Node) -> Key {
        match node.value {
            Value::Scalar(scalar) => {
                let spelling = node.style.and_then(|style| style.spelling);
                Key::Read(scalar.text, node.span, spelling)
            }
            Value::Invalid => Key::Unusable,
            Value::Sequence(_) | Value::Mapping(_) => {
                let message = "a list or mapping cannot be a key";
                let draft = DiagnosticBuilder::new(DiagnosticCode::KeyNotText, node.span, message);
                self.push(draft.help("put a value that starts with `{` or `[` in quotes"));
                Key::Unusable
            }
        }
    }
}

pub(super) fn too_deep(span: Span) -> DiagnosticBuilder {
    DiagnosticBuilder::new(
        DiagnosticCode::Nesting,
        span,
        format!("nested more than {MAX_NESTING} levels deep"),
    )
    .help("a desired-state file needs at most 6 levels")
}

/// How much a tree holds.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    /// Of text, keys included.
    bytes: usize,
    /// Levels of collections.
    depth: usize,
}

fn measure(node: &Node) -> Size {
    let mut size = Size {
        nodes: 1,
        ..Size::default()
    };
    let mut add = |key: &str, inner: &Node| {
        let inner = measure(inner);
        size.nodes += inner.nodes;
        size.bytes += inner.bytes + key.len();
        size.depth = size.depth.max(inner.depth);
    };
    match &node.value {
        Value::Invalid => return size,
        Value::Scalar(scalar) => {
            size.bytes = scalar.text.len();
            return size;
        }
        Value::Sequence(items) => items.iter().for_each(|item| add("", item)),
        Value::Mapping(entries) => entries.iter().for_each(|one| add(&one.key, &one.value)),
    }
    size.depth += 1;
    size
}
