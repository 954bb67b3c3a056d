//! Writes desired-state files in canonical format, as YAML or JSON.
//!
//! Parsers of YAML 1.1 and 1.2 read the same values from the output: text such as `no`, `1_000` or a date is quoted.

use super::interpolate::escaped;
use super::yaml::{self, Entry, Node, Trivia, Value, emit};
use crate::model::account::{AccountId, Guards, Unlisted};
use crate::model::behavior::BehaviorKey;
use crate::model::integration::{IgnoreChange, IntegrationId, Lifecycle, ReferenceId};
use crate::model::open_enum::string_enum;

string_enum! {
    /// Format of a desired-state file.
    FileFormat {
        /// YAML with comments.
        Yaml = "yaml",
        /// JSON, which has no comments.
        Json = "json",
    }
}

/// Serializes any value as YAML, quoted and escaped as in desired-state files.
pub fn value_to_yaml(value: &serde_yaml::Value) -> String {
    emit::yaml(&[yaml::Document::of(node(value))])
}

fn node(value: &serde_yaml::Value) -> Node {
    match value {
        serde_yaml::Value::Null => Node::bare("null"),
        serde_yaml::Value::Bool(value) => Node::bare(value),
        serde_yaml::Value::Number(number) => Node::bare(number),
        serde_yaml::Value::String(text) => Node::text(text),
        serde_yaml::Value::Sequence(items) => Node::list(items.iter().map(node).collect()),
        serde_yaml::Value::Mapping(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| {
                let key = key.as_str()?;
                Some(Entry::new(key, node(value)))
            });
            Node::mapping(entries.collect())
        }
        serde_yaml::Value::Tagged(tagged) => node(&tagged.value),
    }
}

/// A desired-state file to write. `None` and empty values are omitted, except `behaviors` and `integrations`, which are written as `{}`.
#[derive(Clone, Debug, Default)]
pub struct AccountFile {
    /// Comments at the top of the file.
    pub header: Vec<String>,
    /// `account_id`
    pub account_id: Option<AccountId>,
    /// `name`
    pub name: Option<String>,
    /// `api_token_env`
    pub api_token_env: Option<String>,
    /// `behaviors`, in output order.
    pub behaviors: Vec<BehaviorEntry>,
    /// Comments at the end of `behaviors`.
    pub behavior_comments: Vec<String>,
    /// `integrations`, in output order.
    pub integrations: Vec<IntegrationEntry>,
    /// Comments at the end of `integrations`.
    pub integration_comments: Vec<String>,
    /// `unlisted`
    pub unlisted: Option<Unlisted>,
    /// A comment above `unlisted`.
    pub unlisted_comment: Option<String>,
    /// `guards`
    pub guards: Option<Guards>,
}

/// An entry of `behaviors`. Its values are text, so that it can contain live values that are unknown to riskform.
#[derive(Clone, Debug)]
pub struct BehaviorEntry {
    pub key: BehaviorKey,
    /// `enabled`
    pub enabled: Option<bool>,
    /// `risk_level`
    pub risk_level: Option<String>,
    /// Comment on the same line.
    pub comment: Option<String>,
}

/// An entry of `integrations`, with values as text.
#[derive(Clone, Debug)]
pub struct IntegrationEntry {
    /// The local name.
    pub name: String,
    /// `integration_type`
    pub integration_type: Option<String>,
    /// `tenant_url`
    pub tenant_url: String,
    /// `reference_id`
    pub reference_id: Option<ReferenceId>,
    /// `identity_provider`, in place of `reference_id`
    pub identity_provider: Option<String>,
    /// `active`
    pub active: bool,
    /// `id`
    pub id: Option<IntegrationId>,
    /// `lifecycle`
    pub lifecycle: Lifecycle,
}

impl AccountFile {
    /// Returns the comments about omitted values.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        let beside = self.behaviors.iter().filter_map(|one| one.comment.as_ref());
        beside
            .chain(&self.behavior_comments)
            .chain(&self.integration_comments)
            .map(String::as_str)
    }

    /// Returns the file in a format.
    pub fn written(&self, format: FileFormat) -> String {
        match format {
            FileFormat::Yaml => self.to_yaml(),
            FileFormat::Json => self.to_json(),
        }
    }

    /// Returns the file as YAML.
    pub fn to_yaml(&self) -> String {
        emit::yaml(&[yaml::Document::of(self.tree())])
    }

    /// Returns the file as JSON, without comments.
    pub fn to_json(&self) -> String {
        emit::json(&self.tree())
    }

    fn tree(&self) -> Node {
        let AccountFile {
            header,
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
        let mut entries = vec![Entry::new("version", Node::bare(1).above(comments(header)))];
        let short = [
            ("account_id", account_id.as_ref().map(AccountId::as_str)),
            ("name", name.as_deref()),
            ("api_token_env", api_token_env.as_deref()),
        ];
        let short = short
            .into_iter()
            .filter_map(|(key, text)| Some((key, text?)));
        entries.extend(short.map(|(key, text)| Entry::new(key, Node::text(text))));
        // Blank lines separate the sections, but not the short keys at the top.
        let mut section = |key, above: Vec<Trivia>, node: Node| {
            let above = std::iter::once(Trivia::Blank).chain(above);
            entries.push(Entry::new(key, node.above(above)));
        };
        let listed = |entries: Vec<Entry>, left_out: &[String]| match entries.is_empty() {
            true => (comments(left_out), Node::mapping(entries)),
            false => (Vec::new(), Node::mapping(entries).below(comments(left_out))),
        };
        let behaviors = behaviors.iter().map(BehaviorEntry::entry).collect();
        let (above, node) = listed(behaviors, behavior_comments);
        section("behaviors", above, node);
        let integrations = integrations.iter().map(IntegrationEntry::entry).collect();
        let (above, node) = listed(integrations, integration_comments);
        section("integrations", above, node);
        if let Some(unlisted) = unlisted {
            let above = unlisted_comment.as_slice();
            section("unlisted", comments(above), unlisted_node(*unlisted));
        }
        if let Some(guards) = guards {
            section("guards", Vec::new(), guards_node(guards));
        }
        Node::mapping(entries)
    }
}

impl BehaviorEntry {
    fn entry(&self) -> Entry {
        let BehaviorEntry {
            key,
            enabled,
            risk_level,
            comment,
        } = self;
        let mut fields = Vec::new();
        fields.extend(enabled.map(|enabled| Entry::new("enabled", Node::bare(enabled))));
        fields.extend(text("risk_level", risk_level.as_deref()));
        let comment = comment.as_deref().map(emit::comment);
        Entry::new(key.as_str(), Node::mapping(fields).flow().beside(comment))
    }
}

impl IntegrationEntry {
    fn entry(&self) -> Entry {
        let IntegrationEntry {
            name,
            integration_type,
            tenant_url,
            reference_id,
            identity_provider,
            active,
            id,
            lifecycle,
        } = self;
        let provider = identity_provider.as_deref().map(escaped);
        let reference = reference_id.as_ref().map(|one| escaped(one.as_str()));
        let id = id.map(|id| id.to_string());
        let mut fields = Vec::new();
        fields.extend(text("integration_type", integration_type.as_deref()));
        fields.extend(text("tenant_url", Some(&escaped(tenant_url))));
        fields.extend(text("reference_id", reference.as_deref()));
        fields.extend(text("identity_provider", provider.as_deref()));
        fields.push(Entry::new("active", Node::bare(*active)));
        fields.extend(text("id", id.as_deref()));
        fields.extend(lifecycle_entry(lifecycle));
        Entry::new(name, Node::mapping(fields))
    }
}

fn lifecycle_entry(lifecycle: &Lifecycle) -> Option<Entry> {
    let Lifecycle {
        prevent_destroy,
        ignore_changes,
    } = lifecycle;
    let mut fields = Vec::new();
    if *prevent_destroy {
        fields.push(Entry::new("prevent_destroy", Node::bare(true)));
    }
    if !ignore_changes.is_empty() {
        let items: Vec<Node> = ignore_changes.iter().map(ignore_item).collect();
        let is_plain = |item: &Node| matches!(item.value, Value::Scalar(_));
        let list = match items.iter().all(is_plain) {
            true => Node::list(items).flow(),
            false => Node::list(items),
        };
        fields.push(Entry::new("ignore_changes", list));
    }
    (!fields.is_empty()).then(|| Entry::new("lifecycle", Node::mapping(fields)))
}

fn ignore_item(ignore: &IgnoreChange) -> Node {
    let IgnoreChange {
        field,
        until,
        reason,
        location: _,
    } = ignore;
    let field = field.to_string();
    if until.is_none() && reason.is_none() {
        return Node::text(&field);
    }
    let until = until.map(|until| until.to_string());
    let reason = reason.as_deref().map(escaped);
    let mut fields = Vec::new();
    fields.extend(text("field", Some(&field)));
    fields.extend(text("until", until.as_deref()));
    fields.extend(text("reason", reason.as_deref()));
    Node::mapping(fields).flow()
}

fn unlisted_node(unlisted: Unlisted) -> Node {
    let Unlisted {
        behaviors,
        integrations,
    } = unlisted;
    Node::mapping(vec![
        Entry::new("behaviors", Node::text(&behaviors.to_string())),
        Entry::new("integrations", Node::text(&integrations.to_string())),
    ])
}

fn guards_node(guards: &Guards) -> Node {
    let Guards {
        max_deletes,
        weakening,
        policies,
        protected,
    } = guards;
    let protected = protected.iter().map(|one| Node::text(&escaped(&one.text)));
    Node::mapping(vec![
        Entry::new("max_deletes", Node::bare(max_deletes)),
        Entry::new("weakening", Node::text(&weakening.to_string())),
        Entry::new("policies", Node::text(&policies.to_string())),
        Entry::new("protected", Node::list(protected.collect()).flow()),
    ])
}

fn text(key: &str, text: Option<&str>) -> Option<Entry> {
    text.map(|text| Entry::new(key, Node::text(text)))
}

fn comments(texts: &[String]) -> Vec<Trivia> {
    texts
        .iter()
        .map(|text| Trivia::Comment(emit::comment(text)))
        .collect()
}
