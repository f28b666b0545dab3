//! Every document here is edited, checked by the second parser, and brought back to its very bytes.

use serde_json::{Value, json};

use super::super::{Fault, Op, Seam};
use super::tree::Tree;
use super::{check, edit, get, place, reparse};
use crate::base::{Pointer, Step};

mod documents;
mod edits;
mod random;
mod refusals;
mod values;

fn at(text: &str) -> Pointer {
    text.parse().expect("a pointer")
}

fn put(place: &str, value: Value) -> Op {
    Op::Put { at: at(place), value }
}

fn cut(place: &str) -> Op {
    Op::Drop { at: at(place) }
}

/// What undoes these puts: drop what they made, then close what they opened.
fn undo(puts: &[Op], seams: &[Seam]) -> Vec<Op> {
    let drops = puts.iter().rev().filter_map(|op| match op {
        Op::Put { at, .. } => Some(Op::Drop { at: at.clone() }),
        _ => None,
    });
    drops.chain(seams.iter().rev().map(|seam| Op::Close { seam: seam.clone() })).collect()
}

/// What an operation means, on values alone.
fn apply(value: &mut Value, op: &Op) {
    match op {
        Op::Put { at, value: new } => put_value(value, &at.0, new),
        Op::Drop { at } => {
            if let Some((step, parents)) = at.0.split_last() {
                let mut holder = Some(value);
                for parent in parents {
                    holder = holder.and_then(|value| member(value, parent));
                }
                match (holder, step) {
                    (Some(Value::Object(map)), Step::Key(key)) => _ = map.shift_remove(key),
                    (Some(Value::Array(items)), step) => items.retain(|item| !is(item, step)),
                    _ => {}
                }
            }
        }
        Op::Close { .. } => unreachable!("not part of the model"),
    }
}

fn is(item: &Value, step: &Step) -> bool {
    match step {
        Step::Item { key, is } => item.get(key).and_then(Value::as_str) == Some(is),
        Step::Element(text) => item.as_str() == Some(text),
        Step::Key(_) => false,
    }
}

fn member<'v>(value: &'v mut Value, step: &Step) -> Option<&'v mut Value> {
    match step {
        Step::Key(key) => value.as_object_mut()?.get_mut(key),
        step => value.as_array_mut()?.iter_mut().find(|item| is(item, step)),
    }
}

fn put_value(value: &mut Value, steps: &[Step], new: &Value) {
    let Some((step, below)) = steps.split_first() else {
        *value = new.clone();
        return;
    };
    if value.is_null() {
        *value = if matches!(step, Step::Key(_)) { json!({}) } else { json!([]) };
    }
    if member(value, step).is_none() {
        match (&mut *value, step) {
            (Value::Object(map), Step::Key(key)) => _ = map.insert(key.clone(), Value::Null),
            (Value::Array(items), Step::Item { key, is }) => items.push(json!({ key.clone(): is })),
            (Value::Array(items), Step::Element(text)) => items.push(json!(text)),
            _ => {}
        }
    }
    if let Some(value) = member(value, step) {
        put_value(value, below, new);
    }
}

fn comments(text: &str) -> Vec<String> {
    let tree = Tree::parse(text).expect("a document");
    let mut all: Vec<_> = tree.comments.iter().map(|at| text[at.clone()].to_owned()).collect();
    all.sort();
    all
}

/// Edit, and have the result confirmed: by the second parser, and by our own reading.
#[track_caller]
fn edited(text: &str, ops: &[Op]) -> (String, Vec<Seam>) {
    let (after, seams) = edit(text, ops).unwrap_or_else(|fault| panic!("{fault:?} in\n{text}"));
    let mut expected = reparse(text).unwrap_or_else(|fault| panic!("{fault:?} in\n{text}"));
    ops.iter().filter(|op| !matches!(op, Op::Close { .. })).for_each(|op| apply(&mut expected, op));
    let found = reparse(&after).unwrap_or_else(|fault| panic!("{fault:?} in\n{after}"));
    assert_eq!(found, expected, "before:\n{text}\nafter:\n{after}");
    assert_eq!(get(&after, &Pointer::root()), Ok(Some(found)), "our own reading of:\n{after}");
    (after, seams)
}

/// Put new things, check them, and take them away again: not a byte may differ.
#[track_caller]
fn leaves_no_trace(text: &str, puts: &[Op]) -> String {
    let (after, seams) = edited(text, puts);
    assert_eq!(comments(text), comments(&after), "comments of:\n{after}");
    let (back, _) = edit(&after, &undo(puts, &seams)).unwrap_or_else(|fault| panic!("{fault:?} in\n{after}"));
    assert_eq!(back, text, "by way of:\n{after}\nwith {seams:?}");
    // One operation at a time comes to the same.
    let mut step = text.to_owned();
    for op in puts {
        step = edit(&step, std::slice::from_ref(op)).unwrap_or_else(|fault| panic!("{fault:?} in\n{step}")).0;
    }
    assert_eq!(step, after, "one by one");
    // Asking again changes nothing.
    assert_eq!(edit(&after, puts).map(|(text, _)| text), Ok(after.clone()));
    after
}
