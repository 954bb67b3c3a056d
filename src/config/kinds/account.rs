//! The document: the tables of its top-level keys, of what is unlisted and of the guards, and how an account comes of one or more files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::behavior::{self, BehaviorLayer};
use super::decode::{Decoder, duplicate_item};
use super::entries::EntryMap;
use super::integration::{self, IntegrationLayer, invalid_tenant_url};
use super::subject::KeyPath;
use super::text::{Environment, StringValue, VariableUse};
use super::{ConfigValue, Field, Fields, Shape, fields, nested, written_words};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::interpolate::is_variable_name;
use crate::config::json_schema::{text_or_digits, texts};
use crate::config::resource_limits::Resource;
use crate::config::span::{Span, Spanned};
use crate::config::yaml::{Document, Entry, Value};
use crate::model::account::{
    AccountId, DesiredAccount, GuardMode, Guards, ParseAccountIdError, PolicyGuardMode,
    ProtectedItem, Unlisted, UnlistedBehaviors, UnlistedIntegrations,
};
use crate::model::address::{Name, ParseNameError};
use crate::model::integration::{IntegrationId, TenantUrl};

fields! {
    /// Desired state of Zero Trust Risk Scoring in one Cloudflare account. Files whose name starts with `_` are fragments for `extends`.
    #[schemars(rename = "DesiredState")]
    Layer {
        /// Version of the file format.
        version: Version, required "write `version: 1`";
        /// Account ID (32 hexadecimal digits). Default: --account-id, then CLOUDFLARE_ACCOUNT_ID.
        #[schemars(
            example = &"023e105f4ecef8ad9ca31a8372d0c353",
            example = &"${CLOUDFLARE_ACCOUNT_ID}"
        )]
        account_id: AccountId;
        /// Display name of the account; must be unique. Default: the account ID.
        #[schemars(example = &"production")]
        name: Name;
        /// Base files, relative to this file. Later files override earlier ones; this file overrides all.
        #[schemars(example = ["_baseline.yaml"])]
        extends: Extends;
        /// Name of the environment variable that holds the API token for this account. Never the token itself.
        #[schemars(example = &"CLOUDFLARE_API_TOKEN")]
        api_token_env: VariableName;
        /// Risk behaviors by name. `"*"` applies to all behaviors not listed. `null` removes an inherited entry, or excludes a behavior
        /// from `"*"`.
        behaviors: EntryMap<BehaviorLayer>;
        /// Integrations by a local name, which is not sent to Cloudflare. `null` removes an inherited entry.
        integrations: EntryMap<IntegrationLayer>;
        /// Handling of live resources that are not in any file.
        unlisted: UnlistedLayer;
        /// Rules that block a plan.
        guards: GuardsLayer;
    }
}

fields! {
    /// Handling of live resources that are not in any file.
    #[schemars(rename = "Unlisted")]
    UnlistedLayer {
        /// Unlisted behaviors: keep, report as drift, or disable.
        #[schemars(extend("default" = "keep"))]
        behaviors: UnlistedBehaviors;
        /// Unlisted integrations: keep, report as drift, or delete.
        #[schemars(extend("default" = "report"))]
        integrations: UnlistedIntegrations;
    }
}

fields! {
    /// Rules that block a plan.
    #[schemars(rename = "Guards")]
    GuardsLayer {
        /// Maximum number of integrations a plan may delete or replace. Override: --max-deletes.
        #[schemars(extend("default" = 1))]
        max_deletes: u32;
        /// Block plans that weaken protection. Override: --allow-weakening.
        #[schemars(extend("default" = "warn"))]
        weakening: GuardMode;
        /// Block plans after which no enabled behavior assigns a level that an Access policy uses. Override: --allow-policies.
        #[schemars(extend("default" = "warn"))]
        policies: PolicyGuardMode;
        /// Integrations that cannot be deleted, replaced, deactivated, or changed in tenant_url or reference_id: tenant_url, reference_id,
        /// ID, address or address pattern. Lists of all files are combined. Cannot be overridden.
        #[schemars(example = ["https://corp.okta.com"])]
        protected: ProtectedList;
    }
}

nested!(UnlistedLayer, GuardsLayer);
written_words!(
    UnlistedBehaviors,
    UnlistedIntegrations,
    GuardMode,
    PolicyGuardMode
);

/// One document of a file.
pub(in crate::config) struct ParsedDocument {
    pub(in crate::config) layer: Layer,
    /// Where it begins.
    pub(in crate::config) span: Span,
    /// Every variable that it names.
    pub(in crate::config) variables: Vec<VariableUse>,
    /// False when a mistake cut it short.
    whole: bool,
}

impl ParsedDocument {
    /// Reads a document and reports what is wrong with it.
    pub(in crate::config) fn read(
        document: &Document,
        found: &mut DiagnosticSink,
        environment: Environment<'_>,
    ) -> Self {
        let span = document.root.span;
        let mut decoder = Decoder::new(found, environment, document.whole);
        let layer = Layer::read_fields(&mut decoder, &document.root, span, KeyPath::DOCUMENT);
        ParsedDocument {
            whole: document.whole && layer.is_some(),
            layer: layer.unwrap_or_default(),
            span,
            variables: decoder.used,
        }
    }
}

/// The only version of the format: the number 1.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Version;

impl ConfigValue for Version {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, _: KeyPath<'_>) -> Field<Self> {
        match &entry.value.value {
            Value::Scalar(scalar) if scalar.plain && &*scalar.text == "1" => {
                Field::set(Version, entry.value.span)
            }
            Value::Invalid => Field::Wrong,
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                let message = "unsupported version; expected `version: 1`";
                let draft =
                    DiagnosticBuilder::new(DiagnosticCode::Version, entry.value_span(), message);
                decoder.found.push(draft.help("write `version: 1`"));
                Field::Wrong
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": 1 })
    }
}

impl ConfigValue for AccountId {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder.parsed(entry, subject, |error: ParseAccountIdError, text| {
            DiagnosticBuilder::new(
                DiagnosticCode::AccountId,
                text.span,
                format!("invalid account ID `{}`: {error}", text.written),
            )
            .help("find it in the URL of the Cloudflare dashboard")
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_or_digits(
            "[0-9a-fA-F]{32}",
            "an account ID (32 hexadecimal digits) or ${CLOUDFLARE_ACCOUNT_ID}",
        )
    }
}

impl ConfigValue for Name {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder.parsed(entry, subject, |error: ParseNameError, text| {
            DiagnosticBuilder::new(
                DiagnosticCode::Name,
                text.span,
                format!("invalid account name `{}`", text.written),
            )
            .help(error.to_string())
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_or_digits("[A-Za-z0-9_-]+", "a name of letters, digits, _ and -")
    }
}

/// The files of `extends`, as written.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Extends(pub(in crate::config) Vec<StringValue>);

impl ConfigValue for Extends {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let Some(items) = decoder.items(entry, subject) else {
            return Field::Wrong;
        };
        let files = items
            .iter()
            .filter_map(|item| decoder.literal(item, item.span, subject))
            .collect();
        Field::set(Extends(files), entry.value_span())
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

/// The name of the environment variable that holds a token.
#[derive(Clone, Debug)]
pub(in crate::config) struct VariableName(pub(in crate::config) String);

impl ConfigValue for VariableName {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let Some(text) = decoder.literal(&entry.value, entry.value_span(), subject) else {
            return Field::Wrong;
        };
        let (message, help) = if !is_variable_name(&text.value) || may_be_a_token(&text.value) {
            (
                "api_token_env must be the name of an environment variable",
                "use a name such as `CLOUDFLARE_API_TOKEN`, never the token itself",
            )
        } else if !decoder
            .environment
            .limits
            .allows_token_variable(&text.value)
        {
            (
                "api_token_env must name a variable that starts with `CLOUDFLARE_` or that the limits file allows",
                "rename the variable or allow it under `token_variables` in the limits file",
            )
        } else {
            return Field::set(VariableName(text.value), text.span);
        };
        let draft = DiagnosticBuilder::new(DiagnosticCode::VariableName, text.span, message);
        decoder.found.push(draft.help(help));
        Field::Wrong
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "errorMessage": "the name of an environment variable, never the token itself" })
    }
}

/// Whether a text looks like a token: 40 characters of both cases and digits. Nobody names a variable like that.
fn may_be_a_token(text: &str) -> bool {
    text.len() >= 32
        && text.contains(|c: char| c.is_ascii_lowercase())
        && text.contains(|c: char| c.is_ascii_digit())
}

impl Layer {
    /// How much an account inherits of it.
    fn size(&self) -> usize {
        let protected = self
            .guards
            .value()
            .and_then(|guards| guards.protected.value());
        self.behaviors.value().map_or(0, EntryMap::len)
            + self.integrations.value().map_or(0, EntryMap::len)
            + protected.map_or(0, |ProtectedList(items)| items.len())
    }
}

/// The items of `protected`, none twice.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct ProtectedList(Vec<Spanned<String>>);

impl ProtectedList {
    pub(in crate::config) fn desired(&self, found: &DiagnosticSink) -> Vec<ProtectedItem> {
        let items = self.0.iter().map(|Spanned { value, span }| ProtectedItem {
            text: value.clone(),
            location: found.sources.location(*span),
        });
        items.collect()
    }

    /// Rejects items that the author of a file could evade by renaming an entry. Only limits are this strict.
    pub(in crate::config) fn validate_for_limits(&self, found: &mut DiagnosticSink) {
        for Spanned { value, span } in &self.0 {
            if value.starts_with("https://") || value.parse::<IntegrationId>().is_ok() {
                continue;
            }
            let message =
                format!("guards.protected: expected an https URL or a UUID, found `{value}`");
            found.push(
                DiagnosticBuilder::new(DiagnosticCode::LimitsProtected, *span, message)
                    .help("use the tenant_url, the reference_id or the ID of the integration"),
            );
        }
    }
}

impl ConfigValue for ProtectedList {
    const SHAPE: Shape = Shape::List(&Shape::Value);

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let Some(items) = decoder.items(entry, subject) else {
            return Field::Wrong;
        };
        let mut list: Vec<Spanned<String>> = Vec::new();
        let mut first: HashMap<String, Span> = HashMap::new();
        for item in items {
            let Some(text) = decoder.text(item, item.span, subject) else {
                continue;
            };
            if let Some(draft) = unprotecting(&text, subject) {
                decoder.found.push(draft);
            }
            if let Some(earlier) = first.get(&text.value) {
                let draft = duplicate_item(subject, &text.written, text.span, *earlier);
                decoder.found.push(draft);
                continue;
            }
            first.insert(text.value.clone(), text.span);
            list.push(Spanned {
                span: text.span,
                value: text.value,
            });
        }
        Field::set(ProtectedList(list), entry.value_span())
    }

    /// A union: nobody sheds a protection by extending a file.
    fn lay(&mut self, upper: &Self) {
        let known: HashSet<&str> = self.0.iter().map(|one| one.value.as_str()).collect();
        let new = upper
            .0
            .iter()
            .filter(|one| !known.contains(one.value.as_str()));
        let new: Vec<_> = new.cloned().collect();
        self.0.extend(new);
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        texts()
    }
}

/// What is wrong with an item of `protected` that would silently protect nothing.
fn unprotecting(text: &StringValue, subject: KeyPath<'_>) -> Option<DiagnosticBuilder> {
    let value = text.value.as_str();
    if value.is_empty() {
        let draft = DiagnosticBuilder::new(
            DiagnosticCode::ReferenceId,
            text.span,
            format!("{subject} contains an empty item"),
        );
        return Some(draft.help("use a tenant_url, a reference_id, an ID or an address"));
    }
    if value.contains("://") {
        let error = value.parse::<TenantUrl>().err()?;
        return Some(invalid_tenant_url(error, text, subject));
    }
    if ProtectedItem::is_address(value) {
        return None;
    }
    // A reference may be any text, so a host is only suspected.
    let like_a_host =
        value.contains('.') && format!("https://{value}").parse::<TenantUrl>().is_ok();
    like_a_host.then(|| {
        DiagnosticBuilder::new(
            DiagnosticCode::ProtectedHost,
            text.span,
            format!("`{}` is treated as a reference_id", text.written),
        )
        .help(format!(
            "write `https://{}` to protect the tenant",
            text.written
        ))
    })
}

impl UnlistedLayer {
    fn desired(&self) -> Unlisted {
        let UnlistedLayer {
            behaviors,
            integrations,
        } = self;
        Unlisted {
            behaviors: behaviors.value().copied().unwrap_or_default(),
            integrations: integrations.value().copied().unwrap_or_default(),
        }
    }
}

impl GuardsLayer {
    fn desired(&self, found: &DiagnosticSink) -> Guards {
        let GuardsLayer {
            max_deletes,
            weakening,
            policies,
            protected,
        } = self;
        let default = Guards::default();
        Guards {
            max_deletes: max_deletes.value().copied().unwrap_or(default.max_deletes),
            weakening: weakening.value().copied().unwrap_or_default(),
            policies: policies.value().copied().unwrap_or_default(),
            protected: protected
                .value()
                .map(|list| list.desired(found))
                .unwrap_or_default(),
        }
    }
}

/// The account ids that stand in for one that a file leaves out.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct AccountIds {
    /// From the command line; a file must not disagree.
    pub(in crate::config) flag: Option<AccountId>,
    /// From the environment; a file may disagree.
    pub(in crate::config) default: Option<AccountId>,
}

/// An account whose files are all laid over each other, and what the fleet needs to know of it.
pub(in crate::config) struct MergedAccount {
    pub(in crate::config) account: DesiredAccount,
    /// Where its `account_id` stands, or its document begins.
    pub(in crate::config) id_span: Span,
    /// Where its `name` stands, or its document begins.
    pub(in crate::config) name_span: Span,
}

/// Lays an account's files over each other, the lowest first and the account's own last, and judges the outcome.
///
/// `None` when no account came of it; why has then been reported.
pub(in crate::config) fn declare(
    layers: &[Arc<ParsedDocument>],
    ids: &AccountIds,
    today: Date,
    found: &mut DiagnosticSink,
) -> Option<MergedAccount> {
    let own = layers.last()?;
    // What a document lacks that was cut short may only be unread.
    if !layers.iter().all(|declaration| declaration.whole) {
        return None;
    }
    let mut merged = Layer::default();
    for declaration in layers {
        if !found.spend(Resource::Declared, declaration.layer.size(), own.span) {
            return None;
        }
        merged.lay_fields(&declaration.layer);
    }
    let Layer {
        version: _,
        account_id,
        name,
        extends: _,
        api_token_env,
        behaviors,
        integrations,
        unlisted,
        guards,
    } = merged;
    let behavior::Desired {
        behaviors,
        every,
        unmanaged,
    } = behavior::desired(&behaviors.into_value().unwrap_or_default(), found);
    let integrations = integrations.into_value().unwrap_or_default();
    let integrations = integration::desired(&integrations, today, found);
    let id_span = account_id.get().map_or(own.span, |id| id.span);
    let name_span = name.get().map_or(id_span, |name| name.span);
    let account = DesiredAccount {
        account_id: resolve_account_id(&account_id, ids, own.span, found)?,
        name: name.into_value(),
        source: Arc::clone(found.sources.name(own.span.source)),
        api_token_env: api_token_env.into_value().map(|VariableName(name)| name),
        behaviors,
        wildcard: every,
        unmanaged,
        integrations,
        unlisted: unlisted.into_value().unwrap_or_default().desired(),
        guards: guards.into_value().unwrap_or_default().desired(found),
    };
    Some(MergedAccount {
        account,
        id_span,
        name_span,
    })
}

fn resolve_account_id(
    declared: &Field<AccountId>,
    ids: &AccountIds,
    document: Span,
    found: &mut DiagnosticSink,
) -> Option<AccountId> {
    let AccountIds { flag, default } = ids;
    match (declared, flag) {
        (Field::Wrong, _) => None,
        (Field::Set(declared, _), Some(flag)) if declared.value != *flag => {
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::AccountIdConflict,
                    declared.span,
                    format!("account_id does not match --account-id {flag}"),
                )
                .help("omit --account-id, or pass the file of that account"),
            );
            None
        }
        (Field::Set(declared, _), _) => Some(declared.value.clone()),
        (Field::Absent, Some(flag)) => Some(flag.clone()),
        (Field::Absent, None) => {
            if default.is_none() {
                found.push(
                    DiagnosticBuilder::new(
                        DiagnosticCode::MissingAccountId,
                        document,
                        "missing account ID",
                    )
                    .help("set `account_id`, pass --account-id, or set CLOUDFLARE_ACCOUNT_ID"),
                );
            }
            default.clone()
        }
    }
}
