//! SHA-256 over canonical JSON: object keys sorted, no white space.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use serde_json::Value;

use crate::model::account::LiveAccount;
use crate::model::field::{Field, FieldValue};
use crate::model::text::hex;

/// Returns the digest of every behavior and every integration. Unlisted ones are included, because the write of behaviors sends the
/// whole map and a new integration can change a match.
pub fn live_digest(live: &LiveAccount) -> String {
    let normalized = |value: &FieldValue| match value {
        FieldValue::Url(url) => Value::from(url.normalized()),
        FieldValue::Reference(reference) => Value::from(reference.normalized()),
        FieldValue::Bool(value) => Value::from(*value),
        FieldValue::Level(_) | FieldValue::Text(_) => Value::from(value.to_string()),
    };
    let resources = live.by_address().into_iter().map(|(address, fields)| {
        let fields = fields
            .iter()
            .map(|(field, value)| (field, normalized(value)));
        (address.to_string(), fields.collect())
    });
    sha256(&resources.collect::<BTreeMap<String, BTreeMap<Field, Value>>>())
}

/// Returns the digest of a value as JSON. Equal values have equal digests if their members are sorted, as in a [`serde_json::Value`].
pub fn sha256(value: &impl Serialize) -> String {
    let mut hash = BufWriter::new(Hashing(Context::new(&SHA256)));
    serde_json::to_writer(&mut hash, value)
        .expect("what is digested has string keys, and hashing does not fail");
    hash.flush().expect("hashing does not fail");
    let (Hashing(hash), _) = hash.into_parts();
    format!("sha256:{}", hex(hash.finish()))
}

/// Writer that feeds a SHA-256.
struct Hashing(Context);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
