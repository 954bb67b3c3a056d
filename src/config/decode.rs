//! Checks trees against their shape, and decodes the merged tree of an account. All mistakes are reported in one run.
//!
//! [`check`] runs on each file's tree before merging, so a mistake is reported even if another file overrides it: keys, types, scalars.
//! [`account`] decodes the merged tree and reports only what needs it: missing keys, `null` without effect, equal values. It builds a
//! `serde_yaml::Value` in the form of a saved plan, so the same `Deserialize` of [`DesiredAccount`] reads both.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use serde_yaml::{Mapping, Value as Yaml};

use super::code::DiagnosticCode as Code;
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::scalar::{Scalar, Text, suggest, unsupported_version};
use super::shape::{DOCUMENT, Entries, Map, Required, Shape};
use super::span::{Span, names_credential};
use super::variables::{self, Lookup, has_variable};
use super::yaml::{Document, Entry, MAX_VALUE_BYTES, Node, Value};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::address::Name;
use crate::model::integration::DesiredIntegration;

/// Name of the entry that covers all other behaviors.
const WILDCARD: &str = "*";

/// Checks the keys, types and scalars of one document. Returns the valid values.
pub(super) fn check(
    document: &Document,
    map: &'static Map,
    root: &'static str,
    lookup: Option<Lookup<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<Yaml> {
    let mut decoder = Decoder {
        diagnostics,
        lookup,
        pass: Pass::File {
            is_complete: document.is_complete,
        },
        variables: Vec::new(),
    };
    decoder.value(&document.root, &Shape::Map(map), &KeyPath::Name(root))
}

/// Returns the items of `extends` that are paths.
pub(super) fn extends(root: &Node) -> Vec<(String, Span)> {
    let items = root.get("extends").map(|node| match &node.value {
        Value::List(items) => items.as_slice(),
        _ => &[],
    });
    let path = |item: &Node| match &item.value {
        Value::Scalar { text, plain } if !item.is_null() && !has_variable(text) => {
            let text = Text {
                value: variables::fill(text, None).text,
                written: text,
                span: item.span,
                is_plain: *plain,
                has_variables: false,
            };
            let (path, _) = Scalar::Path.check(&text, &"extends");
            Some((path?.as_str()?.to_owned(), item.span))
        }
        _ => None,
    };
    items.unwrap_or_default().iter().filter_map(path).collect()
}

/// Account IDs for files that declare none.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountIds {
    /// ID of the command line; a file must not differ.
    pub(super) flag: Option<AccountId>,
    /// ID of the environment; a file may differ.
    pub(super) default: Option<AccountId>,
}

/// An account with the locations of its ID and name.
pub(super) struct Declared {
    pub(super) account: DesiredAccount,
    /// Span of the `account_id`, or of the document.
    pub(super) id_span: Span,
    /// Span of the `name`, or of the ID.
    pub(super) name_span: Span,
}

/// Decodes the merged tree of an account, without the entries that have mistakes.
pub(super) fn account(
    tree: &Node,
    ids: &AccountIds,
    lookup: Lookup<'_>,
    today: Date,
    diagnostics: &mut Diagnostics,
) -> Option<Declared> {
    let mut decoder = Decoder {
        diagnostics,
        lookup: Some(lookup),
        pass: Pass::Merged { today },
        variables: Vec::new(),
    };
    let root = Shape::Map(&DOCUMENT);
    let Yaml::Mapping(mut account) = decoder.value(tree, &root, &KeyPath::Name("the document"))?
    else {
        return None;
    };
    for key in ["$schema", "version", "extends"] {
        account.remove(key);
    }
    let id = tree.get("account_id").map(|node| node.span);
    let name = tree.get("name").map(|node| node.span);
    let id_span = id.unwrap_or(tree.span);
    let account_id = resolve_id(account.get("account_id"), id, tree.span, ids, diagnostics);
    account.insert(
        "source".into(),
        diagnostics.sources.name(tree.span.source).as_ref().into(),
    );
    split_behaviors(&mut account, tree, diagnostics);
    for key in ["behaviors", "integrations"] {
        account
            .entry(key.into())
            .or_insert_with(|| Mapping::new().into());
    }
    account.insert("account_id".into(), account_id?.as_str().into());
    let decoded = serde_yaml::from_value(Yaml::Mapping(account));
    let account: DesiredAccount = match decoded {
        Ok(account) => account,
        Err(error) => {
            let message = format!("invalid desired state: {error}");
            diagnostics.report(tree.span, Code::WrongType, message, "correct the value");
            return None;
        }
    };
    check_shared_values(&account, tree, diagnostics);
    Some(Declared {
        account,
        id_span,
        name_span: name.unwrap_or(id_span),
    })
}

/// Returns the account ID of the file, the command line or the environment.
fn resolve_id(
    declared: Option<&Yaml>,
    id_span: Option<Span>,
    document: Span,
    ids: &AccountIds,
    diagnostics: &mut Diagnostics,
) -> Option<AccountId> {
    let declared: Option<AccountId> = declared
        .and_then(Yaml::as_str)
        .and_then(|id| id.parse().ok());
    match (declared, id_span, &ids.flag) {
        (Some(declared), Some(span), Some(flag)) if declared != *flag => {
            let message = format!("account_id does not match --account-id {flag}");
            let help = "omit --account-id, or pass the file of that account";
            diagnostics.report(span, Code::AccountIdConflict, message, help);
            None
        }
        (declared, Some(_), _) => declared,
        (_, None, flag) => {
            let id = flag.clone().or_else(|| ids.default.clone());
            if id.is_none() {
                let message = "missing account ID";
                let help = "set `account_id`, pass --account-id, or set CLOUDFLARE_ACCOUNT_ID";
                diagnostics.report(document, Code::MissingAccountId, message, help);
            }
            id
        }
    }
}

/// Moves the wildcard entry out of `behaviors`, and adds the behaviors that `null` excludes from it.
fn split_behaviors(account: &mut Mapping, tree: &Node, diagnostics: &Diagnostics) {
    let Some(Yaml::Mapping(behaviors)) = account.get_mut("behaviors") else {
        return;
    };
    if let Some(wildcard) = behaviors.remove(WILDCARD) {
        let entries = tree.get("behaviors").map(Node::entries).unwrap_or_default();
        let excluded = entries.iter().filter(|entry| is_removed(&entry.node));
        let excluded = excluded.map(|entry| {
            (
                Yaml::from(&*entry.key),
                location(entry.key_span, diagnostics),
            )
        });
        let excluded: Mapping = excluded.collect();
        account.insert("wildcard".into(), wildcard);
        account.insert("unmanaged".into(), excluded.into());
    }
}

fn location(span: Span, diagnostics: &Diagnostics) -> Yaml {
    let file = diagnostics.sources.name(span.source).as_ref().into();
    let members: [(Yaml, Yaml); 3] = [
        ("file".into(), file),
        ("line".into(), span.line.into()),
        ("column".into(), span.column.into()),
    ];
    Mapping::from_iter(members).into()
}

/// Returns true if a value is `null`, or was removed by `null`.
fn is_removed(node: &Node) -> bool {
    matches!(node.value, Value::Removed) || node.is_null()
}

/// Reports integrations with equal values.
fn check_shared_values(account: &DesiredAccount, tree: &Node, diagnostics: &mut Diagnostics) {
    let entries = tree.get("integrations").map_or(&[][..], Node::entries);
    let declared = |entry: &Entry| account.integrations.get(&entry.key.parse::<Name>().ok()?);
    let mut integrations: Vec<(&DesiredIntegration, &Node)> = (entries.iter())
        .filter_map(|entry| Some((declared(entry)?, &entry.node)))
        .collect();
    for (key, code) in [
        ("id", Code::SharedId),
        ("tenant_url", Code::SharedTenantUrl),
        ("reference_id", Code::SharedReferenceId),
    ] {
        // In the order of the files, so that the second one is reported.
        integrations.sort_by_key(|(_, node)| node.get(key).map(|node| node.span));
        let mut first: HashMap<String, (&DesiredIntegration, Span)> = HashMap::new();
        for (integration, node) in &integrations {
            let value = match key {
                "id" => integration.id.map(|id| id.to_string()),
                "tenant_url" => Some(integration.tenant_url.normalized().to_owned()),
                _ => (integration.reference_id.as_ref()).map(|id| id.normalized().into_owned()),
            };
            let (Some(value), Some(node)) = (value, node.get(key)) else {
                continue;
            };
            let Some((earlier, span)) = first.get(&value) else {
                first.insert(value, (integration, node.span));
                continue;
            };
            let help = match key {
                "id" => "remove `id` from one of them; a live integration belongs to one entry",
                _ => "use different values, or pin both entries with `id`",
            };
            if key == "id" || integration.id.is_none() || earlier.id.is_none() {
                let (a, b) = (&earlier.name, &integration.name);
                let message = format!("integration.{a} and integration.{b} have the same `{key}`");
                diagnostics.push(Problem::at(node.span, code, message, help).duplicates(*span));
            }
        }
    }
}

/// The keys that lead to a value, for messages: `integration.corp.tenant_url`.
#[derive(Clone, Copy)]
enum KeyPath<'a> {
    /// The document or an entry's noun.
    Name(&'a str),
    Key(&'a KeyPath<'a>, &'a str),
}

impl<'a> KeyPath<'a> {
    fn key(&'a self, name: &'a str) -> KeyPath<'a> {
        match self {
            KeyPath::Name("the document") => KeyPath::Name(name),
            parent => KeyPath::Key(parent, name),
        }
    }
}

impl fmt::Display for KeyPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyPath::Name(name) => f.write_str(name),
            KeyPath::Key(parent, name) => write!(f, "{parent}.{name}"),
        }
    }
}

struct Decoder<'a> {
    diagnostics: &'a mut Diagnostics,
    lookup: Option<Lookup<'a>>,
    pass: Pass,
    /// Names of the variables used so far.
    variables: Vec<String>,
}

/// What is decoded, which determines the rules that are checked.
#[derive(Clone, Copy)]
enum Pass {
    File { is_complete: bool },
    Merged { today: Date },
}

impl Pass {
    fn is_merged(self) -> bool {
        matches!(self, Pass::Merged { .. })
    }
}

impl Decoder<'_> {
    /// Reports a mistake in a file. The merged tree only repeats it.
    fn report(&mut self, problem: Problem) {
        if !self.pass.is_merged() {
            self.diagnostics.push(problem);
        }
    }

    fn error(
        &mut self,
        span: Span,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Problem::at(span, code, message, help));
    }

    /// Reports a mistake of the merged tree.
    fn merged_error(&mut self, span: Span, code: Code, message: String, help: &str) {
        if self.pass.is_merged() {
            self.diagnostics.report(span, code, message, help);
        }
    }

    fn value(&mut self, node: &Node, shape: &Shape, path: &KeyPath<'_>) -> Option<Yaml> {
        match (shape, &node.value) {
            (_, Value::Invalid | Value::Removed) => None,
            (Shape::Map(map) | Shape::MapOrScalar(map, _), Value::Map(entries)) => {
                Some(self.map(entries, node.span, map, path).into())
            }
            (Shape::Entries(shape), Value::Map(entries)) => Some(self.entries(entries, shape)),
            (Shape::List(item, _), Value::List(items)) => Some(self.list(items, item, path)),
            (Shape::Scalar(scalar), _) => self.scalar(node, *scalar, path),
            (Shape::MapOrScalar(map, scalar), _) => {
                let value = self.scalar(node, *scalar, path)?;
                Some(Mapping::from_iter([(map.keys[0].name.into(), value)]).into())
            }
            (Shape::List(..), _) => {
                self.wrong_type(node, path, "a list", "use brackets, as in `[one, two]`")
            }
            (Shape::Map(_) | Shape::Entries(_), _) => {
                let help = match node.is_null() {
                    true => "remove the key, or write `{}` for an empty mapping",
                    false => "write indented `key: value` lines below the key",
                };
                self.wrong_type(node, path, "a mapping", help)
            }
        }
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        path: &KeyPath<'_>,
        expected: &str,
        help: &str,
    ) -> Option<Yaml> {
        let found = match &node.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            _ if node.is_null() => "nothing",
            Value::Scalar { text, plain: true } if matches!(&**text, "true" | "false") => {
                "true or false"
            }
            _ => "text",
        };
        let message = format!("{path}: expected {expected}, found {found}");
        self.error(node.span, Code::WrongType, message, help);
        None
    }

    fn map(&mut self, entries: &[Entry], span: Span, map: &Map, path: &KeyPath<'_>) -> Mapping {
        let (mut object, mut variables) = (Mapping::new(), Mapping::new());
        for entry in entries {
            let Some(key) = map.key(&entry.key) else {
                self.report_unknown_key(entry, map, path);
                continue;
            };
            let path = path.key(key.name);
            if map.allows_null && entry.node.is_null() {
                self.report_null(entry, &path);
                continue;
            }
            let used_before = self.variables.len();
            let Some(value) = self.value(&entry.node, &key.shape, &path) else {
                continue;
            };
            if key.is_field && self.variables.len() > used_before {
                let used = self.variables.split_off(used_before);
                variables.insert(key.name.into(), used.into());
            }
            object.insert(key.name.into(), value);
        }
        if !variables.is_empty() {
            object.insert("variables".into(), variables.into());
        }
        let is_declared = |name: &str| {
            let mut entries = entries.iter().filter(|entry| &*entry.key == name);
            entries.any(|entry| !(map.allows_null && is_removed(&entry.node)))
        };
        for key in map.keys {
            let help = match (key.required, self.pass) {
                (Required::InFile(help), Pass::File { is_complete: true }) => help,
                // An empty entry is reported as such.
                (Required::Merged(help), Pass::Merged { .. }) if !entries.is_empty() => help,
                _ => continue,
            };
            if !is_declared(key.name) {
                let message = format!("{path}: missing key `{}`", key.name);
                self.diagnostics
                    .report(span, Code::MissingKey, message, help);
            }
        }
        object
    }

    fn report_null(&mut self, entry: &Entry, path: &KeyPath<'_>) {
        let (code, reason) = match &*entry.key {
            "reference_id" => (
                Code::NullReference,
                "null is ignored; a reference cannot be cleared",
            ),
            _ => (
                Code::NullField,
                "null counts as left out; no extended file sets it",
            ),
        };
        let help = match code {
            Code::NullReference => "remove the key; the live reference is kept",
            _ => "remove the key, or set a value",
        };
        let message = format!("{path}: {reason}");
        self.merged_error(entry.node.span, code, message, help);
    }

    fn entries(&mut self, entries: &[Entry], shape: &Entries) -> Yaml {
        let is_wildcard = |entry: &Entry| &*entry.key == WILDCARD && !is_removed(&entry.node);
        let has_wildcard = shape.name == Scalar::BehaviorKey && entries.iter().any(is_wildcard);
        let noun = KeyPath::Name(shape.noun);
        let mut named = Mapping::new();
        for entry in entries {
            if !self.pass.is_merged()
                && !self.diagnostics.spend(Resource::Entries, 1, entry.key_span)
            {
                break;
            }
            let path = noun.key(&entry.key);
            let is_valid = self.check_name(entry, shape.name, &path);
            let Some(mut object) = self.entry(entry, shape, &path, has_wildcard) else {
                continue;
            };
            let is_missing = |key: &&super::shape::Key| {
                matches!(key.required, Required::Merged(_)) && !object.contains_key(key.name)
            };
            if is_valid && !shape.entry.keys.iter().any(|key| is_missing(&key)) {
                if shape.name == Scalar::IntegrationName {
                    object.insert("name".into(), (*entry.key).into());
                }
                object.insert(
                    "location".into(),
                    location(entry.key_span, self.diagnostics),
                );
                named.insert((*entry.key).into(), object.into());
            }
        }
        named.into()
    }

    fn check_name(&mut self, entry: &Entry, name: Scalar, path: &KeyPath<'_>) -> bool {
        if entry.key.contains("${") {
            let message = "variables are not allowed in keys";
            let help = "write the key without variables";
            self.error(entry.key_span, Code::Interpolation, message, help);
            return false;
        }
        let text = Text {
            value: (*entry.key).to_owned(),
            written: &entry.key,
            span: entry.key_span,
            is_plain: false,
            has_variables: false,
        };
        let (value, problem) = name.check(&text, path);
        problem.into_iter().for_each(|problem| self.report(problem));
        value.is_some()
    }

    fn entry(
        &mut self,
        entry: &Entry,
        shape: &Entries,
        path: &KeyPath<'_>,
        has_wildcard: bool,
    ) -> Option<Mapping> {
        match &entry.node.value {
            Value::Map(keys) => {
                if keys.is_empty() && matches!(self.pass, Pass::File { is_complete: true }) {
                    let message = format!("{path} is empty");
                    let problem =
                        Problem::at(entry.key_span, Code::EmptyEntry, message, shape.empty_help);
                    self.report(problem);
                }
                let object = self.map(keys, entry.key_span, shape.entry, path);
                if let Some([one, other]) = shape.exclusive
                    && object.contains_key(one)
                    && object.contains_key(other)
                    && let (Some(first), Some(second)) =
                        (entry.node.get(one), entry.node.get(other))
                {
                    let message = format!("{path} sets both `{one}` and `{other}`");
                    let help = format!("keep `{one}` or `{other}`");
                    let problem = Problem::at(second.span, Code::TwoReferences, message, help);
                    let labels = [
                        "name of the identity provider",
                        "ID of the identity provider",
                    ];
                    self.report(problem.related(labels[0], first.span, labels[1]));
                }
                Some(object)
            }
            _ if entry.node.is_null() => {
                if !has_wildcard {
                    let message =
                        format!("{path}: null has no effect; no extended file declares it");
                    let help = "`null` removes an inherited entry; add fields or remove the entry";
                    self.merged_error(entry.key_span, Code::NothingToRemove, message, help);
                }
                None
            }
            _ => {
                self.value(&entry.node, &Shape::Map(shape.entry), path);
                None
            }
        }
    }

    fn list(&mut self, items: &[Node], shape: &Shape, path: &KeyPath<'_>) -> Yaml {
        let mut list: Vec<Yaml> = Vec::new();
        let mut first: HashMap<String, Span> = HashMap::new();
        for item in items {
            let Some(value) = self.value(item, shape, path) else {
                continue;
            };
            // An item is identified by its text, or by the value of its first key.
            let (mut object, name) = match (value, shape) {
                (Yaml::Mapping(object), Shape::MapOrScalar(map, _)) => (object, map.keys[0].name),
                (value, Shape::Scalar(Scalar::Protected | Scalar::LimitProtected)) => {
                    (Mapping::from_iter([("text".into(), value)]), "text")
                }
                (value, _) => {
                    list.push(value);
                    continue;
                }
            };
            let node = item.get(name).unwrap_or(item);
            let Some(identity) = object.get(name).and_then(Yaml::as_str) else {
                continue;
            };
            if let Some(earlier) = first.insert(identity.to_owned(), node.span) {
                let Value::Scalar { text, .. } = &node.value else {
                    continue;
                };
                let message = format!("{path} contains `{text}` twice");
                let problem = Problem::at(
                    node.span,
                    Code::DuplicateItem,
                    message,
                    "remove one of them",
                );
                self.report(problem.duplicates(earlier));
                continue;
            }
            let until = object.get("until").and_then(Yaml::as_str);
            if let (Pass::Merged { today }, Some(until)) = (self.pass, until)
                && until.parse::<Date>().is_ok_and(|until| until < today)
            {
                let message = format!("{path}: `{identity}` expired on {until}");
                let span = item.get("until").map_or(item.span, |node| node.span);
                let help = "remove the item or extend its date";
                self.diagnostics.report(span, Code::Expired, message, help);
            }
            object.insert("location".into(), location(node.span, self.diagnostics));
            list.push(object.into());
        }
        list.into()
    }

    fn report_unknown_key(&mut self, entry: &Entry, map: &Map, path: &KeyPath<'_>) {
        let key = &*entry.key;
        let (code, message, help) = if key == "<<" {
            let message = "merge keys are not part of YAML 1.2".to_owned();
            (
                Code::UnknownKey,
                message,
                "repeat the fields or use `extends`".to_owned(),
            )
        } else if names_credential(key) {
            let message = format!("credentials such as `{key}` must not be in a file");
            let help = "set an environment variable and name it in `api_token_env`";
            (Code::SecretKey, message, help.to_owned())
        } else {
            let names = map.keys.iter().map(|key| key.name);
            let names: Vec<&str> = names.filter(|name| !name.starts_with('$')).collect();
            // Finding similar words takes time, and a file may have a million unknown keys.
            let help = match self.diagnostics.is_full() {
                true => String::new(),
                false => suggest(key, &names),
            };
            (
                Code::UnknownKey,
                match path {
                    KeyPath::Name("the document") => format!("unknown key `{key}`"),
                    path => format!("unknown key `{key}` in {path}"),
                },
                help,
            )
        };
        self.error(entry.key_span, code, message, help);
    }

    fn scalar(&mut self, node: &Node, scalar: Scalar, path: &KeyPath<'_>) -> Option<Yaml> {
        let Value::Scalar { text, plain } = &node.value else {
            return self.wrong_scalar(node, scalar, path);
        };
        if node.is_null() {
            return self.wrong_scalar(node, scalar, path);
        }
        if scalar.is_literal() && has_variable(text) {
            let message = format!("variables are not allowed in {path}");
            let help = "write the value; use `$${` for a literal `${`";
            self.error(node.span, Code::Interpolation, message, help);
            return None;
        }
        let text = self.fill(text, *plain, node.span)?;
        let (value, problem) = scalar.check(&text, path);
        problem.into_iter().for_each(|problem| self.report(problem));
        value
    }

    fn wrong_scalar(&mut self, node: &Node, scalar: Scalar, path: &KeyPath<'_>) -> Option<Yaml> {
        match (scalar, &node.value) {
            (_, Value::Invalid | Value::Removed) => None,
            (Scalar::Version, _) => {
                let (value, problem) = unsupported_version(node.span);
                problem.into_iter().for_each(|problem| self.report(problem));
                value
            }
            _ => {
                let (expected, help) = scalar.expected();
                self.wrong_type(node, path, &expected, &help)
            }
        }
    }

    /// Replaces the variables of a scalar.
    fn fill<'n>(&mut self, written: &'n Arc<str>, plain: bool, span: Span) -> Option<Text<'n>> {
        let mut text = Text {
            value: (**written).to_owned(),
            written,
            span,
            is_plain: plain,
            has_variables: false,
        };
        if !written.contains("${") {
            return Some(text);
        }
        let filled = variables::fill(written, self.lookup);
        let is_valid = filled.mistakes.is_empty();
        for mistake in filled.mistakes {
            let span = self.variable_span(span, written, mistake.ordinal, &mistake.opening);
            self.error(span, mistake.code, mistake.message, mistake.help);
        }
        let count = filled.names.len();
        if !self.pass.is_merged() && !self.diagnostics.spend(Resource::Variables, count, span) {
            return None;
        }
        if filled.text.len() > MAX_VALUE_BYTES {
            let message = format!(
                "the value is longer than {MAX_VALUE_BYTES} bytes after its variables are replaced"
            );
            let help = "use shorter values for the variables";
            self.error(span, Code::TooLarge, message, help);
            return None;
        }
        self.variables.extend(filled.names);
        (text.value, text.has_variables) = (filled.text, count > 0);
        text.is_plain |= text.has_variables;
        is_valid.then_some(text)
    }

    /// Returns the span of the `ordinal`th `${` of a scalar, or of the whole scalar if escapes or folded lines hide it.
    fn variable_span(&self, span: Span, written: &str, ordinal: usize, opening: &str) -> Span {
        // The search takes time, and a value may have many mistakes.
        if self.diagnostics.is_full() {
            return span;
        }
        let raw = self.diagnostics.sources.written(span);
        let openings = |text: &str| text.matches("${").count();
        match raw.match_indices("${").nth(ordinal).map(|(at, _)| at) {
            Some(at) if openings(raw) == openings(written) && !raw[..at].contains(['\n', '\r']) => {
                let offset = |count: usize| u32::try_from(count).unwrap_or_default();
                let rest = &raw[at..];
                let length = rest.find('}').map_or(opening.len(), |end| end + 1);
                Span {
                    start: span.start + offset(at),
                    end: span.start + offset(at + length.min(rest.len())),
                    column: span.column + offset(raw[..at].chars().count()),
                    ..span
                }
            }
            Some(_) | None => span,
        }
    }
}
