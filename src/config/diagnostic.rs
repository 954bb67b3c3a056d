//! Diagnostics of files: problem, location and fix. The loader collects them, a command renders them.
//!
//! A [`Diagnostic`] contains the source lines to show, so files are not kept in memory and not read again. This module does not print.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::code::{DiagnosticCode as Code, Severity};
use super::span::{Place, SourceId, Sources, Span};
use crate::model::text::{EscapeInvisible, pluralize};

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

/// Maximum number of diagnostics kept in one run. Further ones are only counted.
pub const MAX_DIAGNOSTICS: usize = 1_000;

/// All diagnostics of a run, sorted by file and position. Equal ones are kept once.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// Texts of all files of the run.
    pub(super) sources: Sources,
    list: BTreeMap<SortKey, Diagnostic>,
    errors: usize,
    warnings: usize,
    /// Note for diagnostics in other files than this one, while they are read or merged for it.
    pub(super) context: Option<(SourceId, String)>,
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

    /// Renders all diagnostics in the style of rustc, in color: title, location, source line, underline, help. Ends with a line break
    /// unless empty.
    pub fn render(&self) -> String {
        self.render_with(&Renderer::styled())
    }

    fn render_with(&self, renderer: &Renderer) -> String {
        let mut text: String = self.iter().map(|one| one.render(renderer)).collect();
        if self.omitted() > 0 {
            let omitted = self.omitted();
            text.push_str(&format!("{omitted} more not shown; fix these first\n\n"));
        }
        text
    }

    /// Renders the first diagnostic of each rule, in color, and counts the others.
    pub fn render_by_rule(&self) -> String {
        let mut text = String::new();
        let mut seen = HashSet::new();
        for first in self.iter().filter(|one| seen.insert(one.rule)) {
            text.push_str(&first.render(&Renderer::styled()));
            let rule = first.rule;
            let further = self.iter().filter(|one| one.rule == rule).count() - 1;
            if further > 0 {
                text.push_str(&format!(
                    "{further} more of {rule}; `riskform validate` shows each\n\n"
                ));
            }
        }
        text
    }

    /// Returns the totals in one line, such as `12 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let errors = pluralize(self.errors, "error");
        match (self.errors, self.warnings) {
            (_, 0) => errors,
            (0, warnings) => pluralize(warnings, "warning"),
            (_, warnings) => format!("{errors}, {}", pluralize(warnings, "warning")),
        }
    }

    /// Adds a diagnostic without further details.
    pub(super) fn report(&mut self, span: Span, code: Code, message: &str, help: &str) {
        self.push(Problem::at(span, code, message, help));
    }

    /// Adds a diagnostic about a file as a whole.
    pub(super) fn report_file(&mut self, file: &str, code: Code, message: &str, help: &str) {
        let source = self.sources.add(file, "");
        self.report(Span::of_file(source), code, message, help);
    }

    /// Adds a diagnostic, unless there is an equal one. A mistake in a base file is reported once, even if many accounts inherit it.
    pub(super) fn push(&mut self, problem: Problem) {
        let Problem { code, span, .. } = problem;
        let file = Arc::clone(self.sources.name(span.source));
        let message = problem.message.clone();
        let key = (file, span.line, span.column, code.as_str(), message);
        if self.list.contains_key(&key) {
            return;
        }
        let severity = code.severity();
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.is_full() {
            return;
        }
        let label = |span, text: &str| Label {
            place: self.sources.place(span),
            text: text.to_owned(),
        };
        let of_other_file = |(reader, _): &&(SourceId, String)| *reader != span.source;
        let context = self.context.as_ref().filter(of_other_file);
        let note = problem.note.or(context.map(|(_, note)| note.clone()));
        let related = problem.related.into_iter();
        let diagnostic = Diagnostic {
            rule: code,
            severity,
            message: problem.message,
            primary: label(span, problem.related.map_or("", |(text, ..)| text)),
            related: related.map(|(_, span, text)| label(span, text)).collect(),
            help: Some(problem.help),
            note: note.map(|note| EscapeInvisible(&note).to_string()),
        };
        self.list.insert(key, diagnostic);
    }

    /// Returns true if further diagnostics are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
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
            self.report(span, Code::TooLarge, &message, help);
        }
        fits
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render_with(&Renderer::plain()))?;
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Diagnostics {}

/// A resource that is limited for all files of one run together, because limits per document do not bound the total.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource {
    Documents,
    /// Keys, scalars, lists and mappings, with aliases expanded. Text that an alias repeats counts as a value per 8 bytes.
    Values,
    /// Values of all accounts, including inherited ones.
    Declared,
    Variables,
}

/// Limits, in the order of [`Resource`]. 100,000 integrations are 1,400,000 values; 10,000 accounts with a base file of 50 behaviors
/// inherit 3,000,000.
const RESOURCES: [(usize, &str); 4] = [
    (20_000, "documents"),
    (2_000_000, "keys and values (aliases expanded)"),
    (5_000_000, "keys and values (including inherited ones)"),
    (250_000, "references to variables"),
];

impl Diagnostic {
    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let related = self.related.iter();
        let mut group = level
            .primary_title(self.message.as_str())
            .id(self.rule.as_str())
            .elements(self.primary.elements(AnnotationKind::Primary))
            .elements(related.flat_map(|label| label.elements(AnnotationKind::Context)));
        for (level, text) in [(Level::NOTE, &self.note), (Level::HELP, &self.help)] {
            group = group.elements(text.iter().map(|text| level.clone().message(text)));
        }
        renderer.render(&[group]) + "\n\n"
    }
}

impl Label {
    fn elements(&self, kind: AnnotationKind) -> Vec<Element<'_>> {
        let file = self.place.file.as_ref();
        let Some(region) = &self.place.region else {
            return vec![Origin::path(file).into()];
        };
        let line = region.line as usize;
        if region.excerpt.is_empty() {
            let origin = Origin::path(file).line(line);
            return vec![origin.char_column(region.column as usize).into()];
        }
        let annotation = kind
            .span(region.range.clone())
            .label((!self.text.is_empty()).then_some(self.text.as_str()));
        let snippet = Snippet::source(region.excerpt.as_str()).line_start(line);
        vec![snippet.path(file).annotation(annotation).into()]
    }
}

/// A diagnostic before its locations are looked up.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    message: String,
    help: String,
    span: Span,
    /// Label of the span, and a second span with its label.
    related: Option<(&'static str, Span, &'static str)>,
    pub(super) note: Option<String>,
}

impl Problem {
    /// Creates a problem at a span.
    pub(super) fn at(span: Span, code: Code, message: &str, help: &str) -> Self {
        Problem {
            code,
            message: EscapeInvisible(message).to_string(),
            help: EscapeInvisible(help).to_string(),
            span,
            related: None,
            note: None,
        }
    }

    /// Adds the first of two equal values.
    pub(super) fn duplicates(self, first: Span) -> Self {
        self.related("duplicate", first, "first occurrence")
    }

    /// Adds a second location, and labels for both.
    pub(super) fn related(self, label: &'static str, span: Span, text: &'static str) -> Self {
        let related = Some((label, span, text));
        Problem { related, ..self }
    }
}
