//! What `behaviors` and `integrations` have in common: named entries that files lay over each other, and that `null` takes away.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::decode::Decoder;
use super::subject::KeyPath;
use super::{ConfigValue, Field, Fields, Shape};
use crate::config::code::DiagnosticCode;
use crate::config::diagnostic::{DiagnosticBuilder, DiagnosticSink};
use crate::config::resource_limits::Resource;
use crate::config::span::Span;
use crate::config::yaml::Entry;

/// A kind of entry.
pub(in crate::config) trait NamedEntry: Fields + JsonSchema {
    /// What entries are called by.
    type Key: Clone + Ord + fmt::Display;

    /// How one entry is addressed.
    const ENTRY: KeyPath<'static>;
    /// What to do about an entry that declares nothing.
    const DECLARE: &'static str;
    /// What keys look like, for editors.
    const KEY_PATTERN: &'static str;
    /// What an editor says of a key of another form.
    const KEY_EXPECTED: &'static str;
    const KEY_EXAMPLES: &'static [&'static str];

    /// Reads an entry's key; reports one that can't be.
    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Self::Key>;

    /// Lays an extending file's entry over this one.
    fn lay(&mut self, upper: &Self) {
        self.lay_fields(upper);
    }

    /// Reports what is wrong between the fields of one entry.
    fn judge(&self, _: &mut Decoder<'_>, _: KeyPath<'_>) {}
}

/// The section of one file, or of all of an account's files laid over each other.
#[derive(Clone, Debug)]
pub(in crate::config) struct EntryMap<L: NamedEntry> {
    entries: BTreeMap<L::Key, (Item<L>, Span)>,
}

/// One entry.
#[derive(Clone, Debug)]
enum Item<L> {
    Declared(L),
    /// `null`.
    Removed {
        /// Whether it took away something.
        inherited: bool,
    },
    /// Reported already.
    Invalid,
}

impl<L: NamedEntry> EntryMap<L> {
    pub(in crate::config) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<L: NamedEntry> Default for EntryMap<L> {
    fn default() -> Self {
        EntryMap {
            entries: BTreeMap::new(),
        }
    }
}

impl<L: NamedEntry> ConfigValue for EntryMap<L> {
    const SHAPE: Shape = Shape::Entries(&Shape::Fields(L::FIELDS));

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        let place = entry.value_span();
        let Some(entries) = decoder.entries(&entry.value, place, subject) else {
            return Field::Wrong;
        };
        let mut section = EntryMap::default();
        for entry in entries {
            if !decoder.found.spend(Resource::Entries, 1, entry.key_span) {
                break;
            }
            let key = if entry.key.contains("${") {
                decoder.found.push(
                    DiagnosticBuilder::new(
                        DiagnosticCode::Interpolation,
                        entry.key_span,
                        "variables are not allowed in keys",
                    )
                    .help("write the key without variables"),
                );
                None
            } else {
                L::key(decoder, entry)
            };
            let item = Item::read(decoder, entry);
            if let Some(key) = key {
                section.entries.insert(key, (item, entry.key_span));
            }
        }
        Field::set(section, place)
    }

    /// An entry is located where it was declared last.
    fn lay(&mut self, upper: &Self) {
        for (key, (item, span)) in &upper.entries {
            match self.entries.entry(key.clone()) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert((item.clone(), *span));
                }
                btree_map::Entry::Occupied(occupied) => {
                    let (lower, place) = occupied.into_mut();
                    lower.lay(item);
                    *place = *span;
                }
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<L>();
        let entry = json!({ "anyOf": [entry, { "type": "null" }] });
        let examples = L::KEY_EXAMPLES.iter();
        let examples: serde_json::Map<_, _> = examples
            .map(|key| ((*key).to_owned(), entry.clone()))
            .collect();
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": L::KEY_PATTERN, "errorMessage": L::KEY_EXPECTED },
            // What editors complete; any other name is as good.
            "properties": examples,
            "additionalProperties": entry,
        })
    }
}

impl<L: NamedEntry> Item<L> {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry) -> Self {
        if entry.value.is_null() {
            return Item::Removed { inherited: false };
        }
        let subject = L::ENTRY.at(&entry.key);
        let Some(layer) = L::read_fields(decoder, &entry.value, entry.value_span(), subject) else {
            return Item::Invalid;
        };
        if entry.value.is_empty() {
            let message = format!("{subject} is empty");
            let draft = DiagnosticBuilder::new(DiagnosticCode::EmptyEntry, entry.key_span, message);
            decoder.lacking(draft.help(L::DECLARE));
        }
        layer.judge(decoder, subject);
        Item::Declared(layer)
    }

    fn lay(&mut self, upper: &Item<L>) {
        match (&mut *self, upper) {
            (Item::Declared(lower), Item::Declared(upper)) => lower.lay(upper),
            (Item::Declared(_) | Item::Invalid, Item::Removed { .. }) => {
                *self = Item::Removed { inherited: true };
            }
            (_, upper) => self.clone_from(upper),
        }
    }
}

impl<L: NamedEntry> EntryMap<L> {
    /// The declared entries, in the order of their keys.
    pub(in crate::config) fn iter(&self) -> impl Iterator<Item = (&L::Key, &L, Span)> {
        self.entries
            .iter()
            .filter_map(|(key, (item, span))| match item {
                Item::Declared(layer) => Some((key, layer, *span)),
                Item::Removed { .. } | Item::Invalid => None,
            })
    }

    /// The entries that are `null`.
    pub(in crate::config) fn removed(&self) -> impl Iterator<Item = (&L::Key, Span)> {
        self.entries
            .iter()
            .filter(|(_, (item, _))| matches!(item, Item::Removed { .. }))
            .map(|(key, (_, span))| (key, *span))
    }

    /// Reports every `null` that takes away nothing.
    pub(in crate::config) fn validate_removed(&self, found: &mut DiagnosticSink) {
        for (key, (item, span)) in &self.entries {
            if matches!(item, Item::Removed { inherited: false }) {
                found.push(
                    DiagnosticBuilder::new(
                        DiagnosticCode::NothingToRemove,
                        *span,
                        format!(
                            "{}: null has no effect; no extended file declares it",
                            L::ENTRY.at(&key.to_string())
                        ),
                    )
                    .help("`null` removes an inherited entry; add fields or remove the entry"),
                );
            }
        }
    }
}
