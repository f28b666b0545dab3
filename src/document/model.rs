//! What an edit means for values, whatever the format: the yardstick that verification measures by.
//!
//! Invariant: knows nothing about text; a root of `None` is a document without a value.

use serde_json::{Map, Value};

use super::Op;
use crate::base::{Pointer, Step};

/// The value that lands at `steps[0]` when `value` is put at the end of `steps` and nothing of the
/// way exists. An item carries its identifying member.
pub(super) fn child(steps: &[Step], value: &Value) -> Value {
    let inner = match steps.get(1) {
        None => value.clone(),
        Some(Step::Key(key)) => Value::Object(Map::from_iter([(key.clone(), child(&steps[1..], value))])),
        Some(_) => Value::Array(vec![child(&steps[1..], value)]),
    };
    match (steps.first(), inner) {
        (Some(Step::Item { key, is }), Value::Object(members)) if !members.contains_key(key) => {
            let name = (key.clone(), Value::String(is.clone()));
            Value::Object([name].into_iter().chain(members).collect())
        }
        (_, inner) => inner,
    }
}

/// The empty container that `step` leads into.
pub(super) fn container(step: &Step) -> Value {
    match step {
        Step::Key(_) => Value::Object(Map::new()),
        Step::Item { .. } | Step::Element(_) => Value::Array(Vec::new()),
    }
}

/// Whether a list's item is the one that `step` means.
pub(super) fn matches(step: &Step, item: &Value) -> bool {
    match step {
        Step::Key(_) => false,
        Step::Item { key, is } => item.get(key).and_then(Value::as_str) == Some(is),
        Step::Element(text) => item.as_str() == Some(text),
    }
}

/// The expected document after these changes.
pub(super) fn apply(root: &mut Option<Value>, ops: &[Op]) {
    for op in ops {
        match op {
            Op::Put { at, value } => match at.0.first() {
                None => *root = Some(value.clone()),
                Some(first) => put(root.get_or_insert_with(|| container(first)), &at.0, value),
            },
            Op::Drop { at } => drop_at(root, &at.0),
            Op::Close { seam } if seam.was.is_none() && is_empty(root.as_ref(), &seam.at) => {
                drop_at(root, &seam.at.0);
            }
            Op::Close { .. } => {}
        }
    }
}

fn put(node: &mut Value, steps: &[Step], value: &Value) {
    let Some(step) = steps.first() else {
        *node = value.clone();
        return;
    };
    if node.is_null() {
        // YAML writes an empty map that way; the JSON codec refuses it before we get here.
        *node = container(step);
    }
    match (node, step) {
        (Value::Object(map), Step::Key(key)) => match map.get_mut(key) {
            Some(next) => put(next, &steps[1..], value),
            None => {
                map.insert(key.clone(), child(steps, value));
            }
        },
        (Value::Array(items), Step::Item { .. } | Step::Element(_)) => {
            match items.iter_mut().find(|item| matches(step, item)) {
                Some(next) => put(next, &steps[1..], value),
                None => items.push(child(steps, value)),
            }
        }
        // The codecs refuse to put below anything else, so the comparison may fail here.
        _ => {}
    }
}

fn drop_at(root: &mut Option<Value>, steps: &[Step]) {
    let Some((last, way)) = steps.split_last() else {
        *root = None;
        return;
    };
    let parent = root.as_mut().and_then(|root| {
        way.iter().try_fold(root, |node, step| match (node, step) {
            (Value::Object(map), Step::Key(key)) => map.get_mut(key),
            (Value::Array(items), step) => items.iter_mut().find(|item| matches(step, item)),
            _ => None,
        })
    });
    match (parent, last) {
        (Some(Value::Object(map)), Step::Key(key)) => {
            map.shift_remove(key);
        }
        (Some(Value::Array(items)), step) => items.retain(|item| !matches(step, item)),
        _ => {}
    }
}

fn is_empty(root: Option<&Value>, at: &Pointer) -> bool {
    root.and_then(|root| at.get(root)).is_none_or(hollow)
}

/// Whether a value is an empty container, or YAML's way to write one.
fn hollow(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

/// Takes out the containers above the changed places that are empty: whether such a container is
/// still written out is a matter of form (a TOML table vanishes with its last dotted key, a seam with
/// a user's comment in it stays).
pub(super) fn without_hollow(root: Option<Value>, ops: &[Op]) -> Option<Value> {
    let mut root = root;
    for op in ops {
        let (at, depth) = match op {
            Op::Put { at, .. } | Op::Drop { at } => (at, at.0.len().saturating_sub(1)),
            Op::Close { seam } => (&seam.at, seam.at.0.len()),
        };
        for length in (0..=depth.min(at.0.len())).rev() {
            let way = Pointer(at.0[..length].to_vec());
            let is_hollow = root.as_ref().and_then(|root| way.get(root)).is_some_and(hollow);
            if is_hollow {
                drop_at(&mut root, &way.0);
            }
        }
    }
    root
}
