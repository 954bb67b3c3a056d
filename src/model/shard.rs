//! `--shard I/N`: a subset of the accounts, to split a fleet over several machines.
//!
//! The shard of an account is the first eight bytes of the SHA-256 of its ID, as a big-endian number, modulo N.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::Serialize;

use super::account::AccountId;

/// A subset of the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Shard {
    /// Number of the shard, starting at 0.
    pub index: u64,
    /// Number of shards.
    pub of: NonZeroU64,
}

impl Shard {
    /// Returns true if the account belongs to the shard.
    pub fn holds(self, account: &AccountId) -> bool {
        let hash = digest(&SHA256, account.as_str().as_bytes());
        let first = hash
            .as_ref()
            .first_chunk()
            .expect("a SHA-256 is longer than eight bytes");
        u64::from_be_bytes(*first) % self.of == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || -> Option<Shard> {
            let (index, of) = text.split_once('/')?;
            let shard = Shard {
                index: index.parse().ok()?,
                of: of.parse().ok()?,
            };
            (shard.index < shard.of.get()).then_some(shard)
        };
        read().ok_or_else(|| "expected I/N with 0 ≤ I < N, such as 0/4".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AccountId, Shard};

    fn account(number: u128) -> AccountId {
        format!("{number:032x}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn every_account_is_in_exactly_one_shard(number: u128, count in 1_u64..300) {
            let holders = (0..count)
                .map(|index| format!("{index}/{count}").parse::<Shard>().unwrap())
                .filter(|shard| shard.holds(&account(number)));
            prop_assert_eq!(holders.count(), 1);
        }
    }

    #[test]
    fn an_account_never_moves_to_another_shard() {
        // Computed with `printf %s ID | sha256sum`; deployments rely on these values.
        let table = [
            ("023e105f4ecef8ad9ca31a8372d0c353", "1/16"),
            ("00000000000000000000000000000001", "7/16"),
        ];
        for (id, shard) in table {
            let account: AccountId = id.parse().unwrap();
            let shard: Shard = shard.parse().unwrap();
            assert!(shard.holds(&account), "{id} in {shard}");
        }
    }

    #[test]
    fn shards_are_numbered_from_zero() {
        assert_eq!("3/4".parse::<Shard>().unwrap().to_string(), "3/4");
        for wrong in ["", "1", "4/4", "0/0", "-1/4", "1/4/4", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
