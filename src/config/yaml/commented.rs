//! YAML text to a tree that keeps what a reader cares for and a machine does not: comments, blank lines, quotes, order, anchors.

use std::collections::{BTreeMap, VecDeque};

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, options};

use super::MOST_NESTING;
use crate::config::write::quoted;

/// A document with everything that is written in it.
#[derive(Debug)]
pub(in crate::config) struct Document {
    /// Whether a `---` stands before it.
    pub(in crate::config) is_marked: bool,
    pub(in crate::config) root: Node,
    /// What stands above it where it has no keys of its own.
    pub(in crate::config) above: Vec<Above>,
}

/// A node as it is written.
#[derive(Debug)]
pub(in crate::config) struct Node {
    /// Its anchor, without the `&`.
    pub(in crate::config) anchor: Option<String>,
    pub(in crate::config) value: Value,
}

#[derive(Debug)]
pub(in crate::config) enum Value {
    /// A scalar or an alias, on one line.
    Inline(String),
    Collection(Collection),
}

/// A mapping or a list.
#[derive(Debug)]
pub(in crate::config) struct Collection {
    pub(in crate::config) kind: Kind,
    /// Whether it is written in braces or brackets.
    pub(in crate::config) is_flow: bool,
    pub(in crate::config) members: Vec<Member>,
    /// What stands behind the last member.
    pub(in crate::config) below: Vec<Above>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    Mapping,
    Sequence,
}

/// An entry of a mapping or an item of a list.
#[derive(Debug)]
pub(in crate::config) struct Member {
    pub(in crate::config) above: Vec<Above>,
    /// As it is written; empty in a list.
    pub(in crate::config) key: String,
    pub(in crate::config) value: Node,
    /// The comment on the same line.
    pub(in crate::config) beside: Option<String>,
}

/// A line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Above {
    Blank,
    /// With its `#`.
    Comment(String),
}

/// Reads a text that [`super::parse`] found no fault with; `None` when it holds something that has no canonical layout.
pub(in crate::config) fn parse(text: &str) -> Option<Vec<Document>> {
    let options = options! {
        disallow_directives: true,
        emit_anchor_events: true,
        flow_nesting_limit: MOST_NESTING,
        block_nesting_limit: MOST_NESTING,
        max_buffered_comment_events: usize::MAX,
    };
    let mut reader = Reader {
        text,
        lines: text.lines().collect(),
        events: VecDeque::new(),
        own: BTreeMap::new(),
        beside: BTreeMap::new(),
        line: 0,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.ok()?;
        let Event::Comment(..) = event else {
            reader.events.push_back((event, span));
            continue;
        };
        let (line, column) = (span.start.line(), span.start.col());
        let comment = span.slice(text)?.trim_end().to_owned();
        let before = reader.lines.get(line.checked_sub(1)?)?;
        if before.chars().take(column).all(char::is_whitespace) {
            reader.own.insert(line, (column, comment));
        } else {
            reader.beside.insert(line, comment);
        }
    }
    let documents = reader.documents()?;
    // Every comment has found its place, or the text is better left alone.
    (reader.own.is_empty() && reader.beside.is_empty()).then_some(documents)
}

/// Every comment of a text, in its order.
pub(in crate::config) fn comments(text: &str) -> Vec<String> {
    let options = options! { max_buffered_comment_events: usize::MAX };
    Parser::new_from_str_with_options(text, options)
        .filter_map(|next| match next {
            Ok((Event::Comment(comment, _), _)) => Some(comment.trim_end().to_owned()),
            Ok(_) | Err(_) => None,
        })
        .collect()
}

/// Comments of the own line by line and column, those beside something by line; taken out as they find their place.
struct Reader<'t> {
    text: &'t str,
    lines: Vec<&'t str>,
    events: VecDeque<(Event<'t>, granit_parser::Span)>,
    own: BTreeMap<usize, (usize, String)>,
    beside: BTreeMap<usize, String>,
    /// The last line that something was read from.
    line: usize,
}

impl<'t> Reader<'t> {
    fn documents(&mut self) -> Option<Vec<Document>> {
        let mut documents: Vec<Document> = Vec::new();
        while let Some((event, span)) = self.events.pop_front() {
            match event {
                Event::DocumentStart(is_marked, _) => {
                    let marker = span.start.line();
                    // What stands above the first marker belongs to its document; `--- # so` is a comment above, too.
                    let mut above = if documents.is_empty() {
                        self.above(marker)
                    } else {
                        Vec::new()
                    };
                    if is_marked {
                        above.extend(self.beside.remove(&marker).map(Above::Comment));
                        self.line = self.line.max(marker);
                    }
                    let mut root = self.node()?;
                    let end = self.next_line();
                    let rest = self.above(end);
                    match &mut root.value {
                        Value::Collection(collection) if !collection.is_flow => {
                            if let Some(first) = collection.members.first_mut() {
                                above.append(&mut first.above);
                                first.above = above;
                                above = Vec::new();
                            }
                            collection.below.extend(rest);
                        }
                        Value::Collection(_) | Value::Inline(_) => above.extend(rest),
                    }
                    documents.push(Document {
                        is_marked,
                        root,
                        above,
                    });
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                _ => return None,
            }
        }
        if documents.is_empty() {
            documents.push(Document {
                is_marked: false,
                root: Node {
                    anchor: None,
                    value: Value::Inline(String::new()),
                },
                above: self.above(self.lines.len() + 1),
            });
        }
        Some(documents)
    }

    /// The line of whatever comes next; behind the text at its end.
    fn next_line(&self) -> usize {
        let next = self
            .events
            .iter()
            .find(|(event, _)| event.is_node() || matches!(event, Event::DocumentStart(true, _)));
        next.map_or(self.lines.len() + 1, |(_, span)| span.start.line())
    }

    /// The comments and blank lines between what was read last and a line.
    fn above(&mut self, line: usize) -> Vec<Above> {
        let mut above = Vec::new();
        for at in self.line + 1..line {
            if let Some((_, comment)) = self.own.remove(&at) {
                above.push(Above::Comment(comment));
            } else if self
                .lines
                .get(at - 1)
                .is_some_and(|line| line.trim().is_empty())
                && above.last() != Some(&Above::Blank)
            {
                above.push(Above::Blank);
            }
        }
        self.line = self.line.max(line.saturating_sub(1));
        above
    }

    /// The comments behind the last member of a collection that stand as far right as its members.
    fn below(&mut self, column: usize) -> Vec<Above> {
        let end = self.next_line();
        let mut last = None;
        for (line, (at, _)) in self.own.range(self.line + 1..end.max(self.line + 1)) {
            if *at < column {
                break;
            }
            last = Some(*line);
        }
        match last {
            Some(last) => self.above(last + 1),
            None => Vec::new(),
        }
    }

    fn node(&mut self) -> Option<Node> {
        let (event, span) = self.events.pop_front()?;
        let mut anchor = None;
        if let Some((Event::Anchor(_, name), _)) = self.events.front() {
            anchor = Some(name.to_string());
            self.events.pop_front();
        }
        let value = match event {
            Event::Scalar(decoded, style, _, None) => {
                Value::Inline(self.scalar(&decoded, style, &span)?)
            }
            Event::Alias(_) => {
                self.reach(&span);
                Value::Inline(span.slice(self.text)?.to_owned())
            }
            Event::MappingStart(style, _, None) => {
                Value::Collection(self.collection(Kind::Mapping, style, &span)?)
            }
            Event::SequenceStart(style, _, None) => {
                Value::Collection(self.collection(Kind::Sequence, style, &span)?)
            }
            _ => return None,
        };
        Some(Node { anchor, value })
    }

    /// Notes that everything up to the end of a span was read.
    fn reach(&mut self, span: &granit_parser::Span) {
        let written = span.slice(self.text).unwrap_or_default().trim_end();
        let breaks = written.matches('\n').count();
        if !written.is_empty() {
            self.line = self.line.max(span.start.line() + breaks);
        }
    }

    /// A scalar on one line: as it is written where it is, else in quotes.
    fn scalar(
        &mut self,
        decoded: &str,
        style: ScalarStyle,
        span: &granit_parser::Span,
    ) -> Option<String> {
        self.reach(span);
        let written = span.slice(self.text)?;
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if is_block || written.contains(['\n', '\r']) {
            Some(quoted(decoded))
        } else {
            Some(written.trim_end().to_owned())
        }
    }

    fn collection(
        &mut self,
        kind: Kind,
        style: StructureStyle,
        span: &granit_parser::Span,
    ) -> Option<Collection> {
        let is_flow = style == StructureStyle::Flow;
        let column = span.start.col();
        if is_flow {
            self.line = self.line.max(span.start.line());
        }
        let mut members = Vec::new();
        loop {
            if let Some((Event::MappingEnd | Event::SequenceEnd, _)) = self.events.front() {
                let (_, end) = self.events.pop_front()?;
                let below = if is_flow {
                    let below = self.above(end.end.line());
                    self.line = self.line.max(end.end.line());
                    below
                } else {
                    self.below(column)
                };
                return Some(Collection {
                    kind,
                    is_flow,
                    members,
                    below,
                });
            }
            members.push(self.member(kind, is_flow)?);
        }
    }

    fn member(&mut self, kind: Kind, in_flow: bool) -> Option<Member> {
        let start = self.next_line();
        let mut above = self.above(start);
        let key = match kind {
            Kind::Mapping => match self.node()? {
                Node {
                    anchor: None,
                    value: Value::Inline(key),
                } => key,
                _ => return None,
            },
            Kind::Sequence => String::new(),
        };
        let opening = self.line.max(start);
        // A block collection's comment stands behind its key; anything else ends the line that its comment stands on.
        let is_block = matches!(
            self.events.front()?.0,
            Event::MappingStart(StructureStyle::Block, ..)
                | Event::SequenceStart(StructureStyle::Block, ..)
        );
        let mut beside = if is_block && kind == Kind::Mapping {
            self.beside.remove(&opening)
        } else {
            None
        };
        let value = self.node()?;
        if !is_block {
            // On a line that goes on behind the member, the comment belongs to what goes on.
            let goes_on = in_flow
                && self
                    .events
                    .front()
                    .is_some_and(|(_, next)| next.start.line() <= self.line);
            let end = if goes_on { self.line } else { self.line + 1 };
            let (mut within, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.beside)
                .into_iter()
                .partition(|(line, _)| (start..end).contains(line));
            self.beside.extend(others);
            beside = within.pop().map(|(_, comment)| comment);
            above.extend(
                within
                    .into_iter()
                    .map(|(_, comment)| Above::Comment(comment)),
            );
        }
        Some(Member {
            above,
            key,
            value,
            beside,
        })
    }
}
