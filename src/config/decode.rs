//! Checks trees against their shape, and decodes the merged tree of an account. All mistakes are reported in one run.
//!
//! [`check`] runs on each file's tree before merging, so a mistake is reported even if another file overrides it: keys, types, scalars.
//! [`account`] decodes the merged tree and reports only what needs it: missing keys, `null` without effect, equal values. It builds a
//! `serde_yaml::Value` in the form of a saved plan, so the same `Deserialize` of [`DesiredAccount`] reads both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_yaml::{Mapping, Value as Yaml};

use super::code::DiagnosticCode as Code;
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::files::AllowedRoot;
use super::scalar::{Scalar, Text, suggest};
use super::shape::{DOCUMENT, EXCLUSIVE_KEYS, Entries, Map, Shape};
use super::span::{Span, names_credential};
use super::variables::{self, Lookup};
use super::yaml::{Document, Entry, MAX_VALUE_BYTES, Node, Value};
use crate::model::account::{AccountId, DesiredAccount, shared_values};
use crate::model::address::Name;
use crate::model::field::Field;

/// Name of the entry that covers all other behaviors.
const WILDCARD: &str = "*";

/// Checks the keys, types and scalars of one document. Returns the valid values.
pub(super) fn check(
    document: &Document,
    map: &'static Map,
    lookup: Option<Lookup<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<Yaml> {
    let mut decoder = Decoder {
        diagnostics,
        lookup,
        today: None,
        is_complete: document.is_complete,
    };
    decoder.value(&document.root, &Shape::Map(map), ROOT)
}

/// Returns the items of `extends` that are paths.
pub(super) fn extends(root: &Node) -> Vec<(String, Span)> {
    let Some(Value::List(items)) = root.get("extends").map(|node| &node.value) else {
        return Vec::new();
    };
    let path = |item: &Node| match &item.value {
        Value::Scalar { text, .. } if !item.is_null() && !text.contains("${") => {
            Some((text.trim_end_matches('\n').to_owned(), item.span))
        }
        _ => None,
    };
    items.iter().filter_map(path).collect()
}

/// An account, the span of its `account_id` or its document, and the span of its `name` or its ID.
pub(super) type Declared = (DesiredAccount, Span, Span);

/// Files to load and values that they may refer to.
pub struct LoadOptions<'a> {
    /// Files and directories, as given by the user.
    pub paths: &'a [PathBuf],
    /// Account ID of the command line. It is the default for files, and must not differ from the ID in a file.
    pub account_id: Option<AccountId>,
    /// Account ID of the environment. The default for files without one.
    pub default_account_id: Option<AccountId>,
    /// Directory that all files must be in.
    pub confinement: &'a AllowedRoot,
    /// File with the operator limits. It must not be inside the root.
    pub limits_file: Option<&'a Path>,
    /// Function that returns an environment variable for `${NAME}`. Called only for variables that files may use.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// Current date (UTC), to check the `until` dates of `ignore_changes`.
    pub today: Date,
}

/// Decodes the merged tree of an account, without the entries that have mistakes.
pub(super) fn account(
    tree: &Node,
    options: &LoadOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Declared> {
    let mut decoder = Decoder {
        diagnostics,
        lookup: Some(options.variables),
        today: Some(options.today),
        is_complete: true,
    };
    let Yaml::Mapping(mut account) = decoder.value(tree, &Shape::Map(&DOCUMENT), ROOT)? else {
        return None;
    };
    for key in ["behaviors", "integrations"] {
        let section = account.entry(key.into());
        section.or_insert_with(|| Mapping::new().into());
    }
    split_behaviors(&mut account, tree, diagnostics);
    let source = diagnostics.sources.name(tree.span.source).as_ref();
    account.insert("source".into(), source.into());
    let span = |key| tree.get(key).map(|node| node.span);
    let id_span = span("account_id").unwrap_or(tree.span);
    let flag = options.account_id.as_ref();
    if span("account_id").is_none() {
        let Some(id) = flag.or(options.default_account_id.as_ref()) else {
            let help = "set `account_id`, pass --account-id, or set CLOUDFLARE_ACCOUNT_ID";
            diagnostics.report(id_span, Code::MissingAccountId, "missing account ID", help);
            return None;
        };
        account.insert("account_id".into(), id.as_str().into());
    } else if !account.contains_key("account_id") {
        return None;
    }
    let account: DesiredAccount =
        serde_yaml::from_value(account.into()).expect("checked values make an account");
    if let Some(flag) = flag.filter(|flag| **flag != account.account_id) {
        let message = format!("account_id does not match --account-id {flag}");
        let help = "omit --account-id, or pass the file of that account";
        diagnostics.report(id_span, Code::AccountIdConflict, &message, help);
        return None;
    }
    check_shared_values(&account, tree, diagnostics);
    Some((account, id_span, span("name").unwrap_or(id_span)))
}

/// Moves the wildcard entry out of `behaviors`, and adds the behaviors that `null` excludes from it.
fn split_behaviors(account: &mut Mapping, tree: &Node, diagnostics: &Diagnostics) {
    let Some(Yaml::Mapping(behaviors)) = account.get_mut("behaviors") else {
        return;
    };
    if let Some(wildcard) = behaviors.remove(WILDCARD) {
        let entries = tree.get("behaviors").map(Node::entries).unwrap_or_default();
        let excluded = entries.iter().filter(|entry| is_removed(&entry.node));
        let location = |entry: &Entry| location(entry.key_span, diagnostics);
        let excluded = excluded.map(|entry| (Yaml::from(&*entry.key), location(entry)));
        let excluded = Mapping::from_iter(excluded);
        account.insert("wildcard".into(), wildcard);
        account.insert("unmanaged".into(), excluded.into());
    }
}

fn location(span: Span, diagnostics: &Diagnostics) -> Yaml {
    let location = diagnostics.sources.location(span);
    serde_yaml::to_value(location).expect("a location is YAML")
}

/// Returns true if a value is `null`, or was removed by `null`.
fn is_removed(node: &Node) -> bool {
    matches!(node.value, Value::Removed) || node.is_null()
}

/// Reports integrations with equal values, in the order of the files.
fn check_shared_values(account: &DesiredAccount, tree: &Node, diagnostics: &mut Diagnostics) {
    let pin = "use different values, or pin both entries with `id`";
    let remove = "remove `id` from one of them; a live integration belongs to one entry";
    for (key, code, help) in [
        ("id", Code::SharedId, remove),
        ("tenant_url", Code::SharedTenantUrl, pin),
        ("reference_id", Code::SharedReferenceId, pin),
    ] {
        let declared = |entry: &Entry| {
            let name: Name = entry.key.parse().ok()?;
            let (name, declared) = account.integrations.get_key_value(&name)?;
            Some((entry.node.get(key)?.span, name, declared))
        };
        let entries = tree.get("integrations").into_iter().flat_map(Node::entries);
        let mut entries: Vec<_> = entries.filter_map(declared).collect();
        entries.sort_by_key(|(span, ..)| *span);
        let spans = entries.iter().map(|(span, name, _)| (*name, *span));
        let spans: HashMap<&Name, Span> = spans.collect();
        let entries = entries.iter().map(|(_, name, declared)| (*name, *declared));
        for (first, second) in shared_values(entries, key) {
            let message =
                format!("integration.{first} and integration.{second} have the same `{key}`");
            let problem = Problem::at(spans[second], code, &message, help);
            diagnostics.push(problem.duplicates(spans[first]));
        }
    }
}

/// Path of the root in messages.
const ROOT: &str = "the document";

/// Returns the keys that lead to a value, for messages: `integration.corp.tenant_url`.
fn join(path: &str, key: &str) -> String {
    match path {
        ROOT => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

struct Decoder<'a> {
    diagnostics: &'a mut Diagnostics,
    lookup: Option<Lookup<'a>>,
    /// Current date, for the merged tree. Mistakes in its values have been reported for the files.
    today: Option<Date>,
    /// True if the document was read to its end, so that an absent key is missing.
    is_complete: bool,
}

impl Decoder<'_> {
    /// Reports a mistake while checking the tree that it belongs to: the merged tree repeats the mistakes of the files.
    fn report(&mut self, problem: Problem) {
        let is_merged = matches!(
            problem.code,
            Code::NothingToRemove | Code::Expired | Code::NullReference | Code::NullField
        );
        if is_merged == self.today.is_some() {
            self.diagnostics.push(problem);
        }
    }

    fn error(&mut self, span: Span, code: Code, message: &str, help: &str) {
        self.report(Problem::at(span, code, message, help));
    }

    fn value(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Yaml> {
        match (shape, &node.value) {
            (_, Value::Invalid | Value::Removed) => None,
            (Shape::Map(map) | Shape::MapOrScalar(map), Value::Map(entries)) => {
                Some(self.map(entries, node.span, map, path).into())
            }
            (Shape::Entries(shape), Value::Map(entries)) => Some(self.entries(entries, shape)),
            (Shape::List(item, _), Value::List(items)) => Some(self.list(items, item, path)),
            (Shape::Scalar(scalar), Value::Scalar { text, plain }) if !node.is_null() => {
                self.scalar(text, *plain, node.span, *scalar, path)
            }
            (Shape::MapOrScalar(map), Value::Scalar { .. }) => {
                self.value(node, &map.keys[0].shape, path)
            }
            (shape, _) => {
                let (expected, help) = shape.expected();
                let found = match &node.value {
                    Value::List(_) => "a list",
                    Value::Map(_) => "a mapping",
                    _ if node.is_null() => "nothing",
                    _ => "text",
                };
                let message = format!("{path}: expected {expected}, found {found}");
                self.error(node.span, Code::WrongType, &message, &help);
                None
            }
        }
    }

    fn map(&mut self, entries: &[Entry], span: Span, map: &Map, path: &str) -> Mapping {
        let (mut object, mut variables) = (Mapping::new(), Mapping::new());
        for entry in entries {
            let Some(key) = map.key(&entry.key) else {
                self.report_unknown_key(entry, map, path);
                continue;
            };
            let path = join(path, key.name);
            if map.allows_null && entry.node.is_null() {
                let code = match key.name {
                    "reference_id" => Code::NullReference,
                    _ => Code::NullField,
                };
                let message = format!("{path}: null counts as left out; no extended file sets it");
                let help = "remove the key, or set a value";
                self.error(entry.node.span, code, &message, help);
                continue;
            }
            let Some(value) = self.value(&entry.node, &key.shape, &path) else {
                continue;
            };
            // Plans show the variables in the values of fields.
            let is_field = map.allows_null && Field::WORDS.contains(&key.name);
            if let (true, Value::Scalar { text, .. }) = (is_field, &entry.node.value) {
                let names = variables::names(text);
                if !names.is_empty() {
                    variables.insert(key.name.into(), names.into());
                }
            }
            object.insert(key.name.into(), value);
        }
        if !variables.is_empty() {
            object.insert("variables".into(), variables.into());
        }
        for key in map.keys.iter().filter(|key| !key.required.is_empty()) {
            // An empty entry is reported as such.
            let is_checked = match self.today {
                None => !map.allows_null && self.is_complete,
                Some(_) => map.allows_null && !entries.is_empty(),
            };
            let declares = |entry: &Entry| {
                &*entry.key == key.name && !(map.allows_null && is_removed(&entry.node))
            };
            if is_checked && !entries.iter().any(declares) {
                let message = format!("{path}: missing key `{}`", key.name);
                let problem = Problem::at(span, Code::MissingKey, &message, key.required);
                self.diagnostics.push(problem);
            }
        }
        object
    }

    fn entries(&mut self, entries: &[Entry], shape: &Entries) -> Yaml {
        let is_wildcard = |entry: &Entry| &*entry.key == WILDCARD && !is_removed(&entry.node);
        let has_wildcard = entries.iter().any(is_wildcard);
        let mut named = Mapping::new();
        for entry in entries {
            let (path, span) = (join(shape.noun, &entry.key), entry.key_span);
            let name = self.scalar(&entry.key, false, span, shape.name, &path);
            if entry.node.is_null() && !has_wildcard {
                let message = format!("{path}: null has no effect; no extended file declares it");
                let help = "`null` removes an inherited entry; add fields or remove the entry";
                self.error(span, Code::NothingToRemove, &message, help);
            }
            if entry.node.is_null() {
                continue;
            }
            let Value::Map(keys) = &entry.node.value else {
                self.value(&entry.node, &Shape::Map(shape.entry), &path);
                continue;
            };
            if keys.is_empty() && self.is_complete {
                let message = format!("{path} is empty");
                self.error(span, Code::EmptyEntry, &message, shape.empty_help);
            }
            let mut object = self.map(keys, span, shape.entry, &path);
            self.check_exclusive_keys(&entry.node, &object, &path);
            let mut required = shape.entry.keys.iter();
            let is_whole =
                required.all(|key| key.required.is_empty() || object.contains_key(key.name));
            if let (Some(name), true) = (name, is_whole) {
                if shape.name == Scalar::IntegrationName {
                    object.insert("name".into(), name.clone());
                }
                object.insert("location".into(), location(span, self.diagnostics));
                named.insert(name, object.into());
            }
        }
        named.into()
    }

    /// Reports an entry that sets both of two keys that replace each other.
    fn check_exclusive_keys(&mut self, entry: &Node, object: &Mapping, path: &str) {
        let [one, other] = EXCLUSIVE_KEYS;
        let span = |key| object.get(key).and(entry.get(key)).map(|node| node.span);
        if let (Some(first), Some(second)) = (span(one), span(other)) {
            let message = format!("{path} sets both `{one}` and `{other}`");
            let help = format!("keep `{one}` or `{other}`");
            let problem = Problem::at(second, Code::TwoReferences, &message, &help);
            self.report(problem.related(other, first, one));
        }
    }

    fn list(&mut self, items: &[Node], shape: &Shape, path: &str) -> Yaml {
        let mut list: Vec<Yaml> = Vec::new();
        let mut first: HashMap<String, Span> = HashMap::new();
        for item in items {
            let Some(value) = self.value(item, shape, path) else {
                continue;
            };
            // An item with a location is identified by its text, or by the value of its first key.
            let name = match shape {
                Shape::MapOrScalar(map) => map.keys[0].name,
                Shape::Scalar(Scalar::Protected | Scalar::LimitProtected) => "text",
                _ => {
                    list.push(value);
                    continue;
                }
            };
            let mut object = match value {
                Yaml::Mapping(object) => object,
                text => Mapping::from_iter([(name.into(), text)]),
            };
            let Some(identity) = object.get(name).and_then(Yaml::as_str) else {
                continue;
            };
            let span = item.get(name).unwrap_or(item).span;
            if let Some(earlier) = first.insert(identity.to_owned(), span) {
                let written = self.diagnostics.sources.written(span);
                let message = format!("{path} contains `{written}` twice");
                let help = "remove one of them";
                let problem = Problem::at(span, Code::DuplicateItem, &message, help);
                self.report(problem.duplicates(earlier));
                continue;
            }
            if let (Some(today), Some(until)) = (self.today, item.get("until"))
                && let Some(date) = object.get("until").and_then(Yaml::as_str)
                && date.parse::<Date>().is_ok_and(|date| date < today)
            {
                let message = format!("{path}: `{identity}` expired on {date}");
                let help = "remove the item or extend its date";
                self.error(until.span, Code::Expired, &message, help);
            }
            object.insert("location".into(), location(span, self.diagnostics));
            list.push(object.into());
        }
        list.into()
    }

    fn report_unknown_key(&mut self, entry: &Entry, map: &Map, path: &str) {
        let key = &*entry.key;
        let unknown = format!("unknown key `{key}` in {path}");
        let (code, message, help) = if key == "<<" {
            let help = "YAML 1.2 has no merge keys; repeat the fields or use `extends`";
            (Code::UnknownKey, unknown, help.to_owned())
        } else if names_credential(key) {
            let message = format!("credentials such as `{key}` must not be in a file");
            let help = "set an environment variable and name it in `api_token_env`";
            (Code::SecretKey, message, help.to_owned())
        } else if self.diagnostics.is_full() {
            // Finding similar words takes time, and a file may have a million unknown keys.
            (Code::UnknownKey, unknown, String::new())
        } else {
            let names = map.keys.iter().map(|key| key.name);
            let names: Vec<&str> = names.filter(|name| *name != "$schema").collect();
            (Code::UnknownKey, unknown, suggest(key, &names))
        };
        self.error(entry.key_span, code, &message, &help);
    }

    /// Returns the value of a scalar, or of the name of an entry.
    fn scalar(
        &mut self,
        written: &str,
        is_plain: bool,
        span: Span,
        scalar: Scalar,
        path: &str,
    ) -> Option<Yaml> {
        let mut text = Text {
            value: written.to_owned(),
            written,
            is_plain,
            has_variables: false,
        };
        if written.contains("${") {
            if scalar.is_literal() {
                let message = format!("variables are not allowed in {path}");
                self.error(span, Code::Interpolation, &message, "write the value");
                return None;
            }
            self.fill(&mut text, span)?;
        }
        let value = scalar.value(&text);
        if self.today.is_none()
            && let Some((code, message, help)) = scalar.problem(&text, value.is_some())
        {
            self.error(span, code, &format!("{path}{message}"), &help);
        }
        value
    }

    /// Replaces the variables of a scalar.
    fn fill(&mut self, text: &mut Text<'_>, span: Span) -> Option<()> {
        let written = text.written;
        let (filled, mistakes) = variables::fill(written, self.lookup);
        for (ordinal, (code, message, help)) in &mistakes {
            let span = self.variable_span(span, written, *ordinal);
            self.error(span, *code, message, help);
        }
        let count = variables::names(written).len();
        if self.today.is_none() && !self.diagnostics.spend(Resource::Variables, count, span) {
            return None;
        }
        if filled.len() > MAX_VALUE_BYTES {
            let message = format!("the value with its variables exceeds {MAX_VALUE_BYTES} bytes");
            let help = "use shorter values for the variables";
            self.error(span, Code::TooLarge, &message, help);
            return None;
        }
        (text.value, text.has_variables) = (filled, count > 0);
        text.is_plain |= text.has_variables;
        mistakes.is_empty().then_some(())
    }

    /// Returns the span of the `ordinal`th `${` of a scalar, or of the whole scalar if escapes or folded lines hide it.
    fn variable_span(&self, span: Span, written: &str, ordinal: usize) -> Span {
        let raw = self.diagnostics.sources.written(span);
        let openings = |text: &str| text.matches("${").count();
        // The search takes time, and a value may have many mistakes.
        if self.diagnostics.is_full() || openings(raw) != openings(written) {
            return span;
        }
        let opening = raw.match_indices("${").nth(ordinal);
        let (at, _) = opening.unwrap_or_default();
        if raw[..at].contains(['\n', '\r']) {
            return span;
        }
        let end = raw[at..].find('}').map_or(raw.len(), |end| at + end + 1);
        let offset = |count: usize| u32::try_from(count).unwrap_or_default();
        Span {
            start: span.start + offset(at),
            end: span.start + offset(end),
            column: span.column + offset(raw[..at].chars().count()),
            ..span
        }
    }
}
