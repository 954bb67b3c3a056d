//! What `behaviors` and `integrations` have in common: named entries that files lay over each other, and that `null` takes away.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use super::decode::{Decoder, Subject};
use crate::config::diagnostic::{Draft, Found};
use crate::config::rule::Rule;
use crate::config::source::Span;
use crate::config::yaml::Entry;

/// A kind of entry.
pub(in crate::config) trait Listed: Clone {
    /// What entries are called by.
    type Key: Clone + Ord + fmt::Display;

    /// The section of the file.
    const SECTION: Subject<'static>;
    /// How one entry is addressed.
    const ENTRY: Subject<'static>;

    /// Reads an entry's key; reports one that can't be.
    fn key(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Self::Key>;

    /// Reads an entry's value; reports what is wrong with it.
    fn decode(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Option<Self>;

    /// Lays an extending file's entry over this one.
    fn lay(&mut self, upper: &Self);
}

/// One section of one file.
#[derive(Clone, Debug)]
pub(in crate::config) struct Section<L: Listed> {
    entries: BTreeMap<L::Key, (Item<L>, Span)>,
}

/// One entry of one file.
#[derive(Clone, Debug)]
enum Item<L> {
    Declared(L),
    /// `null`: takes away what is inherited.
    Removed,
    /// Reported already.
    Wrong,
}

impl<L: Listed> Default for Section<L> {
    fn default() -> Self {
        Section {
            entries: BTreeMap::new(),
        }
    }
}

impl<L: Listed> Section<L> {
    /// Reads the section that a file may hold under this entry.
    pub(in crate::config) fn decode(decoder: &mut Decoder<'_>, entry: Option<&Entry>) -> Self {
        let mut section = Section::default();
        let Some(entry) = entry else {
            return section;
        };
        let entries = decoder.entries(&entry.value, entry.value_span(), L::SECTION);
        for entry in entries.unwrap_or_default() {
            let subject = L::ENTRY.at(&entry.key);
            let key = if entry.key.contains("${") {
                decoder.found.push(
                    Draft::new(
                        Rule::Interpolation,
                        entry.key_span,
                        "variables are replaced in values, never in keys",
                    )
                    .help("write the key out"),
                );
                None
            } else {
                L::key(decoder, entry)
            };
            let item = if entry.value.is_null() {
                Item::Removed
            } else {
                match L::decode(decoder, entry, subject) {
                    Some(layer) => Item::Declared(layer),
                    None => Item::Wrong,
                }
            };
            if let Some(key) = key {
                section.entries.insert(key, (item, entry.key_span));
            }
        }
        section
    }
}

/// A section with all of an account's files laid over each other, the extending one last.
#[derive(Debug)]
pub(in crate::config) struct Listing<L: Listed> {
    entries: BTreeMap<L::Key, (L, Span)>,
    /// Entries that some file got wrong, so that they are neither there nor missing.
    wrong: BTreeMap<L::Key, Span>,
}

impl<L: Listed> Default for Listing<L> {
    fn default() -> Self {
        Listing {
            entries: BTreeMap::new(),
            wrong: BTreeMap::new(),
        }
    }
}

impl<L: Listed> Listing<L> {
    /// Lays the next file's section over what is there. An entry is located where it was declared last.
    pub(in crate::config) fn lay(&mut self, upper: &Section<L>, found: &mut Found) {
        for (key, (item, span)) in &upper.entries {
            match item {
                Item::Declared(layer) => match self.entries.entry(key.clone()) {
                    btree_map::Entry::Vacant(vacant) => {
                        vacant.insert((layer.clone(), *span));
                    }
                    btree_map::Entry::Occupied(occupied) => {
                        let (lower, place) = occupied.into_mut();
                        lower.lay(layer);
                        *place = *span;
                    }
                },
                Item::Removed => {
                    let inherited = self.entries.remove(key).is_some();
                    let was_wrong = self.wrong.remove(key).is_some();
                    if !inherited && !was_wrong {
                        found.push(
                            Draft::new(
                                Rule::NothingToRemove,
                                *span,
                                format!("{} takes away nothing: no extended file lists it", L::ENTRY.at(&key.to_string())),
                            )
                            .help("`null` takes away an inherited entry; write its fields, or take the entry out"),
                        );
                    }
                }
                Item::Wrong => {
                    self.wrong.insert(key.clone(), *span);
                }
            }
        }
    }

    /// The entries, in the order of their keys.
    pub(in crate::config) fn iter(&self) -> impl Iterator<Item = (&L::Key, &L, Span)> {
        self.entries
            .iter()
            .map(|(key, (layer, span))| (key, layer, *span))
    }
}
