//! The map and the set that large accounts are looked up in.

use std::collections::{HashMap, HashSet};

/// Hashes several times faster than the standard library's map, with a seed of each process's own. Only ever looked up in, never walked
/// through, so that no plan depends on the seed.
pub(super) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// See [`FastMap`].
pub(super) type FastSet<T> = HashSet<T, foldhash::fast::RandomState>;
