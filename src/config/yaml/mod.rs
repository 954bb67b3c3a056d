//! The one tree of this room: what a file holds, where each node is written, and what a reader of the file cares for beside it.
//!
//! Scalars stay as they are written: what `12e10` or `no` means is for whoever knows which type belongs there, so that an account id
//! never becomes a number.
//!
//! | file | does |
//! | --- | --- |
//! | `parse`, `builder` | text to trees, one document after the other, within bounds; the only places that know the parser |
//! | `comments` | gives each comment and blank line of a text its node |
//! | `emit` | trees to text, as YAML or JSON; the only place that knows the canonical layout |

mod builder;
mod comments;
pub(super) mod emit;
mod parse;

use std::sync::Arc;

use super::span::Span;

pub(super) use builder::MAX_VALUE_BYTES;
pub(super) use parse::{each, with_comments};

/// A node of the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Span,
    /// `None` where a tree is only read, and where nothing is to be said.
    style: Option<Box<Style>>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// Something that could not be read, which has been reported.
    Invalid,
}

/// A scalar as written, escapes resolved.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: Arc<str>,
    /// Whether it stands bare, so that it may be something else than text.
    pub(super) plain: bool,
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// How a node is written, and what stands around it; all of it means nothing to a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    /// The anchor, without its `&`.
    anchor: Option<Box<str>>,
    /// A scalar in its quotes or an alias, on one line.
    spelling: Option<Box<str>>,
    /// The key before the node, on one line.
    key: Option<Box<str>>,
    /// Whether a collection is written in braces or brackets.
    flow: bool,
    /// Lines of their own before the node and its key.
    above: Vec<Trivia>,
    /// The comment on the same line, with its `#`.
    beside: Option<String>,
    /// Lines of their own behind a collection's last member.
    below: Vec<Trivia>,
}

/// A line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trivia {
    Blank,
    /// With its `#`.
    Comment(String),
}

/// One document of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    /// False when a mistake in the syntax cut it short: what it lacks may only be unread.
    pub(super) whole: bool,
    /// Whether a `---` stands before it.
    is_marked: bool,
    /// The line on which it, or its marker, begins.
    line: usize,
}

impl Scalar {
    /// Whether it is one of the ways to write null.
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Entry {
    pub(super) fn new(key: &str, value: Node) -> Self {
        Entry {
            key: key.into(),
            key_span: Span::NOWHERE,
            value,
        }
    }

    /// Where to point when the value is at fault: at the value, or at the key when nothing is written behind it.
    pub(super) fn value_span(&self) -> Span {
        if self.value.span.is_empty() {
            self.key_span
        } else {
            self.value.span
        }
    }
}

impl Node {
    fn new(value: Value, span: Span) -> Self {
        let style = None;
        Node { value, span, style }
    }

    /// Text, quoted where a reader could take it for something else.
    pub(super) fn text(text: &str) -> Self {
        let (text, plain) = (text.into(), false);
        Node::new(Value::Scalar(Scalar { text, plain }), Span::NOWHERE)
    }

    /// A number or a boolean.
    pub(super) fn bare(value: impl ToString) -> Self {
        let (text, plain) = (value.to_string().into(), true);
        Node::new(Value::Scalar(Scalar { text, plain }), Span::NOWHERE)
    }

    /// A mapping with a line for each key.
    pub(super) fn mapping(entries: Vec<Entry>) -> Self {
        Node::new(Value::Mapping(entries), Span::NOWHERE)
    }

    /// A list with a line for each item.
    pub(super) fn list(items: Vec<Node>) -> Self {
        Node::new(Value::Sequence(items), Span::NOWHERE)
    }

    /// On one line, if it fits.
    pub(super) fn flow(mut self) -> Self {
        self.style_mut().flow = true;
        self
    }

    /// With lines of their own above it.
    pub(super) fn above(mut self, above: impl IntoIterator<Item = Trivia>) -> Self {
        self.style_mut().above.extend(above);
        self
    }

    /// With a comment beside it.
    pub(super) fn beside(mut self, comment: Option<String>) -> Self {
        if comment.is_some() {
            self.style_mut().beside = comment;
        }
        self
    }

    /// With comments at its end.
    pub(super) fn below(mut self, below: impl IntoIterator<Item = Trivia>) -> Self {
        self.style_mut().below.extend(below);
        self
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Whether it is a mapping without a key.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Mapping(entries) if entries.is_empty())
    }

    pub(super) fn style(&self) -> &Style {
        const NONE: &Style = &Style {
            anchor: None,
            spelling: None,
            key: None,
            flow: false,
            above: Vec::new(),
            beside: None,
            below: Vec::new(),
        };
        self.style.as_deref().unwrap_or(NONE)
    }

    fn style_mut(&mut self) -> &mut Style {
        self.style.get_or_insert_default()
    }

    /// Whether it is a collection with a line for each member.
    fn is_block(&self) -> bool {
        matches!(self.value, Value::Mapping(_) | Value::Sequence(_)) && !self.style().flow
    }

    /// Whether an anchor stands somewhere in it.
    pub(super) fn has_anchor(&self) -> bool {
        self.style().anchor.is_some()
            || match &self.value {
                Value::Scalar(_) | Value::Invalid => false,
                Value::Sequence(items) => items.iter().any(Node::has_anchor),
                Value::Mapping(entries) => entries.iter().any(|entry| entry.value.has_anchor()),
            }
    }

    /// What stands above the first member, whichever that is.
    pub(super) fn take_header(&mut self) -> Vec<Trivia> {
        let first = self.children_mut().into_iter().next();
        first.map_or_else(Vec::new, |first| {
            std::mem::take(&mut first.style_mut().above)
        })
    }

    /// Puts above the first member what [`Node::take_header`] took.
    pub(super) fn put_header(&mut self, header: Vec<Trivia>) {
        if let Some(first) = self.children_mut().into_iter().next() {
            first.style_mut().above.splice(0..0, header);
        }
    }

    /// The nodes right within.
    fn children_mut(&mut self) -> Vec<&mut Node> {
        match &mut self.value {
            Value::Scalar(_) | Value::Invalid => Vec::new(),
            Value::Sequence(items) => items.iter_mut().collect(),
            Value::Mapping(entries) => entries.iter_mut().map(|entry| &mut entry.value).collect(),
        }
    }
}

impl Document {
    /// A document that was not read from a file.
    pub(super) fn of(root: Node) -> Self {
        Document {
            root,
            whole: true,
            is_marked: false,
            line: 1,
        }
    }
}
