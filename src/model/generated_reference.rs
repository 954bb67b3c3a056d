//! Generated references, which match an integration to an entry without `reference_id`, and placeholders for use during updates.
//!
//! Both are pure functions of account, name and ID, so every run on every machine generates the same ones and no state is stored.

use aws_lc_rs::digest::{Context, SHA256};
use uuid::{Builder, Uuid};

use super::id::{AccountId, IntegrationId, Name, ReferenceId};

/// Namespace of generated references. It must never change: existing integrations would no longer match their entries.
const GENERATED_NAMESPACE: u128 = 0x826a_0046_8aa4_48c7_bb87_3e3f_b19b_9baa;
/// Namespace of placeholder references.
const PLACEHOLDER_NAMESPACE: u128 = 0x44d0_253c_24a7_4555_a074_827d_b211_7cdc;

/// Generated references of one entry, numbered from 1.
///
/// Each is a UUID in the form of version 4. The first half depends only on the entry, the second half also on the number, so that the entry
/// of an integration is found without trying every number.
#[derive(Clone)]
pub struct GeneratedReferences {
    entry: Context,
    owner_half: u64,
}

impl GeneratedReferences {
    /// Creates the generated references of the entry with this name.
    pub fn of(account: &AccountId, name: &Name) -> Self {
        let mut entry = Context::new(&SHA256);
        entry.update(&GENERATED_NAMESPACE.to_be_bytes());
        entry.update(account.as_str().as_bytes());
        // Names cannot contain `/`, so no two entries have the same hash input.
        entry.update(b"/");
        entry.update(name.as_str().as_bytes());
        GeneratedReferences {
            owner_half: half(entry.clone(), "/"),
            entry,
        }
    }

    /// Returns the reference with this number.
    pub fn nth(&self, count: usize) -> ReferenceId {
        let half = half(self.entry.clone(), &format!("/{count}"));
        reference(uuid(self.owner_half, half))
    }

    /// Returns the first reference that is not in use.
    pub fn first_unused(&self, is_held: impl Fn(&ReferenceId) -> bool) -> ReferenceId {
        (1..)
            .map(|count| self.nth(count))
            .find(|reference| !is_held(reference))
            .expect("an account has fewer references than there are numbers")
    }

    /// Returns true if `reference` is one of the first `at_most` references.
    pub fn contains(&self, reference: &ReferenceId, at_most: usize) -> bool {
        owner_key(reference) == Some(self.key())
            && (1..=at_most).any(|count| self.nth(count) == *reference)
    }

    /// Returns the key of the entry, which [`owner_key`] returns for each of its references.
    pub fn key(&self) -> u64 {
        uuid(self.owner_half, 0).as_u64_pair().0
    }
}

/// Returns the [`GeneratedReferences::key`] of the entry that a generated reference belongs to.
pub fn owner_key(reference: &ReferenceId) -> Option<u64> {
    let uuid: Uuid = reference.as_str().parse().ok()?;
    Some(uuid.as_u64_pair().0)
}

impl ReferenceId {
    /// Returns the placeholder for an integration while another one takes its reference.
    pub fn placeholder(id: IntegrationId) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(&PLACEHOLDER_NAMESPACE.to_be_bytes());
        hash.update(id.to_string().as_bytes());
        reference(uuid(half(hash.clone(), "/1"), half(hash, "/2")))
    }
}

fn half(mut hash: Context, end: &str) -> u64 {
    hash.update(end.as_bytes());
    let digest = hash.finish();
    let half = digest.as_ref().first_chunk();
    u64::from_be_bytes(*half.expect("a SHA-256 has 32 bytes"))
}

/// Returns the version-4 UUID with these first and last 64 bits.
fn uuid(first: u64, second: u64) -> Uuid {
    let bytes = Uuid::from_u64_pair(first, second).into_bytes();
    Builder::from_random_bytes(bytes).into_uuid()
}

fn reference(uuid: Uuid) -> ReferenceId {
    ReferenceId::new(uuid.to_string()).expect("a UUID is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(account: &str, name: &str) -> GeneratedReferences {
        GeneratedReferences::of(&account.parse().unwrap(), &name.parse().unwrap())
    }

    const A: &str = "f037e56e89293a057740de681ac9abbe";
    const B: &str = "023e105f4ecef8ad9ca31a8372d0c353";

    /// These values are stored on servers. If they change, existing integrations no longer match their entries.
    #[test]
    fn references_never_change() {
        let placeholder = ReferenceId::placeholder(Uuid::from_u128(1).into());
        insta::assert_snapshot!(own(A, "corporate-okta").nth(1), @"06e2baf2-4283-423d-af90-ab36c0e75a61");
        insta::assert_snapshot!(own(A, "corporate-okta").nth(2), @"06e2baf2-4283-423d-a5f3-16a1eefb90dd");
        insta::assert_snapshot!(placeholder, @"38967514-09e7-405b-9b8f-2662c216658c");
    }

    #[test]
    fn each_account_name_and_count_has_its_own() {
        let mut seen = std::collections::HashSet::new();
        for account in [A, B] {
            for name in ["a", "b", "a-", "ab"] {
                for count in 1..=20 {
                    let reference = own(account, name).nth(count);
                    let uuid: Uuid = reference.as_str().parse().unwrap();
                    assert_eq!(uuid.get_version_num(), 4);
                    assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
                    assert_eq!(uuid.to_string(), reference.as_str());
                    assert!(seen.insert(reference));
                }
            }
        }
        let x = own(A, "a");
        assert!(x.contains(&x.nth(3), 3));
        assert!(!x.contains(&x.nth(4), 3));
        assert!(!x.contains(&own(A, "b").nth(1), 3));
        assert!(!x.contains(&own(B, "a").nth(1), 3));
        let (first, third) = (x.nth(1), x.nth(3));
        assert_eq!(
            x.first_unused(|held| [&first, &third].contains(&held)),
            x.nth(2)
        );
    }
}
