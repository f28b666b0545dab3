//! YAML: the clients that keep their servers in it, and our own manifest.
//!
//! Text is read into a span tree (`tree`), operations become byte splices (`edit`, `put`, `prune`),
//! new values are written in the file's own style (`write`), and a second parser gives its opinion
//! (`reparse`).
//!
//! Invariant: bytes outside the splices never change; where an edit could reach further than its
//! place (aliases, merge keys, tags, keys that stand there twice) it is refused with the line.
//!
//! Start at [`edit::edit`].

mod edit;
mod lines;
mod prune;
mod put;
mod reparse;
mod scalar;
mod tree;
mod write;

#[cfg(test)]
mod tests;

#[allow(unused_imports, reason = "the front of the documents is written next door")]
pub(super) use edit::edit;
#[allow(unused_imports, reason = "the front of the documents is written next door")]
pub(super) use reparse::reparse;

use serde_json::Value;

use super::Fault;
use crate::base::Pointer;
use tree::Tree;

/// Read all of it, to know that it can be edited: what it says, aliases and merge keys resolved.
pub(super) fn whole(text: &str) -> Result<Value, Fault> {
    let tree = Tree::parse(text)?;
    Ok(tree.root.map_or(Value::Null, |root| tree.value(root)))
}

#[cfg(test)]
fn check(text: &str) -> Result<(), Fault> {
    whole(text).map(|_| ())
}

#[cfg(test)]
fn get(text: &str, at: &Pointer) -> Result<Option<Value>, Fault> {
    Ok(at.get(&whole(text)?).cloned())
}

/// Where the key or item at a place is written, as a byte offset.
pub(super) fn place(text: &str, at: &Pointer) -> Option<usize> {
    let tree = Tree::parse(text).ok()?;
    let root = tree.root?;
    let start = (tree.node(root).start, root);
    at.0.iter().try_fold(start, |(_, id), step| tree.find(id, step)).map(|(place, _)| place)
}
