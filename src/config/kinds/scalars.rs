//! How scalars are written in a file.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::decode::Decoder;
use super::subject::KeyPath;
use super::text::StringValue;
use super::{ConfigValue, Field};
use crate::config::json_schema::or_variable;
use crate::config::yaml::Entry;

impl ConfigValue for bool {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder.boolean(entry, subject)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(json!({ "type": "boolean" }), "true or false")
    }
}

impl ConfigValue for u32 {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        decoder.number(entry, subject)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            "a whole number",
        )
    }
}

impl ConfigValue for StringValue {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: KeyPath<'_>) -> Field<Self> {
        match decoder.text(&entry.value, entry.value_span(), subject) {
            Some(text) => {
                let span = text.span;
                Field::set(text, span)
            }
            None => Field::Wrong,
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"] })
    }
}
