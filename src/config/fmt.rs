//! Formats files with `pretty_yaml`. Keeps values, comments and the order of keys. Does not write files.
//!
//! Only files that the parser of `config` accepts are formatted, because the formatter takes exponential time for some invalid files. The
//! result must have the same values and comments, and must not change if it is formatted again. Otherwise the file stays unchanged.

use std::path::PathBuf;
use std::sync::Arc;

use pretty_yaml::config::{FormatOptions, LineBreak};
use pretty_yaml::format_text;
use serde::de::IgnoredAny;

use super::code::DiagnosticCode as Code;
use super::diagnostic::Diagnostics;
use super::files::{
    self, AllowedRoot, FileSelection, Files, FoundFile, has_extension, register, shown,
};
use super::span::Sources;
use super::yaml::{self, Document};

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

/// Formats all files at the paths, including fragments. The path `-` is standard input. Files that cannot be formatted are reported in the
/// diagnostics.
pub fn format(
    paths: &[PathBuf],
    allowed: &AllowedRoot,
    stdin: Option<Vec<u8>>,
) -> (Vec<Formatted>, Diagnostics) {
    let mut reader = Files::default();
    reader.stdin = stdin;
    let mut diagnostics = Diagnostics::default();
    let mut files = Vec::new();
    for file in files::find(paths, FileSelection::Any, allowed, &mut diagnostics) {
        match reader.read(&file.canonical) {
            Ok(bytes) => files.extend(formatted(file, bytes, &mut diagnostics)),
            Err(error) => error.report(&file.path, &mut diagnostics),
        }
    }
    diagnostics.sources = Sources::default();
    (files, diagnostics)
}

fn formatted(file: FoundFile, bytes: Vec<u8>, diagnostics: &mut Diagnostics) -> Option<Formatted> {
    let before = String::from_utf8_lossy(&bytes).into_owned();
    let (errors, name) = (diagnostics.errors(), shown(&file.path));
    let source = register(&name, bytes, diagnostics)?;
    let documents = yaml::parse(source, diagnostics);
    if diagnostics.errors() > errors {
        return None;
    }
    let text = Arc::clone(diagnostics.sources.text(source));
    let after = format_safely(&text, &documents, has_extension(&file.canonical, &["json"]));
    if after.is_none() {
        let message = "cannot format this file; it was not changed";
        let help = "remove unusual YAML, such as directives, multi-line keys, and comments inside of values";
        diagnostics.report_file(&name, Code::Layout, message, help);
    }
    after.map(|after| Formatted {
        path: file.path,
        target: file.canonical,
        before,
        after,
    })
}

/// Returns the formatted text, or `None` if values or comments would change.
fn format_safely(text: &str, documents: &[Document], is_json: bool) -> Option<String> {
    let mut options = FormatOptions::default();
    options.layout.print_width = 120;
    if text.find('\n').is_some_and(|at| text[..at].ends_with('\r')) {
        options.layout.line_break = LineBreak::Crlf;
    }
    // It changes block scalars.
    options.language.trim_trailing_whitespaces = false;
    options.language.trailing_comma = false;
    let after = format_text(text, &options).ok()?;
    let mut diagnostics = Diagnostics::default();
    let source = diagnostics.sources.add("", &after);
    let formatted = yaml::parse(source, &mut diagnostics);
    let is_safe = diagnostics.errors() == 0
        && documents
            .iter()
            .map(|one| &one.root)
            .eq(formatted.iter().map(|one| &one.root))
        && yaml::comments(text) == yaml::comments(&after)
        && (!is_json || serde_json::from_str::<IgnoredAny>(&after).is_ok())
        && format_text(&after, &options).is_ok_and(|again| again == after);
    is_safe.then_some(after)
}
