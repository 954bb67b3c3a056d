//! How scalars are written in a file.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::decode::Decoder;
use super::subject::Subject;
use super::text::Text;
use super::{Field, Written};
use crate::config::json_schema::or_variable;
use crate::config::yaml::Entry;

impl Written for bool {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Field<Self> {
        decoder.boolean(entry, subject)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(json!({ "type": "boolean" }), "true or false")
    }
}

impl Written for u32 {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Field<Self> {
        decoder.number(entry, subject)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_variable(
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            "a whole number",
        )
    }
}

impl Written for Text {
    fn read(decoder: &mut Decoder<'_>, entry: &Entry, subject: Subject<'_>) -> Field<Self> {
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
