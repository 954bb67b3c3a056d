//! The `behaviors` of a file: the table of their fields, and what comes of all files laid over each other.

use std::collections::BTreeMap;

use super::decode::Decoder;
use super::entries::{EntryMap, NamedEntry};
use super::subject::KeyPath;
use super::{fields, variables_by_field, written_words};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::span::Span;
use crate::config::yaml::Entry;
use crate::model::behavior::{BehaviorKey, DesiredBehavior, RiskLevel};
use crate::model::location::Location;
use crate::model::text::is_invisible;

fields! {
    /// A risk behavior. Fields you leave out keep their live value; set at least one.
    #[schemars(rename = "Behavior", extend("minProperties" = 1))]
    BehaviorLayer {
        /// Enable detection. Disabling does not change existing scores.
        #[schemars(example = true)]
        enabled: bool;
        /// Level assigned to users. Access policies match a level exactly, not "at least".
        #[schemars(example = &"high")]
        risk_level: RiskLevel;
    }
}

written_words!(RiskLevel);

/// The key that stands for every behavior that the account offers and the file does not name.
const WILDCARD: &str = "*";

impl NamedEntry for BehaviorLayer {
    type Key = BehaviorKey;

    const ENTRY: KeyPath<'static> = KeyPath::named("behavior");
    const DECLARE: &'static str = "set `enabled` or `risk_level`, or remove the entry";
    const KEY_PATTERN: &'static str = r"^(\*|(?!.*\$\{)[^\s*]+)$";
    const KEY_EXPECTED: &'static str =
        "a behavior name such as imp_travel, or \"*\" for all behaviors not listed";
    const KEY_EXAMPLES: &'static [&'static str] = &["imp_travel", "high_dlp", "sentinel_one", "*"];

    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<BehaviorKey> {
        let key = &*entry.key;
        let (message, help) = if key == WILDCARD || is_key(key) {
            return Some(BehaviorKey::new(key));
        } else if key.contains('*') {
            (
                "behavior names cannot be patterns",
                "list each behavior, or use \"*\" for all behaviors not listed",
            )
        } else {
            (
                "behavior names cannot be empty or contain spaces",
                "use Cloudflare's name of the behavior, such as `imp_travel`",
            )
        };
        let draft = DiagnosticBuilder::new(DiagnosticCode::Name, entry.key_span, message);
        decoder.found.push(draft.help(help));
        None
    }
}

/// Whether a text can be a behavior's key. Nobody knows the vendor's future keys, so only what could not be told apart in output can't.
pub(in crate::config) fn is_key(text: &str) -> bool {
    let strange = |c: char| c == '*' || c.is_whitespace() || is_invisible(c);
    !text.is_empty() && !text.contains(strange)
}

/// What the account's files declare about behaviors, all of them laid over each other.
pub(super) struct Desired {
    pub(super) behaviors: BTreeMap<BehaviorKey, DesiredBehavior>,
    /// `"*"`
    pub(super) every: Option<DesiredBehavior>,
    /// `null` beside `"*"`.
    pub(super) unmanaged: BTreeMap<BehaviorKey, Location>,
}

pub(super) fn desired(section: &EntryMap<BehaviorLayer>, found: &mut DiagnosticSink) -> Desired {
    let star = section.iter().find(|(key, _, _)| key.as_str() == WILDCARD);
    let every = star.map(|(_, layer, place)| one(layer, place, found));
    let unmanaged = if every.is_some() {
        let removed = section.removed();
        removed
            .map(|(key, span)| (key.clone(), found.sources.location(span)))
            .collect()
    } else {
        section.validate_removed(found);
        BTreeMap::new()
    };
    let named = section
        .iter()
        .filter(|(key, _, _)| key.as_str() != WILDCARD);
    let behaviors = named
        .map(|(key, layer, place)| (key.clone(), one(layer, place, found)))
        .collect();
    Desired {
        behaviors,
        every,
        unmanaged,
    }
}

fn one(layer: &BehaviorLayer, place: Span, found: &DiagnosticSink) -> DesiredBehavior {
    let BehaviorLayer {
        enabled,
        risk_level,
    } = layer;
    DesiredBehavior {
        enabled: enabled.value().copied(),
        risk_level: risk_level.value().copied(),
        location: found.sources.location(place),
        variables: variables_by_field!(enabled, risk_level),
    }
}
