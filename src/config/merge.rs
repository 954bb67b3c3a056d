//! Merges two trees by their shape.

use std::collections::HashMap;

use super::shape::{Entries, Map, Merge, Shape};
use super::yaml::{Entry, Node, Value};

/// Merges a document over the one that it extends. Maps merge key by key, lists are replaced or combined, scalars are replaced, and `null`
/// removes the inherited value.
pub(super) fn merge(base: Node, overriding: &Node, map: &'static Map) -> Node {
    merge_value(base, overriding, &Shape::Map(map))
}

fn merge_value(base: Node, overriding: &Node, shape: &Shape) -> Node {
    let declares = !base.is_null() && !matches!(base.value, Value::Removed);
    let value = match (base.value, &overriding.value, shape) {
        _ if overriding.is_null() && declares => Value::Removed,
        (Value::Map(base), Value::Map(entries), Shape::Map(map)) => {
            Value::Map(merge_entries(base, entries, |name| {
                map.key(name).map(|key| key.shape)
            }))
        }
        (Value::Map(base), Value::Map(entries), Shape::Entries(shape)) => {
            let base = drop_replaced(base, entries, shape);
            let entry = Shape::Map(shape.entry);
            Value::Map(merge_entries(base, entries, |_| Some(entry)))
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
fn drop_replaced(mut base: Vec<Entry>, overriding: &[Entry], shape: &Entries) -> Vec<Entry> {
    let Some([one, other]) = shape.exclusive else {
        return base;
    };
    let names: HashMap<&str, &Node> = overriding
        .iter()
        .map(|new| (&*new.key, &new.node))
        .collect();
    for old in &mut base {
        if let (Value::Map(keys), Some(new)) = (&mut old.node.value, names.get(&*old.key)) {
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
    shape_of: impl Fn(&str) -> Option<Shape>,
) -> Vec<Entry> {
    let positions = base
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.clone(), at));
    let positions: HashMap<_, usize> = positions.collect();
    for new in overriding {
        match (positions.get(&new.key), shape_of(&new.key)) {
            (Some(at), Some(shape)) => {
                let old = &mut base[*at];
                let invalid = Node {
                    value: Value::Invalid,
                    span: old.node.span,
                };
                old.node =
                    merge_value(std::mem::replace(&mut old.node, invalid), &new.node, &shape);
                old.key_span = new.key_span;
            }
            (Some(at), None) => base[*at] = new.clone(),
            (None, _) => base.push(new.clone()),
        }
    }
    base
}
