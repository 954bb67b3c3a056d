//! The `integrations` of a file: the tables of their fields, and what comes of all files laid over each other.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::civil::Date;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::decode::{Decoder, duplicate_item};
use super::entries::{EntryMap, NamedEntry};
use super::subject::KeyPath;
use super::text::StringValue;
use super::{ConfigValue, Field, Fields, Shape, fields, nested, variables_by_field, written_words};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::json_schema::text_like;
use crate::config::span::{Span, Spanned};
use crate::config::yaml::{Entry, Node, Value};
use crate::model::address::Name;
use crate::model::integration::{
    DesiredIntegration, IgnoreChange, IntegrationField, IntegrationId, IntegrationType, Lifecycle,
    ParseTenantUrlError, ReferenceId, TenantUrl, TenantUrlWarning,
};

fields! {
    /// An Okta tenant that receives users' risk scores.
    #[schemars(rename = "Integration", extend("minProperties" = 1))]
    IntegrationLayer {
        /// Integration type. Default: the live value, or Okta on create. Changing it replaces the integration.
        #[schemars(example = &"Okta")]
        integration_type: IntegrationType;
        /// Base URL of the tenant: https, host and optional port. Required.
        #[schemars(example = &"https://corp.okta.com")]
        tenant_url: TenantUrl;
        /// ID of the Access identity provider for the tenant. Default: the live value, or a generated one on create.
        #[schemars(example = &"3701e70b-5de4-4d9d-8972-f5aa994d9057")]
        reference_id: ReferenceId;
        /// Name of the Access identity provider, instead of its ID in `reference_id`.
        #[schemars(example = &"Okta (corp)")]
        identity_provider: ProviderName;
        /// Send scores.
        #[schemars(extend("default" = true))]
        active: bool;
        /// ID of the live integration this entry manages. Required only if several share a tenant_url or reference_id.
        #[schemars(example = &"4cfe8442-664b-4915-acd4-b39cd65c4314")]
        id: IntegrationId;
        /// Protection settings.
        lifecycle: LifecycleLayer;
    }
}

fields! {
    /// Protection settings of an integration.
    #[schemars(rename = "Lifecycle")]
    LifecycleLayer {
        /// Block every plan that deletes or replaces this integration. Cannot be overridden.
        #[schemars(extend("default" = false))]
        prevent_destroy: bool;
        /// Fields to ignore. An overriding file replaces the whole list.
        #[schemars(example = ["active"])]
        ignore_changes: IgnoreChanges;
    }
}

fields! {
    /// A field to ignore, permanently or until a date.
    #[schemars(rename = "IgnoreChange")]
    IgnoreLayer {
        /// Field to ignore.
        #[schemars(example = &"active")]
        field: IntegrationField, required "name the field to ignore, as in `{ field: active, until: 2026-12-31 }`";
        /// Last day (UTC) the field is ignored.
        #[schemars(example = &"2026-12-31")]
        until: Date;
        /// Reason, shown in plans.
        #[schemars(example = &"Okta migration")]
        reason: StringValue;
    }
}

nested!(LifecycleLayer);
written_words!(IntegrationType, IntegrationField);

/// The name of an Access identity provider.
#[derive(Clone, Debug)]
pub(in crate::config) struct ProviderName(String);

/// The fields of `ignore_changes`, none twice.
#[derive(Clone, Debug)]
pub(in crate::config) struct IgnoreChanges(Vec<IgnoreLayer>);

impl NamedEntry for IntegrationLayer {
    type Key = Name;

    const ENTRY: KeyPath<'static> = KeyPath::named("integration");
    const DECLARE: &'static str = "set `tenant_url`, or remove the entry";
    const KEY_PATTERN: &'static str = "^[A-Za-z0-9_-]+$";
    const KEY_EXPECTED: &'static str = "a name of letters, digits, _ and -";
    const KEY_EXAMPLES: &'static [&'static str] = &["corporate-okta"];

    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Name> {
        let name = entry.key.parse();
        if name.is_err() {
            decoder.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::Name,
                    entry.key_span,
                    format!("invalid integration name `{}`", entry.key),
                )
                .help("use one or more of A-Z, a-z, 0-9, `_` and `-`; the name is local and not sent to Cloudflare"),
            );
        }
        name.ok()
    }

    fn lay(&mut self, upper: &Self) {
        // Two ways to say the same: whichever an extending file uses replaces what it inherits.
        if !matches!(upper.reference_id, Field::Absent) {
            self.identity_provider = Field::Absent;
        }
        if !matches!(upper.identity_provider, Field::Absent) {
            self.reference_id = Field::Absent;
        }
        self.lay_fields(upper);
    }

    fn judge(&self, decoder: &mut Decoder<'_>, subject: KeyPath<'_>) {
        if let (Some(reference), Some(provider)) =
            (self.reference_id.get(), self.identity_provider.get())
        {
            decoder.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::TwoReferences,
                    provider.span,
                    format!("{subject} sets both `reference_id` and `identity_provider`"),
                )
                .label("name of the identity provider")
                .also(reference.span, "ID of the identity provider")
                .help("keep `reference_id` or `identity_provider`"),
            );
        }
    }
}

impl ConfigValue for TenantUrl {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let field: Field<TenantUrl> = decoder.parsed(entry, subject, |error, text| {
            invalid_tenant_url(error, text, subject)
        });
        if let Some(Spanned { value, span }) = field.get() {
            let misdirected = value.warning().map(|why| misdirected(why, subject, *span));
            misdirected
                .into_iter()
                .for_each(|draft| decoder.found.push(draft));
        }
        field
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like(
            r"[Hh][Tt][Tt][Pp][Ss]://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/?",
            "the https URL of the tenant without a path, such as https://corp.okta.com",
        )
    }
}

fn misdirected(why: TenantUrlWarning, subject: KeyPath<'_>, span: Span) -> DiagnosticBuilder {
    let (rule, message, help) = match why {
        TenantUrlWarning::NotOkta => (
            DiagnosticCode::NotAnOktaOrganization,
            format!("{subject} is not an Okta domain; scores will not arrive"),
            "use the organization's Okta URL, such as `https://corp.okta.com`, not a custom domain",
        ),
        TenantUrlWarning::Admin => (
            DiagnosticCode::AdminHost,
            format!("{subject} is an Okta admin console URL; scores will not arrive"),
            "remove `-admin` from the host",
        ),
    };
    DiagnosticBuilder::new(rule, span, message).help(help)
}

/// The diagnostic for a text that is not the base URL of a tenant.
pub(in crate::config) fn invalid_tenant_url(
    error: ParseTenantUrlError,
    text: &StringValue,
    subject: KeyPath<'_>,
) -> DiagnosticBuilder {
    let help = match error {
        ParseTenantUrlError::Scheme => "start the URL with `https://`",
        ParseTenantUrlError::NoHost => "add the host of the tenant after `https://`",
        ParseTenantUrlError::UserInfo => {
            "remove everything between `https://` and the host; credentials must not be in a file"
        }
        ParseTenantUrlError::Path | ParseTenantUrlError::Query | ParseTenantUrlError::Fragment => {
            "remove everything after the host or port"
        }
        ParseTenantUrlError::Host => {
            "use letters, digits, dots and hyphens; write an internationalized name in its `xn--` form"
        }
        ParseTenantUrlError::Address => "use the host name of the tenant, such as `corp.okta.com`",
        ParseTenantUrlError::Port => "remove the port, or use a number from 1 to 65535",
        ParseTenantUrlError::Malformed => "use a URL such as `https://corp.okta.com`",
    };
    DiagnosticBuilder::new(
        DiagnosticCode::TenantUrl,
        text.span,
        format!("{subject}: invalid tenant URL: {error}"),
    )
    .help(help)
}

impl ConfigValue for ReferenceId {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        if entry.value.is_null() {
            decoder.found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::NullReference,
                    entry.value_span(),
                    format!("{subject}: null is ignored; a reference cannot be cleared"),
                )
                .help("remove the key; the live reference is kept"),
            );
            return Field::Absent;
        }
        StringValue::read(decoder, entry, subject).then(|text| {
            let reference = ReferenceId::new(text.value.as_str());
            if reference.is_none() {
                let message = format!("{subject} is empty");
                let draft = DiagnosticBuilder::new(DiagnosticCode::ReferenceId, text.span, message);
                decoder
                    .found
                    .push(draft.help("remove the key to keep the live reference"));
            } else if !is_uuid(&text.value) {
                decoder.found.push(
                    DiagnosticBuilder::new(
                        DiagnosticCode::ReferenceNotUuid,
                        text.span,
                        format!("{subject} is not a UUID; Access identity provider IDs are UUIDs"),
                    )
                    .help("use the ID of the identity provider, or set its name in `identity_provider`"),
                );
            }
            reference
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "null"], "minLength": 1 })
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

impl ConfigValue for ProviderName {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        StringValue::read(decoder, entry, subject).then(|text| {
            let name = text.value.trim();
            if name.is_empty() {
                let draft = DiagnosticBuilder::new(
                    DiagnosticCode::ReferenceId,
                    text.span,
                    format!("{subject} is empty"),
                );
                decoder
                    .found
                    .push(draft.help("use the name that the dashboard shows"));
            }
            let is_named = !name.is_empty();
            is_named.then_some(ProviderName(text.value))
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"], "pattern": r"\S", "errorMessage": "a non-empty text" })
    }
}

impl ConfigValue for IntegrationId {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder
            .parsed(entry, subject, |_: InvalidPin, text| {
                DiagnosticBuilder::new(
                    DiagnosticCode::IntegrationId,
                    text.span,
                    format!("{subject}: expected an integration ID, found `{}`", text.written),
                )
                .help("run `riskform get integrations` to list IDs such as `4cfe8442-664b-4915-acd4-b39cd65c4314`")
            })
            .then(|Pin(id)| Some(id))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like(
            "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
            "the ID of a live integration, a UUID (see riskform get integrations)",
        )
    }
}

/// An id as a file writes it: hyphenated, the only form in which the API shows one.
struct Pin(IntegrationId);

struct InvalidPin;

impl std::str::FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        let hyphenated = text.len() == 36;
        match text.parse() {
            Ok(id) if hyphenated => Ok(Pin(id)),
            Ok(_) | Err(_) => Err(InvalidPin),
        }
    }
}

impl ConfigValue for IgnoreChanges {
    const SHAPE: Shape = Shape::List(&Shape::Fields(IgnoreLayer::FIELDS));

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let Some(items) = decoder.items(entry, subject) else {
            return Field::Wrong;
        };
        let mut list: Vec<IgnoreLayer> = Vec::new();
        let mut first = HashMap::new();
        for item in items {
            let Some(ignore) = ignore_change(decoder, item, subject) else {
                continue;
            };
            let Some(Spanned { value, span }) = ignore.field.get().cloned() else {
                continue;
            };
            match first.get(value.as_str()) {
                Some(earlier) => {
                    let draft = duplicate_item(subject, value.as_str(), span, *earlier);
                    decoder.found.push(draft);
                }
                None => {
                    first.insert(value.as_str(), span);
                    list.push(ignore);
                }
            }
        }
        Field::set(IgnoreChanges(list), entry.key_span)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let field = IntegrationField::schema(generator);
        let with_end = generator.subschema_for::<IgnoreLayer>();
        json_schema!({ "type": "array", "items": { "anyOf": [field, with_end] } })
    }
}

/// Reads an item: a field's name, or a mapping that may say until when and why.
fn ignore_change(
    decoder: &mut Decoder<'_>,
    item: &Node,
    subject: KeyPath<'_>,
) -> Option<IgnoreLayer> {
    if matches!(item.value, Value::Mapping(_)) {
        return IgnoreLayer::read_fields(decoder, item, item.span, subject);
    }
    let field = decoder.word(item, item.span, subject, IntegrationField::ALL)?;
    Some(IgnoreLayer {
        field: Field::Set(field, None),
        ..IgnoreLayer::default()
    })
}

impl ConfigValue for Date {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder
            .parsed(entry, subject, |_: InvalidDay, text| {
                DiagnosticBuilder::new(
                    DiagnosticCode::Date,
                    text.span,
                    format!(
                        "{subject}: expected a date such as 2026-12-31, found `{}`",
                        text.written
                    ),
                )
                .help("write year, month and day, as in `2026-12-31`")
            })
            .then(|IsoDate(date)| Some(date))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        text_like("[0-9]{4}-[0-9]{2}-[0-9]{2}", "a date such as 2026-12-31")
    }
}

/// A day as a file writes it: `2026-12-31`, none of the other forms of ISO 8601.
struct IsoDate(Date);

struct InvalidDay;

impl std::str::FromStr for IsoDate {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        match text.parse::<Date>() {
            Ok(date) if date.to_string() == text => Ok(IsoDate(date)),
            Ok(_) | Err(_) => Err(InvalidDay),
        }
    }
}

/// What the account's files declare about integrations, all of them laid over each other. Reports what only then can be seen.
pub(super) fn desired(
    section: &EntryMap<IntegrationLayer>,
    today: Date,
    found: &mut DiagnosticSink,
) -> BTreeMap<Name, DesiredIntegration> {
    section.validate_removed(found);
    shared(section, DiagnosticCode::SharedId, found, |layer| {
        layer.id.get()
    });
    shared(section, DiagnosticCode::SharedTenantUrl, found, |layer| {
        layer.tenant_url.get()
    });
    shared(section, DiagnosticCode::SharedReferenceId, found, |layer| {
        layer.reference_id.get()
    });
    let mut integrations = BTreeMap::new();
    for (name, layer, place) in section.iter() {
        if let Some(integration) = one(name, layer, place, today, found) {
            integrations.insert(name.clone(), integration);
        }
    }
    integrations
}

fn one(
    name: &Name,
    layer: &IntegrationLayer,
    place: Span,
    today: Date,
    found: &mut DiagnosticSink,
) -> Option<DesiredIntegration> {
    let IntegrationLayer {
        integration_type,
        tenant_url,
        reference_id,
        identity_provider,
        active,
        id,
        lifecycle,
    } = layer;
    if matches!(tenant_url, Field::Absent) {
        found.push(
            DiagnosticBuilder::new(
                DiagnosticCode::MissingKey,
                place,
                format!("integration.{name}: missing key `tenant_url`"),
            )
            .help("set the base URL of the tenant, such as `tenant_url: https://corp.okta.com`"),
        );
    }
    let lifecycle = lifecycle
        .value()
        .map(|lifecycle| lifecycle.desired(name, today, found));
    Some(DesiredIntegration {
        name: name.clone(),
        integration_type: integration_type.value().copied(),
        tenant_url: tenant_url.value()?.clone(),
        reference_id: reference_id.value().cloned(),
        identity_provider: identity_provider
            .value()
            .map(|ProviderName(name)| name.clone()),
        identity_provider_org: None,
        active: active.value().copied().unwrap_or(true),
        id: id.value().copied(),
        lifecycle: lifecycle.unwrap_or_default(),
        location: found.sources.location(place),
        variables: variables_by_field!(integration_type, tenant_url, reference_id, active),
    })
}

impl LifecycleLayer {
    fn desired(&self, name: &Name, today: Date, found: &mut DiagnosticSink) -> Lifecycle {
        let LifecycleLayer {
            prevent_destroy,
            ignore_changes,
        } = self;
        let ignored = ignore_changes
            .value()
            .map(|IgnoreChanges(list)| list.as_slice());
        Lifecycle {
            prevent_destroy: prevent_destroy.value().copied().unwrap_or(false),
            ignore_changes: ignored
                .unwrap_or_default()
                .iter()
                .filter_map(|ignore| ignore.desired(name, today, found))
                .collect(),
        }
    }
}

impl IgnoreLayer {
    fn desired(
        &self,
        name: &Name,
        today: Date,
        found: &mut DiagnosticSink,
    ) -> Option<IgnoreChange> {
        let IgnoreLayer {
            field,
            until,
            reason,
        } = self;
        let field = field.get()?;
        if let Some(until) = until.get().filter(|until| until.value < today) {
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::Expired,
                    until.span,
                    format!(
                        "integration.{name}: ignore_changes for `{}` expired on {}",
                        field.value, until.value
                    ),
                )
                .help("remove the item or extend its date"),
            );
        }
        Some(IgnoreChange {
            field: field.value,
            until: until.value().copied(),
            reason: reason.value().map(|reason| reason.value.clone()),
            location: found.sources.location(field.span),
        })
    }
}

/// Reports entries that claim the same live integration. Sharing a URL or a reference is fine between entries that both pin an id.
fn shared<T: Eq + Hash>(
    section: &EntryMap<IntegrationLayer>,
    rule: DiagnosticCode,
    found: &mut DiagnosticSink,
    claim: impl Fn(&IntegrationLayer) -> Option<&Spanned<T>>,
) {
    let mut claims: Vec<_> = section
        .iter()
        .filter_map(|(name, layer, _)| claim(layer).map(|claimed| (name, layer, claimed)))
        .collect();
    // In the order of the files, so that the second mention is the one at fault.
    claims.sort_by_key(|(_, _, claimed)| claimed.span.order());
    let mut first: HashMap<&T, (&Name, &IntegrationLayer, Span)> = HashMap::new();
    for (name, layer, claimed) in claims {
        let Some((elder, elder_layer, elder_span)) = first.get(&claimed.value) else {
            first.insert(&claimed.value, (name, layer, claimed.span));
            continue;
        };
        let told_apart =
            rule != DiagnosticCode::SharedId && is_pinned(layer) && is_pinned(elder_layer);
        if !told_apart {
            found.push(duplicate_key(rule, name, elder, claimed.span, *elder_span));
        }
    }
}

fn is_pinned(layer: &IntegrationLayer) -> bool {
    !matches!(layer.id, Field::Absent)
}

fn duplicate_key(
    rule: DiagnosticCode,
    name: &Name,
    elder: &Name,
    span: Span,
    elder_span: Span,
) -> DiagnosticBuilder {
    let (what, help) = match rule {
        DiagnosticCode::SharedId => (
            "id",
            "remove `id` from one of them; a live integration belongs to one entry",
        ),
        DiagnosticCode::SharedTenantUrl => (
            "tenant_url",
            "use different values, or pin both entries with `id`",
        ),
        _ => (
            "reference_id",
            "use different values, or pin both entries with `id`",
        ),
    };
    DiagnosticBuilder::new(
        rule,
        span,
        format!("integration.{elder} and integration.{name} have the same `{what}`"),
    )
    .label("duplicate")
    .also(elder_span, "first occurrence")
    .help(help)
}
