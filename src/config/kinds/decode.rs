//! From nodes to values: types, words, keys and variables, each mistake with its place and the way out.
//!
//! Knows no kind of resource; the rules of one kind stand in that kind's own file.

use std::fmt;
use std::str::FromStr;

use super::field::Field;
use super::subject::KeyPath;
use super::text::{Environment, StringValue, VariableUse};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::interpolate::{Segment, is_secret_key, pieces};
use crate::config::span::{Span, Spanned};
use crate::config::suggest::{alternatives, did_you_mean};
use crate::config::yaml::{Entry, Node, Value};
use crate::model::text::is_invisible;

/// How many items one list may have.
const MAX_LIST_ITEMS: usize = 10_000;

/// Reads nodes as values, and reports what is wrong with them.
pub(in crate::config) struct Decoder<'a> {
    pub(in crate::config) found: &'a mut DiagnosticSink,
    pub(in crate::config) environment: Environment<'a>,
    /// Which variables were named so far.
    pub(in crate::config) used: Vec<VariableUse>,
    /// False while a document is read that was cut short: what it lacks may only be unread.
    whole: bool,
}

impl<'a> Decoder<'a> {
    pub(in crate::config) fn new(
        found: &'a mut DiagnosticSink,
        environment: Environment<'a>,
        whole: bool,
    ) -> Self {
        Decoder {
            found,
            environment,
            used: Vec::new(),
            whole,
        }
    }

    /// Reports that something is lacking, unless it may only be unread.
    pub(in crate::config) fn lacking(&mut self, draft: DiagnosticBuilder) {
        if self.whole {
            self.found.push(draft);
        }
    }

    /// The entries of a mapping.
    pub(in crate::config) fn entries<'n>(
        &mut self,
        node: &'n Node,
        place: Span,
        subject: KeyPath<'_>,
    ) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Mapping(entries) => Some(entries),
            Value::Invalid => None,
            Value::Scalar(_) | Value::Sequence(_) => {
                let help = if node.is_null() {
                    "remove the key, or write `{}` for an empty mapping"
                } else {
                    "write indented `key: value` lines below the key"
                };
                self.wrong_type(node, place, subject, "a mapping", help);
                None
            }
        }
    }

    /// The entries of a mapping whose keys are known; others are reported.
    pub(in crate::config) fn known<'n>(
        &mut self,
        node: &'n Node,
        place: Span,
        subject: KeyPath<'_>,
        known: &[&str],
    ) -> Option<&'n [Entry]> {
        let entries = self.entries(node, place, subject)?;
        for entry in entries {
            if !known.contains(&&*entry.key) {
                self.unknown_key(entry, subject, known);
            }
        }
        Some(entries)
    }

    /// Reports a key that has to be there, unless it may only be unread.
    pub(in crate::config) fn missing_key(
        &mut self,
        place: Span,
        subject: KeyPath<'_>,
        key: &str,
        help: &str,
    ) {
        let message = format!("{subject}: missing key `{key}`");
        self.lacking(DiagnosticBuilder::new(DiagnosticCode::MissingKey, place, message).help(help));
    }

    /// The items of a list.
    pub(in crate::config) fn items<'n>(
        &mut self,
        entry: &'n Entry,
        subject: KeyPath<'_>,
    ) -> Option<&'n [Node]> {
        match &entry.value.value {
            Value::Sequence(items) if items.len() > MAX_LIST_ITEMS => {
                let message = format!("{subject}: at most {MAX_LIST_ITEMS} items are allowed");
                let draft =
                    DiagnosticBuilder::new(DiagnosticCode::TooLarge, entry.value_span(), message);
                self.found.push(draft.help("remove some items"));
                None
            }
            Value::Sequence(items) => Some(items),
            Value::Invalid => None,
            Value::Scalar(_) | Value::Mapping(_) => {
                let help = "use brackets, as in `[one, two]`";
                self.wrong_type(&entry.value, entry.value_span(), subject, "a list", help);
                None
            }
        }
    }

    fn unknown_key(&mut self, entry: &Entry, subject: KeyPath<'_>, known: &[&str]) {
        // Looking for the nearest word takes its time, and a file may hold a million of them.
        if self.found.is_full() {
            self.found.omit();
            return;
        }
        let key = &*entry.key;
        let draft = if key == "<<" {
            DiagnosticBuilder::new(
                DiagnosticCode::UnknownKey,
                entry.key_span,
                "merge keys are not part of YAML 1.2",
            )
            .help("repeat the fields or use `extends`")
        } else if is_secret_key(key) {
            DiagnosticBuilder::new(
                DiagnosticCode::SecretKey,
                entry.key_span,
                format!("credentials such as `{key}` must not be in a file"),
            )
            .help("set an environment variable and name it in `api_token_env`")
        } else {
            DiagnosticBuilder::new(
                DiagnosticCode::UnknownKey,
                entry.key_span,
                format!("unknown key `{key}` in {subject}"),
            )
            .help(did_you_mean(key, known))
        };
        self.found.push(draft);
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
        expected: &str,
        help: &str,
    ) {
        self.found.push(
            DiagnosticBuilder::new(
                DiagnosticCode::WrongType,
                place,
                format!("{subject}: expected {expected}, found {}", kind(node)),
            )
            .help(help),
        );
    }

    /// Any scalar but null, with its variables filled in.
    fn scalar(
        &mut self,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
        expected: &str,
        help: &str,
    ) -> Option<StringValue> {
        match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => self.fill(scalar, node.span),
            Value::Invalid => None,
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                self.wrong_type(node, place, subject, expected, help);
                None
            }
        }
    }

    /// Text of any shape; a bare number is taken as it is written, a bare boolean is not.
    pub(in crate::config) fn text(
        &mut self,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
    ) -> Option<StringValue> {
        let help = "write a text value";
        let text = self.scalar(node, place, subject, "text", help)?;
        if text.plain && !text.filled && matches!(&*text.value, "true" | "false") {
            self.wrong_type(
                node,
                place,
                subject,
                "text",
                "put the value in quotes to make it text",
            );
            return None;
        }
        if let Some(unseen) = text.value.chars().find(|c| is_invisible(*c)) {
            self.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::ControlCharacter,
                    text.span,
                    format!(
                        "{subject} contains the invisible character U+{:04X}",
                        u32::from(unseen)
                    ),
                )
                .help("remove the character"),
            );
            return None;
        }
        Some(text)
    }

    /// A text in which no variable may stand: what it names is chosen before any variable is read.
    pub(in crate::config) fn literal(
        &mut self,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
    ) -> Option<StringValue> {
        if let Value::Scalar(scalar) = &node.value
            && pieces(&scalar.text)
                .iter()
                .any(|piece| !matches!(piece, Segment::Literal(_)))
        {
            self.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::Interpolation,
                    node.span,
                    format!("variables are not allowed in {subject}"),
                )
                .help("write the value; use `$${` for a literal `${`"),
            );
            return None;
        }
        self.text(node, place, subject)
    }

    /// A text that is parsed into a value of its own.
    pub(in crate::config) fn parsed<T: FromStr>(
        &mut self,
        entry: &Entry,
        subject: KeyPath<'_>,
        explain: impl FnOnce(T::Err, &StringValue) -> DiagnosticBuilder,
    ) -> Field<T> {
        let Some(text) = self.text(&entry.value, entry.value_span(), subject) else {
            return Field::Wrong;
        };
        match text.value.parse() {
            Ok(value) => Field::set(value, text.span),
            Err(error) => {
                self.found.push(explain(error, &text));
                Field::Wrong
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, entry: &Entry, subject: KeyPath<'_>) -> Field<bool> {
        let (expected, help) = ("true or false", "write `true` or `false`");
        let text = self.scalar(&entry.value, entry.value_span(), subject, expected, help);
        let Some(text) = text else {
            return Field::Wrong;
        };
        let span = text.span;
        let meant = match text.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        };
        let draft = match meant {
            Some(value) if text.is_bare() && text.value == value.to_string() => {
                return Field::set(value, span);
            }
            Some(meant) if text.is_bare() => DiagnosticBuilder::new(
                DiagnosticCode::YamlBoolean,
                span,
                format!(
                    "{subject}: expected true or false, found `{}`",
                    text.written
                ),
            )
            .help(format!("write `{meant}`")),
            Some(meant) => DiagnosticBuilder::new(
                DiagnosticCode::WrongType,
                span,
                format!("{subject}: expected true or false, found text"),
            )
            .help(format!("write `{meant}` without quotes")),
            None => DiagnosticBuilder::new(
                DiagnosticCode::WrongType,
                span,
                format!(
                    "{subject}: expected true or false, found `{}`",
                    text.written
                ),
            )
            .help(help),
        };
        self.found.push(draft);
        Field::Wrong
    }

    /// A whole number from 0.
    pub(super) fn number(&mut self, entry: &Entry, subject: KeyPath<'_>) -> Field<u32> {
        let (expected, help) = ("a whole number", "write a number such as `1`");
        let text = self.scalar(&entry.value, entry.value_span(), subject, expected, help);
        let Some(text) = text else {
            return Field::Wrong;
        };
        // `010` is eight to some readers of YAML and ten to others.
        let canonical = text.value == "0"
            || (!text.value.starts_with('0') && text.value.bytes().all(|b| b.is_ascii_digit()));
        if canonical
            && text.is_bare()
            && let Ok(value) = text.value.parse()
        {
            return Field::set(value, text.span);
        }
        let (rule, message) = if text.is_bare() {
            (
                DiagnosticCode::Number,
                format!(
                    "{subject}: expected a whole number, found `{}`",
                    text.written
                ),
            )
        } else {
            (
                DiagnosticCode::WrongType,
                format!("{subject}: expected a whole number, found text"),
            )
        };
        let help = format!(
            "write decimal digits without quotes, sign or leading zeros (maximum {})",
            u32::MAX
        );
        self.found
            .push(DiagnosticBuilder::new(rule, text.span, message).help(help));
        Field::Wrong
    }

    /// One of a closed set of words.
    pub(in crate::config) fn word<T: FromStr + Copy + fmt::Display>(
        &mut self,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
        all: &[T],
    ) -> Option<Spanned<T>> {
        if let Value::Scalar(scalar) = &node.value
            && let Ok(value) = scalar.text.parse()
        {
            let span = node.span;
            return Some(Spanned { value, span });
        }
        let known: Vec<String> = all.iter().map(T::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let expected = alternatives(&known);
        let help = format!("write {expected}");
        let text = self.scalar(node, place, subject, &expected, &help)?;
        if let Ok(value) = text.value.parse() {
            let span = text.span;
            return Some(Spanned { value, span });
        }
        // The nearest word to what a variable holds would tell something about it.
        let help = if text.filled {
            help
        } else {
            did_you_mean(&text.value, &known)
        };
        self.found.push(
            DiagnosticBuilder::new(
                DiagnosticCode::UnknownWord,
                text.span,
                format!("{subject}: expected {expected}, found `{}`", text.written),
            )
            .help(help),
        );
        None
    }
}

/// The diagnostic for an item that stands twice in a list.
pub(in crate::config) fn duplicate_item(
    subject: KeyPath<'_>,
    written: &str,
    span: Span,
    earlier: Span,
) -> DiagnosticBuilder {
    let message = format!("{subject} contains `{written}` twice");
    DiagnosticBuilder::new(DiagnosticCode::DuplicateItem, span, message)
        .label("duplicate")
        .also(earlier, "first occurrence")
        .help("remove one of them")
}

/// What a node is, for a message.
fn kind(node: &Node) -> &'static str {
    match &node.value {
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Scalar(scalar) if scalar.is_null() => "nothing",
        Value::Scalar(scalar) if scalar.plain && matches!(&*scalar.text, "true" | "false") => {
            "true or false"
        }
        Value::Scalar(_) | Value::Invalid => "text",
    }
}
