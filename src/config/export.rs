//! Exports a live account as a desired-state file, for `export` and as a rollback file.

use std::collections::{BTreeMap, BTreeSet};

use super::write::{AccountFile, BehaviorEntry, IntegrationEntry};
use super::yaml::MAX_VALUE_BYTES;
use crate::model::account::{
    AccountId, DesiredAccount, Guards, LiveAccount, Unlisted, UnlistedIntegrations,
};
use crate::model::address::Name;
use crate::model::behavior::{Behavior, BehaviorKey};
use crate::model::context::IdentityProvider;
use crate::model::integration::{
    Integration, IntegrationSettings, Lifecycle, ReferenceId, TenantUrl,
};
use crate::model::text::is_invisible;

/// Returns a file that declares the live state. Values that a file cannot declare are omitted, with a comment.
pub fn export(
    account_id: &AccountId,
    name: Option<&Name>,
    live: &LiveAccount,
    detail: ExportOptions<'_>,
) -> AccountFile {
    let mut document = AccountFile {
        account_id: Some(account_id.clone()),
        name: name.map(Name::to_string),
        unlisted: Some(Unlisted::default()),
        guards: Some(Guards::default()),
        ..AccountFile::default()
    };
    for (key, behavior) in &live.behaviors {
        match export_behavior(key, behavior) {
            Ok(written) => document.behaviors.push(written),
            Err(comment) => document.behavior_comments.push(comment),
        }
    }
    for (name, integration) in named(&live.integrations) {
        match export_integration(name, integration, &live.integrations, detail) {
            Ok(written) => document.integrations.push(written),
            Err(comment) => document.integration_comments.push(comment),
        }
    }
    document
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
        (is_only && !name.is_empty() && is_declarable(name)).then_some(name)
    }
}

/// Returns the rollback file for a live account before a run that creates `creates` integrations.
pub fn previous(desired: &DesiredAccount, live: &LiveAccount, creates: u32) -> AccountFile {
    let detail = ExportOptions {
        pins: PinIds::Always,
        providers: &[],
    };
    let mut document = export(&desired.account_id, desired.name.as_ref(), live, detail);
    document.header =
        vec!["State before a riskform run. Apply this file to restore it.".to_owned()];
    document.api_token_env = desired.api_token_env.clone();
    if creates > 0 && document.integration_comments.is_empty() {
        let integrations = UnlistedIntegrations::Delete;
        document.unlisted = Some(Unlisted {
            integrations,
            ..Unlisted::default()
        });
        document.guards = Some(Guards {
            max_deletes: creates,
            ..Guards::default()
        });
        document.unlisted_comment = Some(format!(
            "Integrations created by the run: {creates}. This file deletes them. All earlier integrations are listed above."
        ));
    } else if creates > 0 {
        // Deleting unlisted integrations would also delete those that could not be exported.
        document.unlisted_comment = Some(format!(
            "Integrations created by the run: {creates}. This file does not delete them, because some earlier integrations cannot be listed."
        ));
    }
    document
}

fn export_behavior(key: &BehaviorKey, behavior: &Behavior) -> Result<BehaviorEntry, String> {
    if !is_declarable_key(key.as_str()) {
        return Err(format!(
            "left out: invalid behavior name {:?}",
            key.as_str()
        ));
    }
    let level = &behavior.settings.risk_level;
    Ok(BehaviorEntry {
        key: key.clone(),
        enabled: Some(behavior.settings.enabled),
        risk_level: level.known().map(|level| level.to_string()),
        comment: match level.known() {
            Some(_) => None,
            None => Some(format!(
                "left out: unknown risk_level {:?}",
                level.to_string()
            )),
        },
    })
}

fn export_integration(
    name: String,
    integration: &Integration,
    all: &[Integration],
    detail: ExportOptions<'_>,
) -> Result<IntegrationEntry, String> {
    let Integration { id, settings, .. } = integration;
    let IntegrationSettings {
        integration_type,
        tenant_url,
        reference_id,
        active,
    } = settings;
    let left_out = |what: &str, value: &str| {
        Err(format!(
            "left out: integration[{id}] with invalid {what} {value:?}"
        ))
    };
    if integration_type.known().is_none() {
        return left_out("integration_type", &integration_type.to_string());
    }
    if tenant_url.as_str().parse::<TenantUrl>().is_err() || !is_declarable(tenant_url.as_str()) {
        return left_out("tenant_url", tenant_url.as_str());
    }
    if let Some(reference) = reference_id
        && !is_declarable(reference.as_str())
    {
        return left_out("reference_id", reference.as_str());
    }
    // Integrations with equal tenant_url or reference_id need their IDs.
    let shares = |other: &&Integration| {
        other.id != *id
            && (other.settings.tenant_url == *tenant_url
                || (reference_id.is_some() && other.settings.reference_id == *reference_id))
    };
    let provider = reference_id
        .as_ref()
        .and_then(|one| detail.provider_of(one));
    Ok(IntegrationEntry {
        name,
        integration_type: Some(integration_type.to_string()),
        tenant_url: tenant_url.as_str().to_owned(),
        reference_id: reference_id.clone().filter(|_| provider.is_none()),
        identity_provider: provider.map(str::to_owned),
        active: *active,
        id: (detail.pins == PinIds::Always || all.iter().any(|other| shares(&other)))
            .then_some(*id),
        lifecycle: Lifecycle::default(),
    })
}

/// Returns true if a file can contain the text.
fn is_declarable(text: &str) -> bool {
    // Half of the limit, because escaping adds a character to every `${`.
    text.len() <= MAX_VALUE_BYTES / 2 && !text.chars().any(is_invisible)
}

fn is_declarable_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && !key.contains("${")
        && !key.chars().any(|c| c.is_whitespace() || is_invisible(c))
}

/// Names each integration after the host of its tenant. If several have the same host, a part of the ID is appended, so that the name does
/// not depend on the order of the integrations.
fn named(integrations: &[Integration]) -> BTreeMap<String, &Integration> {
    let mut bases: BTreeMap<String, Vec<&Integration>> = BTreeMap::new();
    for integration in integrations {
        let base = name_from_host(integration.settings.tenant_url.normalized());
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
fn name_from_host(url: &str) -> String {
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
