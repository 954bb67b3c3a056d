//! The `integrations` of a file: what may be written there, how files lay over each other, and what comes of it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::civil::Date;
use schemars::JsonSchema;

use super::decode::{Decoder, Field, Subject, Text};
use super::entries::{Listed, Listing};
use crate::config::diagnostic::{Draft, Found};
use crate::config::rule::Rule;
use crate::config::schema::{all_optional, only_field_required};
use crate::config::source::{Span, Spanned};
use crate::config::yaml::{Entry, Node, Value};
use crate::model::address::Name;
use crate::model::integration::{
    DesiredIntegration, IgnoreChange, IntegrationField, IntegrationId, IntegrationType,
    InvalidTenantUrl, Lifecycle, ReferenceId, TenantUrl,
};

/// One integration: a tenant that users' risk scores are sent to.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename = "Integration", deny_unknown_fields, extend("minProperties" = 1), transform = all_optional)]
pub(in crate::config) struct IntegrationLayer {
    /// What kind it is. Left out it stays as it is, and is Okta on create. Another type means a replacement.
    #[schemars(example = &"Okta")]
    integration_type: Field<IntegrationType>,
    /// The tenant's base URL: https, a host, perhaps a port, nothing else. Required once all files are laid over each other.
    #[schemars(example = &"https://corp.okta.com")]
    tenant_url: Field<TenantUrl>,
    /// The id of the Access identity provider for the tenant. Left out it stays as it is live; `null` clears it.
    #[schemars(example = &"3701e70b-5de4-4d9d-8972-f5aa994d9057")]
    reference_id: Field<Option<ReferenceId>>,
    /// Whether scores are sent.
    #[schemars(extend("default" = true))]
    active: Field<bool>,
    /// Pins this entry to one live integration, by the id that the API gave it. Needed only where two share a URL or a reference.
    #[schemars(example = &"4cfe8442-664b-4915-acd4-b39cd65c4314")]
    id: Field<IntegrationId>,
    /// What must not happen to it.
    lifecycle: LifecycleLayer,
}

/// What must not happen to an integration.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename = "Lifecycle", deny_unknown_fields, transform = all_optional)]
struct LifecycleLayer {
    /// Refuse any plan that deletes or replaces it. There is no override.
    #[schemars(extend("default" = false))]
    prevent_destroy: Field<bool>,
    /// Fields that are left as they are live. An extending file replaces the whole list.
    #[schemars(example = ["active"])]
    ignore_changes: Field<Vec<IgnoreLayer>>,
}

/// One field that is left as it is live, for good or until a day.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename = "IgnoreChange", deny_unknown_fields, transform = only_field_required)]
pub(in crate::config) struct IgnoreLayer {
    /// The field to leave alone.
    #[schemars(example = &"active")]
    field: Spanned<IntegrationField>,
    /// The last day, in UTC, on which it is left alone. Afterwards it counts again.
    #[schemars(example = &"2026-12-31")]
    until: Field<Date>,
    /// Why, for whoever reads the plan.
    #[schemars(example = &"Okta migration")]
    reason: Field<Text>,
}

impl Listed for IntegrationLayer {
    type Key = Name;

    const SECTION: Subject<'static> = Subject::named("integrations");
    const ENTRY: Subject<'static> = Subject::named("integration");

    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Name> {
        let name = entry.key.parse();
        if name.is_err() {
            decoder.found.push(
                Draft::new(
                    Rule::Name,
                    entry.key_span,
                    format!("`{}` can't name an integration", entry.key),
                )
                .help("use one or more of A-Z, a-z, 0-9, `_` and `-`; the name is local and never sent"),
            );
        }
        name.ok()
    }

    fn decode(
        decoder: &mut Decoder<'_>,
        entry: &Entry,
        subject: Subject<'_>,
    ) -> Option<IntegrationLayer> {
        let known = [
            "integration_type",
            "tenant_url",
            "reference_id",
            "active",
            "id",
            "lifecycle",
        ];
        let fields = decoder.fields(&entry.value, entry.value_span(), subject, &known)?;
        if fields.is_empty() {
            decoder.lacking(
                Draft::new(
                    Rule::EmptyEntry,
                    entry.key_span,
                    format!("{subject} declares nothing"),
                )
                .help("declare its `tenant_url`, or take the entry out"),
            );
        }
        let (integration_type, active) = (fields.get("integration_type"), fields.get("active"));
        Some(IntegrationLayer {
            integration_type: decoder.word(
                integration_type,
                subject.at("integration_type"),
                IntegrationType::ALL,
            ),
            tenant_url: tenant_url(decoder, fields.get("tenant_url"), subject.at("tenant_url")),
            reference_id: reference_id(
                decoder,
                fields.get("reference_id"),
                subject.at("reference_id"),
            ),
            active: decoder.boolean(active, subject.at("active")),
            id: id(decoder, fields.get("id"), subject.at("id")),
            lifecycle: fields
                .get("lifecycle")
                .map(|entry| LifecycleLayer::decode(decoder, entry, subject.at("lifecycle")))
                .unwrap_or_default(),
        })
    }

    fn lay(&mut self, upper: &IntegrationLayer) {
        let IntegrationLayer {
            integration_type,
            tenant_url,
            reference_id,
            active,
            id,
            lifecycle,
        } = upper;
        self.integration_type.lay(integration_type);
        self.tenant_url.lay(tenant_url);
        self.reference_id.lay(reference_id);
        self.active.lay(active);
        self.id.lay(id);
        self.lifecycle
            .prevent_destroy
            .lay(&lifecycle.prevent_destroy);
        self.lifecycle.ignore_changes.lay(&lifecycle.ignore_changes);
    }
}

impl LifecycleLayer {
    fn decode(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> LifecycleLayer {
        let known = ["prevent_destroy", "ignore_changes"];
        let Some(fields) = decoder.fields(&entry.value, entry.value_span(), subject, &known) else {
            return LifecycleLayer::default();
        };
        let prevent_destroy = fields.get("prevent_destroy");
        LifecycleLayer {
            prevent_destroy: decoder.boolean(prevent_destroy, subject.at("prevent_destroy")),
            ignore_changes: fields
                .get("ignore_changes")
                .map(|entry| ignore_changes(decoder, entry, subject.at("ignore_changes")))
                .unwrap_or_default(),
        }
    }
}

fn tenant_url(
    decoder: &mut Decoder<'_>,
    entry: Option<&Entry>,
    subject: Subject<'_>,
) -> Field<TenantUrl> {
    decoder.parsed(entry, subject, |error, text| {
        invalid_tenant_url(error, text, subject)
    })
}

/// The diagnostic for a text that is no base URL of a tenant.
pub(in crate::config) fn invalid_tenant_url(
    error: InvalidTenantUrl,
    text: &Text,
    subject: Subject<'_>,
) -> Draft {
    let help = match error {
        InvalidTenantUrl::Scheme => "begin it with `https://`",
        InvalidTenantUrl::NoHost => "put the tenant's host behind `https://`",
        InvalidTenantUrl::UserInfo => {
            "take out everything between `https://` and the host; credentials don't belong in a file"
        }
        InvalidTenantUrl::Path | InvalidTenantUrl::Query | InvalidTenantUrl::Fragment => {
            "end it behind the host or the port"
        }
        InvalidTenantUrl::Malformed => "write it as `https://corp.okta.com`",
    };
    Draft::new(
        Rule::TenantUrl,
        text.span,
        format!("{subject} is no base URL of a tenant: {error}"),
    )
    .help(help)
}

fn reference_id(
    decoder: &mut Decoder<'_>,
    entry: Option<&Entry>,
    subject: Subject<'_>,
) -> Field<Option<ReferenceId>> {
    let Some(entry) = entry else {
        return Field::Absent;
    };
    if entry.value.is_null() {
        let span = entry.value_span();
        return Field::Set(Spanned { value: None, span });
    }
    let Some(text) = decoder.text(&entry.value, entry.value_span(), subject) else {
        return Field::Wrong;
    };
    let span = text.span;
    match ReferenceId::new(text.value) {
        Some(reference) => Field::Set(Spanned {
            value: Some(reference),
            span,
        }),
        None => {
            let draft = Draft::new(Rule::ReferenceId, span, format!("{subject} is empty"));
            decoder
                .found
                .push(draft.help("write `null` to clear it, or leave it out to keep what is live"));
            Field::Wrong
        }
    }
}

fn id(
    decoder: &mut Decoder<'_>,
    entry: Option<&Entry>,
    subject: Subject<'_>,
) -> Field<IntegrationId> {
    decoder.parsed(entry, subject, |_: InvalidPin, text| {
        Draft::new(
            Rule::IntegrationId,
            text.span,
            format!("{subject} takes the id of an integration, not `{}`", text.written),
        )
        .help("`riskform get integrations` shows ids such as `4cfe8442-664b-4915-acd4-b39cd65c4314`")
    })
    .map(|Pin(id)| id)
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

fn ignore_changes(
    decoder: &mut Decoder<'_>,
    entry: &Entry,
    subject: Subject<'_>,
) -> Field<Vec<IgnoreLayer>> {
    let Some(items) = decoder.items(entry, subject) else {
        return Field::Wrong;
    };
    let mut list: Vec<IgnoreLayer> = Vec::new();
    for item in items {
        let Some(ignore) = ignore_change(decoder, item, subject) else {
            continue;
        };
        let field = &ignore.field;
        match list.iter().find(|one| one.field.value == field.value) {
            Some(earlier) => decoder.found.push(
                Draft::new(
                    Rule::DuplicateItem,
                    field.span,
                    format!("{subject} lists `{}` twice", field.value),
                )
                .label("again here")
                .also(earlier.field.span, "first here")
                .help("keep one of them"),
            ),
            None => list.push(ignore),
        }
    }
    Field::Set(Spanned {
        value: list,
        span: entry.key_span,
    })
}

fn ignore_change(
    decoder: &mut Decoder<'_>,
    item: &Node,
    subject: Subject<'_>,
) -> Option<IgnoreLayer> {
    if !matches!(item.value, Value::Mapping(_)) {
        let field = decoder.word_at(item, item.span, subject, IntegrationField::ALL)?;
        return Some(IgnoreLayer {
            field,
            until: Field::Absent,
            reason: Field::Absent,
        });
    }
    let known = ["field", "until", "reason"];
    let fields = decoder.fields(item, item.span, subject, &known)?;
    let field = fields.get("field");
    if field.is_none() {
        decoder.lacking(
            Draft::new(
                Rule::MissingKey,
                item.span,
                format!("an item of {subject} lacks its `field`"),
            )
            .help("name the field to leave alone, as in `{ field: active, until: 2026-12-31 }`"),
        );
    }
    let until = decoder.parsed(
        fields.get("until"),
        subject.at("until"),
        |_: InvalidDay, text| {
            Draft::new(
                Rule::Date,
                text.span,
                format!("{subject}.until takes a day, not `{}`", text.written),
            )
            .help("write it as year, month and day: `2026-12-31`")
        },
    );
    let reason = decoder.text_field(fields.get("reason"), subject.at("reason"));
    let field = decoder.word(field, subject.at("field"), IntegrationField::ALL);
    let Field::Set(field) = field else {
        return None;
    };
    Some(IgnoreLayer {
        field,
        until: until.map(|Day(date)| date),
        reason,
    })
}

/// A day as a file writes it: `2026-12-31`, none of the other forms of ISO 8601.
struct Day(Date);

struct InvalidDay;

impl std::str::FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        match text.parse::<Date>() {
            Ok(date) if date.to_string() == text => Ok(Day(date)),
            Ok(_) | Err(_) => Err(InvalidDay),
        }
    }
}

/// What the account's files declare about integrations, all of them laid over each other. Reports what only then can be seen.
pub(in crate::config) fn desired(
    listing: &Listing<IntegrationLayer>,
    today: Date,
    found: &mut Found,
) -> BTreeMap<Name, DesiredIntegration> {
    shared(listing, Rule::SharedId, found, |layer| layer.id.get());
    shared(listing, Rule::SharedTenantUrl, found, |layer| {
        layer.tenant_url.get()
    });
    shared(listing, Rule::SharedReferenceId, found, |layer| {
        layer.reference_id.get().filter(|one| one.value.is_some())
    });
    let mut integrations = BTreeMap::new();
    for (name, layer, place) in listing.iter() {
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
    found: &mut Found,
) -> Option<DesiredIntegration> {
    let IntegrationLayer {
        integration_type,
        tenant_url,
        reference_id,
        active,
        id,
        lifecycle,
    } = layer;
    let LifecycleLayer {
        prevent_destroy,
        ignore_changes,
    } = lifecycle;
    if matches!(tenant_url, Field::Absent) {
        found.push(
            Draft::new(
                Rule::MissingKey,
                place,
                format!("integration.{name} lacks its `tenant_url`"),
            )
            .help("declare the tenant's base URL, such as `tenant_url: https://corp.okta.com`"),
        );
    }
    let ignore_changes = ignore_changes
        .value()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let lifecycle = Lifecycle {
        prevent_destroy: prevent_destroy.value().copied().unwrap_or(false),
        ignore_changes: ignore_changes
            .iter()
            .map(|ignore| ignored(name, ignore, today, found))
            .collect(),
    };
    Some(DesiredIntegration {
        name: name.clone(),
        integration_type: integration_type.value().copied(),
        tenant_url: tenant_url.value()?.clone(),
        reference_id: reference_id.value().cloned().flatten(),
        identity_provider: None,
        active: active.value().copied().unwrap_or(true),
        id: id.value().copied(),
        lifecycle,
        location: found.sources.location(place),
    })
}

fn ignored(name: &Name, layer: &IgnoreLayer, today: Date, found: &mut Found) -> IgnoreChange {
    let IgnoreLayer {
        field,
        until,
        reason,
    } = layer;
    if let Some(until) = until.get().filter(|until| until.value < today) {
        found.push(
            Draft::new(
                Rule::Expired,
                until.span,
                format!(
                    "integration.{name} ignored changes of `{}` until {}; they count again",
                    field.value, until.value
                ),
            )
            .help("take the item out, or move its end"),
        );
    }
    IgnoreChange {
        field: field.value,
        until: until.value().copied(),
        reason: reason.value().map(|reason| reason.value.clone()),
        location: found.sources.location(field.span),
    }
}

/// Reports entries that claim the same live integration. Sharing a URL or a reference is fine between entries that both pin an id.
fn shared<T: Eq + Hash>(
    listing: &Listing<IntegrationLayer>,
    rule: Rule,
    found: &mut Found,
    claim: impl Fn(&IntegrationLayer) -> Option<&Spanned<T>>,
) {
    let mut claims: Vec<_> = listing
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
        let told_apart = rule != Rule::SharedId && is_pinned(layer) && is_pinned(elder_layer);
        if !told_apart {
            found.push(claimed_twice(rule, name, elder, claimed.span, *elder_span));
        }
    }
}

fn is_pinned(layer: &IntegrationLayer) -> bool {
    !matches!(layer.id, Field::Absent)
}

fn claimed_twice(rule: Rule, name: &Name, elder: &Name, span: Span, elder_span: Span) -> Draft {
    let (what, help) = match rule {
        Rule::SharedId => (
            "id",
            "one live integration can only be one entry: take the `id` out of one",
        ),
        Rule::SharedTenantUrl => (
            "tenant_url",
            "give each its own, or pin both to their live integrations with `id`",
        ),
        _ => (
            "reference_id",
            "give each its own, or pin both to their live integrations with `id`",
        ),
    };
    Draft::new(
        rule,
        span,
        format!("integration.{elder} and integration.{name} have the same `{what}`"),
    )
    .label("again here")
    .also(elder_span, "first here")
    .help(help)
}
