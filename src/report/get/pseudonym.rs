//! Pseudonyms: stable names for users that reveal nothing about them.

use aws_lc_rs::digest::{SHA256, digest};

use crate::model::text::hex;
use crate::model::user::UserId;

/// Whether users are shown by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// With name and email address.
    Named,
    /// By pseudonym.
    Redacted,
}

/// Returns `user-` and twelve digits of the id's SHA-256. The id is random and cannot be recovered; twelve digits are enough for
/// 100,000 users.
pub fn pseudonym(id: UserId) -> String {
    let digest = digest(&SHA256, id.to_string().as_bytes());
    format!("user-{}", hex(&digest.as_ref()[..6]))
}
