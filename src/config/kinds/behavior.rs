//! The `behaviors` of a file: what may be written there, how files lay over each other, and what comes of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::decode::{Decoder, Field, Subject};
use super::entries::{Listed, Listing};
use crate::config::diagnostic::{Draft, Found};
use crate::config::rule::Rule;
use crate::config::schema::all_optional;
use crate::config::source::Span;
use crate::config::yaml::Entry;
use crate::model::behavior::{BehaviorKey, DesiredBehavior, RiskLevel};
use crate::model::text::is_unseen;

/// One risk behavior. A field that is left out stays as it is live; at least one is declared.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename = "Behavior", deny_unknown_fields, extend("minProperties" = 1), transform = all_optional)]
pub(in crate::config) struct BehaviorLayer {
    /// Whether the behavior is detected. Disabling one stops future detection; scores already given stay.
    #[schemars(example = true)]
    enabled: Field<bool>,
    /// The level that it gives a user. Access policies match a level exactly, not as a threshold.
    #[schemars(example = &"high")]
    risk_level: Field<RiskLevel>,
}

impl Listed for BehaviorLayer {
    type Key = BehaviorKey;

    const SECTION: Subject<'static> = Subject::named("behaviors");
    const ENTRY: Subject<'static> = Subject::named("behavior");

    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<BehaviorKey> {
        let key = &*entry.key;
        // Nobody knows the vendor's future keys, so only what could not be told apart in output is refused.
        let wrong = key.is_empty() || key.chars().any(|c| c.is_whitespace() || is_unseen(c));
        if wrong {
            decoder.found.push(
                Draft::new(
                    Rule::Name,
                    entry.key_span,
                    "a behavior's key is a word without spaces",
                )
                .help("write the key as the vendor does, such as `imp_travel`"),
            );
        }
        (!wrong).then(|| BehaviorKey::new(key))
    }

    fn decode(
        decoder: &mut Decoder<'_>,
        entry: &Entry,
        subject: Subject<'_>,
    ) -> Option<BehaviorLayer> {
        let known = ["enabled", "risk_level"];
        let fields = decoder.fields(&entry.value, entry.value_span(), subject, &known)?;
        if fields.is_empty() {
            decoder.lacking(
                Draft::new(
                    Rule::EmptyEntry,
                    entry.key_span,
                    format!("{subject} declares nothing"),
                )
                .help("declare `enabled` or `risk_level`, or take the entry out"),
            );
        }
        let (enabled, risk_level) = (fields.get("enabled"), fields.get("risk_level"));
        Some(BehaviorLayer {
            enabled: decoder.boolean(enabled, subject.at("enabled")),
            risk_level: decoder.word(risk_level, subject.at("risk_level"), RiskLevel::ALL),
        })
    }

    fn lay(&mut self, upper: &BehaviorLayer) {
        let BehaviorLayer {
            enabled,
            risk_level,
        } = upper;
        self.enabled.lay(enabled);
        self.risk_level.lay(risk_level);
    }
}

/// What the account's files declare about behaviors, all of them laid over each other.
pub(in crate::config) fn desired(
    listing: &Listing<BehaviorLayer>,
    found: &Found,
) -> BTreeMap<BehaviorKey, DesiredBehavior> {
    listing
        .iter()
        .map(
            |(key, layer, place): (&BehaviorKey, &BehaviorLayer, Span)| {
                let BehaviorLayer {
                    enabled,
                    risk_level,
                } = layer;
                let behavior = DesiredBehavior {
                    enabled: enabled.value().copied(),
                    risk_level: risk_level.value().copied(),
                    location: found.sources.location(place),
                };
                (key.clone(), behavior)
            },
        )
        .collect()
}
