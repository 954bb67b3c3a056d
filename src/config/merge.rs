//! Merges two trees by their shape.

use std::collections::HashMap;

use super::scalar::Scalar;
use super::shape::{EXCLUSIVE_KEYS, Merge, Shape};
use super::yaml::{Entry, Node, Value};

/// Merges an overriding value into its base value. Maps merge key by key, lists are replaced or combined, scalars are replaced, and `null`
/// removes the inherited value.
pub(super) fn merge(base: Node, overriding: &Node, shape: &Shape) -> Node {
    let declares = !base.is_null() && !matches!(base.value, Value::Removed);
    let value = match (base.value, &overriding.value, shape) {
        _ if overriding.is_null() && declares => Value::Removed,
        (Value::Map(base), Value::Map(entries), Shape::Map(map)) => {
            // Unknown keys have been reported.
            let unknown = Shape::Scalar(Scalar::Text);
            let shape_of = |name: &str| map.key(name).map_or(unknown, |key| key.shape);
            Value::Map(merge_entries(base, entries, shape_of))
        }
        (Value::Map(base), Value::Map(entries), Shape::Entries(shape)) => {
            let base = drop_replaced(base, entries);
            Value::Map(merge_entries(base, entries, |_| Shape::Map(shape.entry)))
        }
        (Value::List(mut base), Value::List(items), Shape::List(_, Merge::Union)) => {
            base.extend_from_slice(items);
            Value::List(base)
        }
        (_, value, _) => value.clone(),
    };
    let span = overriding.span;
    Node { value, span }
}

/// Removes keys that the overriding entry replaces by another key: `reference_id` by `identity_provider`, and the reverse.
fn drop_replaced(mut base: Vec<Entry>, overriding: &[Entry]) -> Vec<Entry> {
    let [one, other] = EXCLUSIVE_KEYS;
    let entries = overriding.iter().map(|new| (&*new.key, &new.node));
    let entries: HashMap<&str, &Node> = entries.collect();
    for old in &mut base {
        if let (Value::Map(keys), Some(new)) = (&mut old.node.value, entries.get(&*old.key)) {
            let replaces = |key| new.get(key).is_some_and(|node| !node.is_null());
            let is_replaced =
                |key: &str| key == one && replaces(other) || key == other && replaces(one);
            keys.retain(|key| !is_replaced(&key.key));
        }
    }
    base
}

/// Returns the entries of both, base entries first. An entry of both is merged, and located where it was declared last.
fn merge_entries(
    mut base: Vec<Entry>,
    overriding: &[Entry],
    shape_of: impl Fn(&str) -> Shape,
) -> Vec<Entry> {
    let positions = base.iter().map(|entry| entry.key.clone()).zip(0..);
    let positions: HashMap<_, usize> = positions.collect();
    for new in overriding {
        match positions.get(&new.key) {
            Some(at) => {
                let old = base[*at].node.clone();
                base[*at] = Entry {
                    node: merge(old, &new.node, &shape_of(&new.key)),
                    ..new.clone()
                };
            }
            None => base.push(new.clone()),
        }
    }
    base
}
