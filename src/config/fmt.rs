//! Formats files: order of keys, spacing and alignment. Keeps comments and blank lines. Does not write files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink, Diagnostics};
use super::files::{AllowedRoot, FileSelection, Files, FoundFile, shown};
use super::kinds::{DOCUMENT, Shape};
use super::span::SourceId;
use super::text;
use super::yaml::{self, Document, Entry, Node, Scalar, Value, emit};

/// A file before and after formatting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// Path as given by the user.
    pub path: PathBuf,
    /// Path with all symlinks resolved.
    pub target: PathBuf,
    pub before: String,
    pub after: String,
}

impl Formatted {
    /// Returns true if formatting changes the file.
    pub fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// Formats all files at the paths, including fragments. Files that cannot be formatted are reported in the diagnostics.
pub fn format(paths: &[PathBuf], confinement: &AllowedRoot) -> (Vec<Formatted>, Diagnostics) {
    let mut files = Files::default();
    let mut found = DiagnosticSink::default();
    let mut formatted = Vec::new();
    for file in files.find(paths, FileSelection::Any, confinement, &mut found) {
        let FoundFile {
            path,
            canonical,
            root: _,
        } = file;
        match files.read(&canonical) {
            Ok(bytes) => formatted.extend(format_bytes(path, canonical, bytes, &mut found)),
            Err(refused) => found.push(refused.of_file(&path)),
        }
    }
    (formatted, found.finish())
}

fn format_bytes(
    path: PathBuf,
    target: PathBuf,
    bytes: Vec<u8>,
    found: &mut DiagnosticSink,
) -> Option<Formatted> {
    let before = String::from_utf8_lossy(&bytes).into_owned();
    let source = text::register(shown(&path).into(), bytes, found)?;
    let lay_out = match target.extension() == Some("json".as_ref()) {
        true => format_json,
        false => format_yaml,
    };
    let after = checked(source, lay_out, found)?;
    Some(Formatted {
        path,
        target,
        before,
        after,
    })
}

/// Function that formats a text and returns it with its comments, or `None` if the text cannot be formatted.
type LayOut = fn(SourceId, &mut DiagnosticSink) -> Option<(String, Vec<String>)>;

/// Formats a text. Reports an error and returns `None` if that is not possible.
///
/// Verifies that the output has the same values and comments, and that formatting it again does not change it.
fn checked(source: SourceId, lay_out: LayOut, found: &mut DiagnosticSink) -> Option<String> {
    let errors = found.errors();
    let before = documents(source, found);
    if found.errors() > errors {
        return None;
    }
    let attempt = || {
        let mut scratch = DiagnosticSink::default();
        let add = |text: &str, scratch: &mut DiagnosticSink| {
            scratch.sources.add("".into(), text.into(), false)
        };
        let text = Arc::clone(found.sources.text(source));
        let source = add(&text, &mut scratch);
        let (formatted, mut comments) = lay_out(source, &mut scratch)?;
        let source = add(&formatted, &mut scratch);
        let (again, mut same_comments) = lay_out(source, &mut scratch)?;
        let after = documents(source, &mut scratch);
        comments.sort_unstable();
        same_comments.sort_unstable();
        let holds = again == formatted
            && comments == same_comments
            && scratch.errors() == 0
            && before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(before, after)| same(&before.root, &after.root));
        holds.then_some(formatted)
    };
    let formatted = attempt();
    if formatted.is_none() {
        let file = Arc::clone(found.sources.name(source));
        let message = "cannot format this file; it was not changed";
        let help = "remove directives, comments in unusual places and multi-line keys";
        found.push(DiagnosticBuilder::of_file(DiagnosticCode::Layout, file, message).help(help));
    }
    formatted
}

fn documents(source: SourceId, found: &mut DiagnosticSink) -> Vec<Document> {
    let mut documents = Vec::new();
    yaml::each(source, found, |document, _| documents.push(document));
    documents
}

fn format_yaml(source: SourceId, found: &mut DiagnosticSink) -> Option<(String, Vec<String>)> {
    let (mut documents, comments) = yaml::with_comments(source, found)?;
    for document in &mut documents {
        // An alias must come after its anchor, so a document with anchors keeps its order.
        if !document.root.has_anchor() {
            order(&mut document.root);
        }
    }
    let text = emit::yaml(&documents);
    let before = found.sources.text(source);
    let crlf = before
        .find('\n')
        .is_some_and(|at| before[..at].ends_with('\r'));
    Some((
        if crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        },
        comments,
    ))
}

fn format_json(source: SourceId, found: &mut DiagnosticSink) -> Option<(String, Vec<String>)> {
    serde_json::from_str::<serde::de::IgnoredAny>(found.sources.text(source)).ok()?;
    let mut documents = documents(source, found);
    let [document] = documents.as_mut_slice() else {
        return None;
    };
    order(&mut document.root);
    Some((emit::json(&document.root), Vec::new()))
}

/// Sorts known keys. Comments at the top of the file stay there.
fn order(root: &mut Node) {
    let header = root.take_header();
    order_by(root, DOCUMENT);
    root.put_header(header);
}

/// Sorts known keys of a node. Named entries keep their order.
fn order_by(node: &mut Node, shape: Shape) {
    match (&mut node.value, shape) {
        (Value::Mapping(entries), Shape::Fields(fields)) => {
            let rank = |entry: &Entry| fields.iter().position(|(key, _)| *key == &*entry.key);
            // Unknown keys go last.
            entries.sort_by_key(|entry| rank(entry).unwrap_or(fields.len()));
            for entry in entries {
                if let Some(at) = rank(entry) {
                    order_by(&mut entry.value, fields[at].1);
                }
            }
        }
        (Value::Mapping(entries), Shape::Entries(inner)) => {
            for entry in entries {
                order_by(&mut entry.value, *inner);
            }
        }
        (Value::Sequence(items), Shape::List(inner)) => {
            for item in items {
                order_by(item, *inner);
            }
        }
        (Value::Scalar(_) | Value::Invalid | Value::Sequence(_) | Value::Mapping(_), _) => {}
    }
}

/// Returns true if two trees have the same values, in any order of keys.
fn same(before: &Node, after: &Node) -> bool {
    match (&before.value, &after.value) {
        (Value::Scalar(before), Value::Scalar(after)) => same_scalar(before, after),
        (Value::Sequence(before), Value::Sequence(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(before), Value::Mapping(after)) => {
            let sorted = |entries: &[Entry]| {
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
    // Quotes make no difference for text that all YAML parsers read as text, such as text with spaces.
    let quotes_mean_nothing =
        || before.text.contains(char::is_whitespace) || emit::is_bare(&before.text);
    before.text == after.text && (before.plain == after.plain || quotes_mean_nothing())
}

/// Formats YAML from standard input.
pub fn format_input(bytes: Vec<u8>) -> (Option<Formatted>, Diagnostics) {
    let mut found = DiagnosticSink::default();
    let path = || Path::new("-").to_owned();
    let formatted = format_bytes(path(), path(), bytes, &mut found);
    (formatted, found.finish())
}
