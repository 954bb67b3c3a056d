//! Gives each comment and blank line of a text the node that it is about.

use std::collections::BTreeMap;

use super::{Document, Node, Trivia, Value};
use crate::config::span::Span;

/// A comment as it is written.
#[derive(Debug)]
pub(super) struct Comment {
    /// From 1.
    pub(super) line: usize,
    /// From 0, in characters.
    pub(super) column: usize,
    /// With its `#`.
    pub(super) text: String,
}

/// Takes comments out as they find their place. `None` when one doesn't: the text is better left alone.
pub(super) fn attach(
    text: &str,
    documents: &mut Vec<Document>,
    comments: Vec<Comment>,
) -> Option<()> {
    let mut attacher = Attacher {
        text,
        lines: text.lines().collect(),
        own: BTreeMap::new(),
        beside: BTreeMap::new(),
        line: 0,
    };
    for Comment { line, column, text } in comments {
        let before = attacher.lines.get(line.checked_sub(1)?)?;
        if before.chars().take(column).all(char::is_whitespace) {
            attacher.own.insert(line, (column, text));
        } else {
            attacher.beside.insert(line, text);
        }
    }
    if documents.is_empty() {
        let mut document = Document::of(Node::bare(""));
        document.line = attacher.lines.len() + 1;
        documents.push(document);
    }
    attacher.documents(documents);
    (attacher.own.is_empty() && attacher.beside.is_empty()).then_some(())
}

/// Walks the tree in the order in which it is written.
struct Attacher<'t> {
    text: &'t str,
    lines: Vec<&'t str>,
    /// Comments on lines of their own, by line, with their columns.
    own: BTreeMap<usize, (usize, String)>,
    /// Comments beside something, by line.
    beside: BTreeMap<usize, String>,
    /// The last line that something was read from.
    line: usize,
}

impl Attacher<'_> {
    fn documents(&mut self, documents: &mut [Document]) {
        let begin = |document: &Document| match document.is_marked {
            true => document.line,
            false => line(document.root.span),
        };
        let begins: Vec<usize> = documents.iter().map(begin).collect();
        for (at, document) in documents.iter_mut().enumerate() {
            // What stands above the first marker belongs to its document; `--- # so` is a comment above, too.
            let mut above = match at {
                0 => self.above(document.line),
                _ => Vec::new(),
            };
            if document.is_marked {
                above.extend(self.beside.remove(&document.line).map(Trivia::Comment));
                self.line = self.line.max(document.line);
            }
            let next = begins.get(at + 1).copied().unwrap_or(self.lines.len() + 1);
            let root = &mut document.root;
            self.node(root, next);
            let rest = self.above(next);
            let is_block = root.is_block();
            if is_block {
                root.put_header(above);
                root.style_mut().below.extend(rest);
            } else {
                above.extend(rest);
                root.style_mut().above = above;
            }
        }
    }

    /// The comments and blank lines between what was read last and a line.
    fn above(&mut self, line: usize) -> Vec<Trivia> {
        let mut above = Vec::new();
        for at in self.line + 1..line {
            let is_blank = || {
                let line = self.lines.get(at - 1);
                line.is_some_and(|line| line.trim().is_empty())
            };
            if let Some((_, comment)) = self.own.remove(&at) {
                above.push(Trivia::Comment(comment));
            } else if above.last() != Some(&Trivia::Blank) && is_blank() {
                above.push(Trivia::Blank);
            }
        }
        self.line = self.line.max(line.saturating_sub(1));
        above
    }

    /// The comments behind the last member of a collection that stand as far right as its members.
    fn below(&mut self, column: usize, next: usize) -> Vec<Trivia> {
        let from = self.line + 1;
        let comments = self.own.range(from..next.max(from));
        let last = comments.take_while(|(_, (at, _))| *at >= column).last();
        match last.map(|(line, _)| *line) {
            Some(last) => self.above(last + 1),
            None => Vec::new(),
        }
    }

    /// Notes that everything up to the end of a span was read.
    fn reach(&mut self, span: Span) {
        let written = self.written(span).trim_end();
        if !written.is_empty() {
            self.line = self.line.max(line(span) + written.matches('\n').count());
        }
    }

    fn written(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    /// A node that is followed by something on the line `next`.
    fn node(&mut self, node: &mut Node, next: usize) {
        let span = node.span;
        if matches!(node.value, Value::Scalar(_) | Value::Invalid) {
            self.reach(span);
            return;
        }
        let in_flow = !node.is_block();
        let end = line(span) + self.written(span).matches('\n').count();
        let end = if in_flow { end } else { next };
        if in_flow {
            self.line = self.line.max(line(span));
        }
        let mut members: Vec<(Option<Span>, &mut Node)> = match &mut node.value {
            Value::Scalar(_) | Value::Invalid => Vec::new(),
            Value::Sequence(items) => items.iter_mut().map(|item| (None, item)).collect(),
            Value::Mapping(entries) => entries
                .iter_mut()
                .map(|entry| (Some(entry.key_span), &mut entry.value))
                .collect(),
        };
        let begins: Vec<usize> = members
            .iter()
            .map(|(key, value)| line(key.unwrap_or(value.span)))
            .chain([end])
            .collect();
        for ((key, value), begins) in members.iter_mut().zip(begins.windows(2)) {
            self.member(*key, value, in_flow, begins[0], begins[1]);
        }
        node.style_mut().below = if in_flow {
            let below = self.above(end);
            self.line = self.line.max(end);
            below
        } else {
            self.below((span.column as usize).saturating_sub(1), next)
        };
    }

    fn member(
        &mut self,
        key: Option<Span>,
        value: &mut Node,
        in_flow: bool,
        start: usize,
        next: usize,
    ) {
        let mut above = self.above(start);
        if let Some(key) = key {
            self.reach(key);
        }
        let is_block = value.is_block();
        // A block collection's comment stands behind its key; anything else ends the line that its comment stands on.
        let mut beside = match key {
            Some(_) if is_block => self.beside.remove(&self.line.max(start)),
            _ => None,
        };
        self.node(value, next);
        if !is_block {
            // On a line that goes on behind the member, the comment belongs to what goes on.
            let goes_on = in_flow && next <= self.line;
            let end = if goes_on { self.line } else { self.line + 1 };
            let mut within: Vec<String> = Vec::new();
            while let Some((&at, _)) = self.beside.range(start..end.max(start)).next() {
                within.extend(self.beside.remove(&at));
            }
            beside = within.pop();
            above.extend(within.into_iter().map(Trivia::Comment));
        }
        let style = value.style_mut();
        style.above = above;
        style.beside = beside;
    }
}

fn line(span: Span) -> usize {
    span.line as usize
}
