//! Canonical layout: lines with their comments aligned, and the formatter that lays a file out anew without touching what it says.

use super::diagnostic::{Draft, Found};
use super::kinds::{DOCUMENT, Shape};
use super::rule::Rule;
use super::source::SourceId;
use super::yaml::commented::{self, Above, Collection, Document, Kind, Member, Node, Value};
use super::yaml::{self, Scalar};

/// How wide a mapping or list may be that stands on one line.
const WIDTH: usize = 120;

/// Lines of a file, each with the comment beside it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<(String, Option<String>)>,
}

impl Lines {
    pub(super) fn push(&mut self, line: impl Into<String>, beside: Option<String>) {
        self.lines.push((line.into(), beside));
    }

    /// The text. Comments beside lines that follow each other are aligned.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for run in self.lines.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
            let width = run.iter().map(|(line, _)| line.chars().count()).max();
            for (line, beside) in run {
                text.push_str(line);
                if let Some(beside) = beside {
                    let gap = width.unwrap_or_default() - line.chars().count() + 2;
                    text.push_str(&" ".repeat(gap));
                    text.push_str(beside);
                }
                text.push('\n');
            }
        }
        text
    }
}

/// Pads keys of lines that follow each other, so that the one-line mappings behind them are aligned.
pub(super) fn aligned(keys: &[String]) -> Vec<String> {
    let width = keys.iter().map(|key| key.chars().count()).max();
    let pad = |key: &String| width.unwrap_or_default() - key.chars().count();
    keys.iter()
        .map(|key| format!("{key}:{}", " ".repeat(pad(key))))
        .collect()
}

/// Lays a text out anew; `None`, and a diagnostic, when it is no YAML or better left alone.
///
/// What comes out is read again and compared, values and comments, and must come out the same a second time.
pub(super) fn format(source: SourceId, found: &mut Found) -> Option<String> {
    let errors = found.errors();
    let before = yaml::parse(source, found);
    if found.errors() > errors {
        return None;
    }
    let text = std::sync::Arc::clone(found.sources.text(source));
    let formatted = lay_out(&text).filter(|formatted| {
        let again = lay_out(formatted).as_ref() == Some(formatted);
        let mut scratch = Found::default();
        let after = scratch.sources.add("".into(), formatted.as_str().into());
        let after = yaml::parse(after, &mut scratch);
        again
            && scratch.errors() == 0
            && same_documents(&before, &after)
            && same_comments(&text, formatted)
    });
    if formatted.is_none() {
        let file = found.sources.name(source).to_string();
        let draft = Draft::of_file(
            Rule::Layout,
            file.as_str(),
            "the file has no canonical layout, and is left as it is",
        );
        found.push(draft.help(
            "write it without directives, comments in unusual places or keys of several lines",
        ));
    }
    formatted
}

fn lay_out(text: &str) -> Option<String> {
    let documents = commented::parse(text)?;
    let mut lines = Lines::default();
    for (at, document) in documents.into_iter().enumerate() {
        if document.is_marked || at > 0 {
            lines.push("---", None);
        }
        push_document(&mut lines, document);
    }
    let rendered = lines.render();
    let crlf = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
    Some(if crlf {
        rendered.replace('\n', "\r\n")
    } else {
        rendered
    })
}

fn push_document(lines: &mut Lines, document: Document) {
    let Document {
        is_marked: _,
        mut root,
        above,
    } = document;
    if let Value::Collection(collection) = &mut root.value {
        // An alias must stay behind its anchor, so a document with anchors keeps its order.
        if !has_anchor(collection) {
            order(collection);
        }
        if !collection.is_flow {
            set_sections_apart(collection);
        }
    }
    push_above(lines, "", trimmed(&above));
    match &root.value {
        Value::Collection(collection) if root.anchor.is_none() && !fits(collection, 0) => {
            push_members(lines, collection, 0);
        }
        Value::Collection(_) | Value::Inline(_) => {
            let inline = inline(&root);
            if !inline.is_empty() {
                lines.push(inline, None);
            }
        }
    }
}

/// Brings known keys into their order. What stands at the very top of the file stays there.
fn order(root: &mut Collection) {
    let header = root
        .members
        .first_mut()
        .map(|first| std::mem::take(&mut first.above))
        .unwrap_or_default();
    order_by(root, DOCUMENT);
    if let Some(first) = root.members.first_mut() {
        first.above.splice(0..0, header);
    }
}

/// The entries that a file names keep their order.
fn order_by(collection: &mut Collection, shape: Shape) {
    let beneath = |member: &Member| match shape {
        Shape::Value => Shape::Value,
        Shape::Fields(fields) => fields
            .iter()
            .find(|(key, _)| *key == member.key)
            .map_or(Shape::Value, |(_, shape)| *shape),
        Shape::Entries(inner) | Shape::List(inner) => *inner,
    };
    if let (Shape::Fields(fields), Kind::Mapping) = (shape, collection.kind) {
        // Unknown keys go last; somebody will have to fix them anyway.
        let rank = |member: &Member| fields.iter().position(|(key, _)| *key == member.key);
        collection
            .members
            .sort_by_key(|member| rank(member).unwrap_or(fields.len()));
    }
    for member in &mut collection.members {
        let shape = beneath(member);
        if let Value::Collection(inner) = &mut member.value.value {
            order_by(inner, shape);
        }
    }
}

fn has_anchor(collection: &Collection) -> bool {
    collection.members.iter().any(|member| {
        member.value.anchor.is_some()
            || match &member.value.value {
                Value::Collection(inner) => has_anchor(inner),
                Value::Inline(_) => false,
            }
    })
}

/// Puts a blank line before each section of a document.
fn set_sections_apart(root: &mut Collection) {
    for member in root.members.iter_mut().skip(1) {
        let is_section = matches!(&member.value.value, Value::Collection(inner) if !fits(inner, member.key.len() + 2));
        if is_section && member.above.first() != Some(&Above::Blank) {
            member.above.insert(0, Above::Blank);
        }
    }
}

/// Whether a collection may stand on one line, behind so many characters.
fn fits(collection: &Collection, behind: usize) -> bool {
    let fits_inline = || {
        let node = collection.members.iter().all(|member| {
            member.above.iter().all(|above| *above == Above::Blank)
                && member.beside.is_none()
                && match &member.value.value {
                    Value::Collection(inner) => fits(inner, 0),
                    Value::Inline(_) => true,
                }
        });
        let below = collection.below.iter().all(|above| *above == Above::Blank);
        node && below && behind + inline_collection(collection).chars().count() <= WIDTH
    };
    (collection.is_flow || collection.members.is_empty()) && fits_inline()
}

fn inline(node: &Node) -> String {
    let value = match &node.value {
        Value::Inline(text) => text.clone(),
        Value::Collection(collection) => inline_collection(collection),
    };
    match &node.anchor {
        Some(anchor) => format!("&{anchor} {value}").trim_end().to_owned(),
        None => value,
    }
}

fn inline_collection(collection: &Collection) -> String {
    let members: Vec<String> = collection
        .members
        .iter()
        .map(|member| {
            let value = match inline(&member.value) {
                // Nothing before a comma or a brace is easily misread.
                empty if empty.is_empty() => "null".to_owned(),
                value => value,
            };
            match collection.kind {
                Kind::Mapping => format!("{}: {value}", member.key),
                Kind::Sequence => value,
            }
        })
        .collect();
    match collection.kind {
        Kind::Mapping if members.is_empty() => "{}".to_owned(),
        Kind::Mapping => format!("{{ {} }}", members.join(", ")),
        Kind::Sequence => format!("[{}]", members.join(", ")),
    }
}

fn push_above(lines: &mut Lines, margin: &str, above: &[Above]) {
    for one in above {
        match one {
            Above::Blank => lines.push("", None),
            Above::Comment(comment) => lines.push(format!("{margin}{comment}"), None),
        }
    }
}

/// Without blank lines at either end.
fn trimmed(above: &[Above]) -> &[Above] {
    let from = above.iter().position(|one| *one != Above::Blank);
    let to = above.iter().rposition(|one| *one != Above::Blank);
    match (from, to) {
        (Some(from), Some(to)) => &above[from..=to],
        _ => &[],
    }
}

/// Without blank lines at the beginning, where the first member is meant.
fn leading(at: usize, above: &[Above]) -> &[Above] {
    let from = match at {
        0 => above.iter().take_while(|one| **one == Above::Blank).count(),
        _ => 0,
    };
    &above[from..]
}

/// Writes a collection with a line for each member.
fn push_members(lines: &mut Lines, collection: &Collection, indent: usize) {
    let margin = " ".repeat(indent);
    let mut at = 0;
    while let Some(member) = collection.members.get(at) {
        push_above(lines, &margin, leading(at, &member.above));
        let tabular = |member: &Member| {
            collection.kind == Kind::Mapping
                && member.value.anchor.is_none()
                && matches!(&member.value.value, Value::Collection(inner)
                    if inner.kind == Kind::Mapping && !inner.members.is_empty() && fits(inner, indent + member.key.len() + 2))
        };
        if tabular(member) {
            let rest = &collection.members[at + 1..];
            let following = rest
                .iter()
                .take_while(|member| member.above.is_empty() && tabular(member))
                .count();
            let run = &collection.members[at..=at + following];
            let keys: Vec<String> = run.iter().map(|member| member.key.clone()).collect();
            for (member, key) in run.iter().zip(aligned(&keys)) {
                let line = format!("{margin}{key} {}", inline(&member.value));
                lines.push(line, member.beside.clone());
            }
            at += run.len();
        } else {
            push_member(lines, collection.kind, member, indent);
            at += 1;
        }
    }
    let below = match collection.below.split_last() {
        Some((Above::Blank, rest)) => rest,
        _ => &collection.below,
    };
    push_above(lines, &margin, below);
}

fn push_member(lines: &mut Lines, kind: Kind, member: &Member, indent: usize) {
    let Member {
        above: _,
        key,
        value,
        beside,
    } = member;
    let margin = " ".repeat(indent);
    let head = match kind {
        Kind::Mapping => format!("{margin}{key}:"),
        Kind::Sequence => format!("{margin}-"),
    };
    match &value.value {
        Value::Collection(collection) if !fits(collection, head.chars().count() + 1) => {
            let anchor = value.anchor.as_ref().map(|anchor| format!(" &{anchor}"));
            let head = format!("{head}{}", anchor.unwrap_or_default());
            let mut inner = Lines::default();
            push_members(&mut inner, collection, indent + 2);
            // The first line of an item's mapping stands behind its dash.
            if kind == Kind::Sequence && value.anchor.is_none() && collection.starts_on_its_line() {
                if let Some((first, _)) = inner.lines.first_mut() {
                    first.replace_range(..indent + 2, &format!("{head} "));
                }
            } else {
                lines.push(head, beside.clone());
            }
            lines.lines.append(&mut inner.lines);
        }
        Value::Collection(_) | Value::Inline(_) => {
            let line = format!("{head} {}", inline(value));
            lines.push(line.trim_end(), beside.clone());
        }
    }
}

impl Collection {
    /// Whether nothing stands above the first member.
    fn starts_on_its_line(&self) -> bool {
        self.members
            .first()
            .is_some_and(|first| trimmed(&first.above).is_empty())
    }
}

fn same_documents(before: &[yaml::Document], after: &[yaml::Document]) -> bool {
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(before, after)| same(&before.root, &after.root))
}

/// Whether two trees say the same, whatever the order of their keys.
fn same(before: &yaml::Node, after: &yaml::Node) -> bool {
    match (&before.value, &after.value) {
        (yaml::Value::Scalar(before), yaml::Value::Scalar(after)) => same_scalar(before, after),
        (yaml::Value::Sequence(before), yaml::Value::Sequence(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b))
        }
        (yaml::Value::Mapping(before), yaml::Value::Mapping(after)) => {
            let sorted = |entries: &[yaml::Entry]| {
                let mut order: Vec<usize> = (0..entries.len()).collect();
                order.sort_by(|a, b| entries[*a].key.cmp(&entries[*b].key));
                order
            };
            before.len() == after.len()
                && sorted(before).into_iter().zip(sorted(after)).all(|(a, b)| {
                    before[a].key == after[b].key && same(&before[a].value, &after[b].value)
                })
        }
        _ => false,
    }
}

fn same_scalar(before: &Scalar, after: &Scalar) -> bool {
    if before.is_null() || after.is_null() {
        return before.is_null() == after.is_null();
    }
    // What spans lines is text, with quotes or without.
    let quotes_mean_nothing = before.text.contains(char::is_whitespace);
    before.text == after.text && (before.plain == after.plain || quotes_mean_nothing)
}

fn same_comments(before: &str, after: &str) -> bool {
    let comments = |text: &str| {
        let mut all = commented::comments(text);
        all.sort();
        all
    };
    comments(before) == comments(after)
}
