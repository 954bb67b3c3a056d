//! SHA-256 over canonical JSON: object keys sorted, no white space.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use crate::model::text::hex;

/// Returns the digest of a value as JSON. Equal values have equal digests if their members are sorted, as in a [`serde_json::Value`].
pub fn sha256(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("digested values have string keys only");
    format!("sha256:{}", hex(digest(&SHA256, &json).as_ref()))
}
