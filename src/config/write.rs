//! Writes desired-state documents in the order of the shape: `export`, `init`, `--save-previous` and the diff format.
//!
//! A string is quoted unless both YAML 1.1 and 1.2 parsers read it as that string. `serde_yaml` only reads the result back, because its
//! own output leaves `no`, `1_000`, dates and `=` unquoted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};

use super::shape::{DOCUMENT, Key, Map, Shape};
use crate::model::account::AccountId;
use crate::model::text::{escape_invisible_json, is_invisible};

/// Error for generated YAML that an independent parser reads differently. Nothing is written.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("internal error: the generated YAML has other values than intended; nothing was written")]
pub struct WriteError;

/// A desired-state document to write.
#[derive(Clone, Debug)]
pub struct AccountFile {
    content: Object<String, Value>,
    /// Comments above the top-level keys.
    comments: BTreeMap<&'static str, Vec<String>>,
}

impl AccountFile {
    /// Returns a document without behaviors and integrations.
    pub fn new(account_id: &AccountId, name: Option<&str>) -> Self {
        let mut file = AccountFile {
            content: Object::new(),
            comments: BTreeMap::new(),
        };
        file.set("version", 1);
        file.set("account_id", account_id.as_str());
        if let Some(name) = name {
            file.set("name", name);
        }
        file.set("behaviors", json!({}));
        file.set("integrations", json!({}));
        file
    }

    /// Sets a top-level key.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.content.insert(key.to_owned(), value.into());
    }

    /// Removes a top-level key.
    pub fn remove(&mut self, key: &str) {
        self.content.remove(key);
    }

    /// Adds an entry to `behaviors` or `integrations`.
    pub fn add(&mut self, section: &str, name: impl ToString, entry: Value) {
        self.content[section][name.to_string()] = entry;
    }

    /// Adds a comment above a top-level key.
    pub fn comment(&mut self, key: &'static str, text: impl Into<String>) {
        self.comments.entry(key).or_default().push(text.into());
    }

    /// Returns the content without comments.
    pub fn content(&self) -> &Object<String, Value> {
        &self.content
    }

    /// Returns the comments above a top-level key.
    pub fn comments(&self, key: &str) -> &[String] {
        self.comments.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns the file as JSON, which has no comments.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(&self.content).expect("all keys are strings");
        escape_invisible_json(json) + "\n"
    }

    /// Returns the file as YAML.
    ///
    /// # Errors
    ///
    /// An independent parser reads other values.
    pub fn to_yaml(&self) -> Result<String, WriteError> {
        let mut text = String::new();
        for key in DOCUMENT.keys {
            let Some(value) = self.content.get(key.name) else {
                continue;
            };
            // Blank lines separate the sections, but not the short keys at the top.
            if value.is_object() {
                text.push('\n');
            }
            for comment in self.comments(key.name) {
                text.push_str(&comment_line(comment));
            }
            write_entry(&mut text, 0, key.name, value, Some(key.shape));
        }
        match serde_yaml::from_str::<Object<String, Value>>(&text) {
            Ok(content) if content == self.content => Ok(text),
            Ok(_) | Err(_) => Err(WriteError),
        }
    }
}

fn write_entry(text: &mut String, indent: usize, name: &str, value: &Value, shape: Option<Shape>) {
    let margin = " ".repeat(indent);
    let is_one_line = matches!(shape, Some(Shape::Map(Map { one_line: true, .. })));
    let is_block = value.as_object().is_some_and(|entries| !entries.is_empty());
    if is_one_line || !is_block {
        let value = one_line(value, shape);
        text.push_str(&format!("{margin}{}: {value}\n", quote(name)));
    } else {
        text.push_str(&format!("{margin}{}:\n", quote(name)));
        for (name, value, shape) in members(value, shape) {
            write_entry(text, indent + 2, name, value, shape);
        }
    }
}

/// Returns a value on one line.
fn one_line(value: &Value, shape: Option<Shape>) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quote(text).into_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| one_line(item, None)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(_) => {
            let members = members(value, shape).into_iter();
            let member =
                |(name, value, shape)| format!("{}: {}", quote(name), one_line(value, shape));
            let members: Vec<String> = members.map(member).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// Returns the members of a map with their shapes: keys in the order of the shape, names in their own.
fn members(value: &Value, shape: Option<Shape>) -> Vec<(&str, &Value, Option<Shape>)> {
    match shape {
        Some(Shape::Map(map)) => {
            let member = |key: &Key| Some((key.name, value.get(key.name)?, Some(key.shape)));
            map.keys.iter().filter_map(member).collect()
        }
        _ => {
            let entry = match shape {
                Some(Shape::Entries(entries)) => Some(Shape::Map(entries.entry)),
                _ => None,
            };
            let members = value.as_object().into_iter().flatten();
            let member = |(name, value)| (String::as_str(name), value, entry);
            members.map(member).collect()
        }
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
fn quote(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return text.into();
    }
    let json = Value::from(text).to_string().replace("##[", "\\u0023#[");
    let escape = |c: char| match u32::from(c) {
        _ if !is_invisible(c) => c.to_string(),
        code if code <= 0xFFFF => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    };
    json.chars().map(escape).collect::<String>().into()
}

/// Returns true if every parser reads the unquoted text as this string, those of YAML 1.1 included, for which `no`, `1_000` or a date is
/// something else.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 15] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "o", "x", "t",
        "f",
    ];
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
    let reserved = RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if reserved || !text.bytes().all(is_safe) || text.ends_with(':') {
        return false;
    }
    match text.as_bytes() {
        [first, ..] if first.is_ascii_alphabetic() => true,
        // Text that starts with a digit may be a number of some base, a date or, in YAML 1.1, a number of base 60.
        [b'0', base, ..] if b"xXoObB".contains(base) => false,
        [first, rest @ ..] if first.is_ascii_digit() => {
            let is_letter =
                |byte: &u8| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e');
            rest.get(3) != Some(&b'-') && rest.iter().any(is_letter)
        }
        _ => false,
    }
}
