//! What is wrong with a file, where, and the way out: values that the loader collects and a command renders.
//!
//! A [`Diagnostic`] holds everything it needs to be shown, the source line included, so that no file has to stay in memory and none
//! is read again. Nothing here prints.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::code::{DiagnosticCode, Severity};
use super::resource_limits::{Resource, ResourceUsage};
use super::span::{Place, Region, SourceId, Sources, Span};
use crate::model::text::{count, visible};

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of mistake it is; stable, so that code hosts and scripts may depend on it.
    pub rule: DiagnosticCode,
    /// Whether it refuses the files.
    pub severity: Severity,
    /// What is wrong, with the name of the thing.
    pub message: String,
    /// Where it stands, and a word on what stands there.
    pub primary: Label,
    /// Other places that belong to it.
    pub related: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
    /// Which file pulled in the one at fault, or which account is concerned.
    pub note: Option<String>,
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    pub place: Place,
    /// A few words; may be empty.
    pub text: String,
}

/// Whether rendered text carries color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Plain,
    /// ANSI escapes.
    Ansi,
}

/// How many diagnostics one run keeps; the rest are only counted, so that a file of nothing but mistakes stays cheap.
pub const MAX_DIAGNOSTICS: usize = 1_000;

/// Everything that was found wrong in one run, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// The diagnostics, at most [`MAX_DIAGNOSTICS`] of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many further ones were found and only counted.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.omitted == 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error) + self.omitted
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|one| one.severity == severity).count()
    }

    /// Every diagnostic in the manner of rustc: title, place, source line, underline, help. Ends with a line break unless empty.
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
                "{} more are not shown: fix these first\n\n",
                self.omitted
            ));
        }
        text
    }

    /// The totals in one line, such as `12 errors, 1 warning`.
    pub fn summary(&self) -> String {
        match (self.errors(), self.warnings()) {
            (errors, 0) => count(errors, "error"),
            (0, warnings) => count(warnings, "warning"),
            (errors, warnings) => {
                format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
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
        // The renderer counts columns in what it is given, so that a line without its beginning needs them told.
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

/// A diagnostic on its way: it still speaks of spans.
#[derive(Debug)]
pub(super) struct DiagnosticBuilder {
    rule: DiagnosticCode,
    message: String,
    primary: (DiagnosticLocation, String),
    related: Vec<(Span, String)>,
    help: Option<String>,
    note: Option<String>,
}

/// Where a draft stands: in a text, or at a file as a whole.
#[derive(Debug)]
enum DiagnosticLocation {
    Span(Span),
    File(Arc<str>),
}

impl DiagnosticBuilder {
    /// Something wrong at a place in a text.
    pub(super) fn new(rule: DiagnosticCode, span: Span, message: impl Into<String>) -> Self {
        DiagnosticBuilder::at(rule, DiagnosticLocation::Span(span), message)
    }

    /// Something wrong with a file as a whole.
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

/// How many diagnostics are known again; those behind them are counted each time.
const MAX_DEDUPLICATED: usize = 100_000;
/// How long a message may be, in characters. A value that it quotes may be 8 KiB.
const MAX_MESSAGE_CHARS: usize = 600;

/// Collects diagnostics while files are loaded, and owns the texts that they point into.
#[derive(Debug, Default)]
pub(super) struct DiagnosticSink {
    /// The texts of the run.
    pub(super) sources: Sources,
    spent: ResourceUsage,
    list: Vec<Diagnostic>,
    omitted: usize,
    errors: usize,
    /// Hashes of what was found already; a fragment's mistake that many accounts inherit is said once.
    seen: HashSet<u64>,
    context: Option<IncludedFrom>,
}

/// Why files are read or judged at the moment: said with each diagnostic that stands in another file than the one that asked for it.
#[derive(Debug)]
pub(super) struct IncludedFrom {
    asked_by: SourceId,
    note: String,
}

impl DiagnosticSink {
    /// Counts what is about to be kept; false, and a diagnostic, once there is too much of it.
    pub(super) fn spend(&mut self, resource: Resource, amount: usize, span: Span) -> bool {
        let counted = self.spent.add(resource, amount);
        if let Err(message) = &counted {
            let draft = DiagnosticBuilder::new(DiagnosticCode::TooLarge, span, message);
            self.push(draft.help("load fewer files at once, or declare less in them"));
        }
        counted.is_ok()
    }

    pub(super) fn push(&mut self, draft: DiagnosticBuilder) {
        let spot = match &draft.primary.0 {
            DiagnosticLocation::Span(span) => Some(span.order()),
            DiagnosticLocation::File(_) => None,
        };
        // Rule, place and message make two diagnostics one.
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

    /// Whether further diagnostics are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    /// Counts an error that nobody will see.
    pub(super) fn omit(&mut self) {
        self.errors += 1;
        self.omitted += 1;
    }

    /// How many errors were found so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Says, until [`DiagnosticSink::restore`], for whom files are read or judged. Returns what was said before.
    pub(super) fn within(&mut self, asked_by: SourceId, note: String) -> Option<IncludedFrom> {
        self.context.replace(IncludedFrom { asked_by, note })
    }

    pub(super) fn restore(&mut self, outer: Option<IncludedFrom>) {
        self.context = outer;
    }

    /// Everything found, in the order of the files.
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

/// A text as it may be shown: of a length that somebody reads, the middle left out where it is longer.
fn shown(text: String) -> String {
    let text = visible(text);
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
    /// What diagnostics are sorted by.
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
