//! Writes desired-state files in their canonical layout, as YAML or JSON.
//!
//! What is written reads back as the same values, here and in readers of YAML 1.1, which take `no`, `1_000` or a date for something else
//! than text.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::interpolate::escaped;
use super::layout::{Lines, aligned};
use crate::model::account::{AccountId, Guards, Unlisted};
use crate::model::behavior::BehaviorKey;
use crate::model::integration::{IgnoreChange, IntegrationId, Lifecycle, ReferenceId};
use crate::model::open_word::words;
use crate::model::text::is_unseen;

words! {
    /// The formats of a desired-state file.
    FileFormat {
        /// For people and editors.
        Yaml = "yaml",
        /// For programs; YAML as well, but without comments.
        Json = "json",
    }
}

/// A desired-state file to be written. What is `None` or empty is left out, except for `behaviors` and `integrations`, which say `{}`.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Comments at the top of the file.
    pub header: Vec<String>,
    /// `account_id`
    pub account_id: Option<AccountId>,
    /// `name`
    pub name: Option<String>,
    /// `api_token_env`
    pub api_token_env: Option<String>,
    /// `behaviors`, in the order to be written.
    pub behaviors: Vec<WrittenBehavior>,
    /// Comments at the end of `behaviors`.
    pub behavior_comments: Vec<String>,
    /// `integrations`, in the order to be written.
    pub integrations: Vec<WrittenIntegration>,
    /// Comments at the end of `integrations`.
    pub integration_comments: Vec<String>,
    /// `unlisted`
    pub unlisted: Option<Unlisted>,
    /// A comment above `unlisted`.
    pub unlisted_comment: Option<String>,
    /// `guards`
    pub guards: Option<Guards>,
}

/// One entry of `behaviors`, in words rather than types, so that a live word that no file could declare can be shown as well.
#[derive(Clone, Debug)]
pub struct WrittenBehavior {
    /// The key.
    pub key: BehaviorKey,
    /// `enabled`
    pub enabled: Option<bool>,
    /// `risk_level`
    pub risk_level: Option<String>,
    /// A comment beside it.
    pub comment: Option<String>,
}

/// One entry of `integrations`, in words rather than types.
#[derive(Clone, Debug)]
pub struct WrittenIntegration {
    /// The local name.
    pub name: String,
    /// `integration_type`
    pub integration_type: Option<String>,
    /// `tenant_url`
    pub tenant_url: String,
    /// `reference_id`
    pub reference_id: Option<ReferenceId>,
    /// `active`
    pub active: bool,
    /// `id`
    pub id: Option<IntegrationId>,
    /// `lifecycle`
    pub lifecycle: Lifecycle,
}

impl Document {
    /// What the comments say is left out.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        let beside = self.behaviors.iter().filter_map(|one| one.comment.as_ref());
        beside
            .chain(&self.behavior_comments)
            .chain(&self.integration_comments)
            .map(String::as_str)
    }

    /// The file in a format.
    pub fn written(&self, format: FileFormat) -> String {
        match format {
            FileFormat::Yaml => self.to_yaml(),
            FileFormat::Json => self.to_json(),
        }
    }

    /// The file as YAML.
    pub fn to_yaml(&self) -> String {
        let mut lines = Lines::default();
        for line in &self.header {
            push_comment(&mut lines, 0, line);
        }
        for (at, line) in self.lines().iter().enumerate() {
            // Sections stand apart, the short keys at the top together.
            if at > 0 && matches!(line.value, Item::Block { .. }) {
                lines.push("", None);
            }
            line.push_yaml(&mut lines, 0);
        }
        lines.render()
    }

    /// The file as JSON, which is YAML too. It has no comments.
    pub fn to_json(&self) -> String {
        let lines = self.lines();
        let block = Item::Block {
            lines,
            comments: Vec::new(),
        };
        let mut text =
            serde_json::to_string_pretty(&block).expect("maps with text keys are always JSON");
        text.push('\n');
        text
    }

    fn lines(&self) -> Vec<Line> {
        let Document {
            header: _,
            account_id,
            name,
            api_token_env,
            behaviors,
            behavior_comments,
            integrations,
            integration_comments,
            unlisted,
            unlisted_comment,
            guards,
        } = self;
        let mut lines = vec![Line::new("version", Item::Number(1))];
        let text = |text: &str| Item::Text(text.to_owned());
        lines.extend(
            account_id
                .as_ref()
                .map(|id| Line::new("account_id", text(id.as_str()))),
        );
        lines.extend(name.as_ref().map(|name| Line::new("name", text(name))));
        lines.extend(
            api_token_env
                .as_ref()
                .map(|name| Line::new("api_token_env", text(name))),
        );
        lines.push(Line::new(
            "behaviors",
            Item::Block {
                lines: behaviors.iter().map(WrittenBehavior::line).collect(),
                comments: behavior_comments.clone(),
            },
        ));
        lines.push(Line::new(
            "integrations",
            Item::Block {
                lines: integrations.iter().map(WrittenIntegration::line).collect(),
                comments: integration_comments.clone(),
            },
        ));
        lines.extend(unlisted.map(|unlisted| Line {
            above: unlisted_comment.clone(),
            ..unlisted_line(unlisted)
        }));
        lines.extend(guards.as_ref().map(guards_line));
        lines
    }
}

impl WrittenBehavior {
    fn line(&self) -> Line {
        let WrittenBehavior {
            key,
            enabled,
            risk_level,
            comment,
        } = self;
        let mut fields = Vec::new();
        fields.extend(enabled.map(|enabled| ("enabled", Item::Boolean(enabled))));
        fields.extend(
            risk_level
                .as_ref()
                .map(|level| ("risk_level", Item::Text(level.clone()))),
        );
        Line {
            beside: comment.clone(),
            ..Line::new(key.as_str(), Item::Flow(fields))
        }
    }
}

impl WrittenIntegration {
    fn line(&self) -> Line {
        let WrittenIntegration {
            name,
            integration_type,
            tenant_url,
            reference_id,
            active,
            id,
            lifecycle,
        } = self;
        let mut lines = Vec::new();
        let text = |key, text: &str| Line::new(key, Item::Text(text.to_owned()));
        lines.extend(
            integration_type
                .as_ref()
                .map(|word| text("integration_type", word)),
        );
        lines.push(text("tenant_url", &escaped(tenant_url)));
        lines.extend(
            reference_id
                .as_ref()
                .map(|reference| text("reference_id", &escaped(reference.as_str()))),
        );
        lines.push(Line::new("active", Item::Boolean(*active)));
        lines.extend(id.map(|id| text("id", &id.to_string())));
        lines.extend(lifecycle_line(lifecycle));
        Line::new(name, Item::block(lines))
    }
}

fn lifecycle_line(lifecycle: &Lifecycle) -> Option<Line> {
    let Lifecycle {
        prevent_destroy,
        ignore_changes,
    } = lifecycle;
    let mut lines = Vec::new();
    if *prevent_destroy {
        lines.push(Line::new("prevent_destroy", Item::Boolean(true)));
    }
    if !ignore_changes.is_empty() {
        let items = ignore_changes.iter().map(ignore_item).collect();
        lines.push(Line::new("ignore_changes", Item::List(items)));
    }
    (!lines.is_empty()).then(|| Line::new("lifecycle", Item::block(lines)))
}

fn ignore_item(ignore: &IgnoreChange) -> Item {
    let IgnoreChange {
        field,
        until,
        reason,
        location: _,
    } = ignore;
    if until.is_none() && reason.is_none() {
        return Item::Text(field.to_string());
    }
    let mut fields = vec![("field", Item::Text(field.to_string()))];
    fields.extend(until.map(|until| ("until", Item::Text(until.to_string()))));
    fields.extend(
        reason
            .as_ref()
            .map(|reason| ("reason", Item::Text(escaped(reason)))),
    );
    Item::Flow(fields)
}

fn unlisted_line(unlisted: Unlisted) -> Line {
    let Unlisted {
        behaviors,
        integrations,
    } = unlisted;
    let lines = vec![
        Line::new("behaviors", Item::Text(behaviors.to_string())),
        Line::new("integrations", Item::Text(integrations.to_string())),
    ];
    Line::new("unlisted", Item::block(lines))
}

fn guards_line(guards: &Guards) -> Line {
    let Guards {
        max_deletes,
        weakening,
        policies,
        protected,
    } = guards;
    let protected = protected
        .iter()
        .map(|one| Item::Text(escaped(&one.text)))
        .collect();
    let lines = vec![
        Line::new("max_deletes", Item::Number(*max_deletes)),
        Line::new("weakening", Item::Text(weakening.to_string())),
        Line::new("policies", Item::Text(policies.to_string())),
        Line::new("protected", Item::List(protected)),
    ];
    Line::new("guards", Item::block(lines))
}

/// A key, its value and its comments.
struct Line {
    above: Option<String>,
    key: String,
    value: Item,
    beside: Option<String>,
}

/// A value, before it is known whether YAML or JSON is written.
enum Item {
    Text(String),
    Number(u32),
    Boolean(bool),
    /// A mapping on one line.
    Flow(Vec<(&'static str, Item)>),
    /// A mapping with a line for each key, and comments at its end.
    Block {
        lines: Vec<Line>,
        comments: Vec<String>,
    },
    /// A list on one line, or with a line for each item that is a mapping.
    List(Vec<Item>),
}

impl Item {
    fn block(lines: Vec<Line>) -> Item {
        Item::Block {
            lines,
            comments: Vec::new(),
        }
    }

    /// The value as it stands on one line.
    fn inline(&self) -> String {
        match self {
            Item::Text(text) => quoted(text),
            Item::Number(number) => number.to_string(),
            Item::Boolean(boolean) => boolean.to_string(),
            Item::Flow(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(key, value)| format!("{key}: {}", value.inline()))
                    .collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Item::List(items) => {
                let items: Vec<String> = items.iter().map(Item::inline).collect();
                format!("[{}]", items.join(", "))
            }
            Item::Block { .. } => "{}".to_owned(),
        }
    }
}

impl Line {
    fn new(key: &str, value: Item) -> Line {
        Line {
            above: None,
            key: key.to_owned(),
            value,
            beside: None,
        }
    }

    fn push_yaml(&self, lines: &mut Lines, indent: usize) {
        let Line {
            above,
            key,
            value,
            beside,
        } = self;
        if let Some(above) = above {
            push_comment(lines, indent, above);
        }
        let beside = beside
            .as_ref()
            .map(|beside| format!("# {}", one_line(beside)));
        let head = format!("{}{}:", " ".repeat(indent), quoted(key));
        match value {
            Item::Block {
                lines: inner,
                comments,
            } => {
                if inner.is_empty() {
                    for comment in comments {
                        push_comment(lines, indent, comment);
                    }
                    lines.push(format!("{head} {{}}"), beside);
                    return;
                }
                lines.push(head, beside);
                push_lines(lines, indent + 2, inner);
                for comment in comments {
                    push_comment(lines, indent + 2, comment);
                }
            }
            Item::List(items) if items.iter().any(|item| matches!(item, Item::Flow(_))) => {
                lines.push(head, beside);
                for item in items {
                    lines.push(
                        format!("{}- {}", " ".repeat(indent + 2), item.inline()),
                        None,
                    );
                }
            }
            Item::Text(_) | Item::Number(_) | Item::Boolean(_) | Item::Flow(_) | Item::List(_) => {
                lines.push(format!("{head} {}", value.inline()), beside)
            }
        }
    }
}

/// Writes the lines of a block; mappings that stand on one line each, which they do all or none, are aligned.
fn push_lines(lines: &mut Lines, indent: usize, inner: &[Line]) {
    let tabular = inner.iter().all(|line| matches!(line.value, Item::Flow(_)));
    if !tabular {
        for line in inner {
            line.push_yaml(lines, indent);
        }
        return;
    }
    let keys: Vec<String> = inner.iter().map(|line| quoted(&line.key)).collect();
    for (line, key) in inner.iter().zip(aligned(&keys)) {
        let beside = line
            .beside
            .as_ref()
            .map(|beside| format!("# {}", one_line(beside)));
        let text = format!("{}{key} {}", " ".repeat(indent), line.value.inline());
        lines.push(text, beside);
    }
}

fn push_comment(lines: &mut Lines, indent: usize, comment: &str) {
    lines.push(
        format!("{}# {}", " ".repeat(indent), one_line(comment)),
        None,
    );
}

/// A comment may quote what the API answered, which must neither end the comment nor reach a terminal as it is.
fn one_line(comment: &str) -> String {
    comment
        .chars()
        .map(|c| if is_unseen(c) { '\u{FFFD}' } else { c })
        .collect()
}

/// A text as a YAML scalar: bare where every reader takes it for text, in double quotes otherwise.
pub(super) fn quoted(text: &str) -> String {
    if is_bare(text) {
        text.to_owned()
    } else {
        // A JSON string is a double-quoted scalar; only what JSON leaves alone and YAML may not hold is escaped in addition.
        let json = serde_json::Value::from(text).to_string();
        json.chars()
            .map(|c| match c {
                '\u{7F}'..='\u{9F}' | '\u{FEFF}' | '\u{2028}' | '\u{2029}' => {
                    format!("\\u{:04X}", u32::from(c))
                }
                _ if is_unseen(c) => format!("\\u{:04X}", u32::from(c)),
                _ => c.to_string(),
            })
            .collect()
    }
}

fn is_bare(text: &str) -> bool {
    const WORDS: [&str; 15] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "o", "x", "t",
        "f",
    ];
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else {
        return false;
    };
    let safe = first.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:".contains(byte))
        && !text.ends_with(':');
    if !safe || WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return false;
    }
    if first.is_ascii_alphabetic() {
        return true;
    }
    // What begins with a digit may be a number of some base, a date or, in YAML 1.1, a time of sixty-fold digits.
    let based = bytes.len() > 1 && first == &b'0' && b"xXoObB".contains(&bytes[1]);
    let dated = bytes.get(4) == Some(&b'-');
    let lettered = bytes
        .iter()
        .any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e'));
    lettered && !based && !dated
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Text(text) => serializer.serialize_str(text),
            Item::Number(number) => serializer.serialize_u32(*number),
            Item::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Item::Flow(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
            Item::Block { lines, comments: _ } => {
                let mut map = serializer.serialize_map(Some(lines.len()))?;
                for line in lines {
                    map.serialize_entry(&line.key, &line.value)?;
                }
                map.end()
            }
            Item::List(items) => serializer.collect_seq(items),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_bare_only_where_every_reader_takes_them_for_text() {
        for (text, written) in [
            ("high", "high"),
            ("https://corp.okta.com", "https://corp.okta.com"),
            ("https://corp.okta.com:8443/", "https://corp.okta.com:8443/"),
            (
                "3701e70b-5de4-4d9d-8972-f5aa994d9057",
                "3701e70b-5de4-4d9d-8972-f5aa994d9057",
            ),
            (
                "023e105f4ecef8ad9ca31a8372d0c353",
                "023e105f4ecef8ad9ca31a8372d0c353",
            ),
            (
                "00000000000000000000000000000123",
                "\"00000000000000000000000000000123\"",
            ),
            (
                "123456789012345678901234567890e1",
                "\"123456789012345678901234567890e1\"",
            ),
            ("0x1f", "\"0x1f\""),
            ("2026-12-31", "\"2026-12-31\""),
            ("2026-12-31t10:00:00z", "\"2026-12-31t10:00:00z\""),
            ("1_000", "\"1_000\""),
            ("12:30:45", "\"12:30:45\""),
            ("No", "\"No\""),
            ("~", "\"~\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("-", "\"-\""),
            ("é\"\n\u{7f}\u{2028}", "\"é\\\"\\n\\u007F\\u2028\""),
        ] {
            assert_eq!(quoted(text), written);
            assert_eq!(
                serde_yaml::from_str::<serde_yaml::Value>(written).unwrap(),
                serde_yaml::Value::String(text.to_owned())
            );
        }
    }
}
