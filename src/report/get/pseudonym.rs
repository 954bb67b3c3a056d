//! Pseudonyms: a name for a person that tells nothing about the person, and stays the same from run to run.

use aws_lc_rs::digest::{SHA256, digest};

use crate::model::text::hex;
use crate::model::user::UserId;

/// Whether people are shown by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// With name and e-mail address.
    Named,
    /// By pseudonym.
    Redacted,
}

/// `user-` and twelve digits of the id's SHA-256. An id is random, so nobody can guess it back; twelve digits keep a hundred thousand
/// users apart.
pub fn pseudonym(id: UserId) -> String {
    let digest = digest(&SHA256, id.to_string().as_bytes());
    format!("user-{}", hex(&digest.as_ref()[..6]))
}
