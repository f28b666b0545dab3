//! The second opinion on an edit.
//!
//! Invariant: old and new text are read by a parser that the editing code does not use, and the new
//! value must equal the old one with the changes applied to it as values.

use serde_json::Value;

use crate::base::{Pointer, Step};

use super::{Fault, Format, Op, json, model, toml, yaml};

/// Refuses the new text unless it means exactly what was asked.
pub(super) fn verify(format: Format, old: &str, new: &str, ops: &[Op]) -> Result<(), Fault> {
    let (before, after) = match (read(format, old, ops), read(format, new, ops)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(fault), _) | (_, Err(fault)) => return Err(by_hand(ops, &fault.message)),
    };
    let mut expected = before;
    model::apply(&mut expected, ops);
    if model::without_hollow(expected, ops) == model::without_hollow(after, ops) {
        Ok(())
    } else {
        Err(by_hand(ops, "the result would not read back as intended"))
    }
}

/// The document as far as it matters here: values at the changed places, and something that is equal
/// exactly when the rest is.
fn read(format: Format, text: &str, ops: &[Op]) -> Result<Option<Value>, Fault> {
    match format {
        Format::Json | Format::Jsonc => {
            let places: Vec<Pointer> = ops.iter().map(place).collect();
            let places: Vec<&[Step]> = places.iter().map(|place| place.0.as_slice()).collect();
            json::outline(text, format == Format::Json, &places)
        }
        Format::Toml => toml::reparse(text).map(Some),
        Format::Yaml => yaml::reparse(text).map(Some),
    }
}

/// Where values matter. Of a container to be closed only whether there is something in it, so the
/// place is a member that it does not have.
fn place(op: &Op) -> Pointer {
    match op {
        Op::Put { at, .. } | Op::Drop { at } => at.clone(),
        Op::Close { seam } => seam.at.key("\0"),
    }
}

/// Names the places, never the values: they may be secret.
fn by_hand(ops: &[Op], why: &str) -> Fault {
    let changes: Vec<String> = ops
        .iter()
        .map(|op| match op {
            Op::Put { at, .. } => format!("set {at}"),
            Op::Drop { at } => format!("remove {at}"),
            Op::Close { seam } => format!("tidy up {}", seam.at),
        })
        .collect();
    let message = format!(
        "this file cannot be edited safely ({why}); nothing was changed, please make the change by hand: {}",
        changes.join(", ")
    );
    Fault { message, line: 0, column: 0 }
}
