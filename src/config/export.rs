//! Exports a live account as a desired-state file, for `export` and as a rollback file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::variables::escaped;
use super::write::AccountFile;
use super::yaml::MAX_VALUE_BYTES;
use crate::model::account::{
    AccountId, DesiredAccount, Guards, LiveAccount, Unlisted, UnlistedPolicy,
};
use crate::model::address::Name;
use crate::model::context::IdentityProvider;
use crate::model::field::{Field, FieldValue, Fields, OKTA};
use crate::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
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
    let mut file = AccountFile::new(account_id, name.map(Name::as_str));
    for (key, behavior) in &live.behaviors {
        let level = behavior.fields.level();
        if !is_declarable_key(key.as_str()) {
            let comment = format!("left out: invalid behavior name {:?}", key.as_str());
            file.comment("behaviors", comment);
            continue;
        }
        let known = level.and_then(OpenEnum::known);
        if known.is_none() {
            let level = behavior.fields.shown(Field::RiskLevel);
            let comment = format!("left out: unknown risk_level {level:?} of {key}");
            file.comment("behaviors", comment);
        }
        let level = known.map(|level| level.to_string());
        file.add(
            "behaviors",
            key,
            behavior_entry(behavior.fields.is_on(Field::Enabled), level),
        );
    }
    for (name, integration) in named(&live.integrations) {
        match integration_to_export(integration, &live.integrations, options) {
            Ok(entry) => file.add("integrations", name, entry),
            Err(comment) => file.comment("integrations", comment),
        }
    }
    set_unlisted(&mut file, Unlisted::default());
    set_guards(&mut file, &Guards::default());
    file
}

fn set_unlisted(file: &mut AccountFile, unlisted: Unlisted) {
    let Unlisted {
        behaviors,
        integrations,
    } = unlisted;
    file.set(
        "unlisted",
        json!({ "behaviors": behaviors, "integrations": integrations }),
    );
}

fn set_guards(file: &mut AccountFile, guards: &Guards) {
    let Guards {
        max_deletes,
        weakening,
        policies,
        protected,
    } = guards;
    let protected: Vec<String> = protected.iter().map(|item| escaped(&item.text)).collect();
    file.set(
        "guards",
        json!({ "max_deletes": max_deletes, "weakening": weakening, "policies": policies, "protected": protected }),
    );
}

/// Options for exported integrations.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'a> {
    pub pins: PinIds,
    /// Identity providers to write by name. Empty to write IDs.
    pub providers: &'a [IdentityProvider],
}

/// Integrations to pin to their IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PinIds {
    /// Only integrations that would be ambiguous. A file without IDs is easier to read, and stays valid if integrations are replaced.
    #[default]
    WhenAmbiguous,
    /// All integrations, because a run may change the values that they are matched by.
    Always,
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
        pins: PinIds::Always,
        providers: &[],
    };
    let mut file = export(&desired.account_id, desired.name.as_ref(), live, options);
    file.comment(
        "version",
        "State before a riskform run. Apply this file to restore it.",
    );
    if let Some(variable) = &desired.api_token_env {
        file.set("api_token_env", variable.as_str());
    }
    if creates > 0 && file.comments("integrations").is_empty() {
        set_unlisted(
            &mut file,
            Unlisted {
                integrations: UnlistedPolicy::Delete,
                ..Unlisted::default()
            },
        );
        set_guards(
            &mut file,
            &Guards {
                max_deletes: creates,
                ..Guards::default()
            },
        );
        file.comment("unlisted", format!(
            "Integrations created by the run: {creates}. This file deletes them. All earlier integrations are listed above."
        ));
    } else if creates > 0 {
        // Deleting unlisted integrations would also delete those that could not be exported.
        file.comment("unlisted", format!(
            "Integrations created by the run: {creates}. This file does not delete them, because some earlier integrations cannot be listed."
        ));
    }
    file
}

/// Returns the fields of a behavior.
pub fn behavior_entry(enabled: bool, risk_level: Option<String>) -> Value {
    match risk_level {
        Some(risk_level) => json!({ "enabled": enabled, "risk_level": risk_level }),
        None => json!({ "enabled": enabled }),
    }
}

/// Returns the fields of an integration, with the name of its identity provider in place of the reference if it is given.
pub fn integration_entry(
    fields: &Fields,
    provider: Option<&str>,
    id: Option<IntegrationId>,
) -> Value {
    let mut entry = json!({
        "integration_type": fields.get(Field::IntegrationType),
        "tenant_url": escaped(&fields.shown(Field::TenantUrl)),
        "active": fields.get(Field::Active),
    });
    match (provider, fields.reference_id()) {
        (Some(provider), _) => entry["identity_provider"] = escaped(provider).into(),
        (None, Some(reference)) => entry["reference_id"] = escaped(reference.as_str()).into(),
        (None, None) => {}
    }
    if let Some(id) = id {
        entry["id"] = id.to_string().into();
    }
    entry
}

/// Returns the entry of an integration, or a comment if a file cannot declare it.
fn integration_to_export(
    integration: &Integration,
    all: &[Integration],
    options: ExportOptions<'_>,
) -> Result<Value, String> {
    let Integration { id, fields, .. } = integration;
    let left_out = |what: &str, value: &str| {
        Err(format!(
            "left out: integration[{id}] with invalid {what} {value:?}"
        ))
    };
    for (field, value) in fields.iter() {
        let text = value.to_string();
        let is_valid = match value {
            FieldValue::Text(_) => text == OKTA,
            FieldValue::Url(_) => text.parse::<TenantUrl>().is_ok() && is_declarable(&text),
            FieldValue::Reference(_) => is_declarable(&text),
            FieldValue::Bool(_) | FieldValue::Level(_) => true,
        };
        if !is_valid {
            return left_out(field.as_str(), &text);
        }
    }
    // Integrations with equal tenant_url or reference_id need their IDs.
    let shares = |other: &Integration| {
        other.id != *id
            && (other.fields.tenant_url() == fields.tenant_url()
                || fields
                    .reference_id()
                    .is_some_and(|reference| other.fields.reference_id() == Some(reference)))
    };
    let provider = fields
        .reference_id()
        .and_then(|one| options.provider_of(one));
    let is_pinned = options.pins == PinIds::Always || all.iter().any(shares);
    Ok(integration_entry(
        fields,
        provider,
        is_pinned.then_some(*id),
    ))
}

/// Returns true if a file can contain the text.
fn is_declarable(text: &str) -> bool {
    // Half of the limit, because escaping adds a character to every `${`.
    text.len() <= MAX_VALUE_BYTES / 2 && !text.chars().any(is_invisible)
}

fn is_declarable_key(key: &str) -> bool {
    !key.is_empty()
        && key != "*"
        && key.len() <= MAX_KEY_BYTES
        && !key.contains("${")
        && !key.chars().any(|c| c.is_whitespace() || is_invisible(c))
}

/// Names each integration after the host of its tenant. If several have the same host, a part of the ID is appended, so that the name does
/// not depend on the order of the integrations.
fn named(integrations: &[Integration]) -> BTreeMap<String, &Integration> {
    let mut bases: BTreeMap<String, Vec<&Integration>> = BTreeMap::new();
    for integration in integrations {
        let base =
            name_from_host((integration.fields.tenant_url()).map_or("", TenantUrl::normalized));
        bases.entry(base).or_default().push(integration);
    }
    let lone: BTreeSet<String> = bases
        .iter()
        .filter(|(_, group)| group.len() == 1)
        .map(|(base, _)| base.clone())
        .collect();
    let mut names = BTreeMap::new();
    for (base, group) in bases {
        for integration in &group {
            let id = integration.id.to_string();
            let candidates = [
                base.clone(),
                format!("{base}-{}", &id[..8]),
                format!("{base}-{id}"),
            ];
            let free = |name: &&String| {
                (group.len() == 1 || **name != base)
                    && !names.contains_key(*name)
                    && (group.len() == 1 || !lone.contains(*name))
            };
            let name = candidates.iter().find(free).cloned();
            names.insert(name.unwrap_or(id), *integration);
        }
    }
    names
}

/// Returns the name for a host, such as `corp-okta-com-8443` for `https://corp.okta.com:8443`.
pub(crate) fn name_from_host(url: &str) -> String {
    let host = url.strip_prefix("https://").unwrap_or(url);
    let name: String = host
        .chars()
        .take(200)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "integration".to_owned()
    } else {
        name.to_owned()
    }
}
