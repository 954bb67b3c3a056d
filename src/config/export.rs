//! Exports a live account as a desired-state file, for `export` and as a rollback file.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::variables::escaped;
use super::write::AccountFile;
use super::yaml::MAX_VALUE_BYTES;
use crate::model::account::{AccountId, DesiredAccount, Guards, LiveAccount, Unlisted};
use crate::model::address::Name;
use crate::model::context::IdentityProvider;
use crate::model::field::{Field, FieldValue, Fields, OKTA};
use crate::model::integration::{Integration, ReferenceId, TenantUrl};
use crate::model::open_enum::OpenEnum;
use crate::model::text::is_invisible;

/// Maximum length of a behavior's name in a file; YAML limits keys to 1,024 characters, escapes included.
const MAX_KEY_BYTES: usize = 100;

/// Returns a file that declares the live state. Values that a file cannot declare are omitted, with a comment above their section.
pub fn export(
    account_id: &AccountId,
    name: Option<&Name>,
    live: &LiveAccount,
    options: ExportOptions<'_>,
) -> AccountFile {
    let mut file = AccountFile::new(account_id, name);
    for (key, behavior) in &live.behaviors {
        let mut fields = behavior.fields.clone();
        if !is_declarable_key(key.as_str()) {
            let comment = format!("left out: invalid behavior name {:?}", key.as_str());
            file.comment("behaviors", comment);
            continue;
        }
        if fields.level().and_then(OpenEnum::known).is_none() {
            let level = fields.shown(Field::RiskLevel);
            let comment = format!("left out: unknown risk_level {level:?} of {key}");
            file.comment("behaviors", comment);
            fields.set(Field::RiskLevel, None);
        }
        file.content["behaviors"][key.as_str()] = entry(&fields);
    }
    for (name, integration) in named(&live.integrations) {
        match integration_entry(integration, &live.integrations, options) {
            Ok(entry) => file.content["integrations"][name] = entry,
            Err(comment) => file.comment("integrations", comment),
        }
    }
    file.set("unlisted", json!(Unlisted::default()));
    file.set("guards", json!(Guards::default()));
    file
}

/// Options for exported integrations.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'a> {
    /// True if all integrations are pinned to their IDs, because a run may change the values that they are matched by. Otherwise only
    /// ambiguous ones are: a file without IDs is easier to read, and stays valid if integrations are replaced.
    pub pins_all: bool,
    /// Identity providers to write by name. Empty to write IDs.
    pub providers: &'a [IdentityProvider],
}

impl ExportOptions<'_> {
    /// Returns the name of the identity provider with the ID `reference`, if the name is unique and valid in a file.
    fn provider_of(&self, reference: &ReferenceId) -> Option<&str> {
        let okta = || self.providers.iter().filter(|one| one.is_okta());
        let name = okta().find(|one| one.id == *reference)?.name.as_str();
        let is_only = okta().filter(|one| one.name == name).count() == 1;
        (is_only && !name.trim().is_empty() && is_declarable(name)).then_some(name)
    }
}

/// Returns the rollback file for a live account before a run that creates `creates` integrations.
pub fn previous(desired: &DesiredAccount, live: &LiveAccount, creates: u32) -> AccountFile {
    let options = ExportOptions {
        pins_all: true,
        providers: &[],
    };
    let mut file = export(&desired.account_id, desired.name.as_ref(), live, options);
    file.comment(
        "version",
        "State before a riskform run. Apply this file to restore it.".to_owned(),
    );
    if let Some(variable) = &desired.api_token_env {
        file.set("api_token_env", json!(variable));
    }
    if creates > 0 {
        // Deleting unlisted integrations would also delete the integrations missing from the file.
        let consequence = match file.comments.contains_key("integrations") {
            true => "does not delete them, because some earlier integrations cannot be listed.",
            false => "deletes them. All earlier integrations are listed above.",
        };
        if !file.comments.contains_key("integrations") {
            file.content["unlisted"]["integrations"] = json!("delete");
            file.content["guards"]["max_deletes"] = json!(creates);
        }
        file.comment(
            "unlisted",
            format!("Integrations created by the run: {creates}. This file {consequence}"),
        );
    }
    file
}

/// Returns the entry of a resource with these fields.
pub fn entry(fields: &Fields) -> Value {
    let member = |(field, value): (Field, &FieldValue)| match value {
        FieldValue::Bool(value) => (field.to_string(), json!(value)),
        value => (field.to_string(), json!(escaped(&value.to_string()))),
    };
    fields.iter().map(member).collect()
}

/// Returns the entry of an integration, or a comment if a file cannot declare it.
fn integration_entry(
    integration: &Integration,
    all: &[Integration],
    options: ExportOptions<'_>,
) -> Result<Value, String> {
    let Integration { id, fields, .. } = integration;
    for (field, value) in fields.iter() {
        let text = value.to_string();
        let is_valid = match value {
            FieldValue::Text(_) => text == OKTA,
            FieldValue::Url(_) => text.parse::<TenantUrl>().is_ok() && is_declarable(&text),
            FieldValue::Reference(_) => is_declarable(&text),
            FieldValue::Bool(_) | FieldValue::Level(_) => true,
        };
        if !is_valid {
            let comment = format!("left out: integration[{id}] with invalid {field} {text:?}");
            return Err(comment);
        }
    }
    let mut fields = fields.clone();
    let reference = fields.reference_id().cloned();
    // Integrations with equal tenant_url or reference_id need their IDs.
    let shares = |other: &Integration| {
        let has_reference =
            reference.is_some() && other.fields.reference_id() == reference.as_ref();
        other.id != *id && (has_reference || other.fields.tenant_url() == fields.tenant_url())
    };
    let is_pinned = options.pins_all || all.iter().any(shares);
    let provider = reference.and_then(|one| options.provider_of(&one));
    if provider.is_some() {
        fields.set(Field::ReferenceId, None);
    }
    let mut entry = entry(&fields);
    if let Some(provider) = provider {
        entry["identity_provider"] = json!(escaped(provider));
    }
    if is_pinned {
        entry["id"] = json!(id);
    }
    Ok(entry)
}

/// Returns true if a file can contain the text.
fn is_declarable(text: &str) -> bool {
    // A half of the limit, because escaping adds a character to every `${`.
    text.len() <= MAX_VALUE_BYTES / 2 && !text.contains(is_invisible)
}

fn is_declarable_key(key: &str) -> bool {
    let is_short = (1..=MAX_KEY_BYTES).contains(&key.len());
    let is_blank = |c: char| c.is_whitespace() || is_invisible(c);
    is_short && key != "*" && !key.contains("${") && !key.contains(is_blank)
}

/// Names each integration after the host of its tenant. If several have the same host, a part of the ID is appended, so that the name does
/// not depend on the order of the integrations.
fn named(integrations: &[Integration]) -> BTreeMap<String, &Integration> {
    let host_name = |integration: &Integration| {
        let url = integration.fields.tenant_url();
        name_from_host(url.map_or("", TenantUrl::normalized))
    };
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for integration in integrations {
        *numbers.entry(host_name(integration)).or_default() += 1;
    }
    let mut named = BTreeMap::new();
    for integration in integrations {
        let (name, id) = (host_name(integration), integration.id.to_string());
        let short = format!("{name}-{}", &id[..8]);
        let is_taken = numbers.contains_key(&short) || named.contains_key(&short);
        let name = match numbers[&name] {
            1 => name,
            _ if is_taken => id,
            _ => short,
        };
        named.insert(name, integration);
    }
    named
}

/// Returns the name for a host, such as `corp-okta-com-8443` for `https://corp.okta.com:8443`.
pub(crate) fn name_from_host(url: &str) -> String {
    let host = url.strip_prefix("https://").unwrap_or(url);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let host = &host[..host.floor_char_boundary(200)];
    match host.replace(|c| !is_legal(c), "-").trim_matches('-') {
        "" => "integration".to_owned(),
        name => name.to_owned(),
    }
}
