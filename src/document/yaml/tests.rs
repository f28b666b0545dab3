//! Every document here is edited, checked by the second parser, and brought back to its very bytes.

use serde_json::{Value, json};

use super::super::{Fault, Op, Seam};
use super::tree::Tree;
use super::{edit, place, reparse, whole};
use crate::base::{Pointer, Step};

mod documents;
mod edits;
mod random;
mod refusals;
mod values;

fn check(text: &str) -> Result<(), Fault> {
    whole(text).map(drop)
}

fn get(text: &str, at: &Pointer) -> Result<Option<Value>, Fault> {
    Ok(at.get(&whole(text)?).cloned())
}

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
fn try_edit(text: &str, ops: &[Op]) -> Result<(String, Vec<Seam>), String> {
    let said = |fault: Fault| format!("{}:{}: {}", fault.line, fault.column, fault.message);
    let (after, seams) = edit(text, ops).map_err(said)?;
    let mut expected = reparse(text).map_err(said)?;
    ops.iter().filter(|op| !matches!(op, Op::Close { .. })).for_each(|op| apply(&mut expected, op));
    let found = reparse(&after).map_err(|fault| format!("{}\nafter:\n{after}", said(fault)))?;
    if found != expected {
        return Err(format!("wanted {expected}\nfound  {found}\nafter:\n{after}"));
    }
    let own = get(&after, &Pointer::root());
    if own != Ok(Some(found)) {
        return Err(format!("our own reading differs: {own:?}\nafter:\n{after}"));
    }
    Ok((after, seams))
}

/// Put new things, check them, and take them away again: not a byte may differ.
fn try_trace(text: &str, puts: &[Op]) -> Result<String, String> {
    let (after, seams) = try_edit(text, puts)?;
    if comments(text) != comments(&after) {
        return Err(format!("comments differ after:\n{after}"));
    }
    let said = |fault: Fault| format!("undoing: {fault:?} in\n{after}");
    let (back, _) = edit(&after, &undo(puts, &seams)).map_err(said)?;
    if back != text {
        return Err(format!("comes back as {back:?}\nby way of:\n{after}\nwith {seams:?}"));
    }
    let mut step = text.to_owned();
    for op in puts {
        step = edit(&step, std::slice::from_ref(op))
            .map_err(|fault| format!("one by one: {fault:?} in\n{step}"))?
            .0;
    }
    // Only the style of what is new may follow from what came before it.
    if reparse(&step) != reparse(&after) {
        return Err(format!("one by one it becomes\n{step}\nand not\n{after}"));
    }
    let again = edit(&after, puts).map(|(text, _)| text);
    if again.as_ref() != Ok(&after) {
        return Err(format!("asking again changes\n{after}\nto {again:?}"));
    }
    Ok(after)
}

/// Run many cases and show every one that fails.
#[derive(Default)]
struct Cases(Vec<String>);

impl Cases {
    fn trace(&mut self, text: &str, puts: &[Op]) {
        if let Err(why) = try_trace(text, puts) {
            self.0.push(format!("=== {text:?}\n{puts:?}\n{why}"));
        }
    }
}

impl Drop for Cases {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking() || self.0.is_empty(),
            "{} failed\n{}",
            self.0.len(),
            self.0.join("\n")
        );
    }
}
