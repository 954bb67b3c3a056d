//! `--shard I/N`: a fleet split over several machines.
//!
//! An account belongs to the shard whose number is the first eight bytes of the SHA-256 of its id, read as a big-endian number, modulo N.
//! So it stays where it is when others come and go, every account is in exactly one shard, and no shard needs to know the others.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::AccountId;

/// One of several shards.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// How many shards there are.
    pub of: NonZeroU64,
}

impl Shard {
    /// Says whether an account belongs to it.
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
        read().ok_or_else(|| "a shard is I/N, with I from 0 and below N, such as 0/4".to_owned())
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
        // Computed with `printf %s ID | sha256sum`; a fleet that is running relies on these.
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
