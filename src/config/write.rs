//! Writes desired-state documents in the order of the shape: `export`, `init`, `--save-previous` and the diff format.
//!
//! A string is quoted unless both YAML 1.1 and 1.2 parsers read it as that string. `serde_yaml` only reads the result back, because its
//! own output leaves `no`, `1_000`, dates and `=` unquoted.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};
use uuid::Uuid;

use super::shape::{DOCUMENT, Key, Map, Shape};
use crate::model::account::AccountId;
use crate::model::address::Name;
use crate::model::text::{escape_invisible_json, is_invisible};

/// Error for generated YAML that an independent parser reads differently. The file is not written.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("internal error: the generated YAML has other values than intended; nothing was written")]
pub struct WriteError;

/// A desired-state document to write.
#[derive(Clone, Debug, Default)]
pub struct AccountFile {
    /// Values by key.
    pub content: Object<String, Value>,
    /// Comments above the top-level keys.
    pub comments: BTreeMap<&'static str, Vec<String>>,
}

impl AccountFile {
    /// Returns a document without behaviors and integrations.
    pub fn new(account_id: &AccountId, name: Option<&Name>) -> Self {
        let mut file = AccountFile::default();
        file.set("version", json!(1));
        file.set("account_id", json!(account_id));
        if let Some(name) = name {
            file.set("name", json!(name));
        }
        file.set("behaviors", json!({}));
        file.set("integrations", json!({}));
        file
    }

    /// Sets a top-level key.
    pub fn set(&mut self, key: &str, value: Value) {
        self.content.insert(key.to_owned(), value);
    }

    /// Adds a comment above a top-level key.
    pub fn comment(&mut self, key: &'static str, text: String) {
        self.comments.entry(key).or_default().push(text);
    }

    /// Returns the file as JSON.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(&self.content).expect("the content is JSON");
        escape_invisible_json(json) + "\n"
    }

    /// Returns the file as YAML.
    ///
    /// # Errors
    ///
    /// An independent parser reads other values.
    pub fn to_yaml(&self) -> Result<String, WriteError> {
        let mut text = String::new();
        for (name, value, shape) in members(&self.content, Shape::Map(&DOCUMENT)) {
            // Blank lines separate the sections, but not the short keys at the top.
            if value.is_object() {
                text.push('\n');
            }
            let comments = self.comments.get(name).into_iter().flatten();
            text.extend(comments.map(|comment| comment_line(comment)));
            write_entry(&mut text, "", name, value, shape);
        }
        match serde_yaml::from_str::<Object<String, Value>>(&text) {
            Ok(content) if content == self.content => Ok(text),
            Ok(_) | Err(_) => Err(WriteError),
        }
    }
}

fn write_entry(text: &mut String, margin: &str, name: &str, value: &Value, shape: Shape) {
    let is_one_line = matches!(shape, Shape::Map(Map { one_line: true, .. }));
    let name = quote(name);
    match value {
        Value::Object(entries) if !is_one_line && !entries.is_empty() => {
            text.push_str(&format!("{margin}{name}:\n"));
            for (name, value, shape) in members(entries, shape) {
                write_entry(text, &format!("{margin}  "), name, value, shape);
            }
        }
        value => text.push_str(&format!("{margin}{name}: {}\n", one_line(value, shape))),
    }
}

/// Returns a value on one line.
fn one_line(value: &Value, shape: Shape) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Object(entries) if !entries.is_empty() => {
            let members = members(entries, shape).into_iter();
            let members = members.map(|(name, value, shape)| {
                let (name, value) = (quote(name), one_line(value, shape));
                format!("{name}: {value}")
            });
            format!("{{ {} }}", members.collect::<Vec<String>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// Returns the members of a map with their shapes: keys in the order of the shape, names in their own.
fn members(entries: &Object<String, Value>, shape: Shape) -> Vec<(&str, &Value, Shape)> {
    let key = |key: &Key| Some((key.name, entries.get(key.name)?, key.shape));
    match shape {
        Shape::Map(map) => map.keys.iter().filter_map(key).collect(),
        Shape::Entries(shape) => {
            let named = entries.iter();
            let named = named.map(|(name, value)| (name.as_str(), value, Shape::Map(shape.entry)));
            named.collect()
        }
        // No other value is an object.
        Shape::List(..) | Shape::Scalar(_) | Shape::MapOrScalar(_) => Vec::new(),
    }
}

/// Returns a comment on one line. It may quote values of the API.
fn comment_line(text: &str) -> String {
    let hide = |c: char| if is_invisible(c) { '\u{FFFD}' } else { c };
    let text: String = text.chars().map(hide).collect();
    format!("# {}", text.replace("##[", "#\u{FFFD}["))
        .trim_end()
        .to_owned()
        + "\n"
}

/// Returns a string for YAML, in quotes if necessary. Invisible characters, and what a CI runner takes for a command, are escaped.
fn quote(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let json = Value::from(text).to_string().replace("##[", "\\u0023#[");
    let escape = |c: char| match u32::from(c) {
        _ if !is_invisible(c) => c.to_string(),
        code if code <= 0xFFFF => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    };
    json.chars().map(escape).collect()
}

/// Returns true if every parser reads the unquoted text as this string, those of YAML 1.1 included, for which `no`, `1_000` or a date is
/// something else.
fn is_plain(text: &str) -> bool {
    const RESERVED: &str = "y n yes no on off true false null nan inf o x t f";
    let is_reserved = RESERVED
        .split(' ')
        .any(|word| word.eq_ignore_ascii_case(text));
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
    let is_word = text.bytes().all(is_safe) && !text.ends_with(':') && !is_reserved;
    // Other text that starts with a digit may be a number of some base, a date or, in YAML 1.1, a number of base 60.
    let is_uuid = || Uuid::try_parse(text).is_ok() && text.contains(['a', 'c', 'd', 'f']);
    is_word && (text.starts_with(|c: char| c.is_ascii_alphabetic()) || is_uuid())
}
