//! What a file may say of each kind of thing: one table of fields each, from which keys, their order, decoding, extending and the JSON
//! Schema follow, and what comes of all the files laid over each other.
//!
//! Knows no file and no YAML text: it is handed nodes. A new field is a line in its kind's table; the compiler then names every place
//! that has to answer for it, since what comes of a table is taken apart field by field.

pub(super) mod account;
pub(super) mod behavior;
pub(super) mod decode;
pub(super) mod entries;
mod field;
pub(super) mod integration;
pub(super) mod limits;
mod scalars;
pub(super) mod subject;
pub(super) mod text;
pub(super) mod variables;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::config::span::{Span, Spanned};
use crate::config::yaml::{Entry, Node};
use decode::Decoder;
pub(super) use field::Field;
use subject::KeyPath;

impl<T: ConfigValue> Field<T> {
    pub(super) fn read(
        decoder: &mut Decoder<'_>,
        entry: Option<&Entry>,
        subject: KeyPath<'_>,
    ) -> Self {
        let Some(entry) = entry else {
            return Field::Absent;
        };
        let used_before = decoder.used.len();
        let mut field = T::read(decoder, entry, subject);
        if let Field::Set(_, variables) = &mut field
            && decoder.used.len() > used_before
        {
            let used = decoder.used[used_before..].iter();
            *variables = Some(Box::new(used.map(|one| one.name.clone()).collect()));
        }
        field
    }

    /// Lays a field of an extending file over this one.
    pub(super) fn lay(&mut self, upper: &Field<T>) {
        match (self, upper) {
            (_, Field::Absent) => {}
            (
                Field::Set(lower, variables),
                Field::Set(Spanned { value, span }, upper_variables),
            ) => {
                lower.value.lay(value);
                lower.span = *span;
                variables.clone_from(upper_variables);
            }
            (lower, upper) => lower.clone_from(upper),
        }
    }
}

impl<T: ConfigValue> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// How a value of a type is written in a file, and what files that extend each other make of two.
pub(super) trait ConfigValue: Clone {
    /// What stands beneath it.
    const SHAPE: Shape = Shape::Value;

    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self>;

    /// Lays the value of an extending file over this one. Most values are replaced.
    fn lay(&mut self, upper: &Self) {
        self.clone_from(upper);
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// What may stand at a place of a file: for whoever lays files out, or judges their keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Value,
    /// A mapping with these keys, in their order.
    Fields(&'static [(&'static str, Shape)]),
    /// A mapping whose keys are names.
    Entries(&'static Shape),
    List(&'static Shape),
}

/// The shape of a document.
pub(super) const DOCUMENT: Shape = Shape::Fields(account::Layer::FIELDS);

/// Whether a desired-state file, or one of limits, may have a key.
pub(super) fn is_key(key: &str) -> bool {
    let mut known = account::Layer::FIELDS
        .iter()
        .chain(limits::LimitsLayer::FIELDS);
    known.any(|(known, _)| *known == key)
}

/// A mapping with known keys; written by [`fields!`].
pub(super) trait Fields: Clone + Sized {
    const FIELDS: &'static [(&'static str, Shape)];

    fn read_fields(
        decoder: &mut Decoder<'_>,
        node: &Node,
        place: Span,
        subject: KeyPath<'_>,
    ) -> Option<Self>;

    fn lay_fields(&mut self, upper: &Self);

    /// What JSON Schema can't see in a type: which fields have to be there.
    fn require(schema: &mut Schema);
}

/// The table of one mapping's fields. What is `required` says how to write it.
macro_rules! fields {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $($(#[$field_attribute:meta])* $field:ident: $type:ty $(, required $help:literal)?;)+
        }
    ) => {
        #[derive(Clone, Debug, Default, schemars::JsonSchema)]
        $(#[$attribute])*
        #[schemars(deny_unknown_fields, transform = <$name as crate::config::kinds::Fields>::require)]
        pub(in crate::config) struct $name {
            $($(#[$field_attribute])* pub(in crate::config) $field: crate::config::kinds::Field<$type>,)+
        }

        impl crate::config::kinds::Fields for $name {
            const FIELDS: &'static [(&'static str, crate::config::kinds::Shape)] =
                &[$((stringify!($field), <$type as crate::config::kinds::ConfigValue>::SHAPE)),+];

            fn read_fields(
                decoder: &mut crate::config::kinds::decode::Decoder<'_>,
                node: &crate::config::yaml::Node,
                place: crate::config::span::Span,
                subject: crate::config::kinds::subject::KeyPath<'_>,
            ) -> Option<Self> {
                let known = const { &[$(stringify!($field)),+] };
                let entries = decoder.known(node, place, subject, known)?;
                let get = |key: &str| entries.iter().find(|entry| &*entry.key == key);
                $($(
                    if get(stringify!($field)).is_none() {
                        decoder.missing_key(place, subject, stringify!($field), $help);
                    }
                )?)+
                Some($name {
                    $($field: crate::config::kinds::Field::read(
                        decoder,
                        get(stringify!($field)),
                        subject.at(stringify!($field)),
                    ),)+
                })
            }

            fn lay_fields(&mut self, upper: &Self) {
                let $name { $($field),+ } = upper;
                $(self.$field.lay($field);)+
            }

            fn require(schema: &mut schemars::Schema) {
                schema.remove("required");
                let required: &[&str] = &[$($(crate::config::kinds::required!($field $help),)?)+];
                if !required.is_empty() {
                    schema.insert("required".to_owned(), serde_json::json!(required));
                }
            }
        }
    };
}

/// The name of a field that has a help for when it is missing.
macro_rules! required {
    ($field:ident $help:literal) => {
        stringify!($field)
    };
}
pub(in crate::config) use {fields, required};

/// Makes a table the value of a key in another table: mappings merge key by key.
macro_rules! nested {
    ($($name:ident),+) => {
        $(impl crate::config::kinds::ConfigValue for $name {
            const SHAPE: crate::config::kinds::Shape =
                crate::config::kinds::Shape::Fields(<$name as crate::config::kinds::Fields>::FIELDS);

            fn read(
                decoder: &mut crate::config::kinds::decode::Decoder<'_>,
                entry: &crate::config::yaml::Entry,
                subject: crate::config::kinds::subject::KeyPath<'_>,
            ) -> crate::config::kinds::Field<Self> {
                let place = entry.value_span();
                match crate::config::kinds::Fields::read_fields(decoder, &entry.value, place, subject) {
                    Some(value) => crate::config::kinds::Field::set(value, place),
                    None => crate::config::kinds::Field::Wrong,
                }
            }

            fn lay(&mut self, upper: &Self) {
                crate::config::kinds::Fields::lay_fields(self, upper);
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<$name>()
            }
        })+
    };
}
pub(in crate::config) use nested;

/// Reads closed sets of words.
macro_rules! written_words {
    ($($word:ty),+ $(,)?) => {
        $(impl crate::config::kinds::ConfigValue for $word {
            fn read(
                decoder: &mut crate::config::kinds::decode::Decoder<'_>,
                entry: &crate::config::yaml::Entry,
                subject: crate::config::kinds::subject::KeyPath<'_>,
            ) -> crate::config::kinds::Field<Self> {
                match decoder.word(&entry.value, entry.value_span(), subject, <$word>::ALL) {
                    Some(spanned) => crate::config::kinds::Field::Set(spanned, None),
                    None => crate::config::kinds::Field::Wrong,
                }
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words: Vec<&str> = <$word>::ALL.iter().map(|word| word.as_str()).collect();
                let expected = crate::config::suggest::alternatives(&words).replace('`', "");
                crate::config::json_schema::or_variable(
                    serde_json::json!({ "type": "string", "enum": words }),
                    &expected,
                )
            }
        })+
    };
}
pub(in crate::config) use written_words;

/// By field, the names of the variables that its value was made of.
macro_rules! variables_by_field {
    ($($field:ident),+) => {
        [$((stringify!($field), $field.variables())),+]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(field, names)| (field.to_owned(), names.to_vec()))
            .collect()
    };
}
pub(in crate::config) use variables_by_field;
