//! Diagnostics of files: problem, location and fix. The loader collects them, a command renders them.
//!
//! A [`Diagnostic`] contains the source lines to show, so files are not kept in memory and not read again. This module does not print.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::code::{DiagnosticCode as Code, Severity};
use super::span::{Place, Region, SourceId, Sources, Span};
use crate::model::text::{escape_invisible, pluralize};

/// An error or warning about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Id of the rule; stable, so that code hosts and scripts may depend on it.
    pub rule: Code,
    /// Severity. Errors reject the files.
    pub severity: Severity,
    /// Description of the problem.
    pub message: String,
    /// Location of the problem.
    pub primary: Label,
    /// Related locations.
    pub related: Vec<Label>,
    /// Suggestion to fix the problem.
    pub help: Option<String>,
    /// File that extends the one with the problem, or account that is affected.
    pub note: Option<String>,
}

/// A location with a short text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    pub place: Place,
    /// Text shown at the location; may be empty.
    pub text: String,
}

/// Color mode of rendered text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Plain,
    /// ANSI escapes.
    Ansi,
}

/// Maximum number of diagnostics kept in one run. Further ones are only counted.
pub const MAX_DIAGNOSTICS: usize = 1_000;
/// Maximum length of a message. A quoted value may have up to 8 KiB.
const MAX_MESSAGE_CHARS: usize = 600;

/// All diagnostics of a run, sorted by file and position. Equal ones are kept once.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// Texts of all files of the run.
    pub(super) sources: Sources,
    list: BTreeMap<SortKey, Diagnostic>,
    errors: usize,
    warnings: usize,
    /// Reason why a file is currently read, and the file that it is read for.
    context: Option<(SourceId, String)>,
    used: [usize; RESOURCES.len()],
}

/// File, line, column, rule and message.
type SortKey = (Arc<str>, u32, u32, &'static str, String);

impl Diagnostics {
    /// Returns at most [`MAX_DIAGNOSTICS`] diagnostics.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.values()
    }

    /// Returns the number of further diagnostics, which were only counted.
    pub fn omitted(&self) -> usize {
        self.errors + self.warnings - self.list.len()
    }

    /// Returns true if there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the number of errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Renders all diagnostics in the style of rustc: title, location, source line, underline, help. Ends with a line break unless empty.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::Plain => Renderer::plain(),
            Color::Ansi => Renderer::styled(),
        };
        let mut text = String::new();
        for diagnostic in self.iter() {
            text.push_str(&renderer.render(&[diagnostic.group()]));
            text.push_str("\n\n");
        }
        if self.omitted() > 0 {
            let omitted = self.omitted();
            text.push_str(&format!("{omitted} more not shown; fix these first\n\n"));
        }
        text
    }

    /// Returns the totals in one line, such as `12 errors, 1 warning`.
    pub fn summary(&self) -> String {
        match (self.errors, self.warnings) {
            (errors, 0) => pluralize(errors, "error"),
            (0, warnings) => pluralize(warnings, "warning"),
            (errors, warnings) => {
                format!(
                    "{}, {}",
                    pluralize(errors, "error"),
                    pluralize(warnings, "warning")
                )
            }
        }
    }

    /// Adds a diagnostic without further details.
    pub(super) fn report(
        &mut self,
        location: impl Into<Location>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem::at(location, code, message, help));
    }

    /// Adds a diagnostic, unless there is an equal one. A mistake in a base file is reported once, even if many accounts inherit it.
    pub(super) fn push(&mut self, problem: Problem) {
        let (file, line, column, source) = match &problem.location {
            Location::Span(span) => {
                let name = self.sources.name(span.source);
                (Arc::clone(name), span.line, span.column, Some(span.source))
            }
            Location::File(file) => (Arc::clone(file), 0, 0, None),
        };
        let message = shown(problem.message);
        let key = (file, line, column, problem.code.as_str(), message);
        if self.list.contains_key(&key) {
            return;
        }
        let severity = problem.code.severity();
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.is_full() {
            return;
        }
        let label = |place, text: &str| Label {
            place,
            text: text.to_owned(),
        };
        let place = match problem.location {
            Location::Span(span) => self.sources.place(span),
            Location::File(file) => Place { file, region: None },
        };
        let related = problem.related.into_iter();
        let context = self
            .context
            .iter()
            .filter(|(reader, _)| source != Some(*reader));
        let note = context.map(|(_, note)| note.clone()).next();
        let diagnostic = Diagnostic {
            rule: problem.code,
            severity,
            message: key.4.clone(),
            primary: label(place, problem.label),
            related: related
                .map(|(span, text)| label(self.sources.place(span), text))
                .collect(),
            help: Some(shown(problem.help)),
            note: problem.note.or(note).map(shown),
        };
        self.list.insert(key, diagnostic);
    }

    /// Returns true if further diagnostics are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    /// Sets the note for diagnostics in files other than `reader`. Returns the previous one, to be restored.
    pub(super) fn set_context(
        &mut self,
        context: Option<(SourceId, String)>,
    ) -> Option<(SourceId, String)> {
        std::mem::replace(&mut self.context, context)
    }

    /// Counts a resource of the run. Returns false and reports an error if its limit is exceeded.
    pub(super) fn spend(&mut self, resource: Resource, amount: usize, span: Span) -> bool {
        let (limit, name) = RESOURCES[resource as usize];
        let used = &mut self.used[resource as usize];
        *used = used.saturating_add(amount);
        let fits = *used <= limit;
        if !fits {
            let message = format!("more than {limit} {name} in the files of one run");
            let help = "load fewer files in one run, or declare less in them";
            self.push(Problem::at(span, Code::TooLarge, message, help));
        }
        fits
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Color::Plain))?;
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Diagnostics {}

/// A resource that is limited for all files of one run together, because limits per document do not bound the total.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource {
    Documents,
    /// Scalars, lists and mappings, with aliases expanded.
    Values,
    RepeatedBytes,
    /// Behaviors and integrations, as written in the files.
    Entries,
    /// Behaviors, integrations and `protected` items of all accounts, including inherited ones.
    Declared,
    Variables,
}

/// Limits, in the order of [`Resource`]. 100,000 integrations are 700,000 values; 10,000 accounts with a base file of 50 behaviors declare
/// 500,000 entries.
const RESOURCES: [(usize, &str); 6] = [
    (20_000, "documents"),
    (2_000_000, "values (aliases expanded)"),
    (16 << 20, "bytes repeated by aliases"),
    (105_000, "behaviors and integrations"),
    (1_000_000, "entries (including inherited ones)"),
    (250_000, "references to variables"),
];

impl Diagnostic {
    fn group(&self) -> Group<'_> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(self.message.as_str())
            .id(self.rule.as_str())
            .elements(self.primary.elements(AnnotationKind::Primary));
        for label in &self.related {
            group = group.elements(label.elements(AnnotationKind::Context));
        }
        if let Some(note) = &self.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

impl Label {
    fn elements(&self, kind: AnnotationKind) -> Vec<Element<'_>> {
        let file = self.place.file.as_ref();
        let Some(Region {
            line,
            column,
            excerpt,
            ..
        }) = &self.place.region
        else {
            return vec![Origin::path(file).into()];
        };
        // The renderer computes columns from the excerpt, which is wrong if the start of the line is cut.
        let origin = Origin::path(file).line(*line as usize);
        let origin = origin.char_column(*column as usize);
        if excerpt.text.is_empty() {
            return vec![origin.into()];
        }
        let annotation = kind
            .span(excerpt.range())
            .label((!self.text.is_empty()).then_some(self.text.as_str()));
        let snippet = Snippet::source(excerpt.text.as_str())
            .line_start(*line as usize)
            .annotation(annotation);
        match excerpt.is_from_line_start() {
            true => vec![snippet.path(file).into()],
            false => vec![origin.into(), snippet.into()],
        }
    }
}

/// A diagnostic before its locations are looked up.
#[derive(Debug)]
pub(super) struct Problem {
    code: Code,
    message: String,
    help: String,
    location: Location,
    label: &'static str,
    related: Option<(Span, &'static str)>,
    note: Option<String>,
}

/// Location of a problem: a span, or a file as a whole.
#[derive(Debug)]
pub(super) enum Location {
    Span(Span),
    File(Arc<str>),
}

impl From<Span> for Location {
    fn from(span: Span) -> Self {
        Location::Span(span)
    }
}

impl From<&str> for Location {
    fn from(file: &str) -> Self {
        Location::File(file.into())
    }
}

impl Problem {
    /// Creates a problem at a span, or of a file as a whole.
    pub(super) fn at(
        location: impl Into<Location>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Problem {
            code,
            message: message.into(),
            help: help.into(),
            location: location.into(),
            label: "",
            related: None,
            note: None,
        }
    }

    /// Adds the first of two equal values.
    pub(super) fn duplicates(self, first: Span) -> Self {
        self.related("duplicate", first, "first occurrence")
    }

    /// Adds a second location, and labels for both.
    pub(super) fn related(mut self, label: &'static str, span: Span, text: &'static str) -> Self {
        (self.label, self.related) = (label, Some((span, text)));
        self
    }

    pub(super) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

/// Escapes invisible characters, and shortens long text in the middle.
fn shown(text: String) -> String {
    let text = escape_invisible(text);
    if text.len() <= MAX_MESSAGE_CHARS || text.chars().count() <= MAX_MESSAGE_CHARS {
        return text;
    }
    let start: String = text.chars().take(MAX_MESSAGE_CHARS * 2 / 3).collect();
    let end = text.char_indices().rev().nth(MAX_MESSAGE_CHARS / 3);
    let end = &text[end.map_or(0, |(at, _)| at)..];
    format!("{start} … {end}")
}
