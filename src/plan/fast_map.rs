//! Hash map and set for lookups in large accounts.

use std::collections::{HashMap, HashSet};

/// Map with a faster hash than the standard library's and a random seed per process. Used for lookups; after an iteration the result is sorted, so no plan
/// depends on the seed.
pub(super) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Set with the same hash as [`FastMap`].
pub(super) type FastSet<T> = HashSet<T, foldhash::fast::RandomState>;
