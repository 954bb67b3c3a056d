//! YAML text to a small tree in which every node knows where it is written. With [`commented`] the only one that knows the parser.
//!
//! Scalars stay as they are written: what `12e10` or `no` means is for whoever knows which type belongs there, so that an account id
//! never becomes a number. Bounds hold here as well: [`MOST_NESTING`] levels, [`MOST_NODES`] nodes with every alias written out.

pub(super) mod commented;

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, options};

use crate::config::diagnostic::{Draft, Found};
use crate::config::rule::Rule;
use crate::config::source::{SourceId, Span};

/// How deep collections may nest. Nothing that a file can declare goes deeper than six.
pub(in crate::config) const MOST_NESTING: usize = 32;
/// How many nodes one document may hold, aliases written out: several times what 100,000 integrations need.
pub(in crate::config) const MOST_NODES: usize = 2_000_000;
/// How long a value may be, in bytes.
pub(in crate::config) const LONGEST_VALUE: usize = 8_192;

/// A node of the tree.
#[derive(Clone, Debug)]
pub(in crate::config) struct Node {
    pub(in crate::config) value: Value,
    pub(in crate::config) span: Span,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(in crate::config) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// Something that could not be read, which has been reported.
    Unread,
}

/// A scalar as written, escapes resolved.
#[derive(Clone, Debug)]
pub(in crate::config) struct Scalar {
    pub(in crate::config) text: Arc<str>,
    /// Whether it stands bare, so that it may be something else than text.
    pub(in crate::config) plain: bool,
}

impl Scalar {
    /// Whether it is one of the ways to write null.
    pub(in crate::config) fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub(in crate::config) struct Entry {
    pub(in crate::config) key: Arc<str>,
    pub(in crate::config) key_span: Span,
    pub(in crate::config) value: Node,
}

impl Entry {
    /// Where to point when the value is at fault: at the value, or at the key when nothing is written behind it.
    pub(in crate::config) fn value_span(&self) -> Span {
        if self.value.span.is_empty() {
            self.key_span
        } else {
            self.value.span
        }
    }
}

impl Node {
    pub(in crate::config) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Whether it is a mapping without a key.
    pub(in crate::config) fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Mapping(entries) if entries.is_empty())
    }
}

/// One document of a file.
#[derive(Debug)]
pub(in crate::config) struct Document {
    pub(in crate::config) root: Node,
    /// False when a mistake in the syntax cut it short: what it lacks may only be unread.
    pub(in crate::config) whole: bool,
}

/// Reads every document of a text. Mistakes in the syntax are reported; whatever could be read is returned.
pub(in crate::config) fn parse(source: SourceId, found: &mut Found) -> Vec<Document> {
    let text = Arc::clone(found.sources.text(source));
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MOST_NESTING,
        block_nesting_limit: MOST_NESTING,
    };
    let mut parser = Parser::new_from_str_with_options(&text, options);
    let mut builder = Builder::new(source, found);
    while let Some(next) = parser.next_event() {
        let after = match next {
            Ok((event, span)) => {
                builder.tag(&event, &span);
                builder.take(event, builder.span(&span))
            }
            Err(error) => builder.syntax_error(&error),
        };
        let goes_on = match after {
            After::Next => true,
            // The next document has a beginning of its own, so its mistakes can be reported in the same go.
            After::NextDocument => matches!(parser.proceed_next_document(), Ok(true)),
            After::Nothing => false,
        };
        if after != After::Next {
            builder.cut_short();
        }
        if !goes_on {
            break;
        }
    }
    builder.documents
}

/// What to read after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// The next event.
    Next,
    /// What follows the document, which is broken.
    NextDocument,
    /// Nothing: whoever exceeds a bound gets no more time.
    Nothing,
}

/// Builds trees from events.
struct Builder<'f> {
    source: SourceId,
    found: &'f mut Found,
    documents: Vec<Document>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    nodes: usize,
}

/// A collection that is not closed yet.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Key },
}

/// The state of a mapping between a key and its value.
enum Key {
    Awaited,
    Read(Arc<str>, Span),
    /// Reported as unusable; its value is read and dropped.
    Unusable,
}

/// A node that aliases may repeat.
struct Anchor {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl<'f> Builder<'f> {
    fn new(source: SourceId, found: &'f mut Found) -> Self {
        Builder {
            source,
            found,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
        }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
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

    fn tag(&mut self, event: &Event<'_>, span: &granit_parser::Span) {
        if event.tag().is_some() {
            let span = self.span(&span.tag_span().unwrap_or(*span));
            let draft = Draft::new(Rule::Tag, span, "a YAML tag has no meaning here");
            self.found.push(draft.help("leave the tag out"));
        }
    }

    /// Takes one event.
    fn take(&mut self, event: Event<'_>, span: Span) -> After {
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.nodes = 0;
                After::Next
            }
            Event::Scalar(text, style, anchor, _) => {
                let value = if text.len() > LONGEST_VALUE {
                    let message = format!(
                        "a value of {} bytes; the most is {LONGEST_VALUE}",
                        text.len()
                    );
                    self.found.push(Draft::new(Rule::TooLarge, span, message));
                    Value::Unread
                } else {
                    Value::Scalar(Scalar {
                        text: text.into(),
                        plain: style == ScalarStyle::Plain,
                    })
                };
                self.complete(Node { value, span }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(span, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, key) = (Vec::new(), Key::Awaited);
                self.open(span, anchor, Content::Mapping { entries, key })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("no anchor `&{name}` stands before the alias `*{name}`");
                let draft = Draft::new(Rule::Alias, span, message);
                self.found.push(
                    draft.help("put a text that begins with `*` in quotes, or define the anchor"),
                );
                self.complete(
                    Node {
                        value: Value::Unread,
                        span,
                    },
                    0,
                )
            }
            // The parser's enum may grow; what is no node means nothing to a tree.
            _ => After::Next,
        }
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> After {
        self.open.push(Open {
            span,
            anchor,
            content,
        });
        After::Next
    }

    fn close(&mut self, end: Span) -> After {
        let Some(open) = self.open.pop() else {
            return After::Next;
        };
        let anchor = open.anchor;
        let node = self.finish(open, end.end);
        self.complete(node, anchor)
    }

    /// Turns an open collection into a node.
    fn finish(&mut self, open: Open, end: u32) -> Node {
        let Open {
            mut span,
            anchor: _,
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
        Node { value, span }
    }

    fn alias(&mut self, id: usize, span: Span) -> After {
        let Some(Anchor {
            node: _,
            nodes,
            depth,
        }) = self.anchors.get(&id)
        else {
            let message = "the alias stands within what its own anchor names";
            let draft = Draft::new(Rule::Alias, span, message);
            self.found.push(draft.help("write the value out"));
            return self.complete(
                Node {
                    value: Value::Unread,
                    span,
                },
                0,
            );
        };
        if self.open.len() + depth > MOST_NESTING {
            self.found.push(too_deep(span));
            return After::Nothing;
        }
        // Counted before it is copied: the copies are what multiplies.
        let nodes = *nodes;
        if !self.count(nodes, span) {
            return After::Nothing;
        }
        let node = self.anchors[&id].node.clone();
        self.attach(node);
        After::Next
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> After {
        if !self.count(1, node.span) {
            return After::Nothing;
        }
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            if !self.count(nodes, node.span) {
                return After::Nothing;
            }
            let node = node.clone();
            self.anchors.insert(anchor, Anchor { node, nodes, depth });
        }
        self.attach(node);
        After::Next
    }

    /// Counts nodes that are about to be kept; false once there are too many.
    fn count(&mut self, nodes: usize, span: Span) -> bool {
        self.nodes += nodes;
        let fits = self.nodes <= MOST_NODES;
        if !fits {
            let message =
                format!("more than {MOST_NODES} values in one document, its aliases written out");
            let draft = Draft::new(Rule::TooLarge, span, message);
            self.found
                .push(draft.help("declare less in one document, or use fewer aliases"));
        }
        fits
    }

    fn attach(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(Document {
                root: node,
                whole: true,
            }),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = self.found.key(node),
                Key::Read(key, key_span) => entries.push(Entry {
                    key,
                    key_span,
                    value: node,
                }),
                Key::Unusable => {}
            },
        }
    }

    /// Reports keys that stand twice, and keeps the first of each.
    fn drop_duplicates(&mut self, entries: &mut Vec<Entry>) {
        let mut first: HashMap<Arc<str>, Span> = HashMap::with_capacity(entries.len());
        entries.retain(|entry| match first.get(&entry.key) {
            None => {
                first.insert(Arc::clone(&entry.key), entry.key_span);
                true
            }
            Some(earlier) => {
                self.found.push(
                    Draft::new(
                        Rule::DuplicateKey,
                        entry.key_span,
                        format!("the key `{}` stands twice in one mapping", entry.key),
                    )
                    .label("again here")
                    .also(*earlier, "first here")
                    .help("keep one of them"),
                );
                false
            }
        });
    }

    fn syntax_error(&mut self, error: &ScanError) -> After {
        let mark = error.marker();
        let end = granit_parser::Span::empty(*mark);
        let span = self.span(&end);
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            self.found.push(too_deep(span));
            return After::Nothing;
        }
        let help = match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart => Some("indent with spaces, not with tabs"),
            ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
                Some("a key ends with a colon and a space, as in `key: value`")
            }
            ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator
                if self.follows_dollar(span) =>
            {
                Some("within braces or brackets, put a variable in quotes: `\"${NAME}\"`")
            }
            ErrorKind::UnexpectedCharacter { .. } => {
                Some("put the value in quotes if it begins with this character")
            }
            _ => Some("mend this place first; what follows it in the document was not read"),
        };
        let draft = Draft::new(Rule::Syntax, span, format!("not YAML: {}", error.info()));
        self.found.push(draft.help_if(help.map(str::to_owned)));
        After::NextDocument
    }

    /// Whether a place stands right behind the `$` of a variable.
    fn follows_dollar(&self, span: Span) -> bool {
        let text = self.found.sources.text(self.source);
        text[..span.start as usize].ends_with('$')
    }

    /// Ends the document that was being read, keeping what is complete of it.
    fn cut_short(&mut self) {
        // What was read last may be a stump: `${NAME}` without its quotes ends at the brace.
        if let Some(open) = self.open.last_mut() {
            let last = match &mut open.content {
                Content::Sequence(items) => items.last_mut(),
                Content::Mapping { entries, key: _ } => {
                    entries.last_mut().map(|entry| &mut entry.value)
                }
            };
            if let Some(node) = last {
                node.value = Value::Unread;
            }
        }
        let mut inner: Option<Node> = None;
        while let Some(mut open) = self.open.pop() {
            if let Some(node) = inner {
                match &mut open.content {
                    Content::Sequence(items) => items.push(node),
                    Content::Mapping { entries, key } => {
                        if let Key::Read(key, key_span) = std::mem::replace(key, Key::Awaited) {
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
            let whole = false;
            self.documents.push(Document { root, whole });
        } else if let Some(last) = self.documents.last_mut() {
            // What follows a complete root and can't be read belonged to it.
            last.whole = false;
        }
        self.anchors.clear();
    }
}

impl Found {
    /// Reads a node as the key of a mapping.
    fn key(&mut self, node: Node) -> Key {
        match node.value {
            Value::Scalar(scalar) => Key::Read(scalar.text, node.span),
            Value::Unread => Key::Unusable,
            Value::Sequence(_) | Value::Mapping(_) => {
                let message = "a list or a mapping can't be a key";
                let draft = Draft::new(Rule::KeyNotText, node.span, message);
                self.push(draft.help("put a value that begins with `{` or `[` in quotes"));
                Key::Unusable
            }
        }
    }
}

fn too_deep(span: Span) -> Draft {
    Draft::new(
        Rule::Nesting,
        span,
        format!("nested more than {MOST_NESTING} levels deep"),
    )
    .help("nothing that a file declares goes deeper than six")
}

/// How many nodes a tree has, and how many levels of collections.
fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<(usize, usize)> = match &node.value {
        Value::Scalar(_) | Value::Unread => return (1, 0),
        Value::Sequence(items) => items.iter().map(measure).collect(),
        Value::Mapping(entries) => entries.iter().map(|entry| measure(&entry.value)).collect(),
    };
    let nodes = children.iter().map(|(nodes, _)| nodes).sum::<usize>();
    let depth = children.iter().map(|(_, depth)| *depth).max();
    (1 + nodes, 1 + depth.unwrap_or(0))
}
