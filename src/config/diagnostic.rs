//! Diagnostics of files: problem, location and fix. The loader collects them, a command renders them.
//!
//! A [`Diagnostic`] contains the source lines to show, so files are not kept in memory and not read again. This module does not print.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::code::{DiagnosticCode, Severity};
use super::resource_limits::{Resource, ResourceUsage};
use super::span::{Place, Region, SourceId, Sources, Span};
use crate::model::text::{escape_invisible, pluralize};

/// An error or warning about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Id of the rule; stable, so that code hosts and scripts may depend on it.
    pub rule: DiagnosticCode,
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

/// All diagnostics of a run, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// Returns at most [`MAX_DIAGNOSTICS`] diagnostics.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Returns the number of further diagnostics, which were only counted.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Returns true if there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.omitted == 0
    }

    /// Returns the number of errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error) + self.omitted
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|one| one.severity == severity).count()
    }

    /// Renders all diagnostics in the style of rustc: title, location, source line, underline, help. Ends with a line break unless empty.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::Plain => Renderer::plain(),
            Color::Ansi => Renderer::styled(),
        };
        let mut text = String::new();
        for diagnostic in &self.list {
            text.push_str(&renderer.render(&[diagnostic.group()]));
            text.push_str("\n\n");
        }
        if self.omitted > 0 {
            text.push_str(&format!(
                "{} more not shown; fix these first\n\n",
                self.omitted
            ));
        }
        text
    }

    /// Returns the totals in one line, such as `12 errors, 1 warning`.
    pub fn summary(&self) -> String {
        match (self.errors(), self.warnings()) {
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
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Color::Plain))?;
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Diagnostics {}

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
        let Some(region) = &self.place.region else {
            return vec![Origin::path(file).into()];
        };
        let Region {
            line,
            column,
            end_column: _,
            excerpt,
        } = region;
        // The renderer computes columns from the excerpt, which is wrong if the start of the line is cut.
        let origin = || {
            Origin::path(file)
                .line(*line as usize)
                .char_column(*column as usize)
        };
        if excerpt.text.is_empty() {
            return vec![origin().into()];
        }
        let annotation = kind
            .span(excerpt.range())
            .label((!self.text.is_empty()).then_some(self.text.as_str()));
        let snippet = Snippet::source(excerpt.text.as_str())
            .line_start(*line as usize)
            .annotation(annotation);
        if excerpt.is_from_line_start() {
            return vec![snippet.path(file).into()];
        }
        vec![origin().into(), snippet.into()]
    }
}

/// Builder for a diagnostic; its locations are still spans.
#[derive(Debug)]
pub(super) struct DiagnosticBuilder {
    rule: DiagnosticCode,
    message: String,
    primary: (DiagnosticLocation, String),
    related: Vec<(Span, String)>,
    help: Option<String>,
    note: Option<String>,
}

/// Location of a diagnostic: a span, or a file as a whole.
#[derive(Debug)]
enum DiagnosticLocation {
    Span(Span),
    File(Arc<str>),
}

impl DiagnosticBuilder {
    /// Creates a diagnostic for a span.
    pub(super) fn new(rule: DiagnosticCode, span: Span, message: impl Into<String>) -> Self {
        DiagnosticBuilder::at(rule, DiagnosticLocation::Span(span), message)
    }

    /// Creates a diagnostic for a file as a whole.
    pub(super) fn of_file(
        rule: DiagnosticCode,
        file: impl Into<Arc<str>>,
        message: impl Into<String>,
    ) -> Self {
        DiagnosticBuilder::at(rule, DiagnosticLocation::File(file.into()), message)
    }

    fn at(rule: DiagnosticCode, spot: DiagnosticLocation, message: impl Into<String>) -> Self {
        DiagnosticBuilder {
            rule,
            message: message.into(),
            primary: (spot, String::new()),
            related: Vec::new(),
            help: None,
            note: None,
        }
    }

    pub(super) fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.1 = text.into();
        self
    }

    pub(super) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    pub(super) fn help_opt(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }
}

/// Maximum number of diagnostics that are deduplicated. Further ones are counted each time.
const MAX_DEDUPLICATED: usize = 100_000;
/// Maximum length of a message. A quoted value may have up to 8 KiB.
const MAX_MESSAGE_CHARS: usize = 600;

/// Collects diagnostics while files are loaded, and owns the texts of the files.
#[derive(Debug, Default)]
pub(super) struct DiagnosticSink {
    /// Texts of all files of the run.
    pub(super) sources: Sources,
    spent: ResourceUsage,
    list: Vec<Diagnostic>,
    omitted: usize,
    errors: usize,
    /// Hashes of diagnostics, so that a mistake in a fragment is reported once, even if many accounts inherit it.
    seen: HashSet<u64>,
    context: Option<IncludedFrom>,
}

/// Reason why a file is currently read or validated. It is added as a note to diagnostics in other files.
#[derive(Debug)]
pub(super) struct IncludedFrom {
    asked_by: SourceId,
    note: String,
}

impl DiagnosticSink {
    /// Counts a resource. Returns false and reports an error if the limit is exceeded.
    pub(super) fn spend(&mut self, resource: Resource, amount: usize, span: Span) -> bool {
        let counted = self.spent.add(resource, amount);
        if let Err(message) = &counted {
            let draft = DiagnosticBuilder::new(DiagnosticCode::TooLarge, span, message);
            self.push(draft.help("load fewer files in one run, or declare less in them"));
        }
        counted.is_ok()
    }

    pub(super) fn push(&mut self, draft: DiagnosticBuilder) {
        let spot = match &draft.primary.0 {
            DiagnosticLocation::Span(span) => Some(span.order()),
            DiagnosticLocation::File(_) => None,
        };
        // Diagnostics with equal rule, location and message are duplicates.
        let mut hasher = DefaultHasher::new();
        (draft.rule, spot, &draft.message).hash(&mut hasher);
        let said = hasher.finish();
        if self.seen.contains(&said) {
            return;
        }
        if self.seen.len() < MAX_DEDUPLICATED {
            self.seen.insert(said);
        }
        let severity = draft.rule.severity();
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => {}
        }
        if self.is_full() {
            self.omitted += 1;
            return;
        }
        let DiagnosticBuilder {
            rule,
            message,
            primary: (spot, text),
            related,
            help,
            note,
        } = draft;
        let (place, source) = match spot {
            DiagnosticLocation::Span(span) => (self.sources.place(span), Some(span.source)),
            DiagnosticLocation::File(file) => (Place { file, region: None }, None),
        };
        let context = || {
            let context = self.context.as_ref()?;
            (source != Some(context.asked_by)).then(|| context.note.clone())
        };
        let note = note.or_else(context);
        let related = related
            .into_iter()
            .map(|(span, text)| Label {
                place: self.sources.place(span),
                text: shown(text),
            })
            .collect();
        self.list.push(Diagnostic {
            rule,
            severity,
            message: shown(message),
            primary: Label {
                place,
                text: shown(text),
            },
            related,
            help: help.map(shown),
            note: note.map(shown),
        });
    }

    /// Returns true if further diagnostics are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    /// Counts an error that is not shown.
    pub(super) fn omit(&mut self) {
        self.errors += 1;
        self.omitted += 1;
    }

    /// Returns the number of errors so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Sets the note for diagnostics in files other than `asked_by`, until [`DiagnosticSink::restore`]. Returns the previous note.
    pub(super) fn within(&mut self, asked_by: SourceId, note: String) -> Option<IncludedFrom> {
        self.context.replace(IncludedFrom { asked_by, note })
    }

    pub(super) fn restore(&mut self, outer: Option<IncludedFrom>) {
        self.context = outer;
    }

    /// Returns all diagnostics, in the order of the files.
    pub(super) fn finish(self) -> Diagnostics {
        let DiagnosticSink {
            sources: _,
            spent: _,
            mut list,
            omitted,
            errors: _,
            seen: _,
            context: _,
        } = self;
        list.sort_by(|a, b| a.order().cmp(&b.order()));
        Diagnostics { list, omitted }
    }
}

/// Escapes invisible characters, and shortens long text in the middle.
fn shown(text: String) -> String {
    let text = escape_invisible(text);
    let length = match text.len() > MAX_MESSAGE_CHARS {
        true => text.chars().count(),
        false => return text,
    };
    if length <= MAX_MESSAGE_CHARS {
        return text;
    }
    let (start, end) = (MAX_MESSAGE_CHARS * 2 / 3, MAX_MESSAGE_CHARS / 3);
    let start: String = text.chars().take(start).collect();
    let end: String = text.chars().skip(length - end).collect();
    format!("{start} … {end}")
}

impl Diagnostic {
    /// Returns the sort key of a diagnostic.
    fn order(&self) -> (&str, u32, u32, &str, &str) {
        let (line, column) = self
            .primary
            .place
            .region
            .as_ref()
            .map_or((0, 0), |region| (region.line, region.column));
        (
            &self.primary.place.file,
            line,
            column,
            self.rule.as_str(),
            &self.message,
        )
    }
}
